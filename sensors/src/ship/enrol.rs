//! Enrolment: the sensor makes its key and a request for a certificate, shows its one-time token, and gets the
//! certificate. The key never leaves this machine.
//!
//! A token is `dst1.SECRET.FINGERPRINT`: the secret for the collector, and the SHA-256 of the authority's
//! certificate (base64url) for us, so that the first connection already knows whom to trust.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dongson_event::trust::Envelope;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::identity::{first_key, save_key};
use super::{Identity, IdentityError};
use crate::desired::take_roots;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Why enrolment failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The token is not one.
    #[error("the token is not of the form dst1.SECRET.FINGERPRINT: copy it whole from the console")]
    BadToken,
    /// The address is not one.
    #[error("{0:?} is not an address like https://collector.example:9443")]
    BadUrl(String),
    /// The collector could not be reached.
    #[error("{url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// Another authority than the token names.
    #[error(
        "the server at {0} does not belong to the authority that the token names: do not trust it, and ask the administrator"
    )]
    WrongAuthority(String),
    /// The collector refused.
    #[error("the collector refused the enrolment: {0}")]
    Refused(String),
    /// The key or the request could not be made.
    #[error("the key could not be made: {0}")]
    Key(#[from] rcgen::Error),
    /// The identity could not be written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The folder could not be made.
    #[error("the folder could not be made: {0}")]
    Folder(std::io::Error),
    /// There is an identity already.
    #[error("this sensor is enrolled already as {0}; use another --data, or remove its identity.json first")]
    Enrolled(String),
}

#[derive(Serialize)]
struct Request<'a> {
    token: &'a str,
    csr: &'a str,
}

/// What the collector answers to a request for a certificate.
#[derive(Deserialize)]
pub(super) struct Answer {
    sensor: String,
    organization: String,
    node: String,
    pub(super) certificate: String,
    authority: String,
    /// The centre's root documents; none where it has none yet.
    #[serde(default)]
    roots: Vec<Envelope>,
}

/// The request in PEM for a certificate of `key`; the collector looks at nothing but the key.
pub(super) fn request_for(key: &rcgen::KeyPair) -> Result<String, rcgen::Error> {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "dongson-sensor");
    params.serialize_request(key)?.pem()
}

/// Enrols this machine with the collector at `url` (`https://host:port`) and writes the identity into `folder`.
pub fn enrol(url: &str, token: &str, folder: &Path) -> Result<Identity, EnrolError> {
    let url = url.trim_end_matches('/');
    let fingerprint = fingerprint_of(token).ok_or(EnrolError::BadToken)?;
    if let Ok(present) = Identity::load(folder) {
        return Err(EnrolError::Enrolled(present.sensor));
    }
    let made = !folder.exists();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(EnrolError::Folder)?;
    let enrolled = enrol_into(folder, url, token, &fingerprint);
    if enrolled.is_err() {
        // A key without a certificate is of no use, and the next try makes its own. A folder with anything in it stays.
        drop(fs::remove_file(folder.join(first_key())));
        if made {
            drop(fs::remove_dir(folder));
        }
    }
    enrolled
}

fn enrol_into(folder: &Path, url: &str, token: &str, fingerprint: &[u8]) -> Result<Identity, EnrolError> {
    let authority = authority_of(url, fingerprint)?;
    let key = rcgen::KeyPair::generate()?;
    let request = request_for(&key)?;
    // The key is on disk before the certificate exists.
    save_key(folder, &first_key(), &key.serialize_pem())?;
    let answer = ask(url, token.trim(), &request, &authority)?;
    let identity = Identity {
        url: url.to_owned(),
        sensor: answer.sensor,
        organization: answer.organization,
        node: answer.node,
        certificate: answer.certificate,
        authority: answer.authority,
        key: first_key(),
    };
    identity.save(folder)?;
    if let Err(error) = take_roots(folder, &answer.roots) {
        // The sensor asks for them again when it runs; until then nobody may tell it what to do.
        tracing::warn!(%error, "the centre's root document was not taken");
    }
    Ok(identity)
}

/// The fingerprint that a token carries; `None` when it is no token.
fn fingerprint_of(token: &str) -> Option<Vec<u8>> {
    let (secret, fingerprint) = token.trim().strip_prefix("dst1.")?.split_once('.')?;
    let fingerprint = URL_SAFE_NO_PAD.decode(fingerprint).ok()?;
    (!secret.is_empty() && fingerprint.len() == 32).then_some(fingerprint)
}

fn ask(url: &str, token: &str, csr: &str, authority: &CertificateDer<'_>) -> Result<Answer, EnrolError> {
    let unreachable =
        |error: ureq::Error| EnrolError::Unreachable { url: url.to_owned(), reason: error.to_string() };
    let root = Certificate::from_der(authority).to_owned();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(
            TlsConfig::builder()
                .root_certs(RootCerts::new_with_certs(&[root]))
                .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
                .build(),
        )
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .build()
        .into();
    let mut answer =
        agent.post(format!("{url}/v1/enrol")).send_json(Request { token, csr }).map_err(unreachable)?;
    let status = answer.status();
    let text = answer.body_mut().read_to_string().map_err(unreachable)?;
    if !status.is_success() {
        let said: String = text.chars().take(300).collect();
        return Err(EnrolError::Refused(format!("{status} {said}")));
    }
    serde_json::from_str(&text)
        .map_err(|error| EnrolError::Refused(format!("its answer is not understood: {error}")))
}

/// The authority's certificate, taken from the server's chain and known by its fingerprint.
///
/// The connection made here carries nothing; the real one follows with this certificate as its only root.
fn authority_of(url: &str, fingerprint: &[u8]) -> Result<CertificateDer<'static>, EnrolError> {
    let bad = || EnrolError::BadUrl(url.to_owned());
    let place = url.strip_prefix("https://").ok_or_else(bad)?;
    let place = place.split('/').next().unwrap_or(place);
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host).trim_matches(['[', ']']);
    let address = if place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        place.to_owned()
    } else {
        format!("{place}:443")
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
    let chain = chain_of(&address, name)
        .map_err(|error| EnrolError::Unreachable { url: url.to_owned(), reason: reason_of(&error) })?;
    chain
        .into_iter()
        .find(|certificate| Sha256::digest(certificate).as_slice() == fingerprint)
        .ok_or_else(|| EnrolError::WrongAuthority(url.to_owned()))
}

/// In words what a person can act on.
fn reason_of(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            format!(
                "no answer within {} seconds: is this the collector's port for sensors?",
                TIMEOUT.as_secs()
            )
        }
        _ => error.to_string(),
    }
}

/// The certificates that the server shows.
fn chain_of(address: &str, name: ServerName<'static>) -> std::io::Result<Vec<CertificateDer<'static>>> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakeChain(provider)))
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut stream = connect(address)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    connection.send_close_notify();
    // The handshake has given what was wanted; whether the goodbye arrives does not matter.
    let _closed = connection.complete_io(&mut stream);
    Ok(connection
        .peer_certificates()
        .map(|chain| chain.iter().map(|one| one.clone().into_owned()).collect())
        .unwrap_or_default())
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for place in std::net::ToSocketAddrs::to_socket_addrs(address)? {
        match TcpStream::connect_timeout(&place, TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(TIMEOUT))?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Takes any chain whose key signed the handshake; who it is, the fingerprint decides afterwards.
#[derive(Debug)]
struct TakeChain(Arc<CryptoProvider>);

impl ServerCertVerifier for TakeChain {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let good = format!("dst1.abc.{}", URL_SAFE_NO_PAD.encode([7; 32]));
        assert_eq!(fingerprint_of(&good), Some(vec![7; 32]));
        for bad in ["", "dst1.abc", "dst1..AAAA", "dst2.abc.AAAA", "dst1.abc.AAAA", "dst1.abc.!!!"] {
            assert_eq!(fingerprint_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_are_checked_before_anything_is_sent() {
        assert!(matches!(authority_of("http://x", &[0; 32]), Err(EnrolError::BadUrl(_))));
        assert!(matches!(authority_of("https://127.0.0.1:1", &[0; 32]), Err(EnrolError::Unreachable { .. })));
    }

    #[test]
    fn a_server_that_says_nothing_is_told_in_words() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(silent.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_millis(10))).unwrap();
        let error = std::io::Read::read(&mut stream, &mut [0]).unwrap_err();
        assert!(reason_of(&error).contains("no answer within"), "{error}");
    }

    #[test]
    fn a_refused_enrolment_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let token = format!("dst1.abc.{}", URL_SAFE_NO_PAD.encode([7; 32]));
        let fresh = place.path().join("fresh");
        assert!(enrol("https://127.0.0.1:1", &token, &fresh).is_err());
        assert!(!fresh.exists());
        let kept = place.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("note"), "x").unwrap();
        assert!(enrol("https://127.0.0.1:1", &token, &kept).is_err());
        assert!(kept.join("note").exists() && !kept.join("key.pem").exists());
    }
}
