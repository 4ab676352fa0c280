//! A day's work through the API: first sign-in, triage, an incident from alert to lesson, administration; and what bad
//! requests get.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use dongson_registry::{Registry, Role};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::{Caller, Memory, NOW, PASSWORD, agency, alert, change, console, event, open, person};
use tower::ServiceExt as _;

async fn start() -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    agency(&registry, "b").await;
    (folder, registry)
}

fn memory() -> Memory {
    Memory { events: vec![event("event-a", "a")], ..Memory::default() }
}

#[tokio::test]
async fn the_first_administrator_must_change_the_password() {
    let (_folder, registry) = start().await;
    let first = registry.create_first_administrator(NOW).await.unwrap().unwrap();
    let router = console(registry, memory());
    let stranger = Caller::default();
    let wrong = stranger.post(&router, "/api/v1/session", json!({ "login": "admin", "password": "x" })).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::UNAUTHORIZED, "sign_in_refused"));
    let signed = stranger
        .post(&router, "/api/v1/session", json!({ "login": " Admin ", "password": first.password }))
        .await;
    assert_eq!(signed.status, StatusCode::OK, "{}", signed.body);
    let cookie = signed.headers.iter().find(|(name, _)| name == "set-cookie").unwrap().1.clone();
    for flag in ["__Host-dongson=", "HttpOnly", "SameSite=Strict", "Secure", "Path=/"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    let secret = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let csrf = signed.json()["csrf_token"].as_str().unwrap().to_owned();
    let admin = Caller { secret: Some(secret), csrf: Some(csrf), ..Caller::default() };
    let early = admin.get(&router, "/api/v1/alerts").await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::FORBIDDEN, "password_change_required"));
    let change = |new: &str| json!({ "present": first.password, "new": new });
    let weak = admin.post(&router, "/api/v1/session/password", change("admin")).await;
    assert_eq!((weak.status, weak.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "weak_password"));
    let changed = admin.post(&router, "/api/v1/session/password", change(PASSWORD)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    assert_eq!(admin.get(&router, "/api/v1/alerts").await.status, StatusCode::OK);
    let language = admin
        .send(&router, Method::PUT, "/api/v1/session/language", Some(&json!({ "language": "en" })))
        .await;
    assert_eq!(language.json()["account"]["language"], "en");
    let out = admin.send(&router, Method::DELETE, "/api/v1/session", None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(admin.get(&router, "/api/v1/session").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_change_without_the_sessions_token_is_refused() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    alert(&registry, "x", "a").await;
    let router = console(registry, memory());
    let act = json!({ "alerts": [{ "id": "x", "version": 1 }], "action": "acknowledge" });
    for csrf in [None, Some("0".repeat(64))] {
        let forged = Caller { csrf, ..an.clone() };
        let answer = forged.post(&router, "/api/v1/alerts/triage", act.clone()).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "csrf"));
    }
    assert_eq!(an.post(&router, "/api/v1/alerts/triage", act).await.status, StatusCode::OK);
}

#[tokio::test]
async fn from_an_alert_to_a_closed_incident() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    alert(&registry, "x", "a").await;
    let router = console(registry, memory());
    let list = an.get(&router, "/api/v1/alerts?state=new&facets=true").await.json();
    assert_eq!((&list["total"], &list["facets"]["state"][0]["count"]), (&json!(1), &json!(1)));
    let why = an.get(&router, "/api/v1/alerts/x/why").await.json();
    assert_eq!(why["event"]["event.original"], "raw");
    assert_eq!(why["rule"]["title"], "SSH brute force");
    assert_eq!(why["rule"]["response_vi"], "Chặn địa chỉ.");
    assert_eq!(
        an.get(&router, "/api/v1/alerts/x/around").await.json()["events"].as_array().unwrap().len(),
        1
    );
    let act = |version: i64| json!({ "alerts": [{ "id": "x", "version": version }], "action": "assign", "owner": an.id });
    let done = an.post(&router, "/api/v1/alerts/triage", act(1)).await.json();
    assert_eq!(done["changed"][0]["state"], "acknowledged");
    let stale = an.post(&router, "/api/v1/alerts/triage", act(1)).await.json();
    assert_eq!(stale["conflicts"].as_array().unwrap().len(), 1);
    let taken_back = an.post(&router, "/api/v1/alerts/undo", json!({ "undo": done["undo"] })).await.json();
    assert_eq!(taken_back["changed"][0]["state"], "new");
    let new = json!({ "title": "Xâm nhập", "class": "XN", "severity": "high", "legal_category": "nghiem_trong", "alerts": ["x"] });
    let made = an.post(&router, "/api/v1/incidents", new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let made = made.json();
    assert_eq!(made["number"], "SC-2026-0001");
    assert_eq!(made["deadlines"][0]["due"], NOW + 24 * 3_600_000);
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    let commented =
        an.post(&router, &format!("{path}/comments"), json!({ "text": "Đã cô lập." })).await.json();
    let typo = json!({ "version": commented["version"], "legal_categry": "thuong" });
    let refused = an.send(&router, Method::PATCH, &path, Some(&typo)).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "bad_request"));
    let contained = json!({ "version": commented["version"], "status": "contained" });
    let patched = an.send(&router, Method::PATCH, &path, Some(&contained)).await.json();
    let late = an.send(&router, Method::PATCH, &path, Some(&contained)).await;
    assert_eq!((late.status, late.code().as_str()), (StatusCode::CONFLICT, "stale"));
    let close = json!({ "version": patched["version"], "verdict": "true_positive", "cause": "Lỗ hổng", "lesson": "Vá" });
    assert_eq!(an.post(&router, &format!("{path}/close"), close).await.json()["status"], "closed");
    let timeline = an.get(&router, &format!("{path}/timeline")).await.json();
    assert_eq!(timeline["unbroken"], true);
    assert_eq!(timeline["entries"].as_array().unwrap().len(), 5);
    assert_eq!(an.get(&router, "/api/v1/alerts/x").await.json()["verdict"], "true_positive");
}

#[tokio::test]
async fn administration_makes_secrets_once() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let published = registry.clone();
    let router = console(registry, memory());
    let request = json!({ "organization": "a", "node": "gw-01" });
    let early = admin.post(&router, "/api/v1/enrolment-tokens", request).await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::CONFLICT, "authority_unknown"));
    published.set_setting(&change(), "collector.authority.fingerprint", &json!("print"), 0).await.unwrap();
    let token = admin
        .post(&router, "/api/v1/enrolment-tokens", json!({ "organization": "a", "node": "gw-01" }))
        .await;
    assert_eq!(token.status, StatusCode::CREATED);
    let text = token.json()["text"].as_str().unwrap().to_owned();
    assert_eq!((text.split('.').next(), text.split('.').nth(2)), (Some("dst1"), Some("print")), "{text}");
    let made = token.json();
    assert_eq!(made["collector_urls"], json!(["https://soc.example:9443", "https://192.0.2.7:9443"]));
    assert_eq!(made["authority_fingerprint"], "print");
    let command =
        format!("dongson-sensor enrol https://soc.example:9443 {text} --data /var/lib/dongson-sensor");
    assert_eq!(made["enrol_command"], command);
    assert!(made["run_command"].as_str().unwrap().starts_with("dongson-sensor run --interface "));
    let list = admin.get(&router, "/api/v1/enrolment-tokens").await;
    assert!(!list.body.contains(text.split('.').nth(1).unwrap()), "the secret is shown once");
    let key = admin
        .post(&router, "/api/v1/api-keys", json!({ "organization": "a", "source_name": "web-01" }))
        .await
        .json();
    assert_eq!(key["secret"].as_str().unwrap().len(), 64);
    let user =
        json!({ "login": "binh", "full_name": "Bình", "role": "agency_viewer", "organizations": ["a"] });
    let made = admin.post(&router, "/api/v1/users", user.clone()).await.json();
    assert_eq!(made["account"]["must_change_password"], true);
    let twice = admin.post(&router, "/api/v1/users", user).await;
    assert_eq!((twice.status, twice.code().as_str()), (StatusCode::CONFLICT, "taken"));
    let file = json!({ "format": "csv", "text": "organization,name,level,address\na,Cổng,3,192.0.2.1\n" });
    assert_eq!(admin.post(&router, "/api/v1/assets/import", file).await.json()["created"], 1);
    let bad = json!({ "format": "csv", "text": "organization,name,level,address\na,Cổng,high,192.0.2.1\n" });
    let refused = admin.post(&router, "/api/v1/assets/import", bad).await;
    assert!(refused.body.contains("line 2"), "{}", refused.body);
    assert_eq!(admin.get(&router, "/api/v1/audit/verify").await.json()["broken_at"], json!(null));
    assert_eq!(admin.get(&router, "/api/v1/health").await.json()["store"], true);
}

#[tokio::test]
async fn bad_requests_get_problems_with_the_requests_id() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, memory());
    for (path, status, code) in [
        ("/api/v1/none", StatusCode::NOT_FOUND, "not_found"),
        ("/api/v1/alerts/none", StatusCode::NOT_FOUND, "not_found"),
        ("/api/v1/alerts?state=odd", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/api/v1/alerts?colour=red", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/api/v1/alerts?cursor=odd", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/api/v1/events?since=5&until=4", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/api/v1/overview?hours=100000", StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/api/v1/users", StatusCode::FORBIDDEN, "forbidden"),
    ] {
        let answer = an.get(&router, path).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.body);
        let problem = answer.json();
        assert_eq!(problem["request_id"], "fixed");
        assert!(!problem["message_vi"].as_str().unwrap().is_empty());
    }
    let odd = an.send(&router, Method::PUT, "/api/v1/alerts", None).await;
    assert_eq!((odd.status, odd.code().as_str()), (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    let body = Request::post("/api/v1/session").header("content-type", "application/json");
    let cut = router.clone().oneshot(body.body(Body::from("{\n\"login\": ")).unwrap()).await.unwrap();
    assert_eq!(cut.status(), StatusCode::BAD_REQUEST);
    let cut: Value = serde_json::from_slice(&cut.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(cut["message_vi"], "Nội dung yêu cầu không đúng cú pháp JSON (dòng 2, cột 9).");
    assert_eq!(cut["detail"], Value::Null);
    let large = json!({ "login": "x".repeat(5 * 1024 * 1024), "password": "x" });
    let answer = Caller::default().post(&router, "/api/v1/session", large).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
}

#[tokio::test]
async fn without_the_event_store_the_rest_goes_on() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    alert(&registry, "x", "a").await;
    let router = console(registry, Memory { down: true, ..Memory::default() });
    let overview = an.get(&router, "/api/v1/overview").await.json();
    assert_eq!(
        (&overview["store_available"], &overview["figures"]["alerts"]["value"]),
        (&json!(false), &json!(1))
    );
    let why = an.get(&router, "/api/v1/alerts/x/why").await.json();
    assert_eq!((&why["store_available"], &why["event"]), (&json!(false), &json!(null)));
    let search = an.get(&router, "/api/v1/events").await;
    assert_eq!(
        (search.status, search.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable")
    );
}
