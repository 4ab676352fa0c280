//! What one message of MQTT says (chapter 3 of MQTT 3.1.1 and 5.0), added to its exchange.

use super::super::super::secret;
use super::super::super::wire::{Cursor, text};
use super::properties;
use super::{Exchange, Header};

/// Topics of one message that are told.
const MAX_TOPICS: usize = 64;
/// Bytes of a topic, a name or an identifier that are told.
const MAX_NAME: usize = 512;
/// Bytes of a payload that are told.
const MAX_PAYLOAD: usize = 1024;

/// What the meaning of a message depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// 3, 4 (which is 3.1.1) or 5, as CONNECT tells.
    pub(super) version: u8,
    pub(super) key: &'a [u8; 32],
}

/// Reads the variable header and the payload; what is cut off is absent.
pub(super) fn read(exchange: &mut Exchange, header: Header, body: &[u8], scene: Scene<'_>) -> Option<()> {
    let mut cursor = Cursor::new(body);
    let cursor = &mut cursor;
    match header.kind {
        1 => connect(exchange, cursor, scene),
        2 => {
            exchange.event.set("dongson.mqtt.session_present", cursor.u8()? & 1 != 0);
            exchange.codes.push(cursor.u8()?);
            more_properties(exchange, header, cursor, scene)
        }
        3 => publish(exchange, header, cursor, scene),
        4..=7 => {
            exchange.event.set("dongson.mqtt.message_id", cursor.u16()?);
            reason(exchange, header, cursor, scene)
        }
        8 | 10 => topics(exchange, header, cursor, scene),
        9 => {
            exchange.event.set("dongson.mqtt.message_id", cursor.u16()?);
            more_properties(exchange, header, cursor, scene)?;
            let codes = first(cursor.rest());
            exchange.event.set("dongson.mqtt.granted_qos", codes.to_vec());
            exchange.failed |= codes.iter().any(|code| *code >= 0x80);
            Some(())
        }
        11 => {
            exchange.event.set("dongson.mqtt.message_id", cursor.u16()?);
            more_properties(exchange, header, cursor, scene)?;
            exchange.codes.extend_from_slice(first(cursor.rest()));
            Some(())
        }
        14 | 15 => reason(exchange, header, cursor, scene),
        _ => Some(()),
    }
}

fn first(codes: &[u8]) -> &[u8] {
    codes.get(..MAX_TOPICS).unwrap_or(codes)
}

/// A reason code and properties, which only version 5 has; without a code it is 0 (3.4.2.1, 3.14.2.1).
fn reason(exchange: &mut Exchange, header: Header, cursor: &mut Cursor<'_>, scene: Scene<'_>) -> Option<()> {
    if scene.version < 5 {
        return Some(());
    }
    exchange.codes.push(cursor.u8().unwrap_or(0));
    more_properties(exchange, header, cursor, scene)
}

fn more_properties(
    exchange: &mut Exchange,
    header: Header,
    cursor: &mut Cursor<'_>,
    scene: Scene<'_>,
) -> Option<()> {
    if scene.version < 5 || cursor.is_empty() {
        return Some(());
    }
    properties::read(cursor, header.name(), scene.key, &mut exchange.properties)
}

/// 3.1: the flags are clean session 2, will 4, its `QoS` 8 and 16, its retain 32, password 64, user 128.
fn connect(exchange: &mut Exchange, cursor: &mut Cursor<'_>, scene: Scene<'_>) -> Option<()> {
    let event = &mut exchange.event;
    event.set("dongson.mqtt.protocol", text(cursor.vec16()?, MAX_NAME));
    event.set("dongson.mqtt.version", cursor.u8()? & 0x7f);
    let flags = cursor.u8()?;
    event.set("dongson.mqtt.clean_session", flags & 2 != 0);
    event.set("dongson.mqtt.keep_alive", cursor.u16()?);
    if scene.version >= 5 {
        properties::read(cursor, "connect", scene.key, &mut exchange.properties)?;
    }
    event.set("dongson.mqtt.client_id", text(cursor.vec16()?, MAX_NAME));
    event.set("dongson.mqtt.will.present", flags & 4 != 0);
    if flags & 4 != 0 {
        event.set("dongson.mqtt.will.qos", (flags >> 3) & 3);
        event.set("dongson.mqtt.will.retain", flags & 0x20 != 0);
        if scene.version >= 5 {
            properties::read(cursor, "will", scene.key, &mut exchange.properties)?;
        }
        event.set("dongson.mqtt.will.topic", text(cursor.vec16()?, MAX_NAME));
        event.set("dongson.mqtt.will.payload", text(cursor.vec16()?, MAX_PAYLOAD));
    }
    if flags & 0x80 != 0 {
        event.set("user.name", text(cursor.vec16()?, MAX_NAME));
    }
    if flags & 0x40 != 0 {
        event.set("dongson.mqtt.password", secret::seal(scene.key, cursor.vec16()?));
    }
    Some(())
}

/// 3.3; the identifier is there from `QoS` 1 on.
fn publish(exchange: &mut Exchange, header: Header, cursor: &mut Cursor<'_>, scene: Scene<'_>) -> Option<()> {
    exchange.event.set("dongson.mqtt.topics", vec![text(cursor.vec16()?, MAX_NAME)]);
    if header.qos() > 0 {
        exchange.event.set("dongson.mqtt.message_id", cursor.u16()?);
    }
    more_properties(exchange, header, cursor, scene)?;
    let kept = cursor.rest().len();
    exchange.event.set("dongson.mqtt.payload", text(cursor.rest(), MAX_PAYLOAD));
    exchange.event.set("dongson.mqtt.payload_bytes", kept.saturating_add(header.cut));
    Some(())
}

/// 3.8 and 3.10: topics, each with its options when they are subscribed to.
fn topics(exchange: &mut Exchange, header: Header, cursor: &mut Cursor<'_>, scene: Scene<'_>) -> Option<()> {
    exchange.event.set("dongson.mqtt.message_id", cursor.u16()?);
    more_properties(exchange, header, cursor, scene)?;
    let (mut topics, mut asked) = (Vec::new(), Vec::new());
    while topics.len() < MAX_TOPICS {
        let Some(topic) = cursor.vec16() else { break };
        topics.push(text(topic, MAX_NAME));
        if header.kind == 8 {
            asked.push(cursor.u8().unwrap_or(0) & 3);
        }
    }
    exchange.event.set("dongson.mqtt.topics", topics);
    if header.kind == 8 {
        exchange.event.set("dongson.mqtt.requested_qos", asked);
    }
    Some(())
}
