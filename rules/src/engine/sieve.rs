//! Tells quickly that no keyword of a route can be in a record, so that its values need not be unescaped and folded.
//!
//! It looks at the bytes as they came. Of each keyword it keeps grams of plain ASCII that stand in JSON text as they
//! are, with the bit of ASCII case left out; where a record has other signs, it says nothing.

use super::frequency::Frequencies;
use super::grams::{Filter, grams, step};

/// Leaves out the bit that tells capitals from small letters.
const CASELESS: u32 = 0x2020_2020;

/// What keywords leave behind.
#[derive(Debug)]
pub(super) struct Sieve(Filter);

impl Sieve {
    /// For these folded keywords; `None` where one of them has no grams that can be looked for.
    pub(super) fn new(keywords: &[&str], frequencies: &Frequencies) -> Option<Self> {
        let step = step(keywords.iter().map(|keyword| keyword.len()).min()?);
        // A whole record is looked through: strangers must be rarer than for one text.
        let mut filter = Filter::new(step, keywords.len() * 16);
        for keyword in keywords {
            let first = frequencies.rarest(keyword.as_bytes(), step, is_plain)?;
            grams(keyword.as_bytes())
                .skip(first)
                .take(step)
                .for_each(|(_, gram)| filter.add(gram | CASELESS));
        }
        Some(Self(filter))
    }

    /// False where no keyword can be in `text`, which is ASCII and has no escapes by number.
    pub(super) fn may_hold(&self, text: &[u8]) -> bool {
        self.0.scan_caseless(text, CASELESS)
    }
}

/// True when JSON writes all four signs as they are.
fn is_plain(gram: u32) -> bool {
    let plain =
        |byte: u8| byte.is_ascii() && !byte.is_ascii_control() && !matches!(byte, b'"' | b'\\' | b'/');
    gram.to_le_bytes().into_iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_nothing() {
        let sieve = Sieve::new(&["sekurlsa::", "dpapi\\masterkey"], &Frequencies::default()).unwrap();
        for before in 0..9 {
            let text = format!("{}SEKURlsa::x", "-".repeat(before));
            assert!(sieve.may_hold(text.as_bytes()), "{text}");
            assert!(sieve.may_hold(format!("{}dpapi\\\\MASTERKEY", "-".repeat(before)).as_bytes()));
        }
        assert!(!sieve.may_hold(b"nothing of the kind stands here, however long it is"));
        assert!(Sieve::new(&["ab/c"], &Frequencies::default()).is_none());
        assert!(Sieve::new(&["\u{111}\u{111}"], &Frequencies::default()).is_none());
    }
}
