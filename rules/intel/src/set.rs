//! All indicators, and what is known of each.

use std::collections::HashMap;
use std::net::IpAddr;

use dongson_event::Timestamp;
use ipnet::IpNet;

use crate::allow::AllowList;
use crate::indicator::{Detail, Indicator, Kind, Tlp, bytes_of};
use crate::normal::{domain, url};
use crate::table::{Note, Table};

/// Nanoseconds of a minute.
const MINUTE: i64 = 60_000_000_000;
/// Most sources.
const MAX_SOURCES: usize = 65_535;

/// An indicator that a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<'s> {
    /// What it names.
    pub kind: Kind,
    /// The indicator in its one form: of a network the network, of a domain perhaps one above the value.
    pub indicator: String,
    /// Who says so.
    pub source: &'s str,
    /// 0 to 100.
    pub confidence: u8,
    /// Who may be told.
    pub tlp: Tlp,
}

/// Indicators of all kinds. It is made by a [`Builder`] and does not change.
#[derive(Debug, Clone, Default)]
pub struct Set {
    tables: [Table; 8],
    /// Lengths of networks that there are, longest first: of version 4, of version 6.
    lengths: [Vec<u8>; 2],
    sources: Vec<String>,
}

/// Takes indicators one by one.
#[derive(Debug, Default)]
pub struct Builder {
    set: Set,
    numbers: HashMap<String, u16>,
}

/// What became of an indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// It was there; the surer word and the later expiry hold.
    Known,
    /// There is no room.
    Full,
}

impl Builder {
    /// Adds one.
    pub fn add(&mut self, indicator: &Indicator, detail: &Detail) -> Added {
        let note = Note {
            expires: detail.expires.map_or(0, minute),
            source: self.source(&detail.source),
            confidence: detail.confidence.min(100),
            tlp: detail.tlp as u8,
        };
        if indicator.kind == Kind::Net {
            self.length(&indicator.bytes);
        }
        let Some(table) = self.set.tables.get_mut(indicator.kind as usize) else { return Added::Full };
        match table.add(&indicator.bytes, note) {
            Ok(None) => Added::New,
            Ok(Some(held)) => {
                merge(held, note);
                Added::Known
            }
            Err(()) => Added::Full,
        }
    }

    /// The set.
    #[must_use]
    pub fn finish(mut self) -> Set {
        for table in &mut self.set.tables {
            table.shrink();
        }
        self.set
    }

    fn source(&mut self, name: &str) -> u16 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let full = self.set.sources.len() >= MAX_SOURCES;
        let number = if full { u16::MAX } else { u16::try_from(self.set.sources.len()).unwrap_or(u16::MAX) };
        if !full {
            self.set.sources.push(name.to_owned());
            self.numbers.insert(name.to_owned(), number);
        }
        number
    }

    fn length(&mut self, bytes: &[u8]) {
        let (Some(&length), Some(lengths)) =
            (bytes.first(), self.set.lengths.get_mut(usize::from(bytes.len() > 5)))
        else {
            return;
        };
        if let Err(at) = lengths.binary_search_by(|held| length.cmp(held)) {
            lengths.insert(at, length);
        }
    }
}

/// The surer word holds, and the later expiry; secrecy never falls.
fn merge(held: &mut Note, note: Note) {
    if note.confidence > held.confidence {
        held.confidence = note.confidence;
        held.source = note.source;
    }
    held.tlp = held.tlp.max(note.tlp);
    held.expires = if held.expires == 0 || note.expires == 0 { 0 } else { held.expires.max(note.expires) };
}

/// The minute in which a moment lies, from 1.
fn minute(moment: Timestamp) -> u32 {
    u32::try_from(moment.nanos().div_euclid(MINUTE)).unwrap_or(0).max(1)
}

impl Set {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.tables.iter().map(Table::len).sum()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are of `kind`.
    pub fn count(&self, kind: Kind) -> usize {
        self.tables.get(kind as usize).map_or(0, Table::len)
    }

    /// The narrowest network that holds `ip` at `at`; nothing for an address that `allow` names.
    pub fn ip(&self, ip: IpAddr, at: Timestamp, allow: &AllowList) -> Option<Hit<'_>> {
        let ip = ip.to_canonical();
        let lengths = self.lengths.get(usize::from(ip.is_ipv6()))?;
        if lengths.is_empty() || allow.has_ip(ip) {
            return None;
        }
        lengths.iter().find_map(|&length| {
            let net = IpNet::new(ip, length).ok()?.trunc();
            let note = self.live(Kind::Net, &bytes_of(net), at)?;
            let single = length == if ip.is_ipv4() { 32 } else { 128 };
            let told = if single { ip.to_string() } else { net.to_string() };
            Some(self.hit(Kind::Net, told, note))
        })
    }

    /// The narrowest domain that `name` is or lies below at `at`; an allowed domain hides those above it, not those
    /// below.
    pub fn domain(&self, name: &str, at: Timestamp, allow: &AllowList) -> Option<Hit<'_>> {
        if self.count(Kind::Domain) == 0 {
            return None;
        }
        let name = domain(name)?;
        let mut rest = name.as_str();
        loop {
            if allow.has_domain(rest) {
                return None;
            }
            if let Some(note) = self.live(Kind::Domain, rest.as_bytes(), at) {
                return Some(self.hit(Kind::Domain, rest.to_owned(), note));
            }
            rest = rest.split_once('.')?.1;
        }
    }

    /// The same URL. Allowed domains do not hide it: a URL says more than its host.
    pub fn url(&self, text: &str, at: Timestamp) -> Option<Hit<'_>> {
        if self.count(Kind::Url) == 0 {
            return None;
        }
        let text = url(text)?;
        let note = self.live(Kind::Url, text.as_bytes(), at)?;
        Some(self.hit(Kind::Url, text, note))
    }

    /// The same hash or fingerprint of `kind`.
    pub fn exact(&self, kind: Kind, text: &str, at: Timestamp, allow: &AllowList) -> Option<Hit<'_>> {
        if self.count(kind) == 0 {
            return None;
        }
        let found = Indicator::new(kind, text).ok()?;
        if allow.has(&found) {
            return None;
        }
        let note = self.live(kind, &found.bytes, at)?;
        Some(self.hit(kind, text.trim().to_ascii_lowercase(), note))
    }

    fn live(&self, kind: Kind, bytes: &[u8], at: Timestamp) -> Option<Note> {
        let note = self.tables.get(kind as usize)?.get(bytes)?;
        (note.expires == 0 || minute(at) <= note.expires).then_some(note)
    }

    fn hit(&self, kind: Kind, indicator: String, note: Note) -> Hit<'_> {
        let tlp = match note.tlp {
            0 => Tlp::Clear,
            1 => Tlp::Green,
            2 => Tlp::Amber,
            _ => Tlp::Red,
        };
        let source = self.sources.get(usize::from(note.source)).map_or("", String::as_str);
        Hit { kind, indicator, source, confidence: note.confidence, tlp }
    }
}
