//! What the first certificate of a chain says (RFC 5280), and the hashes of all of them.
//!
//! Nothing is verified here: trust is the business of the reader. Names are printed in the order of the certificate
//! (`C=VN, O=..., CN=...`), every value through the escaping of `wire::text`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use dongson_event::{Event, Timestamp};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_parser::asn1_rs::{Oid, Tag};
use x509_parser::objects::{oid_registry, oid2abbrev, oid2sn};
use x509_parser::prelude::{
    AttributeTypeAndValue, FromDer, GeneralName, ParsedExtension, X509Certificate, X509Name,
};
use x509_parser::public_key::PublicKey;

use crate::protocol::wire::{Cursor, numbers16, text};

/// Certificates of a chain whose hash is kept.
const MAX_CHAIN: usize = 12;
/// Alternative names kept.
const MAX_NAMES: usize = 128;
/// Longest printed name, in bytes of the certificate.
const MAX_NAME: usize = 2048;

/// Certificates that are remembered with what was read of them: the same servers are met again and again.
const MAX_REMEMBERED: usize = 1_024;
/// Longest certificate that is remembered, in bytes.
const LONGEST_REMEMBERED: usize = 4_096;

thread_local! {
    /// By the SHA-256 of their bytes. What is read of a certificate depends on nothing else, so nobody can tell whether it
    /// was remembered; 2 KiB each as a rule, at most 20.
    static REMEMBERED: RefCell<HashMap<[u8; 32], Arc<Certificate>>> = RefCell::default();
}

/// A chain as one side sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chain {
    certificates: Vec<Arc<Certificate>>,
}

/// What is kept of a certificate.
#[derive(Debug, PartialEq, Eq)]
struct Certificate {
    /// In hex, as the other hashes.
    sha256: String,
    sha1: String,
    md5: String,
    /// Nothing when it could not be read.
    leaf: Option<Leaf>,
}

/// What a certificate says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Leaf {
    version: u32,
    serial: String,
    subject: String,
    issuer: String,
    common_name: Option<String>,
    issuer_common_name: Option<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    names: Vec<String>,
    key_algorithm: String,
    key_bits: usize,
    signature_algorithm: String,
    is_ca: bool,
    validity_days: i64,
    /// Of an RSA key, in decimal digits.
    exponent: Option<u64>,
    curve: Option<String>,
    /// Basic constraints are there.
    constrained: bool,
    path_length: Option<u32>,
}

/// The names under which one side's chain goes into an event.
#[derive(Debug)]
pub(super) struct Fields {
    chain: &'static str,
    md5: &'static str,
    sha1: &'static str,
    sha256: &'static str,
    subject: &'static str,
    issuer: &'static str,
    not_before: &'static str,
    not_after: &'static str,
    serial: &'static str,
    version: &'static str,
    common_name: &'static str,
    issuer_common_name: &'static str,
    names: &'static str,
    key_algorithm: &'static str,
    key_bits: &'static str,
    signature_algorithm: &'static str,
    is_ca: &'static str,
    chain_length: &'static str,
    self_signed: &'static str,
    validity_days: &'static str,
}

macro_rules! fields {
    ($side:literal) => {
        Fields {
            chain: concat!("dongson.tls.", $side, ".chain_sha256"),
            md5: concat!("tls.", $side, ".hash.md5"),
            sha1: concat!("tls.", $side, ".hash.sha1"),
            sha256: concat!("tls.", $side, ".hash.sha256"),
            subject: concat!("tls.", $side, ".subject"),
            issuer: concat!("tls.", $side, ".issuer"),
            not_before: concat!("tls.", $side, ".not_before"),
            not_after: concat!("tls.", $side, ".not_after"),
            serial: concat!("tls.", $side, ".x509.serial_number"),
            version: concat!("tls.", $side, ".x509.version_number"),
            common_name: concat!("tls.", $side, ".x509.subject.common_name"),
            issuer_common_name: concat!("tls.", $side, ".x509.issuer.common_name"),
            names: concat!("tls.", $side, ".x509.alternative_names"),
            key_algorithm: concat!("tls.", $side, ".x509.public_key_algorithm"),
            key_bits: concat!("tls.", $side, ".x509.public_key_size"),
            signature_algorithm: concat!("tls.", $side, ".x509.signature_algorithm"),
            is_ca: concat!("dongson.tls.", $side, ".is_ca"),
            chain_length: concat!("dongson.tls.", $side, ".chain_length"),
            self_signed: concat!("dongson.tls.", $side, ".self_signed"),
            validity_days: concat!("dongson.tls.", $side, ".validity_days"),
        }
    };
}

/// Fields of the server's chain.
pub(super) const SERVER: Fields = fields!("server");
/// Fields of the client's chain.
pub(super) const CLIENT: Fields = fields!("client");

impl Chain {
    /// Reads the body of a Certificate message up to TLS 1.2 (RFC 5246, 7.4.2); `None` when it holds no certificate.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut list = Cursor::new(Cursor::new(body).vec24()?);
        let mut certificates = Vec::new();
        while let Some(der) = list.vec24().filter(|_| certificates.len() < MAX_CHAIN) {
            certificates.push(Certificate::of(der));
        }
        (!certificates.is_empty()).then_some(Self { certificates })
    }

    /// An event for each certificate that could be read.
    pub(super) fn certificates(&self, at: Timestamp, by_client: bool, out: &mut Vec<Event>) {
        for (position, certificate) in self.certificates.iter().enumerate() {
            let Some(leaf) = &certificate.leaf else { continue };
            let mut event = Event::of("sensor.x509", at);
            event.set("network.protocol", "tls");
            event.set("file.hash.sha256", certificate.sha256.as_str());
            event.set("dongson.x509.position", position);
            event.set("dongson.x509.from_client", by_client);
            leaf.tell(&mut event);
            out.push(event);
        }
    }

    /// Adds what is known to `event`.
    pub(super) fn describe(&self, event: &mut Event, fields: &Fields) {
        let Some(first) = self.certificates.first() else { return };
        event.set(fields.sha256, first.sha256.as_str());
        event.set(fields.sha1, first.sha1.as_str());
        event.set(fields.md5, first.md5.as_str());
        event.set(fields.chain_length, self.certificates.len());
        let hashes = self.certificates.iter().map(|certificate| certificate.sha256.as_str());
        event.set(fields.chain, hashes.collect::<Vec<_>>());
        let Some(leaf) = &first.leaf else { return };
        event.set(fields.self_signed, leaf.subject == leaf.issuer);
        event.set(fields.validity_days, leaf.validity_days);
        event.set(fields.subject, leaf.subject.as_str());
        event.set(fields.issuer, leaf.issuer.as_str());
        event.set_some(fields.not_before, leaf.not_before.as_deref());
        event.set_some(fields.not_after, leaf.not_after.as_deref());
        event.set(fields.serial, leaf.serial.as_str());
        event.set(fields.version, leaf.version);
        event.set_some(fields.common_name, leaf.common_name.as_deref());
        event.set_some(fields.issuer_common_name, leaf.issuer_common_name.as_deref());
        event.set_some(fields.names, (!leaf.names.is_empty()).then(|| leaf.names.clone()));
        event.set(fields.key_algorithm, leaf.key_algorithm.as_str());
        event.set(fields.key_bits, leaf.key_bits);
        event.set(fields.signature_algorithm, leaf.signature_algorithm.as_str());
        event.set(fields.is_ca, leaf.is_ca);
    }
}

impl Certificate {
    /// Reads a certificate, or remembers what was read of the same bytes before.
    fn of(der: &[u8]) -> Arc<Self> {
        let hash: [u8; 32] = Sha256::digest(der).into();
        REMEMBERED.with_borrow_mut(|remembered| {
            if let Some(known) = remembered.get(&hash) {
                return Arc::clone(known);
            }
            let read = Arc::new(Self {
                sha256: hex::encode(hash),
                sha1: hex::encode(Sha1::digest(der)),
                md5: hex::encode(Md5::digest(der)),
                leaf: leaf(der),
            });
            if der.len() <= LONGEST_REMEMBERED {
                if remembered.len() >= MAX_REMEMBERED {
                    remembered.clear();
                }
                remembered.insert(hash, Arc::clone(&read));
            }
            read
        })
    }
}

impl Leaf {
    fn tell(&self, event: &mut Event) {
        event.set("file.x509.version_number", self.version);
        event.set("file.x509.serial_number", self.serial.as_str());
        event.set("file.x509.subject.distinguished_name", self.subject.as_str());
        event.set("file.x509.issuer.distinguished_name", self.issuer.as_str());
        event.set_some("file.x509.subject.common_name", self.common_name.as_deref());
        event.set_some("file.x509.not_before", self.not_before.as_deref());
        event.set_some("file.x509.not_after", self.not_after.as_deref());
        if !self.names.is_empty() {
            event.set("file.x509.alternative_names", self.names.clone());
        }
        event.set("file.x509.public_key_algorithm", self.key_algorithm.as_str());
        event.set("file.x509.public_key_size", self.key_bits);
        event.set_some(
            "file.x509.public_key_exponent",
            self.exponent.and_then(|exponent| i64::try_from(exponent).ok()),
        );
        event.set_some("file.x509.public_key_curve", self.curve.as_deref());
        event.set("file.x509.signature_algorithm", self.signature_algorithm.as_str());
        if self.constrained {
            event.set("dongson.x509.is_ca", self.is_ca);
        }
        event.set_some("dongson.x509.path_length", self.path_length);
        event.set("dongson.x509.self_signed", self.subject == self.issuer);
    }
}

fn leaf(der: &[u8]) -> Option<Leaf> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let key = certificate.public_key();
    let validity = certificate.validity();
    let seconds = validity.not_after.timestamp().saturating_sub(validity.not_before.timestamp());
    let parsed = key.parsed().ok();
    let exponent = parsed.as_ref().and_then(|key| match key {
        PublicKey::RSA(rsa) => rsa.try_exponent().ok(),
        _ => None,
    });
    let parameters = key.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|parameters| parameters.as_oid().ok()).map(|oid| algorithm(&oid));
    let constraints = certificate.basic_constraints().ok().flatten();
    Some(Leaf {
        version: certificate.version().0.saturating_add(1),
        serial: serial(certificate.raw_serial()),
        subject: distinguished_name(certificate.subject()),
        issuer: distinguished_name(certificate.issuer()),
        common_name: common_name(certificate.subject()),
        issuer_common_name: common_name(certificate.issuer()),
        not_before: moment(validity.not_before.timestamp()),
        not_after: moment(validity.not_after.timestamp()),
        names: alternative_names(&certificate),
        key_algorithm: algorithm(&key.algorithm.algorithm),
        key_bits: key.parsed().map_or(0, |key| key_bits(&key)),
        signature_algorithm: algorithm(&certificate.signature_algorithm.algorithm),
        is_ca: certificate.is_ca(),
        validity_days: seconds / 86_400,
        exponent,
        curve,
        constrained: constraints.is_some(),
        path_length: constraints.and_then(|constraints| constraints.value.path_len_constraint),
    })
}

/// Upper-case hex without the sign byte in front.
fn serial(bytes: &[u8]) -> String {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len().saturating_sub(1));
    hex::encode_upper(bytes.get(start..).unwrap_or_default())
}

/// RFC 3339 from seconds since 1970; certificates reach beyond what [`dongson_event::Timestamp`] can hold.
fn moment(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|moment| format!("{moment:.3}"))
}

fn key_bits(key: &PublicKey<'_>) -> usize {
    match key {
        PublicKey::RSA(rsa) => 8 * rsa.modulus.iter().skip_while(|&&byte| byte == 0).count(),
        other => other.key_size(),
    }
}

fn algorithm(oid: &Oid<'_>) -> String {
    let number = oid.to_id_string();
    // The number of the OSI Implementers Workshop has a name of its own, which tells it from that of PKCS #1.
    if number == "1.3.14.3.2.29" {
        return "sha1WithRSA".to_owned();
    }
    oid2sn(oid, oid_registry()).map_or(number, str::to_owned)
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extensions = certificate.extensions().iter();
    let lists = extensions.filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(list) => Some(&list.general_names),
        _ => None,
    });
    lists.flatten().filter_map(alternative_name).take(MAX_NAMES).collect()
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some(text(name.as_bytes(), MAX_NAME))
        }
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let sixteen = <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            four.or(sixteen).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().last().map(attribute_value)
}

/// `C=VN, O=UBND, CN=x`: parts in their order, several values of one part joined by ` + `.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> String {
    let part = |attribute: &AttributeTypeAndValue<'_>| {
        let kind = attribute.attr_type();
        let label = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), str::to_owned);
        format!("{label}={}", attribute_value(attribute))
    };
    let parts = name.iter_rdn().map(|rdn| rdn.iter().map(part).collect::<Vec<_>>().join(" + "));
    parts.collect::<Vec<_>>().join(", ")
}

fn attribute_value(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    match value.tag() {
        Tag::BmpString => text(String::from_utf16_lossy(&numbers16(value.data)).as_bytes(), MAX_NAME),
        _ => text(value.data, MAX_NAME),
    }
}

/// The names of a `CertificateRequest`'s authorities (RFC 5246, 7.4.4), for TLS 1.2 (`signatures`) and before.
pub(super) fn requested_authorities(body: &[u8], signatures: bool) -> Option<Vec<String>> {
    let mut cursor = Cursor::new(body);
    cursor.vec8()?;
    if signatures {
        cursor.vec16()?;
    }
    let mut list = Cursor::new(cursor.vec16()?);
    let mut names = Vec::new();
    while let Some(der) = list.vec16() {
        if names.len() == MAX_CHAIN {
            break;
        }
        names.push(distinguished_name(&X509Name::from_der(der).ok()?.1));
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain_of(certificates: &[&[u8]]) -> Vec<u8> {
        let vec24 = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&length[1..], bytes].concat()
        };
        vec24(&certificates.iter().flat_map(|der| vec24(der)).collect::<Vec<_>>())
    }

    #[test]
    fn describes_a_made_up_certificate() {
        let mut parameters = rcgen::CertificateParams::new(vec!["cong.example.vn".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CountryName, "VN");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Cổng dịch vụ");
        parameters.serial_number = Some(vec![0, 0x97, 1].into());
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let chain = Chain::parse(&chain_of(&[certificate.der()])).unwrap();
        let mut event = Event::new();
        chain.describe(&mut event, &SERVER);
        assert_eq!(event.text("tls.server.subject"), Some("C=VN, CN=Cổng dịch vụ"));
        assert_eq!(event.text("tls.server.x509.serial_number"), Some("9701"));
        assert_eq!(event.int("tls.server.x509.public_key_size"), Some(256));
        assert_eq!(event.text("tls.server.x509.public_key_algorithm"), Some("id-ecPublicKey"));
        assert_eq!(event.text("tls.server.hash.sha1").map(str::len), Some(40));
        assert_eq!(
            event.get("tls.server.x509.alternative_names").map(|names| names.scalars().len()),
            Some(1)
        );
    }

    #[test]
    fn a_remembered_certificate_says_the_same() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificates: Vec<_> = ["a.vn", "b.vn", "a.vn"]
            .map(|name| {
                rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap()
            })
            .to_vec();
        for certificate in certificates.iter().chain(&certificates) {
            let der: &[u8] = certificate.der();
            let held = Certificate::of(der);
            assert_eq!(held.leaf, leaf(der));
            assert_eq!(held.md5, hex::encode(Md5::digest(der)));
            assert!(Arc::ptr_eq(&held, &Certificate::of(der)));
        }
        let long = vec![0x30; LONGEST_REMEMBERED + 1];
        assert!(!Arc::ptr_eq(&Certificate::of(&long), &Certificate::of(&long)));
    }

    #[test]
    fn what_is_no_certificate_keeps_its_hash() {
        let chain = Chain::parse(&chain_of(&[b"not DER", b"second"])).unwrap();
        assert!(chain.certificates.iter().all(|certificate| certificate.leaf.is_none()));
        assert_eq!(chain.certificates.len(), 2);
        assert_eq!(Chain::parse(&[0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, signatures: bool) {
            drop(Chain::parse(&bytes));
            drop(Chain::parse(&chain_of(&[&bytes])));
            drop(requested_authorities(&bytes, signatures));
        }
    }
}
