//! `lapidary failures`: the dead letters of a dataset, counted or exported.

use super::{
    Ended,
    args::{FailuresCommand, FailuresExportArguments, FailuresListArguments, FailuresWanted},
    print,
};
use crate::{
    app::letters::{Exported, Letter, Request, Tally, Wanted, export, tally},
    base::Fatal,
};

pub fn run(command: &FailuresCommand) -> Result<Ended, Fatal> {
    match command {
        FailuresCommand::List(arguments) => list(arguments),
        FailuresCommand::Export(arguments) => write(arguments),
    }
}

fn list(arguments: &FailuresListArguments) -> Result<Ended, Fatal> {
    let heading = ["stage", "kind", "limit", "count", "example"].map(str::to_owned).to_vec();
    let cells = |tally: Tally| vec![tally.stage, tally.kind, tally.limit, tally.count.to_string(), tally.example];
    let lines = tally(&arguments.dataset, &wanted(&arguments.wanted))?.into_iter().map(cells);
    print::result(&print::table(&[heading].into_iter().chain(lines).collect::<Vec<_>>()))?;
    Ok(Ended::Well)
}

fn write(arguments: &FailuresExportArguments) -> Result<Ended, Fatal> {
    let own = std::env::current_exe().map_err(|error| Fatal::new(error.to_string(), "start it by its full path"))?;
    let request = Request {
        dataset: arguments.dataset.clone(),
        out: arguments.out.clone(),
        wanted: wanted(&arguments.wanted),
        limit: arguments.limit.unwrap_or(usize::MAX),
        largest: arguments.largest_mb.saturating_mul(1_000_000),
        program: own,
        sandbox: arguments.sandbox.wanted(),
    };
    let Exported { letters, partly } = export(&request, &mut tell)?;
    print::note(&format!("{letters} failures written to {}, {partly} of them only partly", request.out.display()));
    Ok(if partly == 0 { Ended::Well } else { Ended::WithFailures })
}

/// One line for each that lacks something.
fn tell(letter: &Letter) {
    if !letter.is_whole() {
        print::fault(&format!("partly: {}: {}", letter.origin, letter.remarks.join("; ")));
    }
}

fn wanted(wanted: &FailuresWanted) -> Wanted {
    Wanted { stage: wanted.stage, kind: wanted.kind }
}
