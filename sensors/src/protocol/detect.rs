//! What a stream or a datagram speaks, told from its first bytes on any port; a port only breaks ties.
//!
//! A detector gives a [`Verdict`] on a prefix. `Yes` and `No` are final: no longer prefix may change them, so that the answer
//! does not depend on how a stream is cut into packets. The first detector in the order of the table that says `Yes` wins once
//! all before it said `No`. Signatures are few and cheap on purpose; a service that is only named here has no parser yet.

mod industrial;

use super::upgrade::Kind;
use super::wire::{contains_no_case, starts_with_no_case};

/// What a detector thinks of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// More bytes are needed.
    Maybe,
}

impl Verdict {
    /// A verdict that is final.
    pub(super) fn of(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }

    /// What another detector of the same service thinks, once this one said no.
    fn or(self, other: Self) -> Self {
        if self == Self::No { other } else { self }
    }
}

/// Bytes of one side that detectors look at.
pub(super) const LIMIT: usize = 1024;

/// What is known when a named service is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// First bytes of the side in question.
    pub(super) prefix: &'a [u8],
    /// First bytes of the other side so far.
    pub(super) peer: &'a [u8],
    pub(super) ports: [u16; 2],
}

impl Scene<'_> {
    fn on(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }
}

/// A service that is recognised but not parsed: Zeek's name, how to recognise it, how it may turn into TLS.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) service: &'static str,
    detect: fn(&Scene<'_>) -> Verdict,
    pub(super) upgrade: Option<Kind>,
}

const fn named(service: &'static str, detect: fn(&Scene<'_>) -> Verdict) -> Named {
    Named { service, detect, upgrade: None }
}

const fn upgrading(service: &'static str, detect: fn(&Scene<'_>) -> Verdict, kind: Kind) -> Named {
    Named { service, detect, upgrade: Some(kind) }
}

/// Services over TCP, the surest first.
static TCP: &[Named] = &[
    named("ssh", |s| begins(s.prefix, &[b"SSH-1.", b"SSH-2."])),
    named("socks", socks),
    named("rfb", |s| begins(s.prefix, &[b"RFB 003.", b"RFB 004."])),
    named("smb", |s| smb(s.prefix)),
    named("bittorrent", |s| begins(s.prefix, &[b"\x13BitTorrent protocol"])),
    named("mqtt", |s| mqtt(s.prefix)),
    named("dnp3_tcp", |s| dnp3(s.prefix)),
    named("amqp", |s| begins(s.prefix, &[b"AMQP\x00", b"AMQP\x03"])),
    named("rsync", |s| begins(s.prefix, &[b"@RSYNCD: "])),
    named("jdwp", |s| begins(s.prefix, &[b"JDWP-Handshake"])),
    named("bgp", |s| begins(s.prefix, &[&[0xff; 16]])),
    upgrading("rdp", |s| rdp(s.prefix), Kind::Rdp),
    named("rpc", |s| rpc(s.prefix)),
    named("cotp", |s| industrial::s7(s.prefix)),
    upgrading("postgresql", |s| postgresql(s.prefix), Kind::Postgresql),
    upgrading("mysql", |s| mysql(s.prefix), Kind::Mysql),
    named("tds", |s| tds(s.prefix)),
    named("dce_rpc", |s| dce_rpc(s.prefix)),
    named("krb_tcp", kerberos_tcp),
    named("ldap_tcp", ldap),
    named("redis", redis),
    named("telnet", telnet),
    upgrading("xmpp", |s| xmpp(s.prefix), Kind::Xmpp),
    named("sip", |s| sip(s.prefix)),
    named("rtsp", |s| rtsp(s.prefix)),
    upgrading("smtp", smtp, Kind::Smtp),
    upgrading("ftp", ftp, Kind::Ftp),
    upgrading("pop3", pop3, Kind::Pop3),
    upgrading("imap", |s| imap(s.prefix), Kind::Imap),
    named("syslog", syslog),
    upgrading("irc", irc, Kind::Irc),
    named("openvpn", |s| super::tunnel::openvpn::begins(s.prefix)),
    named("modbus", modbus),
    named("iec104", industrial::iec104),
    named("enip", industrial::enip),
];

/// The named service of this name.
pub(super) fn service(name: &str) -> Option<&'static Named> {
    TCP.iter().find(|named| named.service == name)
}

/// The named service of a stream, or that no detector can still say yes (`Err(No)`), or that one might (`Err(Maybe)`).
pub(super) fn tcp(scene: &Scene<'_>) -> Result<&'static Named, Verdict> {
    for named in TCP {
        match (named.detect)(scene) {
            Verdict::Yes => return Ok(named),
            Verdict::Maybe => return Err(Verdict::Maybe),
            Verdict::No => {}
        }
    }
    Err(Verdict::No)
}

/// The named service of a datagram.
pub(super) fn udp(ports: [u16; 2], bytes: &[u8]) -> Option<&'static str> {
    let on = |port: u16| ports.contains(&port);
    let scene = Scene { prefix: bytes, peer: &[], ports };
    Some(match bytes {
        _ if dhcp(bytes) => "dhcp",
        _ if (on(546) || on(547)) && super::network::dhcp::is_v6(bytes) => "dhcpv6",
        _ if bytes.len() >= 20 && bytes.get(4..8) == Some(&[0x21, 0x12, 0xa4, 0x42]) => "stun",
        _ if super::peer::bittorrent::is_datagram(bytes) => "bittorrent",
        _ if sip(bytes) == Verdict::Yes => "sip",
        _ if super::network::snmp::is_message(bytes) => "snmp",
        _ if super::network::tftp::is_request(bytes) => "tftp",
        [first, ..] if on(123) && bytes.len() >= 12 && matches!((first >> 3) & 7, 1..=4) => "ntp",
        [b'<', b'0'..=b'9', ..] if on(514) || super::network::syslog::is_message(bytes) => "syslog",
        // Without a priority only what is text, since the port is all that tells (RFC 3164, 4.3.3).
        _ if on(514)
            && bytes.len() >= 8
            && bytes.iter().all(|sign| matches!(sign, b' '..=b'~' | b'\n' | b'\r' | 0)) =>
        {
            "syslog"
        }
        [1..=5 | 11 | 12 | 40..=45, _, high, low, ..]
            if [1812, 1813, 1645, 1646, 3799].into_iter().any(on)
                && usize::from(u16::from_be_bytes([*high, *low])) == bytes.len() =>
        {
            "radius"
        }
        [0x6a | 0x6b | 0x6c | 0x6d | 0x6e | 0x6f | 0x7e, ..] if on(88) => "krb",
        _ if (on(389) || on(3268)) && ldap(&scene) == Verdict::Yes => "ldap_udp",
        [0, 1..=6, ..] if on(69) => "tftp",
        _ if super::industrial::bacnet::is_message(bytes) => "bacnet",
        _ if on(44_818) && super::industrial::enip::is_message(bytes) => "enip",
        _ if super::industrial::enip::is_io(bytes) => "enip",
        _ if super::tunnel::wireguard::is_message(bytes) => "wireguard",
        _ if super::tunnel::openvpn::is_opening(bytes) => "openvpn",
        _ if super::tunnel::ike::is_message(bytes) => "ipsec",
        _ if on(4500) && super::tunnel::ike::is_esp(bytes) => "ipsec",
        _ if super::windows::dcerpc::is_message(bytes) => "dce_rpc",
        _ if super::network::nfs::is_call(bytes) => "rpc",
        _ if super::network::netflow::is_datagram(bytes) => "netflow",
        _ if dnp3(bytes) == Verdict::Yes => "dnp3_udp",
        _ => return None,
    })
}

/// `Yes` when the prefix begins with one of `words`; `Maybe` while one is still possible.
fn begins(prefix: &[u8], words: &[&[u8]]) -> Verdict {
    if words.iter().any(|word| prefix.starts_with(word)) {
        Verdict::Yes
    } else if words.iter().any(|word| word.starts_with(prefix)) {
        Verdict::Maybe
    } else {
        Verdict::No
    }
}

fn on_port(scene: &Scene<'_>, port: u16, words: &[&[u8]]) -> Verdict {
    if scene.on(port) { begins(scene.prefix, words) } else { Verdict::No }
}

/// The bytes at `at`, all of whose positions `fits` accepts; `Maybe` while fewer than `count` are there and all fit.
fn shape(prefix: &[u8], count: usize, fits: impl Fn(usize, u8) -> bool) -> Verdict {
    let seen = prefix.get(..count).unwrap_or(prefix);
    if !seen.iter().enumerate().all(|(at, &byte)| fits(at, byte)) {
        Verdict::No
    } else if seen.len() == count {
        Verdict::Yes
    } else {
        Verdict::Maybe
    }
}

/// Judges the first line, once it is whole or 512 bytes long, if the prefix begins as `start` says.
fn first_line(prefix: &[u8], start: &[&[u8]], judge: impl Fn(&[u8]) -> bool) -> Verdict {
    match begins(prefix, start) {
        Verdict::Yes => {}
        other => return other,
    }
    let seen = prefix.get(..512).unwrap_or(prefix);
    let end = seen.iter().position(|&sign| sign == b'\n');
    if end.is_none() && seen.len() < 512 {
        return Verdict::Maybe;
    }
    if judge(seen.get(..end.unwrap_or(seen.len())).unwrap_or(seen)) { Verdict::Yes } else { Verdict::No }
}

fn smb(prefix: &[u8]) -> Verdict {
    let message = shape(prefix, 8, |at, byte| match at {
        0 => byte == 0,
        1 => byte <= 1,
        4 => matches!(byte, 0xfd..=0xff),
        5..=7 => b"SMB".get(at - 5) == Some(&byte),
        _ => true,
    });
    // A session request: two names of 32 signs from A to P each (RFC 1002, 4.3.2; RFC 1001, 14.1).
    let session = shape(prefix, 10, |at, byte| match at {
        0 => byte == 0x81,
        3 => byte == 0x44,
        4 => byte == 0x20,
        5..=9 => matches!(byte, b'A'..=b'P'),
        _ => byte == 0,
    });
    if message == Verdict::No { session } else { message }
}

fn mqtt(prefix: &[u8]) -> Verdict {
    // The remaining length takes one or two bytes in any CONNECT that is met.
    let one = shape(prefix, 8, |at, byte| match at {
        0 => byte == 0x10,
        1 => byte < 0x80,
        2 => byte == 0,
        3 => matches!(byte, 4 | 6),
        _ => matches!((at, byte), (4, b'M') | (5, b'Q') | (6, b'T' | b'I') | (7, b'T' | b's')),
    });
    let two = shape(prefix, 9, |at, byte| match at {
        0 => byte == 0x10,
        1 => byte >= 0x80,
        2 => byte < 0x80,
        3 => byte == 0,
        4 => matches!(byte, 4 | 6),
        _ => matches!((at, byte), (5, b'M') | (6, b'Q') | (7, b'T' | b'I') | (8, b'T' | b's')),
    });
    if one == Verdict::No { two } else { one }
}

fn dnp3(prefix: &[u8]) -> Verdict {
    shape(prefix, 4, |at, byte| match at {
        0 => byte == 0x05,
        1 => byte == 0x64,
        2 => byte >= 5,
        _ => true,
    })
}

/// TPKT with an X.224 connection request or confirm; bytes 0 to 3 are TPKT, 4 the length, 5 the kind.
fn tpkt(prefix: &[u8], then: impl Fn(usize, u8) -> bool) -> Verdict {
    shape(prefix, 12, |at, byte| match at {
        0 => byte == 3,
        1 | 2 => byte <= 1 && (at == 2 || byte == 0),
        3 => byte >= 12,
        5 => matches!(byte, 0xe0 | 0xd0),
        _ => then(at, byte),
    })
}

fn rdp(prefix: &[u8]) -> Verdict {
    // Behind the X.224 header: a cookie, a negotiation request or its answer; or nothing, which is 11 bytes long.
    let bare = shape(prefix, 11, |at, byte| match at {
        0 => byte == 3,
        1 | 2 => byte == 0,
        3 => byte == 11,
        4 => byte == 6,
        5 => matches!(byte, 0xe0 | 0xd0),
        _ => true,
    });
    let full = tpkt(prefix, |at, byte| at != 11 || matches!(byte, b'C' | 1 | 2 | 3));
    if full == Verdict::No { bare } else { full }
}

/// A call of Sun's RPC in one fragment (RFC 5531, 9 and 11): kind 0, version 2, a program with a number of its own.
fn rpc(prefix: &[u8]) -> Verdict {
    shape(prefix, 20, |at, byte| match at {
        0 => byte == 0x80,
        1 => byte <= 0x20,
        8..=14 | 16 => byte == 0,
        15 => byte == 2,
        17 => byte == 1,
        18 => matches!(byte, 0x86..=0x8a),
        _ => true,
    })
}

fn postgresql(prefix: &[u8]) -> Verdict {
    let request = begins(prefix, &[b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"\x00\x00\x00\x08\x04\xd2\x16\x30"]);
    let startup = shape(prefix, 9, |at, byte| match at {
        0 | 1 | 4 | 6 | 7 => byte == 0,
        5 => byte == 3,
        8 => byte.is_ascii_lowercase() || byte == b'_',
        _ => true,
    });
    if request == Verdict::No { startup } else { request }
}

fn mysql(prefix: &[u8]) -> Verdict {
    shape(prefix, 8, |at, byte| match at {
        1 => byte <= 3,
        2 | 3 => byte == 0,
        4 => byte == 10,
        5 => byte.is_ascii_digit(),
        6 | 7 => byte.is_ascii_digit() || byte == b'.',
        _ => true,
    })
}

/// TDS pre-login (MS-TDS 2.2.6.5).
fn tds(prefix: &[u8]) -> Verdict {
    shape(prefix, 9, |at, byte| match at {
        0 => byte == 0x12,
        1 => byte == 1,
        2 | 4 | 5 | 7 | 8 => byte == 0,
        6 => byte <= 1,
        _ => true,
    })
}

/// A client on the proxy's port, or on any port a server that answers a whole greeting (RFC 1928, 3).
fn socks(scene: &Scene<'_>) -> Verdict {
    if answers_socks(scene.peer) {
        return begins(scene.prefix, &[b"\x05\x00", b"\x05\x02"]);
    }
    on_port(scene, 1080, &[b"\x05\x01", b"\x05\x02", b"\x05\x03", b"\x05\x04", b"\x04\x01"])
}

/// Whether what a client said is one whole SOCKS 5 greeting, so that the other side is the proxy.
pub(super) fn answers_socks(client: &[u8]) -> bool {
    matches!(client, [5, methods @ 1..=8, rest @ ..] if rest.len() == usize::from(*methods))
}

fn dce_rpc(prefix: &[u8]) -> Verdict {
    shape(prefix, 8, |at, byte| match at {
        0 => byte == 5,
        1 => byte <= 1,
        2 => byte <= 19,
        4 => matches!(byte, 0x10 | 0),
        5..=7 => byte == 0,
        _ => true,
    })
}

fn kerberos_tcp(scene: &Scene<'_>) -> Verdict {
    let verdict = shape(scene.prefix, 5, |at, byte| match at {
        0 | 1 => byte == 0,
        4 => matches!(byte, 0x6a..=0x6f | 0x7e),
        _ => true,
    });
    if scene.on(88) || scene.on(464) { verdict } else { Verdict::No }
}

/// An LDAP message: SEQUENCE, message id (up to 2^31 - 1), and an operation (RFC 4511, 4.1.1).
fn ldap(scene: &Scene<'_>) -> Verdict {
    let id = match scene.prefix {
        [] | [0x30] => return Verdict::Maybe,
        [0x30, 0..=0x7f, ..] => 2,
        [0x30, long @ 0x81..=0x84, ..] => usize::from(*long) - 0x80 + 2,
        _ => return Verdict::No,
    };
    match scene.prefix.get(id..) {
        None | Some([] | [2]) => Verdict::Maybe,
        Some([2, length @ 1..=4, rest @ ..]) => match rest.get(usize::from(*length)) {
            None => Verdict::Maybe,
            Some(operation) => Verdict::of(matches!(operation, 0x42 | 0x4a | 0x50 | 0x60..=0x79)),
        },
        Some(_) => Verdict::No,
    }
}

/// A list of strings; on its own port also a command as a person types it ("Inline commands" of the protocol).
fn redis(scene: &Scene<'_>) -> Verdict {
    const TYPED: [&[u8]; 24] = [
        b"PING",
        b"AUTH ",
        b"CLIENT ",
        b"INFO",
        b"QUIT",
        b"SELECT ",
        b"KEYS ",
        b"CONFIG ",
        b"ECHO ",
        b"EVAL ",
        b"FLUSHALL",
        b"SLAVEOF ",
        b"ping",
        b"auth ",
        b"client ",
        b"info",
        b"quit",
        b"select ",
        b"keys ",
        b"config ",
        b"echo ",
        b"eval ",
        b"flushall",
        b"slaveof ",
    ];
    let list =
        first_line(scene.prefix, &[b"*1", b"*2", b"*3", b"*4", b"*5", b"*6", b"*7", b"*8", b"*9"], |line| {
            line.len() <= 5
                && line.strip_suffix(b"\r").is_some_and(|line| line.iter().skip(1).all(u8::is_ascii_digit))
        });
    if list == Verdict::No && scene.on(6379) { first_line(scene.prefix, &TYPED, |_| true) } else { list }
}

/// A negotiation, or on its own port a server that asks at once who is there.
fn telnet(scene: &Scene<'_>) -> Verdict {
    let asks = |line: &[u8]| {
        [&b"login:"[..], b"username:", b"password:"].iter().any(|word| contains_no_case(line, word))
    };
    let seen = scene.prefix.get(..512).unwrap_or(scene.prefix);
    // What comes behind other signs is not looked at, so that the answer is the same as without it.
    let text = seen.iter().position(|sign| !sign.is_ascii()).unwrap_or(seen.len());
    let (seen, other) = seen.split_at_checked(text).unwrap_or((seen, &[]));
    let negotiates = negotiation(scene.prefix);
    match negotiates {
        Verdict::No if (scene.on(23) || scene.on(2323)) && asks(seen) => Verdict::Yes,
        Verdict::No if (scene.on(23) || scene.on(2323)) && seen.len() < 512 && other.is_empty() => {
            Verdict::Maybe
        }
        verdict => verdict,
    }
}

/// A message with a header, in a frame or not; on a port of syslog any that begins with a priority (RFC 6587, 3.4).
fn syslog(scene: &Scene<'_>) -> Verdict {
    let on = [514, 601, 1514, 6514].into_iter().any(|port| scene.on(port));
    let seen = scene.prefix.get(..64).unwrap_or(scene.prefix);
    let digits = seen.iter().take_while(|sign| sign.is_ascii_digit()).count();
    let start = match seen.get(digits) {
        None => return if digits <= 5 { Verdict::Maybe } else { Verdict::No },
        Some(b' ') if (1..=5).contains(&digits) => digits + 1,
        Some(_) if digits == 0 => 0,
        Some(_) => return Verdict::No,
    };
    let message = seen.get(start..).unwrap_or_default();
    let shaped = shape(message, 3, |at, sign| match at {
        0 => sign == b'<',
        1 => sign.is_ascii_digit(),
        _ => sign.is_ascii_digit() || sign == b'>',
    });
    match shaped {
        Verdict::Yes if on || super::network::syslog::is_message(message) => Verdict::Yes,
        // Priority, and `Oct 11 22:14:15 `.
        Verdict::Yes if message.len() < 21 => Verdict::Maybe,
        Verdict::Yes => Verdict::No,
        verdict => verdict,
    }
}

/// A first line that only IRC begins with; on its own ports also a client that says no more than its name.
fn irc(scene: &Scene<'_>) -> Verdict {
    let starts: &[&[u8]] =
        &[b":", b"@", b"NICK ", b"nick ", b"USER ", b"user ", b"CAP LS", b"NOTICE AUTH ", b"PASS "];
    let on = (6660..=6669).chain([7000]).any(|port| scene.on(port));
    first_line(scene.prefix, starts, |line| {
        let named = [&b"USER "[..], b"PASS ", b"user "].iter().any(|word| line.starts_with(word));
        super::voice::irc::begins(line) || on && named
    })
}

fn negotiation(prefix: &[u8]) -> Verdict {
    shape(prefix, 3, |at, byte| match at {
        0 => byte == 0xff,
        1 => (0xfa..=0xfe).contains(&byte),
        _ => byte < 60 || byte == 255,
    })
}

fn xmpp(prefix: &[u8]) -> Verdict {
    let stream = begins(prefix, &[b"<stream:stream"]);
    let seen = prefix.get(..512).unwrap_or(prefix);
    match begins(prefix, &[b"<?xml"]) {
        Verdict::Yes if contains_no_case(seen, b"<stream:stream") => Verdict::Yes,
        Verdict::Yes if seen.len() < 512 => Verdict::Maybe,
        Verdict::Maybe => Verdict::Maybe,
        _ => stream,
    }
}

const SIP_METHODS: &[&[u8]] = &[
    b"SIP/2.0 ",
    b"INVITE sip:",
    b"REGISTER sip:",
    b"OPTIONS sip:",
    b"ACK sip:",
    b"BYE sip:",
    b"CANCEL sip:",
    b"SUBSCRIBE sip:",
    b"NOTIFY sip:",
    b"MESSAGE sip:",
    b"INFO sip:",
    b"PRACK sip:",
    b"UPDATE sip:",
    b"REFER sip:",
    b"PUBLISH sip:",
    b"INVITE tel:",
];

fn sip(prefix: &[u8]) -> Verdict {
    begins(prefix, SIP_METHODS)
}

fn rtsp(prefix: &[u8]) -> Verdict {
    begins(prefix, &[b"RTSP/1.0 ", b"OPTIONS rtsp", b"DESCRIBE rtsp", b"SETUP rtsp", b"OPTIONS * RTSP"])
}

fn smtp(scene: &Scene<'_>) -> Verdict {
    let client = begins(
        scene.prefix,
        &[b"EHLO ", b"HELO ", b"ehlo ", b"helo ", b"EHLO\r", b"HELO\r", b"Ehlo ", b"Helo "],
    );
    let server = first_line(scene.prefix, &[b"220 ", b"220-"], |line| {
        contains_no_case(line, b"smtp") && !contains_no_case(line, b"ftp ") || contains_no_case(line, b"mail")
    });
    if client == Verdict::No { server } else { client }
}

fn ftp(scene: &Scene<'_>) -> Verdict {
    let greeted = scene.peer.starts_with(b"220");
    if greeted {
        return begins(scene.prefix, &[b"USER ", b"user ", b"AUTH TLS", b"AUTH SSL", b"FEAT\r", b"SYST\r"]);
    }
    first_line(scene.prefix, &[b"220 ", b"220-"], |line| contains_no_case(line, b"ftp"))
}

/// The greeting of a server with words in it (Redis says `+OK` alone), or what only a client of POP3 begins with.
fn pop3(scene: &Scene<'_>) -> Verdict {
    let on = scene.on(110);
    let server = first_line(scene.prefix, &[b"+OK", b"-ERR "], |line| {
        let rest = line.strip_prefix(b"+OK").map(<[u8]>::trim_ascii);
        on || rest.is_some_and(|rest| line.get(3) == Some(&b' ') && !rest.is_empty())
    });
    if server != Verdict::No {
        return server;
    }
    let client: &[&[u8]] = &[b"CAPA\r\n", b"STLS\r\n", b"APOP ", b"capa\r\n", b"stls\r\n"];
    let known: &[&[u8]] = &[b"USER ", b"AUTH ", b"AUTH\r\n", b"user ", b"STAT\r\n", b"UIDL\r\n", b"RETR "];
    match begins(scene.prefix, client) {
        Verdict::No if on => begins(scene.prefix, known),
        verdict => verdict,
    }
}

/// A server's greeting, or a tag and a command that a client may begin with (RFC 9051, 6.1 and 6.2).
fn imap(prefix: &[u8]) -> Verdict {
    let server = begins(prefix, &[b"* OK ", b"* OK\r", b"* PREAUTH ", b"* BYE "]);
    if server != Verdict::No {
        return server;
    }
    let seen = prefix.get(..32).unwrap_or(prefix);
    let is_tag = |sign: &u8| sign.is_ascii_alphanumeric() || matches!(sign, b'.' | b'_' | b'-');
    let end = seen.iter().position(|sign| !is_tag(sign)).unwrap_or(seen.len());
    let Some(rest) = seen.get(end..) else { return Verdict::No };
    if end == 0 && !seen.is_empty() || end > 20 {
        return Verdict::No;
    }
    let commands: [&[u8]; 5] =
        [b" CAPABILITY\r\n", b" LOGIN ", b" AUTHENTICATE ", b" STARTTLS\r\n", b" ID ("];
    let could = |word: &[u8]| {
        let length = rest.len().min(word.len());
        rest.get(..length).zip(word.get(..length)).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
    };
    match commands.iter().find(|word| could(word)) {
        Some(word) if rest.len() >= word.len() => Verdict::Yes,
        Some(_) => Verdict::Maybe,
        None => Verdict::No,
    }
}

fn modbus(scene: &Scene<'_>) -> Verdict {
    if !scene.on(502) {
        return Verdict::No;
    }
    shape(scene.prefix, 8, |at, byte| match at {
        2 | 3 => byte == 0,
        4 => byte <= 1,
        7 => (1..=127).contains(&byte) || (129..=255).contains(&byte),
        _ => true,
    })
}

fn dhcp(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(1 | 2)) && bytes.get(236..240) == Some(&[0x63, 0x82, 0x53, 0x63])
}

/// Whether a datagram is text of HTTP over UDP (SSDP).
pub(super) fn is_ssdp(bytes: &[u8]) -> bool {
    [&b"M-SEARCH "[..], b"NOTIFY ", b"HTTP/1.1 "].iter().any(|word| starts_with_no_case(bytes, word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(prefix: &[u8], peer: &[u8], port: u16, expected: Option<&str>) {
        let named = tcp(&Scene { prefix, peer, ports: [40_000, port] });
        assert_eq!(named.map(|named| named.service).ok(), expected);
    }

    #[test]
    fn streams_are_named() {
        check(b"SSH-2.0-OpenSSH_9.6\r\n", b"", 2222, Some("ssh"));
        check(b"220 mail.example.vn ESMTP Postfix\r\n", b"", 25, Some("smtp"));
        check(b"220 (vsFTPd 3.0.3)\r\n", b"", 21, Some("ftp"));
        check(b"220 welcome\r\n", b"", 21, None);
        check(b"USER an\r\n", b"220 welcome\r\n", 21, Some("ftp"));
        check(b"USER an\r\n", b"", 6667, Some("irc"));
        check(b"USER an\r\n", b"", 6767, None);
        check(b"NICK an\r\n", b"", 443, Some("irc"));
        check(b":irc.vn NOTICE * :***\r\n", b"", 443, Some("irc"));
        check(b"<13>Oct  1 22:14:15 a b: c", b"", 10_514, Some("syslog"));
        check(b"57 <165>1 2026-08-24T05:14:15Z a", b"", 10_514, Some("syslog"));
        check(b"<xml>", b"", 10_514, None);
        check(b"\xff\xfd\x18", b"", 2023, Some("telnet"));
        check(b"\r\nlogin: ", b"", 23, Some("telnet"));
        check(b"+OK POP3 ready\r\n", b"", 4110, Some("pop3"));
        check(b"+OK\r\n", b"", 4110, None);
        check(b"USER an\r\n", b"", 110, Some("pop3"));
        check(b"* OK IMAP4rev1\r\n", b"", 9143, Some("imap"));
        check(b"A1 login an x\r\n", b"", 9143, Some("imap"));
        check(b"A1 search all\r\n", b"", 9143, None);
        check(b"\x00\x00\x00\x45\xffSMBr", b"", 445, Some("smb"));
        check(b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00", b"", 3389, Some("rdp"));
        check(b"\x03\x00\x00\x16\x11\xe0\x00\x00\x00\x01\x00\xc0\x01\x0a", b"", 102, Some("cotp"));
        check(b"\x03\x00\x00\x19\x02\xf0\x80\x32\x01\x00\x00\x00", b"", 4102, Some("cotp"));
        check(b"\x68\x04\x07\x00\x00\x00", b"", 4000, Some("iec104"));
        check(b"\x68\x0e\x00\x00\x02\x00\x64\x01\x06\x00\x01\x00", b"", 4000, Some("iec104"));
        let register = [&b"\x65\x00\x04"[..], &[0; 21], b"\x01\x00\x00\x00"].concat();
        check(&register, b"", 4000, Some("enip"));
        check(&[b"\x63", &[0; 23][..]].concat(), b"", 4000, None);
        check(b"\x68\x0f\x00\x00\x02\x00\x64\x01\x06\x00\x01\x00", b"", 4000, None);
        check(b"J\x00\x00\x00\x0a8.0.36\x00", b"", 3306, Some("mysql"));
        check(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"", 5432, Some("postgresql"));
        check(b"*1\r\n$4\r\nPING\r\n", b"", 6379, Some("redis"));
        check(b"PING\r\n", b"", 6379, Some("redis"));
        check(b"PING\r\n", b"", 6380, None);
        check(b"\x10\x12\x00\x04MQTT\x04", b"", 1883, Some("mqtt"));
        check(b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00", b"", 502, Some("modbus"));
        check(b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00", b"", 503, None);
        check(b"INVITE sip:an@vn SIP/2.0\r\n", b"", 5060, Some("sip"));
        check(b"\x30\x0c\x02\x01\x01\x60\x07", b"", 389, Some("ldap_tcp"));
        check(b"\x30\x84\x00\x00\x00\x0e\x02\x02\x01\xac\x63\x07", b"", 389, Some("ldap_tcp"));
    }

    #[test]
    fn datagrams_are_named() {
        let check = |bytes: &[u8], port, expected| assert_eq!(udp([40_000, port], bytes), expected);
        check(&[0x23; 48], 123, Some("ntp"));
        check(
            b"\x30\x17\x02\x01\x01\x04\x06public\xa0\x0a\x02\x01\x01\x02\x01\x00\x02\x01\x00\x30\x00"[..25]
                .as_ref(),
            161,
            None,
        );
        check(
            b"\x30\x18\x02\x01\x01\x04\x06public\xa0\x0b\x02\x01\x01\x02\x01\x00\x02\x01\x00\x30\x00",
            161,
            Some("snmp"),
        );
        check(b"<34>Oct 11 su: failed", 514, Some("syslog"));
        check(b"\x00\x01boot\x00octet\x00", 6969, Some("tftp"));
        check(b"\x81\x0b\x00\x08\x01\x20\xff\xff", 4000, Some("bacnet"));
        check(b"\x81\x0b\x00\x09\x01\x20\xff\xff", 47_808, None);
        check(b"anything", 9, None);
    }

    const STARTS: &[&[u8]] = &[
        b"",
        b"220 ",
        b"\x03\x00\x00\x16",
        b"*1",
        b"\x10",
        b"<?xml",
        b"\x30",
        b"EHLO",
        b"+OK ",
        b"a LOGIN",
        b"NICK ",
        b":a NOTICE ",
        b"<13>Oct ",
        b"\xff\xfd",
        b"\x03\x00\x00\x16\x02\xf0\x80\x32",
        b"\x68\x0e\x00\x00\x02\x00\x64\x01",
        b"\x70\x00",
        b"\x00\x0e\x38",
    ];

    proptest! {
        #[test]
        fn verdicts_are_final(
            bytes: Vec<u8>,
            start in prop::sample::select(STARTS.to_vec()),
            cut in 0..64_usize,
            port in prop::sample::select(vec![21_u16, 23, 88, 110, 502, 514, 6667, 9, 2404, 44_818]),
        ) {
            let bytes = [start, &bytes].concat();
            let cut = cut.min(bytes.len());
            let verdict = |prefix| tcp(&Scene { prefix, peer: b"", ports: [1, port] }).map(|named| named.service);
            let early = verdict(&bytes[..cut]);
            if early != Err(Verdict::Maybe) {
                prop_assert_eq!(early, verdict(&bytes));
            }
        }
    }
}
