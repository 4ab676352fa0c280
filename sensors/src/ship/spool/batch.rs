//! Events of one class on their way into the spool: JSON lines and what they are.

use std::collections::BTreeMap;

use dongson_event::Event;
use dongson_event::batch::{Class, Hash, root};

use crate::relay::Place;

/// Lines of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    class: Class,
    lines: Vec<u8>,
    events: u64,
    datasets: BTreeMap<String, u64>,
    /// How far followed files were read, when this batch is safe.
    places: BTreeMap<String, Place>,
}

impl Batch {
    /// An empty batch.
    pub fn new(class: Class) -> Self {
        Self { class, lines: Vec::new(), events: 0, datasets: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// Adds an event.
    pub fn push(&mut self, event: &Event) {
        self.push_line(&event.to_json(), event.dataset());
    }

    /// Adds a line without its end; it is counted as of `dataset`.
    pub fn push_line(&mut self, line: &str, dataset: &str) {
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\n');
        self.events += 1;
        match self.datasets.get_mut(dataset) {
            Some(count) => *count += 1,
            None => {
                self.datasets.insert(dataset.to_owned(), 1);
            }
        }
    }

    /// How urgent it is.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How many events it holds.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many bytes its lines are.
    pub fn bytes(&self) -> usize {
        self.lines.len()
    }

    /// Its lines, each with its end.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// How many events of which dataset.
    pub fn datasets(&self) -> &BTreeMap<String, u64> {
        &self.datasets
    }

    /// Notes how far followed files were read when it is safe, by the names of their inputs.
    pub fn set_places(&mut self, places: BTreeMap<String, Place>) {
        self.places = places;
    }

    /// How far followed files were read when it is safe.
    pub fn places(&self) -> &BTreeMap<String, Place> {
        &self.places
    }

    /// The Merkle tree hash of its lines.
    pub fn root(&self) -> Hash {
        root_of(&self.lines)
    }
}

/// The Merkle tree hash of a text of lines.
pub(crate) fn root_of(lines: &[u8]) -> Hash {
    root(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()))
}
