//! What sensors are told: desired state, requests, packs, and what revocation does to who waits for them.

use crate::world::{World, change};
use dongson_event::Timestamp;
use dongson_event::transparency::{Head, LogKey, parse_hash, verify_consistency};
use dongson_event::trust::{
    Configuration, Directive, Envelope, PackKind, PackManifest, PublicKey, Purpose, Root, SigningKey, Target,
    Trust,
};
use dongson_registry::Scope;
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest as _, Sha256};
use std::time::Instant;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32]).unwrap()
}

fn root(console: &PublicKey) -> Envelope {
    let end = Timestamp::from_millis(dongson_registry::now() + 1_000_000);
    let root = Root::new(1, end)
        .with(Purpose::Root, 1, &[key(1).public()])
        .with(Purpose::Configuration, 1, std::slice::from_ref(console))
        .with(Purpose::Request, 1, std::slice::from_ref(console))
        .with(Purpose::Content, 1, &[key(2).public()]);
    Envelope::sign_json(Purpose::Root, &root, &key(1)).unwrap()
}

/// A sensor that enrolled: its id, its client, and what enrolment answered.
async fn enrolled(world: &World) -> (String, ureq::Agent, serde_json::Value) {
    let made = world.registry.create_enrolment_token(&change(), "xa-a", "gw", 60_000).await.unwrap();
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    let body = serde_json::json!({ "token": world.token(&made.secret), "csr": csr }).to_string();
    let (status, answer) = world.post(&world.client(None), "/v1/enrol", &[], body).await;
    assert_eq!(status, 200, "{answer}");
    let certificate = answer["certificate"].as_str().unwrap();
    let client = world.client(Some((certificate, &key.serialize_pem())));
    (answer["sensor"].as_str().unwrap().to_owned(), client, answer)
}

/// Status, etag and body.
type Answer = (u16, String, Vec<u8>);

/// A question in a thread of its own; it begins at once.
fn ask(
    world: &World,
    client: &ureq::Agent,
    path: &str,
    headers: &[(&str, &str)],
) -> tokio::task::JoinHandle<Answer> {
    let mut request = client.get(format!("https://localhost:{}{path}", world.at.https.port()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    tokio::task::spawn_blocking(move || {
        let mut answer = request.call().unwrap();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (etag, status) = (header("etag").unwrap_or_default(), answer.status().as_u16());
        (status, etag, answer.body_mut().read_to_vec().unwrap())
    })
}

fn envelopes(body: &[u8], name: &str) -> Vec<Envelope> {
    let told: serde_json::Value = serde_json::from_slice(body).unwrap();
    serde_json::from_value(told[name].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn news_reach_who_waits_and_revocation_too() {
    let world = World::new().await;
    let console = world.registry.signing_key(&change()).await.unwrap();
    let (sensor, client, answer) = enrolled(&world).await;
    assert_eq!(answer["roots"], serde_json::json!([]), "there is none yet");
    world.registry.publish_root(&change(), &root(&console)).await.unwrap();
    let (_, _, answer) = enrolled(&world).await;
    assert_eq!(answer["roots"].as_array().unwrap().len(), 1);

    assert_eq!(ask(&world, &world.client(None), "/v1/desired", &[]).await.unwrap().0, 401);
    assert_eq!(ask(&world, &client, "/v1/desired?rot=1", &[]).await.unwrap().0, 400);
    let (status, etag, body) = ask(&world, &client, "/v1/desired?root=0", &[]).await.unwrap();
    assert_eq!((status, envelopes(&body, "desired").len()), (200, 0));
    let trust = Trust::begin(&envelopes(&body, "roots")[0]).unwrap();
    let known = [("if-none-match", etag.as_str())];
    assert_eq!(ask(&world, &client, "/v1/desired?root=0", &known).await.unwrap().0, 304);

    // Who waits hears of what is set meanwhile, long before the wait is over.
    let waits = [("if-none-match", etag.as_str()), ("prefer", "wait=30")];
    let begun = Instant::now();
    let waiting = ask(&world, &client, "/v1/desired?root=0", &waits);
    let wanted = Configuration { filter: Some("tcp".to_owned()), ..Configuration::default() };
    let target = Target::Sensor(sensor.clone());
    let set = world.registry.set_desired(&Scope::All, &change(), &target, 0, &wanted).await.unwrap();
    let (status, etag, body) = waiting.await.unwrap();
    assert_eq!(status, 200);
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    let now = Timestamp::from_millis(dongson_registry::now());
    let told = &envelopes(&body, "desired")[0];
    let directive = Directive::verify(&trust, told, ("xa-a", &sensor), |_| 0, now).unwrap();
    assert_eq!(directive.configuration, wanted);
    assert_eq!(i64::try_from(directive.version).unwrap(), set.version);

    // A request reaches its sensor, and no other.
    let (_, other, _) = enrolled(&world).await;
    let expires = dongson_registry::now() + 60_000;
    world.registry.put_request(&change(), &sensor, &"packets", expires).await.unwrap();
    let (_, _, body) = ask(&world, &other, "/v1/desired?root=1", &[]).await.unwrap();
    assert!(envelopes(&body, "requests").is_empty() && envelopes(&body, "desired").is_empty());
    let known = [("if-none-match", etag.as_str())];
    let (_, etag, body) = ask(&world, &client, "/v1/desired?root=1", &known).await.unwrap();
    assert_eq!(envelopes(&body, "requests").len(), 1);

    // A sensor that waits on an open connection is refused as soon as it is revoked.
    let begun = Instant::now();
    let waits = [("if-none-match", etag.as_str()), ("prefer", "wait=30")];
    let waiting = ask(&world, &client, "/v1/desired?root=1", &waits);
    world.registry.revoke_sensor(&Scope::All, &change(), &sensor, "lost").await.unwrap();
    assert_eq!(waiting.await.unwrap().0, 403);
    assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_are_told_of_the_transparency_log() {
    let world = World::new().await;
    let (_, client, _) = enrolled(&world).await;
    let told = |known: Option<u64>| {
        let mut request =
            client.get(format!("https://localhost:{}/v1/desired?root=0", world.at.https.port()));
        if let Some(known) = known {
            request = request.header("x-dongson-log-size", known.to_string());
        }
        tokio::task::spawn_blocking(move || {
            let answer = request.call().unwrap();
            let headers = ["x-dongson-log-key", "x-dongson-log-head", "x-dongson-log-proof"];
            headers.map(|name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()))
        })
    };
    assert_eq!(told(None).await.unwrap(), [None, None, None], "one that does not witness");
    let read = |said: [Option<String>; 3]| {
        let [key, note, proof] = said.map(Option::unwrap);
        let key = LogKey::parse(&key).unwrap();
        let head = Head::verify(&note.replace('|', "\n").replace("-- ", "\u{2014} "), &key).unwrap();
        let hashes = proof.split(',').filter(|hash| !hash.is_empty()).map(|hash| parse_hash(hash).unwrap());
        (head, hashes.collect::<Vec<_>>())
    };
    let (first, proof) = read(told(Some(0)).await.unwrap());
    assert!(first.size > 0 && proof.is_empty(), "{first:?} {proof:?}");
    for number in 0..5 {
        let change = change();
        world.registry.audit_record(&change, "export", "report", &number.to_string(), None).await.unwrap();
    }
    // A newer head is signed for who asks, though not more often than every ten seconds.
    let later = world.registry.transparency_head(dongson_registry::now() + 20_000).await.unwrap().unwrap();
    let (second, proof) = read(told(Some(first.size)).await.unwrap());
    assert!(
        second.size >= first.size + 5 && second.size == later.size.cast_unsigned(),
        "{first:?} {second:?}"
    );
    assert!(verify_consistency((first.size, &first.root), (second.size, &second.root), &proof));
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_come_in_parts_to_those_they_are_for() {
    let world = World::new().await;
    let console = world.registry.signing_key(&change()).await.unwrap();
    world.registry.publish_root(&change(), &root(&console)).await.unwrap();
    let (sensor, client, _) = enrolled(&world).await;
    let (_, other, _) = enrolled(&world).await;
    let content: Vec<u8> = (0..5 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
    let sha256 = hex::encode(Sha256::digest(&content));
    let folder = world.folder.path().join("collector/packs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&sha256), &content).unwrap();
    let path = format!("/v1/pack/{sha256}");
    assert_eq!(ask(&world, &client, &path, &[]).await.unwrap().0, 404, "nobody offers it yet");
    let manifest = PackManifest {
        name: "province".to_owned(),
        kind: PackKind::Intel,
        version: 1,
        target: Target::Sensor(sensor),
        sha256: sha256.clone(),
        bytes: content.len() as u64,
        issued_at: Timestamp::from_millis(dongson_registry::now()),
        expires_at: None,
    };
    let envelope = Envelope::sign_json(Purpose::Content, &manifest, &key(2)).unwrap();
    world.registry.publish_pack(&change(), &envelope).await.unwrap();

    let mut got = Vec::new();
    while got.len() < content.len() {
        let range = format!("bytes={}-", got.len());
        let (status, _, part) = ask(&world, &client, &path, &[("range", &range)]).await.unwrap();
        assert_eq!(status, 206);
        assert!(!part.is_empty() && part.len() <= 4 << 20);
        got.extend(part);
    }
    assert!(got == content);
    let behind = format!("bytes={}-", content.len());
    assert_eq!(ask(&world, &client, &path, &[("range", &behind)]).await.unwrap().0, 416);
    assert_eq!(ask(&world, &other, &path, &[]).await.unwrap().0, 404);
    assert_eq!(ask(&world, &world.client(None), &path, &[]).await.unwrap().0, 401);
    assert_eq!(ask(&world, &client, "/v1/pack/..%2Fca", &[]).await.unwrap().0, 400);
}
