//! Rules that match one after the other, in memory that does not grow with the number of events.
//!
//! For each step the chain that reached it and began last is kept: whatever an older chain could still become within
//! the timespan, that one can, too.

use serde::{Deserialize, Serialize};

/// Matches of the first rules of the list, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Chain {
    /// When its first event happened.
    start: i64,
    /// Ids of its events, one a step.
    events: Vec<String>,
}

impl Chain {
    /// True when that event is its last one; events without an id are all different.
    fn ends_with(&self, event: &str) -> bool {
        !event.is_empty() && self.events.last().is_some_and(|last| last == event)
    }
}

/// The best chain of one step, and the best one that another event ended: one event is never two steps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Step {
    best: Option<Chain>,
    other: Option<Chain>,
}

/// All steps of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sequence(Vec<Step>);

impl Sequence {
    pub(super) fn of(rules: usize) -> Self {
        Self(vec![Step::default(); rules])
    }

    /// How many steps the list has.
    pub(super) fn length(&self) -> usize {
        self.0.len()
    }

    /// The rule at `place` of the list matched `event`.
    pub(super) fn insert(&mut self, place: usize, at: i64, event: &str) {
        let before = match place.checked_sub(1) {
            None => Some(Chain { start: at, events: Vec::new() }),
            Some(before) => self.0.get(before).and_then(|step| {
                let chains = [step.best.as_ref(), step.other.as_ref()];
                chains.into_iter().flatten().find(|chain| !chain.ends_with(event)).cloned()
            }),
        };
        let (Some(mut chain), Some(step)) = (before, self.0.get_mut(place)) else { return };
        chain.events.push(event.to_owned());
        if step.best.as_ref().is_some_and(|best| !best.ends_with(event)) {
            step.other = step.best.take();
        }
        step.best = Some(chain);
    }

    pub(super) fn forget(&mut self, since: i64) {
        for step in &mut self.0 {
            step.best.take_if(|chain| chain.start < since);
            step.other.take_if(|chain| chain.start < since);
        }
    }

    /// How many steps the longest chain has.
    pub(super) fn steps(&self) -> u64 {
        self.0.iter().take_while(|step| step.best.is_some()).count() as u64
    }

    fn longest(&self) -> Option<&Chain> {
        self.0.iter().map_while(|step| step.best.as_ref()).last()
    }

    pub(super) fn first(&self) -> Option<i64> {
        self.longest().map(|chain| chain.start)
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.longest().map(|chain| chain.events.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The longest run of steps by trying all starts.
    fn naive(seen: &[(usize, i64, String)], span: i64, steps: usize) -> u64 {
        let now = seen.last().map_or(0, |(_, at, _)| *at);
        let mut longest = 0;
        for start in 0..seen.len() {
            let (mut step, mut last) = (0, None);
            for (place, at, event) in &seen[start..] {
                let fresh = last.is_none_or(|last| last != event);
                if *place == step && fresh && now - at <= span {
                    step += 1;
                    last = Some(event);
                }
            }
            longest = longest.max(step);
        }
        longest.min(steps) as u64
    }

    proptest! {
        #[test]
        fn agrees_with_trying_all(seen in prop::collection::vec((0_usize..3, 0_i64..4, any::<bool>()), 1..30)) {
            let mut sequence = Sequence::of(3);
            let (mut now, mut so_far, mut number) = (0, Vec::new(), 0);
            for (place, later, same) in seen {
                // Some matches are of the same event as the one before.
                if !same || number == 0 {
                    now += later;
                    number += 1;
                }
                so_far.push((place, now, number.to_string()));
                sequence.forget(now - 5);
                sequence.insert(place, now, &number.to_string());
                prop_assert_eq!(sequence.steps(), naive(&so_far, 5, 3));
            }
        }
    }
}
