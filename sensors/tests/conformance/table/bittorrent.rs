//! Suricata's `bittorrent_dht` events.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

const KIND: &str = "bittorrent_dht";
const S: &str = "suricata-verify";
const PAIRED: &str = "Suricata tells request and answer apart; ours are one event, which both mean";
const SEALED: &str = "tokens are sealed: whether there is one is compared";

pub(super) const LINES: &[Line] = &[
    line(S, KIND, "event_type", By(|_, v| v == KIND), PAIRED),
    line(S, KIND, "bittorrent_dht.transaction_id", Is("dongson.bittorrent.dht.transaction_id"), ""),
    line(S, KIND, "bittorrent_dht.request_type", Is("dongson.bittorrent.dht.request_type"), ""),
    line(S, KIND, "bittorrent_dht.request.id", Is("dongson.bittorrent.dht.request.id"), ""),
    line(S, KIND, "bittorrent_dht.request.target", Is("dongson.bittorrent.dht.request.target"), ""),
    line(S, KIND, "bittorrent_dht.request.info_hash", Is("dongson.bittorrent.info_hash"), ""),
    line(S, KIND, "bittorrent_dht.request.port", Is("dongson.bittorrent.dht.request.port"), ""),
    line(S, KIND, "bittorrent_dht.request.token", By(|case, _| has(case, "request.token")), SEALED),
    line(S, KIND, "bittorrent_dht.response.id", Is("dongson.bittorrent.dht.response.id"), ""),
    line(S, KIND, "bittorrent_dht.response.token", By(|case, _| has(case, "response.token")), SEALED),
    line(S, KIND, "bittorrent_dht.error.num", Is("dongson.bittorrent.dht.error_code"), ""),
    line(S, KIND, "bittorrent_dht.error.msg", Is("dongson.bittorrent.dht.error_message"), ""),
];

fn has(case: &Case<'_>, name: &str) -> bool {
    !case.text(&format!("dongson.bittorrent.dht.{name}")).is_empty()
}
