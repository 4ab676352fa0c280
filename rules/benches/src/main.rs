//! How fast rules run over real events, in CPU time of one thread: `cargo run --release -p dongson-rules-bench`.
//!
//! Events and rules are looked for as the tests do (`DONGSON_SIGMA_DIR`, `DONGSON_SHARED`). Half of the events calibrate
//! the engine, the other half is measured; every pass varies ids, numbers and arguments by its seed (`vary.rs`), so that
//! no two events are equal. Arguments: `--seconds N` for each row (20), `--only CATEGORY`, `--subject NAME`, `--save FILE` and
//! `--calibration FILE` for what was calibrated, `--asked` for the rules that are asked most often.
//! With `--features others` rsigma and sigma-rust run over the same events; then `--differences` prints what they find
//! otherwise instead of how fast they are, with `--show` and an event of each.

mod cpu;
#[cfg(feature = "others")]
mod differences;
#[cfg(feature = "others")]
mod others;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use std::{fs, thread};

use dongson_event::Event;
use dongson_rules::{Calibration, Engine, LoadOptions, Mode, RuleSet, Session, Taxonomies};

use dongson_rules_bench::corpus::Corpus;
use dongson_rules_bench::vary::Template;

/// Events that are timed together.
const CHUNK: usize = 128;
/// Events that one row measures at least.
const LEAST_EVENTS: u64 = 10_000;

/// A way to look at events, one after the other.
trait Subject: Send {
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
    /// Nanoseconds of an event, each chunk at its best.
    best: u64,
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn rate(&self) -> f64 {
        self.events as f64 * 1e9 / self.nanos.max(1) as f64
    }
}

/// Runs `subject` over varied events until `seconds` of its own CPU time are over.
///
/// On a machine that others use, too, the mean tells more about them than about the subject: so the best time of each
/// chunk over all passes is kept as well, which comes near to a quiet core.
fn measure(subject: &mut dyn Subject, events: &[Template], seconds: f64, seed: u64) -> Row {
    let mut row = Row::default();
    let mut seed = seed;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let limit = (seconds * 1e9) as u64;
    let mut texts = vec![String::new(); events.len()];
    let mut best = vec![u64::MAX; events.len().div_ceil(CHUNK)];
    while (row.nanos < limit || row.events < LEAST_EVENTS) && row.nanos <= limit.saturating_mul(4) {
        for (text, template) in texts.iter_mut().zip(events) {
            seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            template.varied(seed | 1, text);
        }
        let started = cpu::nanos();
        for (chunk, best) in texts.chunks(CHUNK).zip(&mut best) {
            let began = Instant::now();
            row.matches += chunk.iter().map(|text| subject.look(text) as u64).sum::<u64>();
            *best = u64::try_from(began.elapsed().as_nanos()).map_or(*best, |nanos| nanos.min(*best));
        }
        row.nanos += cpu::nanos().saturating_sub(started);
        row.events += texts.len() as u64;
        row.bytes += texts.iter().map(|text| text.len() as u64).sum::<u64>();
    }
    row.best = best.iter().sum::<u64>().checked_div(events.len() as u64).unwrap_or(0);
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
        "{what:28} {:28} {:>10.0} ev/s {micros:>8.3} us, at best {:>6} ns {:>9} events {:>7} matches {:>6} B",
        subject.name(),
        row.rate(),
        row.best,
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
    let (only, chosen) = (argument("--only"), argument("--subject"));
    let started = cpu::nanos();
    let report = RuleSet::load(&corpus.rule_folders, &LoadOptions::default());
    let rules = Arc::new(report.rules);
    let taxonomies = Arc::new(Taxonomies::embedded());
    let engine = Arc::new(Engine::new(Arc::clone(&rules), Arc::clone(&taxonomies), Mode::Sigma, None));
    let loaded = cpu::nanos();
    engine.prepare();
    let prepared = cpu::nanos();
    let (sample, measured) = corpus.halves();
    #[cfg(feature = "others")]
    if std::env::args().any(|word| word == "--differences") {
        let all = [sample, measured].concat();
        for (name, mut other) in others::finders(&corpus) {
            differences::print(name, &mut Session::new(Arc::clone(&engine)), other.as_mut(), &all);
        }
        return;
    }
    let calibration = argument("--calibration")
        .and_then(|file| serde_json::from_str(&fs::read_to_string(file).ok()?).ok())
        .unwrap_or_else(|| calibrate(&engine, &sample));
    if let Some(file) = argument("--save") {
        let saved = serde_json::to_string(&calibration).map(|text| fs::write(&file, text));
        out(&format!("calibration written to {file}: {}", matches!(saved, Ok(Ok(())))));
    }
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
    drop(sample);
    let weak = engine.unwitnessed();
    out(&format!("{} rules without a witness in a text: {}", weak.len(), weak.join(" ")));
    let mut groups: BTreeMap<String, Vec<Template>> = BTreeMap::new();
    for event in &measured {
        let word = |name: &str| event.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let group = word("category").or_else(|| word("service")).unwrap_or_else(|| "other".to_owned());
        groups.entry(group).or_default().push(Template::new(event));
    }
    groups.retain(|_, events| events.len() >= 10);
    groups.insert("ALL".to_owned(), measured.iter().map(Template::new).collect());
    drop(measured);
    for (name, events) in &groups {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let seconds = if name == "ALL" { seconds } else { seconds / 20.0 };
        let json = |name, engine: &Arc<Engine>| Json {
            name,
            session: Session::new(Arc::clone(engine)),
            found: Vec::new(),
        };
        let mut subjects: Vec<Box<dyn Subject>> = vec![
            Box::new(Bound(Session::new(Arc::clone(&engine)))),
            Box::new(json("engine", &engine)),
            Box::new(json("engine, calibrated", &tuned)),
        ];
        subjects.push(Box::new(Tree));
        #[cfg(feature = "others")]
        subjects.extend(others::subjects(&corpus));
        for subject in &mut subjects {
            if chosen.as_ref().is_some_and(|chosen| chosen != subject.name()) {
                continue;
            }
            // A thread of its own, so that a profile can tell the measured part from the rest.
            let row = thread::scope(|scope| {
                let work = || measure(subject.as_mut(), events, seconds, 7);
                let measured = thread::Builder::new().name("measured".to_owned()).spawn_scoped(scope, work);
                measured.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
            });
            print(subject.as_ref(), name, row);
        }
        if std::env::args().any(|word| word == "--asked") {
            asked(&tuned, events);
        }
    }
    out(&format!("RSS {} MB at the end, peak {} MB", cpu::resident_mb(), cpu::peak_mb()));
}

/// Prints the rules that are asked most often.
fn asked(engine: &Arc<Engine>, events: &[Template]) {
    let mut session = Session::new(Arc::clone(engine));
    let (mut counts, mut text) = (BTreeMap::<usize, usize>::new(), String::new());
    for (seed, template) in (1..).zip(events) {
        template.varied(seed, &mut text);
        if session.json(text.as_bytes(), &mut Vec::new()).is_ok() {
            session.asked(&mut |rule| *counts.entry(rule).or_default() += 1);
        }
    }
    let mut counts: Vec<(usize, usize)> = counts.into_iter().map(|(rule, count)| (count, rule)).collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let sum: usize = counts.iter().map(|(count, _)| count).sum();
    out(&format!("  {sum} rules are asked on {} events", events.len()));
    for (count, rule) in counts.into_iter().take(25) {
        let rule = engine.rules().rule(rule).map_or(("", ""), |rule| (rule.id.as_str(), rule.title.as_str()));
        out(&format!("  {count:>8} {} {}", rule.0, rule.1));
    }
}

fn calibrate(engine: &Arc<Engine>, sample: &[serde_json::Value]) -> Calibration {
    let events = sample.iter().filter_map(|event| Event::parse(event.to_string().as_bytes()).ok());
    engine.calibrate(events.map(|(event, _)| event))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn seconds_of(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
