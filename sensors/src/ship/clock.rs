//! How far this machine's clock is from the collector's, from an exchange of four times (RFC 5905, section 8): T1 we
//! ask, T2 it receives, T3 it answers, T4 we have the answer.
//!
//! Offset `((T2 - T1) + (T3 - T4)) / 2`, delay `(T4 - T1) - (T3 - T2)`; the truth lies within half the delay of the
//! offset. Of the last eight exchanges the one with the least delay counts (the clock filter of section 10); older ones
//! than [`MAX_AGE`] do not, because clocks drift.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many exchanges are remembered.
const REMEMBERED: usize = 8;
/// How long an exchange counts.
const MAX_AGE: Duration = Duration::from_mins(20);

/// This clock against the collector's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// This clock minus the collector's, in nanoseconds: positive when this one is ahead.
    pub nanos: i64,
    /// The offset is at most so many nanoseconds wrong.
    pub uncertainty_nanos: i64,
}

/// The last exchanges.
#[derive(Debug, Default)]
pub struct Clock {
    last: VecDeque<(Instant, Offset)>,
}

impl Clock {
    /// Notes an exchange of four times in nanoseconds since 1970 UTC, at `now`; times that cannot be are left out.
    pub fn note(&mut self, now: Instant, [asked, received, sent, answered]: [i64; 4]) {
        let minus = |one: i64, other: i64| i128::from(one) - i128::from(other);
        let delay = minus(answered, asked) - minus(sent, received);
        let ahead = -(minus(received, asked) + minus(sent, answered)) / 2;
        let (Ok(nanos), Ok(uncertainty_nanos)) = (i64::try_from(ahead), i64::try_from(delay / 2)) else {
            return;
        };
        if uncertainty_nanos < 0 || sent < received {
            return;
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back((now, Offset { nanos, uncertainty_nanos }));
    }

    /// The offset by the best of the exchanges that count; `None` without one.
    pub fn offset(&self, now: Instant) -> Option<Offset> {
        let fresh = self.last.iter().filter(|(at, _)| now.saturating_duration_since(*at) <= MAX_AGE);
        fresh.map(|(_, offset)| *offset).min_by_key(|offset| offset.uncertainty_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_best_of_the_fresh_exchanges_counts() {
        let (mut clock, begun) = (Clock::default(), Instant::now());
        assert_eq!(clock.offset(begun), None);
        // We are 1000 ahead; 10 there, 5 inside, 30 back.
        clock.note(begun, [1_000, 10, 15, 1_045]);
        assert_eq!(clock.offset(begun), Some(Offset { nanos: 1_010, uncertainty_nanos: 20 }));
        clock.note(begun, [2_000, 1_010, 1_010, 2_020]);
        assert_eq!(clock.offset(begun), Some(Offset { nanos: 1_000, uncertainty_nanos: 10 }));
        let later = begun + MAX_AGE * 2;
        assert_eq!(clock.offset(later), None);
    }

    #[test]
    fn times_that_cannot_be_are_left_out() {
        let (mut clock, now) = (Clock::default(), Instant::now());
        clock.note(now, [10, 5, 4, 12]);
        clock.note(now, [10, 5, 50, 12]);
        assert_eq!(clock.offset(now), None);
    }

    proptest! {
        #[test]
        fn the_truth_lies_within_the_uncertainty(
            ahead in -1_000_000_000_000_i64..1_000_000_000_000,
            there in 0_i64..1_000_000_000,
            inside in 0_i64..1_000_000_000,
            back in 0_i64..1_000_000_000,
        ) {
            let (mut clock, now, begun) = (Clock::default(), Instant::now(), 1_795_392_000_000_000_000_i64);
            let received = begun + there;
            let sent = received + inside;
            clock.note(now, [begun + ahead, received, sent, sent + back + ahead]);
            let offset = clock.offset(now).unwrap();
            prop_assert!((offset.nanos - ahead).abs() <= offset.uncertainty_nanos + 1);
        }
    }
}
