//! A conversation of two sides as the bytes that a fuzzer changes.
//!
//! Layout: service (1 byte: its number among those of the target; the highest bit says that it must be recognised first),
//! port of the server (2), how the turns are cut (1: 0 not at all, else the seed of the cuts), then turns: who and what (1:
//! [`CLIENT`], [`SERVER`], or with [`GAP`] so many bytes are missing), length (3), bytes (none for a gap). Any bytes are a
//! conversation: what is cut ends there.

use fastrand::Rng;

use crate::mutate;

/// The highest bit of the service: nothing is known yet.
pub const UNKNOWN: u8 = 0x80;
/// The side that asks.
pub const CLIENT: u8 = 0;
/// The side that is asked.
pub const SERVER: u8 = 1;
/// Bytes of the side are missing.
pub const GAP: u8 = 2;
/// Longest conversation that a change makes, in bytes.
const MAX_BYTES: usize = 16 << 10;
/// Most turns that a change makes.
const MAX_TURNS: usize = 48;

/// What one side says, or that something of it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// [`CLIENT`] or [`SERVER`], with [`GAP`] or without.
    pub kind: u8,
    /// How many bytes are missing, of a gap.
    pub missing: u32,
    /// What is said.
    pub bytes: Vec<u8>,
}

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Talk {
    /// Number of the service, with [`UNKNOWN`] or without.
    pub service: u8,
    /// The server's port.
    pub port: u16,
    /// How the turns are cut.
    pub cuts: u8,
    /// Who says what.
    pub turns: Vec<Turn>,
}

impl Talk {
    /// Reads a conversation.
    pub fn read(bytes: &[u8]) -> Self {
        let (head, mut rest) = bytes.split_at_checked(4).unwrap_or((bytes, &[]));
        let byte = |at: usize| head.get(at).copied().unwrap_or_default();
        let mut talk = Self {
            service: byte(0),
            port: u16::from_be_bytes([byte(1), byte(2)]),
            cuts: byte(3),
            turns: Vec::new(),
        };
        while let Some(([kind, high, middle, low], tail)) = rest.split_first_chunk() {
            let (kind, length) = (kind & 3, u32::from_be_bytes([0, *high, *middle, *low]));
            if kind & GAP != 0 {
                talk.turns.push(Turn { kind, missing: length, bytes: Vec::new() });
                rest = tail;
                continue;
            }
            let (said, left) = tail.split_at_checked(length as usize).unwrap_or((tail, &[]));
            talk.turns.push(Turn { kind, missing: 0, bytes: said.to_vec() });
            rest = left;
        }
        talk
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let [high, low] = self.port.to_be_bytes();
        let mut out = vec![self.service, high, low, self.cuts];
        for turn in &self.turns {
            let gap = turn.kind & GAP != 0;
            let length = if gap { turn.missing } else { u32::try_from(turn.bytes.len()).unwrap_or(u32::MAX) };
            let [_, high, middle, low] = length.min(0x00ff_ffff).to_be_bytes();
            out.extend([turn.kind, high, middle, low]);
            out.extend(&turn.bytes);
        }
        out
    }

    /// How many bytes are said.
    pub fn said(&self) -> usize {
        self.turns.iter().map(|turn| turn.bytes.len()).sum()
    }
}

/// A conversation made from `input`, with `words` of its formats and pieces of `other`.
pub fn change(rng: &mut Rng, input: &[u8], other: &[u8], words: &[Vec<u8>]) -> Vec<u8> {
    let mut talk = Talk::read(input);
    let other = Talk::read(other);
    for _ in 0..=rng.usize(0..3) {
        match rng.u8(0..16) {
            0 => turns(rng, &mut talk, &other),
            1 => frame(rng, &mut talk),
            _ => bytes(rng, &mut talk, &other, words),
        }
    }
    // One in four is also read in pieces.
    talk.cuts = if rng.u8(0..4) == 0 { rng.u8(1..) } else { 0 };
    talk.turns.truncate(MAX_TURNS);
    let mut room = MAX_BYTES;
    for turn in &mut talk.turns {
        turn.bytes.truncate(room);
        room -= turn.bytes.len();
    }
    talk.to_bytes()
}

/// What is said changes.
fn bytes(rng: &mut Rng, talk: &mut Talk, other: &Talk, words: &[Vec<u8>]) {
    let piece = rng.choice(&other.turns).map_or(&[][..], |turn| &turn.bytes);
    if let Some(turn) = rng.choice(&mut talk.turns).filter(|turn| turn.kind & GAP == 0) {
        mutate::change(rng, &mut turn.bytes, words, piece, MAX_BYTES);
    }
}

/// The turns change: one comes twice, goes, moves, is another side's, is cut or missing, or comes from elsewhere.
fn turns(rng: &mut Rng, talk: &mut Talk, other: &Talk) {
    let all = &mut talk.turns;
    let (at, to) = (rng.usize(0..=all.len()), rng.usize(0..=all.len()));
    match rng.u8(0..7) {
        0 => {
            if let Some(turn) = all.get(at).cloned() {
                all.insert(to, turn);
            }
        }
        1 => {
            if at < all.len() && all.len() > 1 {
                drop(all.remove(at));
            }
        }
        2 => {
            if at < all.len() {
                let turn = all.remove(at);
                all.insert(to.min(all.len()), turn);
            }
        }
        3 => {
            if let Some(turn) = all.get_mut(at) {
                turn.kind ^= 1;
            }
        }
        4 => {
            let missing = if rng.bool() { rng.u32(0..3_000) } else { rng.u32(0..0x00ff_ffff) };
            all.insert(to, Turn { kind: GAP | rng.u8(0..2), missing, bytes: Vec::new() });
        }
        5 => {
            if let Some(turn) = rng.choice(&other.turns) {
                all.insert(to, turn.clone());
            }
        }
        _ => {
            if let Some(turn) = all.get_mut(at) {
                let tail = turn.bytes.split_off(rng.usize(0..=turn.bytes.len()));
                let turn = Turn { kind: turn.kind, missing: 0, bytes: tail };
                all.insert(to.max(at + 1), turn);
            }
        }
    }
}

/// What stands around the turns changes.
fn frame(rng: &mut Rng, talk: &mut Talk) {
    match rng.u8(0..3) {
        0 => talk.service ^= UNKNOWN,
        1 => talk.service = (talk.service & UNKNOWN) | rng.u8(0..4),
        _ => talk.port = rng.u16(..),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let turn = |kind, missing, bytes: &[u8]| Turn { kind, missing, bytes: bytes.to_vec() };
        let turns = vec![turn(CLIENT, 0, b"ask"), turn(GAP | SERVER, 70_000, b""), turn(SERVER, 0, b"")];
        let talk = Talk { service: UNKNOWN | 1, port: 445, cuts: 9, turns };
        assert_eq!(Talk::read(&talk.to_bytes()), talk);
        assert_eq!(Talk::read(b"\x00").turns, []);
        assert_eq!(Talk::read(b"\x00\x00\x35\x00\x01\xff\xff\xffcut").turns, [turn(SERVER, 0, b"cut")]);
    }
}
