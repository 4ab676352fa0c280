//! Where a service turns into TLS in mid-stream: STARTTLS and its likes.
//!
//! In: both directions of a named service. Out: the moment from which the bytes are TLS. The service itself is not parsed:
//! lines are only watched for the request and its grant, at most [`MAX_WATCHED`] bytes per side. Memory: one line per side.

use super::Side;
use super::wire::{contains_no_case, starts_with_no_case};

/// Bytes of one side that are watched for a switch to TLS.
const MAX_WATCHED: usize = 64 * 1024;
/// Longest line that is looked at whole.
const MAX_LINE: usize = 2048;

/// Services that can turn into TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Smtp,
    Ftp,
    Pop3,
    Imap,
    Xmpp,
    Irc,
    Postgresql,
    Mysql,
    Rdp,
}

impl Kind {
    /// The service's name when TLS has followed, as Zeek joins them.
    pub(super) fn joined(self) -> &'static str {
        match self {
            Self::Smtp => "smtp,ssl",
            Self::Ftp => "ftp,ssl",
            Self::Pop3 => "pop3,ssl",
            Self::Imap => "imap,ssl",
            Self::Xmpp => "xmpp,ssl",
            Self::Irc => "irc,ssl",
            Self::Postgresql => "postgresql,ssl",
            Self::Mysql => "mysql,ssl",
            Self::Rdp => "rdp,ssl",
        }
    }

    /// Length of the message at the front of a side of a binary protocol; `None` while its header is not whole.
    fn message(self, client: bool, held: &[u8]) -> Option<usize> {
        match (self, held) {
            (Self::Postgresql, _) => Some(if client { 8 } else { 1 }),
            (Self::Mysql, [a, b, c, _, ..]) => {
                usize::try_from(u32::from_le_bytes([*a, *b, *c, 0])).ok().map(|n| n + 4)
            }
            (Self::Rdp, [_, _, high, low, ..]) => Some(usize::from(u16::from_be_bytes([*high, *low])).max(4)),
            _ => None,
        }
    }

    /// Whether the first message of a side of a binary protocol allows the switch.
    fn agrees(self, client: bool, message: &[u8]) -> bool {
        match (self, client) {
            (Self::Postgresql, true) => message == b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
            (Self::Postgresql, false) => message == b"S",
            // Capability bit 11 of a short login request is CLIENT_SSL.
            (Self::Mysql, true) => message.len() == 36 && message.get(5).is_some_and(|flags| flags & 8 != 0),
            // An X.224 confirm whose negotiation response chose a protocol with TLS.
            (Self::Rdp, false) => {
                message.get(11) == Some(&2) && message.get(15).is_some_and(|chosen| *chosen != 0)
            }
            _ => true,
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, Self::Postgresql | Self::Mysql | Self::Rdp)
    }

    fn requests(self, line: &[u8]) -> bool {
        match self {
            Self::Smtp | Self::Irc => starts_with_no_case(line, b"STARTTLS"),
            Self::Ftp => starts_with_no_case(line, b"AUTH TLS") || starts_with_no_case(line, b"AUTH SSL"),
            Self::Pop3 => starts_with_no_case(line, b"STLS"),
            Self::Imap => contains_no_case(line, b" starttls"),
            Self::Xmpp => contains_no_case(line, b"<starttls"),
            _ => false,
        }
    }

    fn grants(self, line: &[u8]) -> bool {
        match self {
            Self::Smtp => line.starts_with(b"220"),
            Self::Ftp => line.starts_with(b"234"),
            Self::Pop3 => line.starts_with(b"+OK"),
            Self::Imap => !line.starts_with(b"*") && contains_no_case(line, b" ok"),
            Self::Xmpp => contains_no_case(line, b"<proceed"),
            // RPL_STARTTLS of the IRCv3 extension tls.
            Self::Irc => contains_no_case(line, b" 670 "),
            _ => false,
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    held: Vec<u8>,
    watched: usize,
    /// It has said its part; what follows is held for TLS.
    ready: bool,
    /// It never will.
    given_up: bool,
}

/// A service on its way, perhaps, to TLS.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) kind: Kind,
    pub(super) client: Side,
    halves: [Half; 2],
}

impl Upgrade {
    pub(super) fn new(kind: Kind, client: Side) -> Self {
        Self { kind, client, halves: Default::default() }
    }

    /// Whether a switch can still come.
    pub(super) fn is_open(&self) -> bool {
        !self.halves.iter().any(|half| half.given_up)
    }

    pub(super) fn gap(&mut self, side: Side) {
        side.of_mut(&mut self.halves).given_up = true;
    }

    /// Reads bytes of one side; when TLS has been agreed, what each side (originator, responder) has sent of it so far.
    pub(super) fn data(&mut self, side: Side, bytes: &[u8]) -> Option<[Vec<u8>; 2]> {
        let (kind, client) = (self.kind, side == self.client);
        let asked = self.client.of(&self.halves).ready;
        let half = side.of_mut(&mut self.halves);
        half.watched += bytes.len();
        half.held.extend_from_slice(bytes);
        if !half.ready && kind.is_binary() {
            half.message(kind, client);
        } else if !half.ready {
            half.lines(kind, client, asked);
        }
        half.given_up |= half.watched > MAX_WATCHED || half.held.len() > MAX_WATCHED;
        let agreed = self.halves.iter().all(|half| half.ready);
        agreed.then(|| std::mem::take(&mut self.halves).map(|half| half.held))
    }
}

impl Half {
    fn message(&mut self, kind: Kind, client: bool) {
        let Some(length) = kind.message(client, &self.held) else { return };
        if let Some((message, rest)) = self.held.split_at_checked(length) {
            self.ready = kind.agrees(client, message);
            self.given_up = !self.ready;
            self.held = rest.to_vec();
        } else if length > MAX_WATCHED {
            self.given_up = true;
        }
    }

    fn lines(&mut self, kind: Kind, client: bool, asked: bool) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        let ends = |sign: &u8| *sign == b'\n' || (kind == Kind::Xmpp && *sign == b'>');
        while let Some(end) = rest.iter().position(ends) {
            let (line, next) = rest.split_at_checked(end + 1).unwrap_or((rest, &[]));
            rest = next;
            self.ready = if client { kind.requests(line) } else { asked && kind.grants(line) };
            if self.ready {
                break;
            }
        }
        // The rest of an overlong line can neither ask nor grant.
        self.held = if self.ready || rest.len() <= MAX_LINE { rest.to_vec() } else { Vec::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: Side = Side::Originator;
    const S: Side = Side::Responder;

    #[track_caller]
    fn check(kind: Kind, turns: &[(Side, &[u8])], expected: Option<[&[u8]; 2]>) {
        for chunk in [1, 4, 1000] {
            let mut upgrade = Upgrade::new(kind, C);
            let mut found = None;
            for (side, bytes) in turns {
                for part in bytes.chunks(chunk) {
                    match &mut found {
                        None => found = upgrade.data(*side, part),
                        Some(halves) => side.of_mut(halves).extend_from_slice(part),
                    }
                }
            }
            assert_eq!(found, expected.map(|halves| halves.map(<[u8]>::to_vec)), "pieces of {chunk}");
        }
    }

    #[test]
    fn mail_switches_when_granted() {
        check(
            Kind::Smtp,
            &[
                (S, b"220 mail\r\n"),
                (C, b"EHLO a\r\nSTARTTLS\r\n"),
                (S, b"250 ok\r\n220 go\r\nX"),
                (C, b"\x16\x03"),
            ],
            Some([b"\x16\x03", b"X"]),
        );
        check(Kind::Smtp, &[(S, b"220 mail\r\n"), (C, b"STARTTLS\r\n"), (S, b"454 no\r\n")], None);
        check(Kind::Imap, &[(C, b"a1 STARTTLS\r\n"), (S, b"* x\r\na1 OK go\r\n")], Some([b"", b""]));
    }

    #[test]
    fn databases_switch_by_message() {
        let request = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";
        check(Kind::Postgresql, &[(C, request), (S, b"S"), (C, b"\x16")], Some([b"\x16", b""]));
        check(Kind::Postgresql, &[(C, request), (S, b"N")], None);
        let login = [&[32, 0, 0, 1, 0, 8][..], &[0; 30]].concat();
        check(Kind::Mysql, &[(S, b"\x02\x00\x00\x00\x0a8"), (C, &login), (C, b"\x16")], Some([b"\x16", b""]));
    }
}
