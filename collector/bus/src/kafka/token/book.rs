//! What the topic of tokens says, in short: it is the same for whoever reads the same records.
//!
//! Of several intents for one token the first counts; a later one counts only if it names the one that it replaces and
//! that one still counts. So two processes that want one token agree who appends, without asking one another.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::super::wire::TokenId;
use super::record::{Intent, Said};

/// Tokens by the order in which they came, at most a number of them, at most an age old.
pub(super) struct Book {
    entries: HashMap<TokenId, Entry>,
    /// The broker's times, milliseconds since 1970.
    order: VecDeque<(TokenId, u64)>,
    most: usize,
    age: Duration,
}

/// What is known of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// Somebody has begun.
    Open(Box<Open>),
    /// It is done; the record that says where stands at this offset.
    Done(u64),
}

/// An intent that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    /// Its own offset.
    pub(super) offset: u64,
    pub(super) intent: Intent,
    /// When this process read it.
    pub(super) seen: Instant,
}

impl Book {
    pub(super) fn new(most: usize, age: Duration) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), most: most.max(1), age }
    }

    pub(super) fn get(&self, token: &TokenId) -> Option<&Entry> {
        self.entries.get(token)
    }

    /// Takes the next record of a partition of the topic, which the broker got at `at_ms`.
    pub(super) fn take(&mut self, token: TokenId, offset: u64, at_ms: u64, said: Said) {
        let known = self.entries.get(&token);
        let entry = match (said, known) {
            (Said::Intent(intent), None) => Self::open(offset, intent),
            (Said::Intent(intent), Some(Entry::Open(open))) if intent.replaces == Some(open.offset) => {
                Self::open(offset, intent)
            }
            (Said::Done { intent, .. }, Some(Entry::Open(open))) if intent == open.offset => {
                Entry::Done(offset)
            }
            // Its intent is older than what is remembered.
            (Said::Done { .. }, None) => Entry::Done(offset),
            _ => return,
        };
        if self.entries.insert(token, entry).is_none() {
            self.order.push_back((token, at_ms));
        }
        self.forget(at_ms);
    }

    fn open(offset: u64, intent: Intent) -> Entry {
        Entry::Open(Box::new(Open { offset, intent, seen: Instant::now() }))
    }

    fn forget(&mut self, now_ms: u64) {
        let age = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        while let Some((token, at_ms)) = self.order.front() {
            let old = at_ms.saturating_add(age) < now_ms;
            if !old && self.order.len() <= self.most {
                return;
            }
            if !old {
                metrics::counter!("bus_tokens_forgotten_early_total").increment(1);
            }
            self.entries.remove(token);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: TokenId = [1; 16];

    fn intent(start: u64, replaces: Option<u64>) -> Said {
        Said::Intent(Intent { node: [0; 16], start, replaces, lows: Vec::new() })
    }

    fn holder(book: &Book) -> Option<u64> {
        match book.get(&TOKEN) {
            Some(Entry::Open(open)) => Some(open.intent.start),
            _ => None,
        }
    }

    #[test]
    fn the_first_intent_counts_until_it_is_replaced_by_name() {
        let mut book = Book::new(10, Duration::from_secs(9));
        book.take(TOKEN, 5, 0, intent(1, None));
        book.take(TOKEN, 6, 0, intent(2, None));
        assert_eq!(holder(&book), Some(1));
        book.take(TOKEN, 7, 0, intent(3, Some(5)));
        book.take(TOKEN, 8, 0, intent(4, Some(5)));
        assert_eq!(holder(&book), Some(3), "of two that replace the same the first counts");
        book.take(TOKEN, 9, 0, Said::Done { intent: 5, runs: Vec::new() });
        assert_eq!(holder(&book), Some(3), "who was replaced has nothing to say any more");
        book.take(TOKEN, 10, 0, Said::Done { intent: 7, runs: Vec::new() });
        book.take(TOKEN, 11, 0, intent(5, Some(7)));
        assert_eq!(book.get(&TOKEN), Some(&Entry::Done(10)));
    }

    proptest! {
        #[test]
        fn it_is_bounded(tokens in prop::collection::vec((0_u8..40, 0_u64..500), 0..300)) {
            let mut book = Book::new(8, Duration::from_millis(100));
            let mut now = 0;
            for (offset, (token, later)) in (0..).zip(tokens) {
                now += later;
                book.take([token; 16], offset, now, intent(offset, None));
                prop_assert!(book.entries.len() <= 8);
                prop_assert_eq!(book.entries.len(), book.order.len());
                prop_assert!(book.order.iter().all(|(_, at)| at + 100 >= now));
            }
        }
    }
}
