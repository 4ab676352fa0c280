//! The certificate authority of the sensors: made on first start, kept in the data folder, used to sign the
//! listener's certificate and those of sensors.
//!
//! A sensor trusts the authority by the SHA-256 of its certificate, which stands in the enrolment token
//! ([`Authority::token`]); the listener therefore sends the authority's certificate at the end of its chain. Keys are
//! ECDSA P-256. Certificates of sensors live 90 days and carry the sensor's id as their only name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// Life of the authority: 20 years.
const AUTHORITY_LIFE: Duration = Duration::from_hours(24 * 365 * 20);
/// Life of the listener's certificate, which is made anew at each start: two years.
const SERVER_LIFE: Duration = Duration::from_hours(24 * 730);
/// Life of a sensor's certificate: 90 days.
pub const SENSOR_LIFE: Duration = Duration::from_hours(24 * 90);
/// Clocks may differ by so much before a new certificate is refused.
const SKEW: Duration = Duration::from_hours(1);

/// Why the authority cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The folder cannot be read or written.
    #[error("certificate authority in {path:?}: {error}")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// The request of a sensor is not a valid PKCS#10 request.
    #[error("the certificate request is not valid: {0}")]
    Request(rcgen::Error),
    /// Signing failed, or what is stored does not read.
    #[error("certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// What is stored is not PEM.
    #[error("the authority's certificate {0:?} is not PEM")]
    NotPem(PathBuf),
}

/// A certificate that was signed for a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// SHA-256 of the DER in hexadecimal.
    pub fingerprint: String,
    /// End of validity in milliseconds since 1970.
    pub not_after_ms: i64,
}

/// The authority, ready to sign.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// Opens the authority in `<data>/ca`, or makes it there.
    pub fn open(data: &Path, now_ms: i64) -> Result<Self, AuthorityError> {
        let folder = data.join("ca");
        if !folder.is_dir() {
            create(&folder, now_ms)?;
        }
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| AuthorityError::Folder { path, error })
        };
        let (pem, key) = (read("ca.pem")?, read("ca.key")?);
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| AuthorityError::NotPem(folder.join("ca.pem")))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(&key)?)?;
        Ok(Self { issuer, certificate, pem })
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the authority's certificate (DER), base64url without padding: what a token carries.
    pub fn fingerprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.certificate))
    }

    /// The text that an administrator gives to the sensor: `dst1.<secret>.<fingerprint of the authority>`.
    pub fn token(&self, secret: &str) -> String {
        format!("dst1.{secret}.{}", self.fingerprint())
    }

    /// A key and certificate chain for the listener, valid for `names` and `localhost`.
    pub fn server(
        &self,
        names: &[String],
        now_ms: i64,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let mut names = names.to_vec();
        if !names.iter().any(|name| name == "localhost") {
            names.push("localhost".to_owned());
        }
        let mut params = CertificateParams::new(names)?;
        validity(&mut params, now_ms, SERVER_LIFE);
        params.serial_number = Some(serial());
        params.distinguished_name = named("Dongson collector");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        Ok((chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))))
    }

    /// Signs a sensor's request. Only its key is taken; the name is `sensor`, the uses are ours.
    pub fn sign(&self, request_pem: &str, sensor: &str, now_ms: i64) -> Result<Issued, AuthorityError> {
        let request =
            CertificateSigningRequestParams::from_pem(request_pem).map_err(AuthorityError::Request)?;
        let mut params = CertificateParams::default();
        let not_after_ms = validity(&mut params, now_ms, SENSOR_LIFE);
        let serial = serial();
        params.serial_number = Some(serial.clone());
        params.distinguished_name = named(sensor);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&request.public_key, &self.issuer)?;
        Ok(Issued {
            certificate_pem: signed.pem(),
            serial: hex::encode(serial.to_bytes()),
            fingerprint: fingerprint(signed.der()),
            not_after_ms,
        })
    }
}

/// SHA-256 of a certificate in hexadecimal, as the registry keeps it.
pub fn fingerprint(certificate: &[u8]) -> String {
    hex::encode(Sha256::digest(certificate))
}

fn create(folder: &Path, now_ms: i64) -> Result<(), AuthorityError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    validity(&mut params, now_ms, AUTHORITY_LIFE);
    params.serial_number = Some(serial());
    params.distinguished_name = named("Dongson sensor authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    // Both files appear at once: a crash in between leaves no half of an authority.
    let parent = folder.parent().unwrap_or(Path::new("."));
    let fresh = parent.join(format!(".ca-{}", Uuid::now_v7()));
    let made = fs::create_dir_all(&fresh)
        .and_then(|()| write_file(&fresh.join("ca.key"), &key.serialize_pem(), 0o600))
        .and_then(|()| write_file(&fresh.join("ca.pem"), &certificate.pem(), 0o644))
        .and_then(|()| fs::rename(&fresh, folder))
        .and_then(|()| fs::File::open(parent)?.sync_all());
    made.map_err(|error| AuthorityError::Folder { path: folder.to_owned(), error })
}

fn write_file(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Sets the validity from an hour ago; answers its end in milliseconds since 1970.
fn validity(params: &mut CertificateParams, now_ms: i64, life: Duration) -> i64 {
    let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    let end = now.saturating_add(life);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(SKEW);
    params.not_after = epoch + end;
    i64::try_from(end.as_millis()).unwrap_or(i64::MAX)
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// 128 bits, positive.
fn serial() -> SerialNumber {
    let mut bytes = Uuid::new_v4().into_bytes();
    if let Some(first) = bytes.first_mut() {
        *first &= 0x7f;
        *first |= 0x40;
    }
    SerialNumber::from(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), 1_800_000_000_000).unwrap();
        let again = Authority::open(folder.path(), 1_800_000_000_000).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        let mode = fs::metadata(folder.path().join("ca/ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(first.token("s").starts_with("dst1.s."));
    }

    #[test]
    fn a_sensor_gets_its_id_and_nothing_it_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), 1_800_000_000_000).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut wish = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let request = wish.serialize_request(&key).unwrap().pem().unwrap();
        let issued = authority.sign(&request, "s-1", 1_800_000_000_000).unwrap();
        let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(parsed.subject().to_string(), "CN=s-1");
        assert!(!parsed.is_ca());
        assert!(parsed.subject_alternative_name().unwrap().is_none());
        assert_eq!(fingerprint(&der), issued.fingerprint);
        assert!(matches!(authority.sign("x", "s", 0), Err(AuthorityError::Request(_))));
    }
}
