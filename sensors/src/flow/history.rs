//! The history of a flow in letters, as Zeek writes it.
//!
//! Upper case is the originator, lower case the responder: `s` SYN, `h` SYN+ACK, `a` pure ACK, `d` data, `f` FIN, `r`
//! RST, `c` bad checksum, `g` gap, `t` retransmission, `w` zero window, `i` FIN and RST, `q` other mixed flags, `^` turned
//! round. A letter stands once, where it first happened; `c`, `g`, `t` and `w` again at the 10th, 100th, ... time.

use compact_str::CompactString;

use super::Side;

/// Longest history in letters.
const MAX_LETTERS: usize = 64;

/// The letters so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    letters: CompactString,
    seen: u64,
}

/// How often something happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Repeated(u32);

impl History {
    /// The letters.
    pub(crate) fn into_letters(self) -> CompactString {
        self.letters
    }

    /// Writes `letter` unless it stands already; true when it stood already.
    pub(crate) fn once(&mut self, side: Side, letter: u8) -> bool {
        let bit = bit(side, letter);
        let seen = self.seen & bit != 0;
        if !seen {
            self.seen |= bit;
            self.write(side, letter);
        }
        seen
    }

    /// Writes `letter` whether it stands or not.
    pub(crate) fn write(&mut self, side: Side, letter: u8) {
        if self.letters.len() < MAX_LETTERS {
            let letter = match side {
                Side::Originator => letter.to_ascii_uppercase(),
                Side::Responder => letter.to_ascii_lowercase(),
            };
            self.letters.push(char::from(letter));
        }
    }

    /// Counts one of what is written at its 1st, 10th, 100th time.
    pub(crate) fn repeated(&mut self, side: Side, letter: u8, times: &mut Repeated) {
        times.0 = times.0.saturating_add(1);
        if times.0 < u32::MAX && 10_u32.pow(times.0.ilog10()) == times.0 {
            self.write(side, letter);
        }
    }

    /// The flow was turned round: what was seen of one side now belongs to the other.
    pub(crate) fn flip(&mut self) {
        self.seen = self.seen.rotate_left(32);
        self.letters.push('^');
    }
}

/// One bit for each letter: the originator's in the lower half.
fn bit(side: Side, letter: u8) -> u64 {
    let place = u32::from(letter.to_ascii_lowercase().saturating_sub(b'a')) % 32;
    1_u64 << (place + if side == Side::Originator { 0 } else { 32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_once_or_at_powers_of_ten() {
        let mut history = History::default();
        let mut times = Repeated::default();
        assert!(!history.once(Side::Originator, b's'));
        assert!(history.once(Side::Originator, b's'));
        assert!(!history.once(Side::Responder, b'h'));
        for _ in 0..150 {
            history.repeated(Side::Responder, b't', &mut times);
        }
        assert_eq!(history.into_letters(), "Shttt");
    }

    #[test]
    fn turning_round_swaps_what_was_seen() {
        let mut history = History::default();
        history.once(Side::Originator, b'h');
        history.flip();
        assert!(history.once(Side::Responder, b'h'));
        assert!(!history.once(Side::Originator, b'h'));
        assert_eq!(history.into_letters(), "H^H");
    }
}
