//! Words of IKE, as IANA lists them ("IKE Attributes" and "`IKEv2` Parameters").

/// The word of a number, or `unknown-N`.
fn word(name: Option<&str>, number: u64) -> String {
    name.map_or_else(|| format!("unknown-{number}"), str::to_owned)
}

fn find(list: &[(u16, &'static str)], number: u16) -> Option<&'static str> {
    list.iter().find(|(code, _)| *code == number).map(|(_, name)| *name)
}

pub(super) fn exchange(major: u8, code: u8) -> String {
    let name = match (major, code) {
        (1, 1) => Some("base"),
        (1, 2) => Some("identity_protection"),
        (1, 3) => Some("authentication_only"),
        (1, 4) => Some("aggressive"),
        (1, 6) => Some("transaction"),
        (1, 32) => Some("quick_mode"),
        (1, 33) => Some("new_group_mode"),
        (2, 34) => Some("ike_sa_init"),
        (2, 35) => Some("ike_auth"),
        (2, 36) => Some("create_child_sa"),
        (1, 5) | (2, 37) => Some("informational"),
        (2, 38) => Some("ike_session_resume"),
        (2, 39) => Some("gsa_auth"),
        (2, 40) => Some("gsa_registration"),
        (2, 41) => Some("gsa_rekey"),
        (2, 43) => Some("ike_intermediate"),
        (2, 44) => Some("ike_followup_ke"),
        _ => None,
    };
    word(name, code.into())
}

/// Names of version 2's payloads are those of the standard's notation.
pub(super) fn payload(major: u8, code: u8) -> String {
    const ONE: [(u16, &str); 20] = [
        (1, "SA"),
        (2, "P"),
        (3, "T"),
        (4, "KE"),
        (5, "ID"),
        (6, "CERT"),
        (7, "CR"),
        (8, "HASH"),
        (9, "SIG"),
        (10, "NONCE"),
        (11, "N"),
        (12, "D"),
        (13, "VID"),
        (14, "Attributes"),
        (15, "SAK"),
        (20, "NAT-D"),
        (21, "NAT-OA"),
        (130, "NAT-D"),
        (131, "NAT-OA"),
        (132, "FRAG"),
    ];
    const TWO: [(u16, &str); 20] = [
        (33, "SA"),
        (34, "KE"),
        (35, "IDi"),
        (36, "IDr"),
        (37, "CERT"),
        (38, "CERTREQ"),
        (39, "AUTH"),
        (40, "Nonce"),
        (41, "N"),
        (42, "D"),
        (43, "V"),
        (44, "TSi"),
        (45, "TSr"),
        (46, "SK"),
        (47, "CP"),
        (48, "EAP"),
        (49, "GSPM"),
        (50, "IDg"),
        (53, "SKF"),
        (54, "PS"),
    ];
    word(find(if major == 1 { &ONE } else { &TWO }, code.into()), code.into())
}

/// Diffie-Hellman groups, whose numbers both versions share.
pub(super) fn group(code: u16) -> String {
    const NAMES: [(u16, &str); 24] = [
        (0, "NONE"),
        (1, "MODP_768"),
        (2, "MODP_1024"),
        (5, "MODP_1536"),
        (14, "MODP_2048"),
        (15, "MODP_3072"),
        (16, "MODP_4096"),
        (17, "MODP_6144"),
        (18, "MODP_8192"),
        (19, "ECP_256"),
        (20, "ECP_384"),
        (21, "ECP_521"),
        (22, "MODP_1024_160"),
        (23, "MODP_2048_224"),
        (24, "MODP_2048_256"),
        (25, "ECP_192"),
        (26, "ECP_224"),
        (27, "BRAINPOOL_P224R1"),
        (28, "BRAINPOOL_P256R1"),
        (29, "BRAINPOOL_P384R1"),
        (30, "BRAINPOOL_P512R1"),
        (31, "CURVE25519"),
        (32, "CURVE448"),
        (36, "ML_KEM_768"),
    ];
    word(find(&NAMES, code), code.into())
}

/// Attributes 1 to 4 of version 1: cipher, hash, how to authenticate, group (RFC 2409, appendix A).
pub(super) fn attribute(kind: u16, value: u64) -> String {
    const CIPHERS: [(u16, &str); 8] = [
        (1, "DES_CBC"),
        (2, "IDEA_CBC"),
        (3, "BLOWFISH_CBC"),
        (4, "RC5_CBC"),
        (5, "3DES_CBC"),
        (6, "CAST_CBC"),
        (7, "AES_CBC"),
        (8, "CAMELLIA_CBC"),
    ];
    const HASHES: [(u16, &str); 6] =
        [(1, "MD5"), (2, "SHA1"), (3, "TIGER"), (4, "SHA2_256"), (5, "SHA2_384"), (6, "SHA2_512")];
    const METHODS: [(u16, &str); 11] = [
        (1, "PSK"),
        (2, "DSS"),
        (3, "RSA_SIG"),
        (4, "RSA_ENC"),
        (5, "RSA_ENC_REVISED"),
        (9, "ECDSA_256"),
        (10, "ECDSA_384"),
        (11, "ECDSA_521"),
        (64_221, "HYBRID_RSA"),
        (65_001, "XAUTH_PSK"),
        (65_005, "XAUTH_RSA"),
    ];
    let Ok(code) = u16::try_from(value) else { return word(None, value) };
    match kind {
        1 => word(find(&CIPHERS, code), value),
        2 => word(find(&HASHES, code), value),
        3 => word(find(&METHODS, code), value),
        _ => group(code),
    }
}

/// Transforms of version 2: cipher, pseudo-random function, integrity, group, sequence numbers.
pub(super) fn transform(kind: u8, code: u16) -> String {
    const CIPHERS: [(u16, &str); 18] = [
        (1, "ENCR_DES_IV64"),
        (2, "ENCR_DES"),
        (3, "ENCR_3DES"),
        (4, "ENCR_RC5"),
        (5, "ENCR_IDEA"),
        (6, "ENCR_CAST"),
        (7, "ENCR_BLOWFISH"),
        (11, "ENCR_NULL"),
        (12, "ENCR_AES_CBC"),
        (13, "ENCR_AES_CTR"),
        (14, "ENCR_AES_CCM_8"),
        (15, "ENCR_AES_CCM_12"),
        (16, "ENCR_AES_CCM_16"),
        (18, "ENCR_AES_GCM_8"),
        (19, "ENCR_AES_GCM_12"),
        (20, "ENCR_AES_GCM_16"),
        (23, "ENCR_CAMELLIA_CBC"),
        (28, "ENCR_CHACHA20_POLY1305"),
    ];
    const FUNCTIONS: [(u16, &str); 8] = [
        (1, "PRF_HMAC_MD5"),
        (2, "PRF_HMAC_SHA1"),
        (3, "PRF_HMAC_TIGER"),
        (4, "PRF_AES128_XCBC"),
        (5, "PRF_HMAC_SHA2_256"),
        (6, "PRF_HMAC_SHA2_384"),
        (7, "PRF_HMAC_SHA2_512"),
        (8, "PRF_AES128_CMAC"),
    ];
    const INTEGRITY: [(u16, &str); 12] = [
        (0, "AUTH_NONE"),
        (1, "AUTH_HMAC_MD5_96"),
        (2, "AUTH_HMAC_SHA1_96"),
        (3, "AUTH_DES_MAC"),
        (4, "AUTH_KPDK_MD5"),
        (5, "AUTH_AES_XCBC_96"),
        (6, "AUTH_HMAC_MD5_128"),
        (7, "AUTH_HMAC_SHA1_160"),
        (8, "AUTH_AES_CMAC_96"),
        (12, "AUTH_HMAC_SHA2_256_128"),
        (13, "AUTH_HMAC_SHA2_384_192"),
        (14, "AUTH_HMAC_SHA2_512_256"),
    ];
    match kind {
        1 => word(find(&CIPHERS, code), code.into()),
        2 => word(find(&FUNCTIONS, code), code.into()),
        3 => word(find(&INTEGRITY, code), code.into()),
        4 => group(code),
        5 => if code == 0 { "NO_ESN" } else { "ESN" }.to_owned(),
        kind => format!("unknown-{kind}:{code}"),
    }
}

pub(super) fn notification(major: u8, code: u16) -> String {
    const ONE: [(u16, &str); 12] = [
        (1, "INVALID-PAYLOAD-TYPE"),
        (4, "INVALID-COOKIE"),
        (7, "INVALID-EXCHANGE-TYPE"),
        (9, "INVALID-MESSAGE-ID"),
        (14, "NO-PROPOSAL-CHOSEN"),
        (16, "PAYLOAD-MALFORMED"),
        (18, "INVALID-ID-INFORMATION"),
        (20, "INVALID-CERTIFICATE"),
        (24, "AUTHENTICATION-FAILED"),
        (16_384, "CONNECTED"),
        (24_576, "RESPONDER-LIFETIME"),
        (24_578, "INITIAL-CONTACT"),
    ];
    const TWO: [(u16, &str); 35] = [
        (1, "UNSUPPORTED_CRITICAL_PAYLOAD"),
        (4, "INVALID_IKE_SPI"),
        (5, "INVALID_MAJOR_VERSION"),
        (7, "INVALID_SYNTAX"),
        (9, "INVALID_MESSAGE_ID"),
        (11, "INVALID_SPI"),
        (14, "NO_PROPOSAL_CHOSEN"),
        (17, "INVALID_KE_PAYLOAD"),
        (24, "AUTHENTICATION_FAILED"),
        (34, "SINGLE_PAIR_REQUIRED"),
        (35, "NO_ADDITIONAL_SAS"),
        (36, "INTERNAL_ADDRESS_FAILURE"),
        (37, "FAILED_CP_REQUIRED"),
        (38, "TS_UNACCEPTABLE"),
        (39, "INVALID_SELECTORS"),
        (43, "TEMPORARY_FAILURE"),
        (44, "CHILD_SA_NOT_FOUND"),
        (16_384, "INITIAL_CONTACT"),
        (16_388, "NAT_DETECTION_SOURCE_IP"),
        (16_389, "NAT_DETECTION_DESTINATION_IP"),
        (16_390, "COOKIE"),
        (16_391, "USE_TRANSPORT_MODE"),
        (16_393, "REKEY_SA"),
        (16_396, "MOBIKE_SUPPORTED"),
        (16_404, "MULTIPLE_AUTH_SUPPORTED"),
        (16_406, "REDIRECT_SUPPORTED"),
        (16_407, "REDIRECT"),
        (16_417, "EAP_ONLY_AUTHENTICATION"),
        (16_418, "CHILDLESS_IKEV2_SUPPORTED"),
        (16_420, "IKEV2_MESSAGE_ID_SYNC_SUPPORTED"),
        (16_430, "IKEV2_FRAGMENTATION_SUPPORTED"),
        (16_431, "SIGNATURE_HASH_ALGORITHMS"),
        (16_435, "USE_PPK"),
        (16_438, "INTERMEDIATE_EXCHANGE_SUPPORTED"),
        (16_441, "ADDITIONAL_KEY_EXCHANGE"),
    ];
    word(find(if major == 1 { &ONE } else { &TWO }, code), code.into())
}

/// A maker's mark: text where it is one, the name of a well known feature, else its bytes.
pub(super) fn vendor(mark: &[u8]) -> String {
    const KNOWN: [(&str, &str); 6] = [
        ("4a131c81070358455c5728f20e95452f", "RFC 3947 NAT-T"),
        ("90cb80913ebb696e086381b5ec427b1f", "draft-ietf-ipsec-nat-t-ike-02"),
        ("afcad71368a1f1c96b8696fc77570100", "RFC 3706 DPD"),
        ("09002689dfd6b712", "XAUTH"),
        ("12f5f28c457168a9702d9fe274cc0100", "Cisco Unity"),
        ("4048b7d56ebce88525e7de7f00d6c2d3", "FRAGMENTATION"),
    ];
    if mark.len() >= 4 && mark.iter().all(|sign| matches!(sign, b' '..=b'~')) {
        return super::super::super::wire::text(mark, mark.len());
    }
    let digits = hex::encode(mark);
    let known = KNOWN.iter().find(|(start, _)| digits.starts_with(start));
    known.map_or(digits, |(_, name)| (*name).to_owned())
}
