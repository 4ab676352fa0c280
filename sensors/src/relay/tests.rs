//! Inputs against a real disk and real sockets; the spool is asked what came.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;

/// Longest that anything is waited for.
const DEADLINE: Duration = Duration::from_secs(30);

/// Inputs that run, and what they gave.
struct World {
    relay: Relay,
    addresses: Vec<SocketAddr>,
    records: Vec<Record>,
}

impl World {
    fn open(text: &str, places: &BTreeMap<String, Place>) -> Self {
        let opened = Opened::open(Config::parse(text).unwrap()).unwrap();
        let address = |(_, open): &(Arc<Input>, Open)| match open {
            Open::Udp(socket) => socket.local_addr().ok(),
            Open::Tcp(listener) => listener.local_addr().ok(),
            Open::File(_) => None,
        };
        let addresses = opened.inputs.iter().filter_map(address).collect();
        Self { relay: opened.start(places).unwrap(), addresses, records: Vec::new() }
    }

    /// Follows `path` alone.
    fn follow(path: &Path, place: Option<Place>) -> Self {
        let text = format!("[relay.a]\nfile = \"{}\"", path.display());
        Self::open(&text, &place.map(|place| ("a".to_owned(), place)).into_iter().collect())
    }

    /// Waits for the records, as texts.
    #[track_caller]
    fn expect(&mut self, expected: &[&str]) {
        let deadline = Instant::now() + DEADLINE;
        let mut found = Vec::new();
        while found.len() < expected.len() {
            assert!(Instant::now() < deadline, "{found:?} instead of {expected:?}");
            found.extend(self.take());
            std::thread::yield_now();
        }
        assert_eq!(found, expected);
    }

    fn take(&mut self) -> Vec<String> {
        let (records, _) = self.relay.queue.take(1_000);
        let texts = records.iter().map(|record| String::from_utf8(record.raw.clone()).unwrap()).collect();
        self.records.extend(records);
        texts
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&BTreeMap<String, Counts>) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(&self.relay.counts()) {
            assert!(Instant::now() < deadline, "not {what}: {:?}", self.relay.counts());
            std::thread::yield_now();
        }
    }

    /// Where the file of the last record is read on.
    fn place(&self) -> Option<Place> {
        self.records.last()?.place.clone()
    }

    /// Ends; nothing more may have come.
    fn end(mut self) -> Option<Place> {
        self.relay.stop.store(true, Ordering::Relaxed);
        self.relay.queue.end();
        for thread in std::mem::take(&mut self.relay.threads) {
            thread.join().unwrap();
        }
        assert_eq!(self.take(), [""; 0], "more than was expected");
        self.place()
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// As if it had been written to last so many seconds ago: files of one millisecond have the same time.
fn age(path: &Path, seconds: u64) {
    let at = std::time::SystemTime::now() - Duration::from_secs(seconds);
    OpenOptions::new().append(true).open(path).unwrap().set_modified(at).unwrap();
}

fn folder() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    (folder, path)
}

#[test]
fn a_file_is_followed_over_rotation() {
    let (folder, path) = folder();
    append(&path, "one\ntwo\nhal");
    let mut world = World::follow(&path, None);
    world.expect(&["one", "two"]);
    append(&path, "f\n");
    world.expect(&["half"]);
    // The writer goes on with the old file until it has opened the new one.
    fs::rename(&path, folder.path().join("eve.json.1")).unwrap();
    append(&folder.path().join("eve.json.1"), "late\n");
    world.expect(&["late"]);
    append(&path, "");
    append(&folder.path().join("eve.json.1"), "later\nno end");
    world.expect(&["later"]);
    append(&path, "new\n");
    world.expect(&["no end", "new"]);
    world.end();
}

#[test]
fn a_new_start_goes_on_where_the_spool_says() {
    let (folder, path) = folder();
    append(&path, "one\ntwo\n");
    let mut world = World::follow(&path, None);
    world.expect(&["one", "two"]);
    let place = world.end();
    // Meanwhile it grew, and was rotated twice.
    append(&path, "three\n");
    fs::rename(&path, folder.path().join("eve.json.2")).unwrap();
    append(&folder.path().join("eve.json.1"), "four\n");
    append(&path, "five\n");
    let mut world = World::follow(&path, place);
    world.expect(&["three", "four", "five"]);
    let place = world.end();
    World::follow(&path, place.clone()).end();
    // One that was read to its end, one that is new, and one that nobody has written to yet.
    age(&folder.path().join("eve.json.2"), 30);
    age(&folder.path().join("eve.json.1"), 20);
    age(&path, 10);
    fs::rename(&path, folder.path().join("eve.json.0")).unwrap();
    append(&folder.path().join("eve.json-new"), "then\n");
    append(&path, "");
    let mut world = World::follow(&path, place);
    world.expect(&["then"]);
    let place = world.end();
    // Another file under the same name is read from its beginning.
    for entry in fs::read_dir(folder.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    append(&path, "six, seven, eight\n");
    let mut world = World::follow(&path, place);
    world.expect(&["six, seven, eight"]);
    world.end();
}

#[test]
fn an_emptied_file_is_read_from_its_beginning_and_a_missing_one_is_told() {
    let (_folder, path) = folder();
    let mut world = World::follow(&path, None);
    world
        .until("told", |counts| counts["a"].problem.as_deref().is_some_and(|said| said.contains("eve.json")));
    append(&path, "one, two, three\n");
    world.expect(&["one, two, three"]);
    world.until("well again", |counts| counts["a"].problem.is_none());
    fs::write(&path, "").unwrap();
    append(&path, "four\n");
    world.expect(&["four"]);
    assert_eq!(world.relay.counts()["a"].records, 2);
    world.end();
}

#[test]
fn an_input_that_is_off_waits_and_goes_on() {
    let (_folder, path) = folder();
    append(&path, "one\n");
    let mut world = World::follow(&path, None);
    world.expect(&["one"]);
    world.relay.set_on(Some(&[]));
    assert!(!world.relay.counts()["a"].on);
    append(&path, "two\n");
    world.relay.set_on(None);
    world.expect(&["two"]);
    world.end();
}

#[test]
fn datagrams_come_with_their_sender_and_strangers_are_refused() {
    let mut world = World::open(
        "[relay.a]\nudp = \"127.0.0.1:0\"\nfrom = [\"127.0.0.1\"]\n[relay.b]\nudp = \"127.0.0.1:0\"\nfrom = [\"192.0.2.1\"]",
        &BTreeMap::new(),
    );
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = world.addresses.clone();
    for address in &at {
        sender.send_to(b"<13>a\n", address).unwrap();
    }
    world.expect(&["<13>a\n"]);
    assert_eq!(world.records[0].peer, Some([127, 0, 0, 1].into()));
    world.until("refused", |counts| counts["b"].refused == 1 && counts["a"].records == 1);
    // More than the socket and the queue hold while nobody takes: each is there or counted.
    let (mut sent, large) = (1, vec![b'x'; 60_000]);
    while world.relay.counts()["a"].dropped == 0 {
        sender.send_to(&large, at[0]).unwrap();
        sent += 1;
        assert!(sent < 20_000, "nothing is dropped");
    }
    let deadline = Instant::now() + DEADLINE;
    loop {
        world.take();
        let counts = &world.relay.counts()["a"];
        if counts.records + counts.dropped == sent {
            break;
        }
        assert!(Instant::now() < deadline, "{counts:?} of {sent}");
        std::thread::yield_now();
    }
    world.end();
}

#[test]
fn streams_are_cut_and_their_ends_kept() {
    let mut world = World::open("[relay.a]\ntcp = \"127.0.0.1:0\"", &BTreeMap::new());
    let mut stream = TcpStream::connect(world.addresses[0]).unwrap();
    stream.write_all(b"4 <1>a<2>b\r\n<3>no end").unwrap();
    world.expect(&["<1>a", "<2>b"]);
    drop(stream);
    world.expect(&["<3>no end"]);
    world.end();
}

#[test]
fn alerts_of_suricata_are_known() {
    for (raw, is) in [
        (r#"{"timestamp":"x","event_type":"alert","alert":{}}"#, true),
        (r#"{"event_type":"dns","x":{"event_type":"alert"}}"#, false),
        (r#"{"event_type":7}"#, false),
        (r#"["alert"]"#, false),
        ("<13>alert", false),
    ] {
        assert_eq!(is_alert(raw.as_bytes()), is, "{raw}");
    }
}
