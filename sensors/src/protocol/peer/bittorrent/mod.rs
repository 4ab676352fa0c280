//! `BitTorrent`: who shares what with whom (BEP 3, 5, 15, 29).
//!
//! In: a connection that begins with the handshake, or datagrams: messages of the DHT, of a tracker over UDP, or uTP, in which the
//! handshake passes. Out: `sensor.bittorrent` events: one per handshake of both peers, one per request with its answer. Memory:
//! one handshake per side, [`MAX_PENDING`] requests per flow.

mod bencode;
mod dht;
mod handshake;
mod tracker;

use std::collections::VecDeque;

use dongson_event::{Event, Timestamp};

use crate::protocol::Side;
use crate::protocol::dissect::{Datagrams, Start, Stream};
use handshake::Handshake;

/// Requests that wait for an answer; one more, and the oldest goes out without one.
const MAX_PENDING: usize = 32;
/// Bytes of a handshake (BEP 3).
const HANDSHAKE: usize = 68;

/// An event of `BitTorrent`.
fn event(at: Timestamp, action: &'static str) -> Event {
    let mut event = Event::of("sensor.bittorrent", at);
    event.set("event.kind", "event");
    event.set("event.category", vec!["network"]);
    event.set("event.type", vec!["protocol"]);
    event.set("event.action", action);
    event.set("network.protocol", "bittorrent");
    event
}

/// The handshakes of a connection, or of uTP.
#[derive(Debug, Default)]
struct Meeting {
    began: Option<Timestamp>,
    hands: [Option<Handshake>; 2],
    told: bool,
}

impl Meeting {
    fn shake(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.began.get_or_insert(at);
        let hand = side.of_mut(&mut self.hands);
        if hand.is_none() {
            *hand = Handshake::parse(bytes);
        }
        if self.hands.iter().all(Option::is_some) {
            self.finish(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        let (Some(began), false) = (self.began, self.told) else { return };
        self.told = true;
        let mut event = event(began, "handshake");
        handshake::describe(&mut event, &self.hands);
        out.push(event);
    }
}

/// A connection between two peers; nothing is read behind the handshakes.
#[derive(Debug)]
pub(in crate::protocol) struct Peers {
    held: [Vec<u8>; 2],
    done: [bool; 2],
    meeting: Meeting,
}

impl Peers {
    pub(in crate::protocol) fn new() -> Self {
        Self { held: Default::default(), done: [false; 2], meeting: Meeting::default() }
    }
}

impl Stream for Peers {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if *side.of(&self.done) {
            return;
        }
        self.meeting.began.get_or_insert(at);
        let held = side.of_mut(&mut self.held);
        let room = HANDSHAKE.saturating_sub(held.len());
        held.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        if held.len() == HANDSHAKE {
            let whole = std::mem::take(held);
            *side.of_mut(&mut self.done) = true;
            self.meeting.shake(side, at, &whole, out);
        }
    }

    fn gap(&mut self, side: Side, _length: u64) {
        *side.of_mut(&mut self.done) = true;
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.meeting.finish(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.done)
    }
}

/// What a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dht,
    Tracker,
    Utp,
}

/// A request on its way, with what finds its answer.
#[derive(Debug)]
struct Pending {
    side: Side,
    id: Vec<u8>,
    at: Timestamp,
    event: Event,
}

/// A flow of datagrams.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Flow {
    pending: VecDeque<Pending>,
    meeting: Meeting,
    key: [u8; 32],
}

impl Flow {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self { key: start.options.secret_key, ..Self::default() }
    }

    /// Keeps a request, or sends an answer out together with its request.
    fn message(&mut self, side: Side, at: Timestamp, message: Message, out: &mut Vec<Event>) {
        let Message { id, mut event, answers } = message;
        if answers {
            let asked = self.pending.iter().position(|held| held.side != side && held.id == id);
            if let Some(asked) = asked.and_then(|place| self.pending.remove(place)) {
                let mut whole = asked.event;
                whole.set("event.duration", at.nanos().saturating_sub(asked.at.nanos()));
                // What the request says of itself stays; the answer adds its own.
                for (name, value) in event.iter().filter(|(name, _)| name.starts_with("dongson.")) {
                    if whole.get(name).is_none() {
                        whole.set(name.to_owned(), value.clone());
                    }
                }
                whole.set_some("event.outcome", event.get("event.outcome").cloned());
                event = whole;
            }
            out.push(event);
            return;
        }
        if self.pending.len() == MAX_PENDING {
            out.extend(self.pending.pop_front().map(|oldest| oldest.event));
        }
        self.pending.push_back(Pending { side, id, at, event });
    }
}

/// One message of the DHT or a tracker.
#[derive(Debug)]
struct Message {
    /// What request and answer share.
    id: Vec<u8>,
    event: Event,
    answers: bool,
}

impl Datagrams for Flow {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let message = match kind(bytes) {
            Some(Kind::Utp) => {
                if let Some(payload) = payload(bytes).filter(|payload| payload.starts_with(handshake::START))
                {
                    self.meeting.shake(side, at, payload, out);
                }
                return;
            }
            Some(Kind::Dht) => dht::read(at, bytes, &self.key),
            _ => tracker::read(at, bytes),
        };
        if let Some(message) = message {
            self.message(side, at, message, out);
        }
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.pending.drain(..).map(|pending| pending.event));
        self.meeting.finish(out);
    }
}

/// Whether a datagram is one of `BitTorrent`'s, whose first ones cannot be mistaken.
pub(in crate::protocol) fn is_datagram(bytes: &[u8]) -> bool {
    match kind(bytes) {
        Some(Kind::Dht) => dht::read(Timestamp::default(), bytes, &[0; 32]).is_some(),
        Some(Kind::Tracker) => tracker::is_connect(bytes),
        Some(Kind::Utp) => {
            is_syn(bytes) || payload(bytes).is_some_and(|payload| payload.starts_with(handshake::START))
        }
        None => false,
    }
}

fn kind(bytes: &[u8]) -> Option<Kind> {
    match bytes {
        [b'd', b'1' | b'2', b':', ..] if bytes.last() == Some(&b'e') => Some(Kind::Dht),
        // Version 1, kinds 0 to 4, extensions 0 to 2 (BEP 29).
        [0x01 | 0x11 | 0x21 | 0x31 | 0x41, 0..=2, ..] if bytes.len() >= 20 => Some(Kind::Utp),
        [0, 0, ..] if bytes.len() >= 8 => Some(Kind::Tracker),
        _ => None,
    }
}

/// The first packet of uTP: nothing was heard of the other end yet, so that the difference of clocks and the number of its
/// last packet are 0.
fn is_syn(bytes: &[u8]) -> bool {
    matches!(bytes, [0x41, 0, ..])
        && bytes.len() == 20
        && bytes.get(8..12) == Some(&[0; 4])
        && bytes.get(18..20) == Some(&[0; 2])
        && bytes.get(4..8) != Some(&[0; 4])
}

/// What a packet of uTP carries, behind its extensions.
fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let (mut next, mut rest) = (*bytes.get(1)?, bytes.get(20..)?);
    for _ in 0..4 {
        if next == 0 {
            return Some(rest);
        }
        let [following, length, behind @ ..] = rest else { return None };
        (next, rest) = (*following, behind.get(usize::from(*length)..)?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    fn hand(client: [u8; 8]) -> Vec<u8> {
        let rest = [&[0, 0, 0, 0, 0, 0x10, 0, 5][..], &[0xab; 20], &client, b"abcdefghijkl"].concat();
        [handshake::START, &rest].concat()
    }

    #[test]
    fn peers_meet() {
        for chunk in [1, 30, 1000] {
            let (mut peers, mut out) = (Peers::new(), Vec::new());
            for (side, bytes) in [(C, hand(*b"-qB4630-")), (S, [hand(*b"-TR3000-"), vec![0; 50]].concat())] {
                for piece in bytes.chunks(chunk) {
                    peers.data(side, Timestamp::default(), piece, &mut out);
                }
            }
            peers.finish(Timestamp::default(), &mut out);
            assert_eq!(out.len(), 1);
            assert_eq!(out[0].text("dongson.bittorrent.info_hash"), Some("ab".repeat(20).as_str()));
            assert_eq!(out[0].text("dongson.bittorrent.client.software"), Some("qBittorrent 4.6.3.0"));
            assert_eq!(out[0].text("dongson.bittorrent.server.software"), Some("Transmission 3.0.0.0"));
            assert!(!peers.wants_more(C) && !peers.wants_more(S));
        }
    }

    fn run(turns: &[(Side, &[u8])]) -> Vec<Event> {
        let (mut flow, mut out) = (Flow::default(), Vec::new());
        for (side, bytes) in turns {
            flow.datagram(*side, Timestamp::default(), bytes, &mut out);
        }
        flow.finish(Timestamp::default(), &mut out);
        out
    }

    #[test]
    fn the_table_is_asked() {
        let ask = b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa9:info_hash20:hhhhhhhhhhhhhhhhhhhhe1:q9:get_peers1:t2:xy1:v4:LT\x01\x021:y1:qe";
        let reply = b"d1:rd2:id20:bbbbbbbbbbbbbbbbbbbb5:token3:bmt6:valuesl6:\x0a\x00\x00\x01\x1a\xe1ee1:t2:xy1:y1:re";
        assert!(is_datagram(ask) && is_datagram(reply));
        let told = run(&[(C, ask), (S, reply)]);
        assert_eq!(told.len(), 1);
        let text = |name: &str| {
            told[0].get(&format!("dongson.bittorrent.{name}")).map(|value| value.to_text().into_owned())
        };
        assert_eq!(text("dht.request_type").as_deref(), Some("get_peers"));
        assert_eq!(text("info_hash").as_deref(), Some("68".repeat(20).as_str()));
        assert_eq!(text("dht.response.values").as_deref(), Some("10.0.0.1:6881"));
        assert_eq!(text("dht.transaction_id").as_deref(), Some("7879"));
        let token = text("dht.response.token").unwrap();
        assert!(token.starts_with("hmac-sha256:"), "{token}");
        let error = b"d1:eli203e3:bade1:t2:zz1:y1:ee";
        let told = run(&[(C, error)]);
        assert_eq!(told[0].int("dongson.bittorrent.dht.error_code"), Some(203));
        for other in [&b"d8:announce3:url1:y1:qe"[..], b"d1:t2:xy1:y1:xe", b"d1:y1:qe", b"{}", b"d1:t2:xye"] {
            assert!(!is_datagram(other), "{other:?}");
        }
    }

    #[test]
    fn a_tracker_is_asked() {
        let connect = [&tracker::MAGIC[..], &[0, 0, 0, 0], b"tid0"].concat();
        let connected = [&[0, 0, 0, 0][..], b"tid0", &[9; 8]].concat();
        let announce = [
            &[9; 8][..],
            &[0, 0, 0, 1],
            b"tid1",
            &[0xcd; 20],
            b"-UT3550-abcdefghijkl",
            &[0; 24],
            &[0, 0, 0, 2],
            &[0; 14],
        ]
        .concat();
        let answer = [
            &[0, 0, 0, 1][..],
            b"tid1",
            &[0, 0, 7, 8],
            &[0, 0, 0, 3],
            &[0, 0, 0, 4],
            &[10, 0, 0, 2, 0x1a, 0xe1],
        ]
        .concat();
        assert!(is_datagram(&connect) && !is_datagram(&connected) && !is_datagram(&announce));
        let told = run(&[(C, &connect), (S, &connected), (C, &announce), (S, &answer)]);
        assert_eq!(told.len(), 2);
        assert_eq!(told[1].text("event.action"), Some("announce"));
        assert_eq!(told[1].text("dongson.bittorrent.client.software"), Some("µTorrent 3.5.5.0"));
        assert_eq!(told[1].int("dongson.bittorrent.tracker.seeders"), Some(4));
        assert_eq!(told[1].get("dongson.bittorrent.tracker.peers").unwrap().to_text(), "10.0.0.2:6881");
    }

    #[test]
    fn a_handshake_in_utp() {
        let syn = [&[0x41, 0, 1, 2, 9, 9, 9, 9][..], &[0; 4], &[0, 0, 0xff, 0xff, 0, 1, 0, 0]].concat();
        assert!(is_datagram(&syn));
        let head = [&[0x01, 1][..], &[7; 18], &[0, 4, 0, 0, 0, 0]].concat();
        let data = [head.clone(), hand(*b"-LT2000-")].concat();
        assert!(is_datagram(&data) && !is_datagram(&head));
        let told = run(&[(C, &syn), (C, &data), (S, &data)]);
        assert_eq!(told.len(), 1);
        assert_eq!(
            told[0].text("dongson.bittorrent.client.software"),
            Some("libtorrent (Rasterbar) 2.0.0.0")
        );
    }

    #[test]
    fn requests_are_bounded() {
        let mut flow = Flow::default();
        let mut out = Vec::new();
        for number in 100..300 {
            let ask = format!("d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t3:{number}1:y1:qe");
            flow.datagram(C, Timestamp::default(), ask.as_bytes(), &mut out);
        }
        assert_eq!((flow.pending.len(), out.len()), (MAX_PENDING, 200 - MAX_PENDING));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(talk: Vec<(bool, u8, Vec<u8>)>) {
            let (mut peers, mut flow, mut out) = (Peers::new(), Flow::default(), Vec::new());
            for (client, start, bytes) in talk {
                let side = if client { C } else { S };
                let starts: [&[u8]; 5] = [b"", b"d1:ad2:id", &[0, 0, 0, 1], handshake::START, &[1, 1]];
                let bytes = [starts[usize::from(start) % 5], &bytes].concat();
                peers.data(side, Timestamp::default(), &bytes, &mut out);
                let _ = is_datagram(&bytes);
                flow.datagram(side, Timestamp::default(), &bytes, &mut out);
            }
            flow.finish(Timestamp::default(), &mut out);
        }
    }
}
