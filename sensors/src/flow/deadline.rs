//! When flows are over: entries of a moment and a place, taken out in their order.
//!
//! Most entries lie in the second in which they are due, unordered; only a second that has come is put in order. So adding one
//! costs little however many there are, and taking one out looks at few others. Entries further ahead than [`SPAN`] wait apart.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use dongson_event::Timestamp;

/// Seconds ahead that have a list of their own; the longest wait of a flow is less.
const SPAN: i64 = 512;
const SECOND: i64 = 1_000_000_000;

/// Entries by time, then by place.
#[derive(Debug)]
pub(super) struct Deadlines<P: Ord> {
    /// All entries before the second `base`, ordered.
    due: BinaryHeap<Reverse<(Timestamp, P)>>,
    base: i64,
    /// What is due in `base` and the seconds behind it.
    seconds: VecDeque<Vec<Reverse<(Timestamp, P)>>>,
    /// What comes behind those, ordered.
    far: BinaryHeap<Reverse<(Timestamp, P)>>,
    length: usize,
}

impl<P: Ord> Default for Deadlines<P> {
    fn default() -> Self {
        let (due, seconds, far) = (BinaryHeap::new(), VecDeque::new(), BinaryHeap::new());
        Self { due, base: i64::MIN, seconds, far, length: 0 }
    }
}

impl<P: Ord + Copy> Deadlines<P> {
    pub(super) fn push(&mut self, at: Timestamp, place: P) {
        let second = at.nanos().div_euclid(SECOND);
        if self.length == 0 {
            self.base = second;
        }
        self.length += 1;
        self.put(second, Reverse((at, place)));
    }

    fn put(&mut self, second: i64, entry: Reverse<(Timestamp, P)>) {
        match usize::try_from(second.saturating_sub(self.base)) {
            Err(_) => self.due.push(entry),
            Ok(ahead) if second - self.base < SPAN => {
                if self.seconds.len() <= ahead {
                    self.seconds.resize_with(ahead + 1, Vec::new);
                }
                if let Some(list) = self.seconds.get_mut(ahead) {
                    list.push(entry);
                }
            }
            Ok(_) => self.far.push(entry),
        }
    }

    /// The earliest entry.
    pub(super) fn peek(&mut self) -> Option<(Timestamp, P)> {
        while self.due.is_empty() && self.length > 0 {
            self.next_second();
        }
        self.due.peek().map(|Reverse(entry)| *entry)
    }

    /// Takes the earliest entry out.
    pub(super) fn pop(&mut self) -> Option<(Timestamp, P)> {
        self.peek()?;
        let Reverse(entry) = self.due.pop()?;
        self.length -= 1;
        Some(entry)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Puts the next second with entries in order.
    fn next_second(&mut self) {
        if let Some(list) = self.seconds.pop_front() {
            self.due = BinaryHeap::from(list);
            self.base += 1;
        } else if let Some(Reverse((at, _))) = self.far.peek() {
            self.base = at.nanos().div_euclid(SECOND);
        }
        while let Some(Reverse((at, _))) = self.far.peek() {
            let second = at.nanos().div_euclid(SECOND);
            if second - self.base >= SPAN {
                break;
            }
            let Some(entry) = self.far.pop() else { break };
            self.put(second, entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_out_as_from_one_heap(
            steps in prop::collection::vec((prop::option::of((-3_000_i64..3_000, 0_i64..3, 0_u32..5)), 0..4_usize), 0..80),
            scale in prop::sample::select(vec![1, 1_000, 400_000_000, 1_500_000_000]),
        ) {
            let (mut deadlines, mut heap) = (Deadlines::default(), BinaryHeap::new());
            for (entry, taken) in steps {
                if let Some((at, nanos, place)) = entry {
                    let at = Timestamp::from_nanos(at * scale + nanos);
                    deadlines.push(at, place);
                    heap.push(Reverse((at, place)));
                }
                prop_assert_eq!(deadlines.peek(), heap.peek().map(|Reverse(entry)| *entry));
                for _ in 0..taken {
                    prop_assert_eq!(deadlines.pop(), heap.pop().map(|Reverse(entry)| entry));
                }
            }
            while let Some(Reverse(entry)) = heap.pop() {
                prop_assert_eq!(deadlines.pop(), Some(entry));
            }
            prop_assert_eq!(deadlines.pop(), None);
        }
    }

    #[test]
    fn the_ends_of_time_are_times() {
        let mut deadlines = Deadlines::default();
        for at in [i64::MAX, 0, i64::MIN, i64::MAX - 1] {
            deadlines.push(Timestamp::from_nanos(at), 0_u8);
        }
        let order: Vec<i64> = std::iter::from_fn(|| deadlines.pop()).map(|(at, _)| at.nanos()).collect();
        assert_eq!(order, [i64::MIN, 0, i64::MAX - 1, i64::MAX]);
    }
}
