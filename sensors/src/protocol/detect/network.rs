//! How services of the network itself begin.

use super::prefix::shape;
use super::{Scene, Verdict};
use crate::protocol::network;
use crate::protocol::wire::starts_with_no_case;

/// A call of Sun's RPC in one fragment (RFC 5531, 9 and 11): kind 0, version 2, a program with a number of its own.
pub(super) fn rpc(prefix: &[u8]) -> Verdict {
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

/// A message with a header, in a frame or not; on a port of syslog any that begins with a priority (RFC 6587, 3.4).
pub(super) fn syslog(scene: &Scene<'_>) -> Verdict {
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
        Verdict::Yes if on || network::syslog::is_message(message) => Verdict::Yes,
        // Priority, and `Oct 11 22:14:15 `.
        Verdict::Yes if message.len() < 21 => Verdict::Maybe,
        Verdict::Yes => Verdict::No,
        verdict => verdict,
    }
}

pub(super) fn dhcp(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(1 | 2)) && bytes.get(236..240) == Some(&[0x63, 0x82, 0x53, 0x63])
}

/// Whether a datagram is text of HTTP over UDP (SSDP).
pub(in crate::protocol) fn is_ssdp(bytes: &[u8]) -> bool {
    [&b"M-SEARCH "[..], b"NOTIFY ", b"HTTP/1.1 "].iter().any(|word| starts_with_no_case(bytes, word))
}
