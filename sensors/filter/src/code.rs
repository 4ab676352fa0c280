//! Classic BPF code with jumps to labels, and the places of those labels.
//!
//! All jumps go forward. The kernel's conditional jumps reach 255 instructions; where one would have to reach further, all
//! conditional jumps are written with unconditional ones behind them.

use super::FilterError;

/// Operation codes (`linux/bpf_common.h`), put together from class, size, mode and source.
pub(super) mod operation {
    /// A = word, half or byte at the constant.
    pub(crate) const LOAD_WORD: u16 = 0x20;
    pub(crate) const LOAD_HALF: u16 = 0x28;
    /// A = word, half or byte at X plus the constant.
    pub(crate) const LOAD_WORD_X: u16 = 0x40;
    pub(crate) const LOAD_HALF_X: u16 = 0x48;
    pub(crate) const LOAD_BYTE_X: u16 = 0x50;
    /// A or X = constant, or memory slot.
    pub(crate) const SET: u16 = 0x00;
    pub(crate) const RECALL: u16 = 0x60;
    pub(crate) const RECALL_X: u16 = 0x61;
    /// Memory slot = A.
    pub(crate) const STORE: u16 = 0x02;
    /// A = A op constant, or op X.
    pub(crate) const ADD_X: u16 = 0x0c;
    pub(crate) const AND: u16 = 0x54;
    pub(crate) const SHIFT_LEFT: u16 = 0x64;
    pub(crate) const SHIFT_RIGHT: u16 = 0x74;
    /// Jumps: always, A equal to, greater than, not less than the constant.
    pub(crate) const JUMP: u16 = 0x05;
    pub(crate) const IF_EQUAL: u16 = 0x15;
    pub(crate) const IF_GREATER: u16 = 0x25;
    pub(crate) const IF_NOT_LESS: u16 = 0x35;
    /// The answer: how many bytes of the frame are taken.
    pub(crate) const RETURN: u16 = 0x06;
}

/// One instruction as the kernel has it (`struct sock_filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What is done.
    pub operation: u16,
    /// How many instructions are skipped when the condition holds.
    pub if_true: u8,
    /// How many when it does not.
    pub if_false: u8,
    /// The operand.
    pub value: u32,
}

/// A place in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

enum Step {
    Plain { operation: u16, value: u32 },
    If { operation: u16, value: u32, if_true: Label, if_false: Label },
    Place(Label),
}

/// Code that is being written.
#[derive(Default)]
pub(super) struct Assembler {
    steps: Vec<Step>,
    labels: usize,
}

/// Most instructions that the kernel takes.
const MAX_INSTRUCTIONS: usize = 4_096;

impl Assembler {
    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// The next instruction is where `label` leads.
    pub(super) fn place(&mut self, label: Label) {
        self.steps.push(Step::Place(label));
    }

    pub(super) fn add(&mut self, operation: u16, value: u32) {
        self.steps.push(Step::Plain { operation, value });
    }

    pub(super) fn branch(&mut self, operation: u16, value: u32, if_true: Label, if_false: Label) {
        self.steps.push(Step::If { operation, value, if_true, if_false });
    }

    /// Goes on when the comparison holds, to `if_false` otherwise.
    pub(super) fn require(&mut self, operation: u16, value: u32, if_false: Label) {
        let next = self.label();
        self.branch(operation, value, next, if_false);
        self.place(next);
    }

    /// The code with its jumps resolved.
    pub(super) fn finish(&self) -> Result<Vec<Instruction>, FilterError> {
        let code = self.resolve(1).or_else(|| self.resolve(3)).ok_or(FilterError::TooLong)?;
        if code.len() > MAX_INSTRUCTIONS { Err(FilterError::TooLong) } else { Ok(code) }
    }

    /// The code with `width` instructions for each conditional jump; `None` when a jump does not reach.
    fn resolve(&self, width: usize) -> Option<Vec<Instruction>> {
        let places = self.places(width);
        let mut code = Vec::new();
        let distance = |label: &Label, from: usize| places.get(label.0)?.checked_sub(from + 1);
        for step in &self.steps {
            let at = code.len();
            match step {
                Step::Place(_) => {}
                Step::Plain { operation, value } => {
                    code.push(Instruction { operation: *operation, if_true: 0, if_false: 0, value: *value });
                }
                Step::If { operation, value, if_true, if_false } if width == 1 => code.push(Instruction {
                    operation: *operation,
                    if_true: u8::try_from(distance(if_true, at)?).ok()?,
                    if_false: u8::try_from(distance(if_false, at)?).ok()?,
                    value: *value,
                }),
                Step::If { operation, value, if_true, if_false } => {
                    code.push(Instruction { operation: *operation, if_true: 0, if_false: 1, value: *value });
                    for (place, target) in [(at + 1, if_true), (at + 2, if_false)] {
                        let value = u32::try_from(distance(target, place)?).ok()?;
                        code.push(Instruction { operation: operation::JUMP, if_true: 0, if_false: 0, value });
                    }
                }
            }
        }
        Some(code)
    }

    /// Where each label lies when a conditional jump takes `width` instructions.
    fn places(&self, width: usize) -> Vec<usize> {
        let mut places = vec![0; self.labels];
        let mut at = 0;
        for step in &self.steps {
            match step {
                Step::Plain { .. } => at += 1,
                Step::If { .. } => at += width,
                Step::Place(label) => {
                    if let Some(place) = places.get_mut(label.0) {
                        *place = at;
                    }
                }
            }
        }
        places
    }
}
