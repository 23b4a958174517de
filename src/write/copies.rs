//! Duplicates: the rows and failures of one copy, once more under the names of the others.
//!
//! Our own parts are read back batch by batch, so memory does not grow with the dataset.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, UInt32Array},
    compute::{cast, take_record_batch},
    datatypes::SchemaRef,
    error::ArrowError,
};

use super::{keys::DocumentKey, marks, read, table::Table};
use crate::base::Fatal;

/// Rows copied in one go.
const ROWS_AT_ONCE: usize = 4096;

/// Which further names each content has.
#[derive(Debug, Default)]
pub struct Copies(HashMap<DocumentKey, Further>);

#[derive(Debug, Default)]
struct Further {
    /// Whose rows are copied; anyone's where there are no others.
    donor: Option<String>,
    names: Vec<String>,
}

impl Copies {
    /// Another file with a content whose rows stand under the name of `donor`, or under one name.
    pub fn add(&mut self, document: DocumentKey, donor: Option<String>, source: String) {
        let further = self.0.entry(document).or_default();
        further.donor = donor;
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
            for batch in read::open(part)? {
                copied += self.write_copies(&read::checked(part, batch)?, table)?;
            }
        }
        Ok(copied)
    }

    /// The rows of `batch` that have further names, once for each name, a bounded number at a time.
    fn write_copies(&self, batch: &RecordBatch, table: &mut Table) -> Result<u64, Fatal> {
        let further = self.further_names(batch);
        for some in further.chunks(ROWS_AT_ONCE) {
            let (rows, names): (Vec<u32>, Vec<&str>) = some.iter().copied().unzip();
            let copies = renamed(batch, rows, names).and_then(|copies| described_as(table.schema(), &copies));
            table.write(&copies.map_err(|error| cannot_copy(&error))?)?;
        }
        Ok(further.len() as u64)
    }

    fn further_names(&self, batch: &RecordBatch) -> Vec<(u32, &str)> {
        let (mut further, mut row) = (Vec::new(), 0);
        marks::of_batch(batch, &mut |mark| {
            let own = mark.document.and_then(|document| self.0.get(&document));
            let own = own.filter(|own| own.donor.as_ref().is_none_or(|donor| donor == mark.source));
            further.extend(own.into_iter().flat_map(|own| &own.names).map(|name| (row, name.as_str())));
            row += 1;
        });
        further
    }
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
    fn columns_take_the_words_of_another_schema_inside_of_lists_too() {
        let described = described_as(columns("now"), &one_row("then")).unwrap();
        assert_eq!(described, one_row("now"));
    }
}
