//! The real rsyslog: its TCP forwarder with octet counting, and its RELP output.

use crate::world::{World, change, edit};
use dongson_event::TOPIC_EVENTS;
use dongson_registry::SourceKind;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const LINES: usize = 1_000;

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// rsyslogd that follows `folder/in.log` and forwards each line in both ways.
fn rsyslogd(folder: &Path, tcp: u16, relp: u16) -> Ended {
    let work = folder.display();
    let config = format!(
        r#"global(workDirectory="{work}" localHostname="may-chu")
module(load="imfile")
module(load="omrelp")
input(type="imfile" file="{work}/in.log" tag="ung-dung:")
action(type="omfwd" target="127.0.0.1" port="{tcp}" protocol="tcp" tcp_framing="octet-counted"
       template="RSYSLOG_SyslogProtocol23Format")
action(type="omrelp" target="127.0.0.1" port="{relp}" template="RSYSLOG_ForwardFormat")
"#
    );
    std::fs::write(folder.join("rsyslog.conf"), config).unwrap();
    let program = ["/usr/sbin/rsyslogd", "/sbin/rsyslogd"].into_iter().find(|path| Path::new(path).exists());
    let started = Command::new(program.unwrap_or("rsyslogd"))
        .arg("-n")
        .arg("-f")
        .arg(folder.join("rsyslog.conf"))
        .arg("-i")
        .arg(folder.join("rsyslogd.pid"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    Ended(started.unwrap_or_else(|error| {
        panic!("rsyslogd does not start ({error}): install rsyslog and rsyslog-relp (deploy/test does it)")
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_real_rsyslog_comes_once_by_tcp_and_once_by_relp() {
    let mut world = World::new().await;
    for (kind, name) in [(SourceKind::Syslog, "by-tcp"), (SourceKind::Relp, "by-relp")] {
        let mut source = edit(kind);
        source.name = name.into();
        world.registry.create_source(&change(), &source).await.unwrap();
    }
    world = world.restart().await;
    let folder = tempfile::tempdir().unwrap();
    let lines: BTreeSet<String> = (0..LINES).map(|number| format!("dòng số {number} \"x\" [y]")).collect();
    let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(folder.path().join("in.log"), text).unwrap();
    let (tcp, relp) = (world.at.syslog_tcp.unwrap(), world.at.relp.unwrap());
    let _running = rsyslogd(folder.path(), tcp.port(), relp.port());
    let events = loop {
        let events = world.wait(TOPIC_EVENTS, 2 * LINES).await;
        let last = |name| events.iter().filter(|event| event.text("observer.name") == Some(name)).count();
        // rsyslog may forward words of its own beside our lines.
        if last("by-tcp") >= LINES && last("by-relp") >= LINES {
            break events;
        }
    };
    for name in ["by-tcp", "by-relp"] {
        let ours = |event: &&dongson_event::Event| {
            event.text("observer.name") == Some(name)
                && event.text("log.syslog.appname").is_some_and(|tag| tag.starts_with("ung-dung"))
        };
        let found: Vec<_> = events.iter().filter(ours).filter_map(|event| event.text("message")).collect();
        assert_eq!(found.len(), LINES, "{name}");
        assert_eq!(found.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>(), lines, "{name}");
        assert!(events.iter().filter(ours).all(|event| event.text("log.syslog.hostname") == Some("may-chu")));
    }
}
