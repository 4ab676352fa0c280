//! What a stream or a datagram speaks, told from its first bytes on any port; a port only breaks ties.
//!
//! A detector gives a [`Verdict`] on a prefix. `Yes` and `No` are final: no longer prefix may change them, so that the answer
//! does not depend on how a stream is cut into packets. The first detector in the order of the table that says `Yes` wins once
//! all before it said `No`. Signatures are few and cheap on purpose; a service that is only named here has no parser yet.

mod database;
mod industrial;
mod mail;
mod network;
mod prefix;
mod remote;
mod windows;

use prefix::begins;

use super::upgrade::Kind;

pub(super) use network::is_ssdp;
pub(super) use remote::answers_socks;

/// What a detector thinks of a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// More bytes are needed.
    Maybe,
}

impl Verdict {
    /// A verdict that is final.
    pub(super) fn of(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }

    /// What another detector of the same service thinks, once this one said no.
    fn or(self, other: Self) -> Self {
        if self == Self::No { other } else { self }
    }
}

/// Bytes of one side that detectors look at.
pub(super) const LIMIT: usize = 1024;

/// What is known when a named service is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// First bytes of the side in question.
    pub(super) prefix: &'a [u8],
    /// First bytes of the other side so far.
    pub(super) peer: &'a [u8],
    pub(super) ports: [u16; 2],
}

impl Scene<'_> {
    fn on(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }
}

/// A service that is recognised but not parsed: Zeek's name, how to recognise it, how it may turn into TLS.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) service: &'static str,
    detect: fn(&Scene<'_>) -> Verdict,
    pub(super) upgrade: Option<Kind>,
}

const fn named(service: &'static str, detect: fn(&Scene<'_>) -> Verdict) -> Named {
    Named { service, detect, upgrade: None }
}

const fn upgrading(service: &'static str, detect: fn(&Scene<'_>) -> Verdict, kind: Kind) -> Named {
    Named { service, detect, upgrade: Some(kind) }
}

/// Services over TCP, the surest first.
static TCP: &[Named] = &[
    named("ssh", |s| begins(s.prefix, &[b"SSH-1.", b"SSH-2."])),
    named("socks", remote::socks),
    named("rfb", |s| begins(s.prefix, &[b"RFB 003.", b"RFB 004."])),
    named("smb", |s| windows::smb(s.prefix)),
    named("bittorrent", |s| begins(s.prefix, &[b"\x13BitTorrent protocol"])),
    named("mqtt", |s| database::mqtt(s.prefix)),
    named("dnp3_tcp", |s| industrial::dnp3(s.prefix)),
    named("amqp", |s| begins(s.prefix, &[b"AMQP\x00", b"AMQP\x03"])),
    named("rsync", |s| begins(s.prefix, &[b"@RSYNCD: "])),
    named("jdwp", |s| begins(s.prefix, &[b"JDWP-Handshake"])),
    named("bgp", |s| begins(s.prefix, &[&[0xff; 16]])),
    upgrading("rdp", |s| windows::rdp(s.prefix), Kind::Rdp),
    named("rpc", |s| network::rpc(s.prefix)),
    named("cotp", |s| industrial::s7(s.prefix)),
    upgrading("postgresql", |s| database::postgresql(s.prefix), Kind::Postgresql),
    upgrading("mysql", |s| database::mysql(s.prefix), Kind::Mysql),
    named("tds", |s| windows::tds(s.prefix)),
    named("dce_rpc", |s| windows::dce_rpc(s.prefix)),
    named("krb_tcp", windows::kerberos_tcp),
    named("ldap_tcp", windows::ldap),
    named("redis", database::redis),
    named("telnet", remote::telnet),
    upgrading("xmpp", |s| remote::xmpp(s.prefix), Kind::Xmpp),
    named("sip", |s| remote::sip(s.prefix)),
    named("rtsp", |s| remote::rtsp(s.prefix)),
    upgrading("smtp", mail::smtp, Kind::Smtp),
    upgrading("ftp", mail::ftp, Kind::Ftp),
    upgrading("pop3", mail::pop3, Kind::Pop3),
    upgrading("imap", |s| mail::imap(s.prefix), Kind::Imap),
    named("syslog", network::syslog),
    upgrading("irc", remote::irc, Kind::Irc),
    named("openvpn", |s| super::tunnel::openvpn::begins(s.prefix)),
    named("modbus", industrial::modbus),
    named("iec104", industrial::iec104),
    named("enip", industrial::enip),
];

/// The named service of this name.
pub(super) fn service(name: &str) -> Option<&'static Named> {
    TCP.iter().find(|named| named.service == name)
}

/// The named service of a stream, or that no detector can still say yes (`Err(No)`), or that one might (`Err(Maybe)`).
pub(super) fn tcp(scene: &Scene<'_>) -> Result<&'static Named, Verdict> {
    for named in TCP {
        match (named.detect)(scene) {
            Verdict::Yes => return Ok(named),
            Verdict::Maybe => return Err(Verdict::Maybe),
            Verdict::No => {}
        }
    }
    Err(Verdict::No)
}

/// The named service of a datagram.
pub(super) fn udp(ports: [u16; 2], bytes: &[u8]) -> Option<&'static str> {
    let on = |port: u16| ports.contains(&port);
    let scene = Scene { prefix: bytes, peer: &[], ports };
    Some(match bytes {
        _ if network::dhcp(bytes) => "dhcp",
        _ if (on(546) || on(547)) && super::network::dhcp::is_v6(bytes) => "dhcpv6",
        _ if bytes.len() >= 20 && bytes.get(4..8) == Some(&[0x21, 0x12, 0xa4, 0x42]) => "stun",
        _ if super::peer::bittorrent::is_datagram(bytes) => "bittorrent",
        _ if remote::sip(bytes) == Verdict::Yes => "sip",
        _ if super::network::snmp::is_message(bytes) => "snmp",
        _ if super::network::tftp::is_request(bytes) => "tftp",
        [first, ..] if on(123) && bytes.len() >= 12 && matches!((first >> 3) & 7, 1..=4) => "ntp",
        [b'<', b'0'..=b'9', ..] if on(514) || super::network::syslog::is_message(bytes) => "syslog",
        // Without a priority only what is text, since the port is all that tells (RFC 3164, 4.3.3).
        _ if on(514)
            && bytes.len() >= 8
            && bytes.iter().all(|sign| matches!(sign, b' '..=b'~' | b'\n' | b'\r' | 0)) =>
        {
            "syslog"
        }
        [1..=5 | 11 | 12 | 40..=45, _, high, low, ..]
            if [1812, 1813, 1645, 1646, 3799].into_iter().any(on)
                && usize::from(u16::from_be_bytes([*high, *low])) == bytes.len() =>
        {
            "radius"
        }
        [0x6a | 0x6b | 0x6c | 0x6d | 0x6e | 0x6f | 0x7e, ..] if on(88) => "krb",
        _ if (on(389) || on(3268)) && windows::ldap(&scene) == Verdict::Yes => "ldap_udp",
        [0, 1..=6, ..] if on(69) => "tftp",
        _ if super::industrial::bacnet::is_message(bytes) => "bacnet",
        _ if on(44_818) && super::industrial::enip::is_message(bytes) => "enip",
        _ if super::industrial::enip::is_io(bytes) => "enip",
        _ if super::tunnel::wireguard::is_message(bytes) => "wireguard",
        _ if super::tunnel::openvpn::is_opening(bytes) => "openvpn",
        _ if super::tunnel::ike::is_message(bytes) => "ipsec",
        _ if on(4500) && super::tunnel::ike::is_esp(bytes) => "ipsec",
        _ if super::windows::dcerpc::is_message(bytes) => "dce_rpc",
        _ if super::network::nfs::is_call(bytes) => "rpc",
        _ if super::network::netflow::is_datagram(bytes) => "netflow",
        _ if industrial::dnp3(bytes) == Verdict::Yes => "dnp3_udp",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
