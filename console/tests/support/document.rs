//! Holds every request that was accepted and every answer against the document of the API.

use std::sync::LazyLock;

use axum::http::{Method, StatusCode};
use serde_json::Value;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(dongson_console::openapi()).unwrap());

/// The operation that answers a request; none where the document has none.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
    let fits = |template: &str| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == path.len()
            && template.iter().zip(&path).all(|(wanted, given)| wanted == given || wanted.starts_with('{'))
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // A path without parameters goes before one with.
    let found = paths
        .iter()
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.matches('{').count());
    found?.1.get(method.as_str().to_lowercase())
}

/// Panics where the document does not describe what was asked and answered.
pub(crate) fn check(
    method: &Method,
    path: &str,
    request: Option<&Value>,
    status: StatusCode,
    kind: &str,
    body: &str,
) {
    let Some(operation) = operation(method, path) else { return };
    let place = format!("{method} {path} {status}");
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(request) = request.filter(|_| status.is_success() && !schema.is_null()) {
        let wrong = problems(schema, request, "request");
        assert_eq!(wrong, Vec::<String>::new(), "{place}: the accepted request does not fit the document");
    }
    let response = &operation["responses"][status.as_str()];
    assert!(response.is_object(), "{place}: the document does not have this answer");
    let kind = kind.split(';').next().unwrap();
    if kind == "text/event-stream" || kind == "application/octet-stream" {
        return;
    }
    if body.is_empty() {
        assert!(response["content"].is_null(), "{place}: a body was promised");
        return;
    }
    let schema = &response["content"][kind]["schema"];
    assert!(schema.is_object(), "{place}: the document has no {kind:?}: {body}");
    let wrong = problems(schema, &serde_json::from_str(body).unwrap(), "answer");
    assert_eq!(wrong, Vec::<String>::new(), "{place}: the answer does not fit the document");
}

/// Why a value does not fit a schema: the part of JSON Schema that the document uses.
pub(crate) fn problems(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let found = &DOCUMENT["components"]["schemas"][name];
        assert!(found.is_object(), "{reference} leads nowhere");
        return problems(found, value, place);
    }
    let mut found = Vec::new();
    if let Some(parts) = schema["allOf"].as_array() {
        found.extend(parts.iter().flat_map(|part| problems(part, value, place)));
    }
    for key in ["oneOf", "anyOf"] {
        let Some(parts) = schema[key].as_array() else { continue };
        let fitting = parts.iter().filter(|part| problems(part, value, place).is_empty()).count();
        if fitting == 0 || (key == "oneOf" && fitting > 1) {
            found.push(format!("{place}: {fitting} of {key} fit {value}"));
        }
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{place}: {value} is none of {allowed:?}"));
    }
    if schema["minimum"].as_f64().is_some_and(|least| value.as_f64().is_some_and(|given| given < least)) {
        found.push(format!("{place}: {value} is too small"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|kind| is(kind, value)) {
        found.push(format!("{place}: {value} is no {types:?}"));
    }
    if let Some(items) = value.as_array().filter(|_| schema["items"].is_object()) {
        let parts = items.iter().enumerate();
        found.extend(
            parts.flat_map(|(index, item)| problems(&schema["items"], item, &format!("{place}[{index}]"))),
        );
    }
    found.extend(object_problems(schema, value, place));
    found
}

fn object_problems(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let Some(object) = value.as_object() else { return Vec::new() };
    let mut found = Vec::new();
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            found.push(format!("{place}.{name} is missing"));
        }
    }
    for (name, held) in object {
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(known), _) => found.extend(problems(known, held, &format!("{place}.{name}"))),
            (None, Value::Bool(false)) => found.push(format!("{place}.{name} is not known")),
            (None, more @ Value::Object(_)) => found.extend(problems(more, held, &format!("{place}.{name}"))),
            _ => {}
        }
    }
    found
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}
