//! Certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::Rule::{By, Is};
use super::tls::reversed_name;
use super::{Line, line};
use crate::values::Case;

const ORDER: &str = "Zeek writes the most specific part of a name first, we keep the certificate's order";

pub(super) const LINES: &[Line] = &[
    line("zeek", "x509", "fingerprint", Is("file.hash.sha256"), ""),
    line(
        "zeek",
        "x509",
        "cert",
        By(certificate),
        "Zeek's script logs the certificate itself, ours is named by its SHA-256",
    ),
    line("zeek", "x509", "certificate.version", Is("file.x509.version_number"), ""),
    line("zeek", "x509", "certificate.serial", Is("file.x509.serial_number"), ""),
    line(
        "zeek",
        "x509",
        "certificate.subject",
        By(|case, v| name(&case.text("file.x509.subject.distinguished_name")) == v),
        ORDER,
    ),
    line(
        "zeek",
        "x509",
        "certificate.issuer",
        By(|case, v| name(&case.text("file.x509.issuer.distinguished_name")) == v),
        ORDER,
    ),
    line(
        "zeek",
        "x509",
        "certificate.not_valid_before",
        By(|case, v| moment(&case.text("file.x509.not_before"), v)),
        "",
    ),
    line(
        "zeek",
        "x509",
        "certificate.not_valid_after",
        By(|case, v| moment(&case.text("file.x509.not_after"), v)),
        "",
    ),
    line("zeek", "x509", "certificate.key_alg", Is("file.x509.public_key_algorithm"), ""),
    line("zeek", "x509", "certificate.sig_alg", Is("file.x509.signature_algorithm"), ""),
    line("zeek", "x509", "certificate.key_type", By(key_type), ""),
    line("zeek", "x509", "certificate.key_length", Is("file.x509.public_key_size"), ""),
    line("zeek", "x509", "certificate.exponent", Is("file.x509.public_key_exponent"), ""),
    line("zeek", "x509", "certificate.curve", Is("file.x509.public_key_curve"), ""),
    line(
        "zeek",
        "x509",
        "basic_constraints.ca",
        By(|case, v| (case.text("dongson.x509.is_ca") == "true") == (v == "T")),
        "",
    ),
    line("zeek", "x509", "basic_constraints.path_len", Is("dongson.x509.path_length"), ""),
    line(
        "zeek",
        "x509",
        "host_cert",
        By(|case, v| (case.text("dongson.x509.position") == "0") == (v == "T")),
        "",
    ),
    line(
        "zeek",
        "x509",
        "client_cert",
        By(|case, v| (case.text("dongson.x509.from_client") == "true") == (v == "T")),
        "",
    ),
    line(
        "zeek",
        "x509",
        "san.dns",
        By(|case, v| case.list("file.x509.alternative_names").join(",") == v),
        "",
    ),
];

/// Two attributes have other short names (RFC 4519 has `street`, PKCS #9 `emailAddress`).
fn name(ours: &str) -> String {
    let name = reversed_name(ours).replace("Email=", "emailAddress=").replace("streetAddress=", "street=");
    // The attributes of one part are a set: theirs are the other way round too.
    let turned =
        |part: &str| part.split(" + ").collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("+");
    name.split(',').map(turned).collect::<Vec<_>>().join(",")
}

fn certificate(case: &Case<'_>, theirs: &str) -> bool {
    let bytes = STANDARD.decode(theirs).unwrap_or_default();
    case.text("file.hash.sha256") == hex::encode(Sha256::digest(bytes))
}

fn moment(ours: &str, theirs: &str) -> bool {
    let seconds = theirs.split('.').next().and_then(|whole| whole.parse().ok());
    ours.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second) == seconds
}

fn key_type(case: &Case<'_>, theirs: &str) -> bool {
    let ours = match case.text("file.x509.public_key_algorithm").as_str() {
        "rsaEncryption" => "rsa",
        "id-ecPublicKey" => "ecdsa",
        "dsa" => "dsa",
        _ => return false,
    };
    ours == theirs
}
