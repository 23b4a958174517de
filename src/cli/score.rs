//! `lapidary score`: what is right of a dataset, as tables or as JSON.

use serde_json::{Value, json};

use super::{Ended, args::ScoreArguments, print};
use crate::{
    app::score::{self, Bucket, FieldScore, Score},
    base::Fatal,
};

pub fn run(arguments: &ScoreArguments) -> Result<Ended, Fatal> {
    let score = score::score(&arguments.dataset, &arguments.truth)?;
    let mut text = if arguments.json { json(&score, arguments.differences) } else { told(&score) };
    if arguments.differences && !arguments.json {
        text += &differences(&score);
    }
    print::result(&text)?;
    let enough = arguments.at_least.is_none_or(|least| reaches(&score, least));
    Ok(if enough { Ended::Well } else { Ended::WithFailures })
}

/// The share is divided out, as it is told: 7 of 100 is 0.07 to the bit, while 100 times 0.07 is more than 7.
fn reaches(score: &Score, least: f64) -> bool {
    let (values, right) = score.values();
    values == 0 || right as f64 / values as f64 >= least
}

fn told(score: &Score) -> String {
    let heading = ["field", "values", "right", "share", "characters wrong"].map(str::to_owned).to_vec();
    let (values, right) = score.values();
    let all = ["all".to_owned(), values.to_string(), right.to_string(), percent(right, values), String::new()].to_vec();
    let lines: Vec<Vec<String>> = [heading].into_iter().chain(score.fields.iter().map(field)).chain([all]).collect();
    let mut text = print::table(&lines);
    text += &format!(
        "\n{} of {} records are right in every value; {} have no row, of {} rows nothing is known\n",
        score.whole, score.records, score.missing, score.unasked
    );
    if !score.buckets.is_empty() {
        let heading = ["confidence from", "values", "right", "share"].map(str::to_owned).to_vec();
        let lines: Vec<Vec<String>> = [heading].into_iter().chain(score.buckets.iter().map(bucket)).collect();
        text += &format!(
            "\nBy the probability of the least likely token of a value (`_evidence`)\n\n{}",
            print::table(&lines)
        );
    }
    text
}

fn differences(score: &Score) -> String {
    let heading = ["file", "value", "known", "read"].map(str::to_owned).to_vec();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned).replace('\n', "\\n");
    let lines = score.differences.iter().map(|one| {
        let held = one.held.as_ref().map_or("(no row)".to_owned(), plain);
        vec![one.file.clone(), one.path.clone(), plain(&one.wanted), held]
    });
    format!("\nValues that are not right\n\n{}", print::table(&[heading].into_iter().chain(lines).collect::<Vec<_>>()))
}

fn field(field: &FieldScore) -> Vec<String> {
    let wrong = field.character_error_rate().map_or(String::new(), |rate| format!("{:.2} %", 100.0 * rate));
    let share = percent(field.right, field.values);
    vec![field.field.clone(), field.values.to_string(), field.right.to_string(), share, wrong]
}

fn bucket(bucket: &Bucket) -> Vec<String> {
    let share = percent(bucket.right, bucket.values);
    vec![bucket.from.to_string(), bucket.values.to_string(), bucket.right.to_string(), share]
}

fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => String::new(),
        _ => format!("{:.1} %", 100.0 * part as f64 / whole as f64),
    }
}

fn json(score: &Score, with_differences: bool) -> String {
    let fields = score.fields.iter().map(|field| {
        json!({ "field": field.field, "values": field.values, "right": field.right, "character_error_rate": field.character_error_rate() })
    });
    let buckets = score
        .buckets
        .iter()
        .map(|bucket| json!({ "from": bucket.from, "values": bucket.values, "right": bucket.right }));
    let (values, right) = score.values();
    let mut all = json!({
        "records": score.records, "whole": score.whole, "missing": score.missing, "unasked": score.unasked,
        "values": values, "right": right,
        "fields": fields.collect::<Vec<_>>(), "confidence": buckets.collect::<Vec<_>>(),
    });
    if with_differences {
        let list = score.differences.iter().map(|one| {
            json!({ "file": one.file, "path": one.path, "known": one.wanted, "read": one.held, "has_row": one.held.is_some() })
        });
        all["differences"] = list.collect();
    }
    format!("{all}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_reaches_what_it_equals() {
        let score = |values, right| Score {
            fields: vec![FieldScore { values, right, ..FieldScore::default() }],
            ..Score::default()
        };
        assert!(reaches(&score(100, 7), 0.07) && !reaches(&score(1000, 69), 0.07));
        assert!(reaches(&score(3, 3), 1.0) && reaches(&score(0, 0), 1.0));
    }

    #[test]
    fn tables_show_shares_and_confidence() {
        let total = FieldScore { field: "/total".to_owned(), values: 4, right: 3, edits: (0, 0) };
        let shop = FieldScore { field: "/shop".to_owned(), values: 4, right: 4, edits: (1, 40) };
        let buckets = vec![Bucket { from: 0.9, values: 2, right: 1 }];
        let score = Score {
            records: 4,
            whole: 3,
            missing: 1,
            unasked: 2,
            fields: vec![total, shop],
            buckets,
            differences: Vec::new(),
        };
        let text = told(&score);
        assert!(text.contains("/total  4       3      75.0 %\n"), "{text}");
        assert!(text.contains("/shop   4       4      100.0 %  2.50 %\n"), "{text}");
        assert!(text.contains("all     8       7      87.5 %\n"), "{text}");
        assert!(text.contains("3 of 4 records are right in every value; 1 have no row, of 2 rows nothing"), "{text}");
        assert!(text.contains("0.9              2       1      50.0 %\n"), "{text}");
    }
}
