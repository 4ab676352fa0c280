//! A collector for tests: mutual TLS with an authority of its own, answers as it is told to, remembers what came.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dongson_sensor::ship::Identity;
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The one secret that the stub takes.
pub(crate) const SECRET: &str = "a-secret";
const DAY: u64 = 86_400;
/// Longest that anything is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Signs servers and sensors.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), certificate: der, pem }
    }

    /// A token that this authority's collector takes when `secret` is [`SECRET`].
    pub(crate) fn token(&self, secret: &str) -> String {
        format!("dst1.{secret}.{}", URL_SAFE_NO_PAD.encode(Sha256::digest(&self.certificate)))
    }

    /// A certificate of 90 days, `left` of which are left, for the key of `csr`.
    fn sign(&self, csr: &str, left: u64) -> String {
        let request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        params(left).signed_by(&request.public_key, &self.issuer).unwrap().pem()
    }

    /// An enrolled sensor in `folder` whose certificate has `left` days; made without a collector.
    pub(crate) fn enrolled(&self, folder: &std::path::Path, address: SocketAddr, left: u64) {
        let key = KeyPair::generate().unwrap();
        let certificate = params(left).signed_by(&key, &self.issuer).unwrap().pem();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let identity = Identity {
            url: format!("https://{address}"),
            sensor: "s-1".to_owned(),
            organization: "xa-hamrong".to_owned(),
            node: "gw".to_owned(),
            certificate,
            authority: self.pem.clone(),
            key: "key.pem".to_owned(),
        };
        identity.save(folder).unwrap();
    }

    fn server(&self) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
            .with_single_cert(
                vec![leaf.der().clone(), self.certificate.clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap()
    }
}

fn params(left: u64) -> CertificateParams {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let end = now + Duration::from_secs(left * DAY);
    let mut params = CertificateParams::default();
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + end;
    params.not_before = params.not_after - Duration::from_secs(90 * DAY);
    params
}

/// What the stub does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Acknowledges it.
    Take,
    /// Acknowledges so many, keeps the next and never answers it.
    TakeThenHang(usize),
    /// Keeps it and hangs up instead of an answer, at the first try of each; acknowledges it at the second.
    LoseFirstAnswer,
    /// Says that it will never take it.
    Refuse,
    /// Says that the sensor is revoked.
    Bar,
}

/// A batch as it came.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) events: usize,
    pub(crate) body: Vec<u8>,
    pub(crate) acknowledged: bool,
    /// The client's certificate.
    pub(crate) client: Vec<u8>,
}

impl Batch {
    /// Its lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = zstd::decode_all(&self.body[..]).unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

/// What happened so far.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) batches: Vec<Batch>,
    pub(crate) reports: Vec<Value>,
    pub(crate) accounts: Vec<Value>,
    pub(crate) renewals: usize,
    /// What a sensor is told that asks what is wanted of it.
    pub(crate) desired: Option<Value>,
    /// Streams that get no answer.
    held: Vec<StreamOwned<ServerConnection, TcpStream>>,
}

struct Shared {
    authority: Arc<Authority>,
    mode: Mode,
    renews: bool,
    state: Mutex<State>,
    changed: Condvar,
}

/// The collector.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Stub {
    /// A collector of `authority` on a free port; `renews` says whether it renews certificates.
    pub(crate) fn start(authority: &Arc<Authority>, mode: Mode, renews: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            authority: Arc::clone(authority),
            mode,
            renews,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let (theirs, config) = (Arc::clone(&shared), Arc::new(authority.server()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, config) = (Arc::clone(&theirs), Arc::clone(&config));
                std::thread::spawn(move || serve(&shared, config, stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// Waits until `until` holds.
    pub(crate) fn wait(&self, until: impl Fn(&State) -> bool) {
        let state = self.state();
        let (state, result) =
            self.shared.changed.wait_timeout_while(state, DEADLINE, |state| !until(state)).unwrap();
        drop(state);
        assert!(!result.timed_out(), "nothing came in {DEADLINE:?}");
    }
}

/// Answers the requests of one connection; a connection that breaks is the client's affair.
fn serve(shared: &Shared, config: Arc<ServerConfig>, stream: TcpStream) {
    let mut reader = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), stream));
    while let Some((path, headers, body)) = request(&mut reader) {
        let client = reader.get_ref().conn.peer_certificates();
        let client = client.and_then(|chain| chain.first()).map(|one| one.to_vec()).unwrap_or_default();
        let answer = match path.as_str() {
            "/v1/enrol" => Some(enrol(shared, &body)),
            _ if client.is_empty() => Some((401, json!({"message": "no certificate"}))),
            "/v1/renew" => Some(renew(shared, &body)),
            "/v1/health" => {
                shared.state.lock().unwrap().reports.push(serde_json::from_slice(&body).unwrap());
                Some((200, json!({})))
            }
            "/v1/account" => {
                shared.state.lock().unwrap().accounts.push(serde_json::from_slice(&body).unwrap());
                Some((200, json!({})))
            }
            "/v1/clock" => Some((200, clock())),
            "/v1/batch" => batch(shared, &headers, body, client),
            path if path.starts_with("/v1/desired") => {
                let wanted = shared.state.lock().unwrap().desired.clone();
                Some(
                    wanted
                        .map_or((404, json!({"message": "nothing is wanted here"})), |wanted| (200, wanted)),
                )
            }
            other => panic!("no path {other}"),
        };
        shared.changed.notify_all();
        let Some((status, answer)) = answer else {
            if matches!(shared.mode, Mode::TakeThenHang(_)) {
                shared.state.lock().unwrap().held.push(reader.into_inner());
            }
            return;
        };
        let answer = answer.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
        if reader.get_mut().write_all(head.as_bytes()).and_then(|()| reader.get_mut().flush()).is_err() {
            return;
        }
    }
}

type Headers = Vec<(String, String)>;

fn request(
    reader: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>,
) -> Option<(String, Headers, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Headers::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut body = vec![0; header(&headers, "content-length").unwrap_or_default()];
    reader.read_exact(&mut body).ok()?;
    Some((path, headers, body))
}

fn header<T: std::str::FromStr>(headers: &Headers, name: &str) -> Option<T> {
    headers.iter().find(|(header, _)| header == name)?.1.parse().ok()
}

fn enrol(shared: &Shared, body: &[u8]) -> (u16, Value) {
    let wish: Value = serde_json::from_slice(body).unwrap();
    if wish["token"] != shared.authority.token(SECRET) {
        return (401, json!({"status": 401, "code": "key", "message": "no such token"}));
    }
    (200, enrolled(shared, &wish))
}

fn renew(shared: &Shared, body: &[u8]) -> (u16, Value) {
    shared.state.lock().unwrap().renewals += 1;
    if !shared.renews {
        return (503, json!({"message": "not now"}));
    }
    (200, enrolled(shared, &serde_json::from_slice(body).unwrap()))
}

fn enrolled(shared: &Shared, wish: &Value) -> Value {
    let certificate = shared.authority.sign(wish["csr"].as_str().unwrap(), 90);
    json!({
        "sensor": "s-1", "organization": "xa-hamrong", "node": "gw", "certificate": certificate,
        "authority": shared.authority.pem, "not_after": "2100-01-01T00:00:00Z",
    })
}

/// An hour behind the sensors.
fn clock() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().saturating_sub(Duration::from_hours(1));
    json!({ "received": now.as_nanos(), "sent": now.as_nanos() })
}

fn batch(shared: &Shared, headers: &Headers, body: Vec<u8>, client: Vec<u8>) -> Option<(u16, Value)> {
    let mut state = shared.state.lock().unwrap();
    let number = |name| header::<u64>(headers, name).unwrap();
    let sequence = number("dongson-sequence");
    let acknowledged = match shared.mode {
        Mode::Take => true,
        Mode::TakeThenHang(count) => state.batches.len() < count,
        Mode::LoseFirstAnswer => state.batches.iter().any(|batch| batch.sequence == sequence),
        Mode::Refuse | Mode::Bar => false,
    };
    state.batches.push(Batch {
        epoch: number("dongson-epoch"),
        sequence,
        events: header(headers, "dongson-events").unwrap(),
        body,
        acknowledged,
        client,
    });
    match shared.mode {
        Mode::Refuse => Some((400, json!({"message": "never"}))),
        Mode::Bar => Some((403, json!({"message": "this sensor is revoked: enrol it again"}))),
        _ => acknowledged.then(|| (200, json!({"sequence": sequence}))),
    }
}
