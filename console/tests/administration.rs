//! Through the API: drills beside what is real, tests of notification channels, settings that name their field, sensors and
//! their owners, names in the audit chain, health.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use dongson_console::{Console, routes};
use dongson_registry::{AlertUpsert, Change, Consumed, Level, Registry, Role, SensorCertificate, Step};
use serde_json::json;
use support::{Memory, NOW, agency, alert, console, open, parts, person};
use tokio_util::sync::CancellationToken;

async fn start() -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    (folder, registry)
}

async fn drill_alert(registry: &Registry) {
    let alert = AlertUpsert {
        facts: [0; 32],
        id: "drill-1".into(),
        organization: "a".into(),
        node: None,
        rule_id: "rule-1".into(),
        rule_version: "1".into(),
        title_vi: "Diễn tập".into(),
        title_en: "Drill".into(),
        level: Level::High,
        entity_type: "source.ip".into(),
        entity_value: "10.0.0.9".into(),
        first_seen: NOW - 60_000,
        last_seen: NOW - 30_000,
        event_id: "event-drill".into(),
        added: 1,
        risk: 50,
        tags: Vec::new(),
        drill: true,
    };
    let first = registry.offset("test", "signals", 0).await.unwrap().map_or(0, |saved| saved.next);
    let run =
        Consumed { group: "test".into(), topic: "signals".into(), partition: 0, first, next: first + 1 };
    registry.apply_alerts(&run, &Step { alerts: vec![alert], ..Step::default() }, NOW).await.unwrap();
}

#[tokio::test]
async fn open_alerts_mean_the_same_everywhere() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    alert(&registry, "real-1", "a").await;
    drill_alert(&registry).await;
    let router = console(registry, Memory::default());
    for (query, total) in [("", 1), ("&drill=exclude", 1), ("&drill=only", 1), ("&drill=include", 2)] {
        let list = an.get(&router, &format!("/api/v1/alerts?state=new{query}")).await.json();
        assert_eq!((&list["total"], &list["drills"]), (&json!(total), &json!(1)), "{query}");
    }
    let list = an.get(&router, "/api/v1/alerts").await.json();
    assert_eq!(list["alerts"][0]["id"], "real-1");
    let overview = an.get(&router, "/api/v1/overview").await.json();
    assert_eq!(overview["figures"]["open_alerts"]["value"], list["total"]);
    for (drill, open) in [("exclude", 1), ("only", 1), ("include", 2)] {
        let overview = an.get(&router, &format!("/api/v1/overview?drill={drill}")).await.json();
        assert_eq!(overview["figures"]["open_alerts"]["value"], open, "{drill}");
        assert_eq!(overview["figures"]["alerts"]["value"], open, "{drill}");
        assert_eq!(overview["newest"].as_array().unwrap().len(), open, "{drill}");
    }
    for path in ["/alerts", "/overview", "/sensors", "/incidents", "/events"] {
        let odd = an.get(&router, &format!("/api/v1{path}?drill=true")).await;
        assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: one meaning everywhere");
        let problem = odd.json();
        assert_eq!(problem["field"], "drill", "{problem}");
        assert_eq!(
            problem["message_vi"],
            "drill: không phải một trong các giá trị cho phép. Được dùng: exclude, only, include."
        );
        assert_eq!(
            problem["message_en"],
            "drill: is not one of the values. Allowed: exclude, only, include."
        );
    }
    let footer = an.get(&router, "/api/v1/stream").await.body;
    assert!(footer.contains("\"open_alerts\":1"), "{footer}");
    let odd = an.get(&router, "/api/v1/alerts?drill=true").await;
    assert_eq!((odd.status, odd.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
    let vi = odd.json()["message_vi"].as_str().unwrap().to_owned();
    assert!(!vi.contains("variant") && odd.json()["detail"].as_str().unwrap().contains("exclude"), "{vi}");
}

#[tokio::test]
async fn a_real_alert_does_not_vanish_into_a_drill() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    alert(&registry, "real-1", "a").await;
    drill_alert(&registry).await;
    let router = console(registry, Memory::default());
    let new = json!({ "title": "Diễn tập", "class": "XN", "severity": "high", "legal_category": "thuong", "alerts": ["drill-1"] });
    let made = an.post(&router, "/api/v1/incidents", new).await.json();
    assert_eq!((&made["number"], &made["drill"]), (&json!("DT-2026-0001"), &json!(true)));
    let path = format!("/api/v1/incidents/{}/alerts", made["id"].as_str().unwrap());
    let refused = an.post(&router, &path, json!({ "alerts": ["real-1"] })).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::CONFLICT, "refused"));
    let problem = refused.json();
    assert!(
        problem["message_vi"].as_str().unwrap().ends_with("hãy lập sự cố riêng cho cảnh báo này"),
        "{problem}"
    );
    assert!(problem["message_en"].as_str().unwrap().ends_with("raise an incident of its own"), "{problem}");
    assert_eq!(an.get(&router, "/api/v1/alerts").await.json()["total"], 1);
}

#[tokio::test]
async fn channels_are_checked_and_tested() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry.clone(), Memory::default());
    let channel = |settings: serde_json::Value| json!({ "name": "Trực", "kind": "smtp", "min_level": "high", "enabled": true, "settings": settings });
    let good =
        json!({ "host": "mail.example", "port": 25, "from": "soc@example.vn", "to": ["an@example.vn"] });
    let mut bad = good.clone();
    bad["port"] = json!(0);
    let refused = admin.post(&router, "/api/v1/notifications", channel(bad)).await;
    assert_eq!(
        (refused.status, &refused.json()["field"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("settings.port"))
    );
    assert_eq!(refused.json()["message_vi"], "settings.port: phải từ 1 đến 65535");
    let made = admin.post(&router, "/api/v1/notifications", channel(good.clone())).await.json();
    let path = format!("/api/v1/notifications/{}/test", made["id"].as_str().unwrap());
    let sent = admin.send(&router, Method::POST, &path, None).await;
    assert_eq!((sent.status, sent.json()), (StatusCode::OK, json!({ "sent": true })));
    assert_eq!(an.send(&router, Method::POST, &path, None).await.status, StatusCode::FORBIDDEN);
    let mut other = good;
    other["host"] = json!("refuses.example");
    let made = admin.post(&router, "/api/v1/notifications", channel(other)).await.json();
    let path = format!("/api/v1/notifications/{}/test", made["id"].as_str().unwrap());
    let failed = admin.send(&router, Method::POST, &path, None).await;
    assert_eq!((failed.status, failed.code().as_str()), (StatusCode::BAD_GATEWAY, "test_failed"));
    assert_eq!(failed.json()["detail"], "550 no such user");
    let audit = admin.get(&router, "/api/v1/audit").await.json();
    let newest = &audit["entries"][0];
    assert_eq!((&newest["action"], &newest["object_name"]), (&json!("test"), &json!("Trực")));
    assert_eq!(newest["actor_name"], "admin (admin)");
}

#[tokio::test]
async fn sensors_have_owners_and_those_of_drills_are_apart() {
    let (_folder, registry) = start().await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    for (who, id) in [(Change::by(&admin.id, None, NOW), "real"), (Change::service("drill", NOW), "drill")] {
        let token = registry.create_enrolment_token(&who, "a", &format!("node-{id}"), 60_000).await.unwrap();
        let certificate = SensorCertificate {
            sensor: id.into(),
            serial: format!("serial-{id}"),
            fingerprint: format!("print-{id}"),
            not_after: NOW + 1_000_000,
        };
        registry.redeem(&token.secret, &certificate, NOW).await.unwrap();
    }
    let router = console(registry.clone(), Memory::default());
    let list = an.get(&router, "/api/v1/sensors").await.json();
    assert_eq!(list["sensors"].as_array().unwrap().len(), 1, "{list}");
    let sensor = &list["sensors"][0];
    assert_eq!((&sensor["owner"], &sensor["quiet_after_seconds"]), (&json!("admin"), &json!(300)));
    assert_eq!(
        an.get(&router, "/api/v1/sensors?drill=include").await.json()["sensors"].as_array().unwrap().len(),
        2
    );
    let only = an.get(&router, "/api/v1/sensors?drill=only").await.json();
    assert_eq!(only["sensors"].as_array().unwrap().len(), 1, "{only}");
    assert_eq!(only["sensors"][0]["drill"], true);
    for (drill, total) in [("exclude", 1), ("only", 1), ("include", 2)] {
        let overview = an.get(&router, &format!("/api/v1/overview?drill={drill}")).await.json();
        assert_eq!(overview["coverage"]["total"], total, "{drill}");
        assert_eq!(overview["figures"]["sensors_online"]["value"], overview["coverage"]["online"]);
    }
    let by = Change::by(&admin.id, None, NOW);
    registry.revoke_sensor(&dongson_registry::Scope::All, &by, "drill", "over").await.unwrap();
    let only = an.get(&router, "/api/v1/overview?drill=only").await.json();
    assert_eq!(only["coverage"], json!({ "online": 0, "total": 0 }), "a revoked one is no coverage");
    assert_eq!(
        admin.get(&router, "/api/v1/enrolment-tokens").await.json()["tokens"].as_array().unwrap().len(),
        1
    );
    let edit = json!({ "version": sensor["version"], "owner": "an", "quiet_after_seconds": 900 });
    let path = "/api/v1/sensors/real";
    let denied = an.send(&router, Method::PATCH, path, Some(&edit)).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let after = admin.send(&router, Method::PATCH, path, Some(&edit)).await.json();
    assert_eq!((&after["owner"], &after["quiet_after_seconds"]), (&json!("an"), &json!(900)));
    assert_eq!(admin.send(&router, Method::PATCH, path, Some(&edit)).await.status, StatusCode::CONFLICT);
    let short = json!({ "version": after["version"], "quiet_after_seconds": 5 });
    let refused = admin.send(&router, Method::PATCH, path, Some(&short)).await;
    assert_eq!(refused.json()["field"], "quiet_after_seconds");
    let nobody = json!({ "version": after["version"], "owner": "" });
    let after = admin.send(&router, Method::PATCH, path, Some(&nobody)).await.json();
    assert_eq!((&after["owner"], &after["quiet_after_seconds"]), (&json!(null), &json!(900)));
}

#[tokio::test]
async fn health_names_the_part_that_cannot_work() {
    let (_folder, registry) = start().await;
    let mut parts = parts(registry, Memory::default());
    parts.health = Arc::new(|| Box::pin(async { Some("bus: disk full: 3 bytes free".to_owned()) }));
    let router = routes(Console::new(parts, CancellationToken::new()));
    let request = axum::http::Request::get("/healthz").body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    assert_eq!(body.as_ref(), b"bus unavailable\n");
}
