//! The tests of one field, arranged so that one look at a text tells which of them hold.
//!
//! Whole texts, begins and ends are found by their hashes; ends that are names of files by what follows the last
//! backslash; what stands inside by [`Grams`]. Every test that is in an index is decided by it: what it does not tell
//! does not hold. Texts and literals are folded and [`written`].

use memchr::memrchr;

use super::affix::{Affixes, Side};
use super::buckets::{Buckets, key};
use super::frequency::Frequencies;
use super::grams::{Grams, Literal, Target, apart};
use super::literal::{Needle, Required, SHORTEST};
use super::shorts::Shorts;
use super::written::{aligned, written};
use crate::predicate::Test;

/// The tests of one field.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Bit n: there is a whole text of n bytes; the last bit stands for all longer ones.
    whole_lengths: u64,
    whole: Buckets<Entry>,
    /// Begins by their first bytes.
    begins: Affixes<Entry>,
    /// Ends by their last bytes.
    ends: Affixes<Entry>,
    /// Ends that have a backslash, by what follows the last one.
    names: Buckets<Entry>,
    /// Short literals and long ones.
    inside: [Grams; 2],
    shorts: Shorts,
    /// Tests for numbers, with true for those with a fraction.
    numbers: Vec<(u32, bool)>,
    fractions: bool,
    literals: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    end: u32,
    target: Target,
}

/// Collects what an [`Index`] will hold.
#[derive(Debug, Default)]
pub(super) struct Builder {
    index: Index,
    whole: Vec<(u32, Entry)>,
    begins: Vec<(Vec<u8>, Entry)>,
    ends: Vec<(Vec<u8>, Entry)>,
    names: Vec<(u32, Entry)>,
    inside: Vec<Literal>,
    shorts: Vec<Literal>,
}

impl Builder {
    /// Adds test number `number`.
    pub(super) fn add(&mut self, number: u32, test: &Test, required: Required) {
        let target = Target { test: number, certain: required.certain };
        for needle in required.needles {
            self.needle(needle, target);
        }
        if let Test::Number { text, .. } = test {
            let fraction = has_fraction(text);
            self.index.fractions |= fraction;
            self.index.numbers.push((number, fraction));
        }
    }

    fn needle(&mut self, needle: Needle, target: Target) {
        match needle {
            Needle::Inside(text) => {
                let text = written(&text);
                let list = if text.len() < SHORTEST { &mut self.shorts } else { &mut self.inside };
                list.push(Literal { text, target });
            }
            Needle::Exact(text) => {
                let text = written(&text);
                self.index.whole_lengths |= length_bit(&text);
                let entry = self.entry(&text, target);
                self.whole.push((key(&text), entry));
            }
            Needle::Start(text) => {
                let text = written(&text);
                let entry = self.entry(&text, target);
                self.begins.push((text, entry));
            }
            Needle::End(text) => {
                let text = written(&text);
                let entry = self.entry(&text, target);
                if let Some(name) = file_name(&text) {
                    self.names.push((key(name), entry));
                    return;
                }
                self.ends.push((text, entry));
            }
        }
    }

    fn entry(&mut self, text: &[u8], target: Target) -> Entry {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let start = small(self.index.literals.len());
        self.index.literals.extend_from_slice(text);
        Entry { start, end: small(self.index.literals.len()), target }
    }

    /// The texts that are looked for inside, when nothing else is.
    pub(super) fn only_inside(&self) -> Option<&[Literal]> {
        let others = !self.begins.is_empty() || !self.ends.is_empty() || !self.shorts.is_empty();
        let only = !others && self.whole.is_empty() && self.names.is_empty() && self.index.numbers.is_empty();
        only.then_some(&*self.inside)
    }

    /// The index.
    pub(super) fn build(self, frequencies: &Frequencies) -> Index {
        Index {
            whole: Buckets::new(self.whole),
            begins: Affixes::new(Side::Begin, self.begins),
            ends: Affixes::new(Side::End, self.ends),
            names: Buckets::new(self.names),
            inside: apart(self.inside).map(|literals| Grams::new(&literals, frequencies)),
            shorts: Shorts::new(&self.shorts),
            ..self.index
        }
    }
}

impl Index {
    /// Tells every test that may hold on the folded and written `text`; one may be told more than once.
    pub(super) fn probe(&self, text: &[u8], found: &mut impl FnMut(Target)) {
        if self.whole_lengths & length_bit(text) != 0 {
            self.tell(self.whole.get(key(text)), found, |literal| literal == text);
        }
        let ends = |literal: &[u8]| text.ends_with(literal) && aligned(text, text.len() - literal.len());
        self.begins.probe(text, |entries| self.tell(entries, found, |literal| text.starts_with(literal)));
        self.ends.probe(text, |entries| self.tell(entries, found, ends));
        if !self.names.is_empty()
            && let Some(name) = file_name(text)
        {
            self.tell(self.names.get(key(name)), found, ends);
        }
        for inside in &self.inside {
            inside.scan(text, found);
        }
        self.shorts.scan(text, found);
        if !self.numbers.is_empty() {
            self.number(text, found);
        }
    }

    fn tell(&self, entries: &[Entry], found: &mut impl FnMut(Target), fits: impl Fn(&[u8]) -> bool) {
        for entry in entries {
            let literal = self.literals.get(entry.start as usize..entry.end as usize);
            if literal.is_some_and(&fits) {
                found(entry.target);
            }
        }
    }

    /// Numbers that are equal although they are written otherwise, which needs a fraction or exponent on one side.
    fn number(&self, text: &[u8], found: &mut impl FnMut(Target)) {
        // Before a number there may be blanks of any kind.
        let begins =
            |byte: &u8| byte.is_ascii_digit() || b"+-. \\".contains(byte) || !byte.is_ascii_graphic();
        if !text.first().is_some_and(begins) {
            return;
        }
        let given = has_fraction(text);
        if !given && !self.fractions {
            return;
        }
        for (test, fraction) in &self.numbers {
            if given || *fraction {
                found(Target { test: *test, certain: false });
            }
        }
    }
}

fn has_fraction(text: impl AsRef<[u8]>) -> bool {
    text.as_ref().iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

const fn length_bit(text: &[u8]) -> u64 {
    1 << if text.len() < 63 { text.len() } else { 63 }
}

/// The last backslash and what follows it.
fn file_name(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(memrchr(b'\\', bytes)?..)
}

#[cfg(test)]
mod tests {
    use super::super::literal::required;
    use super::*;
    use crate::text::Pattern;
    use crate::text::glyph::parse;
    use proptest::prelude::*;

    fn number(text: &str) -> Test {
        Test::Number { text: text.to_owned(), number: text.parse().unwrap() }
    }

    proptest! {
        #[test]
        fn tells_what_holds(
            values in prop::collection::vec(r"\*?[ab\\]{1,9}\*?|[0-9]{1,2}|abababab\*|\*abababab", 1..14),
            numbers in prop::collection::vec("[0-9]{1,2}(\\.[05])?", 0..4),
            text in r"[ab\\]{0,12}|[0-9]{1,2}(\.[05])?|[ab]{0,3}abababab",
        ) {
            let texts = values.iter().map(|value| Test::Text(Box::new(Pattern::new(&parse(value), false))));
            let tests: Vec<Test> = texts.chain(numbers.iter().map(|text| number(text))).collect();
            let mut builder = Builder::default();
            let mut indexed = Vec::new();
            for (at, test) in (0..).zip(&tests) {
                if let Some(required) = required(test) {
                    builder.add(at, test, required);
                    indexed.push(at);
                }
            }
            let mut told = vec![None; tests.len()];
            builder.build(&Frequencies::default()).probe(&written(&text), &mut |target| {
                let slot = &mut told[target.test as usize];
                *slot = Some(target.certain || *slot == Some(true));
            });
            for at in indexed {
                let holds = tests[at as usize].fits(&text, &text);
                let given = told[at as usize];
                prop_assert!(if holds { given.is_some() } else { given != Some(true) }, "{:?}", tests[at as usize]);
            }
        }
    }
}
