//! A look at a YAML text before the YAML reader, whose time grows with the square of the depth of nesting.
//!
//! One pass in linear time counts how deep brackets and indentation go and how many anchors and aliases there are.
//! It knows quotes, comments and block scalars, so that what stands inside a value does not count; where it is unsure
//! whether a sign opens something, the sign counts only where a value may begin.

use crate::RuleError;

/// Deepest nesting of a rule; real ones have less than ten levels.
const MAX_DEPTH: usize = 64;
/// Most anchors and aliases of a document.
const MAX_REFERENCES: usize = 64;

/// Refuses a document that is nested too deeply; `first` is the number of its first line.
pub(crate) fn check(text: &str, first: usize) -> Result<(), RuleError> {
    let mut scan = Scan::default();
    for (index, line) in text.lines().enumerate() {
        scan.line(line);
        if let Some(reason) = scan.excess() {
            return Err(RuleError::NotYaml { line: first + index, reason });
        }
    }
    Ok(())
}

/// Where the pass is.
#[derive(Debug, Default)]
struct Scan {
    /// Columns at which the open blocks begin, outermost first.
    columns: Vec<usize>,
    /// Brackets that are open.
    brackets: usize,
    /// Anchors and aliases so far.
    references: usize,
    /// The quote that is open.
    quote: Option<char>,
    /// Inside a block scalar: lines that begin at this column or beyond belong to it.
    scalar: Option<usize>,
    /// A value may not begin here.
    inside: bool,
    /// A key stands before on this line.
    key: bool,
}

impl Scan {
    fn excess(&self) -> Option<String> {
        if self.brackets + self.columns.len() > MAX_DEPTH {
            return Some(format!("it is nested more than {MAX_DEPTH} levels deep; write it flat"));
        }
        (self.references > MAX_REFERENCES)
            .then(|| format!("it has more than {MAX_REFERENCES} anchors and aliases; write the values out"))
    }

    fn line(&mut self, line: &str) {
        let indent = line.chars().take_while(|sign| *sign == ' ').count();
        let blank = line.trim().is_empty();
        if self.quote.is_some() || self.brackets > 0 {
            return self.signs(line.chars());
        }
        if let Some(column) = self.scalar {
            if blank || indent >= column {
                return;
            }
            self.scalar = None;
            self.inside = false;
        }
        if blank {
            return;
        }
        let mut rest = line.get(indent..).unwrap_or_default();
        let mut column = indent;
        self.key = false;
        self.columns.retain(|open| *open < indent);
        self.columns.push(column);
        // `- - key`: each sign opens a block of its own.
        while let Some(tail) = rest.strip_prefix(['-', '?'])
            && (tail.is_empty() || tail.starts_with([' ', '\t']))
        {
            column += 1 + tail.len();
            rest = tail.trim_start_matches([' ', '\t']);
            column -= rest.len();
            self.inside = false;
            if !rest.is_empty() {
                self.columns.push(column);
            }
            if self.columns.len() > MAX_DEPTH {
                return;
            }
        }
        self.signs(rest.chars());
    }

    /// The signs of a line after its indentation.
    fn signs(&mut self, mut signs: std::str::Chars<'_>) {
        let mut before = ' ';
        while let Some(sign) = signs.next() {
            let after = signs.as_str().chars().next();
            match self.quote {
                Some('"') if sign == '\\' => drop(signs.next()),
                Some('\'') if sign == '\'' && after == Some('\'') => drop(signs.next()),
                Some(quote) if sign == quote => self.quote = None,
                Some(_) => {}
                None if sign == '#' && matches!(before, ' ' | '\t') => return,
                None => self.sign(sign, after, signs.as_str()),
            }
            before = sign;
            if self.scalar.is_some() || self.brackets > MAX_DEPTH {
                return;
            }
        }
    }

    /// A sign outside quotes.
    fn sign(&mut self, sign: char, after: Option<char>, rest: &str) {
        let flow = self.brackets > 0;
        match sign {
            ' ' | '\t' => {}
            '[' | '{' if flow || !self.inside => {
                self.brackets += 1;
                self.inside = false;
            }
            ']' | '}' if flow => {
                self.brackets -= 1;
                self.inside = true;
            }
            ',' if flow => self.inside = false,
            ':' if flow || after.is_none_or(|after| matches!(after, ' ' | '\t')) => {
                self.inside = false;
                self.key = true;
            }
            '"' | '\'' if !self.inside => {
                self.quote = Some(sign);
                self.inside = true;
            }
            '&' | '*' if !self.inside => {
                self.references += 1;
                self.inside = true;
            }
            '|' | '>' if !self.inside && !flow && is_header(rest) => self.scalar = Some(self.beyond()),
            _ => self.inside = true,
        }
    }

    /// The first column at which a block scalar that begins here may stand: beyond its key, or its dash.
    fn beyond(&self) -> usize {
        self.columns.iter().rev().nth(usize::from(!self.key)).map_or(0, |column| column + 1)
    }
}

/// What may follow `|` or `>` on its line.
fn is_header(rest: &str) -> bool {
    let rest = rest.trim_start_matches(|sign: char| matches!(sign, '+' | '-') || sign.is_ascii_digit());
    let rest = rest.trim();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn reason(text: &str) -> (usize, String) {
        match check(text, 1) {
            Err(RuleError::NotYaml { line, reason }) => (line, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn depth_of_every_kind_is_seen_before_the_reader_sees_it() {
        let indented = (0..100).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n");
        for (text, line) in [
            ("[".repeat(100_000), 1),
            ("[\n".repeat(50_000), 64),
            ("- ".repeat(50_000), 1),
            ("? ".repeat(50_000), 1),
            ("a: {".repeat(25_000), 1),
            ("{a: [".repeat(20_000), 1),
            (format!("title: t\nx: {}", "[']', ".repeat(15_000)), 2),
            (indented, 65),
        ] {
            let (found, reason) = reason(&text);
            assert_eq!((found, reason.contains("64 levels")), (line, true), "{reason}");
        }
        assert!(reason(&"- &a x\n".repeat(100)).1.contains("anchors"));
        assert!(reason(&"- *a\n".repeat(100)).1.contains("anchors"));
    }

    #[test]
    fn what_stands_inside_values_does_not_count() {
        let many = "[{&*".repeat(100);
        for text in [
            format!("a: '{many}'\nb: 1\n"),
            format!("a: \"\\\"{many}\"\nb: 1\n"),
            format!("a: x {many}\n"),
            format!("a: x # {many}\n"),
            format!("# {many}\n"),
            format!("a: |\n    {many}\n\n    {many}\nb: 1\n"),
            format!("- |\n {many}\n- b: >-\n    {many}\n  c: 1\n"),
            "a:\n    - [1, 2]\n".to_owned() + &"    - [1, {b: c}]\n".repeat(1_000),
            "a:\n    - b:\n".to_owned() + &"        - c: 'it''s [['\n".repeat(1_000),
        ] {
            assert_eq!(check(&text, 1), Ok(()), "{text}");
        }
        let hidden = format!("- a: |\n    text\n  b: {}", "[".repeat(100));
        assert_eq!(reason(&hidden).0, 3);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at(text in r#"([a-z:'"%\-\[\]{}&*!|>?, \n#\\]|\PC){0,200}"#) {
            drop(check(&text, 1));
        }
    }
}
