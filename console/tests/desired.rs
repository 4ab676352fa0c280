//! Desired state of sensors through the API: who may set it, what is refused, and what becomes of it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use axum::http::{Method, StatusCode};
use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, Purpose, Root, SigningKey};
use dongson_registry::{Registry, Role, SensorCertificate};
use serde_json::{Value, json};
use support::{Memory, NOW, agency, change, console, open, person};

/// A registry with the agencies `a` and `b`, a sensor `s-1` of `a`, and a root document where `trusted`.
async fn start(trusted: bool) -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    agency(&registry, "b").await;
    let token = registry.create_enrolment_token(&change(), "a", "gw", 60_000).await.unwrap();
    let certificate = SensorCertificate {
        sensor: "s-1".into(),
        serial: "01".into(),
        fingerprint: "print".into(),
        not_after: NOW + 1_000_000,
    };
    registry.redeem(&token.secret, &certificate, NOW).await.unwrap();
    if trusted {
        let root_key = SigningKey::from_seed([1; 32]).unwrap();
        let console = registry.signing_key(&change()).await.unwrap();
        // The console asks its own clock.
        let root = Root::new(1, Timestamp::from_millis(4_000_000_000_000))
            .with(Purpose::Root, 1, &[root_key.public()])
            .with(Purpose::Configuration, 1, &[console]);
        let envelope = Envelope::sign_json(Purpose::Root, &root, &root_key).unwrap();
        registry.publish_root(&change(), &envelope).await.unwrap();
    }
    (folder, registry)
}

fn edit(version: i64, configuration: &Value) -> Value {
    json!({ "version": version, "configuration": configuration })
}

#[tokio::test]
async fn an_administrator_sets_it_and_the_sensor_says_what_became_of_it() {
    let (_folder, registry) = start(true).await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let an = person(&registry, "an", Role::Analyst, Some(vec!["a".into()])).await;
    let router = console(registry.clone(), Memory::default());
    let path = "/api/v1/desired/sensor:s-1";
    let empty = an.get(&router, path).await.json();
    assert_eq!((&empty["version"], &empty["configuration"]), (&json!(0), &json!({})));
    let wish = edit(0, &json!({ "filter": "not port 22", "only": ["conn", "dns"], "checksums": "verify" }));
    assert_eq!(an.send(&router, Method::PUT, path, Some(&wish)).await.status, StatusCode::FORBIDDEN);
    let set = admin.send(&router, Method::PUT, path, Some(&wish)).await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.body);
    assert_eq!((&set.json()["version"], &set.json()["organization"]), (&json!(1), &json!("a")));
    let stale = admin.send(&router, Method::PUT, path, Some(&wish)).await;
    assert_eq!((stale.status, stale.code().as_str()), (StatusCode::CONFLICT, "stale"));
    let all = edit(0, &json!({ "spool_mib": 1024 }));
    let all = admin.send(&router, Method::PUT, "/api/v1/desired/all", Some(&all)).await;
    assert_eq!(all.status, StatusCode::OK, "{}", all.body);

    // What the sensor told last stands beside what is wanted.
    let told = json!({ "desired": { "applied": 1, "wanted": 2, "trial": false, "why_not": "x" } });
    registry.sensor_seen("s-1", NOW, Some(&told)).await.unwrap();
    let list = an.get(&router, "/api/v1/sensors").await.json();
    let expected = json!({ "wanted": 2, "applied": 1, "trial": false, "why_not": "x" });
    assert_eq!(list["sensors"][0]["configuration"], expected);
    let whole = admin.get(&router, "/api/v1/sensors/s-1/desired").await.json();
    let targets: Vec<&str> =
        whole["documents"].as_array().unwrap().iter().map(|one| one["target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["all", "organization:a", "sensor:s-1"]);
    assert_eq!(whole["standing"], expected);
    let scoped = an.get(&router, "/api/v1/sensors/s-1/desired").await.json();
    assert_eq!(scoped["documents"].as_array().unwrap().len(), 2, "what is for all is the province's");
    let audit = admin.get(&router, "/api/v1/audit").await.json();
    assert!(
        audit["entries"].as_array().unwrap().iter().any(|one| one["kind"] == "desired"),
        "who set it is in the chain"
    );
}

#[tokio::test]
async fn what_no_sensor_would_take_is_refused_here() {
    let (_folder, registry) = start(true).await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let router = console(registry.clone(), Memory::default());
    for (settings, field) in [
        (json!({ "filter": "tcp prot 80" }), "filter"),
        (json!({ "only": ["dsn"] }), "only"),
        (json!({ "max_flows": 5 }), "max_flows"),
        (json!({ "checksums": "maybe" }), "checksums"),
        (json!({ "observer": "" }), "observer"),
        (json!({ "spool_mib": 1 }), "spool_mib"),
    ] {
        let wish = edit(0, &settings);
        let refused = admin.send(&router, Method::PUT, "/api/v1/desired/all", Some(&wish)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wish}: {}", refused.body);
        let problem = refused.json();
        assert_eq!(problem["field"], field, "{problem}");
        if field == "filter" {
            assert!(problem["detail"].as_str().unwrap().contains("\"prot\""), "{problem}");
        }
    }
    let nobody = admin.get(&router, "/api/v1/desired/everyone").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    assert_eq!(admin.get(&router, "/api/v1/desired/sensor:s-2").await.status, StatusCode::NOT_FOUND);
    let theirs = person(&registry, "bo", Role::Analyst, Some(vec!["b".into()])).await;
    for path in ["/api/v1/desired/sensor:s-1", "/api/v1/desired/organization:a", "/api/v1/desired/all"] {
        let hidden = theirs.get(&router, path).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND, "{path}");
        let refused = theirs.send(&router, Method::PUT, path, Some(&edit(0, &json!({})))).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn without_a_root_document_it_says_what_to_do() {
    let (_folder, registry) = start(false).await;
    let admin = person(&registry, "admin", Role::Administrator, None).await;
    let router = console(registry, Memory::default());
    let wish = edit(0, &json!({}));
    let refused = admin.send(&router, Method::PUT, "/api/v1/desired/all", Some(&wish)).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("dongson admin trust init"), "{}", refused.body);
}
