//! HTTP POST of one JSON object. With a `secret`, the header `dongson-signature` carries `sha256=` and the
//! HMAC-SHA256 (RFC 2104) of the body in hexadecimal, so that the receiver can tell it is ours.

use dongson_registry::Alert;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

use super::{NotifyError, Roots, TIMEOUT, required, text};

/// Sends a JSON object; any answer but 2xx is a failure. Redirects are not followed.
pub(super) async fn send(settings: &Value, roots: &Roots, body: String) -> Result<(), NotifyError> {
    // In ASCII: a host in its own letters becomes the name that is asked for (RFC 5891), a path is escaped.
    let url = Url::parse(required(settings, "url")?)
        .map_err(|_| NotifyError::Setting { name: "url", problem: "is not the address of a page" })?;
    let signature = settings.get("secret").and_then(Value::as_str).filter(|secret| !secret.is_empty());
    let signature = signature.map(|secret| sign(secret, &body)).transpose()?;
    let roots = roots.clone();
    tokio::task::spawn_blocking(move || post(url.as_str(), &roots, &body, signature.as_deref()))
        .await
        .map_err(|error| NotifyError::Refused(error.to_string()))?
}

/// What is said of an alert.
pub(super) fn body(alert: &Alert, console: &str) -> String {
    json!({
        "kind": "dongson.alert",
        "id": alert.id,
        "organization": alert.organization,
        "rule_id": alert.rule_id,
        "title_vi": text::line(&alert.title_vi),
        "title_en": text::line(&alert.title_en),
        "level": alert.level,
        "level_vi": text::level_vi(alert.level),
        "entity_type": alert.entity_type,
        "entity_value": text::line(&alert.entity_value),
        "count": alert.count,
        "risk": alert.risk,
        "first_seen": alert.first_seen,
        "last_seen": alert.last_seen,
        "drill": alert.drill,
        "url": format!("{console}/alerts/{}", alert.id),
    })
    .to_string()
}

/// What a test says; without `url` where the page's address is not known.
pub(super) fn test_body(channel: &str, page: Option<&str>) -> String {
    let mut body = json!({ "kind": "dongson.test", "channel": text::line(channel) });
    if let (Some(page), Some(fields)) = (page, body.as_object_mut()) {
        fields.insert("url".to_owned(), page.into());
    }
    body.to_string()
}

fn sign(secret: &str, body: &str) -> Result<String, NotifyError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|_| NotifyError::Setting { name: "secret", problem: "cannot be used as a key" })?;
    mac.update(body.as_bytes());
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

fn post(url: &str, roots: &Roots, body: &str, signature: Option<&str>) -> Result<(), NotifyError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .tls_config(TlsConfig::builder().root_certs(trusted(roots)).build())
        .build()
        .into();
    let mut request = agent.post(url).header("content-type", "application/json");
    if let Some(signature) = signature {
        request = request.header("dongson-signature", signature);
    }
    let answer = request.send(body).map_err(|error| NotifyError::Refused(error.to_string()))?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(NotifyError::Refused(format!("the receiver answered {}", answer.status())))
    }
}

fn trusted(roots: &Roots) -> RootCerts {
    let own: Vec<Certificate<'static>> =
        roots.all().iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    RootCerts::new_with_certs(&own)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_receiver_that_speaks_no_tls_is_a_refusal() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let answer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let refused = post(&url, &Roots::default(), "{}", None);
        answer.join().unwrap();
        assert!(matches!(refused, Err(NotifyError::Refused(_))), "{refused:?}");
    }

    /// A server of HTTPS for one request: its authority as PEM, its port, and what it was sent.
    fn receiver() -> (String, u16, std::thread::JoinHandle<String>) {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = rcgen::Issuer::from_params(&authority, &authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let chain = vec![leaf.signed_by(&key, &issuer).unwrap().der().clone()];
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config =
            rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            let mut server = rustls::ServerConnection::new(std::sync::Arc::new(config)).unwrap();
            let mut stream = rustls::Stream::new(&mut server, &mut stream);
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"}") {
                match stream.read(&mut piece) {
                    Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
                    _ => break,
                }
            }
            if !request.is_empty() {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            }
            String::from_utf8(request).unwrap()
        };
        (pem, port, std::thread::spawn(serve))
    }

    #[tokio::test]
    async fn an_own_authority_is_trusted_when_it_is_named() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (pem, port, request) = receiver();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let settings = json!({ "url": format!("https://localhost:{port}/báo?x=1"), "secret": "s" });
        let body = test_body("Trực ban", Some("https://soc.vn"));
        send(&settings, &Roots::read(&[file]).unwrap(), body.clone()).await.unwrap();
        let request = request.join().unwrap();
        assert!(request.starts_with("POST /b%C3%A1o?x=1 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&sign("s", &body).unwrap()) && request.ends_with(&body), "{request}");
        // Another authority than the one that is trusted: nothing of the message is told.
        let (_, port, request) = receiver();
        let settings = json!({ "url": format!("https://localhost:{port}/") });
        assert!(send(&settings, &Roots::default(), body).await.is_err());
        assert_eq!(request.join().unwrap(), "");
    }

    #[test]
    fn a_test_names_the_page_only_where_it_is_known() {
        assert!(test_body("c", Some("https://soc.vn")).contains("https://soc.vn"));
        assert!(!test_body("c", None).contains("url"));
    }

    #[test]
    fn signature_of_rfc_4231_case_2() {
        let signed = sign("Jefe", "what do ya want for nothing?").unwrap();
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
