//! TLS and SSL over a byte stream, and what a handshake is made of.
//!
//! [`Tls`] reads records (RFC 8446, 5.1) of both sides, puts handshake messages together and tells the [`session`]; it ends
//! with one event when both sides speak in cipher, or when the connection ends before. Encrypted records are skipped
//! without being held. Memory: per side one record (under 19 KiB) and one handshake message ([`MAX_HANDSHAKE`]).

mod certificate;
pub(super) mod dtls;
pub(super) mod fingerprint;
pub(super) mod hello;
mod names;
pub(super) mod session;

use dongson_event::{Event, Timestamp};

use super::Side;
use super::detect::Verdict;
use super::wire::Cursor;
use fingerprint::Carrier;
use session::Session;

/// Longest handshake message that is read; longer ones (RFC allows 16 MiB) end the reading of their side.
const MAX_HANDSHAKE: usize = 128 * 1024;
/// Longest record, with the margin of RFC 5246, 6.2.3.
const MAX_RECORD: usize = (1 << 14) + 2048;

/// One side of the stream.
#[derive(Debug, Default)]
struct Half {
    /// A record that is not whole yet.
    record: Vec<u8>,
    /// Bytes of an unreadable record that are still to come.
    skip: usize,
    /// Handshake messages that are not whole yet.
    handshake: Vec<u8>,
    /// The bytes are not TLS any more, or a hole swallowed some.
    broken: bool,
}

/// A connection that speaks TLS.
#[derive(Debug)]
pub(super) struct Tls {
    client: Side,
    halves: [Half; 2],
    session: Option<Session>,
    /// Whether its certificates get events of their own.
    certificates: bool,
}

impl Tls {
    /// `client` is who sends (or would send) the `ClientHello`.
    pub(super) fn new(client: Side, started: Timestamp) -> Self {
        let session = Some(Session::new(Carrier::Tls, started));
        Self { client, halves: Default::default(), session, certificates: true }
    }

    /// The same, with or without events of the certificates.
    pub(super) fn telling_certificates(self, certificates: bool) -> Self {
        Self { certificates, ..self }
    }

    pub(super) fn wants_more(&self, side: Side) -> bool {
        self.session.is_some() && !side.of(&self.halves).broken
    }

    pub(super) fn data(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Event>) {
        let client = side == self.client;
        let half = side.of_mut(&mut self.halves);
        if let Some(session) = &mut self.session {
            half.feed(session, client, bytes);
        }
        if let Some(session) = self.session.take_if(|session| session.is_established()) {
            session.tell(self.certificates, out);
        }
    }

    /// A hole: fine inside an encrypted record, the end of reading this side elsewhere.
    pub(super) fn gap(&mut self, side: Side, length: u64) {
        let half = side.of_mut(&mut self.halves);
        match usize::try_from(length).ok().and_then(|length| half.skip.checked_sub(length)) {
            Some(left) if half.record.is_empty() => half.skip = left,
            _ => half.broken = true,
        }
    }

    /// The end of the connection: what is known goes out.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        out.extend(self.session.take().filter(Session::is_known).map(Session::describe));
    }
}

impl Half {
    fn feed(&mut self, session: &mut Session, client: bool, mut bytes: &[u8]) {
        while !self.broken && !session.is_established() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            // Bytes are moved only as far as the record in front needs them, so that work stays linear.
            let wanted = self.wanted(session, client).saturating_sub(self.record.len()).max(1);
            let (now, later) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
            self.record.extend_from_slice(now);
            bytes = later;
            self.step(session, client);
        }
        if self.broken {
            (self.record, self.handshake) = (Vec::new(), Vec::new());
        }
    }

    /// Length of the record in front, as far as its header can say; the header's own length before.
    fn wanted(&self, session: &Session, client: bool) -> usize {
        match self.record.as_slice() {
            [first, second, ..] if first & 0x80 != 0 && client && !session.has_client() => {
                2 + (usize::from(first & 0x7f) << 8 | usize::from(*second))
            }
            [first] if first & 0x80 != 0 => 2,
            [_, _, _, high, low, ..] => 5 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => 5,
        }
    }

    fn step(&mut self, session: &mut Session, client: bool) {
        let v2 =
            client && !session.has_client() && self.record.first().is_some_and(|first| first & 0x80 != 0);
        if v2 {
            if self.record.len() >= 2 && self.record.len() >= self.wanted(session, client) {
                let record = std::mem::take(&mut self.record);
                session.hello_v2(record.get(2..).unwrap_or_default());
                self.broken = !session.has_client();
            }
            return;
        }
        let mut cursor = Cursor::new(&self.record);
        let header = cursor.u8().zip(cursor.u16()).zip(cursor.u16());
        let Some(((kind, version), length)) = header else { return };
        let length = usize::from(length);
        if !(20..=24).contains(&kind) || !is_version(version) || length > MAX_RECORD {
            self.broken = true;
        } else if kind == 23 || kind == 24 || (session.is_encrypted(client) && kind != 20) {
            session.sealed(client, kind == 23);
            self.record.clear();
            self.skip = length;
        } else if cursor.rest().len() >= length {
            let mut record = std::mem::take(&mut self.record);
            self.body(session, client, kind, record.get(5..).unwrap_or_default());
            record.clear();
            self.record = record;
        }
    }

    fn body(&mut self, session: &mut Session, client: bool, kind: u8, body: &[u8]) {
        match kind {
            20 => session.change_cipher(client),
            21 => session.alert(client, body),
            _ => {
                self.handshake.extend_from_slice(body);
                self.messages(session, client);
            }
        }
    }

    fn messages(&mut self, session: &mut Session, client: bool) {
        let held = std::mem::take(&mut self.handshake);
        let mut cursor = Cursor::new(&held);
        loop {
            let mut next = cursor;
            let Some((kind, body)) = next.u8().zip(next.vec24()) else { break };
            session.handshake(client, kind, body);
            cursor = next;
        }
        self.handshake = cursor.rest().to_vec();
        let announced = self.handshake.get(1..4).and_then(|length| Cursor::new(length).u24());
        self.broken |= announced.is_some_and(|length| length > MAX_HANDSHAKE);
    }
}

fn is_version(code: u16) -> bool {
    matches!(code >> 8, 3 | 0x7f)
}

/// Who says a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Client,
    Server,
}

/// Whether a stream begins with a hello, and whose: a handshake record that holds type 1 or 2, or SSL 2.0's form.
pub(super) fn detect(prefix: &[u8]) -> (Verdict, Speaker) {
    let mut cursor = Cursor::new(prefix);
    let verdict = match cursor.u8() {
        None => Verdict::Maybe,
        Some(22) => return detect_record(cursor),
        Some(first) if first & 0x80 != 0 => detect_v2(first, cursor),
        Some(_) => Verdict::No,
    };
    (verdict, Speaker::Client)
}

fn detect_record(mut cursor: Cursor<'_>) -> (Verdict, Speaker) {
    let wait = (Verdict::Maybe, Speaker::Client);
    let refuse = (Verdict::No, Speaker::Client);
    match cursor.u8() {
        None => return wait,
        Some(3 | 0x7f) => {}
        Some(_) => return refuse,
    }
    let Some((_, length)) = cursor.u8().zip(cursor.u16()) else { return wait };
    let length = usize::from(length);
    if !(4..=MAX_RECORD).contains(&length) {
        return refuse;
    }
    let Some(((kind, long), version)) = cursor.u8().zip(cursor.u24()).zip(cursor.u8()) else { return wait };
    match kind {
        1 if (40..MAX_HANDSHAKE).contains(&long) && version == 3 => (Verdict::Yes, Speaker::Client),
        2 if (38..MAX_HANDSHAKE).contains(&long) && matches!(version, 3 | 0x7f | 0x7e) => {
            (Verdict::Yes, Speaker::Server)
        }
        _ => refuse,
    }
}

fn detect_v2(first: u8, mut cursor: Cursor<'_>) -> Verdict {
    let Some(low) = cursor.u8() else { return Verdict::Maybe };
    let length = usize::from(first & 0x7f) << 8 | usize::from(low);
    let Some((kind, version)) = cursor.u8().zip(cursor.u16()) else { return Verdict::Maybe };
    if kind != 1 || !matches!(version, 2 | 0x300..=0x303) {
        return Verdict::No;
    }
    let Some(((ciphers, id), challenge)) = cursor.u16().zip(cursor.u16()).zip(cursor.u16()) else {
        return Verdict::Maybe;
    };
    let sum = 9 + usize::from(ciphers) + usize::from(id) + usize::from(challenge);
    let fits = ciphers % 3 == 0 && ciphers > 0 && matches!(id, 0 | 16 | 32) && (16..=32).contains(&challenge);
    if fits && sum == length { Verdict::Yes } else { Verdict::No }
}

/// An event for each certificate of a chain that another protocol brings, first the server's own.
pub(super) fn certificates(protocol: &'static str, chain: &[&[u8]], at: Timestamp, out: &mut Vec<Event>) {
    let part = |length: usize| {
        let [.., high, middle, low] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        [high, middle, low]
    };
    let list: Vec<u8> = chain.iter().flat_map(|der| [&part(der.len())[..], der].concat()).collect();
    let body = [&part(list.len())[..], &list].concat();
    let mut told = Vec::new();
    if let Some(chain) = certificate::Chain::parse(&body) {
        chain.certificates(at, false, &mut told);
    }
    for mut event in told {
        event.set("network.protocol", protocol);
        out.push(event);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::hello::tests::{client_hello, server_hello};
    use super::*;

    pub(in crate::protocol) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3][..], &length, body].concat()
    }

    pub(in crate::protocol) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind][..], &length[1..], body].concat()
    }

    /// The client's and the server's bytes of a TLS 1.3 connection.
    pub(in crate::protocol) fn exchange() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let hello = record(22, &handshake(1, &client_hello("cong.example.vn")));
        let answer =
            [record(22, &handshake(2, &server_hello())), record(20, &[1]), record(23, &[0; 40])].concat();
        (hello, answer, [record(20, &[1]), record(23, &[0; 60])].concat())
    }

    fn run(chunk: usize) -> Vec<Event> {
        let (hello, answer, last) = exchange();
        let mut tls = Tls::new(Side::Originator, Timestamp::default());
        let mut out = Vec::new();
        for (side, bytes) in [(Side::Originator, hello), (Side::Responder, answer), (Side::Originator, last)]
        {
            for part in bytes.chunks(chunk) {
                tls.data(side, part, &mut out);
            }
        }
        assert!(!tls.wants_more(Side::Originator));
        out
    }

    #[test]
    fn chunks_do_not_matter() {
        let whole = run(10_000);
        assert_eq!(whole.len(), 1);
        assert_eq!(run(1), whole);
        assert_eq!(run(7), whole);
    }

    #[test]
    fn a_hello_alone_goes_out_at_the_end() {
        let (hello, ..) = exchange();
        let mut tls = Tls::new(Side::Originator, Timestamp::default());
        let mut out = Vec::new();
        tls.data(Side::Originator, &hello, &mut out);
        tls.gap(Side::Originator, 5);
        assert!(!tls.wants_more(Side::Originator) && out.is_empty());
        tls.finish(&mut out);
        assert_eq!(out.len(), 1);
    }

    #[test]
    fn hellos_are_recognised() {
        let (hello, answer, _) = exchange();
        assert_eq!(detect(&hello), (Verdict::Yes, Speaker::Client));
        assert_eq!(detect(&answer), (Verdict::Yes, Speaker::Server));
        assert_eq!(detect(&hello[..6]).0, Verdict::Maybe);
        assert_eq!(detect(&record(23, &[0; 50])).0, Verdict::No);
        let v2 = [&[0x80, 9 + 3 + 16, 1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 5][..], &[1; 16]].concat();
        assert_eq!(detect(&v2).0, Verdict::Yes);
        let mut tls = Tls::new(Side::Originator, Timestamp::default());
        let mut out = Vec::new();
        tls.data(Side::Originator, &v2, &mut out);
        tls.finish(&mut out);
        assert_eq!(out[0].text("dongson.tls.client.version"), Some("0x0301"));
    }
}
