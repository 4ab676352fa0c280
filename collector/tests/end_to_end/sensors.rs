//! Enrolment, renewal, batches, revocation.

use crate::world::{World, change};
use dongson_event::TOPIC_EVENTS;
use dongson_event::batch::{Class, Place, root};
use dongson_registry::Scope;
use rcgen::{CertificateParams, KeyPair};

/// A key and its request.
fn request() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    (key.serialize_pem(), csr)
}

async fn token(world: &World, life_ms: i64) -> String {
    let made = world.registry.create_enrolment_token(&change(), "xa-a", "gw-ubnd", life_ms).await.unwrap();
    world.token(&made.secret)
}

async fn enrol(world: &World, token: &str) -> (u16, serde_json::Value, String) {
    let (key, csr) = request();
    let body = serde_json::json!({ "token": token, "csr": csr }).to_string();
    let (status, answer) = world.post(&world.client(None), "/v1/enrol", &[], body).await;
    (status, answer, key)
}

fn batch(lines: &[&str]) -> Vec<u8> {
    zstd::encode_all(lines.join("\n").as_bytes(), 1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_token_to_events_to_revocation() {
    let mut world = World::new().await;
    let token = token(&world, 60_000).await;
    let (status, enrolled, key) = enrol(&world, &token).await;
    assert_eq!(status, 200, "{enrolled}");
    assert_eq!(
        (enrolled["organization"].as_str(), enrolled["node"].as_str()),
        (Some("xa-a"), Some("gw-ubnd"))
    );
    let (status, answer, _) = enrol(&world, &token).await;
    assert_eq!(status, 403);
    assert!(answer["message"].as_str().unwrap().contains("enrolment token was used already"), "{answer}");
    let id = enrolled["sensor"].as_str().unwrap().to_owned();
    let certificate = enrolled["certificate"].as_str().unwrap().to_owned();
    let client = world.client(Some((&certificate, &key)));
    let lines = [
        r#"{"@timestamp":"2026-11-23T02:00:00Z","event.dataset":"sensor.dns","dns.question.name":"a.example","organization.id":"xa-b"}"#,
        r#"{"@timestamp":"2026-11-23T02:00:01Z","event.dataset":"sensor.conn"}"#,
    ];
    let headers = [("dongson-epoch", "7"), ("dongson-sequence", "1"), ("dongson-events", "2")];
    for duplicate in [false, true] {
        let (status, answer) = world.post(&client, "/v1/batch", &headers, batch(&lines)).await;
        assert_eq!((status, &answer["duplicate"]), (200, &duplicate.into()), "{answer}");
        assert_eq!((&answer["accepted"], &answer["sequence"]), (&2.into(), &1.into()));
    }
    // After a new start of collector and bus the same batch is still the same batch.
    world = world.restart().await;
    let client = world.client(Some((&certificate, &key)));
    assert_eq!(world.post(&client, "/v1/batch", &headers, batch(&lines)).await.0, 200);
    let events = world.read(TOPIC_EVENTS).await;
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].organization(), events[0].dataset()), ("xa-a", "sensor.dns"));
    assert_eq!(events[0].text("observer.name"), Some("gw-ubnd"));
    assert_eq!(events[0].text("dongson.claimed.organization.id"), Some("xa-b"));

    // Wrong batches, and none without certificate.
    let wrong = [("dongson-epoch", "7"), ("dongson-sequence", "2"), ("dongson-events", "3")];
    assert_eq!(world.post(&client, "/v1/batch", &wrong, batch(&lines)).await.0, 400);
    assert_eq!(world.post(&client, "/v1/batch", &wrong[..2], batch(&lines)).await.0, 400);
    assert_eq!(world.post(&client, "/v1/batch", &headers, "not zstd").await.0, 400);
    assert_eq!(world.post(&world.client(None), "/v1/batch", &headers, batch(&lines)).await.0, 401);

    // Health, renewal, revocation.
    assert_eq!(world.post(&client, "/v1/health", &[], "{\"dropped\":0}").await.0, 200);
    let (second_key, csr) = request();
    let body = serde_json::json!({ "csr": csr }).to_string();
    let (status, renewed) = world.post(&client, "/v1/renew", &[], body).await;
    assert_eq!((status, renewed["sensor"].as_str()), (200, Some(id.as_str())));
    let second = world.client(Some((renewed["certificate"].as_str().unwrap(), &second_key)));
    let next = [("dongson-epoch", "7"), ("dongson-sequence", "3"), ("dongson-events", "2")];
    assert_eq!(world.post(&second, "/v1/batch", &next, batch(&lines)).await.0, 200);
    world.registry.revoke_sensor(&Scope::All, &change(), &id, "lost").await.unwrap();
    for client in [client, second] {
        assert_eq!(world.post(&client, "/v1/batch", &next, batch(&lines)).await.0, 403);
    }
    loop {
        let sensor = world.registry.sensor(&Scope::All, &id).await.unwrap();
        if sensor.health == Some(serde_json::json!({ "dropped": 0 })) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_are_refused() {
    let world = World::new().await;
    assert_eq!(enrol(&world, &world.token("unknown")).await.0, 401);
    assert_eq!(enrol(&world, "dst1.a").await.0, 400);
    assert_eq!(enrol(&world, "dst1.a.b").await.0, 400);
    let short = token(&world, 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_eq!(enrol(&world, &short).await.0, 403);
    let good = token(&world, 60_000).await;
    let body = serde_json::json!({ "token": good, "csr": "no request" }).to_string();
    assert_eq!(world.post(&world.client(None), "/v1/enrol", &[], body).await.0, 400);
    // A bad request does not use the token up; of two who redeem at once, one wins.
    let both = tokio::join!(enrol(&world, &good), enrol(&world, &good));
    let mut found = [both.0.0, both.1.0];
    found.sort_unstable();
    assert_eq!(found, [200, 403]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_we_did_not_sign_opens_nothing() {
    let world = World::new().await;
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::default().self_signed(&key).unwrap();
    let client = world.client(Some((&own.pem(), &key.serialize_pem())));
    let request = client.post(format!("https://localhost:{}/v1/batch", world.at.https.port()));
    let outcome = tokio::task::spawn_blocking(move || request.send_empty()).await.unwrap();
    assert!(outcome.is_err(), "the handshake must fail");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_told_what_they_are_and_guesses_wait() {
    let world = World::new().await;
    let late = token(&world, 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let (status, answer, _) = enrol(&world, &late).await;
    assert_eq!(status, 403);
    assert!(answer["message"].as_str().unwrap().contains("enrolment token has expired"), "{answer}");
    let guess = world.token(&"0".repeat(64));
    for _ in 0..10 {
        let (status, answer, _) = enrol(&world, &guess).await;
        assert_eq!((status, answer["code"].as_str()), (401, Some("token_unknown")));
        assert!(answer["message"].as_str().unwrap().starts_with("no such enrolment token"), "{answer}");
    }
    let right = token(&world, 60_000).await;
    for token in [&guess, &right] {
        let (status, answer, _) = enrol(&world, token).await;
        assert_eq!((status, answer["code"].as_str()), (429, Some("slow_down")));
    }
}

/// What a sensor says of a batch in its headers, signed with `key`.
fn sealed(
    sensor: &str,
    sequence: u64,
    class: Class,
    lines: &[&str],
    key: &str,
) -> Vec<(&'static str, String)> {
    use base64::Engine as _;
    let random = ring::rand::SystemRandom::new();
    let der = KeyPair::from_pem(key).unwrap().serialize_der();
    let algorithm = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
    let pair = ring::signature::EcdsaKeyPair::from_pkcs8(algorithm, &der, &random).unwrap();
    let root = root(lines.iter().map(|line| line.as_bytes()));
    let place = Place { sensor, epoch: 7, sequence, class, events: lines.len() as u64 };
    let signature = pair.sign(&random, place.statement(&root).as_bytes()).unwrap();
    vec![
        ("dongson-epoch", "7".to_owned()),
        ("dongson-sequence", sequence.to_string()),
        ("dongson-events", lines.len().to_string()),
        ("dongson-class", class.as_str().to_owned()),
        ("dongson-root", root.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()),
        ("dongson-signature", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_batches_are_accounted_for_and_wrong_ones_are_refused() {
    let world = World::new().await;
    let (status, enrolled, key) = enrol(&world, &token(&world, 60_000).await).await;
    assert_eq!(status, 200, "{enrolled}");
    let id = enrolled["sensor"].as_str().unwrap();
    let client = world.client(Some((enrolled["certificate"].as_str().unwrap(), &key)));
    let lines = [r#"{"event.dataset":"sensor.dns"}"#, r#"{"event.dataset":"sensor.http"}"#];
    let post = async |path: &str, headers: &[(&'static str, String)], body: Vec<u8>| {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.post(&client, path, &headers, body).await
    };
    // The most urgent first: the order of sequences does not matter. A batch that comes again is the same.
    for (sequence, class, duplicate) in
        [(3, Class::Alert, false), (1, Class::Protocol, false), (3, Class::Alert, true)]
    {
        let (status, answer) =
            post("/v1/batch", &sealed(id, sequence, class, &lines, &key), batch(&lines)).await;
        assert_eq!((status, &answer["duplicate"]), (200, &duplicate.into()), "{answer}");
    }
    // Other lines than were signed, another's signature, other lines under a known sequence.
    let other = [lines[0], lines[0]];
    let (status, answer) = post("/v1/batch", &sealed(id, 2, Class::Conn, &lines, &key), batch(&other)).await;
    assert!(
        status == 400 && answer["message"].as_str().unwrap().contains("do not make its root"),
        "{answer}"
    );
    let stranger = KeyPair::generate().unwrap().serialize_pem();
    let (status, answer) =
        post("/v1/batch", &sealed(id, 2, Class::Conn, &lines, &stranger), batch(&lines)).await;
    assert!(status == 400 && answer["message"].as_str().unwrap().contains("signature"), "{answer}");
    let (status, answer) = post("/v1/batch", &sealed(id, 3, Class::Alert, &other, &key), batch(&other)).await;
    assert!(status == 400 && answer["message"].as_str().unwrap().contains("another root"), "{answer}");
    let entries = world.registry.audit_entries(None, 100).await.unwrap();
    let refused: Vec<_> = entries.iter().filter(|entry| entry.action == "refuse").collect();
    assert_eq!(refused.len(), 1, "one a minute for each sensor");

    let statement = serde_json::json!({
        "epoch": 7, "assigned": 5, "held": { "runs": [[5, 5]], "batches": 1, "events": { "file": 9 } },
        "gone": [{ "class": "file", "why": "shed", "first": 4, "last": 4, "events": 6 }],
    });
    let (status, summary) = post("/v1/account", &[], statement.to_string().into()).await;
    assert_eq!(status, 200, "{summary}");
    assert_eq!((&summary["received"], &summary["unaccounted"]), (&2.into(), &1.into()), "{summary}");
    let accounts = world.registry.sensor_accounts(&Scope::All, id).await.unwrap();
    assert_eq!(
        (accounts[0].received.as_slice(), accounts[0].unaccounted.as_slice()),
        (&[(1, 1), (3, 3)][..], &[(2, 2)][..])
    );
    assert_eq!(accounts[0].unsigned_batches, 0);
    assert_eq!(world.read(TOPIC_EVENTS).await.len(), 4);
    assert_eq!(post("/v1/account", &[], b"{}".to_vec()).await.0, 400);

    let (status, told) = post("/v1/clock", &[], Vec::new()).await;
    let (received, sent) = (told["received"].as_i64().unwrap(), told["sent"].as_i64().unwrap());
    assert!(status == 200 && received <= sent && received > 1_795_000_000_000_000_000, "{told}");
    assert_eq!(world.post(&world.client(None), "/v1/clock", &[], "").await.0, 401);
}
