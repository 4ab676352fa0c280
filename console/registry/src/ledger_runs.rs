//! Sets of sequences as runs, for accounts.

/// A run: its first and its last sequence.
pub(crate) type Run = (u64, u64);

/// A set of sequences: runs in their order, no two of which touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Runs(Vec<Run>);

impl FromIterator<Run> for Runs {
    fn from_iter<I: IntoIterator<Item = Run>>(runs: I) -> Self {
        let mut given: Vec<Run> = runs.into_iter().filter(|(first, last)| first <= last).collect();
        given.sort_unstable();
        let mut whole: Vec<Run> = Vec::with_capacity(given.len());
        for (first, last) in given {
            match whole.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => whole.push((first, last)),
            }
        }
        Self(whole)
    }
}

impl Runs {
    /// How many sequences.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, (first, last)| sum.saturating_add((last - first).saturating_add(1)))
    }

    /// The highest sequence.
    pub(crate) fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }

    /// These and one run more.
    pub(crate) fn with(self, run: Run) -> Self {
        self.0.into_iter().chain([run]).collect()
    }

    /// The first `most` runs.
    pub(crate) fn first(&self, most: usize) -> Vec<Run> {
        self.0.iter().copied().take(most).collect()
    }

    /// These less `others`.
    pub(crate) fn without(&self, others: &Self) -> Self {
        let mut left = Vec::new();
        let mut others = others.0.iter().copied().peekable();
        for &(first, last) in &self.0 {
            let mut next = Some(first);
            while let (Some(begin), Some(&(other, end))) = (next, others.peek()) {
                if other > last {
                    break;
                }
                if other > begin {
                    left.push((begin, other - 1));
                }
                if end >= begin {
                    next = end.checked_add(1).filter(|next| *next <= last);
                }
                if end > last {
                    break;
                }
                others.next();
            }
            left.extend(next.map(|begin| (begin, last)));
        }
        Self(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(runs: &Runs) -> BTreeSet<u64> {
        runs.0.iter().flat_map(|(first, last)| *first..=*last).collect()
    }

    fn of(numbers: &BTreeSet<u64>) -> Runs {
        numbers.iter().map(|number| (*number, *number)).collect()
    }

    proptest! {
        #[test]
        fn as_sets_are(
            one in prop::collection::btree_set(0_u64..40, 0..40),
            two in prop::collection::btree_set(0_u64..40, 0..40),
        ) {
            let left = of(&one).without(&of(&two));
            prop_assert_eq!(set(&left), one.difference(&two).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(of(&one).count(), one.len() as u64);
            prop_assert_eq!(&left, &of(&set(&left)), "no two runs touch");
        }
    }

    #[test]
    fn the_ends_of_the_numbers() {
        let all: Runs = [(0, u64::MAX)].into_iter().collect();
        assert_eq!(all.count(), u64::MAX);
        let one: Runs = [(u64::MAX, u64::MAX)].into_iter().collect();
        assert_eq!(all.without(&one).first(9), [(0, u64::MAX - 1)]);
        assert_eq!(one.without(&all).count(), 0);
        assert_eq!(all.without(&all.clone()).last(), None);
    }
}
