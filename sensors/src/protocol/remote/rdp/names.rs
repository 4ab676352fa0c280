//! Names of numbers in RDP as Zeek prints them: keyboards by language (MS-LCID), builds, colours, encryption.
//!
//! In: numbers. Out: names, or the number itself. Memory: the tables.

/// Languages of keyboards by their identifiers (MS-LCID, 2.2).
const LANGUAGES: &[(u16, &str)] = &[
    (0x0401, "Arabic - Saudi Arabia"),
    (0x0402, "Bulgarian"),
    (0x0403, "Catalan"),
    (0x0404, "Chinese - Taiwan"),
    (0x0405, "Czech"),
    (0x0406, "Danish"),
    (0x0407, "German - Germany"),
    (0x0408, "Greek"),
    (0x0409, "English - United States"),
    (0x040a, "Spanish - Spain (Traditional Sort)"),
    (0x040b, "Finnish"),
    (0x040c, "French - France"),
    (0x040d, "Hebrew"),
    (0x040e, "Hungarian"),
    (0x040f, "Icelandic"),
    (0x0410, "Italian - Italy"),
    (0x0411, "Japanese"),
    (0x0412, "Korean"),
    (0x0413, "Dutch - Netherlands"),
    (0x0414, "Norwegian (Bokmål)"),
    (0x0415, "Polish"),
    (0x0416, "Portuguese - Brazil"),
    (0x0418, "Romanian"),
    (0x0419, "Russian"),
    (0x041a, "Croatian"),
    (0x041b, "Slovak"),
    (0x041c, "Albanian - Albania"),
    (0x041d, "Swedish"),
    (0x041e, "Thai"),
    (0x041f, "Turkish"),
    (0x0420, "Urdu - Pakistan"),
    (0x0421, "Indonesian"),
    (0x0422, "Ukrainian"),
    (0x0423, "Belarusian"),
    (0x0424, "Slovenian"),
    (0x0425, "Estonian"),
    (0x0426, "Latvian"),
    (0x0427, "Lithuanian"),
    (0x0429, "Farsi"),
    (0x042a, "Vietnamese"),
    (0x042b, "Armenian - Armenia"),
    (0x042d, "Basque"),
    (0x042f, "FYRO Macedonian"),
    (0x0436, "Afrikaans - South Africa"),
    (0x0437, "Georgian"),
    (0x0439, "Hindi"),
    (0x043e, "Malay - Malaysia"),
    (0x043f, "Kazakh"),
    (0x0453, "Khmer"),
    (0x0454, "Lao"),
    (0x0455, "Burmese"),
    (0x0801, "Arabic - Iraq"),
    (0x0804, "Chinese - People's Republic of China"),
    (0x0807, "German - Switzerland"),
    (0x0809, "English - United Kingdom"),
    (0x080a, "Spanish - Mexico"),
    (0x080c, "French - Belgium"),
    (0x0810, "Italian - Switzerland"),
    (0x0813, "Dutch - Belgium"),
    (0x0814, "Norwegian (Nynorsk)"),
    (0x0816, "Portuguese - Portugal"),
    (0x081d, "Swedish - Finland"),
    (0x0c01, "Arabic - Egypt"),
    (0x0c04, "Chinese - Hong Kong SAR"),
    (0x0c07, "German - Austria"),
    (0x0c09, "English - Australia"),
    (0x0c0a, "Spanish - Spain (Modern Sort)"),
    (0x0c0c, "French - Canada"),
    (0x1004, "Chinese - Singapore"),
    (0x1009, "English - Canada"),
    (0x100c, "French - Switzerland"),
    (0x1409, "English - New Zealand"),
    (0x1809, "English - Ireland"),
    (0x1c09, "English - South Africa"),
    (0x2c0a, "Spanish - Argentina"),
    (0x4009, "English - India"),
    (0x4809, "English - Singapore"),
];

/// Clients by their build.
const BUILDS: &[(u32, &str)] = &[
    (419, "RDP 4.0"),
    (2195, "RDP 5.0"),
    (2221, "RDP 5.0"),
    (2600, "RDP 5.1"),
    (3790, "RDP 5.2"),
    (6000, "RDP 6.0"),
    (6001, "RDP 6.1"),
    (6002, "RDP 6.2"),
    (7600, "RDP 7.0"),
    (7601, "RDP 7.1"),
    (9200, "RDP 8.0"),
    (9600, "RDP 8.1"),
    (25_189, "RDP 8.0 (Mac)"),
    (25_282, "RDP 8.0 (Mac)"),
];

fn find<K: PartialEq + Copy>(table: &[(K, &'static str)], key: K) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == key).map(|(_, name)| *name)
}

/// A keyboard; variants of a language carry more in the upper bytes.
pub(super) fn keyboard(layout: u32) -> String {
    let [low, high, ..] = layout.to_le_bytes();
    let language = find(LANGUAGES, u16::from_le_bytes([low, high]));
    match language {
        Some(language) if layout <= 0xffff => language.to_owned(),
        Some(language) => format!("{language} (Best Guess for {layout})"),
        None => format!("keyboard-{layout}"),
    }
}

pub(super) fn build(number: u32) -> String {
    find(BUILDS, number).map_or_else(|| format!("client_build-{number}"), str::to_owned)
}

/// The protocol that the server chose (MS-RDPBCGR, 2.2.1.2.1).
pub(super) fn protocol(number: u32) -> String {
    let known = [(0, "RDP"), (1, "SSL"), (2, "HYBRID"), (4, "RDSTLS"), (8, "HYBRID_EX"), (16, "RDSAAD")];
    find(&known, number).map_or_else(|| format!("security_protocol-{number}"), str::to_owned)
}

/// Why the server refuses (MS-RDPBCGR, 2.2.1.2.2).
pub(super) fn failure(code: u32) -> String {
    let known = [
        (1, "SSL_REQUIRED_BY_SERVER"),
        (2, "SSL_NOT_ALLOWED_BY_SERVER"),
        (3, "SSL_CERT_NOT_ON_SERVER"),
        (4, "INCONSISTENT_FLAGS"),
        (5, "HYBRID_REQUIRED_BY_SERVER"),
        (6, "SSL_WITH_USER_AUTH_REQUIRED_BY_SERVER"),
    ];
    find(&known, code).map_or_else(|| format!("failure_code-{code}"), str::to_owned)
}

/// What the server says to the client's wish to connect (T.124, result of a conference).
pub(super) fn result(code: u8) -> String {
    let known = [
        (0, "Success"),
        (1, "User rejected"),
        (2, "Resources not available"),
        (3, "Rejected for symmetry breaking"),
        (4, "Locked conference"),
    ];
    find(&known, code).map_or_else(|| format!("result-{code}"), str::to_owned)
}

/// Colours (MS-RDPBCGR, 2.2.1.3.2).
pub(super) fn colours(depth: u16) -> String {
    format!("{depth}bit")
}

/// How strongly RDP itself encrypts (MS-RDPBCGR, 2.2.1.4.3).
pub(super) fn method(number: u32) -> String {
    let known = [(0, "None"), (1, "40bit"), (2, "128bit"), (8, "56bit"), (16, "FIPS")];
    find(&known, number).map_or_else(|| format!("encryption_method-{number}"), str::to_owned)
}

pub(super) fn level(number: u32) -> String {
    let known = [(0, "None"), (1, "Low"), (2, "Client compatible"), (3, "High"), (4, "FIPS")];
    find(&known, number).map_or_else(|| format!("encryption_level-{number}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_names() {
        assert_eq!(keyboard(0x042a), "Vietnamese");
        assert_eq!(keyboard(0x0004_041e), "Thai (Best Guess for 263198)");
        assert_eq!(keyboard(1), "keyboard-1");
        assert_eq!((build(9600), build(19041)), ("RDP 8.1".to_owned(), "client_build-19041".to_owned()));
        assert_eq!((protocol(8), failure(5).len()), ("HYBRID_EX".to_owned(), 25));
        assert_eq!((method(2), level(3)), ("128bit".to_owned(), "High".to_owned()));
    }
}
