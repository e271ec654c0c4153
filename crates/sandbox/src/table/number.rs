//! Numbers as DynamoDB keeps them: decimal, exact, of 38 digits at most.

use std::cmp::Ordering;
use std::fmt;

use crate::wire::AwsError;

use super::invalid;

/// The most significant digits a number has.
const DIGITS_MAX: usize = 38;
/// The exponents of the largest and the smallest number.
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;

/// A decimal number: `0.digits × 10^point`, without zeros at either end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    digits: String,
    point: i64,
}

impl Number {
    /// Reads a number as it stands on the wire.
    ///
    /// # Errors
    /// `ValidationException` for what is no number, or one that cannot be kept exactly.
    pub fn parse(text: &str) -> Result<Self, AwsError> {
        let no_number = || {
            let message = format!("The parameter cannot be converted to a numeric value: {text}");
            invalid(message)
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
            None => (text, Some(0)),
        };
        let exponent = exponent.filter(|e| e.abs() < 1_000).ok_or_else(no_number)?;
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(no_number());
        }
        let point = i64::try_from(whole.len()).map_err(|_| no_number())? + exponent;
        Self { negative, digits, point }.normalized()
    }

    fn normalized(mut self) -> Result<Self, AwsError> {
        let without_leading = self.digits.trim_start_matches('0');
        self.point -= i64::try_from(self.digits.len() - without_leading.len()).unwrap_or(0);
        self.digits = without_leading.trim_end_matches('0').to_owned();
        if self.digits.is_empty() {
            return Ok(Self { negative: false, digits: String::new(), point: 0 });
        }
        if self.digits.len() > DIGITS_MAX {
            return Err(invalid("Attempting to store more than 38 significant digits in a Number"));
        }
        let exponent = self.point - 1;
        if exponent > *EXPONENTS.end() {
            let message = "Number overflow. Attempting to store a number with magnitude larger \
                           than supported range";
            return Err(invalid(message));
        }
        if exponent < *EXPONENTS.start() {
            let message = "Number underflow. Attempting to store a number with magnitude smaller \
                           than supported range";
            return Err(invalid(message));
        }
        Ok(self)
    }

    /// The sum, or the difference when `minus` is set.
    ///
    /// # Errors
    /// `ValidationException` when it cannot be kept exactly.
    pub fn plus(&self, other: &Self, minus: bool) -> Result<Self, AwsError> {
        let too_long =
            || invalid("Attempting to store more than 38 significant digits in a Number");
        let scale = |n: &Self| n.point - i64::try_from(n.digits.len()).unwrap_or(0);
        let least = scale(self).min(scale(other));
        let aligned = |n: &Self| -> Result<i128, AwsError> {
            let shift = u32::try_from(scale(n) - least).map_err(|_| too_long())?;
            let digits: i128 =
                if n.digits.is_empty() { 0 } else { n.digits.parse().map_err(|_| too_long())? };
            let factor = if digits == 0 { Some(1) } else { 10_i128.checked_pow(shift) };
            let whole = factor.and_then(|f| digits.checked_mul(f)).ok_or_else(too_long)?;
            Ok(if n.negative { -whole } else { whole })
        };
        let (left, right) = (aligned(self)?, aligned(other)?);
        let sum = if minus { left.checked_sub(right) } else { left.checked_add(right) };
        let sum = sum.ok_or_else(too_long)?;
        let digits = sum.unsigned_abs().to_string();
        let point = i64::try_from(digits.len()).unwrap_or(0) + least;
        Self { negative: sum < 0, digits, point }.normalized()
    }

    /// Bytes that DynamoDB counts for it: one for two digits, and one.
    pub(super) fn size(&self) -> usize {
        self.digits.len().div_ceil(2) + 1
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |n: &Self| match (n.digits.is_empty(), n.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let magnitude =
            || self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits));
        sign(self)
            .cmp(&sign(other))
            .then_with(|| if self.negative { magnitude().reverse() } else { magnitude() })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let sign = if self.negative { "-" } else { "" };
        let length = i64::try_from(self.digits.len()).unwrap_or(0);
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        if self.point <= 0 {
            write!(f, "{sign}0.{}{}", zeros(-self.point), self.digits)
        } else if self.point >= length {
            write!(f, "{sign}{}{}", self.digits, zeros(self.point - length))
        } else {
            let (whole, fraction) = self.digits.split_at(usize::try_from(self.point).unwrap_or(0));
            write!(f, "{sign}{whole}.{fraction}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_kept_without_zeros_that_say_nothing() {
        for (given, kept) in [
            ("007.50", "7.5"),
            ("-0", "0"),
            ("1E3", "1000"),
            ("12.5e-3", "0.0125"),
            ("-1767225600000", "-1767225600000"),
        ] {
            assert_eq!(number(given).to_string(), kept);
        }
    }

    #[test]
    fn what_cannot_be_kept_exactly_is_refused() {
        let long = "1".repeat(39);
        for text in ["", "one", "1.2.3", "1e", "0x1", "1e126", "1e-131", &long] {
            assert!(Number::parse(text).is_err(), "{text}");
        }
        assert!(Number::parse(&"1".repeat(38)).is_ok());
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let ascending = ["-100", "-20", "-3", "-0.5", "0", "0.05", "0.5", "3", "20", "20.1", "100"];
        for pair in ascending.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn sums_are_exact() {
        for (left, right, sum, difference) in [
            ("1", "2", "3", "-1"),
            ("0.1", "0.2", "0.3", "-0.1"),
            ("0", "1e20", "100000000000000000000", "-100000000000000000000"),
            ("-5", "5", "0", "-10"),
        ] {
            let (left, right) = (number(left), number(right));
            assert_eq!(left.plus(&right, false).unwrap().to_string(), sum);
            assert_eq!(left.plus(&right, true).unwrap().to_string(), difference);
        }
        assert!(number("1e100").plus(&number("1"), false).is_err());
    }
}
