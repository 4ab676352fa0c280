//! How sessions of people begin: terminals, chats, calls, proxies.

use super::prefix::{begins, first_line, on_port, shape};
use super::{Scene, Verdict};
use crate::protocol::voice;
use crate::protocol::wire::contains_no_case;

/// A client on the proxy's port, or on any port a server that answers a whole greeting (RFC 1928, 3).
pub(super) fn socks(scene: &Scene<'_>) -> Verdict {
    if answers_socks(scene.peer) {
        return begins(scene.prefix, &[b"\x05\x00", b"\x05\x02"]);
    }
    on_port(scene, 1080, &[b"\x05\x01", b"\x05\x02", b"\x05\x03", b"\x05\x04", b"\x04\x01"])
}

/// Whether what a client said is one whole SOCKS 5 greeting, so that the other side is the proxy.
pub(in crate::protocol) fn answers_socks(client: &[u8]) -> bool {
    matches!(client, [5, methods @ 1..=8, rest @ ..] if rest.len() == usize::from(*methods))
}

/// A negotiation, or on its own port a server that asks at once who is there.
pub(super) fn telnet(scene: &Scene<'_>) -> Verdict {
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

pub(super) fn negotiation(prefix: &[u8]) -> Verdict {
    shape(prefix, 3, |at, byte| match at {
        0 => byte == 0xff,
        1 => (0xfa..=0xfe).contains(&byte),
        _ => byte < 60 || byte == 255,
    })
}

/// A first line that only IRC begins with; on its own ports also a client that says no more than its name.
pub(super) fn irc(scene: &Scene<'_>) -> Verdict {
    let starts: &[&[u8]] =
        &[b":", b"@", b"NICK ", b"nick ", b"USER ", b"user ", b"CAP LS", b"NOTICE AUTH ", b"PASS "];
    let on = (6660..=6669).chain([7000]).any(|port| scene.on(port));
    first_line(scene.prefix, starts, |line| {
        let named = [&b"USER "[..], b"PASS ", b"user "].iter().any(|word| line.starts_with(word));
        voice::irc::begins(line) || on && named
    })
}

pub(super) fn xmpp(prefix: &[u8]) -> Verdict {
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

pub(super) fn sip(prefix: &[u8]) -> Verdict {
    begins(prefix, SIP_METHODS)
}

pub(super) fn rtsp(prefix: &[u8]) -> Verdict {
    begins(prefix, &[b"RTSP/1.0 ", b"OPTIONS rtsp", b"DESCRIBE rtsp", b"SETUP rtsp", b"OPTIONS * RTSP"])
}
