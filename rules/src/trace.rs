//! `rules explain`: a rule held against one event, part by part, with the values that each part saw.
//!
//! Everything is asked, also what cannot matter any more: the writer of a rule wants to see all of it.

mod counted;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use dongson_event::fields::{Setter, setter};
use dongson_event::{Event, Value};
use serde::Serialize;

use crate::predicate::{Affix, Loaded, Predicate, Target, Test};
use crate::rule::LogSource;
use crate::ruleset::RuleSet;
use crate::sigma::detection::{Detection, Node};
use crate::taxonomy::{Mode, Taxonomies};

pub use counted::{Base, Counted, Inner, Taken, counted};

/// Most values that are shown for one test.
const MAX_VALUES: usize = 8;
/// Longest value that is shown, in characters.
const MAX_CHARS: usize = 160;

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Id of the rule.
    pub rule_id: String,
    /// Title of the rule.
    pub rule_title: String,
    /// True when the rule fires on the event: its log source fits and its condition holds.
    pub fires: bool,
    /// How the log source went.
    pub logsource: Routing,
    /// Ids of the filters that were added to the rule; their parts stand at the end of the condition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// The condition and what it is made of.
    pub condition: Part,
}

/// Whether the event is one of those that the rule asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// True when it is.
    pub holds: bool,
    /// What the rule asks for: `product: windows`.
    pub wanted: Vec<String>,
    /// What the event is, one list for each log source that it belongs to.
    pub given: Vec<Vec<String>>,
}

/// One part of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// `all of`, `one of`, `not`, the name of a selection, or a test such as `CommandLine contains "x"`.
    pub what: String,
    /// True when it holds.
    pub holds: bool,
    /// For a test: what the event carries, each value under its name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Seen>,
    /// What it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// One value that a test looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The name under which the event carries it.
    pub field: String,
    /// The value as text, cut when it is long; `null` for nothing.
    pub value: String,
    /// True when this value alone satisfies the test.
    pub holds: bool,
}

/// Holds the rule with this number against `event`; `None` for a correlation, which no single event satisfies ([`counted()`]), and
/// for a number that is none.
pub fn explain(
    rules: &Arc<RuleSet>,
    taxonomies: &Taxonomies,
    mode: Mode,
    rule: usize,
    event: &Event,
) -> Option<Explanation> {
    let (head, detection) = (rules.rule(rule)?, rules.detection(rule)?);
    let place = taxonomies.place(event, mode);
    let sources = taxonomies.sources(&place);
    let names = |field: &str| taxonomies.names(&place, field);
    let look = Look { rules, detection, event, mode, names: &names };
    let condition = look.part(&detection.condition);
    let logsource = Routing {
        holds: sources.iter().any(|given| head.logsource.accepts(given)),
        wanted: head.logsource.words(),
        given: sources.iter().map(LogSource::words).collect(),
    };
    Some(Explanation {
        rule_id: head.id.clone(),
        rule_title: head.title.clone(),
        fires: logsource.holds && condition.holds,
        logsource,
        filters: head.filters.clone(),
        condition,
    })
}

struct Look<'l> {
    rules: &'l RuleSet,
    detection: &'l Detection,
    event: &'l Event,
    mode: Mode,
    names: &'l dyn Fn(&str) -> Vec<String>,
}

impl Look<'_> {
    fn part(&self, node: &Node) -> Part {
        let group = |what: &str, nodes: &[Node]| {
            let parts: Vec<Part> = nodes.iter().map(|node| self.part(node)).collect();
            (what.to_owned(), parts)
        };
        match node {
            Node::All(nodes) => {
                let (what, parts) = group("all of", nodes);
                Part { what, holds: parts.iter().all(|part| part.holds), seen: Vec::new(), parts }
            }
            Node::Any(nodes) => {
                let (what, parts) = group("one of", nodes);
                Part { what, holds: parts.iter().any(|part| part.holds), seen: Vec::new(), parts }
            }
            Node::Not(inner) => {
                let part = self.part(inner);
                Part { what: "not".to_owned(), holds: !part.holds, seen: Vec::new(), parts: vec![part] }
            }
            Node::Selection(number) => match self.detection.selections.get(*number) {
                Some((name, node)) => {
                    let part = self.part(node);
                    Part {
                        what: format!("selection {name}"),
                        holds: part.holds,
                        seen: Vec::new(),
                        parts: vec![part],
                    }
                }
                None => {
                    Part { what: "selection".to_owned(), holds: false, seen: Vec::new(), parts: Vec::new() }
                }
            },
            Node::Test(predicate) => match self.rules.tables().predicates.get(*predicate) {
                Some(predicate) => self.test(predicate),
                None => Part { what: "test".to_owned(), holds: false, seen: Vec::new(), parts: Vec::new() },
            },
        }
    }

    fn test(&self, predicate: &Predicate) -> Part {
        let (name, found) = match predicate.target {
            Target::Field(field) => {
                let name = self.name(field);
                (name, self.find(name).into_iter().collect())
            }
            Target::Anywhere => ("anywhere", self.content()),
        };
        if let Test::FieldRef { other, affix, cased } = &predicate.test {
            return self.reference(name, found, *other, *affix, *cased);
        }
        let mut loaded = Loaded::field(None);
        let mut seen = Vec::new();
        for (field, value) in &found {
            loaded = match predicate.target {
                Target::Field(_) => Loaded::field(Some(value)),
                Target::Anywhere => {
                    loaded.add(value);
                    loaded
                }
            };
            seen.extend(value.scalars().iter().map(|scalar| Seen {
                field: (*field).to_owned(),
                value: shown(scalar),
                holds: predicate.test.holds(&Loaded::field(Some(scalar))),
            }));
        }
        if matches!(predicate.target, Target::Anywhere) {
            seen.retain(|one| one.holds);
        }
        seen.truncate(MAX_VALUES);
        let what = format!("{name} {}", question(&predicate.test));
        Part { what, holds: predicate.test.holds(&loaded), seen, parts: Vec::new() }
    }

    fn reference(
        &self,
        name: &str,
        found: Vec<(&str, &Value)>,
        other: usize,
        affix: Affix,
        cased: bool,
    ) -> Part {
        let other = self.name(other);
        let found_other = self.find(other);
        let texts = |found: Option<&(&str, &Value)>| -> Vec<String> {
            let loaded = Loaded::field(found.map(|(_, value)| *value));
            let text = loaded.texts.iter();
            text.map(|text| if cased { text.raw.to_string() } else { text.folded().to_owned() }).collect()
        };
        let parts = texts(found_other.as_ref());
        let holds = texts(found.first()).iter().any(|whole| {
            parts.iter().any(|part| match affix {
                Affix::Whole => whole == part,
                Affix::Start => whole.starts_with(part),
                Affix::End => whole.ends_with(part),
                Affix::Inside => whole.contains(part),
            })
        });
        let relation = match affix {
            Affix::Whole => "equals the field",
            Affix::Start => "starts with the field",
            Affix::End => "ends with the field",
            Affix::Inside => "contains the field",
        };
        let seen = found.into_iter().chain(found_other);
        let seen =
            seen.map(|(field, value)| Seen { field: field.to_owned(), value: shown(value), holds }).collect();
        Part { what: format!("{name} {relation} {other}"), holds, seen, parts: Vec::new() }
    }

    fn name(&self, field: usize) -> &str {
        self.rules.tables().names.get(field).map_or("", String::as_str)
    }

    /// The value of a field, with the name under which the event carries it.
    fn find(&self, name: &str) -> Option<(&str, &Value)> {
        let names = (self.names)(name);
        let name = names.iter().find(|name| self.event.get(name).is_some())?;
        self.event.iter().find(|(held, _)| held == name)
    }

    /// What keywords are looked for in.
    fn content(&self) -> Vec<(&str, &Value)> {
        let is_content = |name: &str| match self.mode {
            Mode::Sigma => !matches!(name, "product" | "category" | "service"),
            Mode::Auto => setter(name) <= Setter::Sensor,
        };
        self.event.iter().filter(|(name, _)| is_content(name)).collect()
    }
}

/// What a test asks for, in words.
fn question(test: &Test) -> String {
    use crate::sigma::modifier::Order;
    let order = |order: Order| match order {
        Order::Lt => "<",
        Order::Lte => "<=",
        Order::Gt => ">",
        Order::Gte => ">=",
    };
    match test {
        Test::Text(pattern) => {
            let case = if pattern.cased() { " (case matters)" } else { "" };
            let value = pattern.key().split_once(':').map_or("", |(_, value)| value);
            format!("= {value:?}{case}")
        }
        Test::Number { text, .. } => format!("= {text}"),
        Test::Compare { order: how, limit } => format!("{} {}", order(*how), limit.text()),
        Test::Part { part, order: how, number } => {
            let part = format!("{part:?}").to_lowercase();
            format!("{part} {} {number}", how.map_or("=", order))
        }
        Test::Regex(regex) => format!("matches /{regex}/"),
        Test::Cidr(net) => format!("in {net}"),
        Test::Null => "is null".to_owned(),
        Test::Exists => "exists".to_owned(),
        Test::FieldRef { .. } => "equals another field".to_owned(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        other => other.to_text().chars().take(MAX_CHARS).collect(),
    }
}

impl fmt::Display for Explanation {
    /// A tree, a line for each part: `+` holds, `-` does not.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fires = if self.fires { "fires" } else { "does not fire" };
        writeln!(out, "{} ({}): {fires}", self.rule_title, self.rule_id)?;
        let given: Vec<String> =
            self.logsource.given.iter().map(|words| format!("[{}]", words.join(", "))).collect();
        let given =
            if given.is_empty() { "of no log source that is known".to_owned() } else { given.join(" or ") };
        let sign = sign(self.logsource.holds);
        writeln!(out, "{sign} log source {}; the event is {}", self.logsource.wanted.join(", "), given)?;
        self.condition.write(out, 0)
    }
}

const fn sign(holds: bool) -> char {
    if holds { '+' } else { '-' }
}

impl Part {
    fn write(&self, out: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        for _ in 0..depth {
            out.write_str("  ")?;
        }
        write!(out, "{} {}", sign(self.holds), self.what)?;
        if self.parts.is_empty() && self.seen.is_empty() {
            out.write_str(": nothing there")?;
        }
        for (index, seen) in self.seen.iter().enumerate() {
            let lead = if index == 0 { ": " } else { ", " };
            // Text from outside is printed so that control characters cannot forge a line.
            write!(out, "{lead}{} = {:?}", seen.field, seen.value)?;
        }
        out.write_char('\n')?;
        self.parts.iter().try_for_each(|part| part.write(out, depth + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::LoadOptions;

    const RULE: &str = "title: Shell\nid: shell\nlogsource: {product: x}\ndetection:\n  sel: {image|endswith: [\\sh.exe, \\cmd.exe], size|gt: 5}\n  same: {user|fieldref: owner}\n  words: [evil]\n  filter: {user: null}\n  condition: sel and same and words and not filter\n";

    fn explained(event: &str) -> Explanation {
        let report = crate::RuleSet::from_documents([("x.yml", RULE)], &LoadOptions::default());
        assert_eq!(report.refused, []);
        let event = Event::parse(event.as_bytes()).unwrap().0;
        explain(&Arc::new(report.rules), &Taxonomies::embedded(), Mode::Sigma, 0, &event).unwrap()
    }

    #[test]
    fn each_part_tells_whether_it_held_and_what_it_saw() {
        let explained = explained(
            r#"{"product":"x","image":"C:\\CMD.exe","size":[1,9],"user":"A","owner":"a","m":"so evil\n+ fake"}"#,
        );
        assert!(explained.fires, "{explained}");
        let text = explained.to_string();
        for line in [
            "Shell (shell): fires\n",
            "+ log source product: x; the event is [product: x]\n",
            "      - image = \"*\\\\\\\\sh.exe\": image = \"C:\\\\CMD.exe\"\n",
            "+ size > 5: size = \"1\", size = \"9\"\n",
            "+ user equals the field owner: user = \"A\", owner = \"a\"\n",
            "m = \"so evil\\n+ fake\"\n",
            "+ not\n",
            "- user is null: user = \"A\"\n",
        ] {
            assert!(text.contains(line), "{line}\nin\n{text}");
        }
        let json = serde_json::to_value(&explained).unwrap();
        assert_eq!(json["condition"]["holds"], true);
    }

    #[test]
    fn what_is_missing_is_said() {
        let explained = explained(r#"{"product":"y","image":"C:\\x.exe"}"#);
        assert!(!explained.fires && !explained.logsource.holds);
        let text = explained.to_string();
        assert!(text.contains("- log source product: x; the event is [product: y]"), "{text}");
        assert!(text.contains("- size > 5: nothing there"), "{text}");
        assert!(text.contains("+ user is null: nothing there"), "{text}");
    }
}
