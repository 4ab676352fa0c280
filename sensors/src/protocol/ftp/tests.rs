use proptest::prelude::*;

use super::*;
use crate::protocol::talk;
use crate::protocol::{Options, Tcp};

const C: Side = Side::Originator;
const S: Side = Side::Responder;

fn run(turns: &[(Side, &[u8])], chunk: usize) -> Vec<Event> {
    let options = Options::default();
    talk::hear(&mut Ftp::new(&Start { client: C, options: &options }), turns, chunk)
}

#[test]
fn commands_meet_their_replies() {
    let talk: [(Side, &[u8]); 9] = [
        (S, b"220-hello\r\n 220 not yet\r\n220 ready\r\n"),
        (C, b"USER an\r\nPASS matkhau\r\n"),
        (S, b"331 go on\r\n230 in\r\n"),
        (C, b"CWD /pub\r\n"),
        (S, b"250 ok\r\n"),
        (C, b"EPSV\r\nRETR a.txt\r\n"),
        (S, b"229 Entering (|||6446|)\r\n150 Opening for a.txt (77 bytes)\r\n226 done\r\n"),
        (C, b"DELE b\r\nNOOP\r\n"),
        (S, b"550 no\r\n"),
    ];
    let events = run(&talk, usize::MAX);
    assert_eq!(events, run(&talk, 1));
    assert!(!format!("{events:?}").contains("matkhau"));
    let commands: Vec<_> = events.iter().map(|event| event.text("dongson.ftp.command")).collect();
    let names = ["USER", "PASS", "CWD", "EPSV", "RETR", "DELE", "NOOP"].map(Some);
    assert_eq!(commands, [&[None], &names[..]].concat());
    assert_eq!(events[0].get("dongson.ftp.replies").unwrap().scalars().len(), 3);
    assert_eq!(events[0].text("dongson.ftp.reply_message"), Some("ready"));
    assert_eq!(events[4].int("dongson.ftp.data_channel.port"), Some(6446));
    assert_eq!(events[5].text("file.path"), Some("/pub/a.txt"));
    assert_eq!(events[5].int("file.size"), Some(77));
    assert_eq!(events[5].get("dongson.ftp.reply_codes").unwrap().scalars().len(), 2);
    assert_eq!(events[6].text("event.outcome"), Some("failure"));
    assert_eq!(events[7].int("dongson.ftp.reply_code"), None);
}

#[test]
fn a_data_connection_knows_its_file() {
    let options = Options::default();
    let at = Timestamp::default();
    let mut ftp = Ftp::new(&Start { client: C, options: &options });
    let mut out = Vec::new();
    ftp.data(C, at, b"USER an\r\nPORT 192,0,2,1,4,210\r\n", &mut out);
    let expected = ftp.expected().unwrap();
    assert_eq!((expected.listener, expected.port), (C, 1234));
    assert!(ftp.expected().is_none(), "it is told once");
    ftp.data(C, at, b"STOR thu/a.txt\r\n", &mut out);
    let mut data = Tcp::transfer(expected.transfer, options);
    data.data(S, at, b"abc", &mut out);
    ftp.data(S, at, b"331 a\r\n200 b\r\n150 c\r\n226 d\r\n", &mut out);
    data.finish(at, &mut out);
    assert_eq!(data.service(), Some("ftp-data"));
    let [.., told, file] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!((told.dataset(), file.dataset()), ("sensor.ftp_data", "sensor.file"));
    assert_eq!(told.text("dongson.ftp.command"), Some("STOR"));
    assert_eq!(file.text("file.name"), Some("a.txt"));
    assert_eq!(file.text("user.name"), Some("an"));
    assert_eq!(file.text("file.hash.sha1"), Some("a9993e364706816aba3e25717850c26c9cd0d89d"));
}

#[test]
fn long_lines_are_cut() {
    let long = [&b"RETR "[..], &[b'a'; 5000], b"\r\nNOOP\r\n"].concat();
    let events = run(&[(C, &long)], 700);
    assert_eq!(events[0].text("dongson.ftp.argument").unwrap().len(), 4091);
    assert_eq!(events[0].get("dongson.ftp.command_truncated"), Some(&dongson_event::Value::Bool(true)));
    assert_eq!(events[1].text("dongson.ftp.command"), Some("NOOP"));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(talk in prop::collection::vec((any::<bool>(), prop::sample::select(vec![
        "USER a\r\n", "PASS b\r\n", "PORT 1,2,3,4,5,6\r\n", "EPSV\r\n", "RETR x\r\n", "CWD ..\r\n", "PWD\r\n", "SIZE x\r\n",
        "220-a\r\n", "220 b\r\n", "229 (|||5|)\r\n", "227 1,2,3,4,5,6\r\n", "150 (7 bytes)\r\n", "213 9\r\n", "257 \"/a\"\r\n", "x"])),
        0..40), noise: Vec<u8>, chunk in 1..20_usize) {
        let side = |client| if client { C } else { S };
        let mut turns: Vec<(Side, &[u8])> = talk.iter().map(|(client, line)| (side(*client), line.as_bytes())).collect();
        turns.push((S, &noise));
        prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
    }
}
