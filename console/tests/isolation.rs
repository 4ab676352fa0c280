//! Nobody learns anything of another agency: every route of the document is walked as a viewer and an analyst of
//! agency A, in two worlds that differ only in agency B's data, with ids of A, of B and of nothing; and as nobody.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use std::{collections::BTreeMap, fs};

use axum::{
    Router,
    http::{Method, StatusCode},
};
use dongson_registry::{
    AssetEdit, ChannelEdit, ChannelKind, ExceptionEdit, LegalCategory, Level, NewIncident, NewPacketOrder,
    Registry, Role, Scope, SensorCertificate, Severity, SourceEdit, SourceKind, new_id,
};
use serde_json::{Value, json};
use support::{Answer, Caller, Memory, NOW, agency, alert, change, console, event, open, person};

/// Ids of one agency's things by the path that they stand in.
type Ids = BTreeMap<&'static str, String>;

/// Gives an agency one of everything.
async fn furnish(registry: &Registry, organization: &str, leader: &Caller) -> Ids {
    let change_ = change();
    let token = registry.create_enrolment_token(&change_, organization, "gw-01", 60_000).await.unwrap();
    let certificate = SensorCertificate {
        sensor: new_id(),
        serial: format!("serial-{organization}"),
        fingerprint: format!("fingerprint-{organization}"),
        not_after: NOW + 1_000_000,
    };
    let sensor = registry.redeem(&token.secret, &certificate, NOW).await.unwrap();
    registry.sensor_seen(&sensor.id, NOW, Some(&json!({ "drops": 1 }))).await.unwrap();
    let open_token = registry.create_enrolment_token(&change_, organization, "gw-02", 60_000).await.unwrap();
    let key = registry.create_api_key(&change_, organization, "web-01", false).await.unwrap();
    let source = registry.create_source(&change_, &source(organization)).await.unwrap();
    let asset = AssetEdit {
        organization: organization.into(),
        name: "portal".into(),
        address: Some("192.0.2.1".into()),
        host: None,
        level: 3,
        owner: None,
    };
    registry.import_assets(&change_, &[asset]).await.unwrap();
    let by = dongson_registry::Change::by(&leader.id, None, NOW);
    let exception = registry.create_exception(&Scope::All, &by, &exception(organization)).await.unwrap();
    let channel = registry.create_channel(&Scope::All, &change_, &channel(organization)).await.unwrap();
    let id = format!("alert-{organization}");
    alert(registry, &id, organization).await;
    let incident = registry.create_incident(&Scope::All, &by, &incident(&id)).await.unwrap();
    let order = NewPacketOrder {
        incident: incident.id.clone(),
        sensor: sensor.id.clone(),
        reason: "dữ liệu ra ngoài".into(),
        since: NOW - 1_000,
        until: NOW,
        community_id: None,
        filter: Some("tcp port 443".into()),
        max_bytes: None,
        life_hours: None,
    };
    let order = registry.ask_packets(&Scope::All, &by, &order).await.unwrap();
    let viewer = person(
        registry,
        &format!("viewer.{organization}.2"),
        Role::AgencyViewer,
        Some(vec![organization.into()]),
    )
    .await;
    Ids::from([
        ("/alerts/{id}", id),
        ("/incidents/{id}", incident.id),
        ("/packets/{id}", order.id),
        ("/sensors/{id}", sensor.id),
        ("/enrolment-tokens/{id}", open_token.token.id),
        ("/api-keys/{id}", key.key.id),
        ("/sources/{id}", source.id),
        ("/exceptions/{id}", exception.id),
        ("/notifications/{id}", channel.id),
        ("/agencies/{id}", organization.to_owned()),
        ("/users/{id}", viewer.id),
        ("/events/{id}", format!("event-{organization}")),
        ("/rules/{id}", "rule-1".to_owned()),
    ])
}

fn source(organization: &str) -> SourceEdit {
    SourceEdit {
        organization: organization.into(),
        name: "fw-01".into(),
        kind: SourceKind::Syslog,
        address: Some("10.1.0.0/16".into()),
        listener: None,
        // No two sources have the same marks.
        certificate: Some(format!("{organization:0>64}")),
        api_key: None,
        parser: None,
        time_zone: "Asia/Ho_Chi_Minh".into(),
        clock_offset_ms: 0,
        expected_per_hour: None,
        silence_after_seconds: None,
        owner: None,
    }
}

fn exception(organization: &str) -> ExceptionEdit {
    ExceptionEdit {
        organization: Some(organization.into()),
        rule_id: Some("rule-1".into()),
        entity_type: None,
        entity_value: None,
        reason: "quét định kỳ".into(),
        expires_at: NOW + 1_000_000,
    }
}

fn channel(organization: &str) -> ChannelEdit {
    ChannelEdit {
        organization: Some(organization.into()),
        name: "mail".into(),
        kind: ChannelKind::Webhook,
        settings: json!({ "url": "https://example.org/" }),
        min_level: Level::Low,
        enabled: true,
    }
}

fn incident(alert: &str) -> NewIncident {
    NewIncident {
        title: "Xâm nhập".into(),
        class: dongson_registry::Class::Xn,
        severity: Severity::High,
        legal_category: LegalCategory::NghiemTrong,
        organization: None,
        detected_at: None,
        owner: None,
        alerts: vec![alert.into()],
        comment: None,
    }
}

/// Every operation of the document as (method, path with parameters).
fn operations() -> Vec<(Method, String)> {
    let document = serde_json::to_value(dongson_console::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if let Ok(method) = method.to_uppercase().parse::<Method>()
                && ["get", "post", "put", "patch", "delete"]
                    .contains(&method.as_str().to_lowercase().as_str())
            {
                found.push((method, path.clone()));
            }
        }
    }
    assert!(found.len() > 60, "only {} operations", found.len());
    found
}

/// The path with the id of its kind put in; of a path without parameters the path itself.
fn fill(path: &str, ids: &Ids) -> String {
    let Some((head, _)) = path.split_once("/{id}") else { return path.to_owned() };
    let kind = format!("{}/{{id}}", head.trim_start_matches("/api/v1"));
    let id = ids.get(kind.as_str()).unwrap_or_else(|| panic!("no id for {path}"));
    let alert = ids.get("/alerts/{id}").unwrap();
    path.replacen("{id}", id, 1).replace("{alert}", alert)
}

/// A body that the operation takes, so that a refusal is about the id and not about the body.
fn body(method: &Method, path: &str, ids: &Ids) -> Option<Value> {
    let alert = ids.get("/alerts/{id}").unwrap();
    let organization = ids.get("/agencies/{id}").unwrap();
    let with_version = |edit: Value| {
        let mut edit = edit;
        edit["version"] = json!(1);
        edit
    };
    if *method == Method::GET || *method == Method::DELETE {
        return None;
    }
    Some(match path.trim_start_matches("/api/v1") {
        "/session/password" => json!({ "present": "x", "new": "y" }),
        "/session/language" => json!({ "language": "vi" }),
        "/alerts/triage" => {
            json!({ "alerts": [{ "id": alert, "version": 2 }], "action": "close", "verdict": "benign", "reason": "x" })
        }
        "/alerts/undo" => json!({ "undo": "none" }),
        "/incidents" => serde_json::to_value(incident(alert)).unwrap(),
        "/incidents/{id}" => json!({ "version": 1, "title": "x" }),
        "/incidents/{id}/comments" => json!({ "text": "x" }),
        "/incidents/{id}/alerts" => json!({ "alerts": [alert] }),
        "/incidents/{id}/close" => json!({ "version": 1, "verdict": "benign", "cause": "x", "lesson": "x" }),
        "/packets" => json!({
            "incident": ids.get("/incidents/{id}"), "sensor": ids.get("/sensors/{id}"), "reason": "x",
            "since": NOW - 1, "until": NOW, "filter": "tcp",
        }),
        "/exceptions" => serde_json::to_value(exception(organization)).unwrap(),
        "/exceptions/{id}/end" => json!({ "version": 1 }),
        "/notifications" => serde_json::to_value(channel(organization)).unwrap(),
        "/notifications/{id}" => with_version(serde_json::to_value(channel(organization)).unwrap()),
        "/sources" => serde_json::to_value(source(organization)).unwrap(),
        "/sources/{id}" => with_version(serde_json::to_value(source(organization)).unwrap()),
        "/sensors/{id}" => json!({ "version": 1, "owner": "an" }),
        "/sensors/{id}/revoke" | "/packets/{id}/decline" => json!({ "reason": "x" }),
        "/assets/import" => json!({ "format": "csv", "text": "organization,name,level\n" }),
        _ => json!({}),
    })
}

/// What matters of an answer: a cookie may not differ, nor anything else.
fn same(one: &Answer, two: &Answer, what: &str) {
    assert_eq!(one, two, "{what}");
}

/// Ids that are nothing.
fn nothing() -> Ids {
    let kinds = [
        "/alerts/{id}",
        "/incidents/{id}",
        "/packets/{id}",
        "/sensors/{id}",
        "/enrolment-tokens/{id}",
        "/api-keys/{id}",
        "/sources/{id}",
        "/exceptions/{id}",
        "/notifications/{id}",
        "/agencies/{id}",
        "/users/{id}",
        "/events/{id}",
        "/rules/{id}",
    ];
    kinds.into_iter().map(|kind| (kind, "none".to_owned())).collect()
}

/// Two worlds that differ only in B's data, and who walks through them.
struct Worlds {
    _folders: [tempfile::TempDir; 2],
    poor: Router,
    rich: Router,
    viewer: Caller,
    analyst: Caller,
    of_a: Ids,
    of_b: Ids,
}

async fn worlds() -> Worlds {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let registry = open(folders[0].path()).await;
    agency(&registry, "a").await;
    agency(&registry, "b").await;
    let leader = person(&registry, "leader", Role::Analyst, None).await;
    let viewer = person(&registry, "viewer", Role::AgencyViewer, Some(vec!["a".into()])).await;
    let analyst = person(&registry, "analyst", Role::Analyst, Some(vec!["a".into()])).await;
    let of_a = furnish(&registry, "a", &leader).await;
    registry.close().await;
    fs::copy(folders[0].path().join("registry.sqlite"), folders[1].path().join("registry.sqlite")).unwrap();
    let poor = open(folders[0].path()).await;
    let rich = open(folders[1].path()).await;
    let of_b = furnish(&rich, "b", &leader).await;
    let events = |list: &[&str]| Memory {
        events: list.iter().map(|id| event(&format!("event-{id}"), id)).collect(),
        ..Memory::default()
    };
    Worlds {
        poor: console(poor, events(&["a"])),
        rich: console(rich, events(&["a", "b", "b"])),
        _folders: folders,
        viewer,
        analyst,
        of_a,
        of_b,
    }
}

#[tokio::test]
async fn every_read_is_the_same_in_both_worlds() {
    let worlds = worlds().await;
    let mut compared = 0;
    for (method, path) in operations() {
        if method != Method::GET {
            continue;
        }
        for (who, caller) in [("viewer", &worlds.viewer), ("analyst", &worlds.analyst)] {
            for (whose, ids) in [("a", &worlds.of_a), ("b", &worlds.of_b), ("nothing", &nothing())] {
                let url = fill(&path, ids);
                let (poor, rich) =
                    (caller.get(&worlds.poor, &url).await, caller.get(&worlds.rich, &url).await);
                same(&poor, &rich, &format!("{who} GET {url} ({whose})"));
                // A viewer takes no packets, and this order has none yet.
                let packets = path.ends_with("/pcap");
                let expect_found =
                    whose == "a" && path.contains("{id}") && !path.contains("notifications") && !packets;
                if expect_found {
                    assert_eq!(rich.status, StatusCode::OK, "{who} GET {url}: {}", rich.body);
                }
                compared += 1;
            }
        }
    }
    println!("{compared} answers compared byte for byte");
}

#[tokio::test]
async fn filters_sorts_and_words_tell_nothing_either() {
    let worlds = worlds().await;
    let queries = [
        "/alerts?facets=true",
        "/alerts?drill=include&facets=true",
        "/alerts?drill=only",
        "/alerts?organization=b&facets=true",
        "/alerts?organization=a,b&sort=risk&ascending=true&limit=1",
        "/alerts?q=ssh&owner=",
        "/alerts?entity=10.0.0.1",
        "/incidents?q=SC-2026-0002",
        "/incidents?organization=b",
        "/incidents?limit=1",
        "/overview?hours=1",
        "/overview?organization=b",
        "/overview?drill=only",
        "/events?organization=b",
        "/events?q=raw&organization=a,b",
        "/events?filter=[{%22field%22:%22organization.id%22,%22operator%22:%22is%22,%22value%22:%22b%22}]",
        "/events?columns=organization.id,source.ip",
        "/events/histogram?organization=b",
        "/events/histogram?organization=a,b&buckets=5",
        "/events/values?field=organization.id",
        "/events/values?field=source.ip&organization=b",
        "/events/values?field=organization.id&filter=[{%22field%22:%22organization.id%22,%22operator%22:%22is_not%22,%22value%22:%22a%22}]",
        "/alerts/alert-a/around?minutes=60",
    ];
    for query in queries {
        let url = format!("/api/v1{query}");
        let (poor, rich) =
            (worlds.viewer.get(&worlds.poor, &url).await, worlds.viewer.get(&worlds.rich, &url).await);
        assert_eq!(rich.status, StatusCode::OK, "{url}: {}", rich.body);
        same(&poor, &rich, &url);
    }
}

#[tokio::test]
async fn another_agencys_id_is_no_id_for_every_write() {
    let worlds = worlds().await;
    for (method, path) in operations() {
        if method == Method::GET || path.ends_with("/session") {
            continue;
        }
        for (who, caller) in [("viewer", &worlds.viewer), ("analyst", &worlds.analyst)] {
            let ask = async |router: &Router, ids: &Ids| {
                caller
                    .send(router, method.clone(), &fill(&path, ids), body(&method, &path, ids).as_ref())
                    .await
            };
            let of_b = ask(&worlds.rich, &worlds.of_b).await;
            same(&ask(&worlds.poor, &worlds.of_b).await, &of_b, &format!("{who} {method} {path}"));
            if path.contains("{id}") {
                same(
                    &ask(&worlds.rich, &nothing()).await,
                    &of_b,
                    &format!("{who} {method} {path} against nothing"),
                );
                assert!(!of_b.status.is_success(), "{who} {method} {path}");
            }
            let triages = path.ends_with("/alerts/triage");
            if who == "viewer" && !path.contains("/session") {
                assert_eq!(of_b.status, StatusCode::FORBIDDEN, "{who} {method} {path}");
            } else if triages {
                assert_eq!(of_b.json()["missing"], json!(["alert-b"]));
            }
        }
    }
}

#[tokio::test]
async fn nobody_gets_nothing() {
    let worlds = worlds().await;
    let stranger = Caller::default();
    let forger = Caller { secret: Some("0".repeat(64)), csrf: Some("0".repeat(64)), ..Caller::default() };
    for (method, path) in operations() {
        if method == Method::POST && path.ends_with("/session") {
            continue;
        }
        for caller in [&stranger, &forger] {
            let url = fill(&path, &worlds.of_a);
            let answer = caller
                .send(&worlds.rich, method.clone(), &url, body(&method, &path, &worlds.of_a).as_ref())
                .await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {url}");
            assert_eq!(answer.code(), "unauthenticated");
        }
    }
}

#[tokio::test]
async fn no_change_goes_without_the_sessions_token() {
    let worlds = worlds().await;
    for (method, path) in operations() {
        if method == Method::GET || (method == Method::POST && path.ends_with("/session")) {
            continue;
        }
        for csrf in [None, Some("0".repeat(64)), worlds.viewer.csrf.clone()] {
            let forged = Caller { csrf, ..worlds.analyst.clone() };
            let url = fill(&path, &worlds.of_a);
            let body = body(&method, &path, &worlds.of_a);
            let answer = forged.send(&worlds.rich, method.clone(), &url, body.as_ref()).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::FORBIDDEN, "csrf"),
                "{method} {url}"
            );
        }
    }
}
