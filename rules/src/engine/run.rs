//! Rows of signs of one kind that a regular expression asks for: sixty-four hexadecimal digits, say.
//!
//! To see that there is none takes a look at few bytes of a text: one in as many as the row is long, as in the search
//! of Boyer and Moore (1977).

use regex_syntax::hir::{Class, Hir, HirKind};

use super::written::plain;
use crate::text::fold_char;

/// Shortest row that is worth looking for.
const LEAST: u32 = 8;
/// Most signs of a kind.
const MAX_SIGNS: u32 = 128;

/// A row of so many bytes, each of which is marked.
#[derive(Debug)]
pub(super) struct Run {
    length: usize,
    marked: Box<[bool; 256]>,
}

impl Run {
    /// The longest row that every match of `regex` has; in folded and written texts it is a row as well.
    pub(super) fn of_regex(regex: &Hir) -> Option<Self> {
        match regex.kind() {
            HirKind::Capture(capture) => Self::of_regex(&capture.sub),
            HirKind::Concat(parts) => parts.iter().filter_map(Self::of_regex).max_by_key(|run| run.length),
            HirKind::Repetition(repetition) if repetition.min >= LEAST => {
                let HirKind::Class(class) = repetition.sub.kind() else { return None };
                Some(Self { length: repetition.min as usize, marked: marked(class)? })
            }
            _ => None,
        }
    }

    /// True when `text`, folded and written, has the row.
    pub(super) fn stands(&self, text: &[u8]) -> bool {
        let mut last = self.length - 1;
        while let (Some(before), Some(behind)) = (text.get(..=last), text.get(last + 1..)) {
            let row = before.iter().rev().take_while(|byte| self.has(**byte)).take(self.length).count();
            if row == 0 {
                last += self.length;
                continue;
            }
            let missing = self.length - row;
            let more = behind.iter().take(missing).take_while(|byte| self.has(**byte)).count();
            if more == missing {
                return true;
            }
            // The byte behind the row is none of it.
            last += more + 1 + self.length;
        }
        false
    }

    fn has(&self, byte: u8) -> bool {
        self.marked.get(usize::from(byte)).is_some_and(|own| *own)
    }
}

/// The signs of a class, folded, where each of them is one byte of a written text.
fn marked(class: &Class) -> Option<Box<[bool; 256]>> {
    let Class::Unicode(class) = class else { return None };
    let mut marked = Box::new([false; 256]);
    let mut count = 0;
    for range in class.ranges() {
        count += u32::from(range.end()) - u32::from(range.start()) + 1;
        if count > MAX_SIGNS {
            return None;
        }
        for sign in range.start()..=range.end() {
            let byte = u8::try_from(fold_char(sign)).ok().filter(|byte| byte.is_ascii() && plain(*byte))?;
            if let Some(own) = marked.get_mut(usize::from(byte)) {
                *own = true;
            }
        }
    }
    Some(marked)
}

#[cfg(test)]
mod tests {
    use super::super::written::written;
    use super::*;
    use crate::text::fold;
    use proptest::prelude::*;

    #[test]
    fn only_rows_of_plain_signs() {
        let run = |regex: &str| Run::of_regex(&regex_syntax::parse(regex).unwrap()).map(|run| run.length);
        assert_eq!(run(r"\s[a-fA-F0-9]{64}\s[a-f]{16,}"), Some(64));
        assert_eq!(run(r"(?i)([a-z]{9})"), Some(9));
        for without in [r"\w{20}", r"[a\t]{20}", r"[a]{7}", r"(a|b{20})", "[ađ]{20}"] {
            assert_eq!(run(without), None, "{without}");
        }
    }

    proptest! {
        #[test]
        fn finds_rows_where_they_stand(text in "([ab]{0,9}|[cK\\\\\n]){0,9}") {
            let regex = "(?i)[ak-]{8}|[ab]{8}";
            for own in regex.split('|') {
                let run = Run::of_regex(&regex_syntax::parse(own).unwrap()).unwrap();
                let text = fold(&text);
                let found = regex::Regex::new(own).unwrap().is_match(&text);
                prop_assert_eq!(run.stands(&written(&text)), found);
            }
        }
    }
}
