//! DTLS (RFC 6347, 9147): the same handshake in datagrams, with fragments and repetitions.
//!
//! Fragments are joined when they come in order, which is how they are sent; a message whose fragments come out of order is
//! passed over. Memory: one message of [`MAX_MESSAGE`] bytes per side besides the session.

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::wire::Cursor;

use super::fingerprint::Carrier;
use super::session::Session;

/// Longest handshake message that is joined.
const MAX_MESSAGE: usize = 64 * 1024;

/// The message that one side is sending.
#[derive(Debug, Default)]
struct Half {
    /// Sequence number of the next message.
    next: u16,
    body: Vec<u8>,
}

/// A flow that speaks DTLS.
#[derive(Debug)]
pub(in crate::protocol) struct Dtls {
    client: Side,
    halves: [Half; 2],
    session: Option<Session>,
}

impl Dtls {
    pub(in crate::protocol) fn new(client: Side, started: Timestamp) -> Self {
        Self { client, halves: Default::default(), session: Some(Session::new(Carrier::Dtls, started)) }
    }

    pub(in crate::protocol) fn wants_more(&self) -> bool {
        self.session.is_some()
    }

    /// Reads the records of one datagram.
    pub(in crate::protocol) fn datagram(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Event>) {
        let client = side == self.client;
        let Some(session) = &mut self.session else { return };
        let half = side.of_mut(&mut self.halves);
        let mut cursor = Cursor::new(bytes);
        while let Some((kind, epoch, body)) = record(&mut cursor) {
            match kind {
                _ if epoch > 0 => session.sealed(client, kind == 23),
                20 => session.change_cipher(client),
                21 => session.alert(client, body),
                22 => half.fragments(session, client, body),
                _ => break,
            }
        }
        if let Some(session) = self.session.take_if(|session| session.is_established()) {
            session.tell(true, out);
        }
    }

    pub(in crate::protocol) fn finish(&mut self, out: &mut Vec<Event>) {
        out.extend(self.session.take().filter(Session::is_known).map(Session::describe));
    }
}

impl Half {
    fn fragments(&mut self, session: &mut Session, client: bool, body: &[u8]) {
        let mut cursor = Cursor::new(body);
        while let Some(fragment) = Fragment::read(&mut cursor) {
            if fragment.sequence != self.next || fragment.length > MAX_MESSAGE {
                continue;
            }
            if fragment.offset != self.body.len() {
                continue;
            }
            self.body.extend_from_slice(fragment.bytes);
            if self.body.len() >= fragment.length {
                session.handshake(client, fragment.kind, &std::mem::take(&mut self.body));
                self.next = self.next.wrapping_add(1);
            }
        }
    }
}

/// A piece of a handshake message (RFC 6347, 4.2.2).
struct Fragment<'a> {
    kind: u8,
    length: usize,
    sequence: u16,
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> Fragment<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let (kind, length, sequence) = (cursor.u8()?, cursor.u24()?, cursor.u16()?);
        Some(Self { kind, length, sequence, offset: cursor.u24()?, bytes: cursor.vec24()? })
    }
}

/// Type, epoch and body of the next record.
fn record<'a>(cursor: &mut Cursor<'a>) -> Option<(u8, u16, &'a [u8])> {
    let (kind, version, epoch) = (cursor.u8()?, cursor.u16()?, cursor.u16()?);
    cursor.take(6)?;
    let body = cursor.vec16()?;
    (is_version(version) && (20..=25).contains(&kind)).then_some((kind, epoch, body))
}

fn is_version(version: u16) -> bool {
    matches!(version, 0xfeff | 0xfefd | 0xfefc | 0x0100)
}

/// Whether a datagram begins with a hello in the clear, and if so whether it is the client's.
pub(in crate::protocol) fn detect(bytes: &[u8]) -> Option<bool> {
    let (kind, epoch, body) = record(&mut Cursor::new(bytes))?;
    let fragment = Fragment::read(&mut Cursor::new(body))?;
    match (kind, epoch, fragment.kind) {
        (22, 0, 1) => Some(true),
        (22, 0, 2 | 3) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::hello::tests::client_hello;
    use super::*;

    #[test]
    fn fragments_are_joined() {
        let mut body = client_hello("a.vn");
        body.insert(35, 0);
        let piece = |offset: usize, part: &[u8]| {
            let number = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
            let fragment =
                [vec![1], number(body.len()), vec![0, 0], number(offset), number(part.len()), part.to_vec()]
                    .concat();
            let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
            [&[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0][..], &length, &fragment].concat()
        };
        let (first, second) = (piece(0, &body[..20]), piece(20, &body[20..]));
        assert_eq!(detect(&first), Some(true));
        let mut dtls = Dtls::new(Side::Originator, Timestamp::default());
        let mut out = Vec::new();
        for datagram in [&first, &first, &second] {
            dtls.datagram(Side::Originator, datagram, &mut out);
        }
        dtls.finish(&mut out);
        assert_eq!(out[0].text("tls.client.server_name"), Some("a.vn"));
        assert!(out[0].text("tls.client.ja4").unwrap().starts_with('d'));
    }
}
