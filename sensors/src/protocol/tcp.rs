//! One TCP connection: who speaks what is found out, then one parser gets the bytes.
//!
//! Until then the first bytes of both sides are kept, in the order they were sent, and given to the parser that was chosen. A
//! proxy's tunnel gets a connection of its own inside, a service that turns into TLS changes its parser.

use dongson_event::{Event, Timestamp};

use super::detect::{self, Scene, Verdict};
use super::dissect::{self, Expected, Start, Stream, Transfer};
use super::dns::{self, Dns};
use super::ftp::Data;
use super::http::{self, Http, Http2, Next, WebSocket};
use super::tls::{self, Tls};
use super::tunnel::{self, socks::Socks};
use super::upgrade::{self, Upgrade};
use super::wire::Cursor;
use super::{Kind, Options, Side};

/// How deep a tunnel may lie in a tunnel.
const MAX_DEPTH: u8 = 3;
/// Runs of a stream that is not recognised yet whose times are kept apart.
const MAX_RUNS: usize = 32;
/// Bytes of one side after which an unknown stream is given up.
const MAX_UNKNOWN: u64 = 16 * 1024;

#[derive(Debug)]
enum TcpParser {
    Detecting,
    Tls(Box<Tls>),
    Http(Box<Http>),
    Http2(Box<Http2>),
    Dns(Box<Dns>),
    Service(Box<Service>),
    Socks(Box<Socks>),
    Tunnel(Box<Inside>),
    WebSocket(Box<WebSocket>),
    /// Named or given up: nothing is read any more.
    Done,
}

/// A connection in a tunnel.
#[derive(Debug)]
struct Inside {
    kind: &'static str,
    /// Where it was asked to lead: a name or address, and a port.
    target: String,
    tcp: Tcp,
}

/// A service that is recognised by its name: read, watched for its switch to TLS, or both.
#[derive(Debug)]
struct Service {
    stream: Option<Box<dyn Stream>>,
    upgrade: Option<Upgrade>,
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
    /// What was spoken in a tunnel that is over.
    carried: Vec<&'static str>,
    parser: TcpParser,
}

/// Bytes of one side that came at one time, without a byte of the other between them.
#[derive(Debug, Clone, Copy)]
struct Run {
    side: Side,
    at: Timestamp,
    length: usize,
}

/// What was recognised, and who the client is.
#[derive(Debug, Clone, Copy)]
enum Found {
    Tls(Side),
    Http(Side),
    Http2(Side),
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

    /// A connection in which `service` (a name that [`Tcp::service`] gives) is asked for by `client`: nothing is left to
    /// be recognised. `None` where nothing reads that service.
    pub fn speaking(service: &str, client: Side, ports: [u16; 2], options: Options) -> Option<Self> {
        let found = match service {
            "ssl" => Found::Tls(client),
            "http" => Found::Http(client),
            "http2" => Found::Http2(client),
            "dns" => Found::Dns,
            _ => Found::Named(detect::service(service)?, client),
        };
        let mut tcp = Self::nested(ports, options, 0);
        tcp.install(found, Timestamp::default(), &mut Vec::new());
        (!matches!(tcp.parser, TcpParser::Done)).then_some(tcp)
    }

    /// A data connection of FTP, which its command connection has announced.
    pub(crate) fn transfer(transfer: Transfer, options: Options) -> Self {
        let Transfer::Ftp(transfer) = transfer else { return Self::nested([0; 2], options, 0) };
        let stream: Option<Box<dyn Stream>> = Some(Box::new(Data::new(transfer, options)));
        let parser = TcpParser::Service(Box::new(Service { stream, upgrade: None }));
        Self { service: Some("ftp-data"), parser, ..Self::nested([0; 2], options, 0) }
    }

    /// A connection that this one has announced and that was not asked for yet.
    pub(crate) fn expected(&mut self) -> Option<Expected> {
        match &mut self.parser {
            TcpParser::Service(service) => service.stream.as_mut()?.expected(),
            _ => None,
        }
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
            carried: Vec::new(),
            parser: TcpParser::Detecting,
        }
    }

    /// The next bytes of one side's stream, in order; what they complete is added to `out`.
    pub fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        match &mut self.parser {
            TcpParser::Detecting => self.begin(side, at, bytes, out),
            TcpParser::Tls(tls) => tls.data(side, bytes, out),
            TcpParser::Http(_) => self.http(side, at, bytes, out),
            TcpParser::Http2(http) => http.data(side, at, bytes, out),
            TcpParser::Dns(dns) => dns.stream(side, at, bytes, out),
            TcpParser::Service(_) => self.serve(side, at, bytes, out),
            TcpParser::Socks(_) => self.socks(side, at, bytes, out),
            TcpParser::Tunnel(inside) => {
                let from = out.len();
                inside.tcp.data(side, at, bytes, out);
                tunnel::mark(out, from, inside.kind, Some(&inside.target));
            }
            TcpParser::WebSocket(socket) => socket.data(side, at, bytes, out),
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
            TcpParser::Http2(http) => http.gap(side, length),
            TcpParser::Dns(dns) => dns.gap(side),
            TcpParser::Service(service) => {
                if let Some(upgrade) = &mut service.upgrade {
                    upgrade.gap(side);
                }
                if let Some(stream) = &mut service.stream {
                    stream.gap(side, length);
                }
            }
            TcpParser::Socks(socks) => socks.gap(),
            TcpParser::Tunnel(inside) => inside.tcp.gap(side, length),
            TcpParser::WebSocket(socket) => socket.gap(side, length),
            TcpParser::Done => {}
        }
    }

    /// The end of the connection: what is incomplete goes out.
    pub fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        match std::mem::replace(&mut self.parser, TcpParser::Done) {
            TcpParser::Detecting => self.finish_beginning(at, out),
            TcpParser::Tls(mut tls) => tls.finish(out),
            TcpParser::Http(mut http) => http.finish(at, out),
            TcpParser::Http2(mut http) => http.finish(at, out),
            TcpParser::Tunnel(mut inside) => {
                let from = out.len();
                inside.tcp.finish(at, out);
                tunnel::mark(out, from, inside.kind, Some(&inside.target));
                self.carried = inside.tcp.services();
            }
            TcpParser::WebSocket(mut socket) => {
                socket.finish(at, out);
                self.carried = socket.inside().map(Self::services).unwrap_or_default();
            }
            TcpParser::Socks(mut socks) => socks.finish(at, out),
            TcpParser::Service(service) => {
                if let Some(mut stream) = service.stream {
                    stream.finish(at, out);
                    self.service = stream.service().or(self.service);
                }
            }
            TcpParser::Dns(_) | TcpParser::Done => {}
        }
    }

    /// Zeek's name of the service, once it is known; `smtp,ssl` and the like after a switch to TLS.
    pub fn service(&self) -> Option<&'static str> {
        match &self.parser {
            TcpParser::Service(service) => {
                service.stream.as_ref().and_then(|stream| stream.service()).or(self.service)
            }
            _ => self.service,
        }
    }

    /// All services, those inside a tunnel last, each once.
    pub fn services(&self) -> Vec<&'static str> {
        let inside = match &self.parser {
            TcpParser::Tunnel(inside) => inside.tcp.services(),
            TcpParser::WebSocket(socket) => socket.inside().map(Self::services).unwrap_or_default(),
            _ => self.carried.clone(),
        };
        let mut services: Vec<&str> = self.service().into_iter().flat_map(|own| own.split(',')).collect();
        for service in inside {
            if !services.contains(&service) {
                services.push(service);
            }
        }
        services
    }

    /// False when more bytes of this side would not change anything, so that the caller may stop reassembling it.
    pub fn wants_more(&self, side: Side) -> bool {
        match &self.parser {
            TcpParser::Tls(tls) => tls.wants_more(side),
            TcpParser::Http(http) => http.wants_more(side),
            TcpParser::Http2(http) => http.wants_more(side),
            TcpParser::Detecting | TcpParser::Dns(_) => true,
            TcpParser::Service(service) => {
                service.upgrade.as_ref().is_some_and(Upgrade::is_open)
                    || service.stream.as_ref().is_some_and(|stream| stream.wants_more(side))
            }
            TcpParser::Socks(socks) => socks.is_open(),
            TcpParser::Tunnel(inside) => inside.tcp.wants_more(side),
            TcpParser::WebSocket(socket) => socket.wants_more(side),
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
        if self.runs.is_empty() {
            // Most streams are recognised by their first run.
            self.runs.reserve_exact(1);
        }
        let full = self.runs.len() >= MAX_RUNS;
        match self.runs.last_mut().filter(|run| run.side == side && (run.at == at || full)) {
            Some(run) => run.length += kept.len(),
            None if kept.is_empty() => {}
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
        let (tls, speaker) = tls::detect(prefix);
        let client = if speaker == tls::Speaker::Client { side } else { side.other() };
        let tls = (tls, Found::Tls(client));
        let (http, speaker) = http::detect(prefix);
        let client = if speaker == http::Speaker::Client { side } else { side.other() };
        let http = (http, Found::Http(client));
        let (http2, speaker) = http::detect_v2(prefix);
        let client = if speaker == http::Speaker::Client { side } else { side.other() };
        let http2 = (http2, Found::Http2(client));
        let dns = (dns::detect_stream(prefix), Found::Dns);
        let scene = Scene { prefix, peer: &side.other().of(&self.beginnings).bytes, ports: self.ports };
        let named = match detect::tcp(&scene) {
            Ok(named) => (Verdict::Yes, Found::Named(named, self.client_of(named, side))),
            Err(verdict) => (verdict, Found::Dns),
        };
        let port = self.ports.iter().any(|port| matches!(port, 53 | 5353 | 5355));
        let order = if port { [dns, tls, http2, http, named] } else { [tls, http2, http, named, dns] };
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
        let greets =
            [&b"220"[..], b"+OK", b"-ERR ", b"* ", b"RFB "].iter().any(|start| prefix.starts_with(start));
        let proxy =
            named.service == "socks" && detect::answers_socks(&side.other().of(&self.beginnings).bytes);
        let answers = named.service == "irc"
            && [&b":"[..], b"@", b"NOTICE "].iter().any(|start| prefix.starts_with(start));
        let server = greets || proxy || answers || named.upgrade == Some(upgrade::Kind::Mysql);
        if server { side.other() } else { side }
    }

    /// Sets up the parser that was found and gives it what both sides have said, in the order they said it.
    fn install(&mut self, found: Found, at: Timestamp, out: &mut Vec<Event>) {
        match found {
            Found::Tls(_) if !self.options.kinds.any(&[Kind::Tls, Kind::X509]) => self.name("ssl"),
            Found::Http2(_) if !self.options.kinds.any(&[Kind::Http, Kind::File]) => self.name("http2"),
            Found::Http(_) if !self.options.kinds.any(&[Kind::Http, Kind::File]) => self.name("http"),
            Found::Dns if !self.options.kinds.has(Kind::Dns) => self.name("dns"),
            Found::Tls(client) => {
                let started = self.runs.iter().find(|run| run.side == client).map_or(at, |run| run.at);
                self.service = Some("ssl");
                self.parser = self.tls(client, started);
            }
            Found::Http(client) => {
                self.service = Some("http");
                self.parser = TcpParser::Http(Box::new(Http::new(client, self.options)));
            }
            Found::Http2(client) => {
                self.service = Some("http2");
                self.parser = TcpParser::Http2(Box::new(Http2::new(client, self.options)));
            }
            Found::Dns => {
                let [source, destination] = self.ports;
                self.service = Some("dns");
                self.parser = TcpParser::Dns(Box::new(Dns::new(source, destination)));
            }
            Found::Named(named, client) => {
                self.service = Some(named.service);
                let start = Start { client, options: &self.options };
                let is_read = self.options.kinds.any(&[Kind::Services, Kind::File]);
                let stream = if is_read { dissect::stream(named.service, &start) } else { None };
                let upgrade = named.upgrade.map(|kind| Upgrade::new(kind, client));
                self.parser = if named.service == "socks" {
                    TcpParser::Socks(Box::new(Socks::new(client, &self.options)))
                } else if stream.is_some() || upgrade.is_some() {
                    TcpParser::Service(Box::new(Service { stream, upgrade }))
                } else {
                    TcpParser::Done
                };
            }
        }
        let (beginnings, runs): ([Beginning; 2], Vec<Run>) =
            (std::mem::take(&mut self.beginnings), std::mem::take(&mut self.runs));
        let [originator, responder] = &beginnings;
        let mut rests = [Cursor::new(&originator.bytes), Cursor::new(&responder.bytes)];
        for run in runs {
            let rest = run.side.of_mut(&mut rests);
            let bytes = rest.take(run.length).unwrap_or_default();
            let lost = if rest.is_empty() { run.side.of(&beginnings).lost } else { 0 };
            self.data(run.side, run.at, bytes, out);
            // Where it is, so that the other side's answer comes behind it.
            if lost > 0 {
                self.gap(run.side, lost);
            }
        }
    }

    fn tls(&self, client: Side, started: Timestamp) -> TcpParser {
        let certificates = self.options.kinds.has(Kind::X509);
        TcpParser::Tls(Box::new(Tls::new(client, started).telling_certificates(certificates)))
    }

    /// Says what is spoken, and reads nothing of it.
    fn name(&mut self, service: &'static str) {
        self.service = Some(service);
        self.parser = TcpParser::Done;
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
        let early = http.held();
        match http.next() {
            // The tunnel's ends are the connection's: the client of the proxy is the client inside.
            Next::Tunnel(target) => {
                self.tunnel("http", target, [(side.other(), &early), (side, bytes)], at, out);
            }
            Next::Http2(parser) => {
                self.service = Some("http,http2");
                self.parser = TcpParser::Http2(parser);
                self.data(side, at, bytes, out);
            }
            Next::WebSocket(mut socket) => {
                self.service = Some("http,websocket");
                if self.depth < MAX_DEPTH {
                    socket.look_into(Self::nested(self.ports, self.options, self.depth + 1));
                }
                socket.open(out);
                self.parser = TcpParser::WebSocket(socket);
                self.data(side, at, bytes, out);
            }
            Next::Nothing => {}
        }
    }

    fn socks(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let TcpParser::Socks(socks) = &mut self.parser else { return };
        if let Some([originator, responder]) = socks.data(side, at, bytes, out) {
            let inside: [(Side, &[u8]); 2] = [(Side::Originator, &originator), (Side::Responder, &responder)];
            let target = socks.target();
            self.tunnel("socks", target, inside, at, out);
        } else if !socks.is_open() {
            self.parser = TcpParser::Done;
        }
    }

    /// Goes on with a connection inside this one, to which these bytes belong already.
    fn tunnel(
        &mut self,
        kind: &'static str,
        target: String,
        inside: [(Side, &[u8]); 2],
        at: Timestamp,
        out: &mut Vec<Event>,
    ) {
        out.push(tunnel_event(kind, &target, at));
        if self.depth >= MAX_DEPTH {
            self.parser = TcpParser::Done;
            return;
        }
        let tcp = Self::nested(self.ports, self.options, self.depth + 1);
        self.parser = TcpParser::Tunnel(Box::new(Inside { kind, target, tcp }));
        for (side, bytes) in inside {
            if !bytes.is_empty() {
                self.data(side, at, bytes, out);
            }
        }
    }

    fn serve(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        let TcpParser::Service(service) = &mut self.parser else { return };
        let agreed = service.upgrade.as_mut().filter(|upgrade| upgrade.is_open());
        let agreed =
            agreed.and_then(|upgrade| Some((upgrade.data(side, bytes)?, upgrade.client, upgrade.kind)));
        // What is held for TLS is none of the service's.
        let held = agreed.as_ref().map_or(0, |(halves, ..)| side.of(halves).len());
        if let Some(stream) = &mut service.stream {
            stream.data(side, at, bytes.get(..bytes.len().saturating_sub(held)).unwrap_or_default(), out);
        }
        let Some((halves, client, kind)) = agreed else { return };
        if let Some(stream) = &mut service.stream {
            stream.finish(at, out);
        }
        self.service = Some(kind.joined());
        self.parser = self.tls(client, at);
        for side in [client, client.other()] {
            let held: &Vec<u8> = side.of(&halves);
            self.data(side, at, held, out);
        }
    }
}

/// That a proxy opened a tunnel; the flow it lies in is its carrier.
fn tunnel_event(kind: &'static str, target: &str, at: Timestamp) -> Event {
    let mut event = Event::of("sensor.tunnel", at);
    event.set("event.kind", "event");
    event.set("event.category", vec!["network"]);
    event.set("event.type", vec!["start"]);
    event.set("event.action", "discover");
    event.set("dongson.tunnel.carries.kind", kind);
    if !target.is_empty() {
        event.set("dongson.tunnel.target", target);
    }
    event
}
