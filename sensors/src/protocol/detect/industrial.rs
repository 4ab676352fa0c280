//! How protocols of control systems begin.

use super::prefix::shape;
use super::windows::tpkt;
use super::{Scene, Verdict};
use crate::protocol::industrial::iec104;

/// A call for ISO transport, which is S7comm's; or S7comm itself in a data packet.
pub(super) fn s7(prefix: &[u8]) -> Verdict {
    let call = tpkt(prefix, |at, byte| at != 11 || matches!(byte, 0xc0..=0xc2));
    let data = shape(prefix, 11, |at, byte| match at {
        0 => byte == 3,
        1 | 9 | 10 => byte == 0,
        2 => byte <= 0x1f,
        4 => byte == 2,
        5 => byte == 0xf0,
        6 => byte == 0x80,
        7 => byte == 0x32,
        8 => matches!(byte, 1..=3 | 7),
        _ => true,
    });
    let plus = shape(prefix, 12, |at, byte| match at {
        0 => byte == 3,
        1 => byte == 0,
        2 | 9 => byte <= 0x1f,
        4 => byte == 2,
        5 => byte == 0xf0,
        6 => byte == 0x80,
        7 => byte == 0x72,
        8 => matches!(byte, 1..=3),
        11 => matches!(byte, 0x20 | 0x31..=0x33),
        _ => true,
    });
    call.or(data).or(plus)
}

/// IEC 104: a control function; a message whose length is what type and number of its objects tell; on its own port also
/// an acknowledgement.
pub(super) fn iec104(scene: &Scene<'_>) -> Verdict {
    let control = shape(scene.prefix, 6, |at, byte| match at {
        0 => byte == 0x68,
        1 => byte == 4,
        2 => matches!(byte, 0x07 | 0x0b | 0x13 | 0x23 | 0x43 | 0x83),
        _ => byte == 0,
    });
    let acknowledgement = shape(scene.prefix, 6, |at, byte| match at {
        0 => byte == 0x68,
        1 => byte == 4,
        2 => byte == 1,
        3 => byte == 0,
        4 => byte & 1 == 0,
        _ => true,
    });
    let information = shape(scene.prefix, 12, |at, byte| match at {
        0 => byte == 0x68,
        1 => byte >= 14,
        2 | 4 => byte & 1 == 0,
        8 => matches!(byte & 0x3f, 1..=13 | 20..=41 | 44..=47),
        _ => true,
    });
    let information = if information == Verdict::Yes { sized(scene.prefix) } else { information };
    if scene.on(2404) { control.or(acknowledgement).or(information) } else { control.or(information) }
}

fn sized(prefix: &[u8]) -> Verdict {
    let [_, length, _, _, _, _, kind, structure, ..] = *prefix else { return Verdict::Maybe };
    let Some(element) = iec104::element_length(kind) else { return Verdict::No };
    let count = usize::from(structure & 0x7f);
    let objects = if structure & 0x80 != 0 { 3 + count * element } else { count * (3 + element) };
    Verdict::of(count > 0 && usize::from(length) == 10 + objects)
}

/// EtherNet/IP: the opening of a session on any port; a message in one, which tells no interface and no options; on its own
/// port also a list that is asked for.
pub(super) fn enip(scene: &Scene<'_>) -> Verdict {
    let register = shape(scene.prefix, 28, |at, byte| match at {
        0 => byte == 0x65,
        2 => byte == 4,
        24 => byte == 1,
        4..=7 | 12..=19 => true,
        _ => byte == 0,
    });
    let message = shape(scene.prefix, 28, |at, byte| match at {
        0 => matches!(byte, 0x6f | 0x70),
        2 => byte >= 16,
        3 => byte <= 0x0f,
        1 | 8..=11 | 20..=27 => byte == 0,
        _ => true,
    });
    let list = shape(scene.prefix, 24, |at, byte| match at {
        0 => matches!(byte, 0x04 | 0x63 | 0x64),
        4..=7 | 12..=19 => true,
        _ => byte == 0,
    });
    if scene.on(44_818) { register.or(message).or(list) } else { register.or(message) }
}

pub(super) fn dnp3(prefix: &[u8]) -> Verdict {
    shape(prefix, 4, |at, byte| match at {
        0 => byte == 0x05,
        1 => byte == 0x64,
        2 => byte >= 5,
        _ => true,
    })
}

pub(super) fn modbus(scene: &Scene<'_>) -> Verdict {
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
