//! From an expression to code.
//!
//! The code begins by noting in memory slots what the tests ask for: the `EtherType` behind VLAN tags, where the IP header
//! starts, the number of the transport, and where its header starts (zero where there is none: later fragments).

use std::net::IpAddr;

use super::code::{Assembler, Instruction, Label, operation as op};
use super::parse::{End, Expression};
use super::{FilterError, LinkType};

/// Memory slots.
mod slot {
    pub(super) const KIND: u32 = 0;
    pub(super) const IP: u32 = 1;
    pub(super) const TRANSPORT: u32 = 2;
    pub(super) const PORTS: u32 = 3;
}

const IPV4: u32 = 0x0800;
const ARP: u32 = 0x0806;
const IPV6: u32 = 0x86dd;
const TAGS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// No transport has this number.
const NO_TRANSPORT: u32 = 0x100;
/// More than the longest frame: it is taken whole.
const WHOLE: u32 = 0x4_0000;
/// Where the kernel keeps the tag that it took out, and whether it did (`SKF_AD_OFF` + `SKF_AD_VLAN_TAG`, `_PRESENT`).
pub(super) const TAG: u32 = 0xffff_f000 + 44;
pub(super) const TAG_PRESENT: u32 = 0xffff_f000 + 48;

/// Where type and packet stand behind a link header.
#[derive(Clone, Copy)]
struct Shape {
    kind: Option<u32>,
    packet: u32,
}

impl Shape {
    fn of(link: LinkType) -> Result<Self, FilterError> {
        let (kind, packet) = match link.0 {
            1 => (Some(12), 14),
            12 | 14 | 101 | 228 | 229 => (None, 0),
            0 | 108 => (None, 4),
            113 => (Some(14), 16),
            276 => (Some(0), 20),
            other => return Err(FilterError::LinkType(other)),
        };
        Ok(Self { kind, packet })
    }
}

/// Compiles `expression` for frames of one link type.
pub(super) fn compile(expression: &Expression, link: LinkType) -> Result<Vec<Instruction>, FilterError> {
    let mut compiler = Compiler { out: Assembler::default(), shape: Shape::of(link)? };
    compiler.note_kind();
    compiler.note_transport();
    let (taken, refused) = (compiler.out.label(), compiler.out.label());
    compiler.test(expression, taken, refused);
    compiler.out.place(taken);
    compiler.out.add(op::RETURN, WHOLE);
    compiler.out.place(refused);
    compiler.out.add(op::RETURN, 0);
    compiler.out.finish()
}

struct Compiler {
    out: Assembler,
    shape: Shape,
}

impl Compiler {
    fn note(&mut self, slot: u32, value: u32) {
        self.out.add(op::SET, value);
        self.out.add(op::STORE, slot);
    }

    fn note_kind(&mut self) {
        let Shape { kind, packet } = self.shape;
        self.note(slot::IP, packet);
        let done = self.out.label();
        let Some(kind) = kind else {
            self.note(slot::KIND, 0);
            for (version, kind) in [(4, IPV4), (6, IPV6)] {
                let next = self.out.label();
                self.out.add(op::LOAD_HALF, packet);
                self.out.add(op::SHIFT_RIGHT, 12);
                self.out.require(op::IF_EQUAL, version, next);
                self.note(slot::KIND, kind);
                self.out.place(next);
            }
            return;
        };
        self.out.add(op::LOAD_HALF, kind);
        self.out.add(op::STORE, slot::KIND);
        for tags in 0..2 {
            self.out.add(op::RECALL, slot::KIND);
            self.require_tag(done);
            self.out.add(op::LOAD_HALF, packet + 4 * tags + 2);
            self.out.add(op::STORE, slot::KIND);
            self.note(slot::IP, packet + 4 * tags + 4);
        }
        self.out.place(done);
    }

    /// Goes on when A is the type of a VLAN tag.
    fn require_tag(&mut self, otherwise: Label) {
        let is_tag = self.out.label();
        self.any_equal(&TAGS, is_tag, otherwise);
        self.out.place(is_tag);
    }

    /// Whether A is one of `values`.
    fn any_equal(&mut self, values: &[u32], yes: Label, no: Label) {
        for (place, value) in values.iter().enumerate() {
            if place + 1 == values.len() {
                self.out.branch(op::IF_EQUAL, *value, yes, no);
            } else {
                let next = self.out.label();
                self.out.branch(op::IF_EQUAL, *value, yes, next);
                self.out.place(next);
            }
        }
    }

    fn note_transport(&mut self) {
        let (other, done) = (self.out.label(), self.out.label());
        self.note(slot::TRANSPORT, NO_TRANSPORT);
        self.note(slot::PORTS, 0);
        self.out.add(op::RECALL, slot::KIND);
        self.out.require(op::IF_EQUAL, IPV4, other);
        self.out.add(op::RECALL_X, slot::IP);
        self.out.add(op::LOAD_BYTE_X, 9);
        self.out.add(op::STORE, slot::TRANSPORT);
        self.out.add(op::LOAD_HALF_X, 6);
        self.out.add(op::AND, 0x1fff);
        self.out.require(op::IF_EQUAL, 0, done);
        self.out.add(op::LOAD_BYTE_X, 0);
        self.out.add(op::AND, 0x0f);
        self.out.add(op::SHIFT_LEFT, 2);
        self.out.add(op::ADD_X, 0);
        self.out.add(op::STORE, slot::PORTS);
        self.out.branch(op::IF_EQUAL, 0, done, done);
        self.out.place(other);
        self.out.require(op::IF_EQUAL, IPV6, done);
        self.out.add(op::RECALL_X, slot::IP);
        self.out.add(op::LOAD_BYTE_X, 6);
        self.out.add(op::STORE, slot::TRANSPORT);
        self.out.add(op::SET, 40);
        self.out.add(op::ADD_X, 0);
        self.out.add(op::STORE, slot::PORTS);
        self.out.place(done);
    }

    fn test(&mut self, expression: &Expression, yes: Label, no: Label) {
        match expression {
            Expression::And(left, right) => {
                let next = self.out.label();
                self.test(left, next, no);
                self.out.place(next);
                self.test(right, yes, no);
            }
            Expression::Or(left, right) => {
                let next = self.out.label();
                self.test(left, yes, next);
                self.out.place(next);
                self.test(right, yes, no);
            }
            Expression::Not(inside) => self.test(inside, no, yes),
            Expression::Kind(kind) => {
                self.out.add(op::RECALL, slot::KIND);
                self.out.branch(op::IF_EQUAL, u32::from(*kind), yes, no);
            }
            Expression::Transport(kind, number) => {
                if let Some(kind) = kind {
                    self.out.add(op::RECALL, slot::KIND);
                    self.out.require(op::IF_EQUAL, u32::from(*kind), no);
                }
                self.out.add(op::RECALL, slot::TRANSPORT);
                self.out.branch(op::IF_EQUAL, u32::from(*number), yes, no);
            }
            Expression::Vlan(number) => self.vlan(*number, yes, no),
            Expression::Net { end, address, bits } => match address {
                IpAddr::V4(address) => self.net_4(*end, address.to_bits(), *bits, yes, no),
                IpAddr::V6(address) => self.net_6(*end, address.to_bits(), *bits, yes, no),
            },
            Expression::Ports { end, first, last, transport } => {
                self.transport_with_ports(*transport, no);
                self.out.add(op::RECALL_X, slot::PORTS);
                self.out.add(op::LOAD_HALF_X, if *end == End::Source { 0 } else { 2 });
                self.out.require(op::IF_NOT_LESS, u32::from(*first), no);
                self.out.branch(op::IF_GREATER, u32::from(*last), no, yes);
            }
        }
    }

    /// The outer tag: the one that the kernel took out, else the one in the frame.
    fn vlan(&mut self, number: Option<u16>, yes: Label, no: Label) {
        let (taken_out, in_frame) = (self.out.label(), self.out.label());
        self.out.add(op::LOAD_WORD, TAG_PRESENT);
        self.out.branch(op::IF_EQUAL, 0, in_frame, taken_out);
        self.out.place(taken_out);
        self.out.add(op::LOAD_WORD, TAG);
        self.tag_is(number, yes, no);
        self.out.place(in_frame);
        // A frame whose link header has no type has no tag either.
        self.out.add(op::SET, 0);
        if let Some(kind) = self.shape.kind {
            self.out.add(op::LOAD_HALF, kind);
        }
        self.require_tag(no);
        self.out.add(op::LOAD_HALF, self.shape.packet);
        self.tag_is(number, yes, no);
    }

    fn tag_is(&mut self, number: Option<u16>, yes: Label, no: Label) {
        self.out.add(op::AND, if number.is_some() { 0x0fff } else { 0 });
        self.out.branch(op::IF_EQUAL, u32::from(number.unwrap_or(0)), yes, no);
    }

    fn net_4(&mut self, end: End, address: u32, bits: u8, yes: Label, no: Label) {
        let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
        let (other, source) = (self.out.label(), end == End::Source);
        for (kind, place, next) in
            [(IPV4, if source { 12 } else { 16 }, other), (ARP, if source { 14 } else { 24 }, no)]
        {
            self.out.add(op::RECALL, slot::KIND);
            self.out.require(op::IF_EQUAL, kind, next);
            self.out.add(op::RECALL_X, slot::IP);
            self.out.add(op::LOAD_WORD_X, place);
            self.out.add(op::AND, mask);
            self.out.branch(op::IF_EQUAL, address & mask, yes, no);
            if kind == IPV4 {
                self.out.place(other);
            }
        }
    }

    fn net_6(&mut self, end: End, address: u128, bits: u8, yes: Label, no: Label) {
        let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
        self.out.add(op::RECALL, slot::KIND);
        self.out.require(op::IF_EQUAL, IPV6, no);
        self.out.add(op::RECALL_X, slot::IP);
        let start = if end == End::Source { 8 } else { 24 };
        for (place, shift) in [(0, 96), (4, 64), (8, 32), (12, 0)] {
            let word = |number: u128| u32::try_from((number >> shift) & 0xffff_ffff).unwrap_or(0);
            if word(mask) != 0 {
                self.out.add(op::LOAD_WORD_X, start + place);
                self.out.add(op::AND, word(mask));
                self.out.require(op::IF_EQUAL, word(address & mask), no);
            }
        }
        self.out.add(op::SET, 0);
        self.out.branch(op::IF_EQUAL, 0, yes, no);
    }

    /// Goes on when there is a transport header with ports.
    fn transport_with_ports(&mut self, transport: Option<u8>, no: Label) {
        let (there, right) = (self.out.label(), self.out.label());
        self.out.add(op::RECALL, slot::PORTS);
        self.out.branch(op::IF_EQUAL, 0, no, there);
        self.out.place(there);
        self.out.add(op::RECALL, slot::TRANSPORT);
        match transport {
            Some(number) => self.out.branch(op::IF_EQUAL, u32::from(number), right, no),
            None => self.any_equal(&[6, 17, 132], right, no),
        }
        self.out.place(right);
    }
}
