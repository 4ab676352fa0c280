//! The whole system as real processes: started, fed over its listeners, killed, started again, counted.
//!
//! Needs the store engine (`deploy/fetch-engine`); without it every test here fails and says so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at its first surprise")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use support::{System, command, eventually, json};

/// Every alert of the attack is raised once, in the right agency, and marked as a drill.
#[test]
fn the_drill_raises_what_it_must() {
    let mut system = System::new();
    system.start();
    let output = command(&["drill", "run", "--data", system.data()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("18 of 18 expected"), "{text}");
    // Nothing of a drill stands in the store without its mark, and every event has its agency.
    assert_eq!(system.count("SELECT count() FROM dongson.events WHERE dongson_drill IS NULL"), 0);
    assert!(system.count("SELECT count() FROM dongson.events WHERE organization_id = 'dien-tap-xa'") > 500);
    // Sent again it is another session with alerts of its own.
    let again = command(&["drill", "run", "--data", system.data()]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    system.stop();
}

/// Killed in the middle of ingest, again and again: what was acknowledged is there once, what was not and is sent again too.
#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    const BATCHES: usize = 120;
    const EVENTS: usize = 50;
    let mut system = System::new();
    system.start();
    let key = system.make_key("xa-thu-nghiem", "may-chu");
    let mut acknowledged: BTreeMap<usize, u64> = BTreeMap::new();
    let mut kills = 0;
    let mut next = 0;
    while acknowledged.len() < BATCHES {
        if next < BATCHES && next % 40 == 25 && kills <= next / 40 {
            // One batch is on its way while the process dies; its answer is lost.
            system.kill_during(|target| drop(target.send(&key, next, EVENTS)));
            kills += 1;
            system.start();
        }
        match system.target().send(&key, next, EVENTS) {
            Ok(count) => {
                acknowledged.insert(next, count);
                next += 1;
            }
            Err(error) => panic!("batch {next} was refused while the system runs: {error}"),
        }
    }
    assert_eq!(kills, 3);
    // A client that lost every answer sends everything once more.
    for batch in 0..BATCHES {
        system.target().send(&key, batch, EVENTS).unwrap();
    }
    let sent = (BATCHES * EVENTS) as u64;
    assert_eq!(acknowledged.values().sum::<u64>(), sent);
    let all = "SELECT count() FROM dongson.events WHERE organization_id = 'xa-thu-nghiem'";
    eventually(Duration::from_mins(1), || system.count(all) >= sent);
    assert_eq!(system.count(all), sent, "events were stored twice");
    let distinct = "SELECT uniqExact(event_id) FROM dongson.events WHERE organization_id = 'xa-thu-nghiem'";
    assert_eq!(system.count(distinct), sent);
    let messages = "SELECT uniqExact(message) FROM dongson.events WHERE organization_id = 'xa-thu-nghiem'";
    assert_eq!(system.count(messages), sent);
    system.stop();
}

/// Killed while half of what a correlation counts waits for its turn, and once more at any moment: it is counted once,
/// and to the end.
#[test]
fn what_waits_for_its_turn_outlives_kills() {
    let mut system = System::new();
    system.start();
    let key = system.make_key("xa-cho", "may-chu");
    let failed = |_| {
        json(&[
            ("event.dataset", "sshd"),
            ("sshd.event", "Failed"),
            ("event.outcome", "failure"),
            ("host.name", "web01"),
            ("source.ip", "203.0.113.77"),
        ])
    };
    let half: String = (0..5).map(failed).collect();
    system.target().post(&key, "first half", &half).unwrap();
    eventually(Duration::from_secs(30), || {
        system.metrics().contains("analyzer_order_held_items{partition=\"0\"} 5\n")
    });
    system.kill_during(|target| drop(target.post(&key, "second half", &half)));
    system.start();
    system.target().post(&key, "second half", &half).unwrap();
    system.kill_during(|_| ());
    system.start();
    let signals =
        "SELECT count() FROM dongson.signals WHERE rule_id = 'b7847156-6482-4161-9e56-27b40045efbf'";
    eventually(Duration::from_mins(1), || system.count(signals) > 0);
    // Ten of ten: none was lost, and none counted twice.
    assert_eq!(system.count(&format!("{signals} AND organization_id = 'xa-cho' AND count = 10")), 1);
    assert!(system.metrics().contains("analyzer_order_held_items{partition=\"0\"} 0\n"));
    let alerts = "SELECT count() FROM dongson.alerts WHERE organization_id = 'xa-cho'";
    eventually(Duration::from_secs(30), || system.count(alerts) == 1);
    system.stop();
}

/// Two agencies with the same private address: two alerts, one each.
#[test]
fn an_entity_belongs_to_its_agency() {
    let mut system = System::new();
    system.start();
    let line = json(&[
        ("event.dataset", "windows.sysmon"),
        ("winlog.channel", "Microsoft-Windows-Sysmon/Operational"),
        ("winlog.provider_name", "Microsoft-Windows-Sysmon"),
        ("winlog.event_id", "1"),
        ("winlog.computer_name", "PC-01"),
        ("host.name", "PC-01"),
        ("winlog.event_data.Image", "C:\\Windows\\System32\\rundll32.exe"),
        (
            "winlog.event_data.CommandLine",
            "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 652 C:\\a.dmp full",
        ),
    ]);
    for agency in ["xa-mot", "xa-hai"] {
        let key = system.make_key(agency, "may-tram");
        system.target().post(&key, "one", &line).unwrap();
    }
    let alerts = "SELECT count() FROM dongson.alerts WHERE rule_id = '05a145f2-e0e9-44fd-a2e8-527b43bfedb7'";
    eventually(Duration::from_secs(30), || system.count(alerts) >= 2);
    let agencies = "SELECT uniqExact(organization_id) FROM dongson.alerts WHERE rule_id = '05a145f2-e0e9-44fd-a2e8-527b43bfedb7'";
    assert_eq!((system.count(alerts), system.count(agencies)), (2, 2));
    system.stop();
}

/// SIGTERM ends everything, the store's child too, and a second start finds what was there.
#[test]
fn it_stops_cleanly_and_starts_again() {
    let mut system = System::new();
    system.start();
    let key = system.make_key("xa-a", "nguon");
    system.target().send(&key, 0, 10).unwrap();
    let all = "SELECT count() FROM dongson.events WHERE organization_id = 'xa-a'";
    eventually(Duration::from_secs(30), || system.count(all) == 10);
    let health = system.health();
    assert_eq!(health.0, 200, "{}", health.1);
    assert!(system.metrics().contains("collector_"), "the collector's metrics are missing");
    system.stop();
    system.start();
    assert_eq!(system.count(all), 10);
    system.stop();
}

/// A client that lies about its agency, its id, its times and repeats keys harms nobody: everything is kept under the
/// agency of its key, nothing lies outside the days of ingestion, and what others send is found as before.
#[test]
fn forged_claims_are_harmless() {
    let mut system = System::new();
    system.start();
    let liar = system.make_key("xa-gia-mao", "nguon-la");
    let honest = system.make_key("xa-that", "nguon-that");
    let lies = ["1970-01-01T00:00:00Z", "2015-06-01T12:00:00Z", "2100-01-01T00:00:00Z"];
    let lie = |(number, time): (usize, &&str)| {
        format!(
            "{{\"@timestamp\":\"{time}\",\"organization.id\":\"xa-that\",\"organization\":{{\"id\":\"xa-khac\"}},\
             \"observer.name\":\"nguon-that\",\"event.id\":\"00000000-0000-0000-0000-000000000001\",\
             \"event\":{{\"id\":\"trung\"}},\"dongson.drill\":\"gia\",\
             \"message\":\"lie {number}\",\"message\":\"again {number}\"}}\n"
        )
    };
    let body: String = lies.iter().enumerate().map(lie).collect();
    system.target().post(&liar, "lies", &body).unwrap();
    let attack = json(&[
        ("winlog.channel", "Microsoft-Windows-Sysmon/Operational"),
        ("winlog.provider_name", "Microsoft-Windows-Sysmon"),
        ("winlog.event_id", "1"),
        ("host.name", "PC-02"),
        ("winlog.event_data.Image", "C:\\Windows\\System32\\rundll32.exe"),
        (
            "winlog.event_data.CommandLine",
            "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 652 C:\\a.dmp full",
        ),
    ]);
    system.target().post(&honest, "honest", &attack).unwrap();

    let lies = "SELECT count() FROM dongson.events WHERE organization_id = 'xa-gia-mao'";
    eventually(Duration::from_secs(30), || system.count(lies) == 3);
    let mine = |what: &str| system.count(&format!("{lies} AND {what}"));
    assert_eq!(mine("event_id != '00000000-0000-0000-0000-000000000001'"), 3);
    assert_eq!(mine("observer_name = 'nguon-la' AND dongson_drill IS NULL"), 3);
    // Held times lie between what a source could have spooled and now; what was claimed is kept beside.
    assert_eq!(mine("timestamp > now() - INTERVAL 8 DAY AND timestamp <= now() + INTERVAL 6 MINUTE"), 3);
    assert_eq!(mine("event_ingested > now() - INTERVAL 1 HOUR"), 3);
    assert_eq!(mine("mapContains(rest, 'dongson.time.claimed')"), 3);
    assert_eq!(mine("mapContains(rest, 'dongson.claimed.organization.id')"), 3);
    // Both values of a repeated key are there for rules and for people.
    assert_eq!(
        mine(
            "arrayExists(value -> value LIKE '%lie %again %', mapValues(rest)) OR message LIKE '%lie %again %'"
        ),
        3
    );
    // A drill that nobody authenticated is none, and the stream of the honest one is not held up by the year 2100.
    let alert = "SELECT count() FROM dongson.alerts WHERE organization_id = 'xa-that'";
    eventually(Duration::from_secs(30), || system.count(alert) == 1);
    system.stop();
}

/// A client that uses one Idempotency-Key for two different bodies loses neither, and the first one again is no news.
#[test]
fn a_key_used_again_for_another_body_loses_nothing() {
    let mut system = System::new();
    system.start();
    let key = system.make_key("xa-khoa", "nguon");
    for body in [json(&[("message", "one")]), json(&[("message", "two")]), json(&[("message", "one")])] {
        system.target().post(&key, "the same key", &body).unwrap();
    }
    let all = "SELECT count() FROM dongson.events WHERE organization_id = 'xa-khoa'";
    eventually(Duration::from_secs(30), || system.count(all) == 2);
    system.stop();
}
