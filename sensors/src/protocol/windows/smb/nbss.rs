//! Messages of SMB in a stream: four bytes of type and length before each (RFC 1002, 4.3; MS-SMB2, 2.1).
//!
//! In: bytes in order, and gaps. Out: the beginning of each session message, at most [`KEEP`] bytes, then the rest of a
//! longer one as it comes, so that large reads and writes are hashed without being held. Keep-alives and session requests
//! are passed over. After a gap the next message is looked for by its first eight bytes. Memory: [`KEEP`] bytes.

/// Bytes of a message that are held and parsed.
pub(super) const KEEP: usize = 64 * 1024;
/// Bytes of type and length.
const HEAD: usize = 4;

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// All of a message, or the first [`KEEP`] bytes of a longer one.
    Message(&'a [u8]),
    /// Further bytes of a longer one.
    More(&'a [u8]),
}

/// One direction of a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    held: Vec<u8>,
    /// Bytes of the message in hand that are still to come.
    rest: usize,
    /// Whether they are given away.
    wanted: bool,
    lost: bool,
}

/// Length of the message that these four bytes announce, and whether it is a session message.
fn announced(head: &[u8]) -> Option<(usize, bool)> {
    let [kind @ (0 | 0x81..=0x85), high, middle, low] = *head.first_chunk::<HEAD>()? else { return None };
    let length = u32::from_be_bytes([0, high, middle, low]);
    Some((usize::try_from(length).ok()?, kind == 0))
}

/// Whether a message begins with these eight bytes.
fn is_start(eight: &[u8]) -> bool {
    matches!(eight, [0, _, _, _, 0xfc..=0xff, b'S', b'M', b'B'])
}

impl Reader {
    /// `length` bytes are missing; how many of them belong to the message whose beginning was given away.
    pub(super) fn gap(&mut self, length: u64) -> u64 {
        let inside = usize::try_from(length).ok().filter(|length| *length <= self.rest);
        let missing = inside.unwrap_or(self.rest);
        let missing = if self.wanted { missing as u64 } else { 0 };
        match inside {
            Some(length) if self.rest > 0 => self.rest -= length,
            _ => *self = Self { lost: true, ..Self::default() },
        }
        missing
    }

    /// Takes the next bytes and gives each piece that they complete to `each`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        while !bytes.is_empty() {
            bytes = if self.rest > 0 {
                self.pass(bytes, &mut each)
            } else if self.lost {
                self.seek(bytes)
            } else {
                self.message(bytes, &mut each)
            };
        }
    }

    /// The rest of a message that is not held.
    fn pass<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        let (inside, after) = bytes.split_at_checked(self.rest).unwrap_or((bytes, &[]));
        self.rest -= inside.len();
        if self.wanted {
            each(Piece::More(inside));
        }
        after
    }

    /// The next bytes of a message's head and of what is held of it.
    fn message<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        if self.held.is_empty()
            && let Some((length, true)) = announced(bytes)
            && let Some(whole) = bytes.get(HEAD..HEAD + length.min(KEEP))
        {
            each(Piece::Message(whole));
            self.skip(length, true);
            return bytes.get(HEAD + whole.len()..).unwrap_or_default();
        }
        let wanted = match self.held.len() {
            ..HEAD => HEAD,
            _ => HEAD + announced(&self.held).map_or(0, |(length, _)| length.min(KEEP)),
        };
        let missing = wanted.saturating_sub(self.held.len());
        let (added, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.held.extend_from_slice(added);
        self.judge(each);
        rest
    }

    /// Looks at what is held: a head that is none, one of a message to pass over, or a message.
    fn judge(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        if self.held.len() < HEAD {
            return;
        }
        match announced(&self.held) {
            None => *self = Self { lost: true, ..Self::default() },
            Some((length, false)) => {
                self.held.clear();
                (self.rest, self.wanted) = (length, false);
            }
            Some((length, true)) if self.held.len() >= HEAD + length.min(KEEP) => {
                each(Piece::Message(self.held.get(HEAD..).unwrap_or_default()));
                self.held.clear();
                self.skip(length, true);
            }
            Some(_) => {}
        }
    }

    fn skip(&mut self, length: usize, wanted: bool) {
        (self.rest, self.wanted) = (length.saturating_sub(KEEP), wanted);
    }

    /// Looks for the beginning of a message; its first bytes are held then.
    fn seek<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        for (at, byte) in bytes.iter().enumerate() {
            if self.held.len() == 8 {
                self.held.remove(0);
            }
            self.held.push(*byte);
            if is_start(&self.held) {
                self.lost = false;
                return bytes.get(at + 1..).unwrap_or_default();
            }
        }
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Messages, and the bytes of long ones that came behind.
    fn cut(stream: &[u8], chunk: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut reader, mut messages, mut more) = (Reader::default(), Vec::new(), Vec::new());
        for part in stream.chunks(chunk) {
            reader.feed(part, |piece| match piece {
                Piece::Message(bytes) => messages.push(bytes.to_vec()),
                Piece::More(bytes) => more.extend_from_slice(bytes),
            });
        }
        (messages, more)
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
    }

    #[test]
    fn long_messages_stream_and_keepalives_pass() {
        let long = vec![7; KEEP + 100];
        let stream = [framed(&long), vec![0x85, 0, 0, 0], framed(b"ab")].concat();
        for chunk in [1000, usize::MAX] {
            let (messages, more) = cut(&stream, chunk);
            assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [KEEP, 2]);
            assert_eq!(more, [7; 100]);
        }
    }

    #[test]
    fn gaps_inside_and_across_messages() {
        let (mut reader, mut count) = (Reader::default(), 0);
        let stream = framed(&vec![7; KEEP + 100]);
        reader.feed(&stream[..KEEP + 4], |_| count += 1);
        assert_eq!(reader.gap(60), 60);
        assert_eq!(reader.gap(50), 40, "of the next message only the rest of this one counts");
        reader.feed(&[b"xx", &framed(b"\xfeSMBabcd")[..]].concat(), |piece| {
            assert_eq!(piece, Piece::Message(b"\xfeSMBabcd"));
            count += 1;
        });
        assert_eq!(count, 2);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bodies: Vec<Vec<u8>>, tail: Vec<u8>, chunk in 1..60_usize) {
            let mut stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
            stream.extend(tail);
            stream.extend(framed(b"\xfeSMB"));
            prop_assert_eq!(cut(&stream, usize::MAX), cut(&stream, chunk));
        }
    }
}
