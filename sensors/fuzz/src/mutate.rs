//! Changes to bytes that know what binary formats look like: numbers, lengths, words, pieces of other inputs.

use fastrand::Rng;

/// Numbers at which formats break.
const EDGES: [u64; 18] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];
/// Longest run of bytes that one change copies.
const RUN: usize = 64;

/// A number in the bytes that tells how many bytes follow.
#[derive(Debug, Clone, Copy)]
struct Length {
    at: usize,
    width: usize,
    big: bool,
}

/// Changes `bytes` one to four times; `words` are of the format, `other` is another input. At most `most` bytes come out.
pub fn change(rng: &mut Rng, bytes: &mut Vec<u8>, words: &[Vec<u8>], other: &[u8], most: usize) {
    for _ in 0..=rng.usize(0..4).min(rng.usize(0..4)) {
        once(rng, bytes, words, other);
    }
    bytes.truncate(most);
}

fn once(rng: &mut Rng, bytes: &mut Vec<u8>, words: &[Vec<u8>], other: &[u8]) {
    let at = rng.usize(0..=bytes.len());
    let to = (at + rng.usize(0..RUN).min(rng.usize(0..RUN))).min(bytes.len());
    match rng.u8(0..16) {
        0 => flip(rng, bytes, at),
        1 => set(bytes, at, rng.u8(..)),
        2 => number(rng, bytes, at),
        3 => nudge(rng, bytes, at),
        4 => false_length(rng, bytes),
        5 => resize(rng, bytes, at..to, &[]),
        6 | 7 => {
            let word = rng.choice(words).cloned().unwrap_or_default();
            resize(rng, bytes, at..at, &word);
        }
        8 => {
            let word = rng.choice(words).cloned().unwrap_or_default();
            let end = (at + word.len()).min(bytes.len());
            resize(rng, bytes, at..end, &word);
        }
        9 | 10 => {
            let from = rng.usize(0..=other.len());
            let piece: Vec<u8> = other.iter().skip(from).take(rng.usize(0..RUN * 2)).copied().collect();
            let end = if rng.bool() { at } else { to };
            resize(rng, bytes, at..end, &piece);
        }
        11 => {
            let piece = bytes.get(at..to).unwrap_or_default().to_vec();
            let times = if rng.u8(0..24) == 0 { 100 } else { 1 };
            let place = rng.usize(0..=bytes.len());
            resize(rng, bytes, place..place, &piece.repeat(times));
        }
        12 => {
            if rng.bool() {
                bytes.truncate(at);
            } else {
                drop(bytes.drain(..at));
            }
        }
        13 => {
            let from = rng.usize(0..=bytes.len());
            let piece =
                bytes.get(from..).unwrap_or_default().iter().take(to - at).copied().collect::<Vec<_>>();
            for (place, byte) in bytes.iter_mut().skip(at).zip(piece) {
                *place = byte;
            }
        }
        14 => {
            let fill = if rng.bool() { rng.u8(..) } else { b'A' };
            let piece = vec![fill; rng.usize(0..300)];
            resize(rng, bytes, at..at, &piece);
        }
        _ => digits(rng, bytes),
    }
}

fn flip(rng: &mut Rng, bytes: &mut [u8], at: usize) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << rng.u8(0..8);
    }
}

fn set(bytes: &mut [u8], at: usize, value: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = value;
    }
}

/// A number of one, two, four or eight bytes becomes one at which formats break.
fn number(rng: &mut Rng, bytes: &mut [u8], at: usize) {
    let value = rng.choice(EDGES).unwrap_or_default();
    let length = Length { at, width: 1 << rng.u8(0..4), big: rng.bool() };
    put(bytes, length, value);
}

/// A number becomes a little more or less.
fn nudge(rng: &mut Rng, bytes: &mut [u8], at: usize) {
    let length = Length { at, width: 1 << rng.u8(0..3), big: rng.bool() };
    let Some(value) = get(bytes, length) else { return };
    let step = rng.u64(1..20);
    put(bytes, length, if rng.bool() { value.wrapping_add(step) } else { value.wrapping_sub(step) });
}

/// A length tells something else than is there.
fn false_length(rng: &mut Rng, bytes: &mut [u8]) {
    let Some(length) = rng.choice(lengths(bytes)) else { return };
    let Some(value) = get(bytes, length) else { return };
    let value = match rng.u8(0..4) {
        0 => value.wrapping_add(rng.u64(0..10)),
        1 => value.wrapping_sub(rng.u64(0..10)),
        2 => rng.choice(EDGES).unwrap_or_default(),
        _ => rng.u64(..=u64::from(u16::MAX)),
    };
    put(bytes, length, value);
}

/// Puts `piece` in the place of a range; the lengths that hold it are mostly made to fit.
fn resize(rng: &mut Rng, bytes: &mut Vec<u8>, range: std::ops::Range<usize>, piece: &[u8]) {
    // One number may be read in several widths: all of them then write the same.
    let holding: Vec<(Length, u64)> = if rng.u8(0..4) == 0 {
        Vec::new()
    } else {
        let before = lengths(bytes).into_iter().filter(|length| length.at + length.width <= range.start);
        before.filter_map(|length| Some((length, get(bytes, length)?))).collect()
    };
    let (more, less) = (piece.len() as u64, (range.end - range.start) as u64);
    drop(bytes.splice(range, piece.iter().copied()));
    for (length, value) in holding {
        put(bytes, length, value.wrapping_add(more).wrapping_sub(less));
    }
}

/// A run of decimal digits becomes another number.
fn digits(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let starts: Vec<usize> = (0..bytes.len().min(2_048))
        .filter(|&at| {
            let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
            digit(at) && (at == 0 || !digit(at - 1))
        })
        .collect();
    let Some(start) = rng.choice(starts) else { return };
    let end =
        bytes.iter().skip(start).position(|sign| !sign.is_ascii_digit()).map_or(bytes.len(), |n| start + n);
    let value = rng.choice(EDGES).unwrap_or_default().to_string();
    drop(bytes.splice(start..end, value.into_bytes()));
}

/// The numbers that tell exactly how many bytes follow them, to the end or with themselves, in the first 256 bytes.
fn lengths(bytes: &[u8]) -> Vec<Length> {
    let mut found = Vec::new();
    for at in 0..bytes.len().min(256) {
        for (width, big) in [(1, true), (2, true), (2, false), (4, true), (4, false)] {
            let length = Length { at, width, big };
            let Some(value) = get(bytes, length) else { continue };
            let rest = (bytes.len() - at - width) as u64;
            let fits = value == rest || value == rest + width as u64 || value == bytes.len() as u64;
            if fits && value > 2 {
                found.push(length);
            }
        }
    }
    found
}

fn get(bytes: &[u8], Length { at, width, big }: Length) -> Option<u64> {
    let digits = bytes.get(at..at + width)?;
    let join = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
    Some(if big { digits.iter().fold(0, join) } else { digits.iter().rev().fold(0, join) })
}

fn put(bytes: &mut [u8], Length { at, width, big }: Length, value: u64) {
    let Some(place) = bytes.get_mut(at..at + width) else { return };
    let digits = value.to_le_bytes();
    let digits = digits.iter().take(width).copied();
    if big {
        place.iter_mut().rev().zip(digits).for_each(|(place, digit)| *place = digit);
    } else {
        place.iter_mut().zip(digits).for_each(|(place, digit)| *place = digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_found_and_grow_with_what_they_hold() {
        let message = b"\x16\x03\x01\x00\x05hello";
        let found = lengths(message);
        assert!(found.iter().any(|length| (length.at, length.width, length.big) == (3, 2, true)));
        let grown = (0..200).any(|seed| {
            let mut bytes = message.to_vec();
            resize(&mut Rng::with_seed(seed), &mut bytes, 10..10, b"!!");
            bytes == b"\x16\x03\x01\x00\x07hello!!"
        });
        assert!(grown);
    }

    #[test]
    fn a_seed_gives_the_same_changes() {
        let make = |seed| {
            let mut bytes = b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello".to_vec();
            let mut rng = Rng::with_seed(seed);
            for _ in 0..50 {
                change(&mut rng, &mut bytes, &[b"chunked".to_vec()], b"other", 4_096);
            }
            bytes
        };
        assert_eq!(make(3), make(3));
        assert_ne!(make(3), make(4));
    }
}
