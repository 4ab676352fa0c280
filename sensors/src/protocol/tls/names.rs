//! Names of the numbers in TLS (IANA "Transport Layer Security (TLS) Parameters").

use tls_parser::TlsCipherSuite;

/// Protocol and version as ECS has them: `("tls", "1.2")`; drafts and unknown ones keep their number.
pub(super) fn version(code: u16) -> (&'static str, String) {
    let (protocol, version) = match code {
        0x0002 => ("ssl", "2.0"),
        0x0300 => ("ssl", "3.0"),
        0x0301 => ("tls", "1.0"),
        0x0302 => ("tls", "1.1"),
        0x0303 => ("tls", "1.2"),
        0x0304 => ("tls", "1.3"),
        0xfeff => ("dtls", "1.0"),
        0xfefd => ("dtls", "1.2"),
        0xfefc => ("dtls", "1.3"),
        draft if draft & 0xff00 == 0x7f00 => return ("tls", format!("1.3-draft{}", draft & 0xff)),
        other => return ("tls", format!("0x{other:04x}")),
    };
    (protocol, version.to_owned())
}

/// IANA name of a cipher suite, or its number in hex.
pub(super) fn cipher(code: u16) -> String {
    TlsCipherSuite::from_id(code).map_or_else(|| format!("0x{code:04x}"), |suite| suite.name.to_owned())
}

/// Name of a group (curve).
pub(super) fn group(code: u16) -> String {
    let name = match code {
        1 => "sect163k1",
        2 => "sect163r1",
        3 => "sect163r2",
        6 => "sect233k1",
        7 => "sect233r1",
        8 => "sect239k1",
        9 => "sect283k1",
        10 => "sect283r1",
        11 => "sect409k1",
        12 => "sect409r1",
        13 => "sect571k1",
        14 => "sect571r1",
        15 => "secp160k1",
        16 => "secp160r1",
        17 => "secp160r2",
        18 => "secp192k1",
        19 => "secp192r1",
        20 => "secp224k1",
        21 => "secp224r1",
        22 => "secp256k1",
        23 => "secp256r1",
        24 => "secp384r1",
        25 => "secp521r1",
        26 => "brainpoolP256r1",
        27 => "brainpoolP384r1",
        28 => "brainpoolP512r1",
        29 => "x25519",
        30 => "x448",
        31 => "brainpoolP256r1tls13",
        32 => "brainpoolP384r1tls13",
        33 => "brainpoolP512r1tls13",
        41 => "curveSM2",
        256 => "ffdhe2048",
        257 => "ffdhe3072",
        258 => "ffdhe4096",
        259 => "ffdhe6144",
        260 => "ffdhe8192",
        512 => "MLKEM512",
        513 => "MLKEM768",
        514 => "MLKEM1024",
        0x11eb => "SecP256r1MLKEM768",
        0x11ec => "X25519MLKEM768",
        0x11ed => "SecP384r1MLKEM1024",
        0x6399 => "X25519Kyber768Draft00",
        0xff01 => "arbitrary_explicit_prime_curves",
        0xff02 => "arbitrary_explicit_char2_curves",
        other => return format!("0x{other:04x}"),
    };
    name.to_owned()
}

/// Description of an alert (RFC 8446, 6).
pub(super) fn alert(code: u8) -> String {
    let name = match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        other => return format!("unknown-{other}"),
    };
    name.to_owned()
}

/// The letter of a handshake message in `dongson.tls.history` (Zeek's `ssl_history`), as the client sends it.
pub(super) fn handshake_letter(kind: u8) -> char {
    match kind {
        0 => 'H',
        1 => 'C',
        2 => 'S',
        3 => 'V',
        4 => 'T',
        5 => 'E',
        6 => 'J',
        8 => 'O',
        11 => 'X',
        12 => 'K',
        13 => 'R',
        14 => 'N',
        15 => 'Y',
        16 => 'G',
        20 => 'F',
        21 => 'W',
        22 => 'U',
        23 => 'A',
        24 => 'P',
        254 => 'M',
        _ => 'Z',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_known_and_numbers_the_rest() {
        assert_eq!(cipher(0xc030), "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
        assert_eq!(cipher(0x1301), "TLS_AES_128_GCM_SHA256");
        assert_eq!(cipher(0xfefe), "0xfefe");
        assert_eq!(version(0x7f17), ("tls", "1.3-draft23".to_owned()));
        assert_eq!(group(29), "x25519");
        assert_eq!(alert(40), "handshake_failure");
    }
}
