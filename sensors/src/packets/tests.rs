//! The ring with packets of our own: kept, cut, aged, found, torn.

use std::fs;

use dongson_event::Timestamp;
use etherparse::PacketBuilder;

use super::*;
use crate::capture::filter::Filter;
use crate::capture::{CaptureFile, Frame, LinkType};

fn udp(client: u8, port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, client], [10, 0, 1, 1], 64)
        .udp(port, 53);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn tcp(port: u16, syn: bool, fin: bool, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 1, 1], 64)
        .tcp(port, 443, 1, 1_000);
    let builder = if syn { builder.syn() } else { builder.ack(1) };
    let builder = if fin { builder.fin() } else { builder };
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

fn frame(seconds: i64, bytes: &[u8]) -> Frame<'_> {
    let wire_length = u32::try_from(bytes.len()).unwrap();
    Frame { at: at(seconds), link: LinkType::ETHERNET, bytes, wire_length, vlan: None }
}

fn limits(bytes: u64, flow_bytes: u64) -> Limits {
    Limits { bytes, flow_bytes, ..Limits::default() }
}

/// What is found: the frames, and the account.
fn look(folder: &Path, query: &Query) -> (Vec<(Timestamp, Vec<u8>)>, Found) {
    let mut out = Vec::new();
    let found = find(folder, query, &mut out).unwrap();
    assert_eq!(found.bytes, out.len() as u64);
    let mut capture = CaptureFile::from_reader(io::Cursor::new(out)).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = capture.next_frame().unwrap() {
        frames.push((frame.at, frame.bytes.to_vec()));
    }
    assert_eq!(found.frames, frames.len() as u64);
    (frames, found)
}

fn of_flow(text: &str) -> Query {
    Query { flow: Some(Flow::of_tuple(text).unwrap()), ..Query::default() }
}

#[test]
fn packets_are_found_by_time_flow_and_filter() {
    let folder = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(folder.path(), limits(LEAST_BYTES, 0)).unwrap();
    let packets: Vec<Vec<u8>> = (0..4_000_u16)
        .map(|number| udp(u8::try_from(number % 7).unwrap(), 1_000 + number % 50, &[0x55; 100]))
        .collect();
    for (number, packet) in (0_i64..).zip(&packets) {
        ring.frame(&frame(number, packet)).unwrap();
    }
    ring.tick(at(4_000)).unwrap();
    let (all, found) = look(folder.path(), &Query::default());
    assert_eq!((all.len(), found.truncated, found.cut_frames), (4_000, false, 0));
    assert!(all.iter().zip(&packets).all(|((_, found), packet)| found == packet));
    let timely = Query { from: at(100), to: at(199), ..Query::default() };
    assert_eq!(look(folder.path(), &timely).0.len(), 100);
    // 7 clients and 50 ports have no common divisor: each pair comes every 350 packets.
    let query = of_flow("udp 10.0.0.3 1003 10.0.1.1 53");
    let flow = look(folder.path(), &query).0;
    let expected: Vec<Timestamp> = (0..4_000).filter(|number| number % 350 == 3).map(at).collect();
    assert_eq!(flow.iter().map(|(time, _)| *time).collect::<Vec<_>>(), expected);
    let back = of_flow("udp 10.0.1.1 53 10.0.0.3 1003");
    assert_eq!(look(folder.path(), &back).0, flow);
    let named = Flow::of_community_id(query.flow.as_ref().unwrap().community_id()).unwrap();
    assert_eq!(look(folder.path(), &Query { flow: Some(named), ..Query::default() }).0, flow);
    let filter = Some(Filter::parse("host 10.0.0.3 and port 1003").unwrap());
    assert_eq!(look(folder.path(), &Query { filter, ..Query::default() }).0, flow);
    let short = Query { max_bytes: 1_000, ..Query::default() };
    let (some, found) = look(folder.path(), &short);
    assert!(found.truncated && found.bytes <= 1_000 && some.len() > 3, "{found:?}");
}

#[test]
fn of_each_flow_the_beginning_is_kept_and_the_rest_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(folder.path(), limits(LEAST_BYTES, 1_000)).unwrap();
    let long = tcp(40_000, false, false, &[7; 400]);
    ring.frame(&frame(0, &tcp(40_000, true, false, b""))).unwrap();
    for second in 1..=20 {
        ring.frame(&frame(second, &long)).unwrap();
    }
    ring.frame(&frame(21, &tcp(40_000, false, true, b""))).unwrap();
    ring.frame(&frame(21, &udp(1, 9, b"another"))).unwrap();
    // The same ports again: a new connection, a new beginning.
    ring.frame(&frame(22, &tcp(40_000, true, false, b""))).unwrap();
    ring.frame(&frame(23, &long)).unwrap();
    ring.tick(at(24)).unwrap();
    let (frames, found) = look(folder.path(), &of_flow("tcp 10.0.0.1 40000 10.0.1.1 443"));
    // SYN, three segments of 454 bytes, FIN; SYN, one segment.
    assert_eq!(frames.iter().map(|(time, _)| *time).collect::<Vec<_>>(), [0, 1, 2, 3, 21, 22, 23].map(at));
    assert_eq!((found.cut_frames, found.cut_bytes), (17, 17 * 454));
    let other = look(folder.path(), &of_flow("udp 10.0.0.1 9 10.0.1.1 53"));
    assert_eq!((other.0.len(), other.1.cut_frames), (1, 0));
    let counts = ring.counts();
    assert_eq!((counts.frames, counts.cut_frames, counts.cut_bytes), (8, 17, 17 * 454));
    // What was cut is known after a new start too.
    drop(ring);
    drop(Ring::open(folder.path(), limits(LEAST_BYTES, 1_000)).unwrap());
    let found = look(folder.path(), &of_flow("tcp 10.0.0.1 40000 10.0.1.1 443")).1;
    assert_eq!((found.frames, found.cut_frames), (7, 17));
}

#[test]
fn the_oldest_files_go_by_size_and_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(folder.path(), limits(LEAST_BYTES, 0)).unwrap();
    let packet = udp(1, 1, &[1; 1_400]);
    for second in 0..8_000 {
        ring.frame(&frame(second, &packet)).unwrap();
    }
    ring.finish().unwrap();
    let used: u64 =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!((LEAST_BYTES / 2..=LEAST_BYTES).contains(&used), "{used}");
    let left = spans(folder.path()).unwrap();
    assert!(ring.counts().files_aged > 0 && left.len() >= 2, "{left:?}");
    assert_eq!(left.last().unwrap().times.unwrap().1, at(7_999));
    let oldest = left.first().unwrap().times.unwrap().1;
    ring.tick(oldest.plus(Limits::default().age).plus(Duration::from_nanos(1))).unwrap();
    assert_eq!(spans(folder.path()).unwrap().len(), left.len() - 1);
    ring.tick(at(7_999).plus(Limits::default().age * 2)).unwrap();
    assert!(spans(folder.path()).unwrap().is_empty());
}

#[test]
fn a_torn_file_gives_all_whole_frames_and_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(folder.path(), limits(LEAST_BYTES, 0)).unwrap();
    for second in 0..500 {
        ring.frame(&frame(second, &udp(1, 1, &[1; 300]))).unwrap();
        if second == 200 {
            ring.tick(at(second)).unwrap();
        }
    }
    ring.flush().unwrap();
    // As after kill -9: the index is behind the file, and the last block is not whole.
    let path = folder.path().join("000000000001.pcapng");
    let index = fs::read(path.with_extension("index")).unwrap();
    drop(ring);
    fs::write(path.with_extension("index"), &index).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    assert_eq!(look(folder.path(), &Query::default()).0.len(), 499);
    drop(Ring::open(folder.path(), limits(LEAST_BYTES, 0)).unwrap());
    let mut capture = CaptureFile::open(&path).unwrap();
    let mut count = 0;
    while capture.next_frame().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 499);
    // An index that is spoilt is no index.
    let index = path.with_extension("index");
    let mut spoilt = fs::read(&index).unwrap();
    spoilt[20] ^= 1;
    fs::write(&index, spoilt).unwrap();
    assert_eq!(look(folder.path(), &of_flow("udp 10.0.0.1 1 10.0.1.1 53")).0.len(), 499);
    // Any cut gives what is whole, and no cut fails.
    for length in (0..bytes.len()).step_by(977) {
        fs::write(&path, &bytes[..length]).unwrap();
        drop(fs::remove_file(&index));
        let whole = look(folder.path(), &Query::default()).0.len();
        assert_eq!(whole, length.saturating_sub(88) / 376, "{length}");
    }
}

#[test]
fn fragments_belong_to_the_flow_of_the_first_one() {
    let whole = udp(1, 7, &[9; 2_000]);
    let cut = |from: usize, to: usize, more: bool| {
        let mut bytes = whole[..34].to_vec();
        bytes.extend(&whole[34 + from..34 + to]);
        let total = u16::try_from(20 + to - from).unwrap().to_be_bytes();
        bytes[16..18].copy_from_slice(&total);
        let flags = u16::try_from(from / 8).unwrap() | if more { 0x2000 } else { 0 };
        bytes[20..22].copy_from_slice(&flags.to_be_bytes());
        bytes
    };
    let folder = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(folder.path(), limits(LEAST_BYTES, 0)).unwrap();
    ring.frame(&frame(1, &cut(0, 1_480, true))).unwrap();
    ring.frame(&frame(1, &udp(1, 8, b"another flow of these hosts"))).unwrap();
    ring.frame(&frame(1, &cut(1_480, 2_008, false))).unwrap();
    ring.finish().unwrap();
    let frames = look(folder.path(), &of_flow("udp 10.0.0.1 7 10.0.1.1 53")).0;
    assert_eq!(frames.len(), 2);
    assert_eq!(look(folder.path(), &of_flow("udp 10.0.0.1 8 10.0.1.1 53")).0.len(), 1);
}

#[test]
fn a_vlan_tag_that_the_kernel_took_out_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(folder.path(), limits(LEAST_BYTES, 0)).unwrap();
    let packet = udp(1, 1, b"tagged");
    ring.frame(&Frame { vlan: Some(7), ..frame(1, &packet) }).unwrap();
    ring.finish().unwrap();
    let filter = Some(Filter::parse("vlan 7 and host 10.0.0.1").unwrap());
    let frames = look(folder.path(), &Query { filter, ..Query::default() }).0;
    assert_eq!(frames[0].1, [&packet[..12], &[0x81, 0, 0, 7], &packet[12..]].concat());
}

#[test]
fn the_recorder_never_waits_and_counts_what_it_loses() {
    let folder = tempfile::tempdir().unwrap();
    let packets = Packets::start(folder.path(), limits(64 << 20, 0)).unwrap();
    assert!(matches!(Ring::open(folder.path(), Limits::default()), Err(PacketError::Busy(_))));
    let mut recorder = packets.recorder();
    let packet = udp(1, 1, &[1; 1_000]);
    let now = crate::capture::portable::now();
    for _ in 0..30_000 {
        recorder.frame(&Frame { at: now, ..frame(0, &packet) });
    }
    recorder.flush();
    packets.flush();
    let counts = packets.counts();
    assert_eq!(counts.frames + counts.queue_lost, 30_000, "{counts:?}");
    assert_eq!(look(folder.path(), &Query::default()).0.len() as u64, counts.frames);
    let told = look(folder.path(), &Query::default()).1.lost_frames;
    assert_eq!(told, counts.queue_lost);
    drop(packets);
    recorder.frame(&frame(0, &packet));
    recorder.flush();
    Ring::open(folder.path(), limits(64 << 20, 0)).unwrap();
}

#[test]
fn what_is_no_flow_is_named() {
    assert!(matches!(Flow::of_tuple("tcp 10.0.0.1 80"), Err(PacketError::Tuple(_))));
    assert!(matches!(Flow::of_community_id("1:abc"), Err(PacketError::CommunityId(_))));
    let folder = tempfile::tempdir().unwrap();
    let error = find(folder.path(), &Query::default(), &mut io::sink()).unwrap_err();
    assert!(error.to_string().contains("run --packets"), "{error}");
    assert!(matches!(Ring::open(folder.path(), limits(5, 0)), Err(PacketError::TooSmall(5))));
}
