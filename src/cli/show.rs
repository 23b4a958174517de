//! `lapidary show`: rows or failures of a dataset, as a table or as JSON lines.

use std::io::IsTerminal;

use super::{Ended, args::ShowArguments, note_unfinished, print};
use crate::{
    base::Fatal,
    write::read::{self, Request, Table},
};

/// Columns of the failures that fit a screen.
const FAILURE_COLUMNS: [&str; 6] = ["_source", "_part", "stage", "kind", "message", "hint"];

/// Provenance that is shown beside the fields of the schema.
const PROVENANCE: [&str; 3] = ["_source", "_page", "_finish"];

/// Widest cell of a printed table, in characters: wider when the table goes to a file.
const WIDEST: (usize, usize) = (36, 120);

pub fn run(arguments: &ShowArguments) -> Result<Ended, Fatal> {
    let table = if arguments.failures { Table::Failures } else { Table::Extractions };
    let columns = match (arguments.columns.is_empty(), arguments.json) {
        (false, _) => Some(arguments.columns.clone()),
        (true, true) => None,
        (true, false) => Some(columns_to_show(arguments, table)?),
    };
    let request = Request { table, columns, limit: arguments.limit };
    note_unfinished(&arguments.dataset)?;
    let text = if arguments.json { json_lines(arguments, &request)? } else { printed(arguments, &request)? };
    print::result(&text)?;
    Ok(Ended::Well)
}

fn columns_to_show(arguments: &ShowArguments, table: Table) -> Result<Vec<String>, Fatal> {
    let all = read::columns(&arguments.dataset, table)?;
    let shown = |name: &String| match table {
        Table::Failures => FAILURE_COLUMNS.contains(&name.as_str()),
        Table::Extractions => PROVENANCE.contains(&name.as_str()) || !name.starts_with('_'),
    };
    Ok(all.into_iter().filter(shown).collect())
}

fn json_lines(arguments: &ShowArguments, request: &Request) -> Result<String, Fatal> {
    let mut text = String::new();
    read::read(&arguments.dataset, request, &mut |batch| {
        text.extend(read::json(batch).map(|row| format!("{row}\n")));
        Ok(())
    })?;
    Ok(text)
}

fn printed(arguments: &ShowArguments, request: &Request) -> Result<String, Fatal> {
    let widest = if std::io::stdout().is_terminal() { WIDEST.0 } else { WIDEST.1 };
    let mut lines = vec![request.columns.clone().unwrap_or_default()];
    read::read(&arguments.dataset, request, &mut |batch| {
        lines.extend(read::cells(batch, widest));
        Ok(())
    })?;
    Ok(print::table(&lines))
}
