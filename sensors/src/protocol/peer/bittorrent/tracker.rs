//! Asking a tracker over UDP (BEP 15), and what a request over HTTP says (BEP 3).

use dongson_event::Timestamp;

use super::Message;
use super::dht::place;
use super::handshake::software;
use crate::protocol::wire::{Cursor, text};

/// What the first request begins with.
pub(super) const MAGIC: [u8; 8] = [0, 0, 0x04, 0x17, 0x27, 0x10, 0x19, 0x80];
/// Peers told of one answer.
const MAX_PEERS: usize = 16;

/// The first request, which says for sure what is spoken.
pub(super) fn is_connect(bytes: &[u8]) -> bool {
    bytes.len() == 16 && bytes.starts_with(&MAGIC) && bytes.get(8..12) == Some(&[0; 4])
}

/// Reads a request or an answer; requests are told by their length, which no answer has.
pub(super) fn read(at: Timestamp, bytes: &[u8]) -> Option<Message> {
    let mut cursor = Cursor::new(bytes);
    if is_connect(bytes) {
        let id = bytes.get(12..16)?.to_vec();
        return Some(Message { id, event: super::event(at, "connect"), answers: false });
    }
    let is_request = bytes.get(8..12) == Some(&[0, 0, 0, 1]) && bytes.len() >= 98
        || bytes.get(8..12) == Some(&[0, 0, 0, 2]) && bytes.len() == 36;
    if is_request {
        cursor.take(8)?;
    }
    let action = cursor.u32()?;
    let id = cursor.take(4)?.to_vec();
    let name = match action {
        0 => "connect",
        1 => "announce",
        2 => "scrape",
        3 => "error",
        _ => return None,
    };
    let mut event = super::event(at, name);
    if is_request {
        event.set("dongson.bittorrent.info_hash", hex::encode(cursor.take(20)?));
        if action == 1 {
            let peer = cursor.take(20)?;
            event.set("dongson.bittorrent.client.peer_id", text(peer, 20));
            event.set_some("dongson.bittorrent.client.software", software(peer));
            // Downloaded, left, uploaded.
            cursor.take(24)?;
            event.set("dongson.bittorrent.tracker.event", stage(cursor.u32()?));
        }
        return Some(Message { id, event, answers: false });
    }
    event.set("event.outcome", if action == 3 { "failure" } else { "success" });
    match action {
        1 => {
            event.set("dongson.bittorrent.tracker.interval", i64::from(cursor.u32()?));
            event.set("dongson.bittorrent.tracker.leechers", i64::from(cursor.u32()?));
            event.set("dongson.bittorrent.tracker.seeders", i64::from(cursor.u32()?));
            let peers = cursor.rest().as_chunks::<6>().0.iter().filter_map(|peer| place(peer));
            event.set("dongson.bittorrent.tracker.peers", peers.take(MAX_PEERS).collect::<Vec<String>>());
        }
        3 => {
            event.set("dongson.bittorrent.tracker.error", text(cursor.rest(), 128));
        }
        _ => {}
    }
    Some(Message { id, event, answers: true })
}

fn stage(number: u32) -> &'static str {
    match number {
        1 => "completed",
        2 => "started",
        3 => "stopped",
        _ => "none",
    }
}
