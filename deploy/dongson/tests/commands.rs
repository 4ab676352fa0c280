//! The commands as people type them: what they print, and what bad input gets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at its first surprise")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const RULE: &str = "title: Test rule\nid: 11111111-2222-4333-8444-555555555555\nlevel: high\nlogsource:\n  product: windows\n  category: process_creation\ndetection:\n  selection:\n    Image|endswith: '\\evil.exe'\n  condition: selection\n";

fn dongson(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dongson")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        &["up"][..],
        &["detect"],
        &["rules", "check"],
        &["rules", "test"],
        &["rules", "explain"],
        &["rules", "sql"],
        &["drill", "run"],
        &["store", "install"],
        &["admin", "token"],
        &["admin", "key"],
        &["admin", "sensor-owner"],
        &["admin", "backup"],
        &["admin", "restore"],
        &["admin", "trust", "init"],
        &["admin", "trust", "draft"],
        &["admin", "pack", "sign"],
    ] {
        let output = dongson(&[command, &["--help"]].concat());
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("example:"), "{command:?} has no example");
    }
    assert_eq!(dongson(&["no-such-command"]).status.code(), Some(2));
}

#[test]
fn rules_sql_prints_a_question_to_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.yml", &RULE.replace("evil", "e\u{202e}vil"));
    let said = dongson(&["rules", "sql", "--from", "2026-11-01", "--organization", "so-yte", &good]);
    let sql = text(&said.stdout);
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stderr));
    assert!(sql.starts_with("-- Test rule (11111111-2222-4333-8444-555555555555)\nSELECT "), "{sql}");
    assert!(sql.contains("organization_id IN ('so-yte') AND timestamp >= ") && sql.ends_with(";\n"), "{sql}");
    assert!(sql.contains("\\xe2\\x80\\xae") && !sql.contains('\u{202e}'), "{sql}");
    let flat = text(&dongson(&["rules", "sql", "--taxonomy", "sigma", &good]).stdout);
    assert!(flat.contains("rest['product']") && !flat.contains("winlog"), "{flat}");
    let bad =
        write(folder.path(), "bad.yml", &RULE.replace("Image|endswith: '\\evil.exe'", "UtcTime|hour: 3"));
    let refused = dongson(&["rules", "sql", &bad]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stdout).contains("not said in SQL: parts of moments"), "{}", text(&refused.stdout));
}

#[test]
fn rules_check_names_what_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.yml", RULE);
    write(folder.path(), "bad.yml", &RULE.replace("endswith", "endwith"));
    let output = dongson(&["rules", "check", "--format", "json", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["files"].as_u64(), report["compiled"].as_u64()), (Some(2), Some(1)));
    let refused = &report["refused"][0];
    assert!(refused["file"].as_str().unwrap().ends_with("bad.yml"));
    assert!(refused["line"].as_u64().unwrap() > 0);
    assert!(refused["reason"].as_str().unwrap().contains("endwith"), "{refused}");
}

#[test]
fn detect_prints_one_line_per_match() {
    let folder = tempfile::tempdir().unwrap();
    let rule = write(folder.path(), "rule.yml", RULE);
    let events = write(
        folder.path(),
        "events.jsonl",
        "{\"product\":\"windows\",\"category\":\"process_creation\",\"Image\":\"C:\\\\a.exe\"}\nnot json\n{\"product\":\"windows\",\"category\":\"process_creation\",\"Image\":\"C:\\\\Evil.exe\"}\n{\"product\":\"linux\"}\n",
    );
    let output = dongson(&["detect", "--rules", &rule, "--taxonomy", "sigma", "--format", "jsonl", &events]);
    // The broken line is told on standard error, and the exit code says that something could not be read.
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("record 2"), "{}", text(&output.stderr));
    let told = "1 of 3 events have no log source that a rule asks for";
    assert!(text(&output.stderr).contains(told), "{}", text(&output.stderr));
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["event"], 3);
    assert_eq!(lines[0]["rule_id"], "11111111-2222-4333-8444-555555555555");
    assert_eq!(lines[0]["level"], "high");
    assert_eq!(lines[0]["rule_title"], "Test rule");
}

#[test]
fn bad_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let misspelt = write(folder.path(), "bad.toml", "[collector]\nhtpps = \"127.0.0.1:0\"\n");
    let output = dongson(&["up", "--data", data, "--config", &misspelt]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("htpps") && text(&output.stderr).contains("bad.toml"),
        "{}",
        text(&output.stderr)
    );

    let output = dongson(&["drill", "run", "--data", data]);
    assert!(text(&output.stderr).contains("dongson up --data"), "{}", text(&output.stderr));

    let output = dongson(&["admin", "token", "--data", data, "xa-a", "gw"]);
    assert!(text(&output.stderr).contains("start `dongson up"), "{}", text(&output.stderr));

    let output = dongson(&["detect", "--rules", "/nowhere", "file.jsonl"]);
    assert!(text(&output.stderr).contains("/nowhere"), "{}", text(&output.stderr));
}

#[test]
fn values_without_sense_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (text_of_file, said) in [
        ("[bus]\nmax_bytes = 1\n", "bus.max_bytes: 1 makes no sense: 1073741824 to "),
        ("[collector.limits]\nconnections = 0\n", "collector.limits.connections: 0 makes no sense"),
        (
            "[console]\ncertificate = { chain = \"/nowhere/chain.pem\", key = \"/nowhere/key.pem\" }\n",
            "console.certificate.chain: /nowhere/chain.pem: No such file",
        ),
    ] {
        let config = write(folder.path(), "strange.toml", text_of_file);
        let output = dongson(&["up", "--data", data.to_str().unwrap(), "--config", &config]);
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert!(error.contains(said) && error.contains("strange.toml"), "{error}");
        assert!(error.matches("/nowhere").count() < 2, "{error}");
        assert!(!data.exists());
    }
}

#[test]
fn an_unknown_agency_or_an_odd_life_of_a_token_is_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    assert!(dongson(&["admin", "first-password", "--data", data]).status.success());
    let refused = |args: &[&str], said: &str| {
        let output = dongson(&[&["admin"][..], args, &["--data", data]].concat());
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(said), "{error}");
    };
    for args in [["token", "nosuch", "gw"], ["key", "nosuch", "web"]] {
        refused(&args, "there is no agency with the id \"nosuch\"");
    }
    assert!(
        dongson(&["admin", "agency", "--data", data, "xa-a", "UBND xã A", "--name-en", "A"]).status.success()
    );
    for args in [["token", "nosuch", "gw"], ["key", "nosuch", "web"]] {
        refused(&args, "there is no agency with the id \"nosuch\"; there are: xa-a");
    }
    let listed = dongson(&["admin", "agencies", "--data", data, "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["id"], "xa-a");
    assert_eq!(listed[0]["name"], "UBND xã A");
    assert_eq!(listed[0]["level"], 1);
    for hours in ["0", "169"] {
        refused(&["token", "xa-a", "gw", "--hours", hours], "--hours");
    }
    assert!(text(&dongson(&["admin", "token", "--help"]).stdout).contains("1 to 168"));
}

#[test]
fn a_drill_without_its_program_says_how_to_start_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let running = serde_json::json!({ "process": 1, "console": "https://127.0.0.1:1", "collector": closed });
    write(folder.path(), "running.json", &running.to_string());
    let output = dongson(&["drill", "run", "--data", data]);
    let error = text(&output.stderr);
    assert!(!output.status.success() && error.contains("does not run"), "{error}");
    assert!(error.contains(&format!("start `dongson up --data {data}`")), "{error}");
}

#[test]
fn an_absent_engine_is_told_what_can_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let file = "metrics = \"off\"\n[store]\nengine = \"/nonexist.so\"\n";
    let config = write(folder.path(), "engine.toml", file);
    let data = folder.path().join("data");
    let output = dongson(&["up", "--data", data.to_str().unwrap(), "--config", &config]);
    let error = text(&output.stderr);
    assert!(error.contains("/nonexist.so") && error.contains("leave `[store] engine` out"), "{error}");
    assert!(!error.contains("ClickHouse server"), "{error}");
}

#[test]
fn errors_of_an_inventory_name_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    assert!(dongson(&["admin", "first-password", "--data", data]).status.success());
    assert!(
        dongson(&["admin", "agency", "--data", data, "xa-a", "UBND xã A", "--name-en", "A"]).status.success()
    );
    for (name, content, said) in [
        (
            "a.csv",
            "organization,name,level,host\nxa-a,may-1,1,m1\nxa-a,may-2,nine,m2\n",
            "line 3: level \"nine\"",
        ),
        ("a.csv", "organization,name,level,host\n\nxa-a,may-1,7,m1\n", "line 3: asset \"may-1\": level"),
        ("a.csv", "organization,name,colour\n", "line 1: header"),
        (
            "a.csv",
            "organization,name,level,host\nxa-b,may-1,1,m1\n",
            "line 2: asset \"may-1\": there is no agency \"xa-b\"",
        ),
        (
            "a.toml",
            "[[asset]]\nname = 'x'\norganization = 'xa-a'\nlevel = 1\n",
            "line 1: asset \"x\": address",
        ),
        ("a.toml", "[[asset]]\nname = 'x'\nlevel = \"one\"\n", "line 3"),
        ("a.xlsx", "", "a .csv or a .toml file"),
    ] {
        let file = write(folder.path(), name, content);
        let output = dongson(&["admin", "inventory", "--data", data, &file]);
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert!(error.contains(&file) && error.contains(said), "{error}");
    }
    let file = write(folder.path(), "b.csv", "organization,name,level,host\nxa-a,may-1,1,m1\n");
    assert!(dongson(&["admin", "inventory", "--data", data, &file]).status.success());
    fs::write(folder.path().join("c.csv"), b"organization,name,level\nxa-a,\xff,1\n").unwrap();
    let file = folder.path().join("c.csv");
    let output = dongson(&["admin", "inventory", "--data", data, file.to_str().unwrap()]);
    assert!(text(&output.stderr).contains("c.csv: line 2: is not UTF-8"), "{}", text(&output.stderr));
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = write(
        folder.path(),
        "taken.toml",
        &format!(
            "metrics = \"off\"\n[console]\nlisten = \"127.0.0.1:0\"\n[collector]\nhttps = \"{address}\"\nsyslog_udp = \"off\"\nsyslog_tcp = \"off\"\nsyslog_tls = \"off\"\nrelp = \"off\"\n"
        ),
    );
    let data = folder.path().join("data");
    let output = dongson(&["up", "--data", data.to_str().unwrap(), "--config", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address.to_string()), "{}", text(&output.stderr));
}

#[test]
fn a_missing_engine_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        write(folder.path(), "c.toml", "metrics = \"off\"\n[store]\nengine = \"/nowhere/libchdb.so\"\n");
    let data = folder.path().join("data");
    let output = dongson(&["up", "--data", data.to_str().unwrap(), "--config", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("fetch-engine"), "{}", text(&output.stderr));
}

#[test]
fn the_drill_writes_the_same_attack_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("drill");
    let output = dongson(&["drill", "write", to.to_str().unwrap(), "--seed", "7"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 5);
    assert!(fs::metadata(to.join("portal.pcap")).unwrap().len() > 100_000);
}

/// The offline root as a centre keeps it: made, used, and all its keys changed.
#[test]
fn the_root_of_trust_is_made_and_rotated() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (data, keys, next) = (at("data"), at("keys"), at("next.json"));
    let run = |arguments: &[&str]| {
        let output = dongson(&[&["admin"], arguments].concat());
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let good = |arguments: &[&str]| {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    };
    let bad = |arguments: &[&str], words: &str| {
        let (code, said) = run(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    good(&["first-password", "--data", &data]);
    bad(&["trust", "show", "--data", &data], "dongson admin trust init");
    good(&["trust", "init", "--data", &data, "--keys", &keys]);
    bad(&["trust", "init", "--data", &data, "--keys", &keys], "there is root document 1 already");
    assert!(good(&["trust", "show", "--data", &data]).contains("root document 1, ends 20"));
    let key = |name: &str| format!("{keys}/{name}.key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(key("root-1")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    // A pack under the content key, and what is no such pack.
    let (pack, manifest) = (at("iocs"), at("manifest.json"));
    let lists = at("lists");
    fs::create_dir(&lists).unwrap();
    bad(&["pack", "make", &lists, &pack, "--kind", "intel"], "has nothing for a pack of this kind");
    fs::write(format!("{lists}/bad.yml"), "title: no rule").unwrap();
    bad(&["pack", "make", &lists, &pack, "--kind", "rules"], "1 of its rules or indicators are refused");
    assert!(!std::path::Path::new(&pack).exists());
    fs::write(format!("{lists}/cert.csv"), "203.0.113.7\nbad.example\n").unwrap();
    assert!(good(&["pack", "make", &lists, &pack, "--kind", "intel"]).contains("2 indicators"));
    let sign = |version: &str, signer: &str| {
        let (key, kind) = (key(signer), ["--name", "iocs", "--kind", "intel", "--version", version, "--key"]);
        good(&[&["pack", "sign", &pack, &manifest], &kind[..], &[&key]].concat());
    };
    let publish = ["pack", "publish", "--data", &data, &pack, &manifest];
    sign("2", "root-1");
    bad(&publish, "signed by 0 of the 1 keys that content needs");
    sign("2", "content");
    good(&publish);
    bad(&publish, "versions only go up");
    assert!(good(&["pack", "list", "--data", &data]).contains("iocs"));
    sign("3", "content");
    fs::write(&pack, "changed").unwrap();
    bad(&publish, "is not the pack that");

    // All three root keys change; the centre's key too.
    let fresh: Vec<String> = (1..=3).map(|number| at(&format!("new-{number}.key"))).collect();
    let public: Vec<String> = fresh
        .iter()
        .map(|file| good(&["trust", "key", file]).trim().strip_prefix("public ").unwrap().to_owned())
        .collect();
    let mut draft = vec!["trust", "draft", "--data", &data, &next, "--new-centre-key"];
    draft.extend(public.iter().flat_map(|key| ["--root-key", key.as_str()]));
    bad(&draft[..draft.len() - 2], "2 root keys are named: there must be 3");
    fs::remove_file(&next).ok();
    good(&draft);
    let publish = ["trust", "publish", "--data", &data, &next];
    bad(&publish, "signed by 0 of the 2 keys that root needs");
    for file in &fresh[..2] {
        good(&["trust", "sign", &next, "--key", file]);
    }
    bad(&publish, "as the present root document demands");
    good(&["trust", "sign", &next, "--key", &key("root-1")]);
    good(&["trust", "sign", &next, "--key", &key("root-3")]);
    good(&publish);
    assert!(good(&["trust", "show", "--data", &data]).contains("root document 2, ends 20"));
    bad(&publish, "root document 2 does not follow 2");
    fs::write(&next, fs::read_to_string(&next).unwrap().replace("\"sig\": \"", "\"sig\": \"AAAA")).unwrap();
    bad(&publish, "the signature of key");
}

#[test]
fn a_backup_is_restored_into_an_empty_place_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, other, backup) = (path("data"), path("other"), path("backup"));
    assert!(dongson(&["admin", "first-password", "--data", &data]).status.success());
    assert!(
        dongson(&["admin", "agency", "--data", &data, "xa-a", "UBND xã A", "--name-en", "A"])
            .status
            .success()
    );
    let made = dongson(&["admin", "backup", "--data", &data, &backup]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let refused = |args: &[&str], said: &str| {
        let output = dongson(&[&["admin"][..], args].concat());
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(said), "{error}");
    };
    refused(&["backup", "--data", &data, &backup], "is not empty");
    refused(&["restore", "--data", &data, &backup], "is not empty: table account has rows");
    refused(
        &["restore", "--data", &other, &path("nothing")],
        "it is no backup, or one that was not finished",
    );
    let restored = dongson(&["admin", "restore", "--data", &other, &backup]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    for data in [&data, &other] {
        let listed = dongson(&["admin", "agencies", "--data", data, "--format", "json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(listed[0]["id"], "xa-a");
    }
    // The next backup, of what was restored, has the same tables.
    let again = path("again");
    assert!(dongson(&["admin", "backup", "--data", &other, &again]).status.success());
    let tables = |backup: &str| {
        let manifest = fs::read(Path::new(backup).join("manifest.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&manifest).unwrap()["registry"].clone()
    };
    assert_eq!(tables(&backup), tables(&again));
}
