//! What short texts told before: streams repeat programs, users and channels again and again.
//!
//! A text is compared in full before what it told counts again. It is kept when it comes a second time, in the place of
//! one that came before. Memory: fixed, about 200 KiB for a session.

use super::arena::Slot;
use super::grams::Target;

/// Texts that are kept.
const PLACES: usize = 1_024;
/// Longest and shortest text in bytes that is kept: a shorter one is looked at as quickly.
const LONGEST: usize = 128;
const SHORTEST: usize = 16;
/// Most targets of a text that is kept.
const MAX_TOLD: usize = 6;

/// The plan and the slot of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Asker {
    pub(super) plan: u64,
    pub(super) slot: Slot,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    asker: Asker,
    /// Zero where nothing is kept.
    length: u8,
    count: u8,
    told: [Target; MAX_TOLD],
    text: [u8; LONGEST],
}

/// The memory of a session.
#[derive(Debug)]
pub(super) struct Recall {
    places: Vec<Kept>,
    /// By place: the print of the text that came last and was not kept.
    met: Vec<u32>,
    told: Vec<Target>,
    print: u32,
}

impl Default for Recall {
    fn default() -> Self {
        let nothing = Target { test: 0, certain: false };
        let empty = Kept {
            asker: Asker::default(),
            length: 0,
            count: 0,
            told: [nothing; MAX_TOLD],
            text: [0; LONGEST],
        };
        Self { places: vec![empty; PLACES], met: vec![0; PLACES], told: Vec::new(), print: 0 }
    }
}

impl Recall {
    /// What `text` told the last time that this asker had it.
    #[inline]
    pub(super) fn told(&mut self, asker: Asker, text: &[u8]) -> Option<&[Target]> {
        if text.len() < SHORTEST || text.len() > LONGEST {
            self.print = 0;
            return None;
        }
        self.print = print(asker, text);
        let kept = self.places.get(place(self.print))?;
        let same = kept.asker == asker && kept.text.get(..usize::from(kept.length)) == Some(text);
        if same { kept.told.get(..usize::from(kept.count)) } else { None }
    }

    /// Begins to note what the text tells that was asked for last.
    pub(super) fn begin(&mut self) {
        self.told.clear();
    }

    /// It tells this.
    #[inline]
    pub(super) fn note(&mut self, target: Target) {
        self.told.push(target);
    }

    /// Keeps what `text`, which was asked for last, has told.
    pub(super) fn keep(&mut self, asker: Asker, text: &[u8]) {
        let at = place(self.print);
        let (Some(met), Some(kept)) = (self.met.get_mut(at), self.places.get_mut(at)) else { return };
        if self.print == 0 || self.told.len() > MAX_TOLD {
            return;
        }
        if *met != self.print {
            *met = self.print;
            return;
        }
        if let (Some(own), Ok(length)) = (kept.text.get_mut(..text.len()), u8::try_from(text.len())) {
            own.copy_from_slice(text);
            (kept.asker, kept.length) = (asker, length);
            kept.count = u8::try_from(self.told.len()).unwrap_or(0);
            for (to, from) in kept.told.iter_mut().zip(&self.told) {
                *to = *from;
            }
        }
    }
}

fn place(print: u32) -> usize {
    (print >> 7) as usize % PLACES
}

/// A number for the text: its length, begin, middle and end. Never zero.
#[inline]
fn print(asker: Asker, text: &[u8]) -> u32 {
    let eight = |at: usize| {
        text.get(at..).and_then(<[u8]>::first_chunk::<8>).map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let (half, end) = (text.len() / 2, text.len().saturating_sub(8));
    let own = asker.plan.wrapping_mul(0xE703_7ED1_A0B4_28DB) ^ u64::from(asker.slot).rotate_left(17);
    let mut sum = own ^ (text.len() as u64).wrapping_mul(0xA076_1D64_78BD_642F);
    for part in [eight(0), eight(half), eight(end.saturating_sub(8)), eight(end)] {
        sum = (sum ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sum ^= sum >> 32;
    }
    u32::try_from(sum >> 32).unwrap_or(0) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_time_is_kept() {
        let mut recall = Recall::default();
        let asker = Asker { plan: 1, slot: 2 };
        let text = b"c:\\windows\\system32\\svchost.exe";
        let target = Target { test: 7, certain: true };
        for _ in 0..2 {
            assert_eq!(recall.told(asker, text), None);
            recall.begin();
            recall.note(target);
            recall.keep(asker, text);
        }
        assert_eq!(recall.told(asker, text), Some(&[target][..]));
        assert_eq!(recall.told(Asker { slot: 3, ..asker }, text), None);
        assert_eq!(recall.told(asker, &text[1..]), None);
        for long in [&b"short"[..], &[b'a'; 200]] {
            for _ in 0..3 {
                assert_eq!(recall.told(asker, long), None);
                recall.begin();
                recall.keep(asker, long);
            }
        }
        for _ in 0..3 {
            assert_eq!(recall.told(asker, b"a text that tells too much"), None);
            recall.begin();
            (0..9).for_each(|test| recall.note(Target { test, certain: true }));
            recall.keep(asker, b"a text that tells too much");
        }
    }
}
