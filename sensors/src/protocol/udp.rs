//! One UDP flow: each datagram is looked at until it is known what is spoken.

use dongson_event::{Event, Timestamp};

use super::detect;
use super::dissect::{self, Datagrams, Expected, Start, Transfer};
use super::dns::{self, Dns};
use super::http;
use super::quic::{self, Quic};
use super::tls;
use super::tls::dtls::Dtls;
use super::{Kind, Options, Side};

#[derive(Debug)]
enum UdpParser {
    /// So many datagrams were not recognised.
    Detecting(u8),
    Dns(Box<Dns>),
    Quic(Box<Quic>),
    Dtls(Box<Dtls>),
    Ssdp,
    Service(Box<dyn Datagrams>),
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

    /// A flow in which `service` (a name that [`Udp::service`] gives; DTLS is `dtls`) is asked for by the originator:
    /// nothing is left to be recognised. `None` where nothing reads that service.
    pub fn speaking(service: &'static str, ports: [u16; 2], options: Options) -> Option<Self> {
        let at = Timestamp::default();
        let client = Side::Originator;
        let parser = match service {
            "dns" => {
                let [source, destination] = ports;
                UdpParser::Dns(Box::new(Dns::new(source, destination)))
            }
            "quic" => UdpParser::Quic(Box::new(Quic::new(at))),
            "dtls" => UdpParser::Dtls(Box::new(Dtls::new(client, at))),
            "ssdp" => UdpParser::Ssdp,
            _ => UdpParser::Service(dissect::datagrams(service, &Start { client, options: &options })?),
        };
        Some(Self { ports, options, service: Some(service), parser })
    }

    /// A flow that another one has announced.
    pub(crate) fn transfer(ports: [u16; 2], transfer: Transfer, options: Options) -> Self {
        let (service, kinds) = ("tftp", options.kinds);
        let is_read = kinds.any(&[Kind::Services, Kind::File]);
        let parser = dissect::announced(transfer, options).filter(|_| is_read).map(UdpParser::Service);
        Self { ports, options, service: Some(service), parser: parser.unwrap_or(UdpParser::Done) }
    }

    /// A flow that this one has announced and that was not asked for yet.
    pub(crate) fn expected(&mut self) -> Option<Expected> {
        let UdpParser::Service(service) = &mut self.parser else { return None };
        let (listener, transfer) = service.announced()?;
        Some(Expected { listener, port: *listener.of(&self.ports), transfer })
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
            UdpParser::Service(service) => service.datagram(side, at, bytes, out),
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
            let start = Start { client: side, options: &self.options };
            let parser = match dissect::datagrams(service, &start) {
                Some(parser) => UdpParser::Service(parser),
                None if service == "stun" => UdpParser::Detecting(passed),
                None => UdpParser::Done,
            };
            (Some(service), parser)
        } else if passed < MAX_UNKNOWN_DATAGRAMS {
            (self.service, UdpParser::Detecting(passed + 1))
        } else {
            (self.service, UdpParser::Done)
        };
        let kinds = self.options.kinds;
        let is_read = match &parser {
            UdpParser::Dns(_) => kinds.has(Kind::Dns),
            UdpParser::Quic(_) | UdpParser::Dtls(_) => kinds.has(Kind::Tls),
            UdpParser::Ssdp => kinds.has(Kind::Http),
            UdpParser::Service(_) => kinds.any(&[Kind::Services, Kind::File]),
            UdpParser::Detecting(_) | UdpParser::Done => true,
        };
        (self.service, self.parser) = (service, if is_read { parser } else { UdpParser::Done });
    }

    /// The end of the flow: what is incomplete goes out.
    pub fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>) {
        match std::mem::replace(&mut self.parser, UdpParser::Done) {
            UdpParser::Quic(mut quic) => quic.finish(out),
            UdpParser::Dtls(mut dtls) => dtls.finish(out),
            UdpParser::Service(mut service) => {
                service.finish(at, out);
                self.service = service.service().or(self.service);
            }
            UdpParser::Dns(_) | UdpParser::Ssdp | UdpParser::Detecting(_) | UdpParser::Done => {}
        }
    }

    /// Zeek's name of the service, once it is known.
    pub fn service(&self) -> Option<&'static str> {
        match &self.parser {
            UdpParser::Service(service) => service.service().or(self.service),
            _ => self.service,
        }
    }

    /// False when more datagrams would not change anything.
    pub fn wants_more(&self, _side: Side) -> bool {
        match &self.parser {
            UdpParser::Quic(quic) => quic.wants_more(),
            UdpParser::Dtls(dtls) => dtls.wants_more(),
            UdpParser::Service(service) => service.wants_more(),
            UdpParser::Dns(_) | UdpParser::Ssdp | UdpParser::Detecting(_) => true,
            UdpParser::Done => false,
        }
    }
}
