//! The stream of events ends before anything more is sent once the session, the account or the scope has changed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use dongson_registry::{AccountEdit, Registry, Role};
use http_body_util::BodyExt as _;
use support::{Caller, Memory, agency, alert, change, console, open, person};
use tokio::time::timeout;
use tower::ServiceExt as _;

async fn stream(router: &Router, caller: &Caller) -> (StatusCode, Body) {
    let cookie = format!("__Host-dongson={}", caller.secret.as_ref().unwrap());
    let request = Request::get("/api/v1/stream").header(header::COOKIE, cookie).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    (response.status(), response.into_body())
}

/// The next piece of the stream; none at its end.
async fn piece(body: &mut Body) -> Option<String> {
    let frame =
        timeout(Duration::from_secs(30), body.frame()).await.expect("the stream says something or ends");
    Some(String::from_utf8_lossy(&frame?.unwrap().into_data().unwrap()).into_owned())
}

async fn edit(registry: &Registry, id: &str, edit: AccountEdit) {
    let version = registry.account(id).await.unwrap().version;
    registry.update_account(&change(), id, version, &edit).await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_after_the_end_of_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    agency(&registry, "b").await;
    let router = console(registry.clone(), Memory::default());
    let account = |role, organizations: &[&str], disabled| AccountEdit {
        full_name: "x".into(),
        role,
        organizations: Some(organizations.iter().map(|&one| one.to_owned()).collect()),
        disabled,
    };
    for end in ["signed out", "disabled", "other scope", "other role", "password reset"] {
        let login = end.replace(' ', ".");
        let caller = person(&registry, &login, Role::Analyst, Some(vec!["a".into()])).await;
        let (status, mut body) = stream(&router, &caller).await;
        assert_eq!(status, StatusCode::OK);
        assert!(piece(&mut body).await.unwrap().contains("event: figures"));
        match end {
            "signed out" => {
                let session = dongson_registry::hash_secret(caller.secret.as_ref().unwrap());
                registry.end_session(&session).await.unwrap();
            }
            "disabled" => edit(&registry, &caller.id, account(Role::Analyst, &["a"], true)).await,
            "other scope" => edit(&registry, &caller.id, account(Role::Analyst, &["b"], false)).await,
            "other role" => edit(&registry, &caller.id, account(Role::AgencyViewer, &["a"], false)).await,
            _ => drop(registry.reset_password(&change(), &caller.id).await.unwrap()),
        }
        alert(&registry, &format!("alert-{login}"), "a").await;
        while let Some(text) = piece(&mut body).await {
            assert!(!text.contains("event:"), "{end}: {text}");
        }
    }
}

#[tokio::test]
async fn an_account_has_so_many_streams_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    let caller = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    let mut open = Vec::new();
    for _ in 0..12 {
        let (status, body) = stream(&router, &caller).await;
        assert_eq!(status, StatusCode::OK);
        open.push(body);
    }
    assert_eq!(stream(&router, &caller).await.0, StatusCode::TOO_MANY_REQUESTS);
    open.pop();
    assert_eq!(stream(&router, &caller).await.0, StatusCode::OK);
}
