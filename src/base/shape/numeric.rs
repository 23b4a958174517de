//! Numbers: their bounds in a schema, and how far the grammar lets them go.

use serde_json::{Map, Number as JsonNumber, Value};

use super::{
    decimal,
    node::{Form, Integer, Number},
};

/// Largest magnitude of a guided integer: exact both as 64-bit integer and as double.
pub const INTEGER_BOUND: i128 = 1_000_000_000_000_000_000;
/// Digits after the point of a guided number. The grammar's arithmetic on remainders is 32-bit and holds up to 8.
pub const MOST_DECIMALS: u32 = 8;

/// An integer with the bounds of its schema, clipped to [`INTEGER_BOUND`]; `digits` bound a side that has none.
pub fn integer(schema: &Map<String, Value>, digits: u32) -> Result<Form, String> {
    let step = match schema.get("multipleOf") {
        Some(value) => whole_step(value).ok_or(BAD_STEP)?,
        None => 1,
    };
    // A step with decimals is checked in doubles.
    let in_doubles = schema.get("multipleOf").and_then(self::step).is_some_and(|(_, decimals)| decimals > 0);
    let limit = if in_doubles { 10_i128.pow(decimal::SAFE_DIGITS) } else { INTEGER_BOUND };
    let open = limit.min(10_i128.pow(digits));
    let (least, most) =
        range(schema, 0, i128::from(step), open, limit).map_err(|(least, most)| no_integer(least, most, limit))?;
    let narrow = |bound: i128| i64::try_from(bound).map_err(|_| BAD_STEP);
    let step = (step > 1).then_some(step);
    Ok(Form::Integer(Integer { least: narrow(least)?, most: narrow(most)?, step, among: None }))
}

/// A number with the bounds of its schema. With a `multipleOf` that has decimals it is a decimal, of at most
/// [`decimal::SAFE_DIGITS`] digits in all; without, it has so many before the point and [`MOST_DECIMALS`] after it.
pub fn number(schema: &Map<String, Value>, digits: u32) -> Result<Form, String> {
    let stated = match schema.get("multipleOf") {
        Some(value) => Some(step(value).ok_or(BAD_STEP)?),
        None => None,
    };
    let (step, decimals) = stated.unwrap_or((1, MOST_DECIMALS));
    let exact = stated.is_some() && decimals > 0;
    let (limit, open) = if exact {
        let whole = digits.min(decimal::SAFE_DIGITS - decimals);
        (10_i128.pow(decimal::SAFE_DIGITS) - 1, 10_i128.pow(whole + decimals) - 1)
    } else {
        let power = |digits: u32| 10_i128.pow(digits.min(decimal::SAFE_DIGITS) + decimals);
        (power(decimal::SAFE_DIGITS), power(digits))
    };
    let (least, most) = range(schema, decimals, i128::from(step), open, limit).map_err(|(least, most)| {
        let [least, most] = [least, most].map(|units| decimal::text(units, decimals));
        format!("no number fits between {least} and {most} with {decimals} decimals; mend `minimum` and `maximum`")
    })?;
    let number = Number { least, most, step, decimals, among: None };
    Ok(if exact { Form::Decimal(number) } else { Form::Number(number) })
}

fn no_integer(least: i128, most: i128, limit: i128) -> String {
    let advice = "mend `minimum` and `maximum`";
    if least > limit || most < -limit {
        return format!("no integer fits: whole numbers reach to 10^{} either way; {advice}", limit.ilog10());
    }
    format!("no integer fits between {least} and {most}; {advice}")
}

const BAD_STEP: &str = "`multipleOf` cannot be followed; write a step of at most 8 digits, such as 1, 0.5 or 0.01";

/// The bounds in units, multiples of `step`: `open` where the schema states none, never beyond `limit`.
fn range(
    schema: &Map<String, Value>,
    decimals: u32,
    step: i128,
    open: i128,
    limit: i128,
) -> Result<(i128, i128), (i128, i128)> {
    let stated = |name: &str| schema.get(name).and_then(Value::as_number);
    let least = [("minimum", false), ("exclusiveMinimum", true)]
        .iter()
        .filter_map(|(name, above)| stated(name).map(|bound| least_of(bound, *above, decimals, limit)));
    let most = [("maximum", false), ("exclusiveMaximum", true)]
        .iter()
        .filter_map(|(name, below)| stated(name).map(|bound| most_of(bound, *below, decimals, limit)));
    // Where the one stated bound lies beyond the default of the other side, the other side goes as far as it may.
    let (least, most) = match (least.max(), most.min()) {
        (Some(least), Some(most)) => (least, most),
        (Some(least), None) => (least, if least <= open { open } else { limit }),
        (None, Some(most)) => (if most >= -open { -open } else { -limit }, most),
        (None, None) => (-open, open),
    };
    let snapped = (-(-least).div_euclid(step) * step, most.div_euclid(step) * step);
    if snapped.0 > snapped.1 { Err((least, most)) } else { Ok(snapped) }
}

fn least_of(bound: &JsonNumber, above: bool, decimals: u32, limit: i128) -> i128 {
    let beyond = if bound.as_f64().is_some_and(|bound| bound > 0.0) { limit + 1 } else { -limit };
    decimal::least_units(bound, above, decimals).unwrap_or(beyond).max(-limit)
}

fn most_of(bound: &JsonNumber, below: bool, decimals: u32, limit: i128) -> i128 {
    let beyond = if bound.as_f64().is_some_and(|bound| bound < 0.0) { -limit - 1 } else { limit };
    decimal::most_units(bound, below, decimals).unwrap_or(beyond).min(limit)
}

/// A `multipleOf` that the grammar can follow, as (coefficient, decimals).
pub fn step(value: &Value) -> Option<(u32, u32)> {
    (0..=MOST_DECIMALS).find_map(|decimals| {
        let units = decimal::units(value, decimals)?;
        let coefficient = u32::try_from(units).ok().filter(|units| (1..=100_000_000).contains(units))?;
        Some((coefficient, decimals))
    })
}

/// The whole numbers among the multiples of a step are multiples of this.
fn whole_step(value: &Value) -> Option<u32> {
    let (coefficient, decimals) = step(value)?;
    let power = 10_u32.pow(decimals);
    Some(coefficient / common_divisor(coefficient, power))
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}
