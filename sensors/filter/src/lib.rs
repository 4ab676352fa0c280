//! Filters for captures: an expression as tcpdump's users write it, compiled to classic BPF code.
//!
//! In: words. Out: a [`Program`] that the kernel runs for each frame of a ring, and that [`Program::takes`] runs over frames of
//! files. Known are `host`, `net`, `port`, `portrange` with `src` and `dst`; `ip`, `ip6`, `arp`, `tcp`, `udp`, `sctp`, `icmp`, `icmp6`,
//! `vlan [NUMBER]`; `and`, `or`, `not`, parentheses. Any other word is refused by name. What differs from tcpdump: `and` binds
//! closer than `or`, two VLAN tags in the frame are looked through wherever they are (`vlan` only asks for one and moves
//! nothing), and a value always has a word in front (`port 80 or port 443`). Extension headers of IPv6 are not passed. A
//! frame too short for what is asked of it is not taken.
//!
//! Memory: at most [`MAX_TESTS`] tests and 4,096 instructions, which is about a hundred addresses. Sources: "The BSD Packet Filter" (USENIX, 1993);
//! the kernel's documentation, `networking/filter`.

mod code;
mod compile;
mod frame;
mod parse;
mod run;

pub use code::Instruction;
pub use frame::{Frame, LinkType};

use parse::Expression;

/// Most tests of one expression.
pub const MAX_TESTS: usize = 512;

/// Why an expression is no filter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A word that means nothing here.
    #[error(
        "the filter does not know {0:?}: it takes host, net, port, portrange, src, dst, ip, ip6, arp, tcp, udp, sctp, icmp, \
         icmp6, vlan, and, or, not, ( and )"
    )]
    UnknownWord(String),
    /// The expression ends too early.
    #[error("the filter ends where {0} should follow")]
    Ends(&'static str),
    /// A value that cannot be read.
    #[error("the filter has {value:?} where {wanted} should stand")]
    Value {
        /// What stands there.
        value: String,
        /// What should.
        wanted: &'static str,
    },
    /// A parenthesis without its partner.
    #[error("the filter has a parenthesis without its partner")]
    Parenthesis,
    /// More than is allowed.
    #[error("the filter is too long: at most {MAX_TESTS} tests and 4,096 instructions")]
    TooLong,
    /// Frames of this kind cannot be filtered.
    #[error("link type {0} cannot be filtered: only Ethernet, raw IP, loopback and cooked captures can")]
    LinkType(u32),
}

/// An expression that was understood.
#[derive(Debug, Clone)]
pub struct Filter {
    expression: Expression,
}

/// A filter compiled for one link type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    code: Vec<Instruction>,
}

impl Filter {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let filter = Self { expression: parse::parse(text)? };
        // What is too long for the kernel is told now, not when a capture starts.
        filter.compile(LinkType::ETHERNET)?;
        Ok(filter)
    }

    /// Compiles it for frames of one link type.
    pub fn compile(&self, link: LinkType) -> Result<Program, FilterError> {
        Ok(Program { code: compile::compile(&self.expression, link)? })
    }
}

impl Program {
    /// Whether the filter takes `frame`.
    pub fn takes(&self, frame: &Frame<'_>) -> bool {
        run::run(&self.code, frame) != 0
    }

    /// The instructions, for the kernel.
    pub fn code(&self) -> &[Instruction] {
        &self.code
    }
}

#[cfg(test)]
mod tests;
