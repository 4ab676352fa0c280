//! Simple case folding: one sign becomes one sign, so that lengths in signs stay and `?` keeps its meaning.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The sign that all case variants of `sign` share (Unicode simple case folding; dotless and dotted i stay apart).
pub fn fold_char(sign: char) -> char {
    if sign.is_ascii() {
        return sign.to_ascii_lowercase();
    }
    // Signs of Latin-1 that are no letters, but for the micro sign, and the dotless i.
    if matches!(sign, '\u{80}'..='\u{b4}' | '\u{b6}'..='\u{bf}' | 'ı') {
        return sign;
    }
    only(only(sign, char::to_uppercase), char::to_lowercase)
}

/// What `change` makes of `sign` when that is a single sign, else `sign` itself.
fn only<I: Iterator<Item = char>>(sign: char, change: impl Fn(char) -> I) -> char {
    let mut signs = change(sign);
    match (signs.next(), signs.next()) {
        (Some(single), None) => single,
        _ => sign,
    }
}

/// `text` folded; borrowed when nothing changes.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    if text.chars().all(|sign| fold_char(sign) == sign) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(fold_char).collect())
}

/// By folded sign the others that fold to it.
static VARIANTS: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
    let mut variants: HashMap<char, Vec<char>> = HashMap::new();
    for sign in '\0'..=char::MAX {
        let folded = fold_char(sign);
        if folded != sign {
            variants.entry(folded).or_default().push(sign);
        }
    }
    variants
});

/// An expression that finds every text that folds to `folded`, with no help of a flag: engines know the letters of
/// different versions of Unicode.
pub(crate) fn any_case(folded: &str) -> String {
    let one = |sign: char| match VARIANTS.get(&sign) {
        None => regex::escape(sign.encode_utf8(&mut [0; 4])),
        Some(others) => {
            let all = std::iter::once(sign).chain(others.iter().copied());
            let class: Vec<String> = all.map(|sign| format!("\\x{{{:x}}}", u32::from(sign))).collect();
            format!("[{}]", class.concat())
        }
    };
    folded.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_meet() {
        for (one, other) in
            [("Đông SƠN", "đông sơn"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("K", "k"), ("ẞ", "ß"), ("Straße", "STRAßE")]
        {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("ı"), fold("i"));
        assert!(matches!(fold("plain text"), Cow::Borrowed(_)));
    }

    #[test]
    fn every_case_is_found() {
        for sign in '\0'..=char::MAX {
            let folded = fold_char(sign);
            if folded != sign {
                let written = any_case(&folded.to_string());
                assert!(written.contains(&format!("\\x{{{:x}}}", u32::from(sign))), "{sign:?} {written}");
            }
        }
        assert_eq!(any_case("1."), "1\\.");
        assert!(regex::Regex::new(&format!("^{}$", any_case("đường k"))).unwrap().is_match("ĐƯỜNG \u{212a}"));
    }

    #[test]
    fn folding_is_stable_for_every_sign() {
        for sign in '\0'..=char::MAX {
            let folded = fold_char(sign);
            if sign != 'ı' {
                assert_eq!(folded, only(only(sign, char::to_uppercase), char::to_lowercase), "{sign:?}");
            }
            assert_eq!(fold_char(folded), folded, "{sign:?}");
        }
    }
}
