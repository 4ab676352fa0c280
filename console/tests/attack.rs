//! What an attacker tries first: guessing passwords, telling names apart, a session made beforehand, requests of other
//! sites, large bodies, another agency's people, headers that let the page be used by others.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, StatusCode, header},
};
use dongson_registry::{Registry, Role};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::{Caller, Memory, PASSWORD, agency, alert, change, console, open, person};
use tower::ServiceExt as _;

async fn start() -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    agency(&registry, "b").await;
    (folder, registry)
}

/// A sign-in from an address, with headers: status, code, the new cookie's secret.
async fn sign_in(
    router: &Router,
    address: &str,
    login: &str,
    password: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, String, Option<String>) {
    let mut request = Request::post("/api/v1/session").header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let peer: SocketAddr = format!("{address}:40000").parse().unwrap();
    let body = json!({ "login": login, "password": password }).to_string();
    let request = request.extension(ConnectInfo(peer)).body(Body::from(body)).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let cookie = response.headers().get(header::SET_COOKIE).map(|value| value.to_str().unwrap().to_owned());
    let secret = cookie.and_then(|cookie| cookie.split(['=', ';']).nth(1).map(str::to_owned));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned(), secret)
}

#[tokio::test]
async fn refused_sign_ins_are_all_alike() {
    let (_folder, registry) = start().await;
    person(&registry, "an", Role::Analyst, None).await;
    person(&registry, "khoa", Role::Analyst, None).await;
    let gone = person(&registry, "nghi", Role::Analyst, None).await;
    let edit = dongson_registry::AccountEdit {
        full_name: "nghỉ".into(),
        role: Role::Analyst,
        organizations: None,
        disabled: true,
    };
    let version = registry.account(&gone.id).await.unwrap().version;
    registry.update_account(&change(), &gone.id, version, &edit).await.unwrap();
    let router = console(registry, Memory::default());
    for _ in 0..5 {
        sign_in(&router, "192.0.2.9", "khoa", "wrong", &[]).await;
    }
    for (login, password) in
        [("an", "wrong"), ("nobody", "wrong"), ("khoa", PASSWORD), ("nghi", PASSWORD), ("an", "")]
    {
        let begun = Instant::now();
        let (status, code, secret) = sign_in(&router, "192.0.2.1", login, password, &[]).await;
        assert_eq!(
            (status, code.as_str(), secret),
            (StatusCode::UNAUTHORIZED, "sign_in_refused", None),
            "{login}"
        );
        assert!(begun.elapsed() >= Duration::from_millis(500), "{login}");
    }
    assert_eq!(sign_in(&router, "192.0.2.1", "an", PASSWORD, &[]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn guessing_is_limited_by_account_and_by_address() {
    let (_folder, registry) = start().await;
    person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    for number in 0..5 {
        let (status, ..) = sign_in(&router, &format!("192.0.2.{number}"), "an", "wrong", &[]).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let (status, ..) = sign_in(&router, "198.51.100.1", "an", PASSWORD, &[]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the account is locked for everybody");
    let tries = (0..30).map(|number| {
        let router = router.clone();
        async move { sign_in(&router, "203.0.113.1", &format!("name{number}"), "wrong", &[]).await.0 }
    });
    let answers = futures::future::join_all(tries).await;
    let limited = answers.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!(limited, 10, "twenty tries of one address in five minutes: {answers:?}");
    assert_eq!(sign_in(&router, "203.0.113.2", "an", "wrong", &[]).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_made_beforehand_is_worth_nothing() {
    let (_folder, registry) = start().await;
    person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    let planted = "f".repeat(64);
    let cookie = |secret: &str| format!("__Host-dongson={secret}");
    let (status, _, first) =
        sign_in(&router, "192.0.2.1", "an", PASSWORD, &[("cookie", &cookie(&planted))]).await;
    let first = first.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_ne!(first, planted);
    let with = |secret: &str| Caller { secret: Some(secret.to_owned()), ..Caller::default() };
    assert_eq!(with(&planted).get(&router, "/api/v1/session").await.status, StatusCode::UNAUTHORIZED);
    let (_, _, second) = sign_in(&router, "192.0.2.1", "an", PASSWORD, &[("cookie", &cookie(&first))]).await;
    let second = second.unwrap();
    assert_eq!(
        with(&first).get(&router, "/api/v1/session").await.status,
        StatusCode::UNAUTHORIZED,
        "the left session ends"
    );
    assert_eq!(with(&second).get(&router, "/api/v1/session").await.status, StatusCode::OK);
}

#[tokio::test]
async fn other_sites_cannot_sign_somebody_in() {
    let (_folder, registry) = start().await;
    person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    for site in ["cross-site", "same-site"] {
        let (status, code, secret) =
            sign_in(&router, "192.0.2.1", "an", PASSWORD, &[("sec-fetch-site", site)]).await;
        assert_eq!((status, code.as_str(), secret), (StatusCode::FORBIDDEN, "csrf", None));
    }
    let form = Request::post("/api/v1/session")
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from(json!({ "login": "an", "password": PASSWORD }).to_string()))
        .unwrap();
    assert_eq!(router.clone().oneshot(form).await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn bodies_are_bounded_by_what_they_are_for() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let router = console(registry, Memory::default());
    let text = |length: usize| "x".repeat(length);
    let large = json!({ "login": text(9 * 1024), "password": "x" });
    let answer = Caller::default().post(&router, "/api/v1/session", large).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    let large = json!({ "text": text(300 * 1024) });
    let answer = admin.post(&router, "/api/v1/incidents/none/comments", large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let inventory = |length: usize| json!({ "format": "csv", "text": format!("organization,name,level\n{}", text(length)) });
    let answer = admin.post(&router, "/api/v1/assets/import", inventory(1024 * 1024)).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
    let answer = admin.post(&router, "/api/v1/assets/import", inventory(5 * 1024 * 1024)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn work_is_not_given_to_another_agencys_people() {
    let (_folder, registry) = start().await;
    let of_a = person(&registry, "an", Role::Analyst, Some(vec!["a".into()])).await;
    let of_b = person(&registry, "binh", Role::Analyst, Some(vec!["b".into()])).await;
    let of_all = person(&registry, "chi", Role::Analyst, None).await;
    alert(&registry, "x", "a").await;
    let router = console(registry, Memory::default());
    let assign =
        |owner: &str| json!({ "alerts": [{ "id": "x", "version": 1 }], "action": "assign", "owner": owner });
    let answers = [
        of_a.post(&router, "/api/v1/alerts/triage", assign(&of_b.id)).await,
        of_a.post(&router, "/api/v1/alerts/triage", assign("none")).await,
    ];
    assert_eq!(answers[0].status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answers[0], answers[1], "an account of B and no account are the same to A");
    let incident = json!({ "title": "x", "class": "XN", "severity": "high", "legal_category": "thuong", "organization": "a", "owner": of_b.id });
    assert_eq!(
        of_a.post(&router, "/api/v1/incidents", incident).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(of_a.post(&router, "/api/v1/alerts/triage", assign(&of_all.id)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    let header = |answer: &support::Answer, name: &str| {
        let found = answer.headers.iter().find(|(held, _)| held == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    for path in [
        "/",
        "/incidents",
        "/missing.js",
        "/healthz",
        "/api/v1/alerts",
        "/api/v1/none",
        "/api/v1/users",
        "/api/v1/openapi.json",
    ] {
        let answer = an.get(&router, path).await;
        let policy = header(&answer, "content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&answer, "x-frame-options"), "DENY", "{path}");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer", "{path}");
        assert!(header(&answer, "strict-transport-security").starts_with("max-age="), "{path}");
        assert_eq!(header(&answer, "cross-origin-opener-policy"), "same-origin", "{path}");
        let kept = header(&answer, "cache-control");
        assert!(!path.starts_with("/api/") || kept == "no-store", "{path}: {kept}");
    }
    let odd = an.send(&router, Method::TRACE, "/api/v1/alerts", None).await;
    assert_eq!(odd.status, StatusCode::METHOD_NOT_ALLOWED);
}
