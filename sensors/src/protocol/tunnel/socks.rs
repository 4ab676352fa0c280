//! The opening talk of a SOCKS proxy (version 4, 4a, and 5 of RFC 1928 and 1929), read only to find where the tunnel begins.
//!
//! In: both directions of a stream that begins like SOCKS. Out: the bytes behind the proxy's consent. Memory: the opening talk
//! of each side, at most [`MAX_TALK`] bytes.

use crate::protocol::Side;
use crate::protocol::wire::Cursor;

/// Longest opening talk of one side.
const MAX_TALK: usize = 2048;

/// What a side still has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Greeting,
    Credentials,
    Request,
    Ready,
}

/// A connection to a proxy.
#[derive(Debug)]
pub(in crate::protocol) struct Socks {
    pub(in crate::protocol) client: Side,
    held: [Vec<u8>; 2],
    steps: [Step; 2],
    version: u8,
    refused: bool,
}

impl Socks {
    pub(in crate::protocol) fn new(client: Side) -> Self {
        Self { client, held: Default::default(), steps: [Step::Greeting; 2], version: 0, refused: false }
    }

    /// Whether a tunnel can still open.
    pub(in crate::protocol) fn is_open(&self) -> bool {
        !self.refused
    }

    pub(in crate::protocol) fn gap(&mut self) {
        self.refused = true;
    }

    /// Reads bytes of one side; once the tunnel is open, what each side (originator, responder) has sent into it.
    pub(in crate::protocol) fn data(&mut self, side: Side, bytes: &[u8]) -> Option<[Vec<u8>; 2]> {
        side.of_mut(&mut self.held).extend_from_slice(bytes);
        while !self.refused && (self.advance(self.client) || self.advance(self.client.other())) {}
        self.refused |= self.held.iter().any(|held| held.len() > MAX_TALK);
        let open = self.steps == [Step::Ready; 2];
        open.then(|| std::mem::take(&mut self.held))
    }

    /// Takes one message of a side; false when it is not whole, or not its turn.
    fn advance(&mut self, side: Side) -> bool {
        let (step, other) = (*side.of(&self.steps), *side.other().of(&self.steps));
        let held = side.of(&self.held).as_slice();
        let mut cursor = Cursor::new(held);
        let next = if side == self.client {
            // The client speaks first at each step; its request waits for the method.
            match step {
                Step::Request if other == Step::Greeting => None,
                step => client_message(&mut cursor, step, &mut self.version),
            }
        } else if step < other {
            server_message(&mut cursor, step, self.version)
        } else {
            None
        };
        let Some(next) = next else { return false };
        let used = held.len() - cursor.rest().len();
        side.of_mut(&mut self.held).drain(..used);
        match next {
            Answer::Go(step) => *side.of_mut(&mut self.steps) = step,
            Answer::Both(step) => self.steps = [step; 2],
            Answer::Refuse => self.refused = true,
        }
        true
    }
}

/// What a message leads to.
enum Answer {
    Go(Step),
    Both(Step),
    Refuse,
}

fn client_message(cursor: &mut Cursor<'_>, step: Step, version: &mut u8) -> Option<Answer> {
    match step {
        Step::Greeting => {
            *version = cursor.u8()?;
            if *version == 5 {
                cursor.vec8()?;
                return Some(Answer::Go(Step::Request));
            }
            let (_command, _port, address) = (cursor.u8()?, cursor.u16()?, cursor.u32()?);
            until_zero(cursor)?;
            if (1..256).contains(&address) {
                until_zero(cursor)?;
            }
            Some(Answer::Go(Step::Ready))
        }
        Step::Credentials => {
            cursor.u8()?;
            cursor.vec8()?;
            cursor.vec8()?;
            Some(Answer::Go(Step::Request))
        }
        Step::Request => address(cursor).map(|_| Answer::Go(Step::Ready)),
        Step::Ready => None,
    }
}

fn server_message(cursor: &mut Cursor<'_>, step: Step, version: u8) -> Option<Answer> {
    match step {
        Step::Greeting if version != 5 => {
            let granted = cursor.take(8)?.get(1) == Some(&90);
            Some(if granted { Answer::Go(Step::Ready) } else { Answer::Refuse })
        }
        Step::Greeting => match cursor.take(2)? {
            [5, 0] => Some(Answer::Go(Step::Request)),
            [5, 2] => Some(Answer::Both(Step::Credentials)),
            _ => Some(Answer::Refuse),
        },
        Step::Credentials => match cursor.take(2)? {
            [_, 0] => Some(Answer::Go(Step::Request)),
            _ => Some(Answer::Refuse),
        },
        Step::Request => Some(if address(cursor)? == 0 { Answer::Go(Step::Ready) } else { Answer::Refuse }),
        Step::Ready => None,
    }
}

/// A request or reply of version 5: version, command or result, zero, address, port. Gives command or result.
fn address(cursor: &mut Cursor<'_>) -> Option<u8> {
    let mut next = *cursor;
    let (_version, code, _zero, kind) = (next.u8()?, next.u8()?, next.u8()?, next.u8()?);
    match kind {
        1 => next.take(4)?,
        4 => next.take(16)?,
        _ => next.vec8()?,
    };
    next.u16()?;
    *cursor = next;
    Some(code)
}

fn until_zero(cursor: &mut Cursor<'_>) -> Option<()> {
    while cursor.u8()? != 0 {}
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    #[track_caller]
    fn check(turns: &[(Side, &[u8])], expected: Option<[&[u8]; 2]>) {
        for chunk in [1, 3, 1000] {
            let mut socks = Socks::new(C);
            let mut found: Option<[Vec<u8>; 2]> = None;
            for (side, bytes) in turns {
                for part in bytes.chunks(chunk) {
                    match &mut found {
                        None => found = socks.data(*side, part),
                        Some(halves) => side.of_mut(halves).extend_from_slice(part),
                    }
                }
            }
            assert_eq!(found, expected.map(|halves| halves.map(<[u8]>::to_vec)), "pieces of {chunk}");
        }
    }

    #[test]
    fn tunnels_open() {
        let request = b"\x05\x01\x00\x03\x02vn\x01\xbb";
        let reply = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
        check(
            &[(C, b"\x05\x01\x00"), (S, b"\x05\x00"), (C, request), (S, reply), (C, b"hi")],
            Some([b"hi", b""]),
        );
        check(
            &[
                (C, b"\x05\x01\x02"),
                (S, b"\x05\x02"),
                (C, b"\x01\x01a\x01b"),
                (S, b"\x01\x00"),
                (C, request),
                (S, reply),
            ],
            Some([b"", b""]),
        );
        check(&[(C, b"\x05\x01\x00"), (S, b"\x05\xff")], None);
        check(
            &[(C, b"\x04\x01\x00\x50\x01\x02\x03\x04me\x00"), (S, b"\x00\x5a\x00\x00\x00\x00\x00\x00ok")],
            Some([b"", b"ok"]),
        );
    }

    proptest! {
        #[test]
        fn any_talk_is_survived(talk: Vec<(bool, Vec<u8>)>) {
            let mut socks = Socks::new(C);
            for (client, bytes) in talk {
                drop(socks.data(if client { C } else { S }, &bytes));
            }
        }
    }
}
