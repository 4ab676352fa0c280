//! The facts: one JSON object per line of `expect.jsonl`.

use std::path::Path;

use serde_json::{Map, Value};

/// What one program said about one capture.
pub(crate) struct Fact {
    pub(crate) capture: String,
    pub(crate) source: String,
    pub(crate) test: String,
    pub(crate) kind: String,
    pub(crate) profile: String,
    /// `None`: one event with these fields. `Some`: exactly so many.
    pub(crate) count: Option<usize>,
    pub(crate) fields: Vec<(String, Value)>,
}

/// Reads all facts.
pub(crate) fn load(path: &Path) -> Vec<Fact> {
    let text = std::fs::read_to_string(path).expect("the list of facts can be read");
    text.lines()
        .map(|line| {
            let object: Map<String, Value> = serde_json::from_str(line).expect("a fact is a JSON object");
            fact(&object)
        })
        .collect()
}

fn fact(object: &Map<String, Value>) -> Fact {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let counted = text("mode") == "count";
    let fields = object.get(if counted { "match" } else { "fields" }).and_then(Value::as_object);
    Fact {
        capture: text("pcap"),
        source: text("src"),
        test: text("test"),
        kind: text("kind"),
        profile: text("profile"),
        count: counted.then(|| {
            let count = object.get("count").and_then(Value::as_u64).unwrap_or(1);
            usize::try_from(count).unwrap_or(usize::MAX)
        }),
        fields: fields.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect(),
    }
}
