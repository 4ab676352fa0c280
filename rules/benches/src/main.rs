//! How fast rules run over real events, in CPU time of one thread: `cargo run --release -p dongson-rules-bench`.
//!
//! Events and rules are looked for as the tests do (`DONGSON_SIGMA_DIR`, `DONGSON_SHARED`). Half of the events calibrate
//! the engine, the other half is measured; every pass varies ids, numbers and arguments by its seed ([`vary`]), so that
//! no two events are equal. Arguments: `--seconds N` for each row (20), `--only CATEGORY`, `--passes` shows stages.
//! With `--features others` rsigma and sigma-rust run over the same events.

mod corpus;
mod cpu;
#[cfg(feature = "others")]
mod others;
mod vary;

use std::collections::BTreeMap;
use std::sync::Arc;

use dongson_event::Event;
use dongson_rules::{Calibration, Engine, LoadOptions, Mode, RuleSet, Session, Taxonomies};

use corpus::Corpus;

/// Events that one row measures at least.
const LEAST_EVENTS: usize = 10_000;

/// A way to look at events, one after the other.
trait Subject {
    fn name(&self) -> &'static str;
    /// Looks at one event; how many rules hold.
    fn look(&mut self, text: &str) -> usize;
}

/// The tokenizer without rules.
struct Bound(Session);

impl Subject for Bound {
    fn name(&self) -> &'static str {
        "tokenizer alone"
    }

    fn look(&mut self, text: &str) -> usize {
        self.0.tokens(text.as_bytes()).unwrap_or(0)
    }
}

/// `serde_json` to a tree, without rules.
struct Tree;

impl Subject for Tree {
    fn name(&self) -> &'static str {
        "serde_json::Value alone"
    }

    fn look(&mut self, text: &str) -> usize {
        let tree: Result<serde_json::Value, _> = serde_json::from_str(text);
        tree.map_or(0, |tree| tree.as_object().map_or(0, serde_json::Map::len))
    }
}

/// The engine, from JSON text.
struct Json {
    name: &'static str,
    session: Session,
    found: Vec<usize>,
}

impl Subject for Json {
    fn name(&self) -> &'static str {
        self.name
    }

    fn look(&mut self, text: &str) -> usize {
        self.found.clear();
        self.session.json(text.as_bytes(), &mut self.found).map_or(0, |()| self.found.len())
    }
}

/// What one subject did on one set of events.
#[derive(Debug, Default, Clone, Copy)]
struct Row {
    events: u64,
    matches: u64,
    bytes: u64,
    nanos: u64,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn rate(&self) -> f64 {
        self.events as f64 * 1e9 / self.nanos.max(1) as f64
    }
}

/// Runs `subject` over varied events until `seconds` of its own CPU time are over.
fn measure(subject: &mut dyn Subject, events: &[serde_json::Value], seconds: f64, seed: u64) -> Row {
    let mut row = Row::default();
    let mut pass = seed;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let limit = (seconds * 1e9) as u64;
    while row.nanos < limit || row.events < LEAST_EVENTS as u64 {
        for part in events.chunks(2_048) {
            let texts: Vec<String> =
                (0..).zip(part).map(|(at, event)| vary::event(event, pass.wrapping_add(at))).collect();
            let started = cpu::nanos();
            for text in &texts {
                row.matches += subject.look(text) as u64;
            }
            row.nanos += cpu::nanos().saturating_sub(started);
            row.events += texts.len() as u64;
            row.bytes += texts.iter().map(|text| text.len() as u64).sum::<u64>();
            pass = pass.wrapping_add(0x9E37_79B9_7F4A_7C15);
            if row.nanos > limit.saturating_mul(4) {
                return row;
            }
        }
    }
    row
}

fn argument(name: &str) -> Option<String> {
    let mut all = std::env::args().skip_while(|word| word != name);
    all.next();
    all.next()
}

fn print(subject: &dyn Subject, what: &str, row: Row) {
    let micros = 1e6 / row.rate();
    out(&format!(
        "{what:28} {:28} {:>10.0} ev/s {micros:>8.3} us {:>9} events {:>7} matches {:>6} B",
        subject.name(),
        row.rate(),
        row.events,
        row.matches,
        row.bytes / row.events.max(1)
    ));
}

#[expect(clippy::print_stdout, reason = "a report")]
fn out(line: &str) {
    println!("{line}");
}

fn main() {
    let Some(corpus) = Corpus::load() else {
        out("skipped: no data (set DONGSON_SIGMA_DIR)");
        return;
    };
    let seconds = argument("--seconds").and_then(|word| word.parse().ok()).unwrap_or(20.0);
    let only = argument("--only");
    let started = cpu::nanos();
    let report = RuleSet::load(&corpus.rule_folders, &LoadOptions::default());
    let rules = Arc::new(report.rules);
    let taxonomies = Arc::new(Taxonomies::embedded());
    let engine = Arc::new(Engine::new(Arc::clone(&rules), Arc::clone(&taxonomies), Mode::Sigma, None));
    let loaded = cpu::nanos();
    engine.prepare();
    let prepared = cpu::nanos();
    let (sample, measured) = corpus.halves();
    let calibration = calibrate(&engine, &sample);
    let calibrated = cpu::nanos();
    let tuned = Arc::new(Engine::new(Arc::clone(&rules), taxonomies, Mode::Sigma, Some(&calibration)));
    out(&format!(
        "{} rules, {} refused; load {:.2} s, plans of all log sources {:.2} s, calibration on {} events {:.2} s, RSS {} MB",
        rules.rules().len(),
        report.refused.len(),
        seconds_of(loaded - started),
        seconds_of(prepared - loaded),
        sample.len(),
        seconds_of(calibrated - prepared),
        cpu::resident_mb()
    ));
    let mut groups: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for event in &measured {
        let word = |name: &str| event.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let group = word("category").or_else(|| word("service")).unwrap_or_else(|| "other".to_owned());
        groups.entry(group).or_default().push(event.clone());
    }
    groups.retain(|_, events| events.len() >= 100);
    groups.insert("ALL".to_owned(), measured);
    for (name, events) in &groups {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let seconds = if name == "ALL" { seconds } else { seconds / 10.0 };
        let json = |name, engine: &Arc<Engine>| Json { name, session: Session::new(Arc::clone(engine)), found: Vec::new() };
        let mut subjects: Vec<Box<dyn Subject>> = vec![
            Box::new(Bound(Session::new(Arc::clone(&engine)))),
            Box::new(json("engine", &engine)),
            Box::new(json("engine, calibrated", &tuned)),
        ];
        if name == "ALL" {
            subjects.push(Box::new(Tree));
        }
        #[cfg(feature = "others")]
        subjects.extend(others::subjects(&corpus));
        for subject in &mut subjects {
            let row = measure(subject.as_mut(), events, seconds, 7);
            print(subject.as_ref(), name, row);
        }
    }
    out(&format!("RSS {} MB at the end, peak {} MB", cpu::resident_mb(), cpu::peak_mb()));
}

fn calibrate(engine: &Arc<Engine>, sample: &[serde_json::Value]) -> Calibration {
    let events = sample.iter().filter_map(|event| Event::parse(event.to_string().as_bytes()).ok());
    engine.calibrate(events.map(|(event, _)| event))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn seconds_of(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
