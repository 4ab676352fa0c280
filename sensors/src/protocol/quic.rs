//! QUIC (RFC 9000, 9001, 9369): the hellos inside Initial packets, which anyone on the path can decrypt.
//!
//! In: datagrams. Out: one `sensor.tls` event with `network.protocol` `quic`, when both hellos are known and both ends have gone
//! over to packets that cannot be read, or the flow ends.
//! Memory: [`MAX_CRYPTO`] bytes of handshake per side; work: [`MAX_PACKETS`] decryptions per flow.

use std::collections::BTreeMap;

use dongson_event::{Event, Timestamp};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use ring::hkdf;

use super::Side;
use super::tls::fingerprint::Carrier;
use super::tls::session::Session;
use super::wire::Cursor;

/// Handshake bytes kept per side.
const MAX_CRYPTO: usize = 32 * 1024;
/// Initial packets that are tried per flow.
const MAX_PACKETS: u32 = 48;
/// Letters of the history.
const MAX_HISTORY: usize = 64;

/// Salts of the versions (RFC 9001, 5.2; RFC 9369, 3.3.1; drafts 22, 23 and 29).
const SALT_V1: [u8; 20] =
    *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
const SALT_V2: [u8; 20] =
    *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";
const SALT_29: [u8; 20] =
    *b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99";
const SALT_23: [u8; 20] =
    *b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02";
const SALT_22: [u8; 20] =
    *b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a";
const SALT_T050: [u8; 20] =
    *b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10";
const SALT_T051: [u8; 20] =
    *b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d";

fn salt(version: u32) -> Option<&'static [u8; 20]> {
    Some(match version {
        1 | 0xff00_0021 | 0xff00_0022 => &SALT_V1,
        0x6b33_43cf => &SALT_V2,
        0xff00_001d..=0xff00_0020 | 0xface_b00e => &SALT_29,
        0xff00_0017..=0xff00_001c | 0xface_b002 => &SALT_23,
        0xff00_0016 | 0xface_b001 => &SALT_22,
        0x5430_3530 => &SALT_T050,
        0x5430_3531 => &SALT_T051,
        _ => return None,
    })
}

/// A packet with a long header (RFC 9000, 17.2), as far as it is in the clear.
struct Long<'a> {
    first: u8,
    version: u32,
    destination: &'a [u8],
    source: &'a [u8],
    /// From the first byte to the packet number.
    header: &'a [u8],
    /// Packet number and payload.
    rest: &'a [u8],
}

/// Kinds of long packets that matter.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Initial,
    EarlyData,
    Handshake,
    Retry,
}

fn kind(first: u8, version: u32) -> Kind {
    let bits = (first >> 4) & 3;
    match if version == 0x6b33_43cf { bits.wrapping_sub(1) & 3 } else { bits } {
        0 => Kind::Initial,
        1 => Kind::EarlyData,
        2 => Kind::Handshake,
        _ => Kind::Retry,
    }
}

fn varint(cursor: &mut Cursor<'_>) -> Option<usize> {
    let first = cursor.u8()?;
    let more = (1_usize << (first >> 6)) - 1;
    let start = u64::from(first & 0x3f);
    let value = cursor.take(more)?.iter().fold(start, |value, &byte| value << 8 | u64::from(byte));
    usize::try_from(value).ok()
}

impl<'a> Long<'a> {
    /// Takes the next packet off a datagram; `None` at a short header or at what is no packet.
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let start = cursor.rest();
        let (first, version) = (cursor.u8()?, cursor.u32()?);
        if first & 0x80 == 0 || version == 0 {
            return None;
        }
        let (destination, source) = (cursor.vec8()?, cursor.vec8()?);
        match kind(first, version) {
            Kind::Retry => {
                let rest = cursor.take(cursor.rest().len())?;
                return Some(Self { first, version, destination, source, header: start, rest });
            }
            Kind::Initial => {
                let token = varint(cursor)?;
                cursor.take(token)?;
            }
            Kind::EarlyData | Kind::Handshake => {}
        }
        let length = varint(cursor)?;
        let header = start.get(..start.len() - cursor.rest().len())?;
        // A snapped datagram keeps what it has.
        let rest = cursor.take(length.min(cursor.rest().len()))?;
        Some(Self { first, version, destination, source, header, rest })
    }
}

/// The keys of one direction's Initial packets.
struct Keys {
    packet: LessSafeKey,
    header: quic::HeaderProtectionKey,
    iv: [u8; 12],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// Length of what HKDF gives, for ring.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label without context (RFC 8446, 7.1).
fn expand<const N: usize>(secret: &hkdf::Prk, label: &str) -> Option<[u8; N]> {
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let label_length = [u8::try_from(label.len() + 6).ok()?];
    let mut out = [0; N];
    let info = [&length[..], &label_length, b"tls13 ", label.as_bytes(), &[0]];
    secret.expand(&info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

impl Keys {
    /// Keys of a direction (`client in`, `server in`) under the client's first destination id.
    fn derive(version: u32, destination: &[u8], label: &str) -> Option<Self> {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt(version)?).extract(destination);
        let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &expand::<32>(&prk, label)?);
        let [key, iv, hp] = if version == 0x6b33_43cf {
            ["quicv2 key", "quicv2 iv", "quicv2 hp"]
        } else {
            ["quic key", "quic iv", "quic hp"]
        };
        Some(Self {
            packet: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &expand::<16>(&secret, key)?).ok()?),
            header: quic::HeaderProtectionKey::new(&quic::AES_128, &expand::<16>(&secret, hp)?).ok()?,
            iv: expand::<12>(&secret, iv)?,
        })
    }

    /// The frames of an Initial packet (RFC 9001, 5.3 and 5.4); `None` when it does not decrypt.
    fn open(&self, packet: &Long<'_>) -> Option<Vec<u8>> {
        let [mask, mask_bytes @ ..] = self.header.new_mask(packet.rest.get(4..20)?).ok()?;
        let first = packet.first ^ (mask & 0x0f);
        let length = usize::from(first & 3) + 1;
        let (number, sealed) = packet.rest.split_at_checked(length)?;
        let number: Vec<u8> = number.iter().zip(mask_bytes).map(|(byte, mask)| byte ^ mask).collect();
        let mut associated = packet.header.to_vec();
        *associated.first_mut()? = first;
        associated.extend_from_slice(&number);
        let mut nonce = self.iv;
        for (byte, part) in nonce.iter_mut().rev().zip(number.iter().rev()) {
            *byte ^= part;
        }
        let mut frames = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let length = self.packet.open_in_place(nonce, Aad::from(associated), &mut frames).ok()?.len();
        frames.truncate(length);
        Some(frames)
    }
}

/// The handshake bytes of one side, put in order.
#[derive(Debug, Default)]
struct Crypto {
    ready: Vec<u8>,
    /// Where `ready` begins in the stream.
    base: usize,
    waiting: BTreeMap<usize, Vec<u8>>,
}

impl Crypto {
    fn insert(&mut self, offset: usize, bytes: &[u8]) {
        if offset.saturating_add(bytes.len()) > MAX_CRYPTO || self.waiting.len() > 64 {
            return;
        }
        self.waiting.insert(offset, bytes.to_vec());
        while let Some((offset, piece)) = self.waiting.pop_first() {
            let end = self.base + self.ready.len();
            let Some(known) = end.checked_sub(offset) else {
                self.waiting.insert(offset, piece);
                return;
            };
            self.ready.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
    }

    /// Gives whole messages to the session.
    fn messages(&mut self, session: &mut Session, client: bool) {
        let mut cursor = Cursor::new(&self.ready);
        loop {
            let mut next = cursor;
            let Some((kind, body)) = next.u8().zip(next.vec24()) else { break };
            session.handshake(client, kind, body);
            cursor = next;
        }
        let rest = cursor.rest().to_vec();
        self.base += self.ready.len() - rest.len();
        self.ready = rest;
    }
}

/// A flow that speaks QUIC.
#[derive(Debug)]
pub(super) struct Quic {
    version: u32,
    /// The id that the keys come from.
    destination: Vec<u8>,
    client_source: Option<Vec<u8>>,
    server_source: Option<Vec<u8>>,
    /// Kinds of packets in the letters of Zeek, capitals from the client.
    history: String,
    client_side: Option<Side>,
    keys: Option<[Keys; 2]>,
    streams: [Crypto; 2],
    packets: u32,
    session: Option<Session>,
}

/// Whether a datagram begins with a packet of a version we know.
pub(super) fn detect(bytes: &[u8]) -> bool {
    let Some(packet) = Long::read(&mut Cursor::new(bytes)) else { return false };
    let ids = packet.destination.len() <= 20 && packet.source.len() <= 20;
    packet.first & 0xc0 == 0xc0 && salt(packet.version).is_some() && ids
}

impl Quic {
    pub(super) fn new(started: Timestamp) -> Self {
        Self {
            version: 0,
            destination: Vec::new(),
            client_source: None,
            server_source: None,
            history: String::new(),
            client_side: None,
            keys: None,
            streams: Default::default(),
            packets: 0,
            session: Some(Session::new(Carrier::Quic, started)),
        }
    }

    pub(super) fn wants_more(&self) -> bool {
        self.session.is_some() && self.packets < MAX_PACKETS
    }

    pub(super) fn datagram(&mut self, side: Side, bytes: &[u8], out: &mut Vec<Event>) {
        let mut cursor = Cursor::new(bytes);
        while let Some(packet) = Long::read(&mut cursor) {
            let kind = kind(packet.first, packet.version);
            self.note(
                side,
                match kind {
                    Kind::Initial => 'I',
                    Kind::EarlyData => 'Z',
                    Kind::Handshake => 'H',
                    Kind::Retry => 'R',
                },
            );
            if kind == Kind::Initial && self.wants_more() {
                self.packets += 1;
                let known = self.hellos();
                self.initial(side, &packet);
                if self.hellos() > known {
                    self.note(side, 'S');
                }
            }
        }
        // A short header has only the fixed bit in the clear (RFC 9000, 17.3.1).
        if cursor.rest().first().is_some_and(|first| first & 0xc0 == 0x40) {
            self.note(side, 'O');
        }
        let over = |letter| self.history.contains(letter);
        if self.hellos() == 2 && (over('O') && over('o') || self.history.len() >= MAX_HISTORY) {
            self.finish(out);
        }
    }

    /// How many hellos are known.
    fn hellos(&self) -> u8 {
        self.session
            .as_ref()
            .map_or(0, |session| u8::from(session.has_client()) + u8::from(session.has_server()))
    }

    fn note(&mut self, side: Side, letter: char) {
        let by_client = self.client_side.is_none_or(|client| client == side);
        if self.history.len() < MAX_HISTORY {
            self.history.push(if by_client { letter } else { letter.to_ascii_lowercase() });
        }
    }

    fn initial(&mut self, side: Side, packet: &Long<'_>) {
        let Some((client, frames)) = self.open(side, packet) else { return };
        let source = if client { &mut self.client_source } else { &mut self.server_source };
        source.get_or_insert_with(|| packet.source.to_vec());
        let (Some(session), [from_client, from_server]) = (&mut self.session, &mut self.streams) else {
            return;
        };
        let crypto = if client { from_client } else { from_server };
        for (offset, bytes) in crypto_frames(&frames) {
            crypto.insert(offset, bytes);
        }
        crypto.messages(session, client);
    }

    /// Decrypts a packet: with the keys at hand, or as the client's first one under its own destination id.
    fn open(&mut self, side: Side, packet: &Long<'_>) -> Option<(bool, Vec<u8>)> {
        let by_client = self.client_side.is_none_or(|client| client == side);
        if let Some([client, server]) = &self.keys {
            let keys = if by_client { client } else { server };
            if let Some(frames) = keys.open(packet) {
                return Some((by_client, frames));
            }
        }
        if !by_client {
            return None;
        }
        let client = Keys::derive(packet.version, packet.destination, "client in")?;
        let frames = client.open(packet)?;
        let server = Keys::derive(packet.version, packet.destination, "server in")?;
        self.keys = Some([client, server]);
        self.version = packet.version;
        if self.destination.is_empty() {
            self.destination = packet.destination.to_vec();
        }
        self.client_side = Some(side);
        Some((true, frames))
    }

    /// The end of the flow: what is known goes out.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        let Some(session) = self.session.take().filter(Session::is_known) else { return };
        let mut event = session.describe();
        event.set("dongson.quic.version", version_name(self.version));
        event.set("dongson.quic.client_initial_dcid", hex::encode(&self.destination));
        let named = |id: Option<Vec<u8>>| id.filter(|id| !id.is_empty()).map(hex::encode);
        event.set_some("dongson.quic.client_scid", named(self.client_source.take()));
        event.set_some("dongson.quic.server_scid", named(self.server_source.take()));
        event.set("dongson.quic.history", std::mem::take(&mut self.history));
        out.push(event);
    }
}

fn version_name(version: u32) -> String {
    match version {
        1 => "1".to_owned(),
        0x6b33_43cf => "2".to_owned(),
        0xff00_0000..=0xff00_00ff => format!("draft-{}", version & 0xff),
        other => format!("0x{other:08x}"),
    }
}

/// Offset and bytes of the CRYPTO frames of an Initial packet (RFC 9000, 19); stops at what does not belong there.
fn crypto_frames(frames: &[u8]) -> Vec<(usize, &[u8])> {
    let mut out = Vec::new();
    let mut cursor = Cursor::new(frames);
    while let Some(kind) = cursor.u8() {
        let step = match kind {
            0 | 1 => Some(()),
            2 | 3 => acknowledgement(&mut cursor, kind == 3),
            6 => crypto_frame(&mut cursor).map(|frame| out.push(frame)),
            _ => None,
        };
        if step.is_none() {
            break;
        }
    }
    out
}

fn crypto_frame<'a>(cursor: &mut Cursor<'a>) -> Option<(usize, &'a [u8])> {
    let (offset, length) = (varint(cursor)?, varint(cursor)?);
    Some((offset, cursor.take(length)?))
}

fn acknowledgement(cursor: &mut Cursor<'_>, congestion: bool) -> Option<()> {
    let (_largest, _delay, ranges, _first) =
        (varint(cursor)?, varint(cursor)?, varint(cursor)?, varint(cursor)?);
    for _ in 0..ranges {
        varint(cursor)?;
        varint(cursor)?;
    }
    if congestion {
        for _ in 0..3 {
            varint(cursor)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::tls::hello::tests::client_hello;
    use super::super::tls::tests::handshake;
    use super::*;
    use proptest::prelude::*;

    /// A client's Initial packet that carries `crypto` as one frame at `offset`, encrypted as RFC 9001 says.
    fn initial(crypto: &[u8], offset: u8, number: u8) -> Vec<u8> {
        let destination = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        let keys = Keys::derive(1, &destination, "client in").unwrap();
        let long =
            |length: usize| [0x40 | u8::try_from(length >> 8).unwrap(), u8::try_from(length & 0xff).unwrap()];
        let mut frames = [&[6, offset][..], &long(crypto.len()), crypto].concat();
        frames.resize(1162, 0);
        let mut packet =
            [&[0xc0, 0, 0, 0, 1, 8][..], &destination, &[0, 0], &long(frames.len() + 17)].concat();
        let place = packet.len();
        packet.push(number);
        let mut nonce = keys.iv;
        nonce[11] ^= number;
        let nonce = Nonce::assume_unique_for_key(nonce);
        keys.packet.seal_in_place_append_tag(nonce, Aad::from(&packet), &mut frames).unwrap();
        packet.extend(frames);
        let mask = keys.header.new_mask(&packet[place + 4..place + 20]).unwrap();
        packet[0] ^= mask[0] & 0x0f;
        packet[place] ^= mask[1];
        packet
    }

    #[test]
    fn a_hello_in_two_packets_out_of_order() {
        let crypto = handshake(1, &client_hello("quic.example.vn"));
        let (first, second) = crypto.split_at(50);
        let packets = [initial(second, 50, 1), initial(first, 0, 0)];
        assert!(detect(&packets[0]));
        let mut quic = Quic::new(Timestamp::default());
        let mut out = Vec::new();
        for packet in &packets {
            quic.datagram(Side::Originator, packet, &mut out);
        }
        quic.finish(&mut out);
        assert_eq!(out[0].text("tls.client.server_name"), Some("quic.example.vn"));
        assert!(out[0].text("tls.client.ja4").unwrap().starts_with('q'));
        assert_eq!(out[0].text("dongson.quic.client_initial_dcid"), Some("8394c8f03e515708"));
        assert_eq!(out[0].text("dongson.quic.history"), Some("IIS"));
    }

    proptest! {
        #[test]
        fn any_datagram_is_read(bytes: Vec<u8>, flip in 0..1200_usize) {
            let mut quic = Quic::new(Timestamp::default());
            let mut out = Vec::new();
            quic.datagram(Side::Originator, &bytes, &mut out);
            let mut packet = initial(b"\x01\x00\x00\x02ab", 0, 0);
            let place = flip % packet.len();
            packet[place] ^= 1;
            quic.datagram(Side::Responder, &packet, &mut out);
            drop(crypto_frames(&bytes));
        }
    }
}
