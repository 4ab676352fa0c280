//! Numbers for `lt`, `lte`, `gt` and `gte`, compared digit by digit, so that none is lost beyond 2^53.
//!
//! A number is read from its text. Plain ones (`-12`, `+.5`, `7.`) of any length are compared exactly; what has an
//! exponent, or is infinite, is compared as the nearest float. SQL says the same in `sql::test`.

use std::cmp::Ordering;

use crate::sigma::modifier::Order;

/// A plain decimal number in parts that order it: no zeros that mean nothing, and no negative zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal<'t> {
    /// True below zero.
    pub(crate) negative: bool,
    /// Digits before the point, without zeros in front.
    pub(crate) whole: &'t str,
    /// Digits behind the point, without zeros at the end.
    pub(crate) fraction: &'t str,
}

impl<'t> Decimal<'t> {
    /// Reads digits with at most one point and a sign in front; `None` for anything else.
    pub(crate) fn read(text: &'t str) -> Option<Self> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !is_plain(whole) || !is_plain(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: text.starts_with('-') && !zero, whole, fraction })
    }

    fn size(&self) -> (usize, &str, &str) {
        (self.whole.len(), self.whole, self.fraction)
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.size().cmp(&other.size()),
            (true, true) => other.size().cmp(&self.size()),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The number of a rule that those of events are compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    /// Plain digits, as [`Decimal`] reads them.
    text: String,
    /// The nearest float.
    float: f64,
}

impl Limit {
    /// Reads a number; `None` where the text is none, or an infinite one.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let float: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
        // `Display` of a float writes all its digits and no exponent.
        let text = if Decimal::read(text).is_some() { text.to_owned() } else { float.to_string() };
        Some(Self { text, float })
    }

    /// In parts.
    pub(crate) fn decimal(&self) -> Decimal<'_> {
        Decimal::read(&self.text).unwrap_or(Decimal { negative: false, whole: "", fraction: "" })
    }

    /// The nearest float.
    pub(crate) const fn float(&self) -> f64 {
        self.float
    }

    /// The digits.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// True when the number that `given` holds stands to this one as `order` says; never for what is no number.
    pub(crate) fn holds(&self, order: Order, given: &str) -> bool {
        let given = given.trim();
        match Decimal::read(given) {
            Some(plain) => order.fits(plain.cmp(&self.decimal())),
            None => given
                .parse::<f64>()
                .ok()
                .and_then(|given| given.partial_cmp(&self.float))
                .is_some_and(|how| order.fits(how)),
        }
    }
}

impl Order {
    /// True when what compares so is in this order.
    pub(crate) fn fits(self, how: Ordering) -> bool {
        match self {
            Self::Lt => how.is_lt(),
            Self::Lte => how.is_le(),
            Self::Gt => how.is_gt(),
            Self::Gte => how.is_ge(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_not_lost() {
        for (given, order, limit, expected) in [
            ("9007199254740993", Order::Gt, "9007199254740992", true),
            ("9007199254740992", Order::Gt, "9007199254740992", false),
            ("9007199254740993", Order::Lte, "9007199254740992.5", false),
            ("18446744073709551615", Order::Lt, "18446744073709551616", true),
            ("-9007199254740993", Order::Lt, "-9007199254740992", true),
            ("123456789012345678901234567890.1", Order::Gt, "123456789012345678901234567890", true),
            ("0.1", Order::Gte, "0.10", true),
            ("-0", Order::Gte, "0", true),
            ("-0.0", Order::Lt, "0", false),
            ("+5", Order::Gt, "4.999", true),
            (" 7. ", Order::Lte, "7", true),
            (".5", Order::Lt, "1", true),
            ("1e3", Order::Gte, "1000", true),
            ("inf", Order::Gt, "1e300", true),
            ("nan", Order::Lte, "1", false),
            (".", Order::Lte, "1", false),
            ("5 apples", Order::Gt, "1", false),
            ("", Order::Lt, "1", false),
        ] {
            assert_eq!(
                Limit::read(limit).unwrap().holds(order, given),
                expected,
                "{given} {order:?} {limit}"
            );
        }
        assert_eq!(Limit::read("1e21").unwrap().text(), "1000000000000000000000");
        assert_eq!(Limit::read("inf"), None);
    }

    proptest! {
        #[test]
        fn whole_numbers_agree_with_wide_ones(one in any::<i128>(), other in any::<i128>(), near in -2_i128..3) {
            for other in [other, one.saturating_add(near)] {
                let (left, right) = (one.to_string(), other.to_string());
                prop_assert_eq!(Decimal::read(&left).unwrap().cmp(&Decimal::read(&right).unwrap()), one.cmp(&other));
            }
        }

        #[test]
        fn fractions_agree_with_whole_ones(one in any::<i32>(), other in any::<i32>(), near in -11_i32..12) {
            let written = |number: i32| {
                let size = number.unsigned_abs();
                format!("{}{}.{:02}", if number < 0 { "-" } else { "" }, size / 100, size % 100)
            };
            for other in [other, one.saturating_add(near)] {
                let (left, right) = (written(one), written(other));
                prop_assert_eq!(Decimal::read(&left).unwrap().cmp(&Decimal::read(&right).unwrap()), one.cmp(&other));
            }
        }

        #[test]
        fn small_numbers_agree_with_floats(given in -1000_i32..1000, limit in -1000_i32..1000, exponent in 0_u32..3) {
            let text = format!("{given}e{exponent}");
            let exact = i64::from(given) * 10_i64.pow(exponent);
            for order in [Order::Lt, Order::Lte, Order::Gt, Order::Gte] {
                let holds = Limit::read(&limit.to_string()).unwrap().holds(order, &text);
                prop_assert_eq!(holds, order.fits(exact.cmp(&i64::from(limit))));
            }
        }

        #[test]
        fn any_text_is_taken(given in "\\PC{0,20}|[0-9.+\\-eE ]{0,12}", limit in "[0-9.+\\-e]{1,8}") {
            prop_assert_eq!(Decimal::read(given.trim()).is_none() || given.trim().parse::<f64>().is_ok(), true);
            if let Some(limit) = Limit::read(&limit) {
                let (less, more) = (limit.holds(Order::Lt, &given), limit.holds(Order::Gte, &given));
                prop_assert!(!(less && more));
            }
        }
    }
}
