//! Parsers of services beside DNS, HTTP, TLS and QUIC: what one must do, and which service has one.
//!
//! A service that `detect` names and that has a parser here gets the bytes of its connection; the others are only named. A
//! service that can turn into TLS ([`super::upgrade`]) is read by its parser until it does.

use std::fmt::Debug;

use dongson_event::{Event, Timestamp};

use super::database::mysql::Mysql;
use super::database::postgresql::Postgresql;
use super::database::redis::Redis;
use super::ftp::{self, Ftp};
use super::industrial::bacnet::Bacnet;
use super::industrial::dnp3::Dnp3;
use super::industrial::enip::Enip;
use super::industrial::iec104::Iec104;
use super::industrial::modbus::Modbus;
use super::industrial::mqtt::Mqtt;
use super::industrial::s7comm::S7comm;
use super::mail::imap::Imap;
use super::mail::pop3::Pop3;
use super::mail::smtp::Smtp;
use super::network::dhcp::Dhcp;
use super::network::netflow::Netflow;
use super::network::nfs::Rpc;
use super::network::ntp::Ntp;
use super::network::radius::Radius;
use super::network::snmp::Snmp;
use super::network::syslog::{Syslog, SyslogStream};
use super::network::tftp::{self, Tftp};
use super::peer::bittorrent::{self, Peers};
use super::remote::rdp::Rdp;
use super::remote::rfb::Rfb;
use super::remote::ssh::Ssh;
use super::remote::telnet::Telnet;
use super::tunnel::ike::Ike;
use super::tunnel::openvpn::Openvpn;
use super::tunnel::wireguard::Wireguard;
use super::voice::irc::Irc;
use super::voice::sip::Sip;
use super::windows::dcerpc::{Connectionless, Dcerpc};
use super::windows::kerberos::Kerberos;
use super::windows::ldap::Ldap;
use super::windows::smb::Smb;
use super::{Options, Side};

/// What a parser of a stream starts with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start<'a> {
    /// Who asked for the service.
    pub(super) client: Side,
    pub(super) options: &'a Options,
}

/// What an announced connection or flow carries.
#[derive(Debug, Clone)]
pub(crate) enum Transfer {
    Ftp(ftp::Transfer),
    Tftp(tftp::Request),
}

#[cfg(test)]
impl Transfer {
    /// One of which nothing is known.
    pub(crate) fn any() -> Self {
        Self::Ftp(ftp::Transfer::default())
    }
}

/// A connection that another one has announced.
#[derive(Debug)]
pub(crate) struct Expected {
    /// Which end of the connection that announced it waits to be called, and on which port.
    pub(crate) listener: Side,
    pub(crate) port: u16,
    pub(crate) transfer: Transfer,
}

/// A parser of one service over TCP. Any bytes in any pieces give events and no panic, and the same bytes in other
/// pieces the same events; its memory is bounded.
pub(super) trait Stream: Debug + Send {
    /// The next bytes of one side, in order.
    fn data(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>);

    /// `length` bytes of one side are missing before its next data.
    fn gap(&mut self, side: Side, length: u64);

    /// The end of the connection, or of what is readable in it: what is incomplete goes out.
    fn finish(&mut self, at: Timestamp, out: &mut Vec<Event>);

    /// False when more bytes of this side would not change anything.
    fn wants_more(&self, side: Side) -> bool;

    /// A better name of the service than the detector's, Zeek's where it has one.
    fn service(&self) -> Option<&'static str> {
        None
    }

    /// A connection that was announced since it was asked last.
    fn expected(&mut self) -> Option<Expected> {
        None
    }
}

/// The parser of a service over TCP, where there is one.
pub(super) fn stream(service: &str, start: &Start<'_>) -> Option<Box<dyn Stream>> {
    Some(match service {
        "bittorrent" => Box::new(Peers::new()),
        "ftp" => Box::new(Ftp::new(start)),
        "imap" => Box::new(Imap::new(start)),
        "pop3" => Box::new(Pop3::new(start)),
        "smtp" => Box::new(Smtp::new(start)),
        "dnp3_tcp" => Box::new(Dnp3::default()),
        "openvpn" => Box::new(Openvpn::new(start)),
        "cotp" => Box::new(S7comm::new(start)),
        "enip" => Box::new(Enip::default()),
        "iec104" => Box::new(Iec104::default()),
        "modbus" => Box::new(Modbus::new(start)),
        "mqtt" => Box::new(Mqtt::new(start)),
        "mysql" => Box::new(Mysql::new(start)),
        "postgresql" => Box::new(Postgresql::new(start)),
        "redis" => Box::new(Redis::new(start)),
        "sip" => Box::new(Sip::default()),
        "dce_rpc" => Box::new(Dcerpc::default()),
        "krb_tcp" => Box::new(Kerberos::default()),
        "ldap_tcp" => Box::new(Ldap::new(start)),
        "smb" => Box::new(Smb::new(start)),
        "rdp" => Box::new(Rdp::new(start)),
        "rpc" => Box::new(Rpc::default()),
        "rfb" => Box::new(Rfb::new(start.client.other())),
        "irc" => Box::new(Irc::new(start)),
        "ssh" => Box::new(Ssh::new(start.client)),
        "syslog" => Box::new(SyslogStream::new(start.client)),
        "telnet" => Box::new(Telnet::new(start)),
        _ => return None,
    })
}

/// A parser of one service over UDP. Any datagrams give events and no panic; its memory is bounded.
pub(super) trait Datagrams: Debug + Send {
    /// The next datagram's payload.
    fn datagram(&mut self, side: Side, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>);

    /// The end of the flow: what is incomplete goes out.
    fn finish(&mut self, _at: Timestamp, _out: &mut Vec<Event>) {}

    /// False when more datagrams would not change anything.
    fn wants_more(&self) -> bool {
        true
    }

    /// A better name of the service than the detector's, Zeek's where it has one.
    fn service(&self) -> Option<&'static str> {
        None
    }

    /// A flow that was announced since it was asked last: the end that waits to be called on the port it has in this one.
    fn announced(&mut self) -> Option<(Side, Transfer)> {
        None
    }
}

/// The parser of a flow that another one has announced; `None` where that is over TCP.
pub(super) fn announced(transfer: Transfer, options: Options) -> Option<Box<dyn Datagrams>> {
    match transfer {
        Transfer::Tftp(request) => Some(Box::new(tftp::Data::new(request, options))),
        Transfer::Ftp(_) => None,
    }
}

/// The parser of a service over UDP, where there is one; the client is who sent the first datagram that was recognised.
pub(super) fn datagrams(service: &str, start: &Start<'_>) -> Option<Box<dyn Datagrams>> {
    Some(match service {
        "bittorrent" => Box::new(bittorrent::Flow::new(start)),
        "dhcp" => Box::new(Dhcp::V4),
        "dhcpv6" => Box::new(Dhcp::V6),
        "bacnet" => Box::new(Bacnet::new(start)),
        "enip" => Box::new(Enip::default()),
        "dnp3_udp" => Box::new(Dnp3::default()),
        "radius" => Box::new(Radius::default()),
        "sip" => Box::new(Sip::default()),
        "snmp" => Box::new(Snmp::new(start)),
        "syslog" => Box::new(Syslog),
        "openvpn" => Box::new(Openvpn::new(start)),
        "ipsec" => Box::new(Ike),
        "wireguard" => Box::new(Wireguard::default()),
        "tftp" => Box::new(Tftp::new(start)),
        "dce_rpc" => Box::new(Connectionless::default()),
        "krb" => Box::new(Kerberos::default()),
        "ldap_udp" => Box::new(Ldap::new(start)),
        "netflow" => Box::new(Netflow::default()),
        "ntp" => Box::new(Ntp),
        "rpc" => Box::new(Rpc::default()),
        _ => return None,
    })
}
