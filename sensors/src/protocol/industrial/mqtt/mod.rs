//! MQTT 3.1, 3.1.1 and 5: who connects, what is published and subscribed to (OASIS MQTT 3.1.1 and 5.0).
//!
//! In: both directions. Out: one `sensor.mqtt` event per exchange: a CONNECT with its CONNACK, a PUBLISH with what confirms
//! it, a SUBSCRIBE or UNSUBSCRIBE with its answer, a PINGREQ with its PINGRESP; every other message is one of its own.
//! Passwords and data of authentication are sealed. Memory: the first [`KEEP`] bytes of one message per side and
//! [`MAX_OPEN`] open exchanges.

mod message;
mod properties;
#[cfg(test)]
mod tests;

use dongson_event::{Event, Timestamp};

use super::super::dissect::{Start, Stream};
use super::super::frames::{Frames, Length, Shape};
use super::super::wire::Cursor;
use crate::protocol::Side;

/// Bytes of a message that are read.
const KEEP: usize = 16 * 1024;
/// Exchanges that wait for an answer; one more, and the oldest goes out.
const MAX_OPEN: usize = 64;

const SHAPE: Shape = Shape { length, magic: None, keep: KEEP };

/// One byte of kind and flags, then the length of the rest in up to four bytes (2.1 of MQTT 5.0).
fn length(bytes: &[u8]) -> Length {
    let mut cursor = Cursor::new(bytes);
    cursor.u8();
    let before = cursor.rest().len();
    match properties::variable(&mut cursor).and_then(|rest| usize::try_from(rest).ok()) {
        Some(rest) => Length::Is(1 + before - cursor.rest().len() + rest),
        None if before >= 4 => Length::Broken,
        None => Length::Unknown,
    }
}

/// The fixed header of a message.
#[derive(Debug, Clone, Copy)]
struct Header {
    /// 1 CONNECT to 15 AUTH.
    kind: u8,
    flags: u8,
    /// Bytes at the end that were not kept.
    cut: usize,
}

impl Header {
    fn qos(self) -> u8 {
        (self.flags >> 1) & 3
    }

    /// Table 2-1 of the specification, in small letters.
    fn name(self) -> &'static str {
        match self.kind {
            1 => "connect",
            2 => "connack",
            3 => "publish",
            4 => "puback",
            5 => "pubrec",
            6 => "pubrel",
            7 => "pubcomp",
            8 => "subscribe",
            9 => "suback",
            10 => "unsubscribe",
            11 => "unsuback",
            12 => "pingreq",
            13 => "pingresp",
            14 => "disconnect",
            15 => "auth",
            _ => "unassigned",
        }
    }

    /// The kind that begins the exchange to which this one belongs.
    fn begun_by(self) -> Option<u8> {
        match self.kind {
            2 | 9 | 11 | 13 => Some(self.kind - 1),
            4..=7 => Some(3),
            _ => None,
        }
    }

    fn wants_answer(self) -> bool {
        matches!(self.kind, 1 | 8 | 10 | 12) || self.kind == 3 && self.qos() > 0
    }

    /// What no message may look like (2.1.2 and 3.3.1.2 of MQTT 5.0).
    fn fault(self, version: u8) -> Option<&'static str> {
        match self.kind {
            0 => Some("unassigned message type"),
            15 if version < 5 => Some("unassigned message type"),
            3 if self.qos() == 3 => Some("invalid QoS level"),
            _ => None,
        }
    }
}

/// Messages that belong together.
#[derive(Debug)]
struct Exchange {
    /// Who began it, with which kind and which identifier of a message (0 where there is none).
    key: (Side, u8, u16),
    at: Timestamp,
    event: Event,
    messages: Vec<&'static str>,
    codes: Vec<u8>,
    properties: Vec<String>,
    failed: bool,
}

impl Exchange {
    fn new(key: (Side, u8, u16), at: Timestamp, header: Header) -> Self {
        let mut event = Event::of("sensor.mqtt", at);
        event.set("network.protocol", "mqtt");
        event.set("event.action", header.name());
        event.set("dongson.mqtt.qos", header.qos());
        event.set("dongson.mqtt.dup", header.flags & 8 != 0);
        event.set("dongson.mqtt.retain", header.flags & 1 != 0);
        let (messages, codes, properties) = (Vec::new(), Vec::new(), Vec::new());
        Self { key, at, event, messages, codes, properties, failed: false }
    }

    /// The event of it, with its outcome once an answer told it.
    fn finish(self) -> Event {
        let Self { mut event, messages, codes, properties, .. } = self;
        let connect = self.key.1 == 1;
        let failed = self.failed || codes.iter().any(|code| *code >= 0x80 || connect && *code != 0);
        if messages.len() > 1 {
            event.set("event.outcome", if failed { "failure" } else { "success" });
        }
        event.set("dongson.mqtt.messages", messages);
        if !codes.is_empty() {
            event.set("dongson.mqtt.reason_codes", codes);
        }
        if !properties.is_empty() {
            event.set("dongson.mqtt.properties", properties);
        }
        event
    }
}

/// A connection that speaks MQTT.
#[derive(Debug)]
pub(in crate::protocol) struct Mqtt {
    frames: [Frames; 2],
    open: Vec<Exchange>,
    version: u8,
    key: [u8; 32],
}

impl Mqtt {
    pub(in crate::protocol) fn new(start: &Start<'_>) -> Self {
        let key = start.options.secret_key;
        Self { frames: <[Frames; 2]>::default(), open: Vec::new(), version: 4, key }
    }

    fn message(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) -> Option<()> {
        let mut cursor = Cursor::new(bytes);
        let first = cursor.u8()?;
        let length = usize::try_from(properties::variable(&mut cursor)?).ok()?;
        let body = cursor.rest();
        let header = Header { kind: first >> 4, flags: first & 15, cut: length.saturating_sub(body.len()) };
        if header.kind == 1 {
            self.version = version(body).unwrap_or(self.version);
        }
        let mut exchange = self.exchange(side, at, header, body);
        if exchange.messages.len() < MAX_OPEN {
            exchange.messages.push(header.name());
            let scene = message::Scene { version: self.version, key: &self.key };
            let _ = message::read(&mut exchange, header, body, scene);
        }
        if let Some(fault) = header.fault(self.version) {
            exchange.event.set("error.message", fault);
        }
        self.keep(header, exchange, out);
        Some(())
    }

    /// The open exchange that this message belongs to, or a new one.
    fn exchange(&mut self, side: Side, at: Timestamp, header: Header, body: &[u8]) -> Exchange {
        let id = identifier(header, body).unwrap_or(0);
        if let Some(kind) = header.begun_by() {
            // PUBREL comes from who published, every answer from the other side.
            let beginner = if header.kind == 6 { side } else { side.other() };
            let key = (beginner, kind, id);
            if let Some(place) = self.open.iter().position(|open| open.key == key) {
                let mut exchange = self.open.remove(place);
                let duration = at.nanos().saturating_sub(exchange.at.nanos());
                exchange.event.set("event.duration", duration);
                return exchange;
            }
            return Exchange::new(key, at, header);
        }
        Exchange::new((side, header.kind, id), at, header)
    }

    /// Sends the exchange out, or keeps it while more belongs to it.
    fn keep(&mut self, header: Header, exchange: Exchange, out: &mut Vec<Event>) {
        let refused = exchange.codes.last().is_some_and(|code| *code >= 0x80);
        let begun = exchange.messages.first() == Some(&"publish");
        if !header.wants_answer() && (!matches!(header.kind, 5 | 6) || refused || !begun) {
            out.push(exchange.finish());
            return;
        }
        if self.open.len() == MAX_OPEN {
            out.push(self.open.remove(0).finish());
        }
        self.open.push(exchange);
    }
}

/// Byte behind the protocol's name in a CONNECT; its first bit marks a bridge.
fn version(body: &[u8]) -> Option<u8> {
    let mut cursor = Cursor::new(body);
    cursor.vec16()?;
    cursor.u8().map(|version| version & 0x7f)
}

/// The identifier of a message that has one.
fn identifier(header: Header, body: &[u8]) -> Option<u16> {
    let mut cursor = Cursor::new(body);
    match header.kind {
        3 if header.qos() > 0 => {
            cursor.vec16()?;
            cursor.u16()
        }
        4..=11 => cursor.u16(),
        _ => None,
    }
}

impl Stream for Mqtt {
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let mut frames = std::mem::take(side.of_mut(&mut self.frames));
        frames.feed(&SHAPE, bytes, |message| {
            let _ = self.message(side, at, message, out);
        });
        *side.of_mut(&mut self.frames) = frames;
    }

    fn gap(&mut self, side: Side, length: u64) {
        side.of_mut(&mut self.frames).gap(&SHAPE, length);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.open.drain(..).map(Exchange::finish));
    }

    fn wants_more(&self, side: Side) -> bool {
        !side.of(&self.frames).is_broken()
    }
}
