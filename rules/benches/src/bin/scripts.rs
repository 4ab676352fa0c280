//! Speed of scripts on one core, on events that are made to cost much: the shipped ones, and one that uses all its
//! operations on every event. `cargo run --release -p dongson-rules-bench --bin scripts`

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use dongson_event::{Timestamp, Value};
use dongson_rules::{LoadOptions, RuleSet};
use dongson_script::{Bounds, Budget, Limits, Runner, Scripts, Seen, load};

/// How much CPU time each number is measured for, in nanoseconds.
const SPAN: u64 = 1_500_000_000;
/// Uses up its operations on every event.
const DEAREST: &str = "/* meta\ntitle: Dearest\nid: dearest\nlogsource: {product: dongson}\ndetection:\n  s: {a: b}\n  condition: s\nscript:\n  key: [source.ip]\n  fields: [text]\n*/\nfn on(event, state) {\n  if state.list == () { state.list = []; }\n  state.list.push(event.at);\n  state.list.keep_last(100);\n  let n = 0;\n  loop { n += entropy(event[\"text\"]); for x in state.list { n += x; } }\n}\n";

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../content/script");
    let loaded = load(&[folder], &LoadOptions::default());
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<28} {:>12} {:>12} {:>10} {:>9}",
        "script", "events/s", "made up/s", "operations", "failures"
    )?;
    let rules = &loaded.report.rules;
    let scripts = Arc::new(loaded.scripts);
    for script in scripts.all() {
        let Some(source) = rules.scripts().iter().find(|source| source.rule == script.rule) else { continue };
        let name = PathBuf::from(&script.file);
        let name = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let fields: Vec<&str> = source.reads().collect();
        line(&mut out, &name, &scripts, &script.id, &source.key, &fields)?;
    }
    let options = LoadOptions { scripts: true, ..LoadOptions::default() };
    let report = RuleSet::from_documents([("dearest.rhai", DEAREST)], &options);
    let (dearest, _) = Scripts::compile(&report.rules, &Limits::default());
    line(
        &mut out,
        "(uses all operations)",
        &Arc::new(dearest),
        "dearest",
        &["source.ip".to_owned()],
        &["text"],
    )
}

/// Measures a script with few keys, whose states are full, and with a new key for every event.
fn line(
    out: &mut impl io::Write,
    name: &str,
    scripts: &Arc<Scripts>,
    id: &str,
    key: &[String],
    fields: &[&str],
) -> io::Result<()> {
    let mut runner = runner(scripts);
    let few = measure(&mut runner, id, key, fields, 16);
    let counters = runner.counters();
    let many = measure(&mut self::runner(scripts), id, key, fields, i64::MAX);
    let operations = counters.operations / counters.runs.max(1);
    writeln!(out, "{name:<28} {few:>12.0} {many:>12.0} {operations:>10} {:>9}", counters.failures)
}

fn runner(scripts: &Arc<Scripts>) -> Runner {
    Runner::with(Arc::clone(scripts), Bounds::default(), Budget { operations: u64::MAX })
}

#[expect(clippy::cast_precision_loss, reason = "a count of some seconds")]
fn measure(runner: &mut Runner, id: &str, key: &[String], fields: &[&str], keys: i64) -> f64 {
    let (begun, mut number) = (cpu_nanos(), 0_i64);
    while cpu_nanos() - begun < SPAN {
        for _ in 0..256 {
            number += 1;
            runner.observe(&event(id, key, fields, number % keys, number));
        }
    }
    number as f64 / ((cpu_nanos() - begun) as f64 / 1e9)
}

/// An event with long texts that differ from all before; numbers where numbers are expected.
fn event(id: &str, key: &[String], fields: &[&str], entity: i64, number: i64) -> Seen {
    let text = |name: &str| -> Value {
        match name {
            "dongson.conn.source.payload_bytes" => Value::Int(number.wrapping_mul(977) % 90_000_000),
            "destination.port" => Value::Int(number % 30_000),
            _ => Value::from(format!("{number:x}{}", "k3-9xq7Zp".repeat(27))),
        }
    };
    let named = fields.iter().map(|name| ((*name).to_owned(), text(name)));
    Seen {
        script: id.to_owned(),
        scope: "so-yte".to_owned(),
        organization: "so-yte".to_owned(),
        key: key.iter().map(|_| entity.to_string()).collect(),
        fields: named.chain([("organization.id".to_owned(), Value::from("so-yte"))]).collect(),
        at: Timestamp::from_seconds(1_767_571_200 + number * 7),
        event: number.to_string(),
    }
}

/// CPU time of this thread in nanoseconds, as the kernel counts it.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}
