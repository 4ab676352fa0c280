//! Text as it looks inside Base64 and UTF-16 (modifiers `base64`, `base64offset`, `wide`, `utf16...`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::modifier::Modifier;

/// Standard Base64 with padding.
pub(super) fn base64(input: &[u8]) -> String {
    STANDARD.encode(input)
}

/// The part of the Base64 text that does not depend on what stands around `input`, when `shift` bytes precede it.
pub(super) fn base64_at(input: &[u8], shift: usize) -> String {
    let shifted = [vec![0; shift], input.to_vec()].concat();
    let text = STANDARD.encode(&shifted);
    // Signs that hold bits of the bytes before, and signs that hold bits of the bytes behind with the padding.
    let head = [0, 2, 3].get(shift).copied().unwrap_or(0);
    let tail = [0, 3, 2].get(shifted.len() % 3).copied().unwrap_or(0);
    text.get(head..text.len().saturating_sub(tail)).unwrap_or_default().to_owned()
}

pub(super) fn utf16(modifier: Modifier, input: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(input).map_err(|_| "the value is already encoded".to_owned())?;
    let units = text.encode_utf16();
    Ok(match modifier {
        Modifier::Utf16Be => units.flat_map(u16::to_be_bytes).collect(),
        Modifier::Utf16 => [0xFF, 0xFE].into_iter().chain(units.flat_map(u16::to_le_bytes)).collect(),
        _ => units.flat_map(u16::to_le_bytes).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_parts_stand_in_every_surrounding() {
        let input = b"http://";
        for shift in 0..3 {
            let part = base64_at(input, shift);
            for before in (shift..12).step_by(3) {
                for after in 0..4 {
                    let all = [vec![b'x'; before], input.to_vec(), vec![b'y'; after]].concat();
                    assert!(STANDARD.encode(&all).contains(&part), "{shift} {before} {after} {part}");
                }
            }
        }
        assert_eq!([0, 1, 2].map(|shift| base64_at(b"foobar", shift)), ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
    }

    #[test]
    fn wide_then_base64() {
        assert_eq!(utf16(Modifier::Utf16Le, b"cmd"), Ok(b"c\0m\0d\0".to_vec()));
        assert_eq!(utf16(Modifier::Utf16Be, b"cmd"), Ok(b"\0c\0m\0d".to_vec()));
        assert_eq!(utf16(Modifier::Utf16, b"c"), Ok(b"\xFF\xFEc\0".to_vec()));
    }
}
