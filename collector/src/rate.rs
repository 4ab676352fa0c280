//! How much each source has sent lately, held against what it should send.
//!
//! The span is an hour, longer where the source may be silent for longer or is expected to send seldom (so that at
//! least [`LEAST_EXPECTED`] events are expected in it), at most a day. It is counted in sixty slots, from when the
//! collector began to hear the source: before a whole span has passed nothing is said. State: at most sixty-one
//! numbers for each source of the registry that has an expected rate. The time is an argument.

use dongson_registry::Source;
use std::collections::{HashMap, VecDeque};

/// The shortest span, in milliseconds: an hour.
const HOUR_MS: i64 = 3_600_000;
/// The longest span, in milliseconds: a day.
const DAY_MS: i64 = 24 * HOUR_MS;
/// Fewer expected events than these are too few to tell quiet from chance.
const LEAST_EXPECTED: i64 = 20;
/// Slots of a span.
const SLOTS: i64 = 60;

/// What a source sent in the last span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Events that came.
    pub(crate) received: u64,
    /// Events that should have come.
    pub(crate) expected: u64,
    /// Length of the span in minutes.
    pub(crate) minutes: i64,
}

/// What the share means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Below the threshold.
    Quiet(Share),
    /// At least twice the threshold: what lies between changes nothing, so that nobody is called back and forth.
    Enough(Share),
}

/// The counters of all sources that have an expected rate.
#[derive(Debug)]
pub(crate) struct Rates {
    percent: u64,
    windows: HashMap<String, Window>,
}

#[derive(Debug)]
struct Window {
    span_ms: i64,
    from: i64,
    /// What the source had sent in all when it was last looked at, to whichever collector.
    total: i64,
    /// (number of the slot, events), oldest first.
    slots: VecDeque<(i64, u64)>,
}

impl Window {
    fn new(span_ms: i64, from: i64, total: i64) -> Self {
        Self { span_ms, from, total, slots: VecDeque::new() }
    }

    fn slot(&self, at: i64) -> i64 {
        at / (self.span_ms / SLOTS)
    }

    /// Counts what came since it was last looked at.
    fn count(&mut self, total: i64, at: i64) {
        let events = u64::try_from(total.saturating_sub(self.total)).unwrap_or(0);
        self.total = total;
        let slot = self.slot(at);
        match self.slots.back_mut() {
            // A clock that was set back counts in the newest slot.
            Some((newest, count)) if *newest >= slot => *count += events,
            _ => self.slots.push_back((slot, events)),
        }
        self.forget(at);
    }

    fn forget(&mut self, now: i64) {
        let oldest = self.slot(now) - SLOTS;
        while self.slots.front().is_some_and(|(slot, _)| *slot < oldest) {
            self.slots.pop_front();
        }
    }

    fn received(&mut self, now: i64) -> u64 {
        self.forget(now);
        self.slots.iter().map(|(_, count)| count).sum()
    }
}

impl Rates {
    /// A source is quiet below `percent` of what it should send.
    pub(crate) fn new(percent: u64) -> Self {
        Self { percent, windows: HashMap::new() }
    }

    /// Counts what a source has sent since the last call, and holds it against its expected rate; none when nothing can be said. A silent source is not quiet as well,
    /// and begins anew when it is back.
    pub(crate) fn judge(&mut self, source: &Source, now: i64) -> Option<Judgement> {
        let Some(per_hour) = source.expected_per_hour else {
            self.windows.remove(&source.id);
            return None;
        };
        let span_ms = span(per_hour, source.silence_after_seconds.unwrap_or(0));
        let fresh = || Window::new(span_ms, now, source.events);
        let window = self.windows.entry(source.id.clone()).or_insert_with(fresh);
        if window.span_ms != span_ms || source.silent_since.is_some() {
            *window = fresh();
        }
        window.count(source.events, now);
        if now - window.from < span_ms {
            return None;
        }
        let received = window.received(now);
        let expected =
            u64::try_from(i128::from(per_hour) * i128::from(span_ms) / i128::from(HOUR_MS)).ok()?;
        let share = Share { received, expected, minutes: span_ms / 60_000 };
        let (sent, threshold) = (u128::from(received) * 100, u128::from(expected) * u128::from(self.percent));
        if sent < threshold {
            Some(Judgement::Quiet(share))
        } else if sent >= 2 * threshold {
            Some(Judgement::Enough(share))
        } else {
            None
        }
    }

    /// Forgets sources that are gone.
    pub(crate) fn keep(&mut self, sources: &[Source]) {
        if self.windows.len() > sources.len() {
            let known: std::collections::HashSet<&str> =
                sources.iter().map(|source| source.id.as_str()).collect();
            self.windows.retain(|id, _| known.contains(id.as_str()));
        }
    }
}

/// The span over which a rate is judged, in milliseconds.
fn span(per_hour: i64, grace_seconds: i64) -> i64 {
    let enough = LEAST_EXPECTED.saturating_mul(HOUR_MS) / per_hour.max(1);
    enough.max(grace_seconds.saturating_mul(1_000)).clamp(HOUR_MS, DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_registry::SourceKind;
    use proptest::prelude::*;

    fn source(expected_per_hour: i64) -> Source {
        Source {
            id: "s".into(),
            organization: "a".into(),
            name: "fw-01".into(),
            kind: SourceKind::Syslog,
            address: None,
            listener: None,
            certificate: None,
            api_key: None,
            parser: None,
            time_zone: "UTC".into(),
            clock_offset_ms: 0,
            expected_per_hour: Some(expected_per_hour),
            silence_after_seconds: None,
            owner: None,
            last_seen: None,
            silent_since: None,
            quiet_since: None,
            events: 0,
            unparsed: 0,
            created_at: 0,
            version: 1,
        }
    }

    const MINUTE: i64 = 60_000;

    #[test]
    fn a_tenth_of_the_expected_rate_is_the_border() {
        let (mut rates, mut source) = (Rates::new(10), source(1_000));
        source.events = 77;
        assert_eq!(rates.judge(&source, 0), None);
        for minute in 0..60 {
            source.events += if minute < 33 { 3 } else { 0 };
            assert_eq!(rates.judge(&source, minute * MINUTE), None, "{minute}");
        }
        let share = |received| Share { received, expected: 1_000, minutes: 60 };
        assert_eq!(rates.judge(&source, 60 * MINUTE), Some(Judgement::Quiet(share(99))));
        source.events += 1;
        assert_eq!(rates.judge(&source, 60 * MINUTE), None);
        source.events += 100;
        assert_eq!(rates.judge(&source, 60 * MINUTE), Some(Judgement::Enough(share(200))));
        assert_eq!(rates.judge(&source, 180 * MINUTE), Some(Judgement::Quiet(share(0))));
    }

    #[test]
    fn rare_sources_and_long_graces_have_long_spans() {
        for (per_hour, grace, minutes) in
            [(1_000, 60, 60), (1_000, 7_200, 120), (5, 0, 240), (1, 0, 1_200), (1, 999_999, 1_440)]
        {
            assert_eq!(span(per_hour, grace), minutes * MINUTE, "{per_hour} {grace}");
        }
    }

    #[test]
    fn a_source_that_is_back_begins_anew() {
        let (mut rates, mut source) = (Rates::new(10), source(1_000));
        assert_eq!(rates.judge(&source, 0), None);
        source.silent_since = Some(0);
        assert_eq!(rates.judge(&source, 90 * MINUTE), None);
        source.silent_since = None;
        assert_eq!(rates.judge(&source, 149 * MINUTE), None);
        assert!(matches!(rates.judge(&source, 150 * MINUTE), Some(Judgement::Quiet(_))));
        rates.keep(&[]);
        assert!(rates.windows.is_empty());
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_no_rate_is_too_much(
            per_hour in 1_i64..=i64::MAX,
            sent in proptest::collection::vec((0_u64..1 << 40, 0_i64..2 * DAY_MS), 0..200),
        ) {
            let (mut rates, mut source) = (Rates::new(10), source(per_hour));
            rates.judge(&source, 0);
            for (events, at) in sent {
                source.events += i64::try_from(events).unwrap();
                rates.judge(&source, at);
                prop_assert!(rates.windows["s"].slots.len() <= 62);
            }
        }
    }
}
