//! The levels of a statement: what stands inside is asked once and has a short name outside.
//!
//! A name in a `WITH` would be written out anew wherever it stands, and `ClickHouse` refuses what grows too large.
//!
//! | columns | say |
//! |---|---|
//! | `r` | a field's JSON text in `rest`; empty where there is none |
//! | `g` | texts of fields that decide about the log source |
//! | `s` | whether a condition of the taxonomy holds |
//! | `j` | what the first name that is there holds |
//! | `c` | the texts of a field |
//! | `f` | these for comparison without case, as numbers, as numbers with a fraction, as decimals in parts |

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use super::place::{Column, anywhere, json, literal};
use super::{TOLD, Within};
use crate::taxonomy::Mode;

/// Expressions with names of their own, each once.
#[derive(Debug)]
struct Names {
    letter: char,
    known: HashMap<String, usize>,
    listed: Vec<String>,
    bytes: usize,
}

impl Names {
    fn new(letter: char) -> Self {
        Self { letter, known: HashMap::new(), listed: Vec::new(), bytes: 0 }
    }

    /// The name of an expression.
    fn name(&mut self, says: String) -> String {
        let next = self.listed.len();
        let at = *self.known.entry(says).or_insert_with_key(|says| {
            self.bytes += says.len();
            self.listed.push(says.clone());
            next
        });
        format!("{}{at}", self.letter)
    }

    /// All of them, each after a comma.
    fn print(&self) -> String {
        self.listed.iter().enumerate().fold(String::new(), |mut text, (at, says)| {
            let _infallible = write!(text, ",\n    {says} AS {}{at}", self.letter);
            text
        })
    }
}

/// What a statement asks of the events of one taxonomy.
#[derive(Debug)]
pub(super) struct Levels {
    columns: BTreeSet<String>,
    rests: Names,
    decisive: Names,
    conditions: Names,
    picked: Names,
    texts: Names,
    made: Names,
}

/// The names under which a field may stand, best first, each with the condition under which it may.
pub(super) type Candidates = Vec<(Option<String>, String)>;

/// What a field holds.
struct Held {
    /// Its JSON text; empty where it stands in a column or is absent.
    json: String,
    /// Its texts where the JSON text is empty.
    texts: Option<String>,
    /// Whether it is there.
    present: String,
}

impl Levels {
    pub(super) fn new() -> Self {
        Self {
            columns: BTreeSet::new(),
            rests: Names::new('r'),
            decisive: Names::new('g'),
            conditions: Names::new('s'),
            picked: Names::new('j'),
            texts: Names::new('c'),
            made: Names::new('f'),
        }
    }

    /// Bytes of all expressions.
    pub(super) fn bytes(&self) -> usize {
        let all = [&self.rests, &self.decisive, &self.conditions, &self.picked, &self.texts, &self.made];
        all.iter().map(|names| names.bytes).sum()
    }

    fn rest(&mut self, name: &str) -> String {
        self.columns.insert("rest".to_owned());
        self.rests.name(format!("rest[{}]", literal(name)))
    }

    /// Whether the event carries the field of this very name.
    pub(super) fn carries(&mut self, name: &str) -> String {
        let rest = self.rest(name);
        match Column::of(name) {
            Some(column) => {
                let filled = column.filled();
                self.columns.insert(column.name);
                format!("({rest} != '' OR {filled})")
            }
            None => format!("{rest} != ''"),
        }
    }

    /// Whether the field of this very name, which has no column, is one text.
    pub(super) fn text(&mut self, name: &str) -> String {
        format!("startsWith({}, '\"')", self.rest(name))
    }

    /// What stands under the first of the names that is there.
    fn held(&mut self, names: &Candidates) -> Held {
        let (mut jsons, mut texts, mut present) = (Vec::new(), Vec::new(), Vec::new());
        for same in names.chunk_by(|one, next| one.1 == next.1) {
            let Some((_, name)) = same.first() else { continue };
            let there = self.carries(name);
            let gates: Option<Vec<&str>> = same.iter().map(|(gate, _)| gate.as_deref()).collect();
            let there = gates
                .map_or_else(|| there.clone(), |gates| format!("(({}) AND {there})", gates.join(" OR ")));
            jsons.extend([there.clone(), self.rest(name)]);
            // A name without a column has its text in `rest`, which is asked first.
            if let Some(column) = Column::of(name) {
                texts.extend([there.clone(), column.texts()]);
            }
            present.push(there);
        }
        let json = match (names.as_slice(), jsons.as_slice()) {
            ([(None, _)], [_, rest]) => rest.clone(),
            _ => format!("multiIf({}, '')", jsons.join(", ")),
        };
        let texts = (!texts.is_empty()).then(|| format!("multiIf({}, emptyArrayString())", texts.join(", ")));
        Held { json, texts, present: format!("({})", present.join(" OR ")) }
    }

    /// The texts of a field that decides about the log source.
    pub(super) fn decisive(&mut self, names: &[String]) -> String {
        let held = self.held(&names.iter().map(|name| (None, name.clone())).collect());
        self.decisive.name(texts(&held.json, held.texts.as_deref()))
    }

    /// A condition of the taxonomy.
    pub(super) fn condition(&mut self, says: String) -> String {
        self.conditions.name(says)
    }

    /// A condition that is asked outside.
    pub(super) fn pick(&mut self, says: String) -> String {
        self.picked.name(says)
    }

    /// Whether there is a field.
    pub(super) fn present(&mut self, names: &Candidates) -> String {
        let held = self.held(names);
        self.picked.name(held.present)
    }

    /// The texts of a field.
    pub(super) fn texts(&mut self, names: &Candidates) -> String {
        let held = self.held(names);
        let (json, other) = (self.picked.name(held.json), held.texts.map(|texts| self.picked.name(texts)));
        self.texts.name(texts(&json, other.as_deref()))
    }

    /// The texts of all fields that keywords look into.
    pub(super) fn anywhere(&mut self, mode: Mode) -> String {
        let (says, columns) = anywhere(mode);
        self.columns.extend(columns);
        self.picked.name(says)
    }

    /// Something that is made of a field's texts.
    pub(super) fn made(&mut self, says: String) -> String {
        self.made.name(says)
    }

    /// Events for which `fits`, with all columns that were named.
    pub(super) fn print(&self, fits: &str, within: &Within) -> String {
        let told: Vec<&str> = TOLD.split(", ").collect();
        let mut columns = String::new();
        for column in self.columns.iter().filter(|column| !told.contains(&column.as_str())) {
            let _infallible = write!(columns, ", {column}");
        }
        let mut sql =
            format!("SELECT {TOLD}{columns}{}\nFROM dongson.events{}", self.rests.print(), within.print());
        for names in [&self.decisive, &self.conditions] {
            sql = around(names, sql);
        }
        sql = format!("SELECT {TOLD}{}\nFROM (\n{sql})\nWHERE {fits}", self.picked.print());
        for names in [&self.texts, &self.made] {
            sql = around(names, sql);
        }
        sql
    }
}

fn around(names: &Names, sql: String) -> String {
    if names.listed.is_empty() { sql } else { format!("SELECT *{}\nFROM (\n{sql})", names.print()) }
}

fn texts(held: &str, other: Option<&str>) -> String {
    format!("if({held} != '', {}, {})", json(held), other.unwrap_or("emptyArrayString()"))
}
