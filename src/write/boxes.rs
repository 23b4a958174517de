//! The column `_boxes`: where values of the record stand on the page, as
//! `list<struct<path: string, x0, y0, x1, y1: float, page: int>>` in fractions of the page's width and height, origin at the top
//! left. The page is null where there are none. Empty for
//! records without boxes.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float32Builder, Int32Builder, ListBuilder, StringBuilder, StructBuilder},
    datatypes::{DataType, Field, Fields},
};

use super::identity::page;
use crate::base::PageBox;

/// The sides in the order of [`PageBox::bounds`].
const SIDES: [&str; 4] = ["x0", "y0", "x1", "y1"];

/// The column.
pub fn field() -> Field {
    Field::new("_boxes", DataType::List(Arc::new(item())), false)
}

fn item() -> Field {
    Field::new_list_field(DataType::Struct(parts()), false)
}

fn parts() -> Fields {
    let sides = SIDES.iter().map(|side| Field::new(*side, DataType::Float32, false));
    let page = Field::new("page", DataType::Int32, true);
    [Field::new("path", DataType::Utf8, false)].into_iter().chain(sides).chain([page]).collect()
}

/// The boxes of some rows.
pub fn array<'a>(rows: impl Iterator<Item = &'a [PageBox]>) -> ArrayRef {
    let mut lists = ListBuilder::new(StructBuilder::from_fields(parts(), 0)).with_field(item());
    for boxes in rows {
        boxes.iter().for_each(|one| append(lists.values(), one));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn append(structs: &mut StructBuilder, one: &PageBox) {
    if let Some(path) = structs.field_builder::<StringBuilder>(0) {
        path.append_value(&one.path);
    }
    for (place, side) in (1..).zip(one.bounds) {
        if let Some(sides) = structs.field_builder::<Float32Builder>(place) {
            sides.append_value(side);
        }
    }
    if let Some(pages) = structs.field_builder::<Int32Builder>(1 + SIDES.len()) {
        pages.append_option(page(&one.part).map(|(number, _)| number));
    }
    structs.append(true);
}
