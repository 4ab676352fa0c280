//! The Sigma specification 2.1.0, feature by feature: a rule, events that it must take and events that it must not.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use dongson_event::Event;
use dongson_rules::{LoadOptions, Matcher, Mode, RuleSet, Taxonomies};

/// Checks `detection` (YAML under `detection:`) on events given as the inside of a JSON object.
fn check(detection: &str, holds: &[&str], not: &[&str]) {
    let text = format!("title: T\nid: t\nlogsource: {{product: x}}\ndetection:\n{detection}\n");
    let mut options = LoadOptions::default();
    options.values.placeholders = [("admins".to_owned(), vec!["root".to_owned(), "adm*".to_owned()])].into();
    let report = RuleSet::from_documents([("t.yml", text.as_str())], &options);
    assert_eq!(report.refused, [], "{text}");
    let mut matcher = Matcher::new(Arc::new(report.rules), Arc::new(Taxonomies::embedded()), Mode::Sigma);
    for (events, expected) in [(holds, true), (not, false)] {
        for inside in events {
            let event = Event::parse(format!("{{\"product\":\"x\",{inside}}}").as_bytes()).unwrap().0;
            let mut found = Vec::new();
            matcher.matches(&event, &mut found);
            assert_eq!(!found.is_empty(), expected, "{detection}\non {inside}");
        }
    }
}

/// A selection of one line.
fn line(selection: &str, holds: &[&str], not: &[&str]) {
    check(&format!("  s:\n    {selection}\n  condition: s"), holds, not);
}

#[test]
fn plain_values() {
    line(
        "a: Value",
        &[r#""a":"value""#, r#""a":"VALUE""#, r#""a":["x","Value"]"#],
        &[r#""a":"value2""#, r#""b":"value""#],
    );
    line("a: 4104", &[r#""a":4104"#, r#""a":"4104""#, r#""a":[1,4104]"#], &[r#""a":41040"#, r#""a":null"#]);
    line("a: '4104'", &[r#""a":4104"#], &[r#""a":4105"#]);
    line("a: 1.5", &[r#""a":1.5"#, r#""a":"1.50""#], &[r#""a":1"#]);
    line("a: -1", &[r#""a":-1"#], &[r#""a":1"#]);
    line("a: true", &[r#""a":true"#, r#""a":"True""#], &[r#""a":false"#, r#""a":1"#]);
    line("a: ['x', 'y']", &[r#""a":"x""#, r#""a":"Y""#], &[r#""a":"z""#]);
    line(
        "a.b.c: x",
        &[r#""a":{"b":{"c":"x"}}"#, r#""a.b":{"c":"x"}"#, r#""a":[{"b":{"c":"y"}},{"b":{"c":"x"}}]"#],
        &[r#""a":{"b":"x"}"#],
    );
    line("a: 'Đồng Nai'", &[r#""a":"ĐỒNG NAI""#], &[r#""a":"Dong Nai""#]);
}

#[test]
fn null_empty_and_existence() {
    line("a: null", &[r#""b":1"#, r#""a":null"#, r#""a":[]"#], &[r#""a":"""#, r#""a":0"#, r#""a":"x""#]);
    line("a: ''", &[r#""a":"""#], &[r#""b":1"#, r#""a":null"#, r#""a":" ""#]);
    line("a: [null, '']", &[r#""a":"""#, r#""b":1"#], &[r#""a":"x""#]);
    line("a|exists: true", &[r#""a":"""#, r#""a":null"#, r#""a":0"#], &[r#""b":1"#]);
    line("a|exists: false", &[r#""b":1"#], &[r#""a":null"#]);
    line("a: '*'", &[r#""a":"""#, r#""a":5"#], &[r#""b":1"#, r#""a":null"#]);
}

#[test]
fn wildcards_and_escapes() {
    line(r"a: '*\cmd.exe'", &[r#""a":"C:\\x\\CMD.exe""#], &[r#""a":"cmd.exe""#]);
    line(r"a: 'a?c*'", &[r#""a":"abc""#, r#""a":"a\ncd""#], &[r#""a":"ac""#]);
    line(r"a: 'a\*b'", &[r#""a":"a*b""#], &[r#""a":"axb""#]);
    line(r"a: 'a\\*b'", &[r#""a":"a\\xb""#], &[r#""a":"a*b""#]);
    line(r"a: 'a\\\*b'", &[r#""a":"a\\*b""#], &[r#""a":"a\\xb""#]);
    line(r"a|contains: '\\\\srv'", &[r#""a":"to \\\\srv\\x""#], &[r#""a":"to \\srv""#]);
    line(r"a|contains: '50%'", &[r#""a":"a 50% b""#], &[r#""a":"50""#]);
}

#[test]
fn text_modifiers() {
    line("a|contains: b", &[r#""a":"aBc""#, r#""a":"b""#], &[r#""a":"ac""#]);
    line("a|startswith: ab", &[r#""a":"ABc""#], &[r#""a":"xab""#]);
    line("a|endswith: ab", &[r#""a":"xAB""#], &[r#""a":"abx""#]);
    line("a|contains: 'b*d'", &[r#""a":"abcde""#], &[r#""a":"adb""#]);
    line("a|contains|all: [b, c]", &[r#""a":"cab""#, r#""a":["b","c"]"#], &[r#""a":"ab""#]);
    line("a|cased: Ab", &[r#""a":"Ab""#], &[r#""a":"ab""#]);
    line("a|contains|cased: Ab", &[r#""a":"xAbx""#], &[r#""a":"xabx""#]);
    line("a|neq: [x, y]", &[r#""a":"z""#, r#""b":1"#], &[r#""a":"X""#]);
    line("a|endswith|neq: x", &[r#""a":"y""#], &[r#""a":"yx""#]);
    line("a|startswith: 46", &[r#""a":4688"#], &[r#""a":546"#]);
    line(
        "a|contains|windash: ' -enc '",
        &[
            r#""a":"p -enc x""#,
            r#""a":"p /ENC x""#,
            r#""a":"p –enc x""#,
            r#""a":"p —enc x""#,
            r#""a":"p ―enc x""#,
        ],
        &[r#""a":"p enc x""#, r#""a":"p +enc x""#],
    );
    line("a|windash|contains: 'x-y -z'", &[r#""a":"x-y /z""#], &[r#""a":"x/y /z""#]);
}

#[test]
fn regular_expressions() {
    line("a|re: '^Ab+$'", &[r#""a":"Abb""#], &[r#""a":"abb""#, r#""a":"xAbb""#]);
    line("a|re: 'b{2}'", &[r#""a":"abbc""#], &[r#""a":"abc""#]);
    line("a|re|i: '^ab$'", &[r#""a":"AB""#], &[r#""a":"ABC""#]);
    line("a|re|m: '^b$'", &[r#""a":"a\nb\nc""#], &[r#""a":"abc""#]);
    line("a|re|s: 'a.b'", &[r#""a":"a\nb""#], &[r#""a":"ab""#]);
    line("a|re: 'a.b'", &[r#""a":"axb""#], &[r#""a":"a\nb""#]);
    line("a|re|ignorecase|multiline|dotall: '^B.c$'", &[r#""a":"a\nb\nC""#], &[r#""a":"a""#]);
    line(r"a|re: '\\x\*'", &[r#""a":"\\x*""#], &[r#""a":"x""#]);
}

#[test]
fn encodings() {
    line("a|base64: foobar", &[r#""a":"Zm9vYmFy""#], &[r#""a":"foobar""#]);
    line("a|base64|contains: foobar", &[r#""a":"x Zm9vYmFy y""#], &[r#""a":"x""#]);
    // "foobar" with nothing, "x" and "xx" before it.
    line(
        "a|base64offset|contains: foobar",
        &[r#""a":"Zm9vYmFyeA==""#, r#""a":"eGZvb2Jhcg==""#, r#""a":"eHhmb29iYXI=""#],
        &[r#""a":"Zm9vYmF4""#],
    );
    // UTF-16LE "ping".
    line("a|wide|base64offset|contains: ping", &[r#""a":"cABpAG4AZwA=""#], &[r#""a":"cGluZw==""#]);
    line("a|utf16le|base64: ab", &[r#""a":"YQBiAA==""#], &[r#""a":"YWI=""#]);
    line("a|utf16be|base64: ab", &[r#""a":"AGEAYg==""#], &[r#""a":"YWI=""#]);
    line("a|utf16|base64: ab", &[r#""a":"//5hAGIA""#], &[r#""a":"YWI=""#]);
    line("a|wide: ab", &[r#""a":"a\u0000b\u0000""#], &[r#""a":"ab""#]);
}

#[test]
fn numbers_times_and_networks() {
    line("a|gt: 5", &[r#""a":6"#, r#""a":"5.5""#], &[r#""a":5"#, r#""a":"x""#, r#""b":9"#]);
    line("a|gte: 5", &[r#""a":5"#], &[r#""a":4.9"#]);
    line("a|lt: 5", &[r#""a":-1"#], &[r#""a":5"#]);
    line("a|lte: '5'", &[r#""a":5"#], &[r#""a":6"#]);
    line("t|hour|gte: 18", &[r#""t":"2026-11-23T18:00:00Z""#], &[r#""t":"2026-11-23T17:59:59Z""#]);
    line("t|minute: 5", &[r#""t":"2026-11-23 18:05:00.5""#], &[r#""t":"2026-11-23T05:06:00Z""#]);
    line("t|day: [23, 24]", &[r#""t":"2026-11-23""#], &[r#""t":"2026-11-25""#]);
    line("t|week: 48", &[r#""t":"2026-11-23T00:00:00Z""#], &[r#""t":"2026-11-22T00:00:00Z""#]);
    line("t|month|lt: 3", &[r#""t":"2026-02-01T00:00:00Z""#], &[r#""t":"2026-03-01T00:00:00Z""#]);
    line(
        "t|year: 2026",
        &[r#""t":"2026-02-01T00:00:00Z""#],
        &[r#""t":"2025-02-01T00:00:00Z""#, r#""t":"soon""#],
    );
    line(
        "a|cidr: 10.0.0.0/8",
        &[r#""a":"10.255.0.1""#],
        &[r#""a":"11.0.0.1""#, r#""a":"::1""#, r#""a":"10.0.0.0/8""#],
    );
    line("a|cidr: ['fd00::/8', '::1/128']", &[r#""a":"fd12::1""#, r#""a":"::1""#], &[r#""a":"fe80::1""#]);
}

#[test]
fn placeholders_and_references() {
    line(
        "a|expand: '%admins%'",
        &[r#""a":"ROOT""#, r#""a":"admin7""#],
        &[r#""a":"user""#, r#""a":"%admins%""#],
    );
    line("a|contains|expand: 'x-%admins%'", &[r#""a":"u x-root y""#], &[r#""a":"root""#]);
    line("a: '%admins%'", &[r#""a":"%admins%""#], &[r#""a":"root""#]);
    line(
        "a|fieldref: b",
        &[r#""a":"X","b":"x""#, r#""a":5,"b":"5""#],
        &[r#""a":"x","b":"y""#, r#""a":"x""#, r#""b":1"#],
    );
    line("a|fieldref|startswith: b", &[r#""a":"xyz","b":"XY""#], &[r#""a":"xyz","b":"yz""#]);
    line("a|endswith|fieldref: b", &[r#""a":"xyz","b":"yz""#], &[r#""a":"xyz","b":"xy""#]);
    line("a|fieldref|contains: b", &[r#""a":"xyz","b":"y""#], &[r#""a":"xyz","b":"a""#]);
    line("a|fieldref|neq: b", &[r#""a":"x","b":"y""#], &[r#""a":"x","b":"X""#]);
    line("a|fieldref|cased: b", &[r#""a":"x","b":"x""#], &[r#""a":"x","b":"X""#]);
}

#[test]
fn keywords_look_everywhere() {
    let list = "  s: ['evil', 'b?d', 77]\n  condition: s";
    check(
        list,
        &[r#""m":"an EVIL thing""#, r#""n":{"m":["x","bad"]}"#, r#""n":1775"#],
        &[r#""evil":"x""#, r#""m":"good""#],
    );
    check("  s:\n    '|all': [a, b]\n  condition: s", &[r#""m":"xa","n":"b""#], &[r#""m":"a""#]);
    check("  s:\n    '|re': '^a.c$'\n  condition: s", &[r#""m":"abc""#], &[r#""m":"xabc""#]);
    check("  s: evil\n  condition: s", &[r#""m":"evil""#], &[r#""m":"x""#]);
    check("  s: ['evil', {a: b}]\n  condition: s", &[r#""m":"evil""#, r#""a":"b""#], &[r#""a":"c""#]);
    // The routing words are no content.
    check("  s: ['x']\n  condition: s", &[], &[r#""m":"a""#]);
}

#[test]
fn maps_lists_and_conditions() {
    check("  s: {a: 1, b: 2}\n  condition: s", &[r#""a":1,"b":2"#], &[r#""a":1"#]);
    check("  s: [{a: 1}, {b: 2, c: 3}]\n  condition: s", &[r#""a":1"#, r#""b":2,"c":3"#], &[r#""b":2"#]);
    let three = "  sel_a: {a: 1}\n  sel_b: {b: 1}\n  _hidden: {c: 1}\n  condition: ";
    let on =
        |condition: &str, holds: &[&str], not: &[&str]| check(&format!("{three}{condition}"), holds, not);
    on("1 of them", &[r#""b":1"#], &[r#""c":1"#]);
    on("any of them", &[r#""b":1"#], &[r#""c":1"#]);
    on("all of them", &[r#""a":1,"b":1"#], &[r#""a":1,"c":1"#]);
    on("all of sel_*", &[r#""a":1,"b":1"#], &[r#""a":1"#]);
    on("1 of *_a", &[r#""a":1"#], &[r#""b":1"#]);
    on("1 of _hid*", &[r#""c":1"#], &[r#""a":1"#]);
    on("sel_a or sel_b and _hidden", &[r#""a":1"#, r#""b":1,"c":1"#], &[r#""b":1"#]);
    on("(sel_a or sel_b) and _hidden", &[r#""a":1,"c":1"#], &[r#""a":1"#]);
    on("not sel_a and sel_b", &[r#""b":1"#], &[r#""a":1,"b":1"#]);
    on("not (sel_a and sel_b)", &[r#""a":1"#], &[r#""a":1,"b":1"#]);
    on("sel_a and not 1 of _*", &[r#""a":1"#], &[r#""a":1,"c":1"#]);
    on("[sel_a, _hidden]", &[r#""a":1"#, r#""c":1"#], &[r#""b":1"#]);
}

#[test]
fn log_sources_route() {
    let rule = |id: &str, source: &str| {
        (
            id.to_owned(),
            format!(
                "title: T\nid: {id}\nlogsource: {{{source}}}\ndetection: {{s: {{a: 1}}, condition: s}}\n"
            ),
        )
    };
    let documents = [
        rule("product", "product: windows"),
        rule("category", "category: process_creation, product: windows"),
        rule("service", "service: security"),
        rule("linux", "product: linux"),
    ];
    let report = RuleSet::from_documents(documents, &LoadOptions::default());
    let mut matcher = Matcher::new(Arc::new(report.rules), Arc::new(Taxonomies::embedded()), Mode::Sigma);
    let mut asked = |text: &str| {
        let mut found = Vec::new();
        matcher.matches(&Event::parse(text.as_bytes()).unwrap().0, &mut found);
        found.into_iter().map(|found| found.rule).collect::<Vec<_>>()
    };
    assert_eq!(asked(r#"{"a":1,"product":"windows","category":"process_creation"}"#), [0, 1]);
    assert_eq!(asked(r#"{"a":1,"product":"Windows","service":"security"}"#), [0, 2]);
    assert_eq!(asked(r#"{"a":1}"#), Vec::<usize>::new());
}

#[test]
fn a_match_tells_why() {
    let text = "title: T\nid: t\nlogsource: {product: x}\ndetection:\n  sel: {a|contains: [b, zz], c: 1}\n  other: {d: 2}\n  filter: {e: 3}\n  condition: 1 of sel* and (other or sel) and not filter\n";
    let report = RuleSet::from_documents([("t.yml", text)], &LoadOptions::default());
    let mut matcher = Matcher::new(Arc::new(report.rules), Arc::new(Taxonomies::embedded()), Mode::Sigma);
    let mut found = Vec::new();
    matcher.matches(&Event::parse(br#"{"product":"x","a":["q","abc"],"c":1}"#).unwrap().0, &mut found);
    let mut why: Vec<_> = found[0]
        .because
        .iter()
        .map(|one| (one.selection.as_str(), one.field.as_str(), one.value.to_text()))
        .collect();
    why.dedup();
    assert_eq!(why[..2], [("sel", "a", "abc".into()), ("sel", "c", "1".into())]);
}
