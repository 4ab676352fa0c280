//! Finishes the document of the API with what the derive macros cannot say: who may call an operation, which refusals it
//! can answer, and objects made of several parts as one.

use std::collections::BTreeMap;

use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, Response, Schema,
    path::{Operation, ParameterIn, PathItem},
    schema::{AdditionalProperties, AllOf, Object},
    security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme},
};

use crate::auth;

/// The only operation that nobody has to be signed in for.
const SIGN_IN: (&str, &str) = ("post", "/api/v1/session");

/// The name of the scheme of the session's cookie.
const SESSION: &str = "session";

/// The name of the scheme of the header against requests from other sites.
const CSRF: &str = "csrf";

/// Writes into the document what all operations share.
pub(super) fn finish(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let cookie = ApiKeyValue::with_description(auth::COOKIE, "Set by signing in.");
    components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let words = "The `csrf_token` of the session, for everything that is not a GET.";
    let header = ApiKeyValue::with_description(auth::CSRF_HEADER, words);
    components.add_security_scheme(CSRF, SecurityScheme::ApiKey(ApiKey::Header(header)));
    merge_parts(&mut components.schemas);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let open = (method, path.as_str()) == SIGN_IN;
            operation.security = Some(if open { Vec::new() } else { vec![requirement(method)] });
            for status in refusals(method, path, open, operation) {
                refuse(operation, status);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn requirement(method: &str) -> SecurityRequirement {
    let none: [&str; 0] = [];
    let session = SecurityRequirement::new(SESSION, none);
    if method == "get" { session } else { session.add(CSRF, none) }
}

/// The refusals that an operation can answer; `default` stands for a failure of ours.
fn refusals(method: &str, path: &str, open: bool, operation: &Operation) -> Vec<&'static str> {
    let mut statuses = vec!["401", "403", "default"];
    let takes = |place: &ParameterIn| {
        let parameters = operation.parameters.iter().flatten();
        parameters
            .filter_map(|one| if let RefOr::T(one) = one { Some(one) } else { None })
            .any(|one| one.parameter_in == *place)
    };
    if takes(&ParameterIn::Path) {
        statuses.push("404");
    }
    if takes(&ParameterIn::Query) {
        statuses.push("422");
    }
    if operation.request_body.is_some() {
        statuses.extend(["400", "404", "413", "415", "422"]);
    }
    if method != "get" && !open {
        statuses.push("409");
    }
    if open {
        statuses.push("429");
    }
    if path == "/api/v1/stream" {
        statuses.push("429");
    }
    // A write that the disk does not take, or a question that the store does not answer.
    if method != "get" || path.starts_with("/api/v1/events") || path.ends_with("/around") {
        statuses.push("503");
    }
    statuses
}

fn refuse(operation: &mut Operation, status: &str) {
    let mut response = Response::new(meaning(status));
    let body = Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name("Problem"))));
    response.content.insert("application/problem+json".into(), RefOr::T(body));
    operation.responses.responses.insert(status.into(), RefOr::T(response));
}

fn meaning(status: &str) -> &'static str {
    match status {
        "400" => "The request cannot be read",
        "401" => "Not signed in, or wrong name or password",
        "403" => "The role does not allow it, or the session's token is missing",
        "404" => "It does not exist, or not for this caller",
        "409" => "Somebody else changed it first, or its state does not allow it",
        "413" => "The body is too large",
        "415" => "The body is not JSON",
        "422" => "A value is not allowed",
        "429" => "Too many; come again after `Retry-After` seconds",
        "503" => "The event store does not answer, or the disk of the data folder is full",
        _ => "What went wrong",
    }
}

/// Several parts that are all objects become one object: a part that allows no other fields would refuse those of the
/// other parts.
fn merge_parts(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let known = schemas.clone();
    for schema in schemas.values_mut() {
        let RefOr::T(Schema::AllOf(all)) = schema else { continue };
        if let Some(object) = merged(all, &known) {
            *schema = RefOr::T(Schema::Object(object));
        }
    }
}

fn merged(all: &AllOf, known: &BTreeMap<String, RefOr<Schema>>) -> Option<Object> {
    let mut whole = Object::default();
    whole.description.clone_from(&all.description);
    for part in &all.items {
        let part = match part {
            RefOr::T(schema) => schema,
            RefOr::Ref(reference) => match known.get(reference.ref_location.rsplit('/').next()?)? {
                RefOr::T(schema) => schema,
                RefOr::Ref(_) => return None,
            },
        };
        let Schema::Object(part) = part else { return None };
        whole.properties.extend(part.properties.clone());
        whole.required.extend(part.required.iter().cloned());
        if matches!(part.additional_properties.as_deref(), Some(AdditionalProperties::FreeForm(false))) {
            whole.additional_properties.clone_from(&part.additional_properties);
        }
    }
    Some(whole)
}
