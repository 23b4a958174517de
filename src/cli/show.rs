//! `lapidary show`: rows or failures of a dataset, as a table or as JSON lines.

use std::io::IsTerminal;

use super::{Ended, args::ShowArguments, print};
use crate::{
    base::Fatal,
    write::{
        read::{self, Request, Table},
        sealed,
    },
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
    if sealed(&arguments.dataset)?.is_none() {
        print::note("note: the dataset is not finished: a run on it is at work, was limited, or was interrupted");
    }
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
    Ok(align(&lines))
}

/// Cells in columns, the header ruled off. A table without rows says so.
fn align(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let pad = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ");
    let mut table: Vec<String> = lines.iter().map(pad).collect();
    table.insert(1.min(table.len()), rule);
    if lines.len() <= 1 {
        table.push("(none)".to_owned());
    }
    table.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["name", "n"], ["agate", "1"]].map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(align(&lines), "name   n\n-----  -\nagate  1\n");
        assert_eq!(align(&lines[..1]), "name  n\n----  -\n(none)\n");
    }
}
