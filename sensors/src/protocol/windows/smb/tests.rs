//! Conversations made by hand from MS-SMB2, and from MS-CIFS for the first version.

use proptest::prelude::*;

use super::*;
use crate::protocol::Options;

const C: Side = Side::Originator;
const S: Side = Side::Responder;
const FILE: [u8; 16] = [7; 16];

fn framed(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A command of the second version (MS-SMB2, 2.2.1.2) without what frames it.
fn bare(command: u8, id: u8, response: bool, status: u32, body: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..4].copy_from_slice(b"\xfeSMB");
    header[4] = 64;
    header[8..12].copy_from_slice(&status.to_le_bytes());
    (header[12], header[16], header[24], header[36], header[40]) = (command, u8::from(response), id, 5, 9);
    [header, body.to_vec()].concat()
}

fn ask(command: u8, id: u8, body: &[u8]) -> (Side, Vec<u8>) {
    (C, framed(&bare(command, id, false, 0, body)))
}

fn say(command: u8, id: u8, status: u32, body: &[u8]) -> (Side, Vec<u8>) {
    (S, framed(&bare(command, id, true, status, body)))
}

/// Fixed fields with numbers at places, then a buffer.
fn body(length: usize, places: &[(usize, &[u8])], buffer: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (at, value) in places {
        bytes[*at..*at + value.len()].copy_from_slice(value);
    }
    [bytes, buffer.to_vec()].concat()
}

fn connected(path: &str, kind: u8) -> Vec<(Side, Vec<u8>)> {
    let path = wide(path);
    let length = u8::try_from(path.len()).unwrap();
    vec![
        ask(3, 1, &body(8, &[(4, &[72]), (6, &[length])], &path)),
        say(3, 1, 0, &body(16, &[(2, &[kind])], &[])),
    ]
}

fn opened(id: u8, name: &str, size: u8) -> Vec<(Side, Vec<u8>)> {
    let name = wide(name);
    let length = u8::try_from(name.len()).unwrap();
    let asked = body(56, &[(36, &[1]), (44, &[120]), (46, &[length])], &name);
    // 2019-02-08 16:25:38 UTC in units of 100 ns since 1601.
    let time = 131_941_167_380_000_000_u64.to_le_bytes();
    vec![ask(5, id, &asked), say(5, id, 0, &body(88, &[(8, &time), (48, &[size]), (64, &FILE)], &[]))]
}

fn read(id: u8, offset: u8, contents: &[u8]) -> Vec<(Side, Vec<u8>)> {
    let length = u32::try_from(contents.len()).unwrap().to_le_bytes();
    vec![
        ask(8, id, &body(48, &[(4, &length), (8, &[offset]), (16, &FILE)], &[])),
        say(8, id, 0, &body(16, &[(2, &[80]), (4, &length)], contents)),
    ]
}

fn written(id: u8, contents: &[u8]) -> Vec<(Side, Vec<u8>)> {
    let length = u32::try_from(contents.len()).unwrap().to_le_bytes();
    vec![
        ask(9, id, &body(48, &[(2, &[112]), (4, &length), (16, &FILE)], contents)),
        say(9, id, 0, &body(16, &[(4, &length)], &[])),
    ]
}

fn closed(id: u8) -> Vec<(Side, Vec<u8>)> {
    vec![ask(6, id, &body(24, &[(8, &FILE)], &[])), say(6, id, 0, &body(60, &[], &[]))]
}

fn run(turns: &[(Side, Vec<u8>)], chunk: usize) -> Vec<Event> {
    let options = Options::default();
    let (mut smb, mut out) = (Smb::new(&Start { client: C, options: &options }), Vec::new());
    for (side, bytes) in turns {
        for part in bytes.chunks(chunk) {
            smb.data(*side, Timestamp::default(), part, &mut out);
        }
    }
    smb.finish(Timestamp::default(), &mut out);
    out
}

fn of<'a>(events: &'a [Event], name: &str, value: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.text(name) == Some(value)).collect()
}

fn reading() -> Vec<(Side, Vec<u8>)> {
    let parts = [read(3, 0, b"xin "), read(4, 4, "chào".as_bytes())].concat();
    [connected("\\\\MAY\\chung", 1), opened(2, "thu muc\\a.txt", 9), parts, closed(5)].concat()
}

#[test]
fn a_file_is_opened_read_and_closed() {
    let events = run(&reading(), usize::MAX);
    assert_eq!(events, run(&reading(), 1));
    let [open] = of(&events, "dongson.smb.action", "SMB::FILE_OPEN")[..] else { panic!("{events:?}") };
    assert_eq!(open.text("file.path"), Some("thu muc\\a.txt"));
    assert_eq!(open.text("dongson.smb.share"), Some("\\\\MAY\\chung"));
    assert_eq!(open.text("dongson.smb.disposition"), Some("FILE_OPEN"));
    assert_eq!(open.time("file.created").map(Timestamp::seconds), Some(1_549_643_138));
    assert_eq!(of(&events, "dongson.smb.action", "SMB::FILE_READ").len(), 2);
    let [file] = of(&events, "event.dataset", "sensor.file")[..] else { panic!("{events:?}") };
    assert_eq!((file.int("file.size"), file.text("dongson.file.state")), (Some(9), Some("closed")));
    assert_eq!(file.text("file.name"), Some("a.txt"));
    let close = of(&events, "dongson.smb.command", "SMB2_COMMAND_CLOSE");
    assert_eq!(close[0].text("file.name"), Some("a.txt"));
}

#[test]
fn a_large_write_is_hashed_without_being_held() {
    let contents: Vec<u8> = (0..=255).cycle().take(nbss::KEEP + 5000).collect();
    let turns = [opened(2, "to", 0), written(3, &contents), closed(4)].concat();
    let events = run(&turns, usize::MAX);
    assert_eq!(events, run(&turns, 777));
    let [file] = of(&events, "event.dataset", "sensor.file")[..] else { panic!("{events:?}") };
    assert_eq!(file.int("file.size"), Some(i64::try_from(contents.len()).unwrap()));
    assert_eq!(file.int("dongson.file.missing_bytes"), Some(0));
}

#[test]
fn calls_go_through_pipes() {
    let bind = [
        &[5, 0, 11, 3, 16, 0, 0, 0, 72, 0, 0, 0, 1, 0, 0, 0][..],
        &[0; 8],
        &[1, 0, 0, 0, 0, 0, 1, 0],
        &[0x81, 0xbb, 0x7a, 0x36, 0x44, 0x98, 0xf1, 0x35, 0xad, 0x32, 0x98, 0xf0, 0x38, 0x00, 0x10, 0x03],
        &[0; 24],
    ]
    .concat();
    let call = [&[5, 0, 0, 3, 16, 0, 0, 0, 24, 0, 0, 0, 2, 0, 0, 0][..], &[0, 0, 0, 0, 0, 0, 12, 0]].concat();
    let pipe = [connected("\\\\MAY\\IPC$", 2), opened(2, "svcctl", 0)].concat();
    let turns = [pipe, written(3, &bind), written(4, &call), closed(5)].concat();
    let events = run(&turns, usize::MAX);
    let [rpc] = of(&events, "event.dataset", "sensor.dce_rpc")[..] else { panic!("{events:?}") };
    assert_eq!(rpc.text("dongson.dce_rpc.operation"), Some("CreateServiceW"));
    assert_eq!(rpc.text("dongson.dce_rpc.named_pipe"), Some("svcctl"));
    let writes = of(&events, "dongson.smb.action", "SMB::PIPE_WRITE");
    assert_eq!(writes[0].text("dongson.dce_rpc.message"), Some("BIND"));
    assert_eq!(writes[1].text("dongson.dce_rpc.operation"), Some("CreateServiceW"));
}

#[test]
fn a_compound_is_three_commands() {
    let name = wide("b");
    let mut create = bare(5, 2, false, 0, &body(56, &[(44, &[120]), (46, &[2])], &name));
    create.resize(128, 0);
    create[20] = 128;
    let mut close = bare(6, 3, false, 0, &body(24, &[(8, &[0xff; 16])], &[]));
    close[16] |= 4;
    let turns = [
        (C, framed(&[create, close].concat())),
        say(5, 2, 0xc000_0034, &body(8, &[], &[])),
        say(6, 3, 0xc000_0034, &body(8, &[], &[])),
    ];
    let events = run(&turns, 3);
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.text("file.path") == Some("b")));
    assert_eq!(events[1].text("dongson.smb.status"), Some("STATUS_OBJECT_NAME_NOT_FOUND"));
    assert_eq!(events[1].text("event.outcome"), Some("failure"));
}

#[test]
fn what_is_encrypted_is_counted() {
    let turns = [(C, framed(b"\xfdSMB1234")), (S, framed(b"\xfdSMB56"))];
    let events = run(&turns, 5);
    assert_eq!(events[0].int("dongson.smb.encrypted_messages"), Some(2));
}

/// A message of the first version (MS-CIFS, 2.2.3): command, status, words, bytes.
fn old(command: u8, response: bool, status: u32, words: &[u8], bytes: &[u8]) -> (Side, Vec<u8>) {
    let mut message = vec![0; 32];
    message[..4].copy_from_slice(b"\xffSMB");
    message[4] = command;
    message[5..9].copy_from_slice(&status.to_le_bytes());
    (message[9], message[11]) = (if response { 0x80 } else { 0 }, 0xc0);
    (message[24], message[28], message[30]) = (3, 9, command);
    message.push(u8::try_from(words.len() / 2).unwrap());
    message.extend(words);
    message.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
    message.extend(bytes);
    (if response { S } else { C }, framed(&message))
}

fn old_reading() -> Vec<(Side, Vec<u8>)> {
    let end = [0xff, 0, 0, 0];
    let tree = [&end[..], &[0, 0, 1, 0]].concat();
    let path = [&[0][..], &wide("\\\\MAY\\chung"), &[0, 0], b"?????\0"].concat();
    let mut create = [&end[..], &[0; 44]].concat();
    (create[35], create[40]) = (1, 0x10);
    let mut created = [&end[..], &[0; 64]].concat();
    (created[5], created[55]) = (0x40, 4);
    let mut read = [&end[..], &[0x40, 0], &[0; 14]].concat();
    read[10] = 4;
    // The contents stand behind 24 bytes of words: at 32 + 1 + 24 + 2.
    let data = [&end[..], &[0; 6], &[4, 0, 59, 0], &[0; 10]].concat();
    let name = [&wide("\\a.txt")[..], &[0, 0]].concat();
    vec![
        old(0x72, false, 0, &[], b"\x02LANMAN1.0\0\x02NT LM 0.12\0"),
        old(0x72, true, 0, &[&[1, 0][..], &[0; 32]].concat(), &[]),
        old(0x75, false, 0, &tree, &path),
        old(0x75, true, 0, &[&end[..], &[0, 0]].concat(), b"A:\0"),
        old(0xa2, false, 0, &create, &[&[0][..], &name].concat()),
        old(0xa2, true, 0, &created, &[]),
        old(0x2e, false, 0, &read, &[]),
        old(0x2e, true, 0, &data, b"xong"),
        old(0x04, false, 0, &[0x40, 0, 0, 0, 0, 0], &[]),
        old(0x04, true, 0, &[], &[]),
    ]
}

#[test]
fn the_first_version_reads_a_file() {
    let events = run(&old_reading(), usize::MAX);
    assert_eq!(events, run(&old_reading(), 1));
    let [open] = of(&events, "dongson.smb.action", "SMB::FILE_OPEN")[..] else { panic!("{events:?}") };
    assert_eq!(open.text("dongson.smb.dialect"), Some("NT LM 0.12"));
    assert_eq!(open.text("dongson.smb.share"), Some("\\\\MAY\\chung"));
    assert_eq!((open.text("file.path"), open.int("file.size")), (Some("a.txt"), Some(4)));
    assert_eq!(open.text("dongson.smb.access"), Some("delete on close"));
    let [file] = of(&events, "event.dataset", "sensor.file")[..] else { panic!("{events:?}") };
    assert_eq!((file.int("file.size"), file.text("dongson.file.state")), (Some(4), Some("closed")));
}

#[test]
fn the_first_version_signs_in_and_fails() {
    let asked = [&[0xff, 0, 0, 0][..], &[0; 10], &[2, 0], &[0; 10]].concat();
    let names = ["an", "TINH", "Windows", "Lan"].map(|name| [wide(name), vec![0, 0]].concat()).concat();
    let turns = [
        old(0x73, false, 0, &[&asked[..], &[0; 2]].concat(), &[&[1, 2, 0][..], &names].concat()),
        old(0x73, true, 0xc000_006d, &[], &[]),
    ];
    let events = run(&turns, 9);
    assert_eq!(events[0].text("user.name"), Some("an"));
    assert_eq!(events[0].text("dongson.smb.client.native_lm"), Some("Lan"));
    assert_eq!(events[0].text("dongson.smb.status"), Some("STATUS_LOGON_FAILURE"));
    let rename = [&[4][..], &wide("\\cu"), &[0, 0, 4, 0], &wide("\\moi"), &[0, 0]].concat();
    let events = run(&[old(7, false, 0, &[0, 0], &rename)], 4);
    assert_eq!(events[0].text("dongson.smb.action"), Some("SMB::FILE_RENAME"));
    assert_eq!(events[0].text("dongson.smb.previous_path"), Some("cu"));
}

proptest! {
    #[test]
    fn pieces_of_the_first_version_do_not_matter(
        talk: Vec<(u8, bool, Vec<u8>, Vec<u8>)>,
        chunk in 1..40_usize,
    ) {
        let mut turns = old_reading();
        turns.truncate(6);
        for (command, response, mut words, bytes) in talk {
            words.truncate(words.len() / 2 * 2);
            turns.push(old(command, response, 0, &words, &bytes));
        }
        prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
    }


    #[test]
    fn pieces_do_not_matter(
        talk: Vec<(bool, u8, u8, Vec<u8>)>,
        noise: Vec<u8>,
        chunk in 1..40_usize,
    ) {
        let mut turns = reading();
        turns.truncate(6);
        for (client, command, id, body) in talk {
            turns.push(if client { ask(command % 20, id % 8, &body) } else { say(command % 20, id % 8, 0, &body) });
        }
        turns.push((C, noise));
        prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
    }
}
