//! What carries another connection inside itself.

pub(super) mod ike;
pub(super) mod openvpn;
pub(super) mod socks;
pub(super) mod wireguard;

use dongson_event::Event;

/// Says of the events from `from` on through which tunnel they came, and where it leads.
pub(super) fn mark(events: &mut [Event], from: usize, kind: &'static str, target: Option<&str>) {
    for event in events.iter_mut().skip(from) {
        let inner = event.get("dongson.tunnel.kind").map(dongson_event::Value::scalars).unwrap_or_default();
        let inner: Vec<String> = inner.iter().map(|kind| kind.to_text().into_owned()).collect();
        let kinds = std::iter::once(kind.to_owned()).chain(inner);
        event.set("dongson.tunnel.kind", kinds.collect::<Vec<String>>());
        if event.get("dongson.tunnel.target").is_none() {
            event.set_some("dongson.tunnel.target", target);
        }
    }
}
