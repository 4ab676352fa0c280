//! `dongson detect` and `dongson rules explain` as people at a desk use them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at its first surprise")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

const RULES: &str = "title: Evil program
id: 11111111-2222-4333-8444-555555555555
level: high
tags: [attack.execution, attack.t1059.001]
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: '\\evil.exe'}
  condition: selection
---
title: Any program
id: 22222222-2222-4333-8444-555555555555
name: any_program
level: low
tags: [attack.discovery]
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|contains: '.exe'}
  condition: selection
---
title: Many programs
id: 33333333-2222-4333-8444-555555555555
level: critical
correlation:
  type: event_count
  rules: [any_program]
  group-by: [Computer]
  timespan: 10m
  generate: true
  condition: {gte: 7}
";

fn dongson(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dongson")).args(arguments).output().unwrap()
}

fn fed(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dongson"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn event(number: u64, image: &str) -> String {
    format!(
        "{{\"product\":\"windows\",\"category\":\"process_creation\",\"Image\":{},\"Computer\":\"pc-{}\",\"UtcTime\":\"2026-11-23 08:{:02}:{:02}\"}}",
        Json::from(image),
        number % 5,
        number / 60 % 60,
        number % 60
    )
}

fn events(count: u64) -> String {
    let image = |number| if number % 9 == 0 { "C:\\Evil.EXE" } else { "C:\\a.exe" };
    let mut text: String = (0..count).map(|number| event(number, image(number)) + "\n").collect();
    text.push_str("no json\n");
    text
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

fn lines(output: &Output) -> Vec<Json> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn threads_and_packing_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rules = write(folder.path(), "rules.yml", RULES);
    // Long enough for many parts.
    let all = events(9_000);
    let plain = write(folder.path(), "events.jsonl", &all);
    let run = |threads: &str, format: &str, file: &str| {
        let output = dongson(&[
            "detect",
            "--rules",
            &rules,
            "--taxonomy",
            "sigma",
            "--format",
            format,
            "--threads",
            threads,
            "-q",
            file,
        ]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("record 9001"), "{}", text(&output.stderr));
        output.stdout
    };
    let one = run("1", "jsonl", &plain);
    assert!(one.len() > 1_000_000);
    for threads in ["2", "5", "16"] {
        assert!(run(threads, "jsonl", &plain) == one, "{threads} threads");
    }
    for format in ["table", "csv", "html"] {
        assert!(run("1", format, &plain) == run("4", format, &plain), "{format}");
    }
    let numbered = |bytes: Vec<u8>| {
        text(&bytes).replace("events.jsonl.zst", "events.jsonl").replace("events.jsonl.gz", "events.jsonl")
    };
    let packed = write(folder.path(), "events.jsonl.zst", zstd::encode_all(all.as_bytes(), 1).unwrap());
    assert!(numbered(run("3", "jsonl", &packed)) == text(&one));
    let packed = write(folder.path(), "events.jsonl.gz", gzip(all.as_bytes()));
    assert!(numbered(run("3", "jsonl", &packed)) == text(&one));
    let hits: Vec<Json> = text(&one).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let critical = hits.iter().filter(|hit| hit["level"] == "critical").count();
    assert!(critical > 0, "the correlation is never reached");
    assert_eq!(hits.iter().filter(|hit| hit["rule_title"] == "Evil program").count(), 1_000);
    assert_eq!((&hits[0]["event"], &hits[0]["host"]), (&Json::from(1), &Json::from("pc-0")));
}

#[test]
fn folders_are_walked_in_order_and_what_is_unknown_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let rules = write(folder.path(), "rules.yml", RULES);
    let case = folder.path().join("case");
    write(&case, "b/two.json", format!("[{},\n{}]", event(1, "C:\\x.txt"), event(2, "C:\\evil.exe")));
    write(&case, "a.json.gz", gzip(format!("\n{}\n", event(1, "C:\\evil.exe")).as_bytes()));
    write(&case, "c/notes.txt", "nothing for us");
    write(&case, "c/empty", "");
    write(&case, "c/broken.evtx", b"ElfFile\0but not really");
    let output = dongson(&[
        "detect",
        "--rules",
        &rules,
        "--taxonomy",
        "sigma",
        "--format",
        "jsonl",
        case.to_str().unwrap(),
    ]);
    let complaints = text(&output.stderr);
    let evil: Vec<(String, u64)> = lines(&output)
        .iter()
        .filter(|hit| hit["rule_title"] == "Evil program")
        .map(|hit| (hit["file"].as_str().unwrap().to_owned(), hit["event"].as_u64().unwrap()))
        .collect();
    assert_eq!(evil.len(), 2, "{complaints}");
    assert!(evil[0].0.ends_with("a.json.gz") && evil[0].1 == 2, "{evil:?}");
    assert!(evil[1].0.ends_with("two.json") && evil[1].1 == 2, "{evil:?}");
    assert!(
        complaints.contains("notes.txt: skipped: neither JSON, EVTX nor a packet capture"),
        "{complaints}"
    );
    assert!(complaints.contains("2 files of folders were skipped"), "{complaints}");
    assert!(complaints.contains("broken.evtx"), "{complaints}");
    assert!(complaints.contains("matches of 2 rules in 3 events of 3 files"), "{complaints}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn standard_input_is_told_by_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let rules = write(folder.path(), "rules.yml", RULES);
    let arguments = ["detect", "--rules", &rules, "--taxonomy", "sigma", "--format", "jsonl", "-"];
    let array = format!("[{}]", event(1, "C:\\evil.exe"));
    for input in
        [array.clone().into_bytes(), gzip(array.as_bytes()), zstd::encode_all(array.as_bytes(), 1).unwrap()]
    {
        let output = fed(&arguments, &input);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(lines(&output).len(), 2);
    }
    // The drill's capture through a pipe gives what the file gives.
    let drill = folder.path().join("drill");
    assert!(dongson(&["drill", "write", drill.to_str().unwrap(), "--seed", "7"]).status.success());
    let capture = drill.join("portal.pcap");
    let rule = write(
        folder.path(),
        "net.yml",
        "title: Any request\nid: net\nlogsource: {category: webserver}\ndetection:\n  s: {cs-method|exists: true}\n  condition: s\n",
    );
    let arguments = |file| ["detect", "--rules", &rule, "--format", "jsonl", "-q", file];
    let from_file = lines(&dongson(&arguments(capture.to_str().unwrap())));
    let from_pipe = lines(&fed(&arguments("-"), &fs::read(&capture).unwrap()));
    let packed = zstd::encode_all(fs::read(&capture).unwrap().as_slice(), 1).unwrap();
    let from_packed = lines(&fed(&arguments("-"), &packed));
    assert!(!from_file.is_empty());
    let places = |hits: &[Json]| hits.iter().map(|hit| hit["event"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(places(&from_file), places(&from_pipe));
    assert_eq!(places(&from_file), places(&from_packed));
}

#[test]
fn levels_times_and_costs() {
    let folder = tempfile::tempdir().unwrap();
    let rules = write(folder.path(), "rules.yml", RULES);
    let good = events(600).replace("no json\n", "");
    let file = write(folder.path(), "events.jsonl", good);
    let run = |more: &[&str]| {
        let head = ["detect", "--rules", &rules, "--taxonomy", "sigma", "--format", "jsonl"];
        let output = dongson(&[&head[..], more, &[&file]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        output
    };
    let all = lines(&run(&[]));
    let high = lines(&run(&["--level", "high"]));
    let wanted = all.iter().filter(|hit| hit["level"] == "high" || hit["level"] == "critical").count();
    assert_eq!(high.len(), wanted);
    // Rules below the level still feed correlations.
    assert!(high.iter().any(|hit| hit["level"] == "critical"));
    let some = lines(&run(&["--from", "2026-11-23T15:02:00+07:00", "--to", "2026-11-23T08:03:00Z"]));
    let minute = |hit: &Json| hit["timestamp"].as_str().unwrap().contains("T08:02:");
    assert!(!some.is_empty() && some.iter().all(minute));
    assert_eq!(some.iter().filter(|hit| hit["level"] == "low").count(), 60);
    let quiet = run(&["-q"]);
    assert_eq!(text(&quiet.stderr), "");
    let stats = run(&["-q", "--stats=json", "--threads", "1"]);
    let usage: Json = serde_json::from_slice(&stats.stderr).unwrap();
    assert_eq!((&usage["events"], &usage["threads"], &usage["rules"]), (&600.into(), &1.into(), &3.into()));
    assert!(usage["candidates_per_event"].as_f64().unwrap() >= 1.0, "{usage}");
    assert_eq!(usage["dearest_by_candidate_evaluations"][0]["rule_title"], "Any program");
    let told = text(&run(&["--stats"]).stderr);
    assert!(told.contains("events per processor second") && told.contains("by level: critical"), "{told}");
    assert_eq!(dongson(&["detect", "--rules", &rules, "--level", "awful", &file]).status.code(), Some(2));
    assert_eq!(dongson(&["detect", "--rules", &rules, "--from", "then", &file]).status.code(), Some(2));
}

#[test]
fn nothing_of_a_log_runs_in_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let rules = write(folder.path(), "rules.yml", RULES);
    let hostile =
        event(1, "</script><script>alert(1)</script>\\evil.exe").replace("pc-1", "=cmd|'/c calc'!A1");
    let file = write(folder.path(), "events.jsonl", hostile);
    let to = folder.path().join("found.html");
    for lang in ["vi", "en"] {
        let output = dongson(&[
            "detect",
            "--rules",
            &rules,
            "--taxonomy",
            "sigma",
            "--format",
            "html",
            "--lang",
            lang,
            "--output",
            to.to_str().unwrap(),
            "-q",
            &file,
        ]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{}", text(&output.stderr));
        let page = fs::read_to_string(&to).unwrap();
        assert_eq!(page.matches("<script").count(), 1);
        assert!(!page.contains("http://") && !page.contains("https://"), "the page needs a network");
        assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"));
        assert!(page.contains("Content-Security-Policy") && page.contains("T1059.001"));
        assert!(page.contains(if lang == "vi" { "Dòng thời gian" } else { "Timeline by host" }));
    }
    let output =
        dongson(&["detect", "--rules", &rules, "--taxonomy", "sigma", "--format", "csv", "-q", &file]);
    let table = text(&output.stdout);
    assert!(table.starts_with("timestamp,level,rule_title,rule_id,host,"), "{table}");
    assert!(table.contains("\"'=cmd|'/c calc'!A1\""), "{table}");
}

#[test]
fn placeholders_get_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let rule = write(
        folder.path(),
        "rule.yml",
        "title: Servers\nid: servers\nlogsource: {product: windows}\ndetection:\n  s: {Computer|expand: '%Servers%'}\n  condition: s\n",
    );
    let values = write(folder.path(), "values.yml", "placeholders:\n  Servers: [srv*, dc1]\n");
    let file = write(folder.path(), "e.jsonl", "{\"product\":\"windows\",\"Computer\":\"SRV-7\"}\n");
    assert_eq!(dongson(&["rules", "check", &rule]).status.code(), Some(1));
    assert_eq!(dongson(&["rules", "check", "--values", &values, &rule]).status.code(), Some(0));
    let arguments = ["detect", "--rules", &rule, "--taxonomy", "sigma", "--format", "jsonl", &file];
    assert_eq!(dongson(&arguments).status.code(), Some(1));
    let output = dongson(&[&arguments[..], &["--values", &values]].concat());
    assert_eq!(lines(&output).len(), 1, "{}", text(&output.stderr));
    let missing = dongson(&["rules", "check", "--values", "/nowhere.yml", &rule]);
    assert!(text(&missing.stderr).contains("/nowhere.yml"), "{}", text(&missing.stderr));
}

#[test]
fn explain_tells_which_part_held() {
    let folder = tempfile::tempdir().unwrap();
    let rule = write(folder.path(), "rule.yml", RULES.split("---").next().unwrap());
    let all = write(folder.path(), "rules.yml", RULES);
    let file = write(
        folder.path(),
        "e.jsonl",
        format!("{}\n\n{}\nbroken\n", event(1, "C:\\evil.exe"), event(2, "C:\\good.exe\u{1b}[2J")),
    );
    let sigma = ["rules", "explain", "--taxonomy", "sigma"];
    let run = |more: &[&str]| dongson(&[&sigma[..], more].concat());
    let holds = run(&[&rule, &file]);
    assert_eq!(holds.status.code(), Some(0), "{}", text(&holds.stderr));
    assert!(text(&holds.stdout).contains("Evil program (11111111-2222-4333-8444-555555555555): fires"));
    let not = run(&[&rule, &format!("{file}:3")]);
    assert_eq!(not.status.code(), Some(1), "{}", text(&not.stderr));
    let told = text(&not.stdout);
    assert!(told.contains("does not fire") && told.contains("- Image = "), "{told}");
    assert!(told.contains("good.exe") && !told.contains('\u{1b}'), "{told}");
    let json = run(&[
        "--format",
        "json",
        "--rules",
        &all,
        "11111111-2222-4333-8444-555555555555",
        &format!("{file}:3"),
    ]);
    let explained: Json = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.status.code(), &explained["fires"]), (Some(1), &Json::from(false)));
    let piped = fed(&[&sigma[..], &[&rule, "-"]].concat(), event(1, "C:\\evil.exe").as_bytes());
    assert_eq!(piped.status.code(), Some(0), "{}", text(&piped.stderr));
    for (arguments, said) in [
        ([rule.as_str(), "/nowhere.json"], "/nowhere.json"),
        ([rule.as_str(), &format!("{file}:4")], "record 4"),
        ([rule.as_str(), &format!("{file}:99")], "no record 99"),
        (["no-such-rule", file.as_str()], "--rules"),
        ([all.as_str(), file.as_str()], "holds 2 rules"),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
    let output = run(&["--rules", &all, "Many programs", &file]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(told.contains("this event is counted") && told.contains("as a match of:"), "{told}");
    let other = event(1, "C:\\a.dll");
    let output = fed(&[&sigma[..], &["--rules", &all, "Many programs", "-"]].concat(), other.as_bytes());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("this event is not counted"), "{}", text(&output.stdout));
}
