//! Duplicates: the rows and failures of one copy, once more under the names of the others.
//!
//! Our own parts are read back batch by batch, so memory does not grow with the dataset.

use std::{collections::HashMap, mem, path::PathBuf, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, UInt32Array},
    compute::{cast, concat_batches, take_record_batch},
    datatypes::SchemaRef,
    error::ArrowError,
};

use super::{
    keys::{DocumentKey, NameKey, UnitKey},
    marks, read,
    table::Table,
};
use crate::base::Fatal;

/// Rows copied in one go.
const ROWS_AT_ONCE: usize = 4096;

/// Which further names each content has.
#[derive(Debug, Default)]
pub struct Copies(HashMap<DocumentKey, Further>);

#[derive(Debug, Default)]
struct Further {
    /// Whose rows are copied; anyone's where there are no others.
    donor: Option<NameKey>,
    names: Vec<String>,
}

/// A row that is copied.
struct Original<'a> {
    row: u32,
    unit: Option<UnitKey>,
    names: &'a [String],
}

impl Original<'_> {
    fn is_of_one_unit_with(&self, other: &Self) -> bool {
        self.unit.is_some() && self.unit == other.unit
    }
}

impl Copies {
    /// Another file with a content whose rows stand under the name of `donor`, or under one name.
    pub fn add(&mut self, document: DocumentKey, donor: Option<String>, source: String) {
        let further = self.0.entry(document).or_default();
        further.donor = donor.as_deref().map(NameKey::of);
        further.names.push(source);
    }

    /// Writes the rows of `table` again for each further name. Returns how many.
    pub fn write(&self, table: &mut Table) -> Result<u64, Fatal> {
        if self.0.is_empty() {
            return Ok(0);
        }
        table.publish_rows()?;
        let originals: Vec<PathBuf> = table.parts()?;
        let mut copied = 0;
        for part in &originals {
            let mut held_back: Option<RecordBatch> = None;
            for batch in read::open(part)? {
                let batch =
                    behind(held_back.take(), read::checked(part, batch)?).map_err(|error| cannot_copy(&error))?;
                let (whole, rows) = (last_unit(&batch), batch.num_rows());
                copied += self.write_copies(&batch.slice(0, whole), table)?;
                held_back = Some(batch.slice(whole, rows - whole));
            }
            if let Some(rest) = held_back {
                copied += self.write_copies(&rest, table)?;
            }
        }
        Ok(copied)
    }

    /// The rows of `batch` that have further names, once for each name, a bounded number at a time. Parts are closed as those
    /// of new rows are, and between units, since of a unit under one name the rows of the last part alone count.
    fn write_copies(&self, batch: &RecordBatch, table: &mut Table) -> Result<u64, Fatal> {
        let (originals, mut waiting, mut copied) = (self.originals(batch), Vec::new(), 0);
        for unit in originals.chunk_by(Original::is_of_one_unit_with) {
            for name in unit[0].names {
                table.row_waits();
                waiting.extend(unit.iter().map(|original| (original.row, name.as_str())));
                if waiting.len() >= ROWS_AT_ONCE || table.is_due(waiting.len()) {
                    copied += write_some(batch, mem::take(&mut waiting), table)?;
                }
            }
        }
        Ok(copied + write_some(batch, waiting, table)?)
    }

    fn originals(&self, batch: &RecordBatch) -> Vec<Original<'_>> {
        let (mut originals, mut row) = (Vec::new(), 0);
        marks::of_batch(batch, &mut |mark| {
            let further = mark.document.and_then(|document| self.0.get(&document));
            let further = further.filter(|further| further.donor.is_none_or(|donor| donor == mark.name()));
            originals.extend(further.map(|further| Original { row, unit: mark.unit, names: &further.names }));
            row += 1;
        });
        originals
    }
}

/// Writes these rows of a batch under these names, and closes the part where it is full. Returns how many.
fn write_some(batch: &RecordBatch, some: Vec<(u32, &str)>, table: &mut Table) -> Result<u64, Fatal> {
    if some.is_empty() {
        return Ok(0);
    }
    let (rows, names): (Vec<u32>, Vec<&str>) = some.into_iter().unzip();
    let copied = rows.len() as u64;
    let copies = renamed(batch, rows, names).and_then(|copies| described_as(table.schema(), &copies));
    table.write(&copies.map_err(|error| cannot_copy(&error))?)?;
    if table.is_due(0) {
        table.publish_rows()?;
    }
    Ok(copied)
}

/// A batch behind what was held back of the one before.
fn behind(held_back: Option<RecordBatch>, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    match held_back.filter(|rows| rows.num_rows() > 0) {
        Some(rows) => concat_batches(&batch.schema(), [&rows, &batch]),
        None => Ok(batch),
    }
}

/// Where the rows of the last unit begin, of which the next batch may have more.
fn last_unit(batch: &RecordBatch) -> usize {
    let (mut begin, mut row, mut last) = (0, 0, None);
    marks::of_batch(batch, &mut |mark| {
        if mark.unit.is_none() || mark.unit != last {
            begin = row;
        }
        last = mark.unit;
        row += 1;
    });
    begin
}

/// These rows of a batch, under these names.
pub fn renamed<N: AsRef<str>>(batch: &RecordBatch, rows: Vec<u32>, names: Vec<N>) -> Result<RecordBatch, ArrowError> {
    let taken = take_record_batch(batch, &UInt32Array::from(rows))?;
    let mut columns: Vec<ArrayRef> = taken.columns().to_vec();
    columns[taken.schema().index_of("_source")?] = Arc::new(StringArray::from_iter_values(names));
    RecordBatch::try_new(taken.schema(), columns)
}

/// The same rows in columns that are the same but for what is said about them: an earlier part may say it in other words, and in
/// Arrow what is said about the items of a list or the fields of an object is part of the column's type.
fn described_as(schema: SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
    RecordBatch::try_new(schema, columns)
}

fn cannot_copy(error: &ArrowError) -> Fatal {
    Fatal::new(
        format!("write: the rows of duplicates cannot be copied: {error}"),
        "this is a mistake of ours; please report it",
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use arrow::{
        array::{AsArray, ListBuilder, StringBuilder},
        datatypes::{DataType, Field, Schema},
    };

    use super::*;
    use crate::write::Settings;

    /// Columns that tell who a row is about, and a list whose items are described in these words.
    fn columns(words: &str) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let tags = Field::new("tags", DataType::List(Arc::new(item(words))), false);
        Arc::new(Schema::new(vec![text("_source"), text("_hash"), tags]))
    }

    fn item(words: &str) -> Field {
        let said = [("description".to_owned(), words.to_owned())];
        Field::new("item", DataType::Utf8, true).with_metadata(said)
    }

    /// A row about `a.txt`.
    fn one_row(words: &str) -> RecordBatch {
        let mut tags = ListBuilder::new(StringBuilder::new()).with_field(item(words));
        tags.append_value([Some("red"), None]);
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let columns_of_row = vec![text("a.txt"), text(&"1".repeat(64)), Arc::new(tags.finish())];
        RecordBatch::try_new(columns(words), columns_of_row).unwrap()
    }

    fn table(folder: &Path, words: &str) -> Table {
        Table::new("rows", folder.join("parts"), folder.join("aside"), columns(words), Settings::default())
    }

    #[test]
    fn rows_are_copied_from_a_part_that_describes_its_columns_in_other_words() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["parts", "aside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut before = table(folder.path(), "as it was said then");
        before.write(&one_row("as it was said then")).unwrap();
        before.finish().unwrap();
        let mut now = table(folder.path(), "as it is said now").after(&before.parts().unwrap());
        let mut copies = Copies::default();
        copies.add(DocumentKey::read(&"1".repeat(64)).unwrap(), None, "b.txt".to_owned());
        assert_eq!(copies.write(&mut now).unwrap(), 1);
        now.finish().unwrap();
        let parts = now.parts().unwrap();
        let [then, now] = [0, 1].map(|part| read::open(&parts[part]).unwrap().next().unwrap().unwrap());
        assert_eq!(then.columns(), one_row("as it was said then").columns());
        assert_eq!(now.schema().fields(), columns("as it is said now").fields());
        assert_eq!(now.column(0).as_string::<i32>().value(0), "b.txt");
        assert_eq!(now.column(2).as_list::<i32>().value(0).as_string::<i32>().value(0), "red");
    }

    #[test]
    fn parts_of_copies_are_closed_as_others_are() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["parts", "aside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let settings = Settings { rows_per_part: 2, ..Settings::default() };
        let (parts, aside) = (folder.path().join("parts"), folder.path().join("aside"));
        let mut table = Table::new("rows", parts, aside, columns("words"), settings);
        table.write(&one_row("words")).unwrap();
        let mut copies = Copies::default();
        for number in 0..5 {
            copies.add(DocumentKey::read(&"1".repeat(64)).unwrap(), None, format!("{number}.txt"));
        }
        assert_eq!(copies.write(&mut table).unwrap(), 5);
        table.finish().unwrap();
        let rows = |part: &PathBuf| read::extent(part).unwrap().1;
        assert_eq!(table.parts().unwrap().iter().map(rows).collect::<Vec<u64>>(), [1, 2, 2, 1]);
    }

    #[test]
    fn the_rows_of_the_last_unit_wait_for_the_next_batch() {
        let units = |units: &[Option<&str>]| {
            let digits = units.iter().map(|unit| unit.map(|unit| unit.repeat(64)));
            let column: ArrayRef = Arc::new(digits.collect::<StringArray>());
            last_unit(&RecordBatch::try_from_iter_with_nullable([("_unit", column, true)]).unwrap())
        };
        assert_eq!(units(&[Some("1"), Some("2"), Some("2")]), 1);
        assert_eq!(units(&[Some("1"), Some("1")]), 0);
        assert_eq!(units(&[Some("1"), None, None]), 2, "what is about no unit is one row");
        assert_eq!(units(&[]), 0);
    }

    #[test]
    fn columns_take_the_words_of_another_schema_inside_of_lists_too() {
        let described = described_as(columns("now"), &one_row("then")).unwrap();
        assert_eq!(described, one_row("now"));
    }
}
