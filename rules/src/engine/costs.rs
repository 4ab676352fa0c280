//! How often each test is expected to hold: measured on a sample, else guessed from how long its literals are.
//!
//! The guess only decides what is looked for first; the answer is the same whatever it says.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::frequency::Frequencies;
use super::literal::{Needle, SHORTEST, required};
use super::tree::Asked;
use super::written::written;
use crate::predicate::{PredicateId, Tables, Test};

/// Programs that run all the time.
const BUSY: &[&str] = &[
    "svchost.exe",
    "powershell.exe",
    "pwsh.exe",
    "cmd.exe",
    "explorer.exe",
    "rundll32.exe",
    "services.exe",
    "wmiprvse.exe",
    "conhost.exe",
    "lsass.exe",
    "msiexec.exe",
    "chrome.exe",
    "msedge.exe",
    "system",
];
/// Most different grams that a calibration keeps.
const KEEP_GRAMS: usize = 8_192;
/// Most different grams that are counted.
const MOST_GRAMS: usize = 1 << 21;

/// What a sample of events told. Kept beside the rules that it was measured for; tests are told by their text, so
/// that it still serves when rules come and go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Events of the sample.
    pub events: u64,
    /// How often a test was asked and how often it held, by the test's text.
    pub(super) tests: BTreeMap<String, (u64, u64)>,
    /// Texts' most frequent rows of four bytes and their counts.
    pub(super) grams: BTreeMap<u32, u32>,
}

/// Counts over a sample.
#[derive(Debug, Default)]
pub(super) struct Measure {
    events: u64,
    /// By predicate: asked and held.
    tests: HashMap<PredicateId, (u64, u64)>,
    grams: HashMap<u32, u32>,
}

impl Measure {
    /// Adds one event: the tests of its plan, those of them that were told, and its texts.
    pub(super) fn add<'t>(
        &mut self,
        tests: &[Asked],
        told: impl Fn(usize) -> bool,
        texts: impl Iterator<Item = &'t [u8]>,
    ) {
        self.events += 1;
        for (number, asked) in tests.iter().enumerate().filter(|(_, asked)| asked.indexed) {
            let (asked, held) = self.tests.entry(asked.predicate).or_default();
            *asked += 1;
            *held += u64::from(told(number));
        }
        for text in texts {
            for window in text.array_windows::<SHORTEST>() {
                // A sample of many different texts does not fill the memory.
                let gram = u32::from_le_bytes(*window);
                if self.grams.len() < MOST_GRAMS || self.grams.contains_key(&gram) {
                    *self.grams.entry(gram).or_default() += 1;
                }
            }
        }
    }

    /// The result; tests that never held are kept, too: that they are rare was learned as well.
    pub(super) fn finish(self, tables: &Tables) -> Calibration {
        let mut grams: Vec<(u32, u32)> = self.grams.into_iter().collect();
        grams.sort_unstable_by_key(|(gram, count)| (Reverse(*count), *gram));
        grams.truncate(KEEP_GRAMS);
        let tests = self.tests.into_iter().map(|(id, counts)| (tables.key(id), counts));
        Calibration { events: self.events, tests: tests.collect(), grams: grams.into_iter().collect() }
    }
}

/// Chances of tests and frequencies of grams.
#[derive(Debug)]
pub(super) struct Costs {
    /// By predicate: asked and held.
    measured: Vec<(u64, u64)>,
    pub(super) frequencies: Frequencies,
}

impl Costs {
    pub(super) fn new(tables: &Tables, calibration: Option<&Calibration>) -> Self {
        let mut frequencies = Frequencies::default();
        for predicate in &tables.predicates {
            if let Test::Text(pattern) = &predicate.test {
                frequencies.add(&written(pattern.key()), 1);
            }
        }
        let measured = calibration.map_or_else(Vec::new, |calibration| {
            for (gram, count) in &calibration.grams {
                frequencies.add(&gram.to_le_bytes(), count.saturating_mul(64));
            }
            let count = tables.predicates.len();
            (0..count).map(|id| calibration.tests.get(&tables.key(id)).copied().unwrap_or_default()).collect()
        });
        Self { measured, frequencies }
    }

    /// The share of events on which the test is expected to hold.
    pub(super) fn chance(&self, id: PredicateId, test: &Test) -> f32 {
        let guess = guess(test);
        let (asked, held) = self.measured.get(id).copied().unwrap_or_default();
        // The guess counts as much as a hundred events.
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let chance = (guess * 100.0 + held as f32) / (100.0 + asked as f32);
        chance
    }
}

/// Longer texts are rarer.
fn guess(test: &Test) -> f32 {
    let Some(required) = required(test) else { return 0.7 };
    let of = |needle: &Needle| match needle {
        _ if matches!(test, Test::Number { .. }) => 0.1,
        Needle::Exact(text) | Needle::End(text) if BUSY.iter().any(|busy| text.ends_with(busy)) => 0.1,
        Needle::Exact(text) => by_length(text, 0.1, 0.7),
        Needle::Start(text) => by_length(text, 0.5, 0.9),
        Needle::End(text) => by_length(text, 0.4, 0.7),
        Needle::Inside(text) => by_length(text, 0.5, 0.7),
    };
    required.needles.iter().map(of).sum()
}

fn by_length(text: &str, most: f32, factor: f32) -> f32 {
    let length = i32::try_from(text.len().min(20)).unwrap_or(20);
    most * factor.powi(length)
}
