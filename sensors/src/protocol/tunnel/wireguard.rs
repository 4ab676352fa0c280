//! Handshakes of `WireGuard` (Donenfeld, "Next Generation Kernel Network Tunnel", 5.4).
//!
//! In: datagrams. Out: one `sensor.wireguard` event per handshake initiation with its response, per initiation that stays
//! unanswered, and per response whose initiation was not seen. Transport data is not told: the connection counts it.
//! Memory: the open initiations.

use dongson_event::{Event, Timestamp};

use super::super::dissect::Datagrams;
use super::super::industrial::asked::Asked;
use super::super::le;
use crate::protocol::Side;

const INITIATION: usize = 148;
const RESPONSE: usize = 92;
const COOKIE: usize = 64;
/// Header, counter and tag of transport data without content.
const EMPTY: usize = 32;

/// Whether a datagram is a handshake message, or data of a transport whose counter has not passed 2^40 packets (content is
/// filled up to a multiple of 16).
pub(in crate::protocol) fn is_message(bytes: &[u8]) -> bool {
    let Some(head) = bytes.first_chunk::<4>() else { return false };
    match (head, bytes.len()) {
        // Some services mark their clients in the three reserved bytes.
        ([1, ..], INITIATION) | ([2, ..], RESPONSE) => head.ends_with(&[0; 3]) || ends_in_zeros(bytes),
        ([3, 0, 0, 0], COOKIE) => true,
        ([4, 0, 0, 0], length) if length >= EMPTY => {
            length.is_multiple_of(16)
                && bytes.get(13..16) == Some(&[0; 3])
                && bytes.get(4..8) != Some(&[0; 4])
        }
        _ => false,
    }
}

/// Whether the second authenticator is empty, as it is when no cookie was asked for.
fn ends_in_zeros(bytes: &[u8]) -> bool {
    bytes.ends_with(&[0; 16])
}

/// A flow that speaks `WireGuard`.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Wireguard {
    /// By who initiated, and under which index.
    asked: Asked<(Side, u32)>,
}

impl Wireguard {
    fn message(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) -> Option<()> {
        if !is_message(bytes) {
            return None;
        }
        let sender = le::u32(bytes, 4)?;
        match bytes.first()? {
            1 => {
                if self.asked.waits(&(side, sender)) {
                    return None;
                }
                let mut event = base(at);
                event.set("dongson.wireguard.initiator_index", sender);
                event.set("dongson.wireguard.cookie", !ends_in_zeros(bytes));
                event.set("event.outcome", "unknown");
                self.asked.ask((side, sender), at, event, out);
            }
            2 => {
                let receiver = le::u32(bytes, 8)?;
                let mut event = self.asked.answer(&(side.other(), receiver), at).unwrap_or_else(|| base(at));
                event.set("dongson.wireguard.initiator_index", receiver);
                event.set("dongson.wireguard.responder_index", sender);
                event.set("event.outcome", "success");
                out.push(event);
            }
            // The responder is under load: the index in front is the initiator's.
            3 => {
                let mut event = self.asked.answer(&(side.other(), sender), at).unwrap_or_else(|| base(at));
                event.set("dongson.wireguard.initiator_index", sender);
                event.set("event.outcome", "failure");
                event.set("event.reason", "cookie required");
                out.push(event);
            }
            _ => {}
        }
        Some(())
    }
}

fn base(at: Timestamp) -> Event {
    let mut event = Event::of("sensor.wireguard", at);
    event.set("network.protocol", "wireguard");
    event.set("event.action", "handshake");
    event
}

impl Datagrams for Wireguard {
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let _ = self.message(side, at, bytes, out);
    }

    fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        self.asked.flush(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    /// A message of this kind and length, with two indexes.
    fn message(kind: u8, first: u8, second: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 0, 0, first, 0, 0, 0, second, 0, 0, 0];
        bytes.resize(length, 0);
        bytes
    }

    fn run(turns: &[(Side, Vec<u8>)]) -> Vec<Event> {
        let (mut wireguard, mut out) = (Wireguard::default(), Vec::new());
        for (side, bytes) in turns {
            wireguard.datagram(*side, Timestamp::default(), bytes, &mut out);
        }
        wireguard.finish(Timestamp::default(), &mut out);
        out
    }

    #[test]
    fn handshakes() {
        let events = run(&[
            (C, message(1, 5, 9, INITIATION)),
            (S, message(3, 5, 0, COOKIE)),
            (C, message(1, 6, 9, INITIATION)),
            (S, message(2, 7, 6, RESPONSE)),
            (C, message(4, 7, 1, 48)),
            (S, message(1, 8, 9, INITIATION)),
        ]);
        let [load, done, open] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(load.text("event.reason"), Some("cookie required"));
        assert_eq!(done.int("dongson.wireguard.initiator_index"), Some(6));
        assert_eq!(done.int("dongson.wireguard.responder_index"), Some(7));
        assert_eq!(done.text("event.outcome"), Some("success"));
        assert_eq!(open.text("event.outcome"), Some("unknown"));
    }

    #[test]
    fn what_is_a_message() {
        assert!(is_message(&message(4, 1, 200, 32)));
        assert!(!is_message(&message(4, 1, 200, 33)) && !is_message(&message(4, 0, 200, 32)));
        assert!(!is_message(&message(1, 1, 0, 147)) && !is_message(&[4, 0, 0, 0]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(talk: Vec<(bool, u8, u8, u8)>, noise: Vec<Vec<u8>>) {
            let mut turns: Vec<_> = noise.into_iter().map(|bytes| (S, bytes)).collect();
            for (client, kind, first, second) in talk {
                let length = [INITIATION, RESPONSE, COOKIE, EMPTY][usize::from(kind % 4)];
                turns.push((if client { C } else { S }, message(1 + kind % 4, first, second, length)));
            }
            prop_assert!(run(&turns).len() <= turns.len());
        }
    }
}
