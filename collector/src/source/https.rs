//! The HTTPS listener: TLS with an optional client certificate, limits, and the routes of [`super::ndjson`],
//! [`super::elastic`], [`super::sensor`], [`super::desired`] and [`super::packets`].

use super::account::{Accounts, ClientKey};
use super::body::{Drained, Room};
use super::guess::Guesses;
use super::identity::{ClientCertificate, Peer, Refused};
use super::{Hall, accept, desired, elastic, ndjson, packets, sensor};
use crate::authority::{Authority, fingerprint};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// How long requests may still run after shutdown began.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// What the routes share.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) hall: Hall,
    pub(crate) room: Room,
    pub(crate) authority: Arc<Authority>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) guesses: Arc<Guesses>,
    pub(crate) news: desired::News,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The key or chain does not fit.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    /// The verifier of client certificates cannot be made.
    #[error("TLS client verification: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// TLS for HTTPS: a client certificate is optional, but one that is shown must be of our authority.
pub(crate) fn https_tls(authority: &Authority, (chain, key): Identity) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// TLS for syslog (RFC 5425): a client may show any certificate; the registry knows sources by its fingerprint.
pub(crate) fn syslog_tls((chain, key): Identity) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyCertificate::new(&provider));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts every client certificate whose key the client holds (RFC 5425, 5.1: pinning by fingerprint).
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyCertificate {
    fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Accepts connections until shutdown, then lets running requests end.
pub(crate) async fn serve(app: App, listener: TcpListener, tls: TlsAcceptor) {
    let router = router(app.clone());
    let one = |socket, peer: SocketAddr| {
        let (hall, router, tls) = (app.hall.clone(), router.clone(), tls.clone());
        async move {
            if let Err(error) = connection(&hall, router, tls, socket, Peer(peer.ip())).await {
                tracing::debug!(%error, %peer, "an HTTPS connection broke");
            }
        }
    };
    accept::connections(&app.hall, listener, one).await;
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn connection(
    hall: &Hall,
    router: Router,
    tls: TlsAcceptor,
    socket: TcpStream,
    peer: Peer,
) -> Result<(), Broken> {
    let stream = tokio::time::timeout(hall.limits.request(), tls.accept(socket)).await??;
    let first = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = ClientCertificate(first.map(|certificate| fingerprint(certificate)));
    let key = first.map_or(ClientKey(None), |certificate| ClientKey::of(certificate));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(certificate.clone());
        request.extensions_mut().insert(key.clone());
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(|body| axum::body::Body::new(Drained::new(body))))
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(hall.limits.request());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(hall.limits.request())
        .max_concurrent_streams(64);
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    tokio::select! {
        ended = serving.as_mut() => return ended,
        () = hall.shutdown.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    tokio::time::timeout(LAST_REQUESTS, serving).await?
}

/// 200 if what comes would be kept, else 503; says no more to whom nobody knows.
async fn healthz(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.hall.publisher.check().await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "bus unavailable\n"),
    }
}

fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .merge(ndjson::routes())
        .merge(sensor::routes())
        .merge(desired::routes())
        .merge(packets::routes())
        .merge(elastic::routes())
        .fallback(|| async { Refused::Nowhere })
        .method_not_allowed_fallback(|| async { Refused::Method })
        .with_state(app)
}
