//! Random records of random shapes survive JSON -> Arrow -> Parquet -> JSON unchanged.

use std::sync::Arc;

use lapidary::{
    base::{Part, Shape},
    write::{
        Settings,
        read::{self, Request, Table},
    },
};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use super::support::*;

/// A schema, and some values that it allows.
type Case = (Value, Vec<Value>);

/// Records in one case; every strategy below yields this many values.
const RECORDS: usize = 5;

fn values<T: Into<Value> + std::fmt::Debug>(
    schema: Value,
    one: impl Strategy<Value = T>,
) -> impl Strategy<Value = Case> {
    vec(one, RECORDS).prop_map(move |values| (schema.clone(), values.into_iter().map(Into::into).collect()))
}

fn date() -> impl Strategy<Value = String> {
    (0..=9999_i32, 1..=12_u32, 1..=28_u32).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
}

/// Any amount of up to 15 digits, as the double that its text is read as.
fn cents() -> impl Strategy<Value = f64> {
    let amount = |cents: i64| format!("{}.{:02}", cents / 100, cents.abs() % 100).parse::<f64>();
    (-999_999_999_999_999..=999_999_999_999_999_i64).prop_filter_map("a number", move |cents| amount(cents).ok())
}

/// What is kept as JSON text, texts that look like JSON among it.
fn text_or_number() -> impl Strategy<Value = Value> {
    prop_oneof!["\\PC{0,20}".prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(json!("[7]"))]
}

fn map() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-z]{1,3}", any::<i64>(), 0..4).prop_map(|map| json!(map))
}

fn leaf() -> BoxedStrategy<Case> {
    let moment =
        (date(), 0..24_u32, 0..60_u32, 0..60_u32).prop_map(|(day, h, m, s)| format!("{day}T{h:02}:{m:02}:{s:02}Z"));
    prop_oneof![
        values(json!({"type": "string"}), "\\PC{0,20}"),
        values(json!({"type": "integer"}), any::<i64>()),
        values(json!({"type": "number"}), any::<f64>().prop_filter("finite", |number| number.is_finite())),
        values(json!({"type": "boolean"}), any::<bool>()),
        values(json!({"type": "number", "multipleOf": 0.01}), cents()),
        values(json!({"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 4}), map()),
        values(json!({"type": "string", "format": "date"}), date()),
        values(json!({"type": "string", "format": "date-time"}), moment),
        values(json!({"enum": [0.07, 0.19]}), select(vec![0.07, 0.19])),
        values(json!({"enum": [true, false]}), any::<bool>()),
        values(json!({"type": ["string", "integer"]}), text_or_number()),
        values(json!({"enum": ["red", "green", "", "ünïcode"]}), select(vec!["red", "green", "", "ünïcode"])),
    ]
    .boxed()
}

/// Some values of the case become null, and the schema allows it.
fn nullable(case: BoxedStrategy<Case>) -> impl Strategy<Value = Case> {
    (case, vec(any::<bool>(), RECORDS)).prop_map(|((schema, values), absent)| {
        let values = values.into_iter().zip(absent).map(|(value, absent)| if absent { Value::Null } else { value });
        (json!({"anyOf": [schema, {"type": "null"}]}), values.collect())
    })
}

/// Lists cut out of the values at hand: empty ones and longer ones.
fn list(case: BoxedStrategy<Case>) -> impl Strategy<Value = Case> {
    (case, vec(0..=RECORDS, RECORDS)).prop_map(|((schema, values), lengths)| {
        let lists = lengths.into_iter().map(|length| Value::Array(values[..length].to_vec()));
        (json!({"type": "array", "items": schema}), lists.collect())
    })
}

fn object(case: BoxedStrategy<Case>) -> impl Strategy<Value = Case> {
    vec(case, 1..4).prop_map(|cases| {
        let named = |index: usize| format!("f{index} ü.x");
        let required: Vec<String> = (0..cases.len()).map(named).collect();
        let properties: Map<String, Value> =
            cases.iter().enumerate().map(|(index, (schema, _))| (named(index), schema.clone())).collect();
        let record = |row: usize| -> Value {
            Value::Object(
                cases.iter().enumerate().map(|(index, (_, values))| (named(index), values[row].clone())).collect(),
            )
        };
        let records = (0..RECORDS).map(record).collect();
        (json!({"type": "object", "properties": properties, "required": required}), records)
    })
}

fn record() -> impl Strategy<Value = Case> {
    let inner =
        leaf().prop_recursive(3, 12, 3, |case| prop_oneof![nullable(case.clone()), list(case.clone()), object(case)]);
    object(inner.boxed())
}

fn through_parquet(schema: &Value, records: &[Value]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let shape = Arc::new(Shape::compile(schema).unwrap());
    let names: Vec<String> = shape.fields().iter().map(|field| field.name.clone()).collect();
    let settings = Settings { rows_per_part: 2, ..patient() };
    let mut writer = of_shape(folder.path(), shape.clone(), settings);
    for record in records {
        let settled = shape.settle(record.clone()).unwrap();
        assert_eq!(&settled.record, record);
        tell(&mut writer, [row(&source("a", 1), Part::Whole, settled.record)]);
    }
    writer.finish().unwrap();
    let mut back = Vec::new();
    let request = Request { table: Table::Extractions, columns: Some(names), limit: usize::MAX };
    read::read(folder.path(), &request, &mut |batch| {
        back.extend(read::json(batch));
        Ok(())
    })
    .unwrap();
    back
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back_as_they_went_in((schema, records) in record()) {
        prop_assert_eq!(through_parquet(&schema, &records), records);
    }
}

#[test]
fn what_is_no_column_type_comes_back_as_the_json_that_it_was() {
    let code = json!({"type": ["string", "integer", "boolean"]});
    let schema = json!({"type": "object", "properties": {
        "any": {}, "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "codes": {"type": "array", "items": code},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"code": code}}},
        "by": {"type": "object", "additionalProperties": code},
        "text": {"type": "string"}
    }});
    let records = [
        json!({"any": {"x": [1, null]}, "pair": ["p", 3], "codes": ["A-7", 7, "7", true], "lines": [{"code": "B"}, {"code": null}],
            "by": {"a": false, "b": "null"}, "text": "[1]"}),
        json!({"any": null, "pair": null, "codes": [], "lines": null, "by": {}, "text": null}),
    ];
    assert_eq!(through_parquet(&schema, &records), records);
}
