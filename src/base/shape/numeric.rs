//! Numbers: their bounds in a schema, and how far the grammar lets them go.

use serde_json::{Map, Value};

use super::node::{Form, Integer, Number};

/// Largest magnitude of a guided integer: exact both as 64-bit integer and as double.
pub const INTEGER_BOUND: i64 = 1_000_000_000_000_000_000;
/// Largest magnitude of a guided number: 15 digits before the point.
pub const NUMBER_BOUND: f64 = 1e15;
/// Digits after the point of a guided number. The grammar's arithmetic on remainders is 32-bit and holds up to 8.
pub const MOST_DECIMALS: u32 = 8;

/// An integer with the bounds of its schema, clipped to [`INTEGER_BOUND`].
pub fn integer(schema: &Map<String, Value>) -> Result<Form, String> {
    let least = bound(schema, "minimum", f64::ceil, 0).max(bound(schema, "exclusiveMinimum", f64::floor, 1));
    let most = upper(schema, "maximum", f64::floor, 0).min(upper(schema, "exclusiveMaximum", f64::ceil, 1));
    if least > most {
        return Err(format!("no integer fits between {least} and {most}; mend `minimum` and `maximum`"));
    }
    let step = schema.get("multipleOf").and_then(whole_step);
    Ok(Form::Integer(Integer { least, most, step }))
}

fn bound(schema: &Map<String, Value>, keyword: &str, round: fn(f64) -> f64, beyond: i64) -> i64 {
    stated_integer(schema, keyword, round)
        .map_or(-INTEGER_BOUND, |value| value.saturating_add(beyond))
        .max(-INTEGER_BOUND)
}

fn upper(schema: &Map<String, Value>, keyword: &str, round: fn(f64) -> f64, beyond: i64) -> i64 {
    stated_integer(schema, keyword, round)
        .map_or(INTEGER_BOUND, |value| value.saturating_sub(beyond))
        .min(INTEGER_BOUND)
}

fn stated_integer(schema: &Map<String, Value>, keyword: &str, round: fn(f64) -> f64) -> Option<i64> {
    let value = schema.get(keyword)?;
    value.as_i64().or_else(|| value.as_f64().map(|value| round(value) as i64))
}

/// A number with the bounds of its schema, clipped to [`NUMBER_BOUND`].
pub fn number(schema: &Map<String, Value>) -> Result<Form, String> {
    let stated = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let (least, above) = match (stated("minimum"), stated("exclusiveMinimum")) {
        (Some(least), Some(above)) if above < least => (least, false),
        (_, Some(above)) => (above, true),
        (least, None) => (least.unwrap_or(-NUMBER_BOUND), false),
    };
    let (most, below) = match (stated("maximum"), stated("exclusiveMaximum")) {
        (Some(most), Some(below)) if below > most => (most, false),
        (_, Some(below)) => (below, true),
        (most, None) => (most.unwrap_or(NUMBER_BOUND), false),
    };
    let (least, most) = (least.max(-NUMBER_BOUND), most.min(NUMBER_BOUND));
    if least > most || (least == most && (above || below)) {
        return Err(format!("no number fits between {least} and {most}; mend `minimum` and `maximum`"));
    }
    let step = schema.get("multipleOf").filter(|value| step(value).is_some()).and_then(Value::as_f64);
    Ok(Form::Number(Number { least, above, most, below, step }))
}

/// A `multipleOf` that the grammar can follow, as (coefficient, decimals).
pub fn step(value: &Value) -> Option<(u32, u32)> {
    let mut coefficient = value.as_f64().filter(|step| *step > 0.0)?;
    for decimals in 0..=MOST_DECIMALS {
        if coefficient.fract() == 0.0 && coefficient <= 1e8 {
            return Some((coefficient as u32, decimals));
        }
        coefficient *= 10.0;
    }
    None
}

fn whole_step(value: &Value) -> Option<u32> {
    step(value).filter(|(_, decimals)| *decimals == 0).map(|(coefficient, _)| coefficient)
}
