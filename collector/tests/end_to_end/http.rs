//! NDJSON and `_bulk` over HTTPS.

use crate::world::{World, change, edit};
use dongson_event::{TOPIC_EVENTS, TOPIC_UNPARSED};
use dongson_registry::{Scope, SourceKind};
use std::io::Write as _;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_is_the_same_events() {
    let mut world = World::new().await;
    let bearer = format!("Bearer {}", world.key("xa-a", false).await);
    let body = "{\"message\":\"a\",\"organization.id\":\"xa-b\",\"observer\":{\"name\":\"x\"}}\n{broken\n";
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k1")];
    let client = world.client(None);
    for _ in 0..2 {
        let (status, answer) = world.post(&client, "/v1/events", &headers, body).await;
        assert_eq!((status, answer["accepted"].as_u64()), (200, Some(2)));
    }
    world = world.restart().await;
    world.post(&world.client(None), "/v1/events", &headers, body).await;
    let events = world.read(TOPIC_EVENTS).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].organization(), events[0].text("observer.name")), ("xa-a", Some("web01")));
    assert_eq!(events[0].text("dongson.claimed.organization.id"), Some("xa-b"));
    let unparsed = world.read(TOPIC_UNPARSED).await;
    assert_eq!((unparsed.len(), unparsed[0].text("event.original")), (1, Some("{broken")));
    // Without a key each request is new.
    for _ in 0..2 {
        world.post(&world.client(None), "/v1/events", &headers[..1], "{\"a\":1}").await;
    }
    assert_eq!(world.read(TOPIC_EVENTS).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_get_clear_answers() {
    let world = World::new().await;
    let client = world.client(None);
    let bearer = format!("Bearer {}", world.key("xa-a", false).await);
    let key = ("authorization", bearer.as_str());
    for (headers, body, status, code) in [
        (vec![], &b"{}"[..], 401, "unauthorized"),
        (vec![("authorization", "Bearer wrong")], b"{}", 401, "unauthorized"),
        (vec![key], b"", 400, "bad_request"),
        (vec![key, ("idempotency-key", "")], b"{}", 400, "bad_request"),
        (vec![key, ("content-encoding", "br")], b"{}", 400, "bad_request"),
        (vec![key, ("content-encoding", "gzip")], b"{}", 400, "bad_request"),
        (vec![key, ("dongson-drill", "x")], b"{}", 403, "forbidden"),
    ] {
        let (found, answer) = world.post(&client, "/v1/events", &headers, body).await;
        assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{answer}");
    }
    for (path, status, code) in [("/v1/none", 404, "not_found"), ("/healthz", 405, "method_not_allowed")] {
        let (found, answer) = world.post(&client, path, &[key], "{}").await;
        let told = (answer["status"].as_u64(), answer["code"].as_str());
        assert_eq!((found, told), (status, (Some(status.into()), Some(code))), "{answer}");
    }
    let (status, _) = world.post(&client, "/v1/events", &[key], vec![b'a'; (16 << 20) + 1]).await;
    assert_eq!(status, 413);
    let keys = world.registry.api_keys(&Scope::All).await.unwrap();
    world.registry.revoke_api_key(&Scope::All, &change(), &keys[0].id).await.unwrap();
    assert_eq!(world.post(&client, "/v1/events", &[key], "{}").await.0, 401);
    assert!(world.read(TOPIC_EVENTS).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_running_session_makes_a_drill() {
    let world = World::new().await;
    let client = world.client(None);
    let bearer = format!("Bearer {}", world.key("xa-a", true).await);
    let key = ("authorization", bearer.as_str());
    assert_eq!(world.post(&client, "/v1/events", &[key], "{\"dongson.drill\":\"x\"}").await.0, 403);
    let drill = world.registry.start_drill(&change()).await.unwrap();
    let nonce = ("dongson-drill", drill.nonce.as_str());
    assert_eq!(world.post(&client, "/v1/events", &[key, nonce], "{\"dongson.drill\":\"x\"}").await.0, 200);
    let events = world.read(TOPIC_EVENTS).await;
    assert_eq!(events[0].text("dongson.drill"), Some(drill.session.id.as_str()));
    world.registry.end_drill(&change(), &drill.session.id).await.unwrap();
    assert_eq!(world.post(&client, "/v1/events", &[key, nonce], "{}").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_as_shippers_send_it() {
    let world = World::new().await;
    let secret = world.key("xa-a", false).await;
    let key = world.registry.api_keys(&Scope::All).await.unwrap().remove(0);
    let mut wanted = edit(SourceKind::Http);
    wanted.address = None;
    wanted.api_key = Some(key.id);
    let (world, _) = world.source(wanted).await;
    let basic = format!("Basic {}", base64_of(&format!("filebeat:{secret}")));
    let (status, marked, info) = world.get("/", &basic).await;
    assert_eq!((status, marked, info["tagline"].as_str()), (200, true, Some("You Know, for Search")));
    for probe in
        ["/_license", "/_xpack", "/_index_template/filebeat-8", "/_ilm/policy/filebeat", "/_cluster/health"]
    {
        assert_eq!(world.get(probe, &basic).await.0, 200, "{probe}");
    }
    assert_eq!(world.get("/", "Basic bm86bm8=").await.0, 401);
    let line = r#"{"@timestamp":"2026-11-23T02:00:00.000Z","log":{"file":{"path":"/var/log/auth.log"}},"message":"Nov 23 09:00:03 web01 sshd[9]: Invalid user admin from 203.0.113.5 port 4"}"#;
    let body =
        format!("{{\"create\":{{\"_index\":\"filebeat\"}}}}\n{line}\n{{\"delete\":{{\"_id\":\"z\"}}}}\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let headers = [
        ("authorization", basic.as_str()),
        ("content-encoding", "gzip"),
        ("content-type", "application/json"),
    ];
    let client = world.client(None);
    for _ in 0..2 {
        let (status, answer) = world.post(&client, "/_bulk", &headers, packed.clone()).await;
        assert_eq!((status, answer["errors"].as_bool()), (200, Some(true)));
        assert_eq!(answer["items"][0]["create"]["status"], 201);
        assert_eq!(answer["items"][1]["delete"]["status"], 400);
    }
    let events = world.read(TOPIC_EVENTS).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].dataset(), events[0].text("user.name")), ("sshd", Some("admin")));
    assert_eq!(events[0].text("observer.name"), Some("gw-01"));
    assert_eq!(world.post(&client, "/_bulk", &headers[..1], "nonsense\n{}").await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_with_an_id_are_stored_once_however_they_are_grouped() {
    let world = World::new().await;
    let api_key = format!("ApiKey {}", base64_of(&format!("id:{}", world.key("xa-a", false).await)));
    let document = |id: u32| format!("{{\"index\":{{\"_id\":\"{id}\"}}}}\n{{\"n\":{id}}}\n");
    let headers = [("authorization", api_key.as_str())];
    let client = world.client(None);
    for ids in [vec![1, 2, 3], vec![2, 3, 4], vec![4, 1]] {
        let body: String = ids.into_iter().map(document).collect();
        let (status, answer) = world.post(&client, "/logs-web/_bulk", &headers, body).await;
        assert_eq!((status, answer["errors"].as_bool()), (200, Some(false)), "{answer}");
    }
    let mut numbers: Vec<_> =
        world.read(TOPIC_EVENTS).await.iter().map(|event| event.int("n").unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
