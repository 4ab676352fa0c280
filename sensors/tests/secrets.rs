//! No secret of a protocol leaves the sensor: conversations that carry one, each through the whole engine; then the secret is looked for
//! in every event, plain and in the forms in which it was on the wire.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dongson_event::{Event, Timestamp};
use dongson_sensor::capture::{Frame, LinkType};
use dongson_sensor::{Engine, Options};
use etherparse::PacketBuilder;

const SECRET: &str = "xyzzyPLUGH42";

/// A turn of a conversation: from the client, and what is said.
type Turn = (bool, Vec<u8>);

fn client(bytes: impl AsRef<[u8]>) -> Turn {
    (true, bytes.as_ref().to_vec())
}

fn server(bytes: impl AsRef<[u8]>) -> Turn {
    (false, bytes.as_ref().to_vec())
}

/// The events of a conversation over TCP with `port`.
fn over_tcp(port: u16, turns: &[Turn]) -> Vec<Event> {
    let mut frames = Vec::new();
    let mut next = [1_000_u32, 5_000];
    let mut say = |from_client: bool, flags: &str, payload: &[u8]| {
        let (ours, theirs) = if from_client { (0, 1) } else { (1, 0) };
        let ends = [([10, 0, 0, 1], 40_000), ([10, 0, 0, 2], port)];
        let mut builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4(ends[ours].0, ends[theirs].0, 64)
            .tcp(ends[ours].1, ends[theirs].1, next[ours], 60_000);
        if flags.contains('A') {
            builder = builder.ack(next[theirs]);
        }
        if flags.contains('S') {
            builder = builder.syn();
        }
        if flags.contains('F') {
            builder = builder.fin();
        }
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        frames.push(bytes);
        let unit = u32::from(flags.contains('S') || flags.contains('F'));
        next[ours] += u32::try_from(payload.len()).unwrap() + unit;
    };
    say(true, "S", b"");
    say(false, "SA", b"");
    say(true, "A", b"");
    for (from_client, payload) in turns {
        say(*from_client, "A", payload);
    }
    say(true, "FA", b"");
    say(false, "FA", b"");
    say(true, "A", b"");
    events(&frames)
}

/// The events of datagrams to `port`, and of answers.
fn over_udp(port: u16, turns: &[Turn]) -> Vec<Event> {
    let frames: Vec<Vec<u8>> = turns
        .iter()
        .map(|(from_client, payload)| {
            let ends = [([10, 0, 0, 1], 40_000), ([10, 0, 0, 2], port)];
            let (ours, theirs) = if *from_client { (0, 1) } else { (1, 0) };
            let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
                .ipv4(ends[ours].0, ends[theirs].0, 64)
                .udp(ends[ours].1, ends[theirs].1);
            let mut bytes = Vec::new();
            builder.write(&mut bytes, payload).unwrap();
            bytes
        })
        .collect();
    events(&frames)
}

fn events(frames: &[Vec<u8>]) -> Vec<Event> {
    let mut options = Options::default();
    options.protocol.features = true;
    let mut engine = Engine::new(options);
    let mut events = Vec::new();
    for (number, bytes) in (0_i64..).zip(frames) {
        let at = Timestamp::from_millis(1_700_000_000_000 + number);
        let wire_length = u32::try_from(bytes.len()).unwrap();
        let frame = Frame { at, link: LinkType::ETHERNET, bytes, wire_length, vlan: None };
        engine.packet(&frame, &mut |event| events.push(event));
    }
    engine.finish(&mut |event| events.push(event));
    events
}

/// The protocol was understood, told something sealed, and nothing of the secret.
#[track_caller]
fn check(name: &str, dataset: &str, events: &[Event]) {
    let all: Vec<String> = events.iter().map(Event::to_json).collect();
    assert!(events.iter().any(|event| event.dataset() == dataset), "{name}: no {dataset} among {all:#?}");
    let user_and_secret = format!("lan:{SECRET}");
    let forms = [
        SECRET.to_owned(),
        STANDARD.encode(SECRET),
        STANDARD.encode(&user_and_secret),
        STANDARD.encode(format!("\0lan\0{SECRET}")),
        hex::encode(SECRET),
        hex::encode_upper(SECRET),
    ];
    for text in &all {
        for form in &forms {
            assert!(!text.contains(form.as_str()), "{name}: {form} in {text}");
        }
    }
}

/// That, and the hash of the secret, so that its use in several places can be seen.
#[track_caller]
fn check_sealed(name: &str, dataset: &str, events: &[Event]) {
    check(name, dataset, events);
    let sealed = events.iter().any(|event| event.to_json().contains("hmac-sha256:"));
    assert!(
        sealed,
        "{name}: nothing is sealed: {:#?}",
        events.iter().map(Event::to_json).collect::<Vec<_>>()
    );
}

#[test]
fn http() {
    let answer = server(format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: session={SECRET}; Path=/\r\nContent-Length: 2\r\n\r\nhi"
    ));
    let basic = STANDARD.encode(format!("lan:{SECRET}"));
    for header in [
        format!("Authorization: Basic {basic}"),
        format!("Authorization: Bearer {SECRET}"),
        format!("Proxy-Authorization: Basic {basic}"),
        format!("Cookie: id={SECRET}"),
        format!("Authorization: Digest username=\"lan\", response=\"{SECRET}\""),
        format!("X-Api-Key: {SECRET}"),
        format!("X-Auth-Token: {SECRET}"),
    ] {
        let request = client(format!("GET /a HTTP/1.1\r\nHost: x.example\r\n{header}\r\n\r\n"));
        check_sealed(&header, "sensor.http", &over_tcp(80, &[request, answer.clone()]));
    }
    for name in
        ["token", "access_token", "password", "passwd", "pwd", "api_key", "apikey", "secret", "sessionid"]
    {
        let request = client(format!("GET /a?x=1&{name}={SECRET}&y=2 HTTP/1.1\r\nHost: x.example\r\n\r\n"));
        check_sealed(name, "sensor.http", &over_tcp(80, &[request, answer.clone()]));
        let referrer = format!("Referer: http://x.example/b?{name}={SECRET}");
        let request = client(format!("GET /a HTTP/1.1\r\nHost: x.example\r\n{referrer}\r\n\r\n"));
        check_sealed(&referrer, "sensor.http", &over_tcp(80, &[request, answer.clone()]));
    }
    let userinfo = client(format!("GET http://lan:{SECRET}@x.example/a HTTP/1.1\r\nHost: x.example\r\n\r\n"));
    check("userinfo", "sensor.http", &over_tcp(3128, &[userinfo, answer.clone()]));
    let body = format!("user=lan&password={SECRET}");
    let form = client(format!(
        "POST /login HTTP/1.1\r\nHost: x.example\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    check("form", "sensor.http", &over_tcp(80, &[form, answer]));
}

#[test]
fn mail_and_files() {
    let (plain, secret) = (STANDARD.encode(format!("\0lan\0{SECRET}")), STANDARD.encode(SECRET));
    let login = [
        server("220 ftp ready\r\n"),
        client("USER lan\r\n"),
        server("331 password please\r\n"),
        client(format!("PASS {SECRET}\r\n")),
        server("230 welcome\r\n"),
        client("QUIT\r\n"),
        server("221 bye\r\n"),
    ];
    check_sealed("ftp", "sensor.ftp", &over_tcp(21, &login));
    let pop3 = [
        server("+OK ready\r\n"),
        client("USER lan\r\n"),
        server("+OK\r\n"),
        client(format!("PASS {SECRET}\r\n")),
        server("+OK welcome\r\n"),
        client("QUIT\r\n"),
        server("+OK bye\r\n"),
    ];
    check_sealed("pop3", "sensor.pop3", &over_tcp(110, &pop3));
    let imap = [
        server("* OK ready\r\n"),
        client(format!("a1 LOGIN lan {SECRET}\r\n")),
        server("a1 OK done\r\n"),
        client("a2 LOGOUT\r\n"),
        server("* BYE\r\na2 OK done\r\n"),
    ];
    check_sealed("imap", "sensor.imap", &over_tcp(143, &imap));
    let hello =
        [server("220 mail ready\r\n"), client("EHLO x\r\n"), server("250-x\r\n250 AUTH PLAIN LOGIN\r\n")];
    let end = [client("QUIT\r\n"), server("221 bye\r\n")];
    let smtp_plain = [client(format!("AUTH PLAIN {plain}\r\n")), server("235 good\r\n")];
    check_sealed("smtp plain", "sensor.smtp", &over_tcp(25, &[&hello[..], &smtp_plain, &end].concat()));
    let smtp_login = [
        client("AUTH LOGIN\r\n"),
        server("334 VXNlcm5hbWU6\r\n"),
        client(format!("{}\r\n", STANDARD.encode("lan"))),
        server("334 UGFzc3dvcmQ6\r\n"),
        client(format!("{secret}\r\n")),
        server("235 good\r\n"),
    ];
    check_sealed("smtp login", "sensor.smtp", &over_tcp(25, &[&hello[..], &smtp_login, &end].concat()));
}

#[test]
fn databases() {
    let redis = [client(format!("*2\r\n$4\r\nAUTH\r\n$12\r\n{SECRET}\r\n")), server("+OK\r\n")];
    check_sealed("redis", "sensor.redis", &over_tcp(6379, &redis));
    let said = format!("AUTH lan {SECRET}\r\n");
    check_sealed("redis as people type", "sensor.redis", &over_tcp(6379, &[client(said), server("+OK\r\n")]));

    // A start-up message of PostgreSQL, the demand for a password in the clear, and the password.
    let parameters = b"\0\x03\0\0user\0lan\0database\0db\0\0";
    let startup = [&u32::try_from(parameters.len() + 4).unwrap().to_be_bytes()[..], parameters].concat();
    let password =
        [&b"p"[..], &u32::try_from(SECRET.len() + 5).unwrap().to_be_bytes(), SECRET.as_bytes(), b"\0"]
            .concat();
    let statement = format!("ALTER USER lan PASSWORD '{SECRET}'\0");
    let query = [&b"Q"[..], &u32::try_from(statement.len() + 4).unwrap().to_be_bytes(), statement.as_bytes()]
        .concat();
    let postgresql = [
        client(startup),
        server(b"R\0\0\0\x08\0\0\0\x03"),
        client(password),
        server(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"),
        client(query),
        server(b"C\0\0\0\x0fALTER ROLE\0Z\0\0\0\x05I"),
    ];
    check("postgresql", "sensor.postgresql", &over_tcp(5432, &postgresql));
}

#[test]
fn directories_brokers_and_shells() {
    // LDAP: bind request, version 3, simple password.
    let password = SECRET.as_bytes();
    let name = b"cn=lan";
    let bind = [
        &[0x02, 1, 3, 0x04, u8::try_from(name.len()).unwrap()][..],
        name,
        &[0x80, u8::try_from(password.len()).unwrap()],
        password,
    ]
    .concat();
    let bind = [&[0x02, 1, 1, 0x60, u8::try_from(bind.len()).unwrap()][..], &bind].concat();
    let bind = [&[0x30, u8::try_from(bind.len()).unwrap()][..], &bind].concat();
    let done = [0x30, 12, 0x02, 1, 1, 0x61, 7, 0x0a, 1, 0, 0x04, 0, 0x04, 0];
    check_sealed("ldap", "sensor.ldap", &over_tcp(389, &[client(bind), server(done)]));

    // MQTT 3.1.1: connect with user name and password.
    let text = |text: &[u8]| [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat();
    let connect =
        [&text(b"MQTT")[..], &[4, 0xc2, 0, 60], &text(b"c1"), &text(b"lan"), &text(password)].concat();
    let connect = [&[0x10, u8::try_from(connect.len()).unwrap()][..], &connect].concat();
    check_sealed("mqtt", "sensor.mqtt", &over_tcp(1883, &[client(connect), server([0x20, 2, 0, 0])]));

    // SOCKS 5 with user name and password (RFC 1929).
    let sign_in = [&[1, 3][..], b"lan", &[u8::try_from(password.len()).unwrap()], password].concat();
    let socks = [
        client([5, 1, 2]),
        server([5, 2]),
        client(sign_in),
        server([1, 0]),
        client([5, 1, 0, 1, 10, 0, 0, 9, 0, 80]),
        server([5, 0, 0, 1, 10, 0, 0, 2, 0, 80]),
    ];
    check_sealed("socks", "sensor.socks", &over_tcp(1080, &socks));

    let telnet = [
        server(b"\xff\xfd\x18\xff\xfb\x01"),
        client(b"\xff\xfb\x18\xff\xfd\x01"),
        server(b"login: "),
        client(b"lan\r\n"),
        server(b"lan\r\nPassword: "),
        client(format!("{SECRET}\r\n")),
        server(b"\r\nLast login: today\r\n$ "),
    ];
    check("telnet", "sensor.telnet", &over_tcp(23, &telnet));

    let irc = [
        client(format!("PASS {SECRET}\r\nNICK lan\r\nUSER lan 0 * :Lan\r\n")),
        server(":x 001 lan :Welcome\r\n"),
        client(format!("PRIVMSG NickServ :IDENTIFY {SECRET}\r\n")),
        server(":NickServ!n@x NOTICE lan :ok\r\n"),
    ];
    check("irc", "sensor.irc", &over_tcp(6667, &irc));
}

#[test]
fn datagrams() {
    // SNMP 2c: a get request under the community.
    let request = [
        0xa0, 0x19, 2, 1, 1, 2, 1, 0, 2, 1, 0, 0x30, 0x0e, 0x30, 0x0c, 6, 8, 0x2b, 6, 1, 2, 1, 1, 1, 0, 5, 0,
    ];
    let community = SECRET.as_bytes();
    let body = [&[2, 1, 1, 4, u8::try_from(community.len()).unwrap()][..], community, &request].concat();
    let snmp = [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat();
    check_sealed("snmp", "sensor.snmp", &over_udp(161, &[client(snmp)]));

    let register = format!(
        "REGISTER sip:x.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:40000;branch=z9hG4bK1\r\nFrom: <sip:lan@x.example>;tag=1\r\nTo: <sip:lan@x.example>\r\nCall-ID: 1@x\r\nCSeq: 2 REGISTER\r\nAuthorization: Digest username=\"lan\", realm=\"x\", nonce=\"n\", uri=\"sip:x.example\", response=\"{SECRET}\"\r\nContent-Length: 0\r\n\r\n"
    );
    let ok = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1:40000;branch=z9hG4bK1\r\nFrom: <sip:lan@x.example>;tag=1\r\nTo: <sip:lan@x.example>;tag=2\r\nCall-ID: 1@x\r\nCSeq: 2 REGISTER\r\nContent-Length: 0\r\n\r\n";
    check("sip", "sensor.sip", &over_udp(5060, &[client(register), server(ok)]));

    // What is relayed from a log is a text of its own, but a URI in it is not looked into: said here, so that it is known.
    let syslog = client("<34>1 2026-11-24T00:00:00Z gw app - - - signed in");
    check("syslog", "sensor.syslog", &over_udp(514, &[syslog]));
}
