//! Byte strings with what is known of them, compact: one arena in pieces, and a table of places.

use ahash::RandomState;

/// Bytes of one piece of the arena.
const PIECE: usize = 1 << 20;
/// Longest string.
pub(crate) const MAX_BYTES: usize = 4_096;
/// No place.
const EMPTY: u32 = u32::MAX;

/// What is kept beside each string, in 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// Minutes since 1970 after which it no longer counts; 0: always counts.
    pub(crate) expires: u32,
    pub(crate) source: u16,
    pub(crate) confidence: u8,
    pub(crate) tlp: u8,
}

/// A set of byte strings. Growing never copies the strings; what is found is compared whole.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pieces: Vec<Vec<u8>>,
    /// Where each string stands: piece in the upper 12 bits, byte in the lower 20.
    places: Vec<u32>,
    notes: Vec<Note>,
    /// Numbers of strings by their hash; at most seven eighths are taken.
    slots: Vec<u32>,
    hasher: RandomState,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            places: Vec::new(),
            notes: Vec::new(),
            slots: Vec::new(),
            // Nobody who writes lists can see them, and the order of nothing depends on them.
            hasher: RandomState::with_seeds(0x646f_6e67, 0x736f_6e00, 0x7472_6f6e, 0x6767_0001),
        }
    }
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The note of `bytes`.
    pub(crate) fn get(&self, bytes: &[u8]) -> Option<Note> {
        self.find(bytes).ok().and_then(|number| self.notes.get(number as usize).copied())
    }

    /// Adds `bytes`, or gives the note that it has. `Err` where the table is full or the string too long.
    pub(crate) fn add(&mut self, bytes: &[u8], note: Note) -> Result<Option<&mut Note>, ()> {
        if self.places.len() * 8 >= self.slots.len() * 7 {
            self.grow();
        }
        match self.find(bytes) {
            Ok(number) => Ok(self.notes.get_mut(number as usize)),
            Err(slot) => {
                let place = self.put(bytes)?;
                let number = u32::try_from(self.places.len()).map_err(drop)?;
                self.places.push(place);
                self.notes.push(note);
                if let Some(slot) = self.slots.get_mut(slot) {
                    *slot = number;
                }
                Ok(None)
            }
        }
    }

    /// Gives back what growing took too much.
    pub(crate) fn shrink(&mut self) {
        self.places.shrink_to_fit();
        self.notes.shrink_to_fit();
        if let Some(last) = self.pieces.last_mut() {
            last.shrink_to_fit();
        }
    }

    /// The number of the string, or the slot where it would stand.
    fn find(&self, bytes: &[u8]) -> Result<u32, usize> {
        let mut slot = self.slot(bytes);
        loop {
            match self.slots.get(slot) {
                None | Some(&EMPTY) => return Err(slot),
                Some(&number) if self.bytes(number) == Some(bytes) => return Ok(number),
                Some(_) => slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 },
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a share of the number of slots is a slot")]
    fn slot(&self, bytes: &[u8]) -> usize {
        let hash = u128::from(self.hasher.hash_one(bytes));
        ((hash * self.slots.len() as u128) >> 64) as usize
    }

    fn bytes(&self, number: u32) -> Option<&[u8]> {
        let place = *self.places.get(number as usize)?;
        let tail = self.pieces.get((place >> 20) as usize)?.get((place & 0xF_FFFF) as usize..)?;
        let (length, tail) = tail.split_first_chunk::<2>()?;
        tail.get(..usize::from(u16::from_le_bytes(*length)))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<u32, ()> {
        if bytes.len() > MAX_BYTES {
            return Err(());
        }
        let length = u16::try_from(bytes.len()).map_err(drop)?;
        if self.pieces.last().is_none_or(|last| last.len() + 2 + bytes.len() > PIECE) {
            if self.pieces.len() >= 4_095 {
                return Err(());
            }
            // The first grows as it is needed, for small sets.
            self.pieces.push(if self.pieces.is_empty() { Vec::new() } else { Vec::with_capacity(PIECE) });
        }
        let piece = u32::try_from(self.pieces.len() - 1).map_err(drop)?;
        let last = self.pieces.last_mut().ok_or(())?;
        let at = u32::try_from(last.len()).map_err(drop)?;
        last.extend_from_slice(&length.to_le_bytes());
        last.extend_from_slice(bytes);
        Ok(piece << 20 | at)
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() * 3 / 2).max(16);
        self.slots.clear();
        self.slots.shrink_to_fit();
        self.slots.resize(slots, EMPTY);
        for number in 0..u32::try_from(self.places.len()).unwrap_or(EMPTY) {
            let Some(mut slot) = self.bytes(number).map(|bytes| self.slot(bytes)) else { continue };
            while self.slots.get(slot).is_some_and(|held| *held != EMPTY) {
                slot = if slot + 1 == slots { 0 } else { slot + 1 };
            }
            if let Some(slot) = self.slots.get_mut(slot) {
                *slot = number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn note(number: u32) -> Note {
        Note { expires: number, source: 0, confidence: 0, tlp: 0 }
    }

    proptest! {
        #[test]
        fn it_is_a_map(input in prop::collection::vec(prop::collection::vec(0..4_u8, 0..6), 0..400)) {
            let (mut table, mut map) = (Table::default(), HashMap::new());
            for (number, bytes) in (0..).zip(&input) {
                let held = table.add(bytes, note(number)).unwrap().copied();
                prop_assert_eq!(held, map.get(bytes).copied().map(note));
                map.entry(bytes.clone()).or_insert(number);
            }
            table.shrink();
            prop_assert_eq!(table.len(), map.len());
            for (bytes, number) in &map {
                prop_assert_eq!(table.get(bytes), Some(note(*number)));
                let mut longer = bytes.clone();
                longer.push(9);
                prop_assert_eq!(table.get(&longer), None);
            }
        }
    }

    #[test]
    fn pieces_and_lengths() {
        let mut table = Table::default();
        assert_eq!(table.get(b""), None);
        let long = |number: u32| {
            let mut bytes = vec![7; MAX_BYTES - 4];
            bytes.extend(number.to_le_bytes());
            bytes
        };
        for number in 0..1_000 {
            table.add(&long(number), note(number)).unwrap();
        }
        assert!((0..1_000).all(|number| table.get(&long(number)) == Some(note(number))));
        assert!(table.add(&[0; MAX_BYTES + 1], note(0)).is_err());
    }
}
