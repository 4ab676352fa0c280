//! Renewal: a new key and a new certificate before the old one ends.
//!
//! The new key lies in a file of its own; the identity names it. So the step from the old pair to the new one is one
//! rename, and a crash at any moment leaves a pair that fits. The collector takes the old certificate until it ends, so
//! a lost answer costs nothing.

use std::fs;
use std::io;
use std::path::Path;

use rcgen::PublicKeyData as _;
use ureq::Agent;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::enrol::{Answer, request_for};
use super::identity::{certificates, first_key, save_key};
use super::{Identity, IdentityError};

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The collector could not be reached.
    #[error("the collector could not be reached: {0}")]
    Unreachable(Box<ureq::Error>),
    /// The collector refused.
    #[error("the collector refused to renew the certificate: {0}")]
    Refused(String),
    /// The answer's certificate is not for the new key.
    #[error("the collector answered with a certificate that does not fit the new key")]
    Misfit,
    /// The key or the request could not be made.
    #[error("the key could not be made: {0}")]
    Key(#[from] rcgen::Error),
    /// The identity could not be written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// True when less than a third of the certificate's life is left at `now` (seconds since 1970 UTC), or when its life
/// cannot be read.
pub(super) fn is_due(identity: &Identity, now: i64) -> bool {
    life(&identity.certificate).is_none_or(|(begin, end)| {
        let (left, whole) = (end.saturating_sub(now), end.saturating_sub(begin));
        left.saturating_mul(3) < whole
    })
}

/// Gets a new certificate with `agent`, which shows the old one, and writes the new identity into `folder`.
pub(super) fn renew(agent: &Agent, identity: &Identity, folder: &Path) -> Result<Identity, RenewError> {
    let key = rcgen::KeyPair::generate()?;
    let name = format!("key-{:016x}.pem", rand::random::<u64>());
    save_key(folder, &name, &key.serialize_pem())?;
    let renewed = ask(agent, &identity.url, &key).and_then(|certificate| {
        let renewed = Identity { certificate, key: name.clone(), ..identity.clone() };
        renewed.save(folder)?;
        Ok(renewed)
    });
    // The identity on the disk decides which key is needed: saving may fail after the rename.
    match Identity::load(folder).map(|present| tidy(folder, &present.key)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "keys that are not needed any more were left"),
        Err(error) => tracing::warn!(%error, "keys that may not be needed any more were left"),
    }
    renewed
}

/// The certificate for `key`, in PEM.
fn ask(agent: &Agent, url: &str, key: &rcgen::KeyPair) -> Result<String, RenewError> {
    let unreachable = |error| RenewError::Unreachable(Box::new(error));
    let wish = serde_json::json!({ "csr": request_for(key)? });
    let mut answer = agent.post(format!("{url}/v1/renew")).send_json(wish).map_err(unreachable)?;
    let status = answer.status();
    let text = answer.body_mut().read_to_string().map_err(unreachable)?;
    if !status.is_success() {
        let said: String = text.chars().take(300).collect();
        return Err(RenewError::Refused(format!("{status} {said:?}")));
    }
    let answer: Answer = serde_json::from_str(&text)
        .map_err(|error| RenewError::Refused(format!("its answer is not understood: {error}")))?;
    if fits(&answer.certificate, key) { Ok(answer.certificate) } else { Err(RenewError::Misfit) }
}

/// Removes the keys other than `needed`: the former one, and those of renewals that failed or were cut short.
fn tidy(folder: &Path, needed: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let is_key = Path::new(&name).extension().is_some_and(|extension| extension == "pem")
            && name.to_str().is_some_and(|name| name == first_key() || name.starts_with("key-"));
        if is_key && name != needed {
            fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}

/// Begin and end of the first certificate's life, in seconds since 1970 UTC.
pub(super) fn life(pem: &str) -> Option<(i64, i64)> {
    with_first(pem, |certificate| {
        let validity = certificate.validity();
        (validity.not_before.timestamp(), validity.not_after.timestamp())
    })
}

/// True when the first certificate is for `key`.
fn fits(pem: &str, key: &rcgen::KeyPair) -> bool {
    with_first(pem, |certificate| certificate.public_key().raw == key.subject_public_key_info())
        .unwrap_or(false)
}

fn with_first<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let chain = certificates(pem)?;
    let (_, certificate) = X509Certificate::from_der(chain.first()?.der()).ok()?;
    Some(look(&certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(certificate: String) -> Identity {
        let text = || String::new();
        Identity {
            url: text(),
            sensor: text(),
            organization: text(),
            node: text(),
            certificate,
            authority: text(),
            key: text(),
        }
    }

    fn certificate(key: &rcgen::KeyPair) -> String {
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        params.self_signed(key).unwrap().pem()
    }

    #[test]
    fn due_in_the_last_third() {
        let key = rcgen::KeyPair::generate().unwrap();
        let identity = identity(certificate(&key));
        let (begin, end) = life(&identity.certificate).unwrap();
        assert_eq!(end - begin, 90 * 86_400);
        assert!(!is_due(&identity, begin));
        assert!(!is_due(&identity, end - 30 * 86_400));
        assert!(is_due(&identity, end - 30 * 86_400 + 1));
        assert!(is_due(&identity, end + 1));
    }

    #[test]
    fn another_key_does_not_fit() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = certificate(&key);
        assert!(fits(&certificate, &key));
        assert!(!fits(&certificate, &rcgen::KeyPair::generate().unwrap()));
        assert!(!fits("nothing", &key));
    }

    #[test]
    fn only_the_key_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["key.pem", "key-1.pem", "key-2.pem", "secret.key", "identity.json"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        tidy(folder.path(), "key-1.pem").unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["identity.json", "key-1.pem", "secret.key"]);
    }

    #[test]
    fn what_cannot_be_read_is_due() {
        assert!(is_due(&identity(String::new()), 0));
    }
}
