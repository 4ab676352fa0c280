//! The committed `openapi.json` is what the code says. `DONGSON_BLESS=1 cargo test -p dongson-console --test openapi` writes it.

use std::{env, fs, path::Path};

#[test]
fn the_committed_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let text = serde_json::to_string_pretty(&dongson_console::openapi()).unwrap() + "\n";
    if env::var_os("DONGSON_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "openapi.json is out of date: run with DONGSON_BLESS=1");
}
