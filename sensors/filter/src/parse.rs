//! From words to an expression.

use std::net::IpAddr;

use super::{FilterError, MAX_TESTS};

/// Deepest parentheses.
const MAX_DEPTH: usize = 64;

/// What a frame must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// The type of what the frame carries (an `EtherType`).
    Kind(u16),
    /// The transport, by its number, over IP of this `EtherType` or of any.
    Transport(Option<u16>, u8),
    /// A tag, or the one with this number.
    Vlan(Option<u16>),
    /// An address in a network: the first bits count.
    Net {
        end: End,
        address: IpAddr,
        bits: u8,
    },
    /// A port between two, of this transport or of any that has ports.
    Ports {
        end: End,
        first: u16,
        last: u16,
        transport: Option<u8>,
    },
}

/// Which end of the packet is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Which ends, as the words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Source,
    Destination,
    Either,
}

struct Parser<'t> {
    words: std::iter::Peekable<std::vec::IntoIter<&'t str>>,
    tests: usize,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let mut parser = Parser { words: words(text).into_iter().peekable(), tests: 0 };
    let expression = parser.any_of(0)?;
    match parser.words.next() {
        None => Ok(expression),
        Some(")") => Err(FilterError::Parenthesis),
        Some(word) => Err(FilterError::UnknownWord(word.to_owned())),
    }
}

/// Words and signs: parentheses and `!` stand alone.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in text.split_whitespace() {
        let mut rest = part;
        while let Some(at) = rest.find(['(', ')', '!']) {
            let (before, from) = rest.split_at(at);
            let (sign, after) = from.split_at(1);
            words.extend([before, sign].into_iter().filter(|word| !word.is_empty()));
            rest = after;
        }
        words.extend(Some(rest).filter(|word| !word.is_empty()));
    }
    words
}

impl<'t> Parser<'t> {
    fn takes(&mut self, known: &[&str]) -> bool {
        self.words.next_if(|word| known.contains(word)).is_some()
    }

    fn word(&mut self, wanted: &'static str) -> Result<&'t str, FilterError> {
        self.words.next().ok_or(FilterError::Ends(wanted))
    }

    fn any_of(&mut self, depth: usize) -> Result<Expression, FilterError> {
        let mut left = self.all_of(depth)?;
        while self.takes(&["or", "||"]) {
            left = Expression::Or(Box::new(left), Box::new(self.all_of(depth)?));
        }
        Ok(left)
    }

    fn all_of(&mut self, depth: usize) -> Result<Expression, FilterError> {
        let mut left = self.one(depth)?;
        while self.takes(&["and", "&&"]) {
            left = Expression::And(Box::new(left), Box::new(self.one(depth)?));
        }
        Ok(left)
    }

    fn one(&mut self, depth: usize) -> Result<Expression, FilterError> {
        self.tests += 1;
        if depth > MAX_DEPTH || self.tests > MAX_TESTS {
            return Err(FilterError::TooLong);
        }
        if self.takes(&["not", "!"]) {
            return Ok(Expression::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes(&["("]) {
            let inside = self.any_of(depth + 1)?;
            return if self.takes(&[")"]) { Ok(inside) } else { Err(FilterError::Parenthesis) };
        }
        self.test()
    }

    fn test(&mut self) -> Result<Expression, FilterError> {
        const IP: u16 = 0x0800;
        const IP6: u16 = 0x86dd;
        let word = self.word("a test")?;
        Ok(match word {
            "ip" => Expression::Kind(IP),
            "ip6" => Expression::Kind(IP6),
            "arp" => Expression::Kind(0x0806),
            "icmp" => Expression::Transport(Some(IP), 1),
            "icmp6" => Expression::Transport(Some(IP6), 58),
            "tcp" => return self.transport(6),
            "udp" => return self.transport(17),
            "sctp" => return self.transport(132),
            "vlan" => Expression::Vlan(self.vlan()?),
            "src" => return self.ends(Ends::Source, None),
            "dst" => return self.ends(Ends::Destination, None),
            "host" | "net" | "port" | "portrange" => return self.value(word, Ends::Either, None),
            other => return Err(FilterError::UnknownWord(other.to_owned())),
        })
    }

    /// `tcp` alone, or `tcp [src|dst] port N`.
    fn transport(&mut self, number: u8) -> Result<Expression, FilterError> {
        match self.words.peek() {
            Some(&"src") => {
                self.words.next();
                self.ends(Ends::Source, Some(number))
            }
            Some(&"dst") => {
                self.words.next();
                self.ends(Ends::Destination, Some(number))
            }
            Some(&word @ ("port" | "portrange")) => {
                self.words.next();
                self.value(word, Ends::Either, Some(number))
            }
            _ => Ok(Expression::Transport(None, number)),
        }
    }

    /// What follows `src` or `dst`: a kind of value, or an address alone.
    fn ends(&mut self, ends: Ends, transport: Option<u8>) -> Result<Expression, FilterError> {
        let word = self.word("host, net, port or portrange")?;
        match word {
            "host" | "net" | "port" | "portrange" => self.value(word, ends, transport),
            _ if transport.is_none() => host(word, ends),
            _ => Err(FilterError::UnknownWord(word.to_owned())),
        }
    }

    fn value(&mut self, kind: &str, ends: Ends, transport: Option<u8>) -> Result<Expression, FilterError> {
        match kind {
            "host" => host(self.word("an address")?, ends),
            "net" => net(self.word("a network")?, ends),
            "port" => {
                let port = number(self.word("a port")?)?;
                Ok(ports(ends, (port, port), transport))
            }
            _ => {
                let word = self.word("two ports")?;
                let wanted = FilterError::Value { value: word.to_owned(), wanted: "FIRST-LAST" };
                let (first, last) = word.split_once('-').ok_or(wanted)?;
                Ok(ports(ends, (number(first)?, number(last)?), transport))
            }
        }
    }

    fn vlan(&mut self) -> Result<Option<u16>, FilterError> {
        let is_number = |word: &&str| word.starts_with(|sign: char| sign.is_ascii_digit());
        let Some(word) = self.words.next_if(is_number) else { return Ok(None) };
        let wanted = || FilterError::Value { value: word.to_owned(), wanted: "a VLAN number from 0 to 4095" };
        word.parse().ok().filter(|number| *number < 4_096).map(Some).ok_or_else(wanted)
    }
}

fn number(word: &str) -> Result<u16, FilterError> {
    word.parse().map_err(|_| FilterError::Value { value: word.to_owned(), wanted: "a port number" })
}

fn host(word: &str, ends: Ends) -> Result<Expression, FilterError> {
    let wanted = |_| FilterError::Value { value: word.to_owned(), wanted: "an IP address" };
    let address: IpAddr = word.parse().map_err(wanted)?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    Ok(of_ends(ends, |end| Expression::Net { end, address, bits }))
}

fn net(word: &str, ends: Ends) -> Result<Expression, FilterError> {
    let wanted = || FilterError::Value { value: word.to_owned(), wanted: "a network: ADDRESS/BITS" };
    let (address, bits) = word.split_once('/').ok_or_else(wanted)?;
    let address: IpAddr = address.parse().map_err(|_| wanted())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wanted)?;
    Ok(of_ends(ends, |end| Expression::Net { end, address, bits }))
}

fn ports(ends: Ends, (first, last): (u16, u16), transport: Option<u8>) -> Expression {
    of_ends(ends, |end| Expression::Ports { end, first, last, transport })
}

fn of_ends(ends: Ends, test: impl Fn(End) -> Expression) -> Expression {
    match ends {
        Ends::Source => test(End::Source),
        Ends::Destination => test(End::Destination),
        Ends::Either => Expression::Or(Box::new(test(End::Source)), Box::new(test(End::Destination))),
    }
}
