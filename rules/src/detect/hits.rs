//! Records as Elasticsearch and its kin give them out: a hit carries its record under `_source`, the answer to a search
//! carries hits. A line that holds an array holds its elements.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Hit<'t> {
    #[serde(borrow, rename = "_source")]
    source: &'t RawValue,
}

#[derive(Deserialize)]
struct Answer<'t> {
    #[serde(borrow)]
    hits: Hits<'t>,
}

#[derive(Deserialize)]
struct Hits<'t> {
    #[serde(borrow)]
    hits: Vec<Hit<'t>>,
}

/// The records inside of `text`; `None` when it is a record itself.
pub(super) fn sources(text: &[u8]) -> Option<Vec<&[u8]>> {
    if text.trim_ascii_start().starts_with(b"[") {
        let elements: Vec<&RawValue> = serde_json::from_slice(text).ok()?;
        return Some(elements.into_iter().map(|one| one.get().as_bytes()).collect());
    }
    let name = text.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    // Both write these first; other records are not read twice.
    if ![&b"\"_"[..], b"\"took\"", b"\"hits\"", b"\"pit_id\""].iter().any(|begin| name.starts_with(begin)) {
        return None;
    }
    // Zeek's lines begin with an underscore too.
    if name.starts_with(b"\"_")
        && memchr::memmem::find(name, b"\"_source\"").is_none()
        && !name.starts_with(b"\"_scroll_id\"")
    {
        return None;
    }
    let hits = match serde_json::from_slice::<Hit<'_>>(text) {
        Ok(hit) => vec![hit],
        Err(_) => serde_json::from_slice::<Answer<'_>>(text).ok()?.hits.hits,
    };
    Some(hits.into_iter().map(|hit| hit.source.get().as_bytes()).collect())
}
