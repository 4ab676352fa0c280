//! Packets: opcode and key in one byte, the sender's session, protection, acknowledgements, number, content.

use super::super::super::wire::Cursor;

/// Bytes of a packet that opens a session, without protection and acknowledgements: opcode, session, their number, its own.
pub(super) const SHORTEST: usize = 14;
/// With the wrapped key of tls-crypt-v2, which can be 1,024 bytes long.
pub(super) const LONGEST: usize = 1200;
/// Bytes of opcode and session.
const HEAD: usize = 9;
/// Bytes of number and time that protect against packets that come again.
const REPLAY: usize = 8;
/// Bytes of the authenticator of tls-crypt.
const CRYPT_TAG: usize = 32;
/// Acknowledgements that one packet may carry.
const MAX_ACKS: usize = 8;
/// Lengths of authenticators of tls-auth: MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
const HMACS: [usize; 6] = [16, 20, 28, 32, 48, 64];
/// A time that no packet is older than (2005) in seconds; later than now is not asked, since captures have no clock.
const FIRST_TIME: u32 = 1_100_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    ClientReset,
    ServerReset,
    Control,
    Acknowledgement,
    Data,
}

impl Opcode {
    /// The upper five bits; soft resets and what is not known have no name here.
    pub(super) fn of(first: u8) -> Option<Self> {
        Some(match first >> 3 {
            1 | 7 | 10 => Self::ClientReset,
            2 | 8 => Self::ServerReset,
            4 => Self::Control,
            5 => Self::Acknowledgement,
            6 | 9 => Self::Data,
            _ => return None,
        })
    }
}

/// What protects the control channel beside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    None,
    /// An authenticator of so many bytes.
    Auth(usize),
    Crypt,
    CryptV2,
}

impl Protection {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Auth(_) => "tls-auth",
            Self::Crypt => "tls-crypt",
            Self::CryptV2 => "tls-crypt-v2",
        }
    }

    /// Whether the handshake is in the clear.
    pub(super) fn is_readable(self) -> bool {
        matches!(self, Self::None | Self::Auth(_))
    }
}

/// A packet of the control channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) opcode: Opcode,
    pub(super) session: [u8; 8],
    /// How many packets it acknowledges.
    acks: usize,
    /// Its own number; acknowledgements alone have none.
    pub(super) number: Option<u32>,
    pub(super) content: &'a [u8],
}

impl<'a> Packet<'a> {
    /// A packet under this protection; of an encrypted one only the head is read.
    pub(super) fn read(bytes: &'a [u8], protection: Protection) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let opcode = Opcode::of(cursor.u8()?).filter(|opcode| *opcode != Opcode::Data)?;
        let session = *cursor.take(8)?.first_chunk()?;
        let mut packet = Self { opcode, session, acks: 0, number: None, content: &[] };
        match protection {
            Protection::None => {}
            Protection::Auth(length) => drop(cursor.take(length + REPLAY)?),
            Protection::Crypt | Protection::CryptV2 => return Some(packet),
        }
        packet.acks = usize::from(cursor.u8()?);
        if packet.acks > 0 {
            // The packets' numbers, and the session of who sent them.
            cursor.take(4 * packet.acks + 8)?;
        }
        if opcode != Opcode::Acknowledgement {
            packet.number = Some(cursor.u32()?);
        }
        packet.content = cursor.rest();
        Some(packet)
    }

    /// A packet that opens: the first of its sender, without content; only a server has something to acknowledge.
    fn opens(&self) -> bool {
        let acks = match self.opcode {
            Opcode::ClientReset => self.acks == 0,
            Opcode::ServerReset => self.acks <= MAX_ACKS,
            _ => false,
        };
        acks && self.number == Some(0) && self.content.is_empty()
    }
}

/// Under which key a packet goes, the lower three bits: the first key is 0.
pub(super) fn key(first: u8) -> u8 {
    first & 7
}

/// Whether a packet that opens a session may have this first byte: its key is the first.
pub(super) fn may_open(first: u8) -> bool {
    key(first) == 0 && matches!(Opcode::of(first), Some(Opcode::ClientReset | Opcode::ServerReset))
}

/// A packet that opens a session, and how it is protected, which its length and the places of its numbers tell.
pub(super) fn opening(bytes: &[u8]) -> Option<(Packet<'_>, Protection)> {
    if !(SHORTEST..=LONGEST).contains(&bytes.len()) || !bytes.first().is_some_and(|first| may_open(*first)) {
        return None;
    }
    let head = Packet::read(bytes, Protection::Crypt).filter(|packet| packet.session != [0; 8])?;
    let readable = [Protection::None].into_iter().chain(HMACS.map(Protection::Auth));
    let found = readable.filter_map(|protection| Some((Packet::read(bytes, protection)?, protection))).find(
        |(packet, protection)| match protection {
            Protection::Auth(length) => packet.opens() && is_replay(bytes, HEAD + length),
            _ => packet.opens(),
        },
    );
    if found.is_some() {
        return found;
    }
    let crypt = HEAD + REPLAY + CRYPT_TAG;
    let wrapped = bytes.first() == Some(&0x50);
    let fits = match head.opcode {
        // The wrapped key tells its length at its end.
        Opcode::ClientReset if wrapped => {
            let [.., high, low] = bytes else { return None };
            let key = usize::from(u16::from_be_bytes([*high, *low]));
            bytes.len().checked_sub(key).is_some_and(|rest| (crypt + 5..=crypt + 32).contains(&rest))
        }
        Opcode::ClientReset => bytes.len() == crypt + 5,
        // With acknowledgements, and what it can do.
        _ => (crypt + 5..=crypt + 5 + 4 * MAX_ACKS + 8 + 32).contains(&bytes.len()),
    };
    let protection = if wrapped { Protection::CryptV2 } else { Protection::Crypt };
    (fits && is_replay(bytes, HEAD)).then_some((head, protection))
}

/// Whether a number, one of a sender's first, and a time stand at `at`.
fn is_replay(bytes: &[u8], at: usize) -> bool {
    let mut cursor = Cursor::new(bytes.get(at..).unwrap_or_default());
    // tls-crypt-v2 begins its numbers at 0x0f000001.
    let first = matches!(cursor.u32(), Some(1..=16 | 0x0f00_0001..=0x0f00_0010));
    first && cursor.u32().is_some_and(|time| time >= FIRST_TIME)
}
