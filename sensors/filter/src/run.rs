//! Running classic BPF code over a frame, as the kernel does: any read past the end of the frame ends it with "not taken".

use super::Frame;
use super::code::{Instruction, operation as op};
use super::compile::{TAG, TAG_PRESENT};

/// How many memory slots the kernel has.
const SLOTS: usize = 16;

/// What the code answers for `frame`: zero when it is not taken. Ends, since all jumps go forward.
pub(super) fn run(code: &[Instruction], frame: &Frame<'_>) -> u32 {
    evaluate(code, frame).unwrap_or(0)
}

fn evaluate(code: &[Instruction], frame: &Frame<'_>) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; SLOTS]);
    let mut next = 0_usize;
    loop {
        let Instruction { operation, if_true, if_false, value } = *code.get(next)?;
        next += 1;
        let indirect = x.wrapping_add(value);
        let slot = usize::try_from(value).ok()?;
        match operation {
            op::LOAD_WORD => a = ancillary(value, frame).or_else(|| read(frame.bytes, value, 4))?,
            op::LOAD_HALF => a = read(frame.bytes, value, 2)?,
            op::LOAD_WORD_X => a = read(frame.bytes, indirect, 4)?,
            op::LOAD_HALF_X => a = read(frame.bytes, indirect, 2)?,
            op::LOAD_BYTE_X => a = read(frame.bytes, indirect, 1)?,
            op::SET => a = value,
            op::RECALL => a = *memory.get(slot)?,
            op::RECALL_X => x = *memory.get(slot)?,
            op::STORE => *memory.get_mut(slot)? = a,
            op::ADD_X => a = a.wrapping_add(x),
            op::AND => a &= value,
            op::SHIFT_LEFT => a = a.checked_shl(value)?,
            op::SHIFT_RIGHT => a = a.checked_shr(value)?,
            op::JUMP => next = next.checked_add(slot)?,
            op::IF_EQUAL => next += usize::from(if a == value { if_true } else { if_false }),
            op::IF_GREATER => next += usize::from(if a > value { if_true } else { if_false }),
            op::IF_NOT_LESS => next += usize::from(if a >= value { if_true } else { if_false }),
            op::RETURN => return Some(value),
            _ => return None,
        }
    }
}

/// What the kernel knows beside the bytes.
fn ancillary(at: u32, frame: &Frame<'_>) -> Option<u32> {
    match at {
        TAG => Some(u32::from(frame.vlan.unwrap_or(0))),
        TAG_PRESENT => Some(u32::from(frame.vlan.is_some())),
        _ => None,
    }
}

fn read(bytes: &[u8], at: u32, length: usize) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    let field = bytes.get(at..at.checked_add(length)?)?;
    Some(field.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}
