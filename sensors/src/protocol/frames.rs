//! Cutting a stream into messages whose headers tell their lengths.
//!
//! In: bytes in order, and gaps. Out: messages, each whole or, where it is longer than is kept, its beginning; what lies
//! whole in one piece is not copied. After a gap the next beginning of a message is looked for by its first eight bytes.
//! Memory: one message of at most [`Shape::keep`] bytes.

use super::le;

/// What the front of a stream says about its first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// More bytes are needed.
    Unknown,
    /// So many bytes, header included.
    Is(usize),
    /// No message begins here.
    Broken,
}

/// How messages of a protocol are told apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) length: fn(&[u8]) -> Length,
    /// Whether a message may begin with these eight bytes, looked for after a gap; `None`: a gap is the end.
    pub(super) magic: Option<fn(&[u8]) -> bool>,
    /// Bytes of a message that are kept.
    pub(super) keep: usize,
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(super) struct Frames {
    held: Vec<u8>,
    skip: u64,
    lost: bool,
    broken: bool,
}

impl Frames {
    /// No message can be found any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Nothing more is wanted.
    pub(super) fn close(&mut self) {
        *self = Self { broken: true, ..Self::default() };
    }

    pub(super) fn gap(&mut self, shape: &Shape, length: u64) {
        if let Some(left) = self.skip.checked_sub(length) {
            self.skip = left;
        } else if shape.magic.is_some() {
            *self = Self { lost: true, ..Self::default() };
        } else {
            self.close();
        }
    }

    /// Takes the next bytes and gives each message that they complete to `each`.
    pub(super) fn feed(&mut self, shape: &Shape, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() || self.broken {
                return;
            }
            if self.lost {
                bytes = self.seek(shape, bytes);
                continue;
            }
            if self.held.is_empty() {
                let Some(used) = self.direct(shape, bytes, &mut each) else { return };
                bytes = bytes.get(used..).unwrap_or_default();
            } else {
                bytes = self.join(shape, bytes, &mut each);
            }
        }
    }

    /// A message at the front of `bytes`, with nothing held: how many bytes were used; `None` when all are held now.
    fn direct(&mut self, shape: &Shape, bytes: &[u8], each: &mut impl FnMut(&[u8])) -> Option<usize> {
        match (shape.length)(bytes) {
            Length::Is(length) => {
                let wanted = length.clamp(1, shape.keep);
                if let Some(message) = bytes.get(..wanted) {
                    each(message);
                    self.skip = length.saturating_sub(wanted) as u64;
                    return Some(wanted);
                }
            }
            Length::Unknown if bytes.len() < shape.keep => {}
            Length::Unknown | Length::Broken => {
                self.close();
                return None;
            }
        }
        self.held.extend_from_slice(bytes);
        None
    }

    /// Adds to what is held only as much as its message needs.
    fn join<'a>(&mut self, shape: &Shape, bytes: &'a [u8], each: &mut impl FnMut(&[u8])) -> &'a [u8] {
        let wanted = match (shape.length)(&self.held) {
            Length::Is(length) => length.clamp(1, shape.keep),
            Length::Unknown if self.held.len() < shape.keep => self.held.len() + 1,
            Length::Unknown | Length::Broken => {
                self.close();
                return &[];
            }
        };
        let missing = wanted.saturating_sub(self.held.len());
        let (added, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.held.extend_from_slice(added);
        // Asked again, since the byte that tells the length can be the last of its message.
        if let Length::Is(length) = (shape.length)(&self.held) {
            let wanted = length.clamp(1, shape.keep);
            if self.held.len() >= wanted {
                each(self.held.get(..wanted).unwrap_or_default());
                self.held.clear();
                self.skip = length.saturating_sub(wanted) as u64;
            }
        }
        rest
    }

    /// Looks for the beginning of a message; what is behind its first bytes is given back.
    fn seek<'a>(&mut self, shape: &Shape, bytes: &'a [u8]) -> &'a [u8] {
        let Some(magic) = shape.magic else {
            self.close();
            return &[];
        };
        for (at, byte) in bytes.iter().enumerate() {
            if self.held.len() == 8 {
                self.held.remove(0);
            }
            self.held.push(*byte);
            if self.held.len() == 8 && magic(&self.held) {
                self.lost = false;
                return bytes.get(at + 1..).unwrap_or_default();
            }
        }
        &[]
    }
}

/// DCE/RPC over a connection (C706, 12.6.3.1): version 5, length at 8 in the byte order that byte 4 tells.
pub(super) fn rpc(bytes: &[u8]) -> Length {
    match bytes.first() {
        Some(5) | None => {}
        Some(_) => return Length::Broken,
    }
    let (Some(order), Some(pair)) = (bytes.get(4), bytes.get(8..10)) else { return Length::Unknown };
    let length = le::in_order16(pair, order & 0x10 != 0).unwrap_or(0);
    if length < 16 { Length::Broken } else { Length::Is(usize::from(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHAPE: Shape =
        Shape { length: netbios, magic: Some(|eight| eight.ends_with(b"\xfeSMB")), keep: 40 };

    /// Four bytes of length.
    fn netbios(bytes: &[u8]) -> Length {
        match bytes {
            [0, high, middle, low, ..] => {
                Length::Is(4 + usize::try_from(u32::from_be_bytes([0, *high, *middle, *low])).unwrap())
            }
            [] | [0, ..] => Length::Unknown,
            _ => Length::Broken,
        }
    }

    fn cut(stream: &[u8], chunk: usize) -> Vec<Vec<u8>> {
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        for part in stream.chunks(chunk) {
            frames.feed(&SHAPE, part, |message| out.push(message.to_vec()));
        }
        out
    }

    #[test]
    fn long_messages_are_cut_and_gaps_crossed() {
        let long = [&[0, 0, 0, 100][..], &[7; 100]].concat();
        let stream = [&long[..], &[0, 0, 0, 2, 8, 9]].concat();
        let messages = cut(&stream, 7);
        assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [40, 6]);
        let (mut frames, mut count) = (Frames::default(), 0);
        frames.feed(&SHAPE, &long[..50], |_| count += 1);
        frames.gap(&SHAPE, 54);
        frames.feed(&SHAPE, &[0, 0, 0, 1, 3], |_| count += 1);
        assert_eq!(count, 2, "a gap inside what is skipped does no harm");
        frames.gap(&SHAPE, 5);
        frames.feed(&SHAPE, b"garbage\x00\x00\x00\x05\xfeSMBx", |_| count += 1);
        assert_eq!(count, 3);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bodies: Vec<Vec<u8>>, tail: Vec<u8>, chunk in 1..60_usize) {
            let mut stream: Vec<u8> = bodies
                .iter()
                .flat_map(|body| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat())
                .collect();
            stream.extend(tail);
            prop_assert_eq!(cut(&stream, usize::MAX), cut(&stream, chunk));
        }
    }
}
