//! Packets of a sensor through the API: asked for, approved by somebody else, taken with their SHA-256; and who may not.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use axum::http::{Method, StatusCode};
use dongson_event::Timestamp;
use dongson_event::trust::{Envelope, PacketAccount, PacketAnswer, Purpose, Root, SigningKey};
use dongson_registry::{
    LegalCategory, NewIncident, Registry, Role, Scope, SensorCertificate, Severity, new_id,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use support::{Caller, Memory, NOW, agency, change, console, open, person};

/// Agency `a` with a sensor and an incident, and a root document that lets the console sign requests.
async fn world(registry: &Registry, leader: &Caller) -> (String, String) {
    let token = registry.create_enrolment_token(&change(), "a", "gw-01", 60_000).await.unwrap();
    let certificate = SensorCertificate {
        sensor: new_id(),
        serial: "01".into(),
        fingerprint: "f".into(),
        not_after: NOW + 1_000_000,
    };
    let sensor = registry.redeem(&token.secret, &certificate, NOW).await.unwrap();
    let by = dongson_registry::Change::by(&leader.id, None, NOW);
    let incident = NewIncident {
        title: "Xâm nhập".into(),
        class: dongson_registry::Class::Xn,
        severity: Severity::High,
        legal_category: LegalCategory::Thuong,
        organization: Some("a".into()),
        detected_at: None,
        owner: None,
        alerts: Vec::new(),
        comment: None,
    };
    let incident = registry.create_incident(&Scope::All, &by, &incident).await.unwrap();
    (sensor.id, incident.id)
}

async fn publish_root(registry: &Registry) {
    let console = registry.signing_key(&change()).await.unwrap();
    let key = SigningKey::from_seed([1; 32]).unwrap();
    let root = Root::new(1, Timestamp::from_millis(NOW * 2)).with(Purpose::Root, 1, &[key.public()]).with(
        Purpose::Request,
        1,
        &[console],
    );
    let signed = Envelope::sign_json(Purpose::Root, &root, &key).unwrap();
    registry.publish_root(&change(), &signed).await.unwrap();
}

#[tokio::test]
async fn from_the_question_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    let lan = person(&registry, "lan", Role::Analyst, None).await;
    let minh = person(&registry, "minh", Role::Analyst, None).await;
    let admin = person(&registry, "chu", Role::Administrator, None).await;
    let viewer = person(&registry, "xem", Role::AgencyViewer, Some(vec!["a".into()])).await;
    let (sensor, incident) = world(&registry, &lan).await;
    let router = console(registry.clone(), Memory::default());

    let wanted = json!({
        "incident": incident, "sensor": sensor, "reason": "Dữ liệu nào đã ra ngoài?",
        "since": NOW - 3_600_000, "until": NOW, "filter": "host 10.0.0.1 and tcp port 443", "max_bytes": 4096,
    });
    let mut nothing = wanted.clone();
    nothing["filter"] = json!(null);
    let refused = lan.post(&router, "/api/v1/packets", nothing).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "invalid"));
    assert!(
        refused.json()["message_vi"].as_str().unwrap().contains("không thể lấy toàn bộ"),
        "{}",
        refused.body
    );
    assert_eq!(viewer.post(&router, "/api/v1/packets", wanted.clone()).await.status, StatusCode::FORBIDDEN);
    let made = lan.post(&router, "/api/v1/packets", wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let path = format!("/api/v1/packets/{}", made.json()["id"].as_str().unwrap());
    let act = async |who: &Caller, what: &str, body: Option<serde_json::Value>| {
        who.send(&router, Method::POST, &format!("{path}/{what}"), body.as_ref()).await
    };

    let alone = act(&lan, "approve", None).await;
    assert_eq!((alone.status, alone.code().as_str()), (StatusCode::CONFLICT, "refused"));
    assert!(alone.json()["message_vi"].as_str().unwrap().contains("người khác"), "{}", alone.body);
    assert_eq!(act(&viewer, "approve", None).await.status, StatusCode::FORBIDDEN);
    let unsigned = act(&minh, "approve", None).await;
    assert_eq!(unsigned.status, StatusCode::CONFLICT, "there is no root document: {}", unsigned.body);
    publish_root(&registry).await;
    let approved = act(&minh, "approve", None).await;
    assert_eq!((approved.status, &approved.json()["state"]), (StatusCode::OK, &json!("approved")));
    assert_eq!(act(&minh, "approve", None).await.status, StatusCode::CONFLICT);
    let early = lan.get(&router, &format!("{path}/pcap")).await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::CONFLICT, "refused"));

    // The sensor's part, as the collector hears it.
    let id = approved.json()["id"].as_str().unwrap().to_owned();
    let content = b"packets of the sensor";
    registry.receive_packets(&sensor, &id, 0, &content[..8], NOW).await.unwrap();
    assert_eq!(lan.get(&router, &path).await.json()["state"], "sent");
    registry.receive_packets(&sensor, &id, 8, &content[8..], NOW).await.unwrap();
    let account = PacketAccount {
        sha256: hex::encode(Sha256::digest(content)),
        bytes: content.len() as u64,
        frames: 3,
        cut_frames: 1,
        ..PacketAccount::default()
    };
    registry.end_packets(&sensor, &id, &PacketAnswer::Packets(account), NOW).await.unwrap();
    let list =
        viewer.get(&router, &format!("/api/v1/packets?incident={incident}&state=answered,refused")).await;
    assert_eq!(list.json()["orders"][0]["account"]["cut_frames"], 1);
    assert_eq!(lan.get(&router, "/api/v1/packets?state=lost").await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let taken = lan.get(&router, &format!("{path}/pcap")).await;
    assert_eq!((taken.status, taken.body.as_bytes()), (StatusCode::OK, &content[..]));
    let header = |name: &str| taken.headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, Sha256::digest(content));
    assert_eq!(header("content-digest"), format!("sha-256=:{digest}:"));
    assert!(header("content-disposition").contains(&format!("{id}.pcapng")));
    assert_eq!(viewer.get(&router, &format!("{path}/pcap")).await.status, StatusCode::FORBIDDEN);
    let entries = admin.get(&router, "/api/v1/audit").await.json();
    let downloads =
        entries["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "download").count();
    assert_eq!(downloads, 1, "{entries}");

    let discard = async |who: &Caller| who.send(&router, Method::DELETE, &format!("{path}/pcap"), None).await;
    assert_eq!(discard(&lan).await.status, StatusCode::FORBIDDEN);
    assert_eq!(discard(&admin).await.status, StatusCode::OK);
    assert_eq!(lan.get(&router, &format!("{path}/pcap")).await.status, StatusCode::CONFLICT);
    let late = act(&lan, "decline", Some(json!({ "reason": "muộn" }))).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
}
