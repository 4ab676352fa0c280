//! Captures that grow, rings of files, streams, filters in front of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{File, OpenOptions};
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use dongson_event::Event;
use dongson_sensor::capture::filter::Filter;
use dongson_sensor::{Options, Statistics, follow};
use support::{exchange, of, pcap};

/// Longest wait for something that must come.
const PATIENCE: Duration = Duration::from_mins(1);

struct Following {
    events: Receiver<Event>,
    troubles: Receiver<PathBuf>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Statistics>,
}

fn start(path: &Path) -> Following {
    let (path, stop) = (path.to_owned(), Arc::new(AtomicBool::new(false)));
    let ((sender, events), (warn, troubles)) = (channel(), channel());
    let flag = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let mut emit = |event: Option<Event>| {
            if let Some(event) = event {
                drop(sender.send(event));
            }
        };
        let mut trouble = |path: &Path, _: &_| drop(warn.send(path.to_owned()));
        follow::follow(&path, &Options::default(), None, &flag, &mut emit, &mut trouble).unwrap()
    });
    Following { events, troubles, stop, thread }
}

impl Following {
    fn wait_for(&self, dataset: &str) -> Event {
        loop {
            let event = self.events.recv_timeout(PATIENCE).expect("an event in time");
            if event.dataset() == dataset {
                return event;
            }
        }
    }

    fn end(self) -> (Vec<Event>, Statistics) {
        self.stop.store(true, Ordering::Relaxed);
        let statistics = self.thread.join().unwrap();
        (self.events.iter().collect(), statistics)
    }
}

/// Sets when a file was last written to, in seconds: names must not decide.
fn touch(path: &Path, second: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn what_is_appended_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("now.pcap");
    let whole = pcap(&exchange(), false, false);
    // Cut inside a record: the rest of it comes later.
    let (first, second) = whole.split_at(300);
    std::fs::write(&path, first).unwrap();
    let following = start(&path);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(second).unwrap();
    let http = following.wait_for("sensor.http");
    assert_eq!(http.int("http.response.status_code"), Some(200));
    let (rest, statistics) = following.end();
    assert_eq!(of(&rest, "sensor.conn").len(), 1);
    assert_eq!(statistics.frames, 8);
}

#[test]
fn a_ring_of_files_is_read_in_the_order_of_writing_and_flows_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let frames = exchange();
    let (first, second) = frames.split_at(4);
    let (old, new) = (folder.path().join("ring.pcap9"), folder.path().join("ring.pcap10"));
    std::fs::write(&old, pcap(first, false, false)).unwrap();
    std::fs::write(&new, pcap(second, false, false)).unwrap();
    std::fs::write(folder.path().join("broken.pcap"), b"no capture at all").unwrap();
    std::fs::write(folder.path().join("notes.txt"), b"not read").unwrap();
    touch(&old, 1_000);
    touch(&new, 2_000);
    touch(&folder.path().join("broken.pcap"), 1_500);
    let following = start(folder.path());
    following.wait_for("sensor.http");
    assert!(following.troubles.recv_timeout(PATIENCE).unwrap().ends_with("broken.pcap"));
    // The ring comes round: the first name is written anew.
    std::fs::write(&old, pcap(&frames, false, false)).unwrap();
    following.wait_for("sensor.http");
    let (_, statistics) = following.end();
    assert_eq!((statistics.frames, statistics.flows.flows), (16, 2));
}

#[test]
fn a_stream_gives_the_same_ids_each_time() {
    let bytes = pcap(&exchange(), false, false);
    let read = |filter: Option<&str>| {
        let filter = filter.map(|text| Filter::parse(text).unwrap());
        let mut events = Vec::new();
        let mut emit = |event: Option<Event>| events.extend(event);
        let reader = Cursor::new(bytes.clone());
        let (statistics, warning) =
            follow::read_stream(reader, &Options::default(), filter.as_ref(), &mut emit).unwrap();
        assert!(warning.is_none());
        (events, statistics.frames)
    };
    let (first, frames) = read(None);
    assert_eq!((frames, of(&first, "sensor.conn").len()), (8, 1));
    assert_eq!(first, read(None).0);
    assert_eq!(read(Some("tcp port 8080")).1, 8);
    assert_eq!(read(Some("src port 8080")).1, 3);
    assert_eq!(read(Some("udp or port 9")).1, 0);
}
