//! Numbers of a window: sum, mean, percentile.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::definition::Kind;
use super::window::{MAX_SAMPLES, float};

/// A number, or several that were joined because there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) at: i64,
    sum: f64,
    pub(super) events: u32,
}

/// Adds a number. Beyond [`MAX_SAMPLES`] neighbours are joined at the later moment (their sum stays exact), or, where
/// each number matters (`exact`), the oldest is forgotten.
pub(super) fn insert(samples: &mut VecDeque<Sample>, at: i64, number: f64, exact: bool) {
    samples.push_back(Sample { at, sum: number, events: 1 });
    if samples.len() <= MAX_SAMPLES {
        return;
    }
    if exact {
        samples.pop_front();
        return;
    }
    let all: Vec<Sample> = samples.drain(..).collect();
    samples.extend(all.chunks(2).filter_map(|pair| {
        let at = pair.last()?.at;
        let events = pair.iter().map(|sample| sample.events).sum();
        Some(Sample { at, sum: pair.iter().map(|sample| sample.sum).sum(), events })
    }));
}

/// What the numbers come to; not a number where there is none.
pub(super) fn measure(samples: &VecDeque<Sample>, kind: Kind) -> f64 {
    if samples.is_empty() {
        return f64::NAN;
    }
    let sum: f64 = samples.iter().map(|sample| sample.sum).sum();
    match kind {
        Kind::Percentile(rank) => percentile(samples.iter().map(|sample| sample.sum).collect(), rank),
        Kind::Average => sum / float(samples.iter().map(|sample| u64::from(sample.events)).sum()),
        _ => sum,
    }
}

/// The value at `rank` percent, between the two nearest by their distance.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of values")]
fn percentile(mut values: Vec<f64>, rank: f64) -> f64 {
    let last = values.len().saturating_sub(1);
    let place = rank / 100.0 * float(last as u64);
    let lower = (place.floor() as usize).min(last);
    let (_, low, above) = values.select_nth_unstable_by(lower, f64::total_cmp);
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(*low);
    *low + (high - *low) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(numbers: &[f64]) -> VecDeque<Sample> {
        let mut samples = VecDeque::new();
        for (at, number) in (0..).zip(numbers) {
            insert(&mut samples, at, *number, false);
        }
        samples
    }

    #[test]
    fn percentiles_lie_between_the_nearest() {
        for (rank, expected) in [(0.0, 10.0), (50.0, 25.0), (100.0, 40.0), (25.0, 17.5)] {
            let measured = measure(&samples(&[40.0, 10.0, 30.0, 20.0]), Kind::Percentile(rank));
            assert!((measured - expected).abs() < 1e-9, "{rank} {measured}");
        }
        assert!((measure(&samples(&[7.0]), Kind::Percentile(95.0)) - 7.0).abs() < 1e-9);
        assert!(measure(&VecDeque::new(), Kind::Sum).is_nan());
    }

    #[test]
    fn sums_stay_exact_when_joined() {
        let numbers: Vec<f64> = (0..10_000_u32).map(f64::from).collect();
        let samples = samples(&numbers);
        assert!(samples.len() <= MAX_SAMPLES);
        assert!((measure(&samples, Kind::Sum) - 49_995_000.0).abs() < 1e-6);
        assert!((measure(&samples, Kind::Average) - 4_999.5).abs() < 1e-9);
    }
}
