//! Every capture of the developer set against what other programs said about it.
//!
//! The folder is `DONGSON_PCAP_DIR`, else `data/pcap` of the shared folder (`DONGSON_SHARED`, else `../shared` beside the
//! workspace); where it is missing the test says so and passes. Its README says when a fact holds. [`table`] is the one
//! place where names are translated and where a difference in meaning is settled, with its reason; the run prints how many
//! facts each such line touched. `DONGSON_FAILURES=zeek/x509,ndpi/tls` prints the core facts of these sources and kinds that do not hold.

mod capture;
mod compare;
mod fact;
mod table;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;

use compare::{Judge, Verdict};
use fact::Fact;

/// The least share of core facts that must hold, in percent, for each source and kind.
const FLOORS: &[(&str, &str, u32)] = &[
    ("community-id-spec", "community_id", 100),
    ("ja4", "fingerprint", 94),
    ("ndpi", "conn", 96),
    ("ndpi", "quic", 86),
    ("ndpi", "tls", 95),
    ("suricata-verify", "anomaly", 73),
    ("suricata-verify", "conn", 76),
    ("suricata-verify", "dns", 100),
    ("suricata-verify", "fileinfo", 85),
    ("suricata-verify", "http", 88),
    ("suricata-verify", "smtp", 91),
    ("suricata-verify", "tls", 100),
    ("tshark", "conn", 100),
    ("tshark", "dns", 99),
    ("tshark", "http", 99),
    ("tshark", "tls", 100),
    ("zeek", "conn", 93),
    ("zeek", "dns", 100),
    ("zeek", "files", 75),
    ("zeek", "http", 100),
    ("zeek", "smtp", 100),
    ("zeek", "tls", 100),
    ("zeek", "tunnel", 95),
    ("zeek", "x509", 72),
];

/// Facts tried and held.
#[derive(Default, Clone, Copy)]
struct Score {
    tried: u32,
    held: u32,
}

impl Score {
    fn count(&mut self, held: bool) {
        self.tried += 1;
        self.held += u32::from(held);
    }

    fn percent(self) -> f64 {
        f64::from(self.held) * 100.0 / f64::from(self.tried.max(1))
    }
}

fn folder() -> Option<PathBuf> {
    let shared = || {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
        std::env::var_os("DONGSON_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from)
    };
    let folder =
        std::env::var_os("DONGSON_PCAP_DIR").map_or_else(|| shared().join("data/pcap"), PathBuf::from);
    folder.join("expect.jsonl").is_file().then_some(folder)
}

#[test]
fn captures_agree_with_other_programs() {
    let Some(folder) = folder() else {
        println!("skipped: no capture set (set DONGSON_PCAP_DIR)");
        return;
    };
    let read = capture::read_all(&folder);
    println!("{} captures read, {} cut or damaged, none crashed", read.files, read.warnings);
    assert!(read.unknown_names.is_empty(), "not in the table of fields: {:?}", read.unknown_names);
    let mut facts = fact::load(&folder.join("expect.jsonl"));
    facts.sort_by(|one, other| one.capture.cmp(&other.capture));
    let wanted = std::env::var("DONGSON_FAILURES").unwrap_or_default();
    let mut scores: BTreeMap<(String, String, String), Score> = BTreeMap::new();
    let mut judge = Judge::new(&folder);
    let mut uncompared: BTreeMap<&str, u32> = BTreeMap::new();
    for fact in &facts {
        if table::dataset(&fact.kind).is_none() {
            *uncompared.entry(&fact.kind).or_default() += u32::from(fact.profile == "core");
            continue;
        }
        let verdict = judge.judge(fact);
        let key = (fact.kind.clone(), fact.source.clone(), fact.profile.clone());
        scores.entry(key).or_default().count(verdict.holds());
        let name = format!("{}/{}", fact.source, fact.kind);
        if fact.profile == "core" && wanted.split(',').any(|wanted| wanted == name) {
            explain(fact, &verdict);
        }
    }
    print_scores(&scores);
    print_whole(&scores, &uncompared);
    judge.print_touched();
    for (source, kind, floor) in FLOORS {
        let key = ((*kind).to_owned(), (*source).to_owned(), "core".to_owned());
        let Some(score) = scores.get(&key) else { continue };
        assert!(
            score.percent() >= f64::from(*floor),
            "{source}/{kind}: {:.1} % of {} core facts hold, the floor is {floor} %",
            score.percent(),
            score.tried
        );
    }
}

#[expect(clippy::print_stdout, reason = "asked for by an environment variable")]
fn explain(fact: &Fact, verdict: &Verdict) {
    if let Verdict::Fails(why) = verdict {
        println!("FAIL {} [{}] {why}", fact.capture, fact.test);
    }
}

/// All core facts together; those of kinds that are not compared yet do not hold.
#[expect(clippy::print_stdout, reason = "the scores are what the run is for")]
fn print_whole(scores: &BTreeMap<(String, String, String), Score>, uncompared: &BTreeMap<&str, u32>) {
    let mut whole = Score { tried: uncompared.values().sum(), held: 0 };
    for (_, score) in scores.iter().filter(|((_, _, profile), _)| profile == "core") {
        whole.tried += score.tried;
        whole.held += score.held;
    }
    println!("core facts of kinds that are not compared yet: {uncompared:?}");
    println!("all core facts: {} tried, {} held, {:.1} %", whole.tried, whole.held, whole.percent());
}

#[expect(clippy::print_stdout, reason = "the scores are what the run is for")]
fn print_scores(scores: &BTreeMap<(String, String, String), Score>) {
    println!("{:14} {:20} {:5} {:>6} {:>6} {:>7}", "kind", "source", "", "tried", "held", "%");
    let mut totals: BTreeMap<(&str, &str), Score> = BTreeMap::new();
    for ((kind, source, profile), score) in scores {
        println!(
            "{kind:14} {source:20} {profile:5} {:6} {:6} {:7.1}",
            score.tried,
            score.held,
            score.percent()
        );
        let total = totals.entry((kind, profile)).or_default();
        total.tried += score.tried;
        total.held += score.held;
    }
    for ((kind, profile), score) in totals {
        println!(
            "{kind:14} {:20} {profile:5} {:6} {:6} {:7.1}",
            "all",
            score.tried,
            score.held,
            score.percent()
        );
    }
}
