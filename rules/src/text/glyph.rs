//! A Sigma value as a row of glyphs: plain text, wildcards, and dashes that stand for every dash.

use std::borrow::Cow;

/// The signs that Windows programs take for the dash of an option (Sigma 2.1.0, `windash`).
pub const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];

/// One part of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Glyph {
    /// Plain text, never empty.
    Text(String),
    /// `?`: exactly one sign.
    One,
    /// `*`: any number of signs.
    Many,
    /// Any of [`DASHES`].
    Dash,
}

/// Reads wildcards and escapes (Sigma rules specification, "Escaping").
///
/// A backslash before `*`, `?` or a backslash makes that sign plain; any other backslash is itself.
pub fn parse(value: &str) -> Vec<Glyph> {
    let mut glyphs = Vec::new();
    let mut signs = value.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '*' => push(&mut glyphs, Glyph::Many),
            '?' => push(&mut glyphs, Glyph::One),
            '\\' => {
                let escaped = signs.next_if(|next| matches!(next, '*' | '?' | '\\'));
                plain(&mut glyphs, escaped.unwrap_or('\\'));
            }
            other => plain(&mut glyphs, other),
        }
    }
    glyphs
}

/// Writes glyphs so that [`parse`] gives them back; a dash is written as `-`.
pub fn print(glyphs: &[Glyph]) -> String {
    let mut text = String::new();
    for glyph in glyphs {
        match glyph {
            Glyph::Many => text.push('*'),
            Glyph::One => text.push('?'),
            Glyph::Dash => text.push('-'),
            Glyph::Text(plain) => {
                for sign in plain.chars() {
                    if matches!(sign, '*' | '?' | '\\') {
                        text.push('\\');
                    }
                    text.push(sign);
                }
            }
        }
    }
    text
}

/// Adds `glyph`; two `*` in a row are one.
pub fn push(glyphs: &mut Vec<Glyph>, glyph: Glyph) {
    if !(glyph == Glyph::Many && glyphs.last() == Some(&Glyph::Many)) {
        glyphs.push(glyph);
    }
}

fn plain(glyphs: &mut Vec<Glyph>, sign: char) {
    if let Some(Glyph::Text(text)) = glyphs.last_mut() {
        text.push(sign);
    } else {
        glyphs.push(Glyph::Text(sign.to_string()));
    }
}

/// Puts a `*` before, unless there is one.
pub fn open_start(glyphs: &mut Vec<Glyph>) {
    if glyphs.first() != Some(&Glyph::Many) {
        glyphs.insert(0, Glyph::Many);
    }
}

/// Puts a `*` behind, unless there is one.
pub fn open_end(glyphs: &mut Vec<Glyph>) {
    push(glyphs, Glyph::Many);
}

/// The text, when there is nothing but text.
pub fn plain_text(glyphs: &[Glyph]) -> Option<Cow<'_, str>> {
    match glyphs {
        [] => Some(Cow::Borrowed("")),
        [Glyph::Text(text)] => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

/// Replaces each dash of an option by [`Glyph::Dash`]: one of [`DASHES`] with no word sign before it and one behind.
pub fn windash(glyphs: &[Glyph]) -> Vec<Glyph> {
    let word = |sign: char| sign.is_alphanumeric() || sign == '_';
    let mut out = Vec::new();
    for glyph in glyphs {
        let Glyph::Text(text) = glyph else {
            push(&mut out, glyph.clone());
            continue;
        };
        let mut before_is_word = false;
        let mut signs = text.chars().peekable();
        while let Some(sign) = signs.next() {
            if DASHES.contains(&sign) && !before_is_word && signs.peek().copied().is_some_and(word) {
                out.push(Glyph::Dash);
            } else {
                plain(&mut out, sign);
            }
            before_is_word = word(sign);
        }
    }
    out
}

/// Every text that the glyphs stand for when they hold no wildcard, at most `limit` of them; `None` otherwise.
pub fn expand(glyphs: &[Glyph], limit: usize) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    for glyph in glyphs {
        match glyph {
            Glyph::Text(plain) => texts.iter_mut().for_each(|text| text.push_str(plain)),
            Glyph::Dash => {
                texts = texts.iter().flat_map(|text| DASHES.map(|dash| format!("{text}{dash}"))).collect();
                if texts.len() > limit {
                    return None;
                }
            }
            Glyph::One | Glyph::Many => return None,
        }
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(value: &str, expected: &[Glyph]) {
        assert_eq!(parse(value), expected, "{value}");
    }

    fn text(plain: &str) -> Glyph {
        Glyph::Text(plain.to_owned())
    }

    #[test]
    fn escapes_of_the_specification() {
        check(r"C:\Windows\cmd.exe", &[text(r"C:\Windows\cmd.exe")]);
        check(r"a\\b", &[text(r"a\b")]);
        check(r"a\*b", &[text("a*b")]);
        check(r"a\\*b", &[text(r"a\"), Glyph::Many, text("b")]);
        check(r"a\\\*b", &[text(r"a\*b")]);
        check(r"\\\\srv", &[text(r"\\srv")]);
        check(r"\\\srv", &[text(r"\\srv")]);
        check(r"dir\", &[text(r"dir\")]);
        check("**?", &[Glyph::Many, Glyph::One]);
        check("", &[]);
    }

    #[test]
    fn dashes_of_options_only() {
        assert_eq!(
            windash(&parse(" -enc a-b /x")),
            [text(" "), Glyph::Dash, text("enc a-b "), Glyph::Dash, text("x")]
        );
        assert_eq!(expand(&windash(&parse("-a")), 5).map(|all| all.len()), Some(5));
        assert_eq!(expand(&windash(&parse("-a -b")), 24), None);
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(value in r"[a-c\\*?/ -]{0,12}") {
            let glyphs = parse(&value);
            prop_assert_eq!(parse(&print(&glyphs)), glyphs);
        }
    }
}
