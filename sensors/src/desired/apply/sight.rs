//! How much the sensor saw before a change and since: what a trial is judged by.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Limits;

/// How far back the time before a change is looked at.
const BEFORE: Duration = Duration::from_mins(5);
/// Most sightings that are kept.
const MOST: usize = 64;
/// Blindness is judged after so many reports since the change.
const REPORTS: usize = 3;
/// A filter is judged only where so many frames a second came before: a quiet line is quiet by itself.
const BUSY: f64 = 10.0;

/// One sighting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// Frames since the start.
    pub(super) frames: u64,
    /// How blind the sensor was of late, in percent.
    pub(super) blind: Option<f64>,
}

/// Sightings, newest last.
#[derive(Debug, Default)]
pub(super) struct Sight {
    seen: VecDeque<Seen>,
    /// What was before the change: frames a second, and blindness in percent.
    before: Option<(f64, Option<f64>)>,
}

impl Sight {
    pub(super) fn note(&mut self, seen: Seen) {
        let old = |first: &Seen| seen.at.saturating_duration_since(first.at) > BEFORE;
        while self.seen.len() >= MOST || self.seen.front().is_some_and(old) {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
    }

    /// Whether there is anything to compare with.
    pub(super) fn has_before(&self) -> bool {
        self.rate().is_some()
    }

    /// A change is made now: what was seen so far is what was before it.
    pub(super) fn begin(&mut self) {
        self.before = self.rate().map(|rate| (rate, self.blind()));
        let newest = self.seen.pop_back();
        self.seen.clear();
        self.seen.extend(newest.map(|newest| Seen { blind: None, ..newest }));
    }

    /// Frames a second over what is kept.
    #[expect(clippy::cast_precision_loss, reason = "a rate of frames needs no more than 52 bits")]
    fn rate(&self) -> Option<f64> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let seconds = last.at.saturating_duration_since(first.at).as_secs_f64();
        (seconds > 0.0).then(|| last.frames.saturating_sub(first.frames) as f64 / seconds)
    }

    /// Mean blindness over the reports that are kept.
    fn blind(&self) -> Option<f64> {
        let told: Vec<f64> = self.seen.iter().filter_map(|seen| seen.blind).collect();
        let count = u32::try_from(told.len()).ok().filter(|count| *count > 0)?;
        Some(told.iter().sum::<f64>() / f64::from(count))
    }

    /// Why the change is to be taken back, if it is. `over`: the trial ends now; `filtered`: the change sets a filter.
    pub(super) fn judge(&self, limits: &Limits, over: bool, filtered: bool) -> Option<String> {
        let (rate, blind) = self.before?;
        let reports = self.seen.iter().filter(|seen| seen.blind.is_some()).count();
        if let Some(now) = self.blind().filter(|_| reports >= REPORTS || over) {
            let before = blind.unwrap_or_default();
            if now > before + f64::from(limits.blind_points) {
                return Some(format!(
                    "the sensor became blinder: {now:.0} % of the traffic unseen, {before:.0} % before"
                ));
            }
        }
        let now = self.rate().filter(|_| over && filtered && rate >= BUSY)?;
        let hidden = (1.0 - now / rate) * 100.0;
        let most = limits.filter_hides_percent;
        (hidden > f64::from(most)).then(|| {
            format!("the filter hides {hidden:.0} % of the frames: the owner of this sensor allows {most} %")
        })
    }
}
