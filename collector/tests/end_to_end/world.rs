//! A collector with its bus and registry in a temporary folder, and clients for it.

use dongson_bus::{Bus, EmbeddedBus, Options};
use dongson_collector::{Addresses, Config, Running};
use dongson_event::Event;
use dongson_registry::{Change, OrganizationEdit, Registry, SourceEdit, SourceKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// Longest wait for something that must happen.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) registry: Registry,
    pub(crate) at: Addresses,
    pub(crate) authority_pem: String,
    token_tail: String,
    running: Option<tokio::task::JoinHandle<()>>,
    shutdown: CancellationToken,
    embedded: Option<EmbeddedBus>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn change() -> Change {
    Change::service("test", dongson_registry::now())
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::in_memory().await.unwrap();
        for id in ["xa-a", "xa-b"] {
            let edit = OrganizationEdit { name: id.into(), name_en: id.into(), parent: None, level: 3 };
            registry.create_organization(&change(), id, &edit).await.unwrap();
        }
        Self::open(folder, registry).await
    }

    async fn open(folder: tempfile::TempDir, registry: Registry) -> Self {
        let embedded = EmbeddedBus::open(&folder.path().join("bus"), Options::default()).unwrap();
        let bus: Arc<dyn Bus> = Arc::new(embedded.clone());
        let shutdown = CancellationToken::new();
        let running = start(&folder, Arc::clone(&bus), registry.clone(), shutdown.clone()).await;
        let (at, authority_pem) = (running.addresses, running.authority().pem().to_owned());
        let token_tail = running.authority().fingerprint();
        let running = Some(tokio::spawn(running.wait()));
        Self {
            bus,
            registry,
            at,
            authority_pem,
            token_tail,
            running,
            shutdown,
            embedded: Some(embedded),
            folder,
        }
    }

    /// Stops collector and bus and starts them again on the same folder.
    pub(crate) async fn restart(mut self) -> Self {
        self.shutdown.cancel();
        self.running.take().unwrap().await.unwrap();
        let embedded = self.embedded.take().unwrap();
        drop(self.bus);
        embedded.close().await.unwrap();
        Self::open(self.folder, self.registry).await
    }

    pub(crate) fn token(&self, secret: &str) -> String {
        format!("dst1.{secret}.{}", self.token_tail)
    }

    /// All events of a topic that are there now.
    pub(crate) async fn read(&self, topic: &str) -> Vec<Event> {
        let group = format!("test-{}", uuid::Uuid::new_v4());
        let mut consumer = self.bus.consumer(&group, &[topic]).await.unwrap();
        let mut events = Vec::new();
        loop {
            let batches = consumer.poll(10_000, 64 << 20, Duration::from_millis(50)).await.unwrap();
            if batches.is_empty() {
                break;
            }
            for record in batches.iter().flat_map(|batch| &batch.records) {
                let (event, anomalies) = Event::parse(&record.value).unwrap();
                assert!(anomalies.is_empty());
                events.push(event);
            }
        }
        drop(consumer);
        self.bus.forget_group(&group).await.unwrap();
        events
    }

    /// Waits until a topic holds at least `number` events.
    pub(crate) async fn wait(&self, topic: &str, number: usize) -> Vec<Event> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let events = self.read(topic).await;
            if events.len() >= number {
                return events;
            }
            assert!(Instant::now() < deadline, "{topic} has {} of {number} events", events.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Enters a source and starts again, so that the collector knows it.
    pub(crate) async fn source(self, edit: SourceEdit) -> (Self, dongson_registry::Source) {
        let made = self.registry.create_source(&change(), &edit).await.unwrap();
        (self.restart().await, made)
    }

    pub(crate) async fn key(&self, organization: &str, drill: bool) -> String {
        self.registry.create_api_key(&change(), organization, "web01", drill).await.unwrap().secret
    }

    pub(crate) fn client(&self, identity: Option<(&str, &str)>) -> ureq::Agent {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let root = Certificate::from_pem(self.authority_pem.as_bytes()).unwrap();
        let identity = identity.map(|(certificate, key)| {
            let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
            ClientCert::new_with_certs(&[certificate], PrivateKey::from_pem(key.as_bytes()).unwrap())
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[root]))
            .client_cert(identity)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false);
        config.timeout_global(Some(DEADLINE)).build().into()
    }

    pub(crate) async fn post(
        &self,
        client: &ureq::Agent,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> (u16, serde_json::Value) {
        let mut request = client.post(format!("https://localhost:{}{path}", self.at.https.port()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.into();
        let send = move || {
            let mut response = request.send(&body[..]).unwrap();
            let status = response.status().as_u16();
            let text = response.body_mut().read_to_string().unwrap();
            (status, serde_json::from_str(&text).unwrap_or_default())
        };
        tokio::task::spawn_blocking(send).await.unwrap()
    }

    /// Status and the header that Elasticsearch's clients look for.
    pub(crate) async fn get(&self, path: &str, authorization: &str) -> (u16, bool, serde_json::Value) {
        let client = self.client(None);
        let request = client
            .get(format!("https://localhost:{}{path}", self.at.https.port()))
            .header("authorization", authorization);
        let send = move || {
            let mut response = request.call().unwrap();
            let marked = response.headers().get("x-elastic-product").is_some();
            let status = response.status().as_u16();
            (
                status,
                marked,
                serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap_or_default(),
            )
        };
        tokio::task::spawn_blocking(send).await.unwrap()
    }
}

pub(crate) async fn start(
    folder: &tempfile::TempDir,
    bus: Arc<dyn Bus>,
    registry: Registry,
    shutdown: CancellationToken,
) -> Running {
    let mut config = Config::loopback(folder.path().join("collector"));
    config.limits.watch_milliseconds = 50;
    dongson_collector::start(config, bus, registry, shutdown).await.unwrap()
}

/// A source at the loopback address.
pub(crate) fn edit(kind: SourceKind) -> SourceEdit {
    SourceEdit {
        organization: "xa-a".into(),
        name: "gw-01".into(),
        kind,
        address: Some("127.0.0.0/8".into()),
        listener: None,
        certificate: None,
        api_key: None,
        parser: None,
        time_zone: "UTC".into(),
        clock_offset_ms: 0,
        expected_per_hour: None,
        silence_after_seconds: None,
        owner: Some("Nguyễn Văn A".into()),
    }
}
