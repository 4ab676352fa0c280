//! What is refused says what is wrong with it: the disk, a number, an owner, a setting of a channel.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use axum::http::{Method, StatusCode};
use dongson_registry::{Registry, Role};
use serde_json::{Value, json};
use support::{Answer, Memory, PASSWORD, agency, alert, console, open, person};

async fn start() -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    (folder, registry)
}

/// Status and field of a refusal.
#[track_caller]
fn check(answer: &Answer, field: &str) {
    let problem = answer.json();
    assert_eq!(
        (answer.status, &problem["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
        "{problem}"
    );
    assert_ne!(problem["message_vi"], problem["message_en"], "{problem}");
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_has_to_be_started_again() {
    let (folder, registry) = start().await;
    let an = person(&registry, "an", Role::Administrator, None).await;
    alert(&registry, "alert-1", "a").await;
    let router = console(registry.clone(), Memory::default());
    let triage = json!({ "alerts": [{ "id": "alert-1", "version": 1 }], "action": "acknowledge" });
    let user = json!({ "login": "binh", "full_name": "Bình", "role": "analyst" });
    registry.hold_writes(true).await.unwrap();
    for (path, body) in [("/api/v1/alerts/triage", &triage), ("/api/v1/users", &user)] {
        let refused = an.post(&router, path, body.clone()).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "disk_full"));
        let problem = refused.json();
        for language in ["message_vi", "message_en"] {
            let words = problem[language].as_str().unwrap();
            assert!(words.contains(folder.path().to_str().unwrap()), "{words}");
        }
    }
    let list = an.get(&router, "/api/v1/alerts").await;
    assert_eq!((list.status, &list.json()["total"]), (StatusCode::OK, &json!(1)));
    registry.hold_writes(false).await.unwrap();
    let done = an.post(&router, "/api/v1/alerts/triage", triage).await;
    assert_eq!(done.json()["changed"][0]["state"], "acknowledged", "{}", done.body);
    assert_eq!(an.post(&router, "/api/v1/users", user).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn numbers_of_a_question_have_a_range() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    alert(&registry, "alert-1", "a").await;
    let router = console(registry, Memory::default());
    for bad in ["-1", "0", "501", "x", "1.5", "", "99999999999999999999"] {
        for path in ["/alerts", "/incidents", "/audit", "/events"] {
            let refused = admin.get(&router, &format!("/api/v1{path}?limit={bad}")).await;
            check(&refused, "limit");
            assert_eq!(refused.json()["message_vi"], "limit: phải từ 1 đến 500", "{path} {bad}");
        }
    }
    for (path, field) in [
        ("/alerts?since=x", "since"),
        ("/alerts?until=1.5", "until"),
        ("/events?since=-", "since"),
        ("/events/histogram?until=x", "until"),
        ("/events/histogram?buckets=-1", "buckets"),
        ("/events/values?field=a&limit=-1", "limit"),
        ("/audit?before=x", "before"),
        ("/overview?hours=-1", "hours"),
        ("/alerts/alert-1/around?minutes=x", "minutes"),
    ] {
        check(&admin.get(&router, &format!("/api/v1{path}")).await, field);
    }
}

#[tokio::test]
async fn a_question_has_sixteen_words_and_a_field_256_bytes() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    for (count, status) in [(16, StatusCode::OK), (17, StatusCode::UNPROCESSABLE_ENTITY)] {
        let words = vec!["a"; count].join("+");
        for path in ["/events?", "/events/histogram?", "/events/values?field=a&"] {
            let found = an.get(&router, &format!("/api/v1{path}q={words}")).await;
            assert_eq!(found.status, status, "{path} {count}: {}", found.body);
        }
    }
    let field = |length: usize| format!("/api/v1/events/values?field={}", "x".repeat(length));
    assert_eq!(an.get(&router, &field(256)).await.status, StatusCode::OK);
    let long = an.get(&router, &field(257)).await;
    check(&long, "field");
    assert_eq!(long.json()["message_en"], "field: must have 1 to 256 bytes");
}

#[tokio::test]
async fn an_unknown_owner_is_named() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    alert(&registry, "alert-1", "a").await;
    let router = console(registry, Memory::default());
    let assign =
        json!({ "alerts": [{ "id": "alert-1", "version": 1 }], "action": "assign", "owner": "nobody" });
    check(&an.post(&router, "/api/v1/alerts/triage", assign).await, "owner");
    let incident = json!({ "title": "x", "class": "XN", "severity": "high", "legal_category": "thuong", "organization": "a", "owner": "nobody" });
    check(&an.post(&router, "/api/v1/incidents", incident).await, "owner");
    // The owner of an exception is who makes it.
    let exception = json!({ "organization": "a", "rule_id": "rule-1", "reason": "x", "expires_at": support::NOW + 1000, "owner": "nobody" });
    let refused = an.post(&router, "/api/v1/exceptions", exception).await;
    check(&refused, "owner");
}

#[tokio::test]
async fn an_unknown_agency_is_told_like_everywhere() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let router = console(registry, Memory::default());
    let viewer = |agency: &str| json!({ "login": "v", "full_name": "V", "role": "agency_viewer", "organizations": [agency] });
    let key = json!({ "organization": "nowhere", "source_name": "fw" });
    let source = json!({ "organization": "nowhere", "name": "fw", "kind": "syslog", "address": "10.0.0.1", "time_zone": "UTC" });
    for (path, body, field) in [
        ("/api/v1/users", viewer("nowhere"), "organizations"),
        ("/api/v1/api-keys", key, "organization"),
        ("/api/v1/sources", source, "organization"),
    ] {
        let refused = admin.post(&router, path, body).await;
        check(&refused, field);
        assert_eq!(refused.json()["message_vi"], format!("{field}: không phải đơn vị thuộc phạm vi của bạn"));
    }
    let made = admin.post(&router, "/api/v1/users", viewer("a")).await.json();
    let mut moved = viewer("nowhere");
    moved.as_object_mut().unwrap().remove("login");
    moved["version"] = made["account"]["version"].clone();
    moved["disabled"] = json!(false);
    let path = format!("/api/v1/users/{}", made["account"]["id"].as_str().unwrap());
    check(&admin.send(&router, Method::PUT, &path, Some(&moved)).await, "organizations");
    moved["organizations"] = json!(["a"]);
    let gone = admin.send(&router, Method::PUT, "/api/v1/users/none", Some(&moved)).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_password_is_refused_in_whole_sentences_at_its_field() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    let change = |present: &str, new: &str| json!({ "present": present, "new": new });
    let weak = an.post(&router, "/api/v1/session/password", change(PASSWORD, "short")).await;
    check(&weak, "new");
    assert_eq!(weak.json()["message_en"], "The password must have at least 14 characters.");
    let wrong = an.post(&router, "/api/v1/session/password", change("wrong", "Một-mật-khẩu-2026!")).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (StatusCode::CONFLICT, &json!("present")));
    let lacking = an.post(&router, "/api/v1/session/password", json!({ "present": "x" })).await;
    check(&lacking, "new");
    assert_eq!(lacking.json()["message_vi"], "new: phải có (dòng 1, cột 15).");
}

#[tokio::test]
async fn a_wrong_setting_of_a_channel_is_named() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let router = console(registry.clone(), Memory::default());
    let channel = |kind: &str, settings: &Value| json!({ "name": "Trực", "kind": kind, "min_level": "high", "enabled": true, "settings": settings });
    let hook = json!({ "url": "https://hook.vn/x", "secret": "s" });
    for (name, value) in [
        ("secret", json!(5)),
        ("secret", json!("***")),
        ("secrte", json!("s")),
        ("url", json!(["https://hook.vn"])),
        ("token", json!("t")),
    ] {
        let mut settings = hook.clone();
        settings[name] = value;
        let refused = admin.post(&router, "/api/v1/notifications", channel("webhook", &settings)).await;
        check(&refused, &format!("settings.{name}"));
    }
    let mut foreign = channel("webhook", &hook);
    foreign["organization"] = json!("nowhere");
    check(&admin.post(&router, "/api/v1/notifications", foreign).await, "organization");
    let made = admin.post(&router, "/api/v1/notifications", channel("webhook", &hook)).await.json();
    let path = format!("/api/v1/notifications/{}", made["id"].as_str().unwrap());
    let mut moved = channel("webhook", &json!({ "url": "https://other.vn/x", "secret": "***" }));
    moved["version"] = json!(1);
    check(&admin.send(&router, Method::PUT, &path, Some(&moved)).await, "settings.secret");
    moved["settings"] = json!({ "url": " https://hook.vn/x ", "secret": "***" });
    let kept = admin.send(&router, Method::PUT, &path, Some(&moved)).await;
    assert_eq!(
        kept.json()["settings"],
        json!({ "url": "https://hook.vn/x", "secret": "***" }),
        "{}",
        kept.body
    );
    let stored = registry.channel_to_test(&dongson_registry::Scope::All, made["id"].as_str().unwrap()).await;
    assert_eq!(stored.unwrap().settings, hook);
}

#[tokio::test]
async fn a_viewer_has_agencies() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let router = console(registry.clone(), Memory::default());
    for organizations in [Value::Null, json!([])] {
        let user = json!({ "login": "v", "full_name": "V", "role": "agency_viewer", "organizations": organizations });
        check(&admin.post(&router, "/api/v1/users", user).await, "organizations");
    }
    let user = json!({ "login": "v", "full_name": "V", "role": "agency_viewer", "organizations": ["a"] });
    let made = admin.post(&router, "/api/v1/users", user).await.json();
    let path = format!("/api/v1/users/{}", made["account"]["id"].as_str().unwrap());
    let everything = json!({
        "full_name": "V", "role": "agency_viewer", "organizations": null, "disabled": false,
        "version": made["account"]["version"],
    });
    check(&admin.send(&router, Method::PUT, &path, Some(&everything)).await, "organizations");
}

#[tokio::test]
async fn a_source_is_itself_and_has_a_parser_that_exists() {
    let (_folder, registry) = start().await;
    agency(&registry, "b").await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let router = console(registry.clone(), Memory::default());
    let source = |organization: &str, parser: Value| {
        json!({
            "organization": organization, "name": "fw", "kind": "syslog", "address": "127.0.0.2", "parser": parser,
            "time_zone": "Asia/Ho_Chi_Minh", "clock_offset_ms": 0,
        })
    };
    let misspelt = admin.post(&router, "/api/v1/sources", source("a", json!("suricatta"))).await;
    check(&misspelt, "parser");
    for (language, known) in
        [("message_vi", "Hiện có: sshd, suricata."), ("message_en", "There are: sshd, suricata.")]
    {
        assert!(misspelt.json()[language].as_str().unwrap().ends_with(known), "{}", misspelt.body);
    }
    let mut unheard = source("a", Value::Null);
    unheard["listener"] = json!("udb");
    let unheard = admin.post(&router, "/api/v1/sources", unheard).await;
    check(&unheard, "listener");
    assert!(
        unheard.json()["message_vi"].as_str().unwrap().contains("udp, tcp, tls, relp"),
        "{}",
        unheard.body
    );
    let list = admin.get(&router, "/api/v1/sources").await.json();
    assert_eq!(list["parsers"], json!(["sshd", "suricata"]));
    assert_eq!(list["listeners"], json!(["udp", "tcp", "tls", "relp"]));
    let made = admin.post(&router, "/api/v1/sources", source("a", json!("suricata"))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let same = admin.post(&router, "/api/v1/sources", source("b", Value::Null)).await;
    assert_eq!((same.status, same.code().as_str()), (StatusCode::CONFLICT, "same_marks"), "{}", same.body);
    assert!(same.json()["message_vi"].as_str().unwrap().contains("fw của đơn vị a"), "{}", same.body);
}

#[tokio::test]
async fn signs_alone_are_no_words() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    alert(&registry, "alert-1", "a").await;
    let router = console(registry.clone(), Memory::default());
    check(&admin.get(&router, "/api/v1/events?q=%E2%82%AC%20%25").await, "q");
    let all = admin.get(&router, "/api/v1/alerts?drill=include").await.json()["total"].clone();
    let title =
        admin.get(&router, "/api/v1/alerts?drill=include").await.json()["alerts"][0]["title_en"].clone();
    let word = title.as_str().unwrap().split_whitespace().next().unwrap().to_owned();
    let path = format!("/api/v1/alerts?drill=include&q=%E2%80%9C{word}%E2%80%9D");
    assert_eq!(admin.get(&router, &path).await.json()["total"], all);
}

#[tokio::test]
async fn a_query_string_that_cannot_be_read_names_its_parameter() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    for (path, field) in [
        ("/alerts?drill=yes", "drill"),
        ("/overview?drill=yes", "drill"),
        ("/sensors?drill=yes", "drill"),
        ("/incidents?drill=yes", "drill"),
        ("/events?drill=yes", "drill"),
        ("/events/histogram?drill=yes", "drill"),
        ("/events/values?field=a&drill=yes", "drill"),
        ("/alerts?ascending=ja", "ascending"),
        ("/alerts?facets=1", "facets"),
        ("/alerts?colour=red", "colour"),
        ("/alerts?limit=1&limit=2", "limit"),
        ("/events?colour=red", "colour"),
        ("/events/values", "field"),
        ("/alerts?since=5&until=1", "until"),
        ("/alerts?since=5&until=5", "until"),
    ] {
        let refused = an.get(&router, &format!("/api/v1{path}")).await;
        check(&refused, field);
        assert_eq!(refused.code(), "invalid", "{path}");
    }
    assert_eq!(an.get(&router, "/api/v1/alerts?since=1&until=5").await.status, StatusCode::OK);
}

#[tokio::test]
async fn people_sign_in_while_the_disk_is_full() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry.clone(), Memory::default());
    registry.hold_writes(true).await.unwrap();
    let given = |password: &str| json!({ "login": "an", "password": password });
    let wrong = an.post(&router, "/api/v1/session", given("wrong")).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::UNAUTHORIZED, "sign_in_refused"));
    let begun = an.post(&router, "/api/v1/session", given(PASSWORD)).await;
    assert_eq!(
        (begun.status, &begun.json()["account"]["login"]),
        (StatusCode::OK, &json!("an")),
        "{}",
        begun.body
    );
    // The session that the browser had is over.
    assert_eq!(an.get(&router, "/api/v1/alerts").await.status, StatusCode::UNAUTHORIZED);
    registry.hold_writes(false).await.unwrap();
    assert_eq!(an.get(&router, "/api/v1/alerts").await.status, StatusCode::UNAUTHORIZED);
}
