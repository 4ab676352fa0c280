//! What goes wrong when: the same seed, the same schedule.

use std::time::Duration;

use clap::ValueEnum;

use crate::random::Random;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Fault {
    /// kill -9 of the whole system.
    Whole,
    /// kill -9 of the store's engine.
    Store,
    /// kill -9 of a sensor.
    Sensor,
    /// The link between sensors and centre is cut.
    Link,
    /// The answer to a client is lost, or its connection breaks inside a request.
    Answer,
    /// The disk of the centre is full.
    Disk,
    /// The power of the centre fails: what was not synced is gone.
    Power,
    /// With each new start the centre's clock may be wrong.
    Clock,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// kill -9 of the whole system; it is started again after `down` with a clock that is `clock` seconds ahead.
    KillWhole {
        /// How long it is down.
        down: Duration,
        /// By how many seconds its clock is ahead from then on.
        clock: i64,
    },
    /// The same, and what was not synced is gone.
    CutPower {
        /// How long it is down.
        down: Duration,
        /// By how many seconds its clock is ahead from then on.
        clock: i64,
    },
    /// kill -9 of the store's engine.
    KillStore,
    /// kill -9 of the sensor of this number (modulo how many there are).
    KillSensor(u64),
    /// The link is cut.
    CutLink,
    /// The link is joined.
    JoinLink,
    /// The client of this number (modulo how many there are) loses an answer.
    LoseAnswer {
        /// Which client.
        client: u64,
        /// True when its connection breaks while the request is on its way.
        early: bool,
    },
    /// The disk is filled to the last block.
    FillDisk,
    /// The disk is freed.
    FreeDisk,
}

impl Action {
    /// As it is counted.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KillWhole { .. } => "whole killed",
            Self::CutPower { .. } => "power cut",
            Self::KillStore => "store killed",
            Self::KillSensor(_) => "sensor killed",
            Self::CutLink => "link cut",
            Self::JoinLink => "link joined",
            Self::LoseAnswer { .. } => "answer lost",
            Self::FillDisk => "disk filled",
            Self::FreeDisk => "disk freed",
        }
    }
}

/// An action and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    /// When, since the beginning.
    pub(crate) at: Duration,
    /// What.
    pub(crate) action: Action,
    /// True when the system is left to start first; false hits it while it starts, too.
    pub(crate) patient: bool,
}

/// Faults of `kinds` for `time`, one about each `every`. What is cut is joined within the time.
pub(crate) fn schedule(seed: u64, kinds: &[Fault], time: Duration, every: Duration) -> Vec<Step> {
    let mut random = Random::new(seed, 0x00fa_0175);
    let clock = kinds.contains(&Fault::Clock);
    let kinds: Vec<Fault> = kinds.iter().copied().filter(|kind| *kind != Fault::Clock).collect();
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    let (mut link_free, mut disk_free) = (Duration::ZERO, Duration::ZERO);
    loop {
        at += part(&mut random, every, 500, 1_500);
        if at >= time {
            break;
        }
        let (kind, length) = (pick(&mut random, &kinds), part(&mut random, every, 300, 2_500));
        let (down, clock) = (part(&mut random, every, 0, 500), wrong_clock(&mut random, clock));
        let (number, early, patient) = (random.below(1 << 20), random.chance(50), random.chance(75));
        let until = (at + length).min(time);
        let mut add = |at, action| steps.push(Step { at, action, patient });
        match kind {
            Some(Fault::Whole) => add(at, Action::KillWhole { down, clock }),
            Some(Fault::Power) => add(at, Action::CutPower { down, clock }),
            Some(Fault::Store) => add(at, Action::KillStore),
            Some(Fault::Sensor) => add(at, Action::KillSensor(number)),
            Some(Fault::Answer) => add(at, Action::LoseAnswer { client: number, early }),
            Some(Fault::Link) if link_free <= at => {
                link_free = until;
                add(at, Action::CutLink);
                add(until, Action::JoinLink);
            }
            Some(Fault::Disk) if disk_free <= at => {
                disk_free = until;
                add(at, Action::FillDisk);
                add(until, Action::FreeDisk);
            }
            // Cut already.
            Some(Fault::Link | Fault::Disk | Fault::Clock) | None => {}
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// Between `least` and `most` thousandths of `time`.
fn part(random: &mut Random, time: Duration, least: u64, most: u64) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.saturating_mul(least + random.below(most - least)) / 1_000)
}

fn pick(random: &mut Random, kinds: &[Fault]) -> Option<Fault> {
    let number = usize::try_from(random.below(kinds.len() as u64)).unwrap_or(0);
    kinds.get(number).copied()
}

/// Right half of the time; else up to ten minutes ahead or behind, in seconds.
fn wrong_clock(random: &mut Random, wanted: bool) -> i64 {
    let (wrong, ahead, seconds) = (random.chance(50), random.chance(50), random.below(600));
    let seconds = i64::try_from(seconds).unwrap_or(0);
    match (wanted && wrong, ahead) {
        (false, _) => 0,
        (true, true) => seconds,
        (true, false) => -seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_mins(10);
    const EVERY: Duration = Duration::from_secs(4);

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let all = Fault::value_variants();
        assert_eq!(schedule(7, all, TIME, EVERY), schedule(7, all, TIME, EVERY));
        assert_ne!(schedule(7, all, TIME, EVERY), schedule(8, all, TIME, EVERY));
    }

    #[test]
    fn what_is_cut_is_joined_and_every_kind_comes() {
        let steps = schedule(1, Fault::value_variants(), TIME, EVERY);
        let count = |name| steps.iter().filter(|step| step.action.name() == name).count();
        for (cut, joined) in [("link cut", "link joined"), ("disk filled", "disk freed")] {
            assert!(count(cut) > 0 && count(cut) == count(joined), "{cut}");
        }
        for name in ["whole killed", "power cut", "store killed", "sensor killed", "answer lost"] {
            assert!(count(name) > 0, "{name}");
        }
        assert!(steps.iter().all(|step| step.at <= TIME));
        assert!(steps.is_sorted_by_key(|step| step.at));
    }

    #[test]
    fn only_what_was_asked_for() {
        let steps = schedule(1, &[Fault::Whole], TIME, EVERY);
        let right = |step: &Step| matches!(step.action, Action::KillWhole { clock: 0, .. });
        assert!(steps.len() > 100 && steps.iter().all(right));
        let steps = schedule(1, &[Fault::Whole, Fault::Clock], TIME, EVERY);
        assert!(steps.iter().any(|step| !right(step)));
        assert!(schedule(1, &[], TIME, EVERY).is_empty());
    }
}
