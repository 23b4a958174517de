//! `lapidary timeline`: sound and frames of datasets as one table.

use super::{Ended, args::TimelineArguments, print};
use crate::{app::timeline, base::Fatal};

pub fn run(arguments: &TimelineArguments) -> Result<Ended, Fatal> {
    let written = timeline::write(&arguments.datasets, &arguments.field, &arguments.output)?;
    print::result(&format!("{}\n", arguments.output.display()))?;
    print::note(&format!("{} moments", written.moments));
    if written.others > 0 {
        print::note(&format!("{} rows are about no span of sound or film and were left out", written.others));
    }
    Ok(Ended::Well)
}
