//! The words of a text, so that what is asked for and what is stored are cut and folded alike.
//!
//! The text index cuts at ASCII signs and takes every other byte for part of a word. Where a text is not ASCII its words
//! are written out here, for a column of their own: composed (NFC), in lower case, cut at what is no letter, digit or
//! mark on one. A sign of a script that is written without spaces is a word of its own.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Most bytes of words of one row: what a very long record says behind them is not found by its words beyond ASCII.
const MOST_BYTES: usize = 256 << 10;

/// Appends the words of the parts of `text` that hold more than ASCII, each with a space before it, up to
/// [`MOST_BYTES`] in all.
pub(super) fn put_beyond_ascii(text: &str, words: &mut String) {
    if text.is_ascii() {
        return;
    }
    for part in text.split(|sign: char| sign.is_ascii() && !sign.is_ascii_alphanumeric()) {
        if part.is_ascii() {
            continue;
        }
        let whole = words.len();
        put(part, words);
        if words.len() > MOST_BYTES {
            words.truncate(whole);
            return;
        }
    }
}

/// Appends the words of `text`, each with a space before it.
pub(crate) fn put(text: &str, words: &mut String) {
    let mut begins = true;
    for sign in text.chars().flat_map(char::to_lowercase).nfc() {
        let mark = is_combining_mark(sign);
        if !(sign.is_alphanumeric() || mark) || mark && begins {
            begins = true;
            continue;
        }
        let alone = is_unspaced(sign);
        if begins || alone {
            words.push(' ');
        }
        words.push(sign);
        begins = alone;
    }
}

/// Thai to Lao, Burmese, Khmer, and the signs of Chinese and Japanese.
fn is_unspaced(sign: char) -> bool {
    matches!(sign,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> String {
        let mut words = String::new();
        put(text, &mut words);
        words
    }

    fn beyond(text: &str) -> String {
        let mut words = String::new();
        put_beyond_ascii(text, &mut words);
        words
    }

    #[test]
    fn words_are_cut_and_folded() {
        assert_eq!(words("“Lazagne.exe”\u{a0}—X"), " lazagne exe x");
        assert_eq!(words("THANH HÓA Ðông_Sơn"), " thanh hóa ðông sơn");
        assert_eq!(words("ke\u{302}nh"), " kênh");
        assert_eq!(words("機密a.doc"), " 機 密 a doc");
        assert_eq!(beyond("user=root cmd=“nc -e”"), " nc e");
        assert_eq!(beyond("plain ASCII"), "");
        let many = "đông ".repeat(MOST_BYTES / 7 + 9);
        assert_eq!(beyond(&many).len(), MOST_BYTES / 7 * 7, "whole words");
        assert_eq!(beyond(&"đ".repeat(MOST_BYTES)), "");
    }

    proptest! {
        /// What the index cuts from the text and these words together holds each word of the text.
        #[test]
        fn the_index_finds_every_word(text in "([a-zA-Z0-9]|[ .,_=/\"“”–\u{a0}…\u{fffd}đĐôÔẮ機Jǰ]|\u{301}|\u{338}|\u{30c}|\\PC){0,30}") {
            let stored = format!("{} {}", text.to_ascii_lowercase(), beyond(&text));
            let tokens: Vec<&str> = stored.split(|sign: char| sign.is_ascii() && !sign.is_ascii_alphanumeric()).collect();
            for word in words(&text).split(' ').filter(|word| !word.is_empty()) {
                prop_assert!(tokens.contains(&word), "{word:?} of {text:?} is not in {tokens:?}");
            }
        }

        /// A word that was found in an answer and is asked for again is the same word.
        #[test]
        fn words_stay_words(text: String) {
            let once = words(&text);
            let again: String = once.split(' ').map(words).collect();
            prop_assert_eq!(words(&again), again);
        }
    }
}
