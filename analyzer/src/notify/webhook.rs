//! HTTP POST of one JSON object. With a `secret`, the header `dongson-signature` carries `sha256=` and the
//! HMAC-SHA256 (RFC 2104) of the body in hexadecimal, so that the receiver can tell it is ours.

use dongson_registry::Alert;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{NotifyError, TIMEOUT, required, text};

/// Sends a JSON object; any answer but 2xx is a failure. Redirects are not followed.
pub(super) async fn send(settings: &Value, body: String) -> Result<(), NotifyError> {
    let url = required(settings, "url")?.to_owned();
    let signature = settings.get("secret").and_then(Value::as_str).filter(|secret| !secret.is_empty());
    let signature = signature.map(|secret| sign(secret, &body)).transpose()?;
    tokio::task::spawn_blocking(move || post(&url, &body, signature.as_deref()))
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

fn sign(secret: &str, body: &str) -> Result<String, NotifyError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|_| NotifyError::Setting { name: "secret", problem: "cannot be used as a key" })?;
    mac.update(body.as_bytes());
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

fn post(url: &str, body: &str, signature: Option<&str>) -> Result<(), NotifyError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .tls_config(TlsConfig::builder().root_certs(roots()).build())
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

/// The certificates that this machine trusts.
fn roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs();
    let own: Vec<Certificate<'static>> =
        found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    RootCerts::new_with_certs(&own)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_receiver_that_speaks_no_tls_is_a_refusal() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let answer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let refused = post(&url, "{}", None);
        answer.join().unwrap();
        assert!(matches!(refused, Err(NotifyError::Refused(_))), "{refused:?}");
    }

    #[test]
    fn signature_of_rfc_4231_case_2() {
        let signed = sign("Jefe", "what do ya want for nothing?").unwrap();
        assert_eq!(signed, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
