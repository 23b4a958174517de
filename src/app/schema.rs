//! `lapidary schema check` without its command line: what becomes of a JSON Schema, keyword by keyword and column by
//! column, and whether it can be used.

use std::{path::Path, sync::Arc};

use serde_json::Value;

use super::pipeline::{Overrides, Pipeline};
use crate::{
    base::{
        Fatal, Shape,
        shape::{self, Coverage, KeywordUse, Remark},
    },
    generate::{Guide, Vocabulary},
    parse,
    write::{Column, outline},
};

/// What becomes of a schema.
#[derive(Debug)]
pub struct Review {
    /// Each use of a keyword, in the order of the schema.
    pub keywords: Vec<Fate>,
    /// Why it is refused; empty for a schema that can be used.
    pub problems: Vec<String>,
    /// Its columns; empty for a schema that is refused.
    pub columns: Vec<Column>,
    /// Bounds that were added, and columns that are JSON text.
    pub remarks: Vec<Remark>,
}

/// What happens to a keyword where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// JSON pointer of the keyword.
    pub pointer: String,
    /// `enforced`, `checked after`, `noted` or `refused`.
    pub fate: &'static str,
    /// What to do about it, or what it may cost; empty for what is enforced or noted.
    pub advice: String,
}

/// Reviews a schema file, under the bounds of a pipeline or the default ones.
///
/// # Errors
/// When the schema cannot be read as JSON, or the pipeline cannot be read.
pub fn review(path: &Path, pipeline: Option<&Path>) -> Result<Review, Fatal> {
    let settings = pipeline.map_or_else(|| Ok(parse::Settings::default()), settings_of)?;
    let schema = parse::read_schema(path).map_err(|problem| {
        Fatal::new(format!("`{}` {problem}", path.display()), "give a file that holds one JSON Schema")
    })?;
    let compiled = Shape::compile_within(&schema, settings.bounds()).map(Arc::new).and_then(|shape| {
        settings.merging(&shape)?;
        can_guide(&*settings.answer(&shape)?)?;
        Ok(shape)
    });
    Ok(match compiled {
        Ok(shape) => Review {
            keywords: fates(&schema, &[]),
            problems: Vec::new(),
            columns: outline(shape.fields()),
            remarks: shape.remarks().to_vec(),
        },
        Err(problems) => {
            Review { keywords: fates(&schema, &problems), problems, columns: Vec::new(), remarks: Vec::new() }
        }
    })
}

fn settings_of(path: &Path) -> Result<parse::Settings, Fatal> {
    let (pipeline, problems) = Pipeline::read(path, &Overrides::default())?;
    match pipeline {
        Some(pipeline) if problems.is_empty() => Ok(pipeline.parse),
        _ => Err(Fatal::new(
            format!("`{}`: {}", path.display(), problems.join("; ")),
            "mend it: `lapidary check` tells more",
        )),
    }
}

/// Builds the grammar over the bytes alone, since no model is at hand: what cannot be built so cannot be built at all.
fn can_guide(shape: &Shape) -> Result<(), Vec<String>> {
    let bytes = (0..=254).map(|byte| vec![byte]);
    let words: Vec<Vec<u8>> = bytes.chain([Vec::new(), b"\xff<end>".to_vec()]).collect();
    let vocabulary = Vocabulary::from_words(&words, &[256]).map_err(|problem| vec![problem])?;
    Guide::compile(&vocabulary, &shape.guide()).map(drop)
}

fn fates(schema: &Value, problems: &[String]) -> Vec<Fate> {
    shape::coverage(schema).into_iter().map(|one| fate(one, problems)).collect()
}

/// A keyword that is fine by itself may be refused where it stands.
fn fate(one: KeywordUse, problems: &[String]) -> Fate {
    let here = format!("{}: ", one.pointer);
    let refused = problems.iter().find_map(|problem| problem.strip_prefix(&here));
    let (fate, advice) = match (refused, one.coverage) {
        (Some(why), _) => ("refused", why),
        (None, Coverage::Refused(advice)) => ("refused", advice),
        (None, Coverage::Enforced) => ("enforced", ""),
        (None, Coverage::CheckedAfter) => ("checked after", outcome(&one.pointer)),
        (None, Coverage::Noted) => ("noted", ""),
    };
    Fate { pointer: one.pointer, fate, advice: advice.to_owned() }
}

/// What becomes of an answer that the check finds wanting.
fn outcome(pointer: &str) -> &'static str {
    if pointer.ends_with("/uniqueItems") {
        "items that come again are dropped; an answer with too few left is a failure"
    } else {
        "the grammar cannot follow it; an answer that breaks it is a failure"
    }
}
