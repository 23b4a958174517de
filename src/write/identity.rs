//! Who a row is about: the columns that both tables share.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float64Array, Int32Array, StringArray},
    datatypes::{DataType, Field},
};

use crate::base::{ContentHash, Kind, Origin, Part};

/// The file, its content and the part of it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The file as the user would name it.
    pub source: String,
    /// BLAKE3 of the content, where it could be read.
    pub hash: Option<ContentHash>,
    /// Told by the content, where it was known.
    pub kind: Option<Kind>,
    /// Which part.
    pub part: Part,
}

impl Identity {
    /// The identity of a collected item.
    pub fn of(origin: &Origin) -> Self {
        Self {
            source: origin.source.name.clone(),
            hash: Some(origin.source.hash),
            kind: Some(origin.source.kind),
            part: origin.part,
        }
    }
}

/// The name of a unit by its content: BLAKE3 of the document's hash and the part, 64 hexadecimal digits. It stays the
/// same when the file is renamed.
pub fn unit_id(hash: &ContentHash, part: &Part) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&hash.0);
    hasher.update(part.to_string().as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// The fields of [`arrays`], all but the source nullable where the failures need it.
pub fn fields() -> Vec<Field> {
    let field = |name: &str, data_type: DataType, nullable: bool| Field::new(name, data_type, nullable);
    vec![
        field("_source", DataType::Utf8, false),
        field("_hash", DataType::Utf8, true),
        field("_unit", DataType::Utf8, true),
        field("_kind", DataType::Utf8, true),
        field("_part", DataType::Utf8, false),
        field("_page", DataType::Int32, true),
        field("_last_page", DataType::Int32, true),
        field("_pages", DataType::Int32, true),
        field("_start", DataType::Float64, true),
        field("_end", DataType::Float64, true),
    ]
}

/// One array per field of [`fields`].
pub fn arrays(rows: &[&Identity]) -> Vec<ArrayRef> {
    let hash = |row: &&Identity| row.hash.map(|hash| hash.to_string());
    let unit = |row: &&Identity| row.hash.map(|hash| unit_id(&hash, &row.part));
    vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.source))),
        Arc::new(rows.iter().map(hash).collect::<StringArray>()),
        Arc::new(rows.iter().map(unit).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.kind.map(Kind::as_str)).collect::<StringArray>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| part_name(&row.part)))),
        Arc::new(rows.iter().map(|row| page(&row.part).map(|(first, _)| first)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| page(&row.part).map(|(_, last)| last)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| pages(&row.part)).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| span(&row.part).map(|(start, _)| start)).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| span(&row.part).map(|(_, end)| end)).collect::<Float64Array>()),
    ]
}

/// The name of a kind of part.
pub fn part_name(part: &Part) -> &'static str {
    match part {
        Part::Whole => "whole",
        Part::Page { .. } => "page",
        Part::Pages { .. } => "pages",
        Part::Time { .. } => "time",
        Part::Frames { .. } => "frames",
        Part::Text { .. } => "text",
    }
}

/// First and last page of a part that is pages.
pub fn page(part: &Part) -> Option<(i32, i32)> {
    let (first, last) = part.pages()?;
    Some((i32::try_from(first).ok()?, i32::try_from(last).ok()?))
}

/// How many pages the document has.
fn pages(part: &Part) -> Option<i32> {
    let (Part::Page { of, .. } | Part::Pages { of, .. }) = part else { return None };
    i32::try_from(*of).ok()
}

/// Start and end of a part of sound or film, in seconds, or of a text, in characters.
pub fn span(part: &Part) -> Option<(f64, f64)> {
    match *part {
        Part::Time { start, end } | Part::Frames { start, end } => Some((start, end)),
        Part::Text { start, end } => Some((start as f64, end as f64)),
        Part::Whole | Part::Page { .. } | Part::Pages { .. } => None,
    }
}
