use proptest::prelude::*;

use super::*;
use crate::protocol::talk;

const C: Side = Side::Originator;
const S: Side = Side::Responder;

fn run(turns: &[(Side, &[u8])], chunk: usize) -> Vec<Event> {
    let options = Options::default();
    talk::hear(&mut Imap::new(&Start { client: C, options: &options }), turns, chunk)
}

fn check(turns: &[(Side, &[u8])]) -> Vec<Event> {
    let events = run(turns, usize::MAX);
    assert_eq!(events, run(turns, 1));
    assert_eq!(events, run(turns, 7));
    events
}

#[test]
fn a_session_with_a_mail() {
    let events = check(&[
        (S, b"* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n"),
        (C, b"a1 LOGIN {2+}\r\nan {8}\r\n"),
        (S, b"+ go on\r\n"),
        (C, b"mat \"hau\r\na2 SELECT \"H\xe1\xbb\x99p th\xc6\xb0\"\r\n"),
        (S, b"a1 OK in\r\n* 3 EXISTS\r\n* 0 RECENT\r\na2 OK [READ-WRITE] open\r\n"),
        (C, b"a3 uid fetch 7 (UID BODY.PEEK[])\r\na4 IDLE\r\n"),
        (S, b"* 2 FETCH (UID 7 BODY[] {33}\r\nSubject: x\r\nFrom: b@vn\r\n\r\nhi\r\n... FLAGS ())\r\na3 OK done\r\n+ idling\r\n"),
        (C, b"DONE\r\na5 LOGOUT\r\n"),
        (S, b"a4 OK\r\n* BYE\r\na5 OK bye\r\n"),
    ]);
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.text("dongson.imap.command"), event.text("dongson.imap.status")))
        .collect();
    assert_eq!(
        told,
        [
            (None, Some("OK")),
            (Some("LOGIN"), Some("OK")),
            (Some("SELECT"), Some("OK")),
            (Some("UID FETCH"), None),
            (None, None),
            (Some("UID FETCH"), Some("OK")),
            (Some("IDLE"), Some("OK")),
            (Some("LOGOUT"), Some("OK")),
        ]
    );
    let [greeting, login, select, mail, file, fetch, ..] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(greeting.text("dongson.imap.response"), Some("[CAPABILITY IMAP4rev1 LITERAL+] ready"));
    assert_eq!((login.text("user.name"), login.text("dongson.imap.argument")), (Some("an"), Some("an")));
    let sealed = secret::seal(&[0; 32], b"mat \"hau");
    assert_eq!(login.text("dongson.imap.auth.password"), Some(sealed.as_str()));
    assert!(!format!("{events:?}").contains("hau"));
    assert_eq!(select.text("dongson.imap.mailbox"), Some("Hộp thư"));
    assert_eq!(select.get("dongson.imap.untagged").map(|lines| lines.scalars().len()), Some(2));
    assert_eq!((mail.text("event.action"), mail.text("email.subject")), (Some("message"), Some("x")));
    assert_eq!((mail.int("dongson.imap.uid"), mail.int("dongson.imap.message_number")), (Some(7), Some(2)));
    assert_eq!((file.dataset(), file.int("file.size")), ("sensor.file", Some(7)));
    assert_eq!(fetch.int("dongson.imap.messages"), Some(1));
}

#[test]
fn a_mail_is_put_there_and_a_part_fetched() {
    let events = check(&[
        (C, b"x AUTHENTICATE PLAIN\r\n"),
        (S, b"+\r\n"),
        (C, b"AGFuAG1hdA==\r\n"),
        (S, b"x OK\r\n"),
        (C, b"y APPEND {5+}\r\nINBOX (\\Seen) {17}\r\n"),
        (S, b"+ ok\r\n"),
        (C, b"Subject: z\r\n\r\nabc\r\n"),
        (S, b"y OK [APPENDUID 1 9]\r\n"),
        (C, b"z FETCH 1 (BINARY[2])\r\n"),
        (S, b"* 1 FETCH (BINARY[2] ~{4}\r\nMZ\x00\x01)\r\nz OK\r\n"),
    ]);
    let datasets: Vec<_> = events.iter().map(Event::dataset).collect();
    assert_eq!(
        datasets,
        ["sensor.imap", "sensor.imap", "sensor.file", "sensor.imap", "sensor.file", "sensor.imap"]
    );
    assert_eq!(events[0].text("user.name"), Some("an"));
    assert_eq!(events[0].text("dongson.imap.auth.mechanism"), Some("PLAIN"));
    assert_eq!(
        (events[1].text("dongson.imap.mailbox"), events[1].text("email.subject")),
        (Some("INBOX"), Some("z"))
    );
    assert_eq!(events[4].text("file.mime_type"), Some("application/x-dosexec"));
    assert!(!format!("{events:?}").contains("AGFuAG1hdA"));
}

#[test]
fn gaps_and_long_lines() {
    let options = Options::default();
    let mut imap = Imap::new(&Start { client: C, options: &options });
    let (mut out, now) = (Vec::new(), Timestamp::default());
    imap.data(C, now, b"a FETCH 1 RFC822\r\n", &mut out);
    imap.data(S, now, b"* 1 FETCH (RFC822 {200}\r\nSubject: x\r\n\r\nab", &mut out);
    imap.gap(S, 100);
    imap.data(S, now, &[b'c'; 84], &mut out);
    imap.data(S, now, b")\r\n* 2 FE", &mut out);
    imap.gap(S, 50);
    imap.data(S, now, b"lost\r\na OK\r\n", &mut out);
    let names: Vec<_> = out.iter().map(Event::dataset).collect();
    assert_eq!(names, ["sensor.imap", "sensor.file", "sensor.imap"]);
    assert_eq!(out[0].get("dongson.smtp.complete"), Some(&dongson_event::Value::Bool(false)));
    assert_eq!(out[1].int("dongson.file.missing_bytes"), Some(100));
    assert_eq!(out[2].text("dongson.imap.command"), Some("FETCH"));

    let long = [&b"* 1 FETCH (ENVELOPE ("[..], &[b'x'; 10_000], b" {3}\r\nabc) UID 5)\r\nq OK\r\n"].concat();
    let events = check(&[(C, b"q FETCH 1 ALL\r\n"), (S, &long)]);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].int("dongson.imap.messages"), Some(1));
}

#[test]
fn nothing_is_read_behind_compress() {
    let events = run(&[(C, b"a COMPRESS DEFLATE\r\n"), (S, b"a OK\r\n\x01\n* 1 EXISTS\r\n")], usize::MAX);
    assert_eq!(events.len(), 1);
}

proptest! {
    #[test]
    fn pieces_do_not_matter(talk in prop::collection::vec((any::<bool>(), prop::sample::select(vec![
        "a OK x\r\n", "* 1 FETCH (BODY[] {5}\r\n", "* OK\r\n", "+ \r\n", "a LOGIN {2}\r\n", "a AUTHENTICATE LOGIN\r\n",
        "a UID FETCH 1 BODY[]\r\n", "a APPEND x {4+}\r\n", "{0}\r\n", "\"", ")\r\n", "A: b\r\n", "\r\n", "x"])), 0..40),
        noise: Vec<u8>, chunk in 1..20_usize) {
        let mut turns: Vec<(Side, &[u8])> =
            talk.iter().map(|(client, line)| (if *client { C } else { S }, line.as_bytes())).collect();
        turns.push((S, &noise));
        turns.push((C, &noise));
        prop_assert_eq!(run(&turns, usize::MAX), run(&turns, chunk));
    }
}
