//! `lapidary model pull`: a model from a hub, exported if it is a checkpoint. Its place goes to standard output.

use std::path::Path;

use super::{Ended, args::PullArguments, hub, model, print, progress::Watcher, pull_progress::PullProgress};
use crate::{
    base::Fatal,
    bundle::{
        self, ExportRequest,
        hub::{Kind, PullRequest, Pulled, Use},
    },
};

pub fn run(arguments: &PullArguments, watcher: Watcher) -> Result<Ended, Fatal> {
    let request = request(arguments)?;
    let precision = model::precision(&arguments.precision)?;
    let hub = hub::settings(arguments.offline)?;
    let mut progress = PullProgress::of(watcher);
    let pulled = bundle::hub::pull(&hub, &request, &mut |step| progress.show(step))?;
    drop(progress);
    let place = match (&arguments.output, &pulled.kind) {
        (Some(out), Kind::Checkpoint) => {
            let exported =
                bundle::export(ExportRequest { checkpoint: pulled.snapshot.clone(), out: out.clone(), precision })?;
            if watcher != Watcher::Nobody {
                exported.summary().iter().for_each(|line| print::note(line));
            }
            shown(out)
        }
        (Some(out), Kind::Graphs(_)) => {
            pulled.lay_out(out)?;
            shown(out)
        }
        (None, _) => in_cache(&pulled, arguments.no_export),
    };
    print::result(&format!("{place}\n"))?;
    Ok(Ended::Well)
}

fn request(arguments: &PullArguments) -> Result<PullRequest, Fatal> {
    let precision = &arguments.precision;
    let export_options = precision.recipe.is_some() || precision.dtype.is_some() || precision.quantize.is_some();
    let make = Use::Make { out: arguments.output.clone(), export_options };
    Ok(PullRequest {
        repository: arguments.repository.parse()?,
        variant: arguments.variant.clone(),
        purpose: if arguments.no_export { Use::Keep } else { make },
    })
}

/// The snapshot, and which variant: others may lie beside it.
fn in_cache(pulled: &Pulled, folder_only: bool) -> String {
    match &pulled.kind {
        Kind::Graphs(variant) if !folder_only => format!("{}#{variant}", shown(&pulled.snapshot)),
        _ => shown(&pulled.snapshot),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
