//! The engine gives what the plain evaluator gives: random rules on random events, and the real ones where they are.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_collect,
    clippy::indexing_slicing,
    reason = "a test that reports what it counted"
)]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dongson_event::Event;
use dongson_rules::{Calibration, Engine, LoadOptions, Matcher, Mode, RuleSet, Session, Taxonomies, plain};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A value as YAML, of few letters, so that many of them meet.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => r"'\*?[abAB\\]{0,6}(\*|\?)?[abđĐ]{0,3}\*?'",
        2 => r"'(\*|)?\\(a|ab|b\.exe)'",
        2 => "'(abab|baba|aabb){1,3}'",
        2 => "-?[0-9]{1,2}",
        1 => "[0-9]\\.[05]",
        1 => "(null|true|'')",
        1 => "'-a( /b)?'",
    ]
}

fn entry() -> impl Strategy<Value = String> {
    let plain = ("[fghF]", "(|\\|contains|\\|startswith|\\|endswith|\\|cased|\\|contains\\|cased|\\|contains\\|all|\\|neq|\\|contains\\|windash|\\|base64offset\\|contains|\\|wide\\|base64)", prop::collection::vec(value(), 1..5))
        .prop_map(|(field, modifiers, values)| format!("{field}{modifiers}: [{}]", values.join(", ")));
    let regex = (
        "[fg]",
        "(|\\|i|\\|m|\\|s)",
        r"(\^|)([abA]{1,3}|[ab]{4,5}|\(aa\|bb\)|\(abab\|baba\)|\[ab\]\{2\}|\.|\.\*|a\+|b\?){1,4}(\$|)",
    )
        .prop_map(|(field, flags, regex)| format!("{field}|re{flags}: '{regex}'"));
    let other = prop_oneof![
        "[fg]\\|(lt|lte|gt|gte): ([0-9]{1,2}|'-?900719925474099[0-9](\\.5)?')",
        "[fg]\\|cidr: (10\\.0\\.0\\.0/8|'fd00::/8')",
        "[fg]\\|exists: (true|false)",
        "[fg]: null",
        "f\\|fieldref(|\\|startswith|\\|endswith|\\|contains): [gh]",
        "f\\|(hour|minute|year)(|\\|gt): [0-9]{1,2}",
    ];
    prop_oneof![8 => plain, 2 => regex, 2 => other]
}

fn selection() -> impl Strategy<Value = String> {
    let map = || {
        prop::collection::vec(entry(), 1..4).prop_map(|mut entries| {
            entries.sort();
            entries.dedup_by_key(|entry| entry.split(':').next().map(str::to_owned));
            entries
        })
    };
    let indent = |entries: Vec<String>, by: &str| {
        entries.iter().map(|entry| format!("{by}{entry}\n")).collect::<String>()
    };
    prop_oneof![
        6 => map().prop_map(move |entries| indent(entries, "      ")),
        2 => prop::collection::vec(map(), 1..3).prop_map(move |maps| {
            maps.into_iter().map(|entries| {
                let text = indent(entries, "        ");
                format!("      -{}", text.get(7..).unwrap_or_default())
            }).collect()
        }),
        1 => prop::collection::vec(r"'([ab]{1,5}|abab|ab\*ba)'|[0-9]", 1..4)
            .prop_map(|words| words.iter().map(|word| format!("      - {word}\n")).collect()),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let condition = "(one|not one|one and two|one or two|one and not two|not \\(one and two\\)|not one and not two|1 of them|all of them|not 1 of them|\\(one or not two\\) and three|one and \\(two or three\\)|three or not one)";
    (selection(), selection(), selection(), condition, "(\\{product: p\\}|\\{product: q\\}|\\{category: c\\}|\\{product: p, service: s\\})").prop_map(
        |(one, two, three, condition, source)| {
            format!("title: T\nid: ID\nlogsource: {source}\ndetection:\n    one:\n{one}    two:\n{two}    three:\n{three}    condition: {condition}\n")
        },
    )
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => r#""([abAB]|\\\\){0,8}""#,
        2 => r#""(abab|baba|aabb|Abab){1,3}""#,
        1 => r#""([aĐđb]|\\u0041){0,4}""#,
        1 => r#""(a|ab)?\\\\(a|ab|b\.exe)""#,
        2 => "-?[1-9][0-9]?|0",
        1 => "[0-9]\\.[05]|1e[0-2]|-0",
        1 => r#"null|true|false|"""#,
        1 => r#""(10\.1\.2\.3|fd00::1|2026-11-23T09:05:12Z)""#,
        1 => r#"" ?[-/–—―]a( -b)?""#,
        1 => r#""(YWJhYg==|YQBiAA==|5)""#,
        1 => r#""[0-9](\.[05])?""#,
        1 => r#"-?900719925474099[0-9]|"-?900719925474099[0-9](\.5)?""#,
    ]
}

fn event() -> impl Strategy<Value = String> {
    let any = prop_oneof![
        5 => scalar(),
        1 => prop::collection::vec(scalar(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
    ];
    let fields = prop::collection::vec(("[fghFk]", any), 0..6);
    let more = prop_oneof![
        6 => Just(String::new()),
        1 => scalar().prop_map(|value| format!(",\"g\":{value},\"g\":\"abab\"")),
        1 => scalar().prop_map(|value| format!(",\"x\":{{\"f\":{value},\"y\":{{}}}},\"z\":[{{\"f\":1}},{{\"f\":{value}}}]")),
    ];
    (fields, "[pqr]", "[cd]", "[st]", more).prop_map(|(fields, product, category, service, more)| {
        let own =
            fields.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect::<String>() + &more;
        format!("{{\"product\":\"{product}\",\"category\":\"{category}\",\"service\":\"{service}\"{own}}}")
    })
}

fn load(rules: &[String]) -> Arc<RuleSet> {
    let named = rules.iter().enumerate().map(|(at, rule)| ("x.yml", rule.replace("ID", &format!("r{at}"))));
    Arc::new(RuleSet::from_documents(named, &LoadOptions::default()).rules)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
    ))]
    #[test]
    fn agrees_with_the_plain_evaluator(
        rules in prop::collection::vec(rule(), 1..12),
        events in prop::collection::vec(event(), 1..12),
        auto: bool,
    ) {
        let mode = if auto { Mode::Auto } else { Mode::Sigma };
        let (set, taxonomies) = (load(&rules), Arc::new(Taxonomies::embedded()));
        let mut plain = plain::Matcher::new(Arc::clone(&set), Arc::clone(&taxonomies), mode);
        let mut fast = Matcher::new(Arc::clone(&set), Arc::clone(&taxonomies), mode);
        let engine = Arc::new(Engine::new(Arc::clone(&set), Arc::clone(&taxonomies), mode, None));
        let sample = events.iter().step_by(2).map(|text| Event::parse(text.as_bytes()).unwrap().0);
        let calibration = engine.calibrate(sample);
        let stored: Calibration = serde_json::from_str(&serde_json::to_string(&calibration).unwrap()).unwrap();
        prop_assert_eq!(&stored, &calibration);
        let tuned = Arc::new(Engine::new(set, taxonomies, mode, Some(&stored)));
        let mut sessions = [Session::new(engine), Session::new(tuned)];
        for text in &events {
            let (event, _) = Event::parse(text.as_bytes()).unwrap();
            let (mut expected, mut given) = (Vec::new(), Vec::new());
            plain.matches(&event, &mut expected);
            fast.matches(&event, &mut given);
            prop_assert_eq!(&given, &expected, "{}", text);
            let expected: Vec<usize> = expected.iter().map(|one| one.rule).collect();
            for session in &mut sessions {
                let mut rules = Vec::new();
                session.json(text.as_bytes(), &mut rules).unwrap();
                prop_assert_eq!(&rules, &expected, "{}", text);
            }
        }
    }
}

#[test]
fn random_rules_compile_and_hold() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut compiled, mut held) = (0, 0);
    for _ in 0..200 {
        let rules = load(&[rule().new_tree(&mut runner).unwrap().current()]);
        compiled += rules.rules().len();
        let mut matcher = Matcher::new(rules, Arc::new(Taxonomies::embedded()), Mode::Sigma);
        for _ in 0..20 {
            let text = event().new_tree(&mut runner).unwrap().current();
            let mut out = Vec::new();
            matcher.matches(&Event::parse(text.as_bytes()).unwrap().0, &mut out);
            held += out.len();
        }
    }
    println!("{compiled} of 200 random rules compile; {held} matches on 20 events each");
    assert!(compiled >= 50 && held > 50, "{compiled} {held}");
}

fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.to_owned();
    let shared = || std::env::var_os("DONGSON_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let folder =
        std::env::var_os("DONGSON_SIGMA_DIR").map_or_else(|| shared().join("data/sigma"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no folder {} (set DONGSON_SIGMA_DIR)", folder.display());
    None
}

/// Every rule on every n-th real event, in the form that `change` makes of it.
fn real(mode: Mode, every: usize, change: impl Fn(serde_json::Value) -> serde_json::Value) {
    let Some(folder) = data() else { return };
    let archive = zstd::Decoder::new(File::open(folder.join("sigma-rules.tar.zst")).unwrap()).unwrap();
    let unpacked = tempfile::tempdir().unwrap();
    tar::Archive::new(archive).unpack(unpacked.path()).unwrap();
    let rules = Arc::new(RuleSet::load(&[unpacked.path().to_owned()], &LoadOptions::default()).rules);
    let taxonomies = Arc::new(Taxonomies::embedded());
    let mut plain = plain::Matcher::new(Arc::clone(&rules), Arc::clone(&taxonomies), mode);
    let mut fast = Matcher::new(Arc::clone(&rules), Arc::clone(&taxonomies), mode);
    let mut session = Session::new(Arc::new(Engine::new(Arc::clone(&rules), taxonomies, mode, None)));
    let (mut count, mut matches) = (0, 0);
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|path| path.to_string_lossy().ends_with("-flat-expected.jsonl.zst")) {
        let lines = BufReader::new(zstd::Decoder::new(File::open(file).unwrap()).unwrap()).lines();
        for line in lines.step_by(every) {
            let record: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let text = change(record["event"].clone()).to_string();
            let (event, _) = Event::parse(text.as_bytes()).unwrap();
            let (mut expected, mut given) = (Vec::new(), Vec::new());
            plain.matches(&event, &mut expected);
            fast.matches(&event, &mut given);
            assert_eq!(given, expected, "{text}");
            let mut numbers = Vec::new();
            session.json(text.as_bytes(), &mut numbers).unwrap();
            assert_eq!(numbers, expected.iter().map(|one| one.rule).collect::<Vec<_>>(), "{text}");
            count += 1;
            matches += given.len();
        }
    }
    println!("{count} events, {matches} matches, equal in both evaluators ({mode:?})");
}

/// `DONGSON_EVERY=1` takes all events.
fn every(usual: usize) -> usize {
    std::env::var("DONGSON_EVERY").ok().and_then(|every| every.parse().ok()).unwrap_or(usual)
}

#[test]
fn agrees_on_real_events() {
    real(Mode::Sigma, every(11), |event| event);
}

#[test]
fn agrees_on_real_events_without_their_log_source() {
    real(Mode::Auto, every(23), |mut event| {
        let map = event.as_object_mut().unwrap();
        for name in ["product", "service", "category"] {
            map.remove(name);
        }
        event
    });
}

#[test]
fn agrees_on_real_events_in_winlogbeat_form() {
    real(Mode::Auto, every(37), |event| {
        let (mut header, mut data) = (serde_json::Map::new(), serde_json::Map::new());
        for (name, value) in event.as_object().unwrap().clone() {
            match name.as_str() {
                "product" | "service" | "category" => {}
                "Channel" => drop(header.insert("channel".to_owned(), value)),
                "EventID" => drop(header.insert("event_id".to_owned(), value)),
                "Provider_Name" => drop(header.insert("provider_name".to_owned(), value)),
                _ => drop(data.insert(name, value)),
            }
        }
        header.insert("event_data".to_owned(), serde_json::Value::Object(data));
        serde_json::json!({ "winlog": header })
    });
}

/// Long values, many fields and long lists: the same answers, in time and memory that grow with the text alone.
#[test]
fn hostile_events_are_answered() {
    let rule = |number: usize, content: &str| {
        format!(
            "title: T\nid: r{number}\nlogsource: {{product: p}}\ndetection:\n    one:\n{content}    condition: one\n"
        )
    };
    let rules = [
        rule(0, "        f|contains: abab\n"),
        rule(1, "        f|re: 'a[ab]{3,9}c'\n"),
        rule(2, "        f|fieldref|contains: g\n"),
        rule(3, "        - needle\n        - ab\n"),
        rule(4, "        f|endswith: ['\\x.exe', 'c']\n        g: null\n"),
        rule(5, "        h|contains|all: [aaaa, aaaab]\n"),
    ];
    let named = rules.iter().map(|rule| ("x.yml", rule.as_str()));
    let set = Arc::new(RuleSet::from_documents(named, &LoadOptions::default()).rules);
    assert_eq!(set.rules().len(), rules.len());
    let list = |item: &str, count: usize| vec![item; count].join(",");
    let fields: String = (0..2_000).map(|at| format!(",\"x{at}\":\"ab\"")).collect();
    let events = [
        format!(r#"{{"product":"p","f":"{}c"}}"#, "ab".repeat(1 << 19)),
        format!(r#"{{"product":"p","h":"{}b"}}"#, "a".repeat(1 << 20)),
        format!(r#"{{"product":"p","f":[{}],"g":[{}]}}"#, list("\"abc\"", 100_000), list("\"b\"", 100_000)),
        format!(r#"{{"product":"p"{fields},"f":"needle"}}"#),
        format!(r#"{{"product":"p","f":"{}"}}"#, r"\\".repeat(1 << 18)),
        format!(r#"{{"product":[{}],"f":"abab"}}"#, list("\"p\"", 100_000)),
    ];
    let taxonomies = Arc::new(Taxonomies::embedded());
    for mode in [Mode::Sigma, Mode::Auto] {
        let mut plain = plain::Matcher::new(Arc::clone(&set), Arc::clone(&taxonomies), mode);
        let mut fast = Matcher::new(Arc::clone(&set), Arc::clone(&taxonomies), mode);
        for text in &events {
            let (event, _) = Event::parse(text.as_bytes()).unwrap();
            let (mut expected, mut given, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
            plain.matches(&event, &mut expected);
            fast.matches(&event, &mut given);
            fast.json(text.as_bytes(), &mut numbers).unwrap();
            assert_eq!(given, expected);
            assert_eq!(numbers, expected.iter().map(|one| one.rule).collect::<Vec<_>>());
        }
    }
    let many: String = (0..10_000).map(|at| format!(",\"x{at}\":1")).collect();
    let mut fast = Matcher::new(set, taxonomies, Mode::Sigma);
    assert!(fast.json(format!("{{\"product\":\"p\"{many}}}").as_bytes(), &mut Vec::new()).is_err());
    assert!(fast.json(b"\xff", &mut Vec::new()).is_err());
}
