//! Decimal numbers as whole numbers of their last decimal: read from a number's text, never by way of a double.

use serde_json::{Number, Value};

/// Digits that every double keeps exactly: a number of so many survives whatever reads JSON.
pub const SAFE_DIGITS: u32 = 15;

/// A number as `mantissa * 10^exponent`, from its text. `None` for one with more digits than 128 bits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts {
    mantissa: i128,
    exponent: i32,
}

impl Parts {
    fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mantissa = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { mantissa, exponent: exponent.checked_sub(i32::try_from(fraction.len()).ok()?)? })
    }

    /// In units of `10^-decimals`: the whole units at or below it, and whether something is left over.
    fn floor(self, decimals: u32) -> Option<(i128, bool)> {
        let shift = i32::try_from(decimals).ok()?.checked_add(self.exponent)?;
        let power = shift.unsigned_abs();
        if shift >= 0 {
            return Some((self.mantissa.checked_mul(10_i128.checked_pow(power)?)?, false));
        }
        let Some(divisor) = 10_i128.checked_pow(power) else {
            return Some((if self.mantissa < 0 { -1 } else { 0 }, self.mantissa != 0));
        };
        Some((self.mantissa.div_euclid(divisor), self.mantissa.rem_euclid(divisor) != 0))
    }
}

/// A value in units of its last decimal; `None` for what is no number or has more decimals than that.
pub fn units(value: &Value, decimals: u32) -> Option<i128> {
    let Value::Number(number) = value else { return None };
    let (units, beyond) = Parts::of(number)?.floor(decimals)?;
    (!beyond).then_some(units)
}

/// The smallest number of units that is at least `bound`, or above it.
pub fn least_units(bound: &Number, above: bool, decimals: u32) -> Option<i128> {
    let (units, beyond) = Parts::of(bound)?.floor(decimals)?;
    Some(units + i128::from(above || beyond))
}

/// The largest number of units that is at most `bound`, or below it.
pub fn most_units(bound: &Number, below: bool, decimals: u32) -> Option<i128> {
    let (units, beyond) = Parts::of(bound)?.floor(decimals)?;
    Some(units - i128::from(below && !beyond))
}

/// The units written out: `-1250` with two decimals is `-12.50`.
pub fn text(units: i128, decimals: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let width = decimals as usize + 1;
    let digits = format!("{:0>width$}", units.unsigned_abs());
    match digits.split_at(digits.len() - decimals as usize) {
        (whole, "") => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    }
}

/// The units as a JSON number.
pub fn number(units: i128, decimals: u32) -> Value {
    let value = text(units, decimals).parse::<f64>().ok();
    value.and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_are_read_from_their_text() {
        for (given, decimals, expected) in [
            ("0.1", 2, 10),
            ("-12.5", 2, -1250),
            ("1e-8", 8, 1),
            ("9999999999999.99", 2, 999_999_999_999_999),
            ("3", 0, 3),
        ] {
            assert_eq!(units(&Value::Number(number(given)), decimals), Some(expected), "{given}");
        }
        assert_eq!(units(&Value::Number(number("0.125")), 2), None);
    }

    #[test]
    fn bounds_are_rounded_into_the_range() {
        assert_eq!(least_units(&number("0.125"), false, 2), Some(13));
        assert_eq!(least_units(&number("0"), true, 2), Some(1));
        assert_eq!(most_units(&number("-0.125"), false, 2), Some(-13));
        assert_eq!(most_units(&number("1"), true, 2), Some(99));
        assert_eq!(most_units(&number("0.999"), true, 2), Some(99));
        assert_eq!(least_units(&number("-1e-300"), false, 2), Some(0));
    }

    #[test]
    fn units_are_written_out_with_all_their_decimals() {
        assert_eq!(text(-1250, 2), "-12.50");
        assert_eq!(text(5, 3), "0.005");
        assert_eq!(text(7, 0), "7");
    }
}
