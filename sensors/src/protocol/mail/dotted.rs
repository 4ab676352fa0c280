//! Text that ends with a lone dot, and whose lines have a dot more where they begin with one (RFC 5321, 4.5.2; RFC 1939, 3).
//!
//! In: bytes in any pieces. Out: the same without these dots, as they come. Memory: none.

/// Where in a line the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Start,
    /// Behind a dot at the start.
    Dot,
    /// Behind that dot and a carriage return.
    DotReturn,
    Inside,
}

/// A text in passing.
#[derive(Debug, Default)]
pub(super) struct Dotted {
    place: Place,
}

impl Dotted {
    /// Takes from the front of `bytes` what belongs to the text and gives it to `sink`; true once its end was among it.
    pub(super) fn data(&mut self, bytes: &mut &[u8], mut sink: impl FnMut(&[u8])) -> bool {
        while let [first, rest @ ..] = *bytes {
            match (self.place, first) {
                (Place::Start, b'.') => {
                    self.place = Place::Dot;
                    *bytes = rest;
                }
                (Place::Dot | Place::DotReturn, b'\n') => {
                    self.place = Place::Start;
                    *bytes = rest;
                    return true;
                }
                (Place::Dot, b'\r') => {
                    self.place = Place::DotReturn;
                    *bytes = rest;
                }
                (place, _) => {
                    if place == Place::DotReturn {
                        sink(b"\r");
                    }
                    let end = bytes.iter().position(|sign| *sign == b'\n').map(|end| end + 1);
                    let (line, next) =
                        bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
                    sink(line);
                    self.place = if end.is_some() { Place::Start } else { Place::Inside };
                    *bytes = next;
                }
            }
        }
        false
    }

    /// Bytes are missing: what follows is somewhere in a line.
    pub(super) fn gap(&mut self) {
        self.place = Place::Inside;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], chunk: usize) -> (Vec<u8>, bool, usize) {
        let (mut dotted, mut out, mut used) = (Dotted::default(), Vec::new(), 0);
        for piece in bytes.chunks(chunk) {
            let mut rest = piece;
            let ended = dotted.data(&mut rest, |part| out.extend_from_slice(part));
            used += piece.len() - rest.len();
            if ended {
                return (out, true, used);
            }
        }
        (out, false, used)
    }

    #[test]
    fn dots_are_undone() {
        for chunk in [1, 2, 100] {
            assert_eq!(read(b"a\r\n..b\r\n.\r\n+OK", chunk), (b"a\r\n.b\r\n".to_vec(), true, 11));
            assert_eq!(read(b".\r.\r\n.c\n.\n", chunk), (b"\r.\r\nc\n".to_vec(), true, 10));
            assert_eq!(read(b"a", chunk), (b"a".to_vec(), false, 1));
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(words in prop::collection::vec(prop::sample::select(vec!["a", "\r", "\n", ".", "\r\n"]), 0..40), chunk in 1..9_usize) {
            let bytes = words.concat().into_bytes();
            prop_assert_eq!(read(&bytes, chunk), read(&bytes, usize::MAX));
        }
    }
}
