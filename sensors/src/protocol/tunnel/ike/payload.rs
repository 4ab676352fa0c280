//! Payloads in their chain: each tells the kind of the next one and its own length (RFC 2408, 3.2; RFC 7296, 3.2).

use dongson_event::Event;

use super::super::super::wire::{Cursor, text};
use super::{Header, names, offer};

/// Payloads of one message that are read.
const MAX_PAYLOADS: usize = 64;
/// Longest part of a maker's mark that is told, in bytes.
const MAX_MARK: usize = 32;

/// What a message says in the clear.
#[derive(Debug, Default)]
struct Told {
    payloads: Vec<String>,
    vendors: Vec<String>,
    notifications: Vec<String>,
    errors: u64,
}

pub(super) fn describe(event: &mut Event, header: Header, bytes: &[u8]) {
    let (mut told, mut cursor, mut kind) = (Told::default(), Cursor::new(bytes), header.next);
    while kind != 0 && told.payloads.len() < MAX_PAYLOADS {
        let mut next = cursor;
        let (Some(following), Some(_), Some(length)) = (next.u8(), next.u8(), next.u16()) else { break };
        let Some(body) = usize::from(length).checked_sub(4).and_then(|length| next.take(length)) else {
            break;
        };
        cursor = next;
        told.payloads.push(names::payload(header.major, kind));
        read(event, &mut told, header, kind, body);
        // What is behind an encrypted payload is inside of it.
        if matches!(kind, 46 | 53) && header.major == 2 {
            break;
        }
        kind = following;
    }
    if header.major == 2 {
        event.set("dongson.ike.errors", told.errors);
    }
    for (name, list) in [
        ("dongson.ike.payloads", told.payloads),
        ("dongson.ike.vendor_ids", told.vendors),
        ("dongson.ike.notifications", told.notifications),
    ] {
        if !list.is_empty() {
            event.set(name, list);
        }
    }
}

fn read(event: &mut Event, told: &mut Told, header: Header, kind: u8, body: &[u8]) {
    match (header.major, kind) {
        (1, 1) => drop(offer::version1(event, body)),
        (2, 33) => offer::version2(event, body),
        (2, 34) => event.set_some("dongson.ike.dh_group", Cursor::new(body).u16().map(names::group)),
        (1, 4) => {
            event.set("dongson.ike.key_length", u64::try_from(body.len()).unwrap_or(u64::MAX));
        }
        // Whom somebody says to be, in the clear only in aggressive mode: kind, protocol, port, name.
        (1, 5) => identity(event, body),
        (1, 13) | (2, 43) => told.vendors.push(names::vendor(body.get(..MAX_MARK).unwrap_or(body))),
        (1, 11) => {
            let mut cursor = Cursor::new(body);
            cursor.u32();
            let _ = notification(told, 1, &mut cursor);
        }
        (2, 41) => {
            let _ = notification(told, 2, &mut Cursor::new(body));
        }
        _ => {}
    }
}

/// Protocol, length of an index, kind (RFC 2408, 3.14; RFC 7296, 3.10).
fn notification(told: &mut Told, major: u8, cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.u16()?;
    let kind = cursor.u16()?;
    told.notifications.push(names::notification(major, kind));
    // Below this number they are errors.
    told.errors += u64::from(kind < 16_384);
    Some(())
}

/// RFC 2407, 4.6.2.
fn identity(event: &mut Event, body: &[u8]) {
    let Some((kind, name)) = body.first().zip(body.get(4..)) else { return };
    let words = match (kind, name) {
        (1, &[a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
        (2 | 3, name) => text(name, 256),
        (_, name) => hex::encode(name.get(..64).unwrap_or(name)),
    };
    event.set("dongson.ike.identity", words);
}
