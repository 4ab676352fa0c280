//! Application protocols: stream bytes and datagrams in, events out.
//!
//! [`Tcp`] and [`Udp`] hold what one connection or flow has said so far; the caller reassembles, adds addresses and decides how
//! many there may be. They recognise what is spoken from the bytes (`detect`), parse DNS, HTTP/1, TLS and QUIC, and name the
//! rest for `network.protocol` of the connection.
//!
//! What always holds: any bytes in any pieces give events and never a panic; the same stream in other pieces gives the same
//! events; time comes from the caller; secrets (passwords, cookies, tokens) are sealed under [`Options::secret_key`].
//! Memory per connection is bounded: 2 KiB until the protocol is known, then as the parser's own page says, at most about
//! 2 MiB for an HTTP client that leaves 32 giant requests unanswered, and typically under 4 KiB.

mod detect;
mod dns;
mod http;
mod quic;
mod secret;
mod tls;
mod upgrade;
mod wire;

use dongson_event::{Event, Timestamp};

use detect::{Scene, Verdict};
use dns::Dns;
use http::Http;
use quic::Quic;
use tls::Tls;
use tls::dtls::Dtls;
use upgrade::Upgrade;
use wire::Cursor;

/// Who sent the bytes, in the terms of the connection record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that is the connection's source.
    Originator,
    /// The end that is its destination.
    Responder,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Originator => Self::Responder,
            Self::Responder => Self::Originator,
        }
    }

    /// This end's one of a pair (originator, responder).
    fn of<T>(self, pair: &[T; 2]) -> &T {
        let [originator, responder] = pair;
        match self {
            Self::Originator => originator,
            Self::Responder => responder,
        }
    }

    fn of_mut<T>(self, pair: &mut [T; 2]) -> &mut T {
        let [originator, responder] = pair;
        match self {
            Self::Originator => originator,
            Self::Responder => responder,
        }
    }
}

/// Settings that parsers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Key under which secrets are hashed before they leave the parser; all zeros for files, random for live traffic.
    pub secret_key: [u8; 32],
}

/// How deep a tunnel may lie in a tunnel.
const MAX_DEPTH: u8 = 3;
/// Bytes of one side after which an unknown stream is given up.
const MAX_UNKNOWN: u64 = 16 * 1024;

#[derive(Debug)]
enum TcpParser {
    Detecting,
    Tls(Box<Tls>),
    Http(Box<Http>),
    Dns(Box<Dns>),
    Upgrade(Box<Upgrade>),
    Tunnel(Box<Tcp>),
    /// Named or given up: nothing is read any more.
    Done,
}

/// The beginning of one side of a stream that is not recognised yet.
#[derive(Debug, Default)]
struct Beginning {
    bytes: Vec<u8>,
    /// All bytes so far, kept or not.
    seen: u64,
    /// Bytes that were not kept.
    lost: u64,
    /// No detector can say yes to this side any more.
    refused: bool,
}

/// One TCP connection.
#[derive(Debug)]
pub struct Tcp {
    ports: [u16; 2],
    options: Options,
    depth: u8,
    beginnings: [Beginning; 2],
    /// Who sent how many of the kept bytes, in their order, and when.
    runs: Vec<Run>,
    service: Option<&'static str>,
    parser: TcpParser,
}

/// Bytes of one side without a byte of the other between them.
#[derive(Debug, Clone, Copy)]
struct Run {
    side: Side,
    at: Timestamp,
    length: usize,
}

/// What was recognised, and who the client is.
enum Found {
    Tls(Side),
    Http(Side),
    Dns,
    Named(&'static detect::Named, Side),
}

impl Tcp {
    /// A connection between these ports, with default options.
    pub fn new(source_port: u16, destination_port: u16) -> Self {
        Self::with_options(source_port, destination_port, Options::default())
    }

    /// A connection between these ports.
    pub fn with_options(source_port: u16, destination_port: u16, options: Options) -> Self {
        Self::nested([source_port, destination_port], options, 0)
    }

    fn nested(ports: [u16; 2], options: Options, depth: u8) -> Self {
        let beginnings = Default::default();
        Self {
            ports,
            options,
            depth,
            beginnings,
            runs: Vec::new(),
            service: None,
            parser: TcpParser::Detecting,
        }
    }

    /// The next bytes of one side's stream, in order; what they complete is added to `out`.
    pub fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        match &mut self.parser {
            TcpParser::Detecting => self.begin(side, at, bytes, out),
            TcpParser::Tls(tls) => tls.data(side, bytes, out),
            TcpParser::Http(_) => self.http(side, at, bytes, out),
            TcpParser::Dns(dns) => dns.stream(side, at, bytes, out),
            TcpParser::Upgrade(_) => self.upgrade(side, at, bytes, out),
            TcpParser::Tunnel(inner) => inner.data(side, at, bytes, out),
            TcpParser::Done => {}
        }
    }

    /// `length` bytes of one side are missing before its next data.
    pub fn gap(&mut self, side: Side, length: u64) {
        match &mut self.parser {
            TcpParser::Detecting => {
                *side.of_mut(&mut self.beginnings) = Beginning::default();
                self.runs.retain(|run| run.side != side);
            }
            TcpParser::Tls(tls) => tls.gap(side, length),
            TcpParser::Http(http) => http.gap(side, length),
            TcpParser::Dns(_) => self.parser = TcpParser::Done,
            TcpParser::Upgrade(upgrade) => upgrade.gap(side),
            TcpParser::Tunnel(inner) => inner.gap(side, length),
            TcpParser::Done => {}
        }
    }

    /// The end of the connection: what is incomplete goes out.
    pub fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        match std::mem::replace(&mut self.parser, TcpParser::Done) {
            TcpParser::Detecting => self.finish_beginning(at, out),
            TcpParser::Tls(mut tls) => tls.finish(out),
            TcpParser::Http(mut http) => http.finish(at, out),
            TcpParser::Tunnel(mut inner) => inner.finish(at, out),
            TcpParser::Dns(_) | TcpParser::Upgrade(_) | TcpParser::Done => {}
        }
    }

    /// Zeek's name of the service, once it is known; `smtp,ssl` and the like after a switch to TLS.
    pub fn service(&self) -> Option<&'static str> {
        self.service
    }

    /// False when more bytes of this side would not change anything, so that the caller may stop reassembling it.
    pub fn wants_more(&self, side: Side) -> bool {
        match &self.parser {
            TcpParser::Detecting => true,
            TcpParser::Tls(tls) => tls.wants_more(side),
            TcpParser::Http(http) => http.wants_more(side),
            TcpParser::Dns(_) => true,
            TcpParser::Upgrade(upgrade) => upgrade.is_open(),
            TcpParser::Tunnel(inner) => inner.wants_more(side),
            TcpParser::Done => false,
        }
    }

    /// Bytes of a stream that is not recognised yet: keeps the first ones and asks the detectors.
    fn begin(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let beginning = side.of_mut(&mut self.beginnings);
        let room = detect::LIMIT.saturating_sub(beginning.bytes.len());
        let (kept, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        beginning.bytes.extend_from_slice(kept);
        beginning.seen += bytes.len() as u64;
        match self.runs.last_mut().filter(|run| run.side == side) {
            Some(run) => run.length += kept.len(),
            None => self.runs.push(Run { side, at, length: kept.len() }),
        }
        if !beginning.refused {
            match self.recognise(side) {
                Ok(found) => {
                    self.install(found, at, out);
                    return self.data(side, at, rest, out);
                }
                Err(verdict) => {
                    let beginning = side.of_mut(&mut self.beginnings);
                    beginning.refused = verdict == Verdict::No || beginning.bytes.len() >= detect::LIMIT;
                }
            }
        }
        side.of_mut(&mut self.beginnings).lost += rest.len() as u64;
        let [originator, responder] = &self.beginnings;
        let both = originator.refused && responder.refused;
        if both || originator.seen.max(responder.seen) > MAX_UNKNOWN {
            self.parser = TcpParser::Done;
            (self.beginnings, self.runs) = Default::default();
        }
    }

    /// Asks the detectors about one side: TLS, HTTP, the named services, DNS; on port 53 DNS first.
    fn recognise(&self, side: Side) -> Result<Found, Verdict> {
        let prefix = side.of(&self.beginnings).bytes.as_slice();
        let (tls, speaker) = tls::detect_verdict(prefix);
        let client = if speaker == tls::Speaker::Client { side } else { side.other() };
        let tls = (tls, Found::Tls(client));
        let (http, speaker) = http::detect(prefix);
        let client = if speaker == http::Speaker::Client { side } else { side.other() };
        let http = (http, Found::Http(client));
        let dns = (dns::detect_stream(prefix), Found::Dns);
        let scene = Scene { prefix, peer: &side.other().of(&self.beginnings).bytes, ports: self.ports };
        let named = match detect::tcp(&scene) {
            Ok(named) => (Verdict::Yes, Found::Named(named, self.client_of(named, side))),
            Err(verdict) => (verdict, Found::Dns),
        };
        let port = self.ports.iter().any(|port| matches!(port, 53 | 5353 | 5355));
        let order = if port { [dns, tls, http, named] } else { [tls, http, named, dns] };
        for (verdict, found) in order {
            match verdict {
                Verdict::Yes => return Ok(found),
                Verdict::Maybe => return Err(Verdict::Maybe),
                Verdict::No => {}
            }
        }
        Err(Verdict::No)
    }

    /// The client of a named service whose `side` was recognised; greetings come from servers.
    fn client_of(&self, named: &detect::Named, side: Side) -> Side {
        let prefix = side.of(&self.beginnings).bytes.as_slice();
        let greets = [&b"220"[..], b"+OK", b"* "].iter().any(|start| prefix.starts_with(start));
        let server = greets || named.upgrade == Some(upgrade::Kind::Mysql);
        if server { side.other() } else { side }
    }

    /// Sets up the parser that was found and gives it what both sides have said, in the order they said it.
    fn install(&mut self, found: Found, at: Timestamp, out: &mut Vec<Event>) {
        match found {
            Found::Tls(client) => {
                let started = self.runs.iter().find(|run| run.side == client).map_or(at, |run| run.at);
                self.service = Some("ssl");
                self.parser = TcpParser::Tls(Box::new(Tls::new(client, started)));
            }
            Found::Http(client) => {
                self.service = Some("http");
                self.parser = TcpParser::Http(Box::new(Http::new(client, self.options.secret_key)));
            }
            Found::Dns => {
                let [source, destination] = self.ports;
                self.service = Some("dns");
                self.parser = TcpParser::Dns(Box::new(Dns::new(source, destination)));
            }
            Found::Named(named, client) => {
                self.service = Some(named.service);
                self.parser = match named.upgrade {
                    Some(kind) => TcpParser::Upgrade(Box::new(Upgrade::new(kind, client))),
                    None => TcpParser::Done,
                };
            }
        }
        let (beginnings, runs): ([Beginning; 2], Vec<Run>) =
            (std::mem::take(&mut self.beginnings), std::mem::take(&mut self.runs));
        let [originator, responder] = &beginnings;
        let mut rests = [Cursor::new(&originator.bytes), Cursor::new(&responder.bytes)];
        for run in runs {
            let bytes = run.side.of_mut(&mut rests).take(run.length).unwrap_or_default();
            self.data(run.side, run.at, bytes, out);
        }
        for side in [Side::Originator, Side::Responder] {
            let lost = side.of(&beginnings).lost;
            if lost > 0 {
                self.gap(side, lost);
            }
        }
    }

    /// At the end of a connection that was never recognised: what is still possible is tried.
    fn finish_beginning(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        for side in [Side::Originator, Side::Responder] {
            let prefix = side.of(&self.beginnings).bytes.as_slice();
            let whole_line = prefix.split(|&sign| sign == b'\n').next().unwrap_or(prefix);
            let (verdict, speaker) = http::detect(&[whole_line, b"\r\n"].concat());
            if verdict == Verdict::Yes && speaker == http::Speaker::Client {
                self.parser = TcpParser::Detecting;
                self.install(Found::Http(side), at, out);
                return self.finish(at, out);
            }
        }
    }

    fn http(&mut self, side: Side, at: Timestamp, mut bytes: &[u8], out: &mut Vec<Event>) {
        let TcpParser::Http(http) = &mut self.parser else { return };
        if !http.data(side, at, &mut bytes, out) {
            return;
        }
        let held = http.held();
        if self.depth >= MAX_DEPTH {
            self.parser = TcpParser::Done;
            return;
        }
        // The tunnel's ends are the connection's: the client of the proxy is the client inside.
        let mut inner = Self::nested(self.ports, self.options, self.depth + 1);
        let client = side.other();
        if !held.is_empty() {
            inner.data(client, at, &held, out);
        }
        if !bytes.is_empty() {
            inner.data(side, at, bytes, out);
        }
        self.parser = TcpParser::Tunnel(Box::new(inner));
    }

    fn upgrade(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let TcpParser::Upgrade(upgrade) = &mut self.parser else { return };
        let Some(halves) = upgrade.data(side, bytes) else {
            if !upgrade.is_open() {
                self.parser = TcpParser::Done;
            }
            return;
        };
        let client = upgrade.client;
        self.service = Some(upgrade.kind.joined());
        self.parser = TcpParser::Tls(Box::new(Tls::new(client, at)));
        for side in [client, client.other()] {
            let held: &Vec<u8> = side.of(&halves);
            self.data(side, at, held, out);
        }
    }
}

#[derive(Debug)]
enum UdpParser {
    /// So many datagrams were not recognised.
    Detecting(u8),
    Dns(Box<Dns>),
    Quic(Box<Quic>),
    Dtls(Box<Dtls>),
    Ssdp,
    Done,
}

/// Datagrams that may pass before a flow is given up as unknown.
const MAX_UNKNOWN_DATAGRAMS: u8 = 8;

/// One UDP flow.
#[derive(Debug)]
pub struct Udp {
    ports: [u16; 2],
    options: Options,
    service: Option<&'static str>,
    parser: UdpParser,
}

impl Udp {
    /// A flow between these ports, with default options.
    pub fn new(source_port: u16, destination_port: u16) -> Self {
        Self::with_options(source_port, destination_port, Options::default())
    }

    /// A flow between these ports.
    pub fn with_options(source_port: u16, destination_port: u16, options: Options) -> Self {
        let ports = [source_port, destination_port];
        Self { ports, options, service: None, parser: UdpParser::Detecting(0) }
    }

    /// The next datagram's payload.
    pub fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        if let UdpParser::Detecting(passed) = self.parser {
            self.recognise(side, at, bytes, passed);
        }
        match &mut self.parser {
            UdpParser::Dns(dns) => drop(dns.message(at, bytes, out)),
            UdpParser::Quic(quic) => quic.datagram(side, bytes, out),
            UdpParser::Dtls(dtls) => dtls.datagram(side, bytes, out),
            UdpParser::Ssdp => out.extend(http::describe_datagram(at, bytes, &self.options.secret_key)),
            UdpParser::Detecting(_) | UdpParser::Done => {}
        }
    }

    fn recognise(&mut self, side: Side, at: Timestamp, bytes: &[u8], passed: u8) {
        let [source, destination] = self.ports;
        let (service, parser) = if dns::is_datagram(source, destination, bytes) {
            (Some("dns"), UdpParser::Dns(Box::new(Dns::new(source, destination))))
        } else if quic::detect(bytes) {
            (Some("quic"), UdpParser::Quic(Box::new(Quic::new(at))))
        } else if let Some(by_client) = tls::dtls::detect(bytes) {
            let client = if by_client { side } else { side.other() };
            (Some("ssl"), UdpParser::Dtls(Box::new(Dtls::new(client, at))))
        } else if detect::is_ssdp(bytes) {
            (Some("ssdp"), UdpParser::Ssdp)
        } else if let Some(service) = detect::udp(self.ports, bytes) {
            // STUN opens the way for DTLS on the same flow.
            let parser = if service == "stun" { UdpParser::Detecting(passed) } else { UdpParser::Done };
            (Some(service), parser)
        } else if passed < MAX_UNKNOWN_DATAGRAMS {
            (self.service, UdpParser::Detecting(passed + 1))
        } else {
            (self.service, UdpParser::Done)
        };
        (self.service, self.parser) = (service, parser);
    }

    /// The end of the flow: what is incomplete goes out.
    pub fn finish(&mut self, _at: Timestamp, out: &mut Vec<Event>) {
        match std::mem::replace(&mut self.parser, UdpParser::Done) {
            UdpParser::Quic(mut quic) => quic.finish(out),
            UdpParser::Dtls(mut dtls) => dtls.finish(out),
            UdpParser::Dns(_) | UdpParser::Ssdp | UdpParser::Detecting(_) | UdpParser::Done => {}
        }
    }

    /// Zeek's name of the service, once it is known.
    pub fn service(&self) -> Option<&'static str> {
        self.service
    }

    /// False when more datagrams would not change anything.
    pub fn wants_more(&self, _side: Side) -> bool {
        match &self.parser {
            UdpParser::Quic(quic) => quic.wants_more(),
            UdpParser::Dtls(dtls) => dtls.wants_more(),
            UdpParser::Dns(_) | UdpParser::Ssdp | UdpParser::Detecting(_) => true,
            UdpParser::Done => false,
        }
    }
}

#[cfg(test)]
mod tests;
