//! How databases and brokers begin.

use super::prefix::{begins, first_line, shape};
use super::{Scene, Verdict};

pub(super) fn mqtt(prefix: &[u8]) -> Verdict {
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

pub(super) fn postgresql(prefix: &[u8]) -> Verdict {
    let request = begins(prefix, &[b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"\x00\x00\x00\x08\x04\xd2\x16\x30"]);
    let startup = shape(prefix, 9, |at, byte| match at {
        0 | 1 | 4 | 6 | 7 => byte == 0,
        5 => byte == 3,
        8 => byte.is_ascii_lowercase() || byte == b'_',
        _ => true,
    });
    if request == Verdict::No { startup } else { request }
}

pub(super) fn mysql(prefix: &[u8]) -> Verdict {
    shape(prefix, 8, |at, byte| match at {
        1 => byte <= 3,
        2 | 3 => byte == 0,
        4 => byte == 10,
        5 => byte.is_ascii_digit(),
        6 | 7 => byte.is_ascii_digit() || byte == b'.',
        _ => true,
    })
}

/// A list of strings; on its own port also a command as a person types it ("Inline commands" of the protocol).
pub(super) fn redis(scene: &Scene<'_>) -> Verdict {
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
