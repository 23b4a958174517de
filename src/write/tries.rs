//! The column of a unit's other tries: why each was not good enough, and what held on its rung.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayBuilder, ArrayRef, Float32Builder, Float64Builder, Int32Builder, ListBuilder, StringBuilder, StructBuilder,
    },
    datatypes::{DataType, Field, Fields},
};

use crate::base::ladder::Try;

/// `list<struct<attempt, why: list<string>, budget, rotate, tiles, temperature, shift, new_tokens>>`.
pub fn column() -> DataType {
    DataType::List(Arc::new(item()))
}

fn item() -> Field {
    Field::new_list_field(DataType::Struct(fields()), false)
}

fn fields() -> Fields {
    let field = |name: &str, data_type, nullable| Field::new(name, data_type, nullable);
    let why = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, false)));
    Fields::from(vec![
        field("attempt", DataType::Int32, false),
        field("why", why, false),
        field("budget", DataType::Int32, true),
        field("rotate", DataType::Int32, true),
        field("tiles", DataType::Int32, true),
        field("temperature", DataType::Float32, true),
        field("shift", DataType::Float64, true),
        field("new_tokens", DataType::Int32, false),
    ])
}

/// One list for each row.
pub fn array<'a>(rows: impl Iterator<Item = &'a [Try]>) -> ArrayRef {
    let why = ListBuilder::new(StringBuilder::new()).with_field(Field::new_list_field(DataType::Utf8, false));
    let numbers = || Box::new(Int32Builder::new()) as Box<dyn ArrayBuilder>;
    let (warmth, seconds) = (Box::new(Float32Builder::new()), Box::new(Float64Builder::new()));
    let builders: Vec<Box<dyn ArrayBuilder>> =
        vec![numbers(), Box::new(why), numbers(), numbers(), numbers(), warmth, seconds, numbers()];
    let mut lists = ListBuilder::new(StructBuilder::new(fields(), builders)).with_field(item());
    for tries in rows {
        tries.iter().for_each(|one| append(lists.values(), one));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn append(row: &mut StructBuilder, one: &Try) {
    let whole = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let numbers = [
        (0, Some(i32::from(one.attempt))),
        (2, one.rung.budget.map(whole)),
        (3, one.rung.rotate.map(whole)),
        (4, one.rung.tiles.map(whole)),
        (7, Some(whole(one.tokens))),
    ];
    for (place, number) in numbers {
        row.field_builder::<Int32Builder>(place).into_iter().for_each(|column| column.append_option(number));
    }
    let temperature = one.rung.temperature;
    row.field_builder::<Float32Builder>(5).into_iter().for_each(|column| column.append_option(temperature));
    row.field_builder::<Float64Builder>(6).into_iter().for_each(|column| column.append_option(one.rung.shift));
    if let Some(why) = row.field_builder::<ListBuilder<StringBuilder>>(1) {
        one.why.iter().for_each(|reason| why.values().append_value(reason));
        why.append(true);
    }
    row.append(true);
}
