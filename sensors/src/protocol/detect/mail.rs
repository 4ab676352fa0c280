//! How mail and file transfer begin.

use super::prefix::{begins, first_line};
use super::{Scene, Verdict};
use crate::protocol::wire::contains_no_case;

pub(super) fn smtp(scene: &Scene<'_>) -> Verdict {
    let client = begins(
        scene.prefix,
        &[b"EHLO ", b"HELO ", b"ehlo ", b"helo ", b"EHLO\r", b"HELO\r", b"Ehlo ", b"Helo "],
    );
    let server = first_line(scene.prefix, &[b"220 ", b"220-"], |line| {
        contains_no_case(line, b"smtp") && !contains_no_case(line, b"ftp ") || contains_no_case(line, b"mail")
    });
    if client == Verdict::No { server } else { client }
}

pub(super) fn ftp(scene: &Scene<'_>) -> Verdict {
    let greeted = scene.peer.starts_with(b"220");
    if greeted {
        return begins(scene.prefix, &[b"USER ", b"user ", b"AUTH TLS", b"AUTH SSL", b"FEAT\r", b"SYST\r"]);
    }
    first_line(scene.prefix, &[b"220 ", b"220-"], |line| contains_no_case(line, b"ftp"))
}

/// The greeting of a server with words in it (Redis says `+OK` alone), or what only a client of POP3 begins with.
pub(super) fn pop3(scene: &Scene<'_>) -> Verdict {
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
pub(super) fn imap(prefix: &[u8]) -> Verdict {
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
