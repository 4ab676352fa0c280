//! Tells quickly that no keyword of a route can be in a record, so that its values need not be unescaped and folded.
//!
//! It looks at the bytes as they came. Of each keyword it keeps grams of plain ASCII that stand in JSON text as they
//! are, with the bit of ASCII case left out; where a record has other signs, it says nothing.

use super::buckets::Buckets;
use super::frequency::Frequencies;
use super::grams::{Filter, grams, step};
use super::literal::SHORTEST;

/// Leaves out the bit that tells capitals from small letters.
const CASELESS: u32 = 0x2020_2020;

/// What keywords leave behind.
#[derive(Debug)]
pub(super) struct Sieve {
    filter: Filter,
    table: Buckets<Run>,
}

/// The signs around a keyword's gram that stand in JSON text as they are.
#[derive(Debug)]
struct Run {
    text: Box<[u8]>,
    /// Where its gram stands.
    offset: usize,
}

impl Sieve {
    /// For these folded keywords; `None` where one of them has no grams that can be looked for.
    pub(super) fn new(keywords: &[&str], frequencies: &Frequencies) -> Option<Self> {
        let step = step(keywords.iter().map(|keyword| keyword.len()).min()?);
        // A whole record is looked through: strangers must be rarer than for one text.
        let mut filter = Filter::new(step, keywords.len() * 4);
        let mut runs = Vec::new();
        for keyword in keywords {
            let own = keyword.as_bytes();
            let first = frequencies.rarest(own, step, is_plain)?;
            let begin = own.iter().take(first).rposition(|byte| !is_plain_byte(*byte)).map_or(0, |at| at + 1);
            let behind = own.iter().skip(first).position(|byte| !is_plain_byte(*byte));
            let run = own.get(begin..behind.map_or(own.len(), |length| first + length))?;
            for (at, gram) in grams(own).skip(first).take(step) {
                filter.add(gram | CASELESS);
                runs.push((gram | CASELESS, Run { text: run.into(), offset: at - begin }));
            }
        }
        Some(Self { filter, table: Buckets::new(runs) })
    }

    /// False where no keyword can be in `text`, which is ASCII and has no escapes by number.
    pub(super) fn may_hold(&self, text: &[u8]) -> bool {
        self.filter
            .scan(text, CASELESS, |at, gram| self.table.get(gram).iter().any(|run| run.stands(text, at)))
    }
}

impl Run {
    fn stands(&self, text: &[u8], at: usize) -> bool {
        let place = at.checked_sub(self.offset).and_then(|from| text.get(from..from + self.text.len()));
        place.is_some_and(|place| place.eq_ignore_ascii_case(&self.text))
    }
}

/// True when JSON writes all four signs as they are.
fn is_plain(gram: u32) -> bool {
    let bytes: [u8; SHORTEST] = gram.to_le_bytes();
    bytes.into_iter().all(is_plain_byte)
}

const fn is_plain_byte(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_control() && !matches!(byte, b'"' | b'\\' | b'/')
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
