//! Load, tokenizer and engine under criterion: `cargo bench -p dongson-rules-bench`.
//!
//! Rules and events are those of `dongson-rules-bench`, half of them to calibrate, the others to be measured. Each
//! iteration is one pass over a thousand events of the group, varied anew before the clock starts; what is printed is a
//! pass. Skipped where the data is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use dongson_event::Event;
use dongson_rules::{Engine, LoadOptions, Mode, RuleSet, Session, Taxonomies};
use dongson_rules_bench::corpus::Corpus;
use dongson_rules_bench::vary::Template;

/// Events of one pass.
const PASS: usize = 1_000;

/// Measures passes over events, each pass over other texts.
fn passes(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    events: &[Template],
    mut look: impl FnMut(&str),
) {
    let mut seed = 0_u64;
    let mut texts = vec![String::new(); PASS];
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                for (text, template) in texts.iter_mut().zip(events.iter().cycle()) {
                    seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
                    template.varied(seed | 1, text);
                }
                let started = Instant::now();
                for text in &texts {
                    look(text);
                }
                spent += started.elapsed();
            }
            spent
        });
    });
}

/// Templates of the events whose category is `name`, from the whole of them where it is `None`.
fn templates(events: &[serde_json::Value], name: Option<&str>) -> Vec<Template> {
    let of = |event: &&serde_json::Value| {
        name.is_none_or(|name| event.get("category").and_then(serde_json::Value::as_str) == Some(name))
    };
    let chosen: Vec<&serde_json::Value> = events.iter().filter(of).collect();
    let every = (chosen.len() / PASS).max(1);
    chosen.into_iter().step_by(every).map(Template::new).collect()
}

fn measure(criterion: &mut Criterion, corpus: &Corpus) {
    let load = || RuleSet::load(&corpus.rule_folders, &LoadOptions::default()).rules;
    let mut group = criterion.benchmark_group("rules");
    group.sample_size(10);
    group.bench_function("load", |bencher| bencher.iter(load));
    group.finish();
    let (sample, measured) = corpus.halves();
    let (rules, taxonomies) = (Arc::new(load()), Arc::new(Taxonomies::embedded()));
    let engine = Engine::new(Arc::clone(&rules), Arc::clone(&taxonomies), Mode::Sigma, None);
    let sample = sample.iter().filter_map(|event| Event::parse(event.to_string().as_bytes()).ok());
    let calibration = engine.calibrate(sample.map(|(event, _)| event));
    let engine = Arc::new(Engine::new(rules, taxonomies, Mode::Sigma, Some(&calibration)));
    let mut group = criterion.benchmark_group("1000 events");
    group.sample_size(20).throughput(Throughput::Elements(PASS as u64));
    let mut session = Session::new(Arc::clone(&engine));
    let mut fields = 0;
    passes(&mut group, "tokenizer", &templates(&measured, None), |text| {
        fields += session.tokens(text.as_bytes()).unwrap_or(0);
    });
    let mut found = Vec::new();
    for (name, category) in
        [("all", None), ("process_creation", Some("process_creation")), ("ps_script", Some("ps_script"))]
    {
        let mut session = Session::new(Arc::clone(&engine));
        passes(&mut group, name, &templates(&measured, category), |text| {
            found.clear();
            drop(session.json(text.as_bytes(), &mut found));
        });
    }
    group.finish();
}

#[expect(clippy::print_stdout, reason = "a report")]
fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    match Corpus::load() {
        Some(corpus) => measure(&mut criterion, &corpus),
        None => println!("skipped: no data (set DONGSON_SIGMA_DIR)"),
    }
    criterion.final_summary();
}
