//! Which name is likely to come next: events of one source have the same names in the same order.
//!
//! A guess is compared with the text before it counts; a wrong one costs a look into the table of names. Memory: at
//! most [`MAX_WORDS`] names, whatever events bring.

use std::collections::HashMap;

use ahash::RandomState;

use super::names::NameId;

/// Most names that are remembered.
const MAX_WORDS: usize = 1_024;
/// Longest name with what follows it, a quote and a colon.
const WIDTH: usize = 32;
/// Names that may follow one.
const CHOICES: usize = 2;

/// Names that were met, and their order.
#[derive(Debug)]
pub(super) struct Habit {
    /// The first stands for the begin of an event.
    words: Vec<Word>,
    numbers: HashMap<Box<[u8]>, u32, RandomState>,
    last: u32,
}

/// A name.
#[derive(Debug, Clone, Copy)]
struct Word {
    bytes: [u128; 2],
    mask: [u128; 2],
    length: u32,
    name: NameId,
    /// Numbers of the words that followed it, the last one first.
    next: [u32; CHOICES],
}

impl Default for Habit {
    fn default() -> Self {
        let begin = Word { bytes: [0; 2], mask: [0; 2], length: 0, name: 0, next: [0; CHOICES] };
        Self {
            words: vec![begin],
            numbers: HashMap::with_hasher(RandomState::with_seeds(5, 6, 7, 8)),
            last: 0,
        }
    }
}

impl Habit {
    /// An event begins.
    pub(super) fn begin(&mut self) {
        self.last = 0;
    }

    /// The name at the begin of `text`, behind its first quote, when it is one of those that are expected here: its
    /// length and its number.
    #[inline]
    pub(super) fn expected(&mut self, text: &[u8]) -> Option<(usize, NameId)> {
        let next = self.words.get(self.last as usize)?.next;
        let given = text.first_chunk::<WIDTH>()?;
        for number in next {
            let word = self.words.get(number as usize)?;
            if word.stands(given) {
                self.last = number;
                return Some((word.length as usize, word.name));
            }
        }
        None
    }

    /// Learns that `name` with this number came next.
    pub(super) fn learn(&mut self, name: &[u8], number: NameId) {
        let word = self.word(name, number);
        if let (Some(word), Some(last)) = (word, self.words.get_mut(self.last as usize))
            && !last.next.contains(&word)
        {
            let [newest, ..] = last.next;
            last.next = [word, newest];
        }
        self.last = word.unwrap_or(0);
    }

    fn word(&mut self, name: &[u8], number: NameId) -> Option<u32> {
        if name.len() + 2 > WIDTH {
            return None;
        }
        if let Some(known) = self.numbers.get(name) {
            return Some(*known);
        }
        if self.words.len() >= MAX_WORDS {
            // Whoever floods us with names only makes us forget the others.
            *self = Self::default();
        }
        let next = u32::try_from(self.words.len()).ok()?;
        self.words.push(Word::new(name, number));
        self.numbers.insert(name.into(), next);
        Some(next)
    }
}

impl Word {
    fn new(name: &[u8], number: NameId) -> Self {
        let (mut bytes, mut mask) = ([0; WIDTH], [0; WIDTH]);
        for ((byte, mask), own) in bytes.iter_mut().zip(&mut mask).zip(name.iter().chain(b"\":")) {
            (*byte, *mask) = (*own, u8::MAX);
        }
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        Self { bytes: halves(&bytes), mask: halves(&mask), length, name: number, next: [0; CHOICES] }
    }

    #[inline]
    fn stands(&self, given: &[u8; WIDTH]) -> bool {
        let ([low, high], [own_low, own_high], [mask_low, mask_high]) =
            (halves(given), self.bytes, self.mask);
        // The begin of an event has no signs and is no name.
        (low ^ own_low) & mask_low == 0 && (high ^ own_high) & mask_high == 0 && mask_low != 0
    }
}

#[inline]
fn halves(bytes: &[u8; WIDTH]) -> [u128; 2] {
    let mut halves = [0; 2];
    for (half, chunk) in halves.iter_mut().zip(bytes.as_chunks::<16>().0) {
        *half = u128::from_le_bytes(*chunk);
    }
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_expected() {
        let mut habit = Habit::default();
        let behind = "\":1,                                ";
        let text = |name: &str| format!("{name}{behind}");
        assert_eq!(habit.expected(text("a").as_bytes()), None);
        for (name, number) in [(&b"a"[..], 7), (b"b", 8), (b"a name that is longer than a word", 9)] {
            habit.learn(name, number);
        }
        habit.begin();
        assert_eq!(habit.expected(text("ab").as_bytes()), None);
        assert_eq!(habit.expected(text("a").as_bytes()), Some((1, 7)));
        assert_eq!(habit.expected(b"b\":1"), None, "too near to the end");
        assert_eq!(habit.expected(text("b").as_bytes()), Some((1, 8)));
        assert_eq!(habit.expected(text("a name that is longer than a word").as_bytes()), None);
        habit.begin();
        habit.learn(b"c", 9);
        habit.begin();
        assert_eq!(habit.expected(text("a").as_bytes()), Some((1, 7)));
        habit.begin();
        assert_eq!(habit.expected(text("c").as_bytes()), Some((1, 9)));
        for number in 0..5_000_u32 {
            habit.learn(number.to_string().as_bytes(), number);
        }
        assert!(habit.words.len() <= MAX_WORDS);
    }
}
