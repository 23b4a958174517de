//! Decimal numbers, so that 0.1 + 0.2 is 0.3 and 10.90 is 10.9.

use std::{cmp::Ordering, fmt};

/// Most digits of a number, and most of them behind the point.
const MOST_DIGITS: u32 = 30;

/// `digits / 10^scale`, in lowest terms: equal numbers are equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self { digits: 0, scale: 0 };

    /// Reads a number as JSON writes it. `None` for anything else, and for numbers of more than 30 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let is_number = digits.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || digits.len() > MOST_DIGITS as usize + 1 {
            return None;
        }
        Self::shifted(digits.parse().ok()?, i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?)
    }

    /// Reads a double by its shortest spelling.
    pub fn of(value: f64) -> Option<Self> {
        Self::parse(&value.to_string())
    }

    fn shifted(mut digits: i128, mut scale: i32) -> Option<Self> {
        while digits != 0 && scale > 0 && digits % 10 == 0 {
            (digits, scale) = (digits / 10, scale - 1);
        }
        if digits == 0 {
            return Some(Self::ZERO);
        }
        while scale < 0 {
            (digits, scale) = (digits.checked_mul(10)?, scale + 1);
        }
        let scale = u32::try_from(scale).ok().filter(|scale| *scale <= MOST_DIGITS)?;
        Some(Self { digits, scale })
    }

    /// The sum; `None` where it has too many digits.
    pub fn plus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        Self::shifted(self.at(scale)?.checked_add(other.at(scale)?)?, i32::try_from(scale).ok()?)
    }

    /// The distance between two numbers; `None` where it has too many digits.
    pub fn distance(self, other: Self) -> Option<Self> {
        let difference = self.plus(Self { digits: -other.digits, ..other })?;
        Some(Self { digits: difference.digits.abs(), ..difference })
    }

    fn at(self, scale: u32) -> Option<i128> {
        self.digits.checked_mul(10_i128.checked_pow(scale - self.scale)?)
    }

    /// True below zero.
    pub fn is_negative(self) -> bool {
        self.digits < 0
    }
}

impl PartialOrd for Decimal {
    /// `None` only where numbers differ so much in size that they cannot be brought to one scale.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let scale = self.scale.max(other.scale);
        Some(self.at(scale)?.cmp(&other.at(scale)?))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, scale) = (if self.is_negative() { "-" } else { "" }, self.scale as usize);
        let digits = format!("{:0>width$}", self.digits.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn sums_are_what_a_till_prints() {
        assert_eq!(decimal("0.1").plus(decimal("0.2")), Some(decimal("0.30")));
        assert_eq!(decimal("10.90").to_string(), "10.9");
        assert_eq!(decimal("-0.05").plus(decimal("-1")).unwrap().to_string(), "-1.05");
        assert_eq!(decimal("2e3"), decimal("2000.0"));
        assert_eq!(Decimal::of(0.01), Some(decimal("1E-2")));
    }

    #[test]
    fn numbers_beyond_measure_are_none() {
        for text in ["1e400", "1e-400", "", "-", "--1", "1.2.3", "NaN", &"9".repeat(40)] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(decimal("1e30").partial_cmp(&decimal("1e-30")), None);
        assert!(decimal("-3.5") < decimal("2"));
    }
}
