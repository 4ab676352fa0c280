//! The language of `condition:` (Sigma rules specification, "Condition").
//!
//! Binding from weak to strong: `or`, `and`, `not`, `x of`, brackets.

use std::fmt;

use crate::RuleError;

/// Deepest nesting of brackets and `not`.
const MAX_DEPTH: usize = 64;
/// Most words of one condition.
const MAX_WORDS: usize = 4_096;

/// A condition over the names of selections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The selection of this name holds.
    Name(String),
    /// Does not hold.
    Not(Box<Condition>),
    /// All hold; at least two.
    And(Vec<Condition>),
    /// One holds; at least two.
    Or(Vec<Condition>),
    /// `1 of` or `all of` the selections that the pattern names.
    Of {
        /// True for `all of`.
        all: bool,
        /// A name with `*` in it, or `None` for `them`.
        pattern: Option<String>,
    },
}

impl Condition {
    /// Reads one condition.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let fail = |reason: String| RuleError::Condition { condition: text.to_owned(), reason };
        let words = words(text);
        if words.contains(&"|") {
            let near = words.iter().any(|word| word.eq_ignore_ascii_case("near"));
            return Err(RuleError::Obsolete {
                what: format!("the aggregation `|` in condition {text:?}"),
                instead: if near {
                    "make each selection a rule of its own and write a correlation rule of type temporal (temporal_ordered where the order counts) over them"
                } else {
                    "write a correlation rule (event_count, value_count) that refers to this rule"
                },
            });
        }
        if words.len() > MAX_WORDS {
            return Err(fail(format!("more than {MAX_WORDS} words; split the rule")));
        }
        let mut parser = Parser { words: &words, depth: 0 };
        let condition = parser.or().map_err(&fail)?;
        match parser.words.first() {
            None => Ok(condition),
            Some(word) if is_keyword(word) => {
                Err(fail(format!("unexpected {word:?}: write it in lower case, `{}`", word.to_lowercase())))
            }
            Some(word) => Err(fail(format!("unexpected {word:?}; put `and` or `or` before it"))),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |out: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(out, " {word} ")?;
                }
                match part {
                    Self::And(_) | Self::Or(_) => write!(out, "({part})")?,
                    _ => write!(out, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Not(inner) => match **inner {
                Self::And(_) | Self::Or(_) => write!(out, "not ({inner})"),
                _ => write!(out, "not {inner}"),
            },
            Self::And(parts) => list(out, parts, "and"),
            Self::Or(parts) => list(out, parts, "or"),
            Self::Of { all, pattern } => {
                let quantity = if *all { "all" } else { "1" };
                write!(out, "{quantity} of {}", pattern.as_deref().unwrap_or("them"))
            }
        }
    }
}

/// True when `name` fits `pattern`, in which `*` stands for any signs.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| fits(tail, rest.get(at..).unwrap_or_default()))
        }),
    }
}

/// Words of the language that no selection can be called by, whatever their case.
fn is_keyword(word: &str) -> bool {
    ["and", "or", "not", "of", "them"].iter().any(|own| word.eq_ignore_ascii_case(own))
}

/// True when a selection of this name could not be told from the language's own words.
pub(crate) fn is_reserved(name: &str) -> bool {
    is_keyword(name) || matches!(name, "1" | "all" | "any")
}

/// Words, brackets and `|`.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for chunk in text.split_whitespace() {
        let mut rest = chunk;
        while let Some(at) = rest.find(['(', ')', '|']) {
            let (word, tail) = rest.split_at(at);
            let (sign, after) = tail.split_at(1);
            words.extend([word, sign].into_iter().filter(|part| !part.is_empty()));
            rest = after;
        }
        if !rest.is_empty() {
            words.push(rest);
        }
    }
    words
}

struct Parser<'w, 't> {
    words: &'w [&'t str],
    depth: usize,
}

impl Parser<'_, '_> {
    fn or(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.and()?];
        while self.take("or") {
            parts.push(self.and()?);
        }
        Ok(single_or(parts, Condition::Or))
    }

    fn and(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.not()?];
        while self.take("and") {
            parts.push(self.not()?);
        }
        Ok(single_or(parts, Condition::And))
    }

    fn not(&mut self) -> Result<Condition, String> {
        if !self.take("not") {
            return self.primary();
        }
        self.deeper(|parser| Ok(Condition::Not(Box::new(parser.not()?))))
    }

    fn primary(&mut self) -> Result<Condition, String> {
        if self.take("(") {
            return self.deeper(|parser| {
                let inner = parser.or()?;
                if parser.take(")") { Ok(inner) } else { Err("a bracket is not closed; add `)`".to_owned()) }
            });
        }
        let Some((word, rest)) = self.words.split_first() else {
            return Err("it ends where the name of a selection should stand".to_owned());
        };
        if rest.first() == Some(&"of") {
            return self.of(word);
        }
        if is_keyword(word) || *word == ")" {
            return Err(format!(
                "{word:?} stands where the name of a selection should stand (and, or, not are written in lower case)"
            ));
        }
        if word.contains('*') {
            return Err(format!("{word:?} has a wildcard; write `1 of {word}` or `all of {word}`"));
        }
        self.words = rest;
        Ok(Condition::Name((*word).to_owned()))
    }

    fn of(&mut self, quantity: &str) -> Result<Condition, String> {
        let all = match quantity {
            "1" | "any" => false,
            "all" => true,
            other => return Err(format!("`{other} of`: only `1 of`, `any of` and `all of` exist")),
        };
        let target =
            self.words.get(2).copied().filter(|word| !matches!(*word, "(" | ")" | "and" | "or" | "not"));
        let target = target.ok_or_else(|| format!("`{quantity} of` needs `them` or a name with `*`"))?;
        self.words = self.words.get(3..).unwrap_or_default();
        Ok(Condition::Of { all, pattern: (target != "them").then(|| target.to_owned()) })
    }

    fn deeper(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Condition, String>,
    ) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels deep; make it simpler"));
        }
        let outcome = inner(self);
        self.depth -= 1;
        outcome
    }

    fn take(&mut self, word: &str) -> bool {
        match self.words.split_first() {
            Some((first, rest)) if *first == word => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }
}

fn single_or(mut parts: Vec<Condition>, join: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        match Condition::parse(text) {
            Ok(condition) => assert_eq!(format!("{condition:?}"), expected, "{text}"),
            Err(error) => assert!(error.to_string().contains(expected), "{text}: {error}"),
        }
    }

    #[test]
    fn precedence() {
        check("a or b and not c", r#"Or([Name("a"), And([Name("b"), Not(Name("c"))])])"#);
        check("(a or b) and c", r#"And([Or([Name("a"), Name("b")]), Name("c")])"#);
        check(
            "not 1 of filter_* and a",
            r#"And([Not(Of { all: false, pattern: Some("filter_*") }), Name("a")])"#,
        );
        check("all of them", "Of { all: true, pattern: None }");
        check("any of sel*x", r#"Of { all: false, pattern: Some("sel*x") }"#);
        check("not(a)", r#"Not(Name("a"))"#);
    }

    #[test]
    fn refusals() {
        check("a | count() > 5", "obsolete");
        check("a | near b", "type temporal");
        check("a | count() by b > 5", "event_count");
        check("a b", "unexpected \"b\"");
        check("", "it ends where");
        check("(a", "add `)`");
        check("a)", "unexpected \")\"");
        check("2 of them", "only `1 of`");
        check("1 of", "needs `them`");
        check("a AND b", "unexpected \"AND\": write it in lower case, `and`");
        check("sel*", "1 of sel*");
        check(&"not ".repeat(100), "levels deep");
        check(&"(".repeat(100_000), "more than");
    }

    #[test]
    fn patterns_of_names() {
        for (pattern, name, expected) in [
            ("sel*", "selection", true),
            ("*_x", "a_x", true),
            ("a*b*c", "aXbYc", true),
            ("a*", "ba", false),
            ("a", "ab", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let leaf = prop_oneof![
            "[a-z_]{2,8}x".prop_map(Condition::Name),
            (any::<bool>(), prop::option::of("[a-z]{1,4}\\*"))
                .prop_map(|(all, pattern)| Condition::Of { all, pattern }),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|part| Condition::Not(Box::new(part))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
                prop::collection::vec(inner, 2..4).prop_map(Condition::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(condition in condition()) {
            prop_assert_eq!(Condition::parse(&condition.to_string()), Ok(condition));
        }

        #[test]
        fn any_text_is_taken(text in "[a-c1*()|_ ]{0,40}|(and |or |not |1 of |them |\\(|\\)|a ){0,30}|\\PC{0,40}") {
            drop(Condition::parse(&text));
        }
    }
}
