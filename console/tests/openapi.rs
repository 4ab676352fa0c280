//! The committed `openapi.json` is what the code says, and it says enough: who may call what, what is refused and how, and
//! bodies that can be satisfied. `DONGSON_BLESS=1 cargo test -p dongson-console --test openapi` writes it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[path = "support/document.rs"]
#[allow(dead_code, reason = "only a part is needed here")]
mod document;

use std::{env, fs, path::Path};

use serde_json::{Value, json};

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

/// Every operation as (method, path, description).
fn operations() -> Vec<(String, String, Value)> {
    let document = serde_json::to_value(dongson_console::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.clone(), path.clone(), operation.clone()));
        }
    }
    assert!(found.len() > 60, "only {} operations", found.len());
    found
}

#[test]
fn every_operation_says_who_may_call_it() {
    for (method, path, operation) in operations() {
        let expected = match (method.as_str(), path.as_str()) {
            ("post", "/api/v1/session") => json!([]),
            ("get", _) => json!([{ "session": [] }]),
            _ => json!([{ "csrf": [], "session": [] }]),
        };
        assert_eq!(operation["security"], expected, "{method} {path}");
    }
    let document = serde_json::to_value(dongson_console::openapi()).unwrap();
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["session"]["in"], &schemes["session"]["name"]),
        (&json!("cookie"), &json!("__Host-dongson"))
    );
    assert_eq!(
        (&schemes["csrf"]["in"], &schemes["csrf"]["name"]),
        (&json!("header"), &json!("x-csrf-token"))
    );
}

#[test]
fn every_operation_says_what_it_refuses() {
    for (method, path, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        for status in ["401", "403", "default"] {
            assert!(responses.contains_key(status), "{method} {path} has no {status}");
        }
        assert!(!path.contains('{') || responses.contains_key("404"), "{method} {path}");
        assert!(operation["requestBody"].is_null() || responses.contains_key("422"), "{method} {path}");
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{method} {path} {status}");
        }
    }
}

#[test]
fn bodies_of_several_parts_can_be_satisfied_and_are_strict() {
    let organization = json!({ "id": "a", "name": "A", "name_en": "A", "level": 2 });
    let account = json!({ "login": "an", "full_name": "An", "role": "analyst" });
    let closing = json!({ "version": 1, "verdict": "benign", "cause": "x", "lesson": "y" });
    let channel = json!({ "version": 1, "name": "m", "kind": "webhook", "settings": {}, "min_level": "low", "enabled": true });
    let source =
        json!({ "version": 1, "organization": "a", "name": "fw", "kind": "syslog", "time_zone": "UTC" });
    for (name, example) in [
        ("NewAgency", organization),
        ("AccountRequest", account),
        ("VersionedPatch", json!({ "version": 1, "title": "x" })),
        ("VersionedClosing", closing),
        ("VersionedChannel", channel),
        ("VersionedSource", source),
        ("VersionedAccount", json!({ "version": 1, "full_name": "An", "role": "analyst" })),
        ("VersionedAgency", json!({ "version": 1, "name": "A", "name_en": "A", "level": 2 })),
    ] {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        assert_eq!(document::problems(&schema, &example, name), Vec::<String>::new());
        let mut more = example.clone();
        more["colour"] = json!("red");
        assert_eq!(document::problems(&schema, &more, name), [format!("{name}.colour is not known")]);
        let mut less = example;
        let first = less.as_object().unwrap().keys().find(|key| *key != "title").unwrap().clone();
        less.as_object_mut().unwrap().remove(&first);
        assert_eq!(document::problems(&schema, &less, name), [format!("{name}.{first} is missing")]);
    }
}
