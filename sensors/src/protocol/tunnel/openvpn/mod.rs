//! `OpenVPN`: who opens a session, and the TLS handshake of its control channel where that is in the clear (the project's
//! "`OpenVPN` Wire Protocol").
//!
//! In: datagrams, or both directions of a stream. Out: one `sensor.openvpn` event per session, when both sides have opened
//! it or at the end; and what the parser of TLS tells of the handshake, which only `tls-crypt` hides. Data is not read.
//! Memory: one packet of [`MAX_PACKET`] bytes per side of a stream, [`MAX_EARLY`] packets per side that came too early, and
//! what TLS needs.

mod packet;

use std::collections::BTreeMap;

use dongson_event::{Event, Timestamp};

use super::super::detect::Verdict;
use super::super::dissect::{Datagrams, Start, Stream};
use super::super::frames::{Frames, Length, Shape};
use super::super::tls::Tls;
use crate::protocol::Side;
use packet::{Opcode, Packet, Protection};

/// Bytes of a packet of a stream that are read.
const MAX_PACKET: usize = 2048;
/// Packets of one side that are kept until those before them come.
const MAX_EARLY: usize = 16;

const SHAPE: Shape = Shape { length, magic: None, keep: MAX_PACKET };

/// Over TCP the length stands in front.
fn length(bytes: &[u8]) -> Length {
    match bytes {
        [high, low, ..] => match usize::from(u16::from_be_bytes([*high, *low])) {
            0 => Length::Broken,
            length => Length::Is(2 + length),
        },
        _ => Length::Unknown,
    }
}

/// Whether a datagram opens a session.
pub(in crate::protocol) fn is_opening(bytes: &[u8]) -> bool {
    packet::opening(bytes).is_some()
}

/// Whether a stream begins with a packet that opens a session.
pub(in crate::protocol) fn begins(prefix: &[u8]) -> Verdict {
    let [high, low, rest @ ..] = prefix else { return Verdict::Maybe };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    match rest.first() {
        _ if !(packet::SHORTEST..=packet::LONGEST).contains(&length) => Verdict::No,
        Some(first) if !packet::may_open(*first) => Verdict::No,
        _ => match rest.get(..length) {
            Some(packet) => Verdict::of(is_opening(packet)),
            None => Verdict::Maybe,
        },
    }
}

/// The packets of one side's control channel, put in order.
#[derive(Debug, Default)]
struct Half {
    frames: Frames,
    /// The number of the packet that is next.
    next: u32,
    early: BTreeMap<u32, Vec<u8>>,
}

/// A flow or a connection that speaks `OpenVPN`.
#[derive(Debug)]
pub(in crate::protocol) struct Openvpn {
    /// Who opened it; known once a packet that opens was read.
    client: Option<Side>,
    halves: [Half; 2],
    protection: Option<Protection>,
    event: Option<(Timestamp, Event)>,
    tls: Option<Box<Tls>>,
    ended: bool,
    reads_tls: bool,
}

impl Openvpn {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        Self {
            client: None,
            halves: Default::default(),
            protection: None,
            event: None,
            tls: None,
            ended: false,
            reads_tls: start.options.kinds.any(&[crate::protocol::Kind::Tls, crate::protocol::Kind::X509]),
        }
    }

    fn packet(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if let Some((packet, protection)) = packet::opening(bytes) {
            self.open(side, at, &packet, protection, out);
            return;
        }
        let Some(&first) = bytes.first() else { return };
        match Opcode::of(first) {
            Some(Opcode::Data) => self.ended = self.tls.as_ref().is_none_or(|tls| !tls.wants_more(side)),
            Some(Opcode::Control) if packet::key(first) == 0 => {
                let Some(packet) = self.protection.and_then(|protection| Packet::read(bytes, protection))
                else {
                    return;
                };
                if let Some(number) = packet.number {
                    self.control(side, number, packet.content, out);
                }
            }
            _ => {}
        }
    }

    /// A packet that opens a session: its sender's identifier, and the beginning of its numbers.
    fn open(
        &mut self,
        side: Side,
        at: Timestamp,
        packet: &Packet<'_>,
        protection: Protection,
        out: &mut Vec<Event>,
    ) {
        let by_client = packet.opcode == Opcode::ClientReset;
        let (ours, theirs) = if by_client {
            ("dongson.openvpn.client_session", "dongson.openvpn.server_session")
        } else {
            ("dongson.openvpn.server_session", "dongson.openvpn.client_session")
        };
        let session = hex::encode(packet.session);
        let again = self.event.as_ref().is_some_and(|(_, event)| event.text(ours) == Some(session.as_str()));
        if again {
            return;
        }
        // A client that begins anew, with another session.
        if by_client && self.event.as_ref().is_some_and(|(_, event)| event.get(ours).is_some()) {
            self.tell(out);
        }
        let client = if by_client { side } else { side.other() };
        if by_client || self.client.is_none() {
            self.client = Some(client);
            self.tls = (protection.is_readable() && self.reads_tls).then(|| Box::new(Tls::new(client, at)));
            for half in &mut self.halves {
                (half.next, half.early) = (1, BTreeMap::new());
            }
            self.protection = Some(protection);
            self.ended = false;
        }
        let (before, mut event) = self.event.take().unwrap_or_else(|| (at, base(at, protection)));
        event.set(ours, session);
        if event.get(theirs).is_some() {
            event.set("event.duration", at.nanos().saturating_sub(before.nanos()));
            event.set("event.outcome", "success");
            out.push(event);
        } else {
            self.event = Some((before, event));
        }
    }

    /// A packet of the handshake: given to TLS when all before it were.
    fn control(&mut self, side: Side, number: u32, content: &[u8], out: &mut Vec<Event>) {
        let Some(tls) = &mut self.tls else { return };
        let half = side.of_mut(&mut self.halves);
        if number > half.next {
            if half.early.len() < MAX_EARLY {
                half.early.insert(number, content.to_vec());
            }
            return;
        }
        if number < half.next {
            return;
        }
        tls.data(side, content, out);
        half.next = half.next.saturating_add(1);
        while let Some(content) = half.early.remove(&half.next) {
            tls.data(side, &content, out);
            half.next = half.next.saturating_add(1);
        }
    }

    /// The end of a session, or of what is seen of it.
    fn tell(&mut self, out: &mut Vec<Event>) {
        out.extend(self.event.take().map(|(_, event)| event));
        if let Some(mut tls) = self.tls.take() {
            tls.finish(out);
        }
    }
}

fn base(at: Timestamp, protection: Protection) -> Event {
    let mut event = Event::of("sensor.openvpn", at);
    event.set("network.protocol", "openvpn");
    event.set("event.action", "session");
    event.set("event.outcome", "unknown");
    event.set("dongson.openvpn.protection", protection.name());
    if let Protection::Auth(length) = protection {
        event.set("dongson.openvpn.hmac_length", u64::try_from(length).unwrap_or(u64::MAX));
    }
    event
}

impl Datagrams for Openvpn {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        self.packet(side, at, bytes, out);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.tell(out);
    }
}

impl Stream for Openvpn {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut frames = std::mem::take(&mut side.of_mut(&mut self.halves).frames);
        frames.feed(&SHAPE, bytes, |message| {
            self.packet(side, at, message.get(2..).unwrap_or_default(), out);
        });
        side.of_mut(&mut self.halves).frames = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.halves).frames.gap(&SHAPE, length);
        if let Some(tls) = &mut self.tls {
            tls.gap(side, length);
        }
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.tell(out);
    }

    fn wants_more(&self, side: Side) -> bool {
        !self.ended && !side.of(&self.halves).frames.is_broken()
    }
}

#[cfg(test)]
mod tests;
