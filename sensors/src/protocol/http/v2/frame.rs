//! One direction of HTTP/2 cut into frames (RFC 9113, 4 and 6), whatever pieces it arrives in.
//!
//! A pull parser: [`Frames::next`] takes bytes from the front and says what they were. Bodies pass in pieces, other frames come
//! whole. The client's preface, and what lies behind a hole, are passed over by looking for what can only be the header of a
//! frame. Memory: one frame of at most [`MAX_FRAME`] bytes.

/// Longest frame that is kept, bodies apart; a longer one is passed over.
const MAX_FRAME: usize = 64 * 1024;
/// Bytes passed over in search of a frame before the direction is given up.
const MAX_SEARCH: usize = 1 << 20;
/// Length of a frame's header.
const HEADER: usize = 9;

/// Kinds of frames (6).
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const PRIORITY: u8 = 2;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PUSH_PROMISE: u8 = 5;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(super) mod flag {
    pub(in super::super) const END_STREAM: u8 = 0x01;
    pub(in super::super) const ACK: u8 = 0x01;
    pub(in super::super) const END_HEADERS: u8 = 0x04;
    pub(in super::super) const PADDED: u8 = 0x08;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// The header of a frame (4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Stream, 0 for the connection itself.
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, rest @ ..] = bytes.first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
        Some(Self { length, kind: *kind, flags: *flags, stream: u32::from_be_bytes(*rest) & 0x7fff_ffff })
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether this is a header as every peer without agreements of its own sends them.
    pub(super) fn is_plausible(self) -> bool {
        let (lengths, flags, on_stream) = match self.kind {
            kind::DATA => (self.length <= 16_384, 0x09, true),
            kind::HEADERS => (self.length <= 16_384, 0x2d, true),
            kind::PRIORITY => (self.length == 5, 0, true),
            kind::RST_STREAM => (self.length == 4, 0, true),
            kind::SETTINGS => (self.length.is_multiple_of(6) && self.length <= 120, 0x01, false),
            kind::PUSH_PROMISE => (self.length <= 16_384, 0x0c, true),
            kind::PING => (self.length == 8, 0x01, false),
            kind::GOAWAY => ((8..=1024).contains(&self.length), 0, false),
            kind::WINDOW_UPDATE => (self.length == 4, 0, self.stream != 0),
            kind::CONTINUATION => (self.length <= 16_384, 0x04, true),
            _ => return false,
        };
        lengths && self.flags & !flags == 0 && on_stream == (self.stream != 0)
    }
}

/// What the next bytes were.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A whole frame that is no body, with its payload.
    Frame(Head, Vec<u8>),
    /// Bytes of a body, without padding.
    Body(u32, &'a [u8]),
    /// A frame of a body is over; with the flag its stream is too.
    BodyEnd(Head),
    /// A frame was longer than is kept.
    TooLong(Head),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Looking for a frame.
    Search,
    Header,
    Payload(Head),
    /// Before the length of a body's padding.
    Padding(Head),
    /// So many bytes of body, then so many of padding.
    Body(Head, usize, usize),
    Skip(usize),
    Dead,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Frames {
    state: State,
    held: Vec<u8>,
    searched: usize,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { state: State::Search, held: Vec::new(), searched: 0 }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// The next part; `None` when all bytes are used up.
    pub(super) fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Part<'a>> {
        loop {
            match self.state {
                State::Dead => {
                    *bytes = &[];
                    return None;
                }
                State::Body(head, 0, 0) => {
                    self.state = State::Header;
                    return Some(Part::BodyEnd(head));
                }
                State::Payload(head) if self.held.len() == head.length => {
                    self.state = State::Header;
                    return Some(Part::Frame(head, std::mem::take(&mut self.held)));
                }
                State::Skip(0) => self.state = State::Header,
                _ if bytes.is_empty() => return None,
                State::Search => {
                    let head = self.search(bytes)?;
                    self.begin(head);
                }
                State::Header => {
                    let head = self.header(bytes)?;
                    if head.kind != kind::DATA && head.length > MAX_FRAME {
                        self.state = State::Skip(head.length);
                        return Some(Part::TooLong(head));
                    }
                    self.begin(head);
                }
                State::Payload(head) => {
                    let piece = split(bytes, head.length.saturating_sub(self.held.len()));
                    self.held.extend_from_slice(piece);
                }
                State::Padding(head) => {
                    let padding = split(bytes, 1).first().map_or(0, |byte| usize::from(*byte));
                    let left = head.length - 1;
                    let padding = padding.min(left);
                    self.state = State::Body(head, left - padding, padding);
                }
                State::Body(head, 0, padding) => {
                    let padding = padding - split(bytes, padding).len();
                    self.state = State::Body(head, 0, padding);
                }
                State::Body(head, left, padding) => {
                    let piece = split(bytes, left);
                    self.state = State::Body(head, left - piece.len(), padding);
                    return Some(Part::Body(head.stream, piece));
                }
                State::Skip(left) => self.state = State::Skip(left - split(bytes, left).len()),
            }
        }
    }

    /// Passes over what is no header of a frame; `None` while none was found.
    fn search(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if self.held.len() == HEADER {
                self.held.remove(0);
            }
            self.held.push(*byte);
            self.searched += 1;
            if let Some(head) = Head::parse(&self.held).filter(|head| head.is_plausible()) {
                self.held.clear();
                return Some(head);
            }
            if self.searched > MAX_SEARCH {
                *bytes = &[];
                self.state = State::Dead;
            }
        }
        None
    }

    /// Fills the header; `None` while it is not whole.
    fn header(&mut self, bytes: &mut &[u8]) -> Option<Head> {
        let piece = split(bytes, HEADER.saturating_sub(self.held.len()));
        self.held.extend_from_slice(piece);
        let head = Head::parse(&self.held)?;
        self.held.clear();
        Some(head)
    }

    fn begin(&mut self, head: Head) {
        self.searched = 0;
        self.state = match head.kind {
            kind::DATA if head.has(flag::PADDED) && head.length > 0 => State::Padding(head),
            kind::DATA => State::Body(head, head.length, 0),
            _ => State::Payload(head),
        };
    }

    /// A hole of `length` bytes; where it does not lie in one body, the search for a frame begins.
    pub(super) fn gap(&mut self, length: u64) -> Hole {
        let hole = usize::try_from(length).unwrap_or(usize::MAX);
        let state = self.state;
        match state {
            State::Body(head, left, padding) if left >= hole => {
                self.state = State::Body(head, left - hole, padding);
                return Hole { body: Some((head, length)), lost: false };
            }
            State::Skip(left) if left >= hole => {
                self.state = State::Skip(left - hole);
                return Hole { body: None, lost: false };
            }
            State::Dead => {}
            _ => *self = Self::new(),
        }
        let body = match state {
            State::Body(head, left, _) => Some((head, left as u64)),
            _ => None,
        };
        Hole { body, lost: true }
    }
}

/// What a hole took.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// A body it lies in, and how much of it is missing.
    pub(super) body: Option<(Head, u64)>,
    /// Frames were lost: headers among them, perhaps.
    pub(super) lost: bool,
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (piece, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
    *bytes = rest;
    piece
}

/// A frame as it is sent.
#[cfg(test)]
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(bytes: &[u8], chunk: usize) -> Vec<String> {
        let mut frames = Frames::new();
        let mut parts: Vec<String> = Vec::new();
        let mut in_body = false;
        for mut piece in bytes.chunks(chunk.max(1)) {
            while let Some(part) = frames.next(&mut piece) {
                match part {
                    Part::Body(_, body) if in_body => parts.last_mut().unwrap().push_str(&hex::encode(body)),
                    Part::Body(stream, body) => {
                        parts.push(format!("{stream}:{}", hex::encode(body)));
                        in_body = true;
                    }
                    other => {
                        in_body = false;
                        parts.push(format!("{other:?}"));
                    }
                }
            }
        }
        parts
    }

    #[test]
    fn the_preface_is_passed_over_and_padding_left_out() {
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
            frame(kind::DATA, flag::PADDED | flag::END_STREAM, 1, &[2, 0xaa, 0xbb, 0, 0]),
            frame(kind::DATA, 0, 3, &[]),
        ]
        .concat();
        for chunk in [1, 4, 1000] {
            let parts = run(&bytes, chunk);
            assert_eq!(parts.len(), 4, "{parts:?}");
            assert!(parts[0].starts_with("Frame(Head { length: 6, kind: 4"), "{parts:?}");
            assert_eq!(parts[1], "1:aabb");
            assert!(parts[2].starts_with("BodyEnd") && parts[3].contains("stream: 3"), "{parts:?}");
        }
    }

    #[test]
    fn holes() {
        let mut frames = Frames::new();
        let body = frame(kind::DATA, 0, 1, &[7; 100]);
        let mut piece = &body[..50];
        while frames.next(&mut piece).is_some() {}
        assert!(matches!(frames.gap(20), Hole { body: Some((_, 20)), lost: false }));
        let mut rest = &body[70..];
        assert!(matches!(frames.next(&mut rest), Some(Part::Body(1, body)) if body.len() == 39));
        assert!(matches!(frames.next(&mut rest), Some(Part::BodyEnd(_))));
        // A hole elsewhere: the next header is looked for.
        assert!(frames.gap(5).lost);
        let later = [&[1, 2, 3, 0xff, 0xff][..], &frame(kind::PING, 0, 0, &[0; 8])].concat();
        let mut rest = &later[..];
        assert!(matches!(frames.next(&mut rest), Some(Part::Frame(Head { kind: kind::PING, .. }, _))));
    }

    #[test]
    fn a_giant_frame_is_passed_over_and_an_endless_search_ends() {
        let bytes = [
            frame(kind::PING, 0, 0, &[0; 8]),
            frame(kind::HEADERS, 0, 1, &vec![0; MAX_FRAME + 1]),
            frame(kind::PING, 0, 0, &[1; 8]),
        ]
        .concat();
        for chunk in [1, 999, 1 << 20] {
            let parts = run(&bytes, chunk);
            assert_eq!(parts.len(), 3, "{parts:?}");
            assert!(parts[1].starts_with("TooLong"), "{parts:?}");
        }
        let mut frames = Frames::new();
        let mut noise = &vec![0xff; MAX_SEARCH + 1][..];
        assert_eq!(frames.next(&mut noise), None);
        assert!(frames.is_dead());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(frames in prop::collection::vec((0..11_u8, any::<u8>(), 0..4_u32, prop::collection::vec(any::<u8>(), 0..30)), 0..6), tail: Vec<u8>, chunk in 1..40_usize) {
            let mut bytes = frame(kind::SETTINGS, 0, 0, &[]);
            for (kind, flags, stream, payload) in frames {
                bytes.extend(frame(kind, flags, stream, &payload));
            }
            bytes.extend(tail);
            prop_assert_eq!(run(&bytes, chunk), run(&bytes, usize::MAX));
        }
    }
}
