//! Scripts through the public interface: what they may do, what they may not, and what always holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dongson_event::{Event, Timestamp};
use dongson_rules::{LoadOptions, Matcher, Mode, RuleSet, Taxonomies};
use dongson_script::{Bounds, Budget, FailureCause, Limits, Outcome, Runner, Scripts, Seen, seen};
use proptest::prelude::*;

fn script(body: &str) -> String {
    format!(
        "/* meta\ntitle: T\nid: one\nlogsource: {{product: dongson, service: conn}}\ndetection:\n  s: {{event.dataset: sensor.conn}}\n  condition: s\nscript:\n  key: [source.ip]\n  fields: [n, text]\n*/\n{body}"
    )
}

fn compile(body: &str) -> Result<(RuleSet, Scripts), String> {
    let options = LoadOptions { scripts: true, ..LoadOptions::default() };
    let report = RuleSet::from_documents([("x.rhai", script(body))], &options);
    assert_eq!(report.refused, []);
    let (scripts, refused) = Scripts::compile(&report.rules, &Limits::default());
    match refused.first() {
        Some(one) => Err(format!("{}:{}: {}", one.file, one.line, one.reason)),
        None => Ok((report.rules, scripts)),
    }
}

fn runner(body: &str) -> Runner {
    Runner::new(Arc::new(compile(body).expect("a script that compiles").1))
}

fn event(organization: &str, key: &str, second: i64, n: i64) -> Seen {
    Seen {
        script: "one".to_owned(),
        scope: organization.to_owned(),
        organization: organization.to_owned(),
        key: vec![key.to_owned()],
        fields: [
            ("source.ip".to_owned(), key.into()),
            ("n".to_owned(), n.into()),
            ("text".to_owned(), "x".repeat(256).as_str().into()),
        ]
        .into(),
        at: Timestamp::from_seconds(second),
        event: format!("{second}-{n}"),
    }
}

const COUNTING: &str = "fn on(event, state) {\n  if state.n == () { state.n = 0; state.list = []; }\n  state.n += event[\"n\"];\n  state.list.push(event.at);\n  state.list.keep_last(5);\n  if state.n > 10 { let was = state.n; state.n = 0; return #{ count: was, because: #{ n: was } }; }\n}\n";

#[test]
fn a_script_that_remembers_nothing_leaves_nothing_in_what_is_saved() {
    let mut runner = runner(
        "fn on(event, state) {\n  if event[\"n\"] == 1 { state.n = 1; } else { state.remove(\"n\"); }\n  return;\n}",
    );
    let parts = |runner: &mut Runner| {
        let parts = runner.save_changes().unwrap();
        parts
            .into_iter()
            .filter(|(name, _)| name.contains("\"one\""))
            .map(|(_, part)| part.is_some())
            .collect::<Vec<_>>()
    };
    runner.observe(&event("a", "k", 1, 0));
    assert_eq!(parts(&mut runner), [] as [bool; 0]);
    runner.observe(&event("a", "k", 2, 1));
    assert_eq!(parts(&mut runner), [true, true]);
    runner.observe(&event("a", "k", 3, 0));
    assert_eq!(parts(&mut runner), [false, false], "the saved parts go");
    assert!(runner.save().unwrap().contains("\"shelves\":{}"), "{}", runner.save().unwrap());
}

#[test]
fn state_belongs_to_its_key_and_its_agency() {
    let mut runner = runner(COUNTING);
    let mut alerts = 0;
    for second in 0..9 {
        for (organization, key) in [("a", "10.0.0.1"), ("a", "10.0.0.2"), ("b", "10.0.0.1")] {
            alerts += usize::from(runner.observe(&event(organization, key, second, 1)).is_some());
        }
    }
    assert_eq!((alerts, runner.keys()), (0, 3));
    let Some(Outcome::Alert(alert)) = runner.observe(&event("a", "10.0.0.1", 10, 5)) else { panic!() };
    assert_eq!((alert.count, alert.organization.as_str()), (14, "a"));
    assert_eq!(alert.entity, [("source.ip".to_owned(), "10.0.0.1".to_owned())]);
    assert_eq!(alert.because[0].field, "n");
    assert_eq!(runner.counters().failures, 0);
}

#[test]
fn the_head_chooses_the_events() {
    let (rules, scripts) = compile(COUNTING).unwrap();
    let mut matcher = Matcher::new(Arc::new(rules), Arc::new(Taxonomies::embedded()), Mode::Auto);
    let mut runner = Runner::new(Arc::new(scripts));
    let mut found = Vec::new();
    for (dataset, wanted) in [("sensor.conn", 1), ("sensor.dns", 0)] {
        let text = format!(
            r#"{{"event.dataset":"{dataset}","organization.id":"a","source.ip":"10.0.0.1","n":50,"@timestamp":"2026-11-23T02:00:00Z"}}"#
        );
        let event = Event::parse(text.as_bytes()).unwrap().0;
        found.clear();
        matcher.matches(&event, &mut found);
        assert_eq!(found.len(), wanted);
        for one in &found {
            let seen = seen(&mut matcher, &event, one.rule).unwrap();
            assert!(matches!(runner.observe(&seen), Some(Outcome::Alert(_))));
        }
    }
}

#[test]
fn hostile_scripts_end_with_an_error_that_names_the_line() {
    for (body, line, reason) in [
        ("fn on(event, state) {\n  loop { }\n}", 13, "operations"),
        ("fn on(event, state) {\n  while true { state.x = 1; }\n}", 12, "operations"),
        ("fn deep(n) { deep(n + 1) }\nfn on(event, state) {\n  deep(0);\n}", 14, "too deep"),
        ("fn on(event, state) {\n  let s = \"xxxxxxxx\";\n  loop { s += s; }\n}", 14, "length of string"),
        (
            "fn on(event, state) {\n  let a = [];\n  loop { a.push(event[\"text\"]); }\n}",
            14,
            "than it may be",
        ),
        ("fn on(event, state) {\n  let a = [1];\n  loop { a += a; }\n}", 14, "than it may be"),
        ("fn on(event, state) {\n  let a = [1];\n  loop { a = [a, a]; }\n}", 14, "than it may be"),
        (
            "fn on(event, state) {\n  let m = #{};\n  let n = 0;\n  loop { n += 1; m[n.to_string()] = n; }\n}",
            15,
            "",
        ),
        ("fn on(event, state) {\n  let s = \"x\";\n  s.pad(1000000000, 'x');\n}", 14, "length of string"),
        ("fn on(event, state) {\n  let a = [];\n  a.pad(1000000000, 1);\n}", 14, "array"),
        ("fn on(event, state) {\n  let n = 9223372036854775807;\n  n += 1;\n}", 14, ""),
        ("fn on(event, state) {\n  let n = 1 / (event.at - event.at);\n}", 13, ""),
        ("fn on(event, state) {\n  throw \"x\";\n}", 13, "x"),
        ("fn on(event, state) {\n  hour(event.missing);\n}", 13, "ask `!= ()` first"),
        ("fn on(event, state) {\n  hour(\"x\");\n}", 13, "other types"),
        ("fn on(event, state) {\n  state = 5;\n}", 12, "no map"),
        ("fn on(event, state) {\n  state.x = 'c';\n}", 12, "state.x"),
        ("fn on(event, state) {\n  return 7;\n}", 12, "returns"),
        ("fn on(event, state) {\n  for i in 0..1000000000 { }\n}", 13, "operations"),
        (
            "fn on(event, state) {\n  let a = [3, 2]; let n = 0;\n  loop { a.sort(|x, y| x - y); n = entropy(event[\"text\"]); }\n}",
            14,
            "operations",
        ),
    ] {
        let mut runner = runner(body);
        let begun = Instant::now();
        assert_eq!(runner.observe(&event("a", "k", 1, 1)), None, "{body}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{body}");
        let (told, at) = runner.last_failure().unwrap_or_else(|| panic!("no failure: {body}"));
        assert!(told.to_lowercase().contains(reason), "{body}: {told}");
        assert_eq!(at, line, "{body}: {told}");
        assert_eq!(runner.keys(), 0, "a failure changes no state");
    }
}

#[test]
fn what_scripts_may_not_do_is_refused_when_they_are_loaded() {
    for (body, line, reason) in [
        ("fn on(event, state) {\n  print(event);\n}", 13, "print"),
        ("fn on(event, state) {\n  debug(event);\n}", 13, "debug"),
        ("fn on(event, state) {\n  eval(\"1\");\n}", 13, "eval"),
        ("import \"x\" as x;\nfn on(event, state) { }", 12, "import"),
        ("fn on(event, state) {\n  state.x = undefined_name;\n}", 13, "undefined_name"),
        ("fn on(event, state) {\n  let x = ;\n}", 13, "cannot be read"),
        ("fn on(event) { }", 1, "fn on(event, state)"),
        ("fn on(state, event) { }", 12, "in this order"),
        ("let count = 0;\nfn on(event, state) { }", 1, "variable at the top"),
        ("const A = 1;\nloop { }\nfn on(event, state) { }", 13, "operations"),
        ("", 1, "fn on(event, state)"),
        ("fn on(event, state) {\n  state.t = timestamp();\n}", 13, "`event.at` is the event's time"),
        ("fn on(event, state) {\n  if rand() > 1 { return true; }\n}", 13, "there is no chance"),
        ("fn on(event, state) {\n  nothing_of_this_name(1);\n}", 13, "nothing_of_this_name"),
    ] {
        let Err(error) = compile(body) else { panic!("was accepted: {body}") };
        assert!(error.starts_with(&format!("x.rhai:{line}: ")), "{body}: {error}");
        assert!(error.contains(reason), "{body}: {error}");
    }
    for body in [
        "fn on(event, state) { let t = timestamp(); }",
        "fn on(event, state) { let t = rand(); }",
        "fn on(event, state) { let t = open_file(\"x\"); }",
        "fn on(event, state) { sleep(1); }",
        "fn on(event, state) { let x = parse_json(\"{}\"); }",
    ] {
        let Ok((_, scripts)) = compile(body) else { continue };
        let mut runner = Runner::new(Arc::new(scripts));
        assert_eq!(runner.observe(&event("a", "k", 1, 1)), None);
        assert!(runner.last_failure().is_some(), "{body}");
    }
}

#[test]
fn nesting_without_end_never_overflows_the_stack() {
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{", "}"), ("if true {", "}"), ("-", ""), ("!", ""), ("#{a:", "}")]
    {
        let body =
            format!("fn on(event, state) {{ let x = {}1{}; }}", open.repeat(5_000), close.repeat(5_000));
        assert!(compile(&body).is_err(), "{open}");
    }
    assert!(compile(&format!("fn on(event, state) {{ let x = 1{}; }}", " + 1".repeat(5_000))).is_err());
}

#[test]
fn failures_in_a_cluster_are_told_with_script_line_and_reason_and_never_switch_it_off() {
    let body = "fn on(event, state) {\n  if event[\"n\"] == 0 { loop { } }\n  return true;\n}";
    let mut runner = runner(body);
    let mut told = Vec::new();
    for second in 0..100 {
        if let Some(Outcome::Failing(failures)) = runner.observe(&event("a", "k", 60 + second / 10, 0)) {
            told.push(failures);
        }
    }
    assert_eq!((told.len(), told[0].count, runner.counters().failures), (1, 21, 100));
    let FailureCause::Script { reason, line } = &told[0].cause else { panic!() };
    assert!(*line == 13 && reason.contains("operations"));
    assert!(told[0].told().contains("x.rhai:13: ") && told[0].told_vi().contains("dòng 13"));
    assert!(matches!(runner.observe(&event("a", "k", 70, 1)), Some(Outcome::Alert(_))));
    assert!(matches!(runner.observe(&event("b", "k", 70, 1)), Some(Outcome::Alert(_))));
}

#[test]
fn an_agency_without_operations_left_harms_no_other() {
    let scripts = Arc::new(compile(COUNTING).unwrap().1);
    let budget = Budget { operations: 2_000 };
    let mut runner = Runner::with(scripts, Bounds::default(), budget);
    let mut starving = 0;
    for number in 0..500 {
        let outcome = runner.observe(&event("a", &format!("k{number}"), 60, 1));
        starving +=
            usize::from(matches!(&outcome, Some(Outcome::Failing(one)) if one.cause == FailureCause::Budget));
    }
    assert_eq!(starving, 1);
    assert!(runner.counters().starved > 300);
    assert!(matches!(runner.observe(&event("b", "k", 60, 50)), Some(Outcome::Alert(_))));
    assert!(matches!(runner.observe(&event("a", "k", 120, 50)), Some(Outcome::Alert(_))));
}

#[test]
fn state_is_bounded_and_evictions_are_counted() {
    let scripts = Arc::new(compile(COUNTING).unwrap().1);
    let bounds = Bounds { keys: 100, ..Bounds::default() };
    let mut runner = Runner::with(scripts, bounds, Budget::default());
    for second in 0..9 {
        runner.observe(&event("a", "real", second, 1));
    }
    for number in 0..5_000 {
        runner.observe(&event("a", &format!("made up {number}"), 10, 1));
    }
    assert!(runner.keys() <= 100 && runner.evicted() > 4_800);
    assert!(
        matches!(runner.observe(&event("a", "real", 11, 5)), Some(Outcome::Alert(_))),
        "what is frequent survives"
    );
    let growing = "fn on(event, state) { if state.t == () { state.t = []; } state.t.push(event[\"text\"] + event.at); }";
    let mut runner = self::runner(growing);
    for second in 0..200 {
        runner.observe(&event("a", "k", second, 1));
    }
    let counters = runner.counters();
    assert!(counters.failures > 0 && counters.resets > 0, "{counters:?}");
    assert!(runner.save().unwrap().len() < 20_000);
}

#[test]
fn a_state_of_another_text_is_left_out() {
    let mut old = runner(COUNTING);
    old.observe(&event("a", "k", 1, 9));
    let saved = old.save().unwrap();
    let mut same = runner(COUNTING);
    same.restore(&saved).unwrap();
    assert_eq!(same.keys(), 1);
    let mut other = runner(&COUNTING.replace("> 10", "> 11"));
    other.restore(&saved).unwrap();
    assert_eq!(other.keys(), 0);
    assert!(other.restore("{\"version\":9}").is_err() && other.restore("x").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cut_anywhere_and_restored_it_finds_the_same(
        input in prop::collection::vec((0..3_usize, 0..6_usize, 0..200_i64, -1..8_i64), 1..120),
        cut in 0..120_usize,
    ) {
        let body = COUNTING.replace("state.n +=", "if event[\"n\"] < 0 { throw \"no\" }\n state.f = event[\"n\"].to_float() / 3.0;\n state.n +=");
        let seen: Vec<Seen> = input
            .iter()
            .map(|&(agency, key, second, n)| event(["a", "b", "c"][agency], &format!("k{key}"), second * 20_000, n))
            .collect();
        let bounds = Bounds { keys: 4, ..Bounds::default() };
        let scripts = Arc::new(compile(&body).unwrap().1);
        let new = || Runner::with(Arc::clone(&scripts), bounds, Budget { operations: 4_000 });
        let mut whole = new();
        let expected: Vec<_> = seen.iter().map(|one| whole.observe(one)).collect();
        let mut first = new();
        let cut = cut.min(seen.len());
        let mut found: Vec<_> = seen[..cut].iter().map(|one| first.observe(one)).collect();
        let saved = first.save().unwrap();
        let mut second = new();
        second.restore(&saved).unwrap();
        prop_assert_eq!(&second.save().unwrap(), &saved);
        found.extend(seen[cut..].iter().map(|one| second.observe(one)));
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(second.save().unwrap(), whole.save().unwrap());
        // The same from parts, of which each step wrote those that it changed.
        let (mut pieced, mut kept) = (new(), BTreeMap::new());
        for (step, one) in seen.iter().enumerate() {
            if step == cut {
                let parts = kept.iter().map(|(name, part): (&String, &String)| (name.as_str(), part.as_str()));
                pieced = new();
                pieced.restore_parts(parts).unwrap();
            }
            prop_assert_eq!(&pieced.observe(one), &expected[step]);
            for (name, part) in pieced.save_changes().unwrap() {
                match part {
                    Some(part) => drop(kept.insert(name, part)),
                    None => prop_assert!(kept.remove(&name).is_some()),
                }
            }
        }
        prop_assert_eq!(pieced.save().unwrap(), whole.save().unwrap());
    }

    #[test]
    fn random_text_never_panics_the_loader(body in "\\PC{0,200}") {
        let options = LoadOptions { scripts: true, ..LoadOptions::default() };
        let report = RuleSet::from_documents([("x.rhai", script(&body))], &options);
        drop(Scripts::compile(&report.rules, &Limits::default()));
        let report = RuleSet::from_documents([("x.rhai", &body)], &options);
        prop_assert_eq!(report.compiled, 0);
    }

    #[test]
    fn random_programs_never_panic_and_always_end(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "state", "event", ".n", ".x", "[0]", "[\"text\"]", " = ", " += ", " + ", " * ", "1", "0", "\"ab\"", "'c'",
                "[]", "#{}", "#{a: 1}", "(", ")", "{", "}", ";", "if ", "else ", "while ", "loop ", "for i in ", "0..9",
                "return ", "let y = ", "y", "i", ".len()", ".push(1)", ".keep_last(2)", "entropy(", "mean(", "|x| x",
                ".map(", "switch ", "=>", "_", "break;", "throw ", "on(event, state)", "\n", "`${event}`", "()", "1.5",
            ]),
            0..40,
        )
    ) {
        let body = format!("fn on(event, state) {{ {} }}", words.concat());
        let options = LoadOptions { scripts: true, ..LoadOptions::default() };
        let report = RuleSet::from_documents([("x.rhai", script(&body))], &options);
        let (scripts, _) = Scripts::compile(&report.rules, &Limits::default());
        let mut runner = Runner::new(Arc::new(scripts));
        for second in 0..3 {
            let begun = Instant::now();
            runner.observe(&event("a", "k", second, 1));
            prop_assert!(begun.elapsed() < Duration::from_secs(2));
        }
    }
}
