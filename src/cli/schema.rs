//! `lapidary schema check`: what becomes of each keyword of a JSON Schema, and which columns come of it.

use serde_json::json;

use super::{
    Ended,
    args::{SchemaCheckArguments, SchemaCommand},
    print,
};
use crate::{
    app::schema::{self, Review},
    base::Fatal,
};

pub fn run(command: &SchemaCommand) -> Result<Ended, Fatal> {
    let SchemaCommand::Check(arguments) = command;
    let review = schema::review(&arguments.schema, arguments.pipeline.as_deref())?;
    let text = if arguments.json { json(arguments, &review) } else { told(arguments, &review) };
    print::result(&text)?;
    Ok(if review.problems.is_empty() { Ended::Well } else { Ended::Badly })
}

fn told(arguments: &SchemaCheckArguments, review: &Review) -> String {
    let keywords = review.keywords.iter().map(|one| [one.pointer.as_str(), one.fate, one.advice.as_str()]);
    let verdict = match review.problems.len() {
        0 => "accepted".to_owned(),
        1 => "refused, for 1 reason".to_owned(),
        count => format!("refused, for {count} reasons"),
    };
    let mut text = format!("{}: {verdict}\n\nkeywords\n{}", arguments.schema.display(), aligned(keywords));
    if !review.problems.is_empty() {
        let problems = review.problems.iter().map(|problem| format!("  - {problem}\n"));
        text += &format!("\nproblems\n{}", problems.collect::<String>());
    }
    if !review.columns.is_empty() {
        text += &format!("\ncolumns\n{}", columns(review));
    }
    if !review.remarks.is_empty() {
        let remarks = review.remarks.iter().map(|remark| [remark.pointer.as_str(), remark.message.as_str(), ""]);
        text += &format!("\nadded by default, and to know\n{}", aligned(remarks));
    }
    text
}

fn columns(review: &Review) -> String {
    let types: Vec<String> = review
        .columns
        .iter()
        .map(|column| if column.nullable { format!("{} or null", column.data_type) } else { column.data_type.clone() })
        .collect();
    aligned(
        review.columns.iter().zip(&types).map(|(column, kind)| [column.name.as_str(), kind, column.bounds.as_str()]),
    )
}

/// Lines of three cells, the first two as wide as the widest.
fn aligned<'a>(lines: impl Iterator<Item = [&'a str; 3]>) -> String {
    let lines: Vec<[&str; 3]> = lines.collect();
    let width = |cell: usize| lines.iter().map(|line| line[cell].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let line = |[a, b, c]: &[&str; 3]| format!("  {a:<first$}  {b:<second$}  {c}").trim_end().to_owned() + "\n";
    lines.iter().map(line).collect()
}

fn json(arguments: &SchemaCheckArguments, review: &Review) -> String {
    let keywords =
        review.keywords.iter().map(|one| json!({"pointer": one.pointer, "fate": one.fate, "advice": one.advice}));
    let columns = review.columns.iter().map(|column| {
        json!({"name": column.name, "type": column.data_type, "nullable": column.nullable, "bounds": column.bounds})
    });
    let remarks = review.remarks.iter().map(|remark| json!({"pointer": remark.pointer, "message": remark.message}));
    let all = json!({
        "schema": arguments.schema, "accepted": review.problems.is_empty(), "problems": review.problems,
        "keywords": keywords.collect::<Vec<_>>(), "columns": columns.collect::<Vec<_>>(),
        "remarks": remarks.collect::<Vec<_>>(),
    });
    format!("{all}\n")
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn cells_stand_below_one_another() {
        assert_eq!(aligned([["a", "bb", "c"], ["aa", "b", ""]].into_iter()), "  a   bb  c\n  aa  b\n");
    }
}
