//! How the services of Windows networks begin.

use super::prefix::shape;
use super::{Scene, Verdict};

pub(super) fn smb(prefix: &[u8]) -> Verdict {
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

/// TPKT with an X.224 connection request or confirm; bytes 0 to 3 are TPKT, 4 the length, 5 the kind.
pub(super) fn tpkt(prefix: &[u8], then: impl Fn(usize, u8) -> bool) -> Verdict {
    shape(prefix, 12, |at, byte| match at {
        0 => byte == 3,
        1 | 2 => byte <= 1 && (at == 2 || byte == 0),
        3 => byte >= 12,
        5 => matches!(byte, 0xe0 | 0xd0),
        _ => then(at, byte),
    })
}

pub(super) fn rdp(prefix: &[u8]) -> Verdict {
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

/// TDS pre-login (MS-TDS 2.2.6.5).
pub(super) fn tds(prefix: &[u8]) -> Verdict {
    shape(prefix, 9, |at, byte| match at {
        0 => byte == 0x12,
        1 => byte == 1,
        2 | 4 | 5 | 7 | 8 => byte == 0,
        6 => byte <= 1,
        _ => true,
    })
}

pub(super) fn dce_rpc(prefix: &[u8]) -> Verdict {
    shape(prefix, 8, |at, byte| match at {
        0 => byte == 5,
        1 => byte <= 1,
        2 => byte <= 19,
        4 => matches!(byte, 0x10 | 0),
        5..=7 => byte == 0,
        _ => true,
    })
}

pub(super) fn kerberos_tcp(scene: &Scene<'_>) -> Verdict {
    let verdict = shape(scene.prefix, 5, |at, byte| match at {
        0 | 1 => byte == 0,
        4 => matches!(byte, 0x6a..=0x6f | 0x7e),
        _ => true,
    });
    if scene.on(88) || scene.on(464) { verdict } else { Verdict::No }
}

/// An LDAP message: SEQUENCE, message id (up to 2^31 - 1), and an operation (RFC 4511, 4.1.1).
pub(super) fn ldap(scene: &Scene<'_>) -> Verdict {
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
