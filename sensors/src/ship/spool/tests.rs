//! Laws of the spool.

use super::batch::root_of;
use super::*;
use dongson_event::{Event, Timestamp};

fn events(count: usize) -> Vec<Event> {
    (0..count)
        .map(|number| {
            let mut event = Event::of("sensor.dns", Timestamp::from_seconds(1));
            event.set("dns.question.name", format!("{number}.example"));
            event
        })
        .collect()
}

fn batch(count: usize) -> Batch {
    of_class(Class::Protocol, count)
}

fn of_class(class: Class, count: usize) -> Batch {
    let mut batch = Batch::new(class);
    for event in &events(count) {
        batch.push(event);
    }
    batch
}

#[test]
fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 300).unwrap();
    assert!(matches!(Spool::open(folder.path(), 300), Err(SpoolError::Busy(_))));
    drop(spool);
    Spool::open(folder.path(), 300).unwrap();
}

#[test]
fn what_the_centre_was_told_is_not_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1).unwrap();
    assert_eq!(spool.store(&batch(3)).unwrap(), Stored::Lost(3));
    assert_eq!(spool.untold(), 3);
    spool.told(3).unwrap();
    drop(spool);
    let spool = Spool::open(folder.path(), 1).unwrap();
    assert_eq!((spool.untold(), spool.total_lost()), (0, 3));
}

#[test]
fn a_disk_that_refuses_is_an_error_and_a_counted_loss() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("spool");
    let mut spool = Spool::open(&home, 1 << 20).unwrap();
    fs::remove_dir_all(&home).unwrap();
    assert!(matches!(spool.store(&batch(2)), Err(SpoolError::Disk { .. })));
    assert_eq!((spool.total_lost(), spool.batches()), (2, 0));
}

#[test]
fn batches_survive_a_new_start_and_sequences_are_never_used_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    let epoch = spool.epoch();
    assert_eq!(spool.store(&batch(3)).unwrap(), Stored::Kept(1));
    assert_eq!(spool.store(&batch(2)).unwrap(), Stored::Kept(2));
    drop(spool);
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(spool.epoch(), epoch);
    assert_eq!(spool.oldest().map(|batch| (batch.sequence, batch.events)), Some((1, 3)));
    spool.remove(1).unwrap();
    spool.remove(2).unwrap();
    drop(spool);
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(spool.batches(), 0);
    assert_eq!(spool.store(&batch(1)).unwrap(), Stored::Kept(3));
}

#[test]
fn a_batch_holds_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    spool.store(&batch(2)).unwrap();
    let body = zstd::decode_all(fs::File::open(&spool.oldest().unwrap().path).unwrap()).unwrap();
    let lines: Vec<_> = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(Event::parse(lines[1]).unwrap().0, events(2)[1]);
}

#[test]
fn a_full_spool_counts_what_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 300).unwrap();
    let mut lost = 0;
    for _ in 0..10 {
        if let Stored::Lost(events) = spool.store(&batch(1)).unwrap() {
            lost += events;
        }
    }
    assert!(lost > 0 && spool.bytes() <= 300);
    assert_eq!(spool.lost().get("sensor.dns"), Some(&lost));
    assert_eq!(spool.lost_by_class().get("protocol"), Some(&lost));
    drop(spool);
    assert_eq!(Spool::open(folder.path(), 300).unwrap().lost().get("sensor.dns"), Some(&lost));
}

#[test]
fn refused_batches_are_counted_and_only_the_newest_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    for sequence in 1..=102 {
        spool.store(&batch(1)).unwrap();
        spool.set_aside(sequence).unwrap();
    }
    assert_eq!((spool.batches(), spool.untold(), spool.lost().get(REFUSED)), (0, 102, Some(&102)));
    let kept = scan(&folder.path().join(REFUSED)).unwrap();
    let kept: BTreeSet<u64> = kept.iter().map(|batch| batch.sequence).collect();
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), (3..=102).collect::<Vec<_>>());
}

#[test]
fn an_unfinished_batch_is_no_batch() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("00000000000000000009-4.ndjson.tmp"), b"half").unwrap();
    assert_eq!(Spool::open(folder.path(), 300).unwrap().batches(), 0);
}

#[test]
fn how_far_files_were_read_is_known_with_each_batch() {
    let place = |offset: u64| -> Place {
        let text = format!(r#"{{"device":1,"inode":2,"head_bytes":0,"head":"","offset":{offset}}}"#);
        serde_json::from_str(&text).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    let mut first = batch(1);
    first.set_places(BTreeMap::from([("eve".to_owned(), place(10))]));
    spool.store(&first).unwrap();
    let state = fs::read(folder.path().join("state.json")).unwrap();
    let mut second = batch(1);
    second.set_places(BTreeMap::from([("eve".to_owned(), place(20)), ("fw".to_owned(), place(5))]));
    spool.store(&second).unwrap();
    assert_eq!(spool.places().get("eve"), Some(&place(20)));
    drop(spool);
    // Killed between the batch and the state: the batch knows.
    fs::write(folder.path().join("state.json"), state).unwrap();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(spool.places(), &BTreeMap::from([("eve".to_owned(), place(20)), ("fw".to_owned(), place(5))]));
    drop(spool);
    // A batch that was lost was read all the same: its loss is counted, it does not come again.
    let mut spool = Spool::open(folder.path(), 1).unwrap();
    let mut third = batch(1);
    third.set_places(BTreeMap::from([("eve".to_owned(), place(30))]));
    assert_eq!(spool.store(&third).unwrap(), Stored::Lost(1));
    assert_eq!(spool.places().get("eve"), Some(&place(30)));
}

#[test]
fn a_spoilt_state_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state.json"), b"{").unwrap();
    assert!(matches!(Spool::open(folder.path(), 300), Err(SpoolError::State { .. })));
}

fn sequences(spool: &mut Spool) -> Vec<u64> {
    let mut found = Vec::new();
    while let Some(next) = spool.take_next() {
        found.push(next.sequence);
        spool.remove(next.sequence).unwrap();
    }
    found
}

#[test]
fn the_most_urgent_goes_first_and_the_oldest_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    for class in [Class::File, Class::Conn, Class::Alert, Class::Conn, Class::Alert, Class::Context] {
        spool.store(&of_class(class, 1)).unwrap();
    }
    assert_eq!(spool.oldest().map(|oldest| oldest.sequence), Some(1));
    drop(spool);
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!(sequences(&mut spool), [3, 5, 6, 2, 4, 1]);
    assert_eq!((spool.bytes(), spool.assigned()), (0, 6));
}

#[test]
fn the_least_urgent_is_shed_first_and_the_newest_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    for class in [Class::File, Class::Conn, Class::File, Class::File] {
        spool.store(&of_class(class, 1)).unwrap();
    }
    // Now it is full to the last byte.
    spool.quota_bytes = spool.bytes();
    assert_eq!(spool.store(&of_class(Class::File, 1)).unwrap(), Stored::Lost(1), "nothing is less urgent");
    assert_eq!(spool.store(&of_class(Class::Conn, 1)).unwrap(), Stored::Kept(6));
    assert_eq!(spool.store(&of_class(Class::Alert, 1)).unwrap(), Stored::Kept(7));
    assert_eq!(spool.gone().iter().map(|run| (run.first, run.last)).collect::<Vec<_>>(), [(3, 5)]);
    assert_eq!(spool.lost_by_class(), &BTreeMap::from([("file".to_owned(), 3)]));
    assert_eq!(spool.lost(), &BTreeMap::from([("sensor.dns".to_owned(), 3)]));
    let gone = spool.gone().to_vec();
    spool.forget(&gone).unwrap();
    assert_eq!((spool.gone().len(), spool.untold()), (0, 3));
    assert_eq!(sequences(&mut spool), [7, 2, 6, 1]);
}

#[test]
fn a_batch_on_its_way_is_not_shed() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    spool.store(&of_class(Class::File, 1)).unwrap();
    spool.quota_bytes = spool.bytes();
    assert_eq!(spool.take_next().map(|next| next.sequence), Some(1));
    assert_eq!(spool.store(&of_class(Class::Alert, 1)).unwrap(), Stored::Lost(1));
    spool.remove(1).unwrap();
    assert_eq!(spool.store(&of_class(Class::Alert, 1)).unwrap(), Stored::Kept(3));
}

#[test]
fn a_removal_that_a_crash_cut_short_is_done_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    spool.store(&of_class(Class::File, 1)).unwrap();
    spool.ledger.note_gone(1, Class::File, Why::Shed, 1);
    spool.save().unwrap();
    drop(spool);
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!((spool.batches(), spool.gone().len()), (0, 1));
    assert!(scan(folder.path()).unwrap().is_empty());
}

#[test]
fn the_spool_of_a_former_version_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> =
        (0..40).map(|_| format!("{{\"a\":\"{:032x}\"}}\n", rand::random::<u128>())).collect();
    let lines = lines.concat();
    let packed = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    fs::write(folder.path().join("00000000000000000004-40.ndjson.zst"), &packed).unwrap();
    fs::write(folder.path().join("state.json"), b"{\"epoch\":7,\"next\":5,\"lost\":{\"sensor.dns\":3}}")
        .unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
    assert_eq!((spool.epoch(), spool.assigned(), spool.untold()), (7, 4, 3));
    let held = spool.held();
    assert_eq!((held.runs, held.batches, held.events), (vec![(4, 4)], 1, BTreeMap::from([("conn", 40)])));
    let next = spool.take_next().unwrap();
    let (told, body) = unpack(fs::read(next.path).unwrap()).unwrap();
    assert_eq!((told.root, body), (hex::encode(root_of(lines.as_bytes())), packed));
    // It says nothing of its datasets, so what is shed of it is counted by its class.
    spool.sending = None;
    spool.quota_bytes = spool.bytes();
    spool.store(&of_class(Class::Alert, 1)).unwrap();
    assert_eq!(spool.lost().get(SHED), Some(&40));
}
