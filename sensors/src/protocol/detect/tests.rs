//! Each service by its first bytes; no answer changes with more of them.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(prefix: &[u8], peer: &[u8], port: u16, expected: Option<&str>) {
    let named = tcp(&Scene { prefix, peer, ports: [40_000, port] });
    assert_eq!(named.map(|named| named.service).ok(), expected);
}

#[test]
fn streams_are_named() {
    check(b"SSH-2.0-OpenSSH_9.6\r\n", b"", 2222, Some("ssh"));
    check(b"220 mail.example.vn ESMTP Postfix\r\n", b"", 25, Some("smtp"));
    check(b"220 (vsFTPd 3.0.3)\r\n", b"", 21, Some("ftp"));
    check(b"220 welcome\r\n", b"", 21, None);
    check(b"USER an\r\n", b"220 welcome\r\n", 21, Some("ftp"));
    check(b"USER an\r\n", b"", 6667, Some("irc"));
    check(b"USER an\r\n", b"", 6767, None);
    check(b"NICK an\r\n", b"", 443, Some("irc"));
    check(b":irc.vn NOTICE * :***\r\n", b"", 443, Some("irc"));
    check(b"<13>Oct  1 22:14:15 a b: c", b"", 10_514, Some("syslog"));
    check(b"57 <165>1 2026-08-24T05:14:15Z a", b"", 10_514, Some("syslog"));
    check(b"<xml>", b"", 10_514, None);
    check(b"\xff\xfd\x18", b"", 2023, Some("telnet"));
    check(b"\r\nlogin: ", b"", 23, Some("telnet"));
    check(b"+OK POP3 ready\r\n", b"", 4110, Some("pop3"));
    check(b"+OK\r\n", b"", 4110, None);
    check(b"USER an\r\n", b"", 110, Some("pop3"));
    check(b"* OK IMAP4rev1\r\n", b"", 9143, Some("imap"));
    check(b"A1 login an x\r\n", b"", 9143, Some("imap"));
    check(b"A1 search all\r\n", b"", 9143, None);
    check(b"\x00\x00\x00\x45\xffSMBr", b"", 445, Some("smb"));
    check(b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00", b"", 3389, Some("rdp"));
    check(b"\x03\x00\x00\x16\x11\xe0\x00\x00\x00\x01\x00\xc0\x01\x0a", b"", 102, Some("cotp"));
    check(b"\x03\x00\x00\x19\x02\xf0\x80\x32\x01\x00\x00\x00", b"", 4102, Some("cotp"));
    check(b"\x68\x04\x07\x00\x00\x00", b"", 4000, Some("iec104"));
    check(b"\x68\x0e\x00\x00\x02\x00\x64\x01\x06\x00\x01\x00", b"", 4000, Some("iec104"));
    let register = [&b"\x65\x00\x04"[..], &[0; 21], b"\x01\x00\x00\x00"].concat();
    check(&register, b"", 4000, Some("enip"));
    check(&[b"\x63", &[0; 23][..]].concat(), b"", 4000, None);
    check(b"\x68\x0f\x00\x00\x02\x00\x64\x01\x06\x00\x01\x00", b"", 4000, None);
    check(b"J\x00\x00\x00\x0a8.0.36\x00", b"", 3306, Some("mysql"));
    check(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"", 5432, Some("postgresql"));
    check(b"*1\r\n$4\r\nPING\r\n", b"", 6379, Some("redis"));
    check(b"PING\r\n", b"", 6379, Some("redis"));
    check(b"PING\r\n", b"", 6380, None);
    check(b"\x10\x12\x00\x04MQTT\x04", b"", 1883, Some("mqtt"));
    check(b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00", b"", 502, Some("modbus"));
    check(b"\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00", b"", 503, None);
    check(b"INVITE sip:an@vn SIP/2.0\r\n", b"", 5060, Some("sip"));
    check(b"\x30\x0c\x02\x01\x01\x60\x07", b"", 389, Some("ldap_tcp"));
    check(b"\x30\x84\x00\x00\x00\x0e\x02\x02\x01\xac\x63\x07", b"", 389, Some("ldap_tcp"));
}

#[test]
fn datagrams_are_named() {
    let check = |bytes: &[u8], port, expected| assert_eq!(udp([40_000, port], bytes), expected);
    check(&[0x23; 48], 123, Some("ntp"));
    check(
        b"\x30\x17\x02\x01\x01\x04\x06public\xa0\x0a\x02\x01\x01\x02\x01\x00\x02\x01\x00\x30\x00"[..25]
            .as_ref(),
        161,
        None,
    );
    check(
        b"\x30\x18\x02\x01\x01\x04\x06public\xa0\x0b\x02\x01\x01\x02\x01\x00\x02\x01\x00\x30\x00",
        161,
        Some("snmp"),
    );
    check(b"<34>Oct 11 su: failed", 514, Some("syslog"));
    check(b"\x00\x01boot\x00octet\x00", 6969, Some("tftp"));
    check(b"\x81\x0b\x00\x08\x01\x20\xff\xff", 4000, Some("bacnet"));
    check(b"\x81\x0b\x00\x09\x01\x20\xff\xff", 47_808, None);
    check(b"anything", 9, None);
}

const STARTS: &[&[u8]] = &[
    b"",
    b"220 ",
    b"\x03\x00\x00\x16",
    b"*1",
    b"\x10",
    b"<?xml",
    b"\x30",
    b"EHLO",
    b"+OK ",
    b"a LOGIN",
    b"NICK ",
    b":a NOTICE ",
    b"<13>Oct ",
    b"\xff\xfd",
    b"\x03\x00\x00\x16\x02\xf0\x80\x32",
    b"\x68\x0e\x00\x00\x02\x00\x64\x01",
    b"\x70\x00",
    b"\x00\x0e\x38",
];

proptest! {
    #[test]
    fn verdicts_are_final(
        bytes: Vec<u8>,
        start in prop::sample::select(STARTS.to_vec()),
        cut in 0..64_usize,
        port in prop::sample::select(vec![21_u16, 23, 88, 110, 502, 514, 6667, 9, 2404, 44_818]),
    ) {
        let bytes = [start, &bytes].concat();
        let cut = cut.min(bytes.len());
        let verdict = |prefix| tcp(&Scene { prefix, peer: b"", ports: [1, port] }).map(|named| named.service);
        let early = verdict(&bytes[..cut]);
        if early != Err(Verdict::Maybe) {
            prop_assert_eq!(early, verdict(&bytes));
        }
    }
}
