//! The table of peers that is spread among them (Mainline DHT, BEP 5; addresses of IPv6 by BEP 32).

use std::net::{Ipv4Addr, Ipv6Addr};

use dongson_event::{Event, Timestamp};

use super::Message;
use super::bencode::Item;
use crate::protocol::secret;
use crate::protocol::wire::text;

/// Addresses told of one answer.
const MAX_NODES: usize = 16;

/// Reads a message; `None` where it is none of the DHT's.
pub(super) fn read(at: Timestamp, bytes: &[u8], key: &[u8; 32]) -> Option<Message> {
    let item = Item::parse(bytes)?;
    let id = item.get("t")?.bytes()?.to_vec();
    let mut event = super::event(at, "dht");
    event.set("dongson.bittorrent.dht.transaction_id", hex::encode(id.get(..16).unwrap_or(&id)));
    let answers = match item.get("y")?.bytes()? {
        b"q" => {
            let name = item.get("q")?.bytes()?;
            event.set("dongson.bittorrent.dht.request_type", text(name, 32));
            version(&mut event, "dongson.bittorrent.dht.request.version", &item);
            request(&mut event, item.get("a")?, key);
            false
        }
        b"r" => {
            event.set("event.outcome", "success");
            version(&mut event, "dongson.bittorrent.dht.response.version", &item);
            response(&mut event, item.get("r")?, key);
            true
        }
        b"e" => {
            let [code, message, ..] = item.get("e")?.list() else { return None };
            event.set("event.outcome", "failure");
            event.set_some("dongson.bittorrent.dht.error_code", code.int());
            event.set_some(
                "dongson.bittorrent.dht.error_message",
                message.bytes().map(|words| text(words, 128)),
            );
            true
        }
        _ => return None,
    };
    Some(Message { id, event, answers })
}

/// Two letters of the program and two bytes of its version.
fn version(event: &mut Event, name: &'static str, item: &Item<'_>) {
    event.set_some(name, item.get("v").and_then(Item::bytes).map(|version| text(version, 8)));
}

fn request(event: &mut Event, arguments: &Item<'_>, key: &[u8; 32]) {
    let hash =
        |name| arguments.get(name).and_then(Item::bytes).filter(|hash| hash.len() == 20).map(hex::encode);
    event.set_some("dongson.bittorrent.dht.request.id", hash("id"));
    event.set_some("dongson.bittorrent.dht.request.target", hash("target"));
    event.set_some("dongson.bittorrent.info_hash", hash("info_hash"));
    event.set_some("dongson.bittorrent.dht.request.port", arguments.get("port").and_then(Item::int));
    event.set_some(
        "dongson.bittorrent.dht.request.implied_port",
        arguments.get("implied_port").and_then(Item::int).map(|implied| implied != 0),
    );
    event.set_some(
        "dongson.bittorrent.dht.request.token",
        arguments.get("token").and_then(Item::bytes).map(|token| secret::seal(key, token)),
    );
}

fn response(event: &mut Event, values: &Item<'_>, key: &[u8; 32]) {
    let bytes = |name| values.get(name).and_then(Item::bytes);
    event.set_some(
        "dongson.bittorrent.dht.response.id",
        bytes("id").filter(|hash| hash.len() == 20).map(hex::encode),
    );
    event.set_some(
        "dongson.bittorrent.dht.response.token",
        bytes("token").map(|token| secret::seal(key, token)),
    );
    let near = bytes("nodes")
        .unwrap_or_default()
        .as_chunks::<26>()
        .0
        .iter()
        .filter_map(|node| place(node.get(20..)?));
    let far = bytes("nodes6")
        .unwrap_or_default()
        .as_chunks::<38>()
        .0
        .iter()
        .filter_map(|node| place(node.get(20..)?));
    let nodes: Vec<String> = near.chain(far).take(MAX_NODES).collect();
    if !nodes.is_empty() {
        event.set("dongson.bittorrent.dht.response.nodes", nodes);
    }
    let peers = values.get("values").map(Item::list).unwrap_or_default();
    let peers: Vec<String> = peers.iter().filter_map(|peer| place(peer.bytes()?)).take(MAX_NODES).collect();
    if !peers.is_empty() {
        event.set("dongson.bittorrent.dht.response.values", peers);
    }
}

/// Address and port, as both are sent (BEP 23).
pub(super) fn place(bytes: &[u8]) -> Option<String> {
    let (host, port) = bytes.split_last_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    match host.len() {
        4 => Some(format!("{}:{port}", Ipv4Addr::from(*host.first_chunk::<4>()?))),
        16 => Some(format!("[{}]:{port}", Ipv6Addr::from(*host.first_chunk::<16>()?))),
        _ => None,
    }
}
