//! Three times: what the record claims, what we hold true, and when the collector took it.
//!
//! The held time is the claimed one corrected by the source's measured clock offset, and clamped to what the source
//! could have spooled: an event from before that, or from the future, is held to have happened at the bound. So a
//! record of 1970 or 2100 neither expires early nor stops a window, and the claim is kept beside it.

use std::time::Duration;

use crate::{Event, Timestamp, Value};

/// What is known of a source's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockPolicy {
    /// Source clock minus true time, in nanoseconds, as measured; zero when unknown.
    pub offset_nanos: i64,
    /// How long the source can hold events back before it sends them.
    pub longest_spool: Duration,
    /// How far ahead of our clock a record may be before its time is no longer believed.
    pub tolerance: Duration,
}

impl Default for ClockPolicy {
    /// No offset; seven days of spool; five minutes of tolerance.
    fn default() -> Self {
        Self {
            offset_nanos: 0,
            longest_spool: Duration::from_hours(7 * 24),
            tolerance: Duration::from_mins(5),
        }
    }
}

/// Where the held time comes from; the text stands in `dongson.time.basis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The claim, as it is.
    Claimed,
    /// The claim, less the source's measured offset.
    Corrected,
    /// The claim was older than the source can spool: the bound is held.
    ClampedPast,
    /// The claim was in the future: the time of ingestion is held.
    ClampedFuture,
    /// No time was claimed: the time of ingestion is held.
    Ingested,
}

impl Basis {
    /// As written into the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Corrected => "corrected",
            Self::ClampedPast => "clamped-past",
            Self::ClampedFuture => "clamped-future",
            Self::Ingested => "ingested",
        }
    }
}

/// The time we hold true, and why.
pub fn hold(claimed: Option<Timestamp>, ingested: Timestamp, policy: &ClockPolicy) -> (Timestamp, Basis) {
    let Some(claimed) = claimed else { return (ingested, Basis::Ingested) };
    let corrected = Timestamp::from_nanos(claimed.nanos().saturating_sub(policy.offset_nanos));
    let oldest = ingested.minus(policy.longest_spool);
    if corrected < oldest {
        (oldest, Basis::ClampedPast)
    } else if corrected > ingested.plus(policy.tolerance) {
        (ingested, Basis::ClampedFuture)
    } else if policy.offset_nanos == 0 {
        (corrected, Basis::Claimed)
    } else {
        (corrected, Basis::Corrected)
    }
}

/// Writes the three times into `event`: `dongson.time.claimed` (as it was, whatever it was), `@timestamp`,
/// `event.ingested` and `dongson.time.basis`.
pub fn stamp(event: &mut Event, ingested: Timestamp, policy: &ClockPolicy) -> Basis {
    let claim = event.remove("@timestamp");
    let claimed = claim.as_ref().and_then(Value::as_str).and_then(|text| Timestamp::parse(text).ok());
    let (held, basis) = hold(claimed, ingested, policy);
    event.set_some("dongson.time.claimed", claim);
    event.set("@timestamp", held);
    event.set("event.ingested", ingested);
    event.set("dongson.time.basis", basis.as_str());
    basis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(claimed: &str, held: &str, basis: Basis) {
        let now = Timestamp::parse("2026-11-23T00:00:00Z").unwrap();
        let mut event = Event::new();
        event.set("@timestamp", claimed);
        assert_eq!(stamp(&mut event, now, &ClockPolicy::default()), basis);
        assert_eq!(event.text("@timestamp"), Some(held));
        assert_eq!(event.text("dongson.time.claimed"), Some(claimed));
        assert_eq!(event.time("event.ingested"), Some(now));
    }

    #[test]
    fn forged_times_are_harmless() {
        check("2026-11-22T23:59:00Z", "2026-11-22T23:59:00.000Z", Basis::Claimed);
        check("1970-01-01T00:00:00Z", "2026-11-16T00:00:00.000Z", Basis::ClampedPast);
        check("2015-06-01T00:00:00Z", "2026-11-16T00:00:00.000Z", Basis::ClampedPast);
        check("2100-01-01T00:00:00Z", "2026-11-23T00:00:00.000Z", Basis::ClampedFuture);
        check("9999-99-99", "2026-11-23T00:00:00.000Z", Basis::Ingested);
    }

    #[test]
    fn a_measured_offset_is_taken_off() {
        let now = Timestamp::from_seconds(1_000_000);
        let policy = ClockPolicy { offset_nanos: 3_600_000_000_000, ..ClockPolicy::default() };
        assert_eq!(
            hold(Some(Timestamp::from_seconds(1_003_500)), now, &policy),
            (Timestamp::from_seconds(999_900), Basis::Corrected)
        );
    }
}
