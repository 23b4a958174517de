//! `lapidary model prepare`: TensorRT's engines, with a line before each and one after it.

use super::{Ended, args::PrepareArguments, print, run::device};
use crate::{
    app::prepare::{self, Request},
    base::Fatal,
    generate::tensorrt::{Built, Step},
};

pub fn run(arguments: &PrepareArguments) -> Result<Ended, Fatal> {
    let request = Request {
        bundle: arguments.bundle.clone(),
        pipeline: arguments.pipeline.clone(),
        budgets: arguments.budgets.clone(),
        device: device(arguments.device),
        ordinals: arguments.devices.clone(),
    };
    prepare::prepare(&request, &mut |card, step| print::note(&said(card, step)))?;
    Ok(Ended::Well)
}

fn said(card: u32, step: &Step) -> String {
    match step {
        Step::There(bucket, folder) => {
            format!("card {card}, {bucket}: there and whole (`{}`)", folder.display())
        }
        Step::Building(bucket, why) => {
            let why = why.as_ref().map(|why| format!(" anew, since {why}")).unwrap_or_default();
            format!("card {card}, {bucket}: building{why}; this takes a minute or more")
        }
        Step::InPieces(bucket) => format!(
            "card {card}, {bucket}: TensorRT does not take the whole graph; it is built in pieces, which takes longer"
        ),
        Step::Built(bucket, Built { engines, bytes, took }) => {
            let (took, size) = (print::duration(took.as_secs_f64()), print::bytes(*bytes));
            let engines = if *engines == 1 { "1 engine".to_owned() } else { format!("{engines} engines") };
            format!("card {card}, {bucket}: built and tried in {took} ({engines}, {size})")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::generate::tensorrt::Bucket;

    #[test]
    fn each_engine_has_a_line_before_and_one_after() {
        let pictures = Bucket::Pictures(280);
        assert_eq!(
            said(0, &Step::Building(pictures, None)),
            "card 0, pictures of up to 280 soft tokens: building; this takes a minute or more"
        );
        let anew = said(1, &Step::Building(Bucket::Sound, Some("a build was not finished".to_owned())));
        assert_eq!(
            anew,
            "card 1, sound of up to 30 s: building anew, since a build was not finished; this takes a minute or more"
        );
        let took = Duration::from_secs(187);
        let built = |engines| Step::Built(pictures, Built { engines, bytes: 2_000_000, took });
        assert!(said(0, &built(1)).ends_with("built and tried in 3 min 07 s (1 engine, 2.0 MB)"));
        assert!(said(0, &built(48)).ends_with("(48 engines, 2.0 MB)"));
        assert!(said(0, &Step::InPieces(pictures)).contains("in pieces"));
        assert!(said(0, &Step::There(pictures, Path::new("/cache/key"))).ends_with("there and whole (`/cache/key`)"));
    }
}
