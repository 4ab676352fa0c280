//! A moment in UTC with nanoseconds, printed and read as RFC 3339.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since 1970-01-01T00:00:00Z; years 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Why a text is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// The text is not RFC 3339.
    #[error("{0:?} is not a time like 2026-11-23T09:05:12.123Z (RFC 3339)")]
    NotRfc3339(String),
    /// The moment does not fit nanoseconds in 64 bits.
    #[error("time {0:?} is outside the years 1678 to 2261")]
    OutOfRange(String),
}

impl Timestamp {
    /// From nanoseconds since 1970 UTC.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since 1970 UTC; saturates at the ends of the range.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds since 1970 UTC; saturates at the ends of the range.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since 1970 UTC.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970 UTC, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole seconds since 1970 UTC, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The time from `earlier` to this; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        u64::try_from(self.0.saturating_sub(earlier.0)).map_or(Duration::ZERO, Duration::from_nanos)
    }

    /// This moment plus `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This moment minus `duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The start of the window of length `window` that holds this moment, on a grid from 1970 UTC.
    #[must_use]
    pub fn grid(self, window: Duration) -> Self {
        let step = i64::try_from(window.as_nanos()).unwrap_or(i64::MAX).max(1);
        Self(self.0.div_euclid(step).saturating_mul(step))
    }

    /// Reads RFC 3339 text with any offset (`2026-11-23T09:05:12.5+07:00`); a space for the `T` is accepted.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        if let Some(moment) = canonical(text) {
            return Ok(moment);
        }
        let moment: jiff::Timestamp =
            text.parse().map_err(|_| TimestampError::NotRfc3339(text.chars().take(80).collect()))?;
        i64::try_from(moment.as_nanosecond())
            .map(Self)
            .map_err(|_| TimestampError::OutOfRange(text.chars().take(80).collect()))
    }
}

/// Reads the form in which [`Timestamp`] prints milliseconds, `2026-11-23T02:05:12.000Z`, of the years 1970 to 2199: what
/// our own records hold, several times each. `None` for all else, valid or not.
fn canonical(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let [
        y0,
        y1,
        y2,
        y3,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        b'T',
        h0,
        h1,
        b':',
        n0,
        n1,
        b':',
        s0,
        s1,
        b'.',
        f0,
        f1,
        f2,
        b'Z',
    ] = *bytes
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        digits
            .iter()
            .try_fold(0_i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
    let (hour, minute, second) = (number(&[h0, h1])?, number(&[n0, n1])?, number(&[s0, s1])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !((1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=longest).contains(&day)) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since 1970 with the year beginning in March (Hinnant, chrono-compatible low-level date algorithms).
    let (shifted, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (from_march * 153 + 2) / 5 + day
        - 1
        - 719_468;
    let millis = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1_000 + number(&[f0, f1, f2])?;
    Some(Timestamp::from_millis(millis))
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with as many decimals as are needed, three at least: `2026-11-23T02:05:12.000Z`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.printed(|text| out.write_str(text))
    }
}

impl Timestamp {
    /// Appends what it prints.
    pub(crate) fn put(self, out: &mut String) {
        self.printed(|text| out.push_str(text));
    }

    fn printed<T>(self, give: impl FnOnce(&str) -> T) -> T {
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let (seconds, nanos) = (self.seconds(), self.0.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let parts = [year, month, day, second / 3_600, second / 60 % 60, second % 60, nanos];
        for (number, place) in parts.into_iter().zip([0..4, 5..7, 8..10, 11..13, 14..16, 17..19, 20..29]) {
            digits(text.get_mut(place).unwrap_or_default(), number);
        }
        let end = match nanos {
            nanos if nanos % 1_000_000 == 0 => 23,
            nanos if nanos % 1_000 == 0 => 26,
            _ => 29,
        };
        if let Some(last) = text.get_mut(end) {
            *last = b'Z';
        }
        give(text.get(..=end).and_then(|shown| std::str::from_utf8(shown).ok()).unwrap_or_default())
    }
}

/// Writes `number` in decimal digits, zeros before it, as many as there is room for.
fn digits(room: &mut [u8], number: i64) {
    let mut rest = number;
    for slot in room.iter_mut().rev() {
        *slot = b"0123456789".get(usize::try_from(rest % 10).unwrap_or(0)).copied().unwrap_or(b'0');
        rest /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01 (Hinnant, chrono-compatible low-level date algorithms).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let (month, turn) = if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
    (era * 400 + year + turn, month, day)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(input: &str, expected: &str) {
        assert_eq!(Timestamp::parse(input).unwrap().to_string(), expected);
    }

    #[test]
    fn reads_and_prints_rfc3339() {
        check("2026-11-23T09:05:12+07:00", "2026-11-23T02:05:12.000Z");
        check("2026-11-23 02:05:12.123456Z", "2026-11-23T02:05:12.123456Z");
        check("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(matches!(Timestamp::parse("hôm qua"), Err(TimestampError::NotRfc3339(_))));
        assert!(matches!(Timestamp::parse("9999-01-01T00:00:00Z"), Err(TimestampError::OutOfRange(_))));
    }

    #[test]
    fn grid_starts_at_or_before() {
        let hour = Duration::from_hours(1);
        assert_eq!(Timestamp::from_seconds(7_205).grid(hour), Timestamp::from_seconds(7_200));
        assert_eq!(Timestamp::from_seconds(-1).grid(hour), Timestamp::from_seconds(-3_600));
    }

    proptest! {
        #[test]
        fn round_trip(nanos: i64) {
            let moment = Timestamp::from_nanos(nanos);
            prop_assert_eq!(Timestamp::parse(&moment.to_string()), Ok(moment));
        }

        #[test]
        fn prints_what_jiff_prints(nanos: i64, step in prop_oneof![Just(1_i64), Just(1_000), Just(1_000_000)]) {
            let moment = Timestamp::from_nanos(nanos - nanos % step);
            let expected = jiff::Timestamp::from_nanosecond(i128::from(moment.nanos())).unwrap();
            let precision = moment.to_string().len() - "2026-11-23T02:05:12.Z".len();
            prop_assert_eq!(moment.to_string(), format!("{expected:.precision$}"));
            prop_assert!(precision == 3 || !moment.to_string().ends_with("000Z"));
        }

        #[test]
        fn the_short_way_reads_what_jiff_reads(
            text in "(19|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z"
        ) {
            if let Some(moment) = canonical(&text) {
                let expected: jiff::Timestamp = text.parse().unwrap();
                prop_assert_eq!(i128::from(moment.nanos()), expected.as_nanosecond());
            }
        }

        #[test]
        fn milliseconds_take_the_short_way(millis in 0_i64..7_000_000_000_000) {
            let moment = Timestamp::from_millis(millis);
            prop_assert_eq!(canonical(&moment.to_string()), Some(moment));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            drop(Timestamp::parse(&text));
        }
    }
}
