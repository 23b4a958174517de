//! `lapidary check`: every problem of a pipeline at once.

use super::{Ended, args::CheckArguments, print};
use crate::{
    app::{check, plan::Request},
    base::Fatal,
};

pub fn run(arguments: &CheckArguments) -> Result<Ended, Fatal> {
    let request =
        Request { pipeline: arguments.pipeline.clone(), model: arguments.model.clone(), ..Request::default() };
    let findings = check::check(&request)?;
    print::result(&format!("{}\nno problem found\n", findings.join("\n")))?;
    Ok(Ended::Well)
}
