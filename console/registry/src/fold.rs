//! Vietnamese text without its marks, so that `su co` finds `Sự cố`.

/// Base letters and the marked lower-case letters that fold onto them.
const LETTERS: &[(char, &str)] = &[
    ('a', "àáảãạăằắẳẵặâầấẩẫậ"),
    ('e', "èéẻẽẹêềếểễệ"),
    ('i', "ìíỉĩị"),
    ('o', "òóỏõọôồốổỗộơờớởỡợ"),
    ('u', "ùúủũụưừứửữự"),
    ('y', "ỳýỷỹỵ"),
    ('d', "đ"),
];

/// Lower case, without diacritics (composed or combining), `đ` as `d`.
pub fn fold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|sign| !('\u{300}'..='\u{36f}').contains(sign))
        .map(|sign| {
            if sign.is_ascii() {
                return sign;
            }
            LETTERS.iter().find(|(_, marked)| marked.contains(sign)).map_or(sign, |(base, _)| *base)
        })
        .collect()
}

/// `text` as a pattern for `LIKE ... ESCAPE '\'` that finds it anywhere, folded.
pub(crate) fn pattern(text: &str) -> String {
    let mut out = String::from("%");
    for sign in fold(text).chars() {
        if matches!(sign, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(sign);
    }
    out.push('%');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_dropped() {
        assert_eq!(fold("Sự cố ĐÔNG SƠN"), "su co dong son");
        assert_eq!(fold("Su\u{323} co\u{302}\u{301}"), "su co");
        assert_eq!(pattern("50%_"), "%50\\%\\_%");
    }
}
