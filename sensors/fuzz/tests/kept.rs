//! What fuzzing found once is run again, every parser has a target, and a short run with a fixed seed finds nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use dongson_sensor_fuzz::fuzz::{self, Budget};
use dongson_sensor_fuzz::seed::{self, Transport};
use dongson_sensor_fuzz::talk::{Talk, UNKNOWN};
use dongson_sensor_fuzz::target::protocol::Protocol;
use dongson_sensor_fuzz::{guard, target};
use fastrand::Rng;

/// Executions of each target in the short run.
const SHORT: u64 = 400;
/// What the parsers share, and what leads to them: every target goes through it.
const MACHINERY: &[&str] = &[
    "der.rs",
    "detect",
    "dissect.rs",
    "file.rs",
    "frames.rs",
    "kinds.rs",
    "le.rs",
    "lines.rs",
    "mod.rs",
    "pe.rs",
    "secret.rs",
    "sniff.rs",
    "talk.rs",
    "tcp.rs",
    "tests.rs",
    "udp.rs",
    "upgrade.rs",
    "wire.rs",
];

fn protocols() -> Vec<Protocol> {
    seed::all().unwrap().into_iter().map(Protocol::new).collect()
}

#[test]
fn what_was_found_is_mended() {
    let mut targets = target::all().unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(seed::home().join("crashes")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some((target, _)) = name.rsplit_once('-') else { continue };
        let target = targets.iter_mut().find(|known| known.name() == target);
        let target = target.unwrap_or_else(|| panic!("{name}: no target is called so"));
        if let Err(what) = guard::run(target.as_mut(), &fs::read(&path).unwrap()) {
            wrong.push(format!("{name}: {what}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{count} kept findings ran again");
}

#[test]
fn a_short_run_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for mut target in target::all().unwrap() {
        let budget = Budget { executions: SHORT, time: Duration::from_mins(1) };
        let outcome =
            fuzz::run(target.as_mut(), Vec::new(), &mut Rng::with_seed(7), budget, folder.path()).unwrap();
        assert!(outcome.found.is_empty(), "{}: {:?}", target.name(), outcome.found);
        println!("{}: {} executions in {:?}", target.name(), outcome.executions, outcome.time);
    }
}

#[test]
fn each_written_conversation_reaches_its_parser() {
    let mut wrong = Vec::new();
    for protocol in protocols() {
        for (number, talk) in protocol.talks().iter().enumerate() {
            let unknown = Talk { service: talk.service | UNKNOWN, ..talk.clone() };
            let (_, service) = *protocol.services().get(usize::from(talk.service)).unwrap();
            let (events, found) = protocol.events(&unknown, None);
            // A service is told with what it turned into; some have a better name than the one they were found by.
            let names: Vec<&str> = found.unwrap_or("nothing").split(',').collect();
            let is_named = names.iter().any(|name| *name == service || aliases(service).contains(name));
            if events.is_empty() || !is_named {
                wrong.push(format!("{service}, conversation {number}: {found:?}, {} events", events.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a service is called once more of it was read.
fn aliases(service: &str) -> &[&str] {
    match service {
        "dtls" => &["ssl"],
        "rpc" => &["nfs", "portmapper"],
        "cotp" => &["s7comm", "s7comm-plus"],
        _ => &[],
    }
}

/// The names in `dissect.rs` for which there is a parser: transport and service.
fn parsers() -> BTreeSet<(Transport, String)> {
    let text = fs::read_to_string(seed::home().join("../src/protocol/dissect.rs")).unwrap();
    let mut all: BTreeSet<_> = [
        // These have their own places in `tcp.rs` and `udp.rs`.
        (Transport::Tcp, "ssl"),
        (Transport::Tcp, "http"),
        (Transport::Tcp, "http2"),
        (Transport::Tcp, "dns"),
        (Transport::Tcp, "socks"),
        (Transport::Udp, "dns"),
        (Transport::Udp, "quic"),
        (Transport::Udp, "dtls"),
        (Transport::Udp, "ssdp"),
    ]
    .map(|(transport, name)| (transport, name.to_owned()))
    .into();
    let mut transport = None;
    for line in text.lines() {
        if line.contains("fn stream(") {
            transport = Some(Transport::Tcp);
        } else if line.contains("fn datagrams(") {
            transport = Some(Transport::Udp);
        } else if line.starts_with('}') {
            transport = None;
        } else if let (Some(transport), Some((names, _))) = (transport, line.split_once("=>")) {
            all.extend(names.split('"').skip(1).step_by(2).map(|name| (transport, name.to_owned())));
        }
    }
    assert!(all.len() > 35, "dissect.rs was read: {all:?}");
    all
}

#[test]
fn every_parser_has_a_target() {
    let known: BTreeSet<_> = seed::all().unwrap().into_iter().flat_map(|seed| seed.services).collect();
    let missing: Vec<_> = parsers().into_iter().filter(|parser| !known.contains(parser)).collect();
    assert!(missing.is_empty(), "write conversations in sensors/fuzz/seeds/ for {missing:?}");
}

#[test]
fn every_file_of_a_parser_is_named_by_a_target() {
    let root = seed::home().join("../src/protocol");
    let reads: Vec<String> = seed::all().unwrap().into_iter().flat_map(|seed| seed.reads).collect();
    for path in &reads {
        let there = root.join(path).is_dir() || root.join(path).with_extension("rs").is_file();
        assert!(there, "sensors/fuzz/seeds names {path:?}, which is not there");
    }
    let mut named = MACHINERY.to_vec();
    named.extend(reads.iter().map(String::as_str));
    let mut files = Vec::new();
    collect(&root, "", &mut files);
    files.retain(|file| {
        let is_room = file.ends_with("/mod.rs") && file.matches('/').count() == 1;
        !is_room && !named.iter().any(|path| is_below(file, path))
    });
    assert!(files.is_empty(), "no `reads` in sensors/fuzz/seeds names {files:?}");
}

/// Whether `file` is `path` (which may lack its `.rs`) or lies in it.
fn is_below(file: &str, path: &str) -> bool {
    file.strip_prefix(path.trim_end_matches(".rs"))
        .is_some_and(|rest| matches!(rest, "" | ".rs") || rest.starts_with('/'))
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files);
        } else {
            files.push(name);
        }
    }
}
