//! `lapidary timeline`: sound and frames of datasets as one table.

use super::{Ended, args::TimelineArguments, note_unfinished, print};
use crate::{app::timeline, base::Fatal};

pub fn run(arguments: &TimelineArguments) -> Result<Ended, Fatal> {
    let written = timeline::write(&arguments.datasets, &arguments.field, &arguments.output)?;
    print::result(&format!("{}\n", arguments.output.display()))?;
    arguments.datasets.iter().try_for_each(|dataset| note_unfinished(dataset))?;
    print::note(&format!("{} moments", written.moments));
    if written.others > 0 {
        print::note(&format!("{} rows are about no span of sound or film and were left out", written.others));
    }
    Ok(Ended::Well)
}
