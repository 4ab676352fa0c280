//! How fast the plain evaluator is with the rules that are shipped. It prints a figure and fails only when something
//! is badly wrong; `cargo test --release -p dongson-rules --test speed -- --nocapture` gives the one to quote.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use dongson_event::Event;
use dongson_rules::{LoadOptions, Matcher, Mode, RuleSet, Taxonomies};

/// Ordinary events of the kinds that are most frequent, with something different in each.
fn events(count: usize) -> Vec<Event> {
    let one = |number: usize| match number % 5 {
        0 => format!(
            r#"{{"@timestamp":"2026-11-23T00:00:00.000Z","event.dataset":"sensor.dns","source.ip":"10.1.2.{0}","source.port":5{0},"destination.ip":"10.1.0.53","destination.port":53,"network.transport":"udp","dns.question.name":"www.host{number}.example.vn","dns.question.type":"A","dns.response_code":"NOERROR","dns.answers.data":["203.0.113.{0}"],"dns.answers.ttl":[60],"organization.id":"so-yte","observer.name":"gw1"}}"#,
            number % 250
        ),
        1 => format!(
            r#"{{"@timestamp":"2026-11-23T00:00:00.000Z","event.dataset":"sensor.http","source.ip":"203.0.113.{0}","destination.ip":"10.1.0.80","destination.port":80,"http.request.method":"GET","url.original":"/van-ban/{number}?trang=2","url.domain":"dichvucong.example.vn","user_agent.original":"Mozilla/5.0 (Windows NT 10.0; Win64; x64)","http.response.status_code":200,"organization.id":"so-yte","observer.name":"gw1"}}"#,
            number % 250
        ),
        2 => format!(
            r#"{{"@timestamp":"2026-11-23T00:00:00.000Z","event.dataset":"sensor.conn","source.ip":"10.1.2.{0}","source.port":50{0},"destination.ip":"203.0.113.9","destination.port":443,"network.transport":"tcp","dongson.conn.state":"SF","dongson.conn.history":"ShADadFf","event.duration":1500000000,"source.bytes":{number},"destination.bytes":90000,"organization.id":"so-yte","observer.name":"gw1"}}"#,
            number % 250
        ),
        3 => format!(
            r#"{{"@timestamp":"2026-11-23T00:00:00.000Z","event.dataset":"sensor.tls","source.ip":"10.1.2.{0}","destination.ip":"203.0.113.9","destination.port":443,"tls.version":"1.3","tls.client.server_name":"api{number}.example.vn","tls.client.ja3":"d41d8cd98f00b204e9800998ecf8427e","tls.client.ja4":"t13d1516h2_8daaf6152771_e5627efa2ab1","organization.id":"so-yte","observer.name":"gw1"}}"#,
            number % 250
        ),
        _ => format!(
            r#"{{"@timestamp":"2026-11-23T00:00:00.000Z","event.dataset":"windows.sysmon","winlog":{{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"1","provider_name":"Microsoft-Windows-Sysmon","computer_name":"pc{number}","event_data":{{"Image":"C:\\Windows\\System32\\svchost.exe","CommandLine":"C:\\Windows\\system32\\svchost.exe -k netsvcs -p -s Schedule{number}","ParentImage":"C:\\Windows\\System32\\services.exe","ParentCommandLine":"services.exe","User":"NT AUTHORITY\\SYSTEM","OriginalFileName":"svchost.exe","Hashes":"SHA256=00"}}}},"process.executable":"C:\\Windows\\System32\\svchost.exe","organization.id":"so-yte","observer.name":"gw1"}}"#
        ),
    };
    (0..count).map(|number| Event::parse(one(number).as_bytes()).unwrap().0).collect()
}

#[test]
fn shipped_rules_keep_up() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("content/sigma");
    let rules = Arc::new(RuleSet::load(&[folder], &LoadOptions::default()).rules);
    let mut matcher = Matcher::new(Arc::clone(&rules), Arc::new(Taxonomies::embedded()), Mode::Auto);
    let events = events(50_000);
    let mut found = Vec::new();
    let started = Instant::now();
    for event in &events {
        matcher.matches(event, &mut found);
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = events.len() as f64 / started.elapsed().as_secs_f64();
    println!("{rate:.0} events/s, {} rules, {} matches", rules.rules().len(), found.len());
    assert!(rate > 1_000.0, "{rate} events/s");
}
