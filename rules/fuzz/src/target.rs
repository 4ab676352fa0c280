//! What is fuzzed, each with what must hold.

use std::sync::Arc;
use std::time::Duration;

use dongson_event::Event;
use dongson_rules::{Engine, LoadOptions, Match, Mode, RuleSet, Session, Taxonomies, plain};
use fastrand::Rng;
use rustix::time::{ClockId, clock_gettime};

use crate::{Seeds, mutate};

/// Longest time that one input may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Executions after which the rules of [`Matching`] are made anew.
const FRESH_RULES: u64 = 2_000;

/// One thing that is fuzzed.
pub trait Target {
    /// Its name in the log.
    fn name(&self) -> &'static str;
    /// Makes the next input.
    fn next(&mut self, rng: &mut Rng) -> String;
    /// Runs it.
    ///
    /// # Errors
    /// What does not hold, in words.
    fn run(&mut self, input: &str) -> Result<(), String>;
}

/// The targets of this name; all of them for `all`.
pub fn targets(name: &str, seeds: &Arc<Seeds>) -> Vec<Box<dyn Target>> {
    let all: Vec<Box<dyn Target>> = vec![
        Box::new(Rules { seeds: Arc::clone(seeds) }),
        Box::new(Events::new(Arc::clone(seeds))),
        Box::new(Matching::new(Arc::clone(seeds))),
    ];
    all.into_iter().filter(|target| name == "all" || target.name() == name).collect()
}

fn pick<'s>(rng: &mut Rng, list: &'s [String]) -> &'s str {
    rng.choice(list).map_or("", String::as_str)
}

fn patient<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // The thread's own time: on a busy machine the wall clock would accuse the innocent.
    let spent = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let before = spent();
    let done = work();
    let took = spent().saturating_sub(before);
    if took > PATIENCE { Err(format!("took {took:?}")) } else { Ok(done) }
}

/// Texts of rules: read, compiled or refused, and ready for events.
struct Rules {
    seeds: Arc<Seeds>,
}

impl Target for Rules {
    fn name(&self) -> &'static str {
        "rule"
    }

    fn next(&mut self, rng: &mut Rng) -> String {
        let (seed, other) = (pick(rng, &self.seeds.rules), pick(rng, &self.seeds.rules));
        mutate::text(rng, seed, other)
    }

    fn run(&mut self, input: &str) -> Result<(), String> {
        let report = patient(|| RuleSet::from_documents([("fuzz.yml", input)], &LoadOptions::default()))?;
        let nothing = report.rules.rules().is_empty() && report.refused.is_empty() && report.filters == 0;
        let blank =
            input.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with(['#', '-']));
        // A text that is neither taken nor refused is refused by nobody's word.
        if nothing && !blank && report.files == 0 {
            Err("neither taken nor refused".to_owned())
        } else {
            Ok(())
        }
    }
}

fn engine(rules: RuleSet) -> (Arc<Engine>, Arc<RuleSet>, Arc<Taxonomies>) {
    let (rules, taxonomies) = (Arc::new(rules), Arc::new(Taxonomies::embedded()));
    let engine = Engine::new(Arc::clone(&rules), Arc::clone(&taxonomies), Mode::Auto, None);
    (Arc::new(engine), rules, taxonomies)
}

fn numbers(found: &[Match]) -> Vec<usize> {
    found.iter().map(|found| found.rule).collect()
}

/// JSON texts: the tokenizer of the engine and the event's own reader agree, and events print as they were read.
struct Events {
    seeds: Arc<Seeds>,
    session: Session,
}

impl Events {
    fn new(seeds: Arc<Seeds>) -> Self {
        let texts = seeds.rules.iter().map(|text| ("seed.yml", text.as_str()));
        let (engine, ..) = engine(RuleSet::from_documents(texts, &LoadOptions::default()).rules);
        Self { seeds, session: Session::new(engine) }
    }
}

impl Target for Events {
    fn name(&self) -> &'static str {
        "event"
    }

    fn next(&mut self, rng: &mut Rng) -> String {
        let (seed, other) = (pick(rng, &self.seeds.events), pick(rng, &self.seeds.events));
        mutate::text(rng, seed, other)
    }

    fn run(&mut self, input: &str) -> Result<(), String> {
        let mut rules = Vec::new();
        let (read, told) =
            patient(|| (Event::parse(input.as_bytes()), self.session.json(input.as_bytes(), &mut rules)))?;
        match (read, told) {
            (Ok((event, _)), Ok(())) => {
                let mut found = Vec::new();
                self.session.matches(&event, &mut found);
                if numbers(&found) != rules {
                    return Err(format!("from text {rules:?}, from the event {:?}", numbers(&found)));
                }
                let printed = event.to_json();
                match Event::parse(printed.as_bytes()) {
                    Ok((again, _)) if again == event => Ok(()),
                    _ => Err(format!("printed as {printed}, which is another event")),
                }
            }
            (Err(_), Err(_)) => Ok(()),
            (read, told) => Err(format!("the event: {:?}; the engine: {told:?}", read.map(|_| ()))),
        }
    }
}

/// Rules and events that meet: the compiled engine gives what the plain evaluator gives.
struct Matching {
    seeds: Arc<Seeds>,
    values: Vec<String>,
    rules: String,
    session: Option<Session>,
    plain: Option<plain::Matcher>,
    made: u64,
}

/// What stands between rules and event in an input.
const BETWEEN: &str = "\n\u{1}EVENT\u{1}\n";

impl Matching {
    fn new(seeds: Arc<Seeds>) -> Self {
        let quoted = seeds.rules.iter().flat_map(|text| text.split(['\'', '"']).skip(1).step_by(2));
        let mut values: Vec<String> = quoted
            .filter(|value| (1..80).contains(&value.len()))
            .map(|value| value.trim_matches('*').to_owned())
            .collect();
        values.sort();
        values.dedup();
        Self { seeds, values, rules: String::new(), session: None, plain: None, made: 0 }
    }

    fn prepare(&mut self, rules: &str) {
        if self.session.is_some() && self.rules == rules {
            return;
        }
        rules.clone_into(&mut self.rules);
        let texts = rules.split("\n\u{2}\n").map(|text| ("fuzz.yml", text));
        let (engine, rules, taxonomies) =
            engine(RuleSet::from_documents(texts, &LoadOptions::default()).rules);
        self.session = Some(Session::new(engine));
        self.plain = Some(plain::Matcher::new(rules, taxonomies, Mode::Auto));
    }
}

impl Target for Matching {
    fn name(&self) -> &'static str {
        "match"
    }

    fn next(&mut self, rng: &mut Rng) -> String {
        if self.made.is_multiple_of(FRESH_RULES) || self.rules.is_empty() {
            let chosen: Vec<String> = (0..40)
                .map(|_| {
                    let seed = pick(rng, &self.seeds.rules);
                    if rng.bool() { mutate::text(rng, seed, "") } else { seed.to_owned() }
                })
                .collect();
            let rules = chosen.join("\n\u{2}\n");
            self.prepare(&rules);
        }
        self.made += 1;
        let seed = pick(rng, &self.seeds.events);
        let event = mutate::event(rng, seed, &self.values);
        format!("{}{BETWEEN}{event}", self.rules)
    }

    fn run(&mut self, input: &str) -> Result<(), String> {
        let (rules, event) = input.split_once(BETWEEN).unwrap_or((input, ""));
        self.prepare(rules);
        let (Some(session), Some(plain)) = (&mut self.session, &mut self.plain) else { return Ok(()) };
        let Ok((event, _)) = Event::parse(event.as_bytes()) else { return Ok(()) };
        let (mut fast, mut slow) = (Vec::new(), Vec::new());
        patient(|| {
            session.matches(&event, &mut fast);
            plain.matches(&event, &mut slow);
        })?;
        if fast == slow {
            return Ok(());
        }
        Err(format!("the engine: {:?}; the plain evaluator: {:?}", numbers(&fast), numbers(&slow)))
    }
}
