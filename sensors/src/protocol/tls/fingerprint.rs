//! Fingerprints of a TLS client and server from their hellos.
//!
//! JA3 and JA3S (Salesforce, 2017): MD5 over version, ciphers, extensions, groups and point formats, without GREASE.
//! JA4 (`FoxIO`, BSD-3-Clause specification): a readable head and two truncated SHA-256, of sorted ciphers and of sorted
//! extensions with the signature schemes; the raw (`_r`) and original-order (`_o`, `_ro`) forms as well. The other members of
//! the JA4+ family have another licence and are not here on purpose.

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::hello::{ClientHello, ServerHello};
use crate::protocol::wire::hex;

/// What carries the handshake; the first letter of a JA4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Carrier {
    Tls,
    Quic,
    Dtls,
}

/// A JA3 or JA3S: the text and its MD5 in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ja3 {
    pub(super) text: String,
    pub(super) hash: String,
}

/// The four forms of a JA4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ja4 {
    pub(super) hash: String,
    pub(super) raw: String,
    pub(super) original: String,
    pub(super) original_raw: String,
}

/// The lowest hexadecimal digit.
fn digit(number: u16) -> u8 {
    let [_, low] = (number & 15).to_be_bytes();
    if low < 10 { b'0' + low } else { b'a' + low - 10 }
}

/// Numbers that clients send to keep servers tolerant (RFC 8701).
fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

fn real(numbers: &[u16]) -> impl Iterator<Item = u16> {
    numbers.iter().copied().filter(|&number| !is_grease(number))
}

fn decimal(numbers: impl Iterator<Item = u16>) -> String {
    let mut text = String::with_capacity(64);
    for number in numbers {
        if !text.is_empty() {
            text.push('-');
        }
        push_decimal(number, &mut text);
    }
    text
}

/// Appends a number in decimal digits.
fn push_decimal(number: u16, text: &mut String) {
    let mut divisor = 10_000;
    while divisor > 1 && number < divisor {
        divisor /= 10;
    }
    while divisor > 0 {
        text.push(char::from(digit(number / divisor % 10)));
        divisor /= 10;
    }
}

/// JA3 of a client.
pub(super) fn ja3(hello: &ClientHello) -> Ja3 {
    ja3_of(format!(
        "{},{},{},{},{}",
        hello.version,
        decimal(real(&hello.ciphers)),
        decimal(real(&hello.extensions)),
        decimal(real(&hello.groups)),
        decimal(hello.point_formats.iter().map(|&format| u16::from(format))),
    ))
}

/// JA3S of a server.
pub(super) fn ja3s(hello: &ServerHello) -> Ja3 {
    ja3_of(format!("{},{},{}", hello.version, hello.cipher, decimal(hello.extensions.iter().copied())))
}

fn ja3_of(text: String) -> Ja3 {
    let hash = hex(&Md5::digest(text.as_bytes()));
    Ja3 { text, hash }
}

/// JA4 of a client.
pub(super) fn ja4(hello: &ClientHello, carrier: Carrier) -> Ja4 {
    let head = ja4_head(hello, carrier);
    let ciphers: Vec<u16> = real(&hello.ciphers).collect();
    let extensions: Vec<u16> = real(&hello.extensions).collect();
    let mut sorted_ciphers = ciphers.clone();
    sorted_ciphers.sort_unstable();
    let mut sorted: Vec<u16> = extensions.iter().copied().filter(|kind| !matches!(kind, 0 | 16)).collect();
    sorted.sort_unstable();
    let signatures = hexadecimal(&real(&hello.signatures).collect::<Vec<_>>());
    let with_signatures = |extensions: &[u16]| match signatures.as_str() {
        "" => hexadecimal(extensions),
        signatures => format!("{}_{signatures}", hexadecimal(extensions)),
    };
    let (ciphers, sorted_ciphers) = (hexadecimal(&ciphers), hexadecimal(&sorted_ciphers));
    let (tail, original_tail) = (with_signatures(&sorted), with_signatures(&extensions));
    // The reference writes zeros for both orders when nothing but server name and ALPN is there.
    let original_hash = if sorted.is_empty() { short("") } else { short(&original_tail) };
    Ja4 {
        hash: format!("{head}_{}_{}", short(&sorted_ciphers), short(&tail)),
        raw: format!("{head}_{sorted_ciphers}_{tail}"),
        original: format!("{head}_{}_{original_hash}", short(&ciphers)),
        original_raw: format!("{head}_{ciphers}_{original_tail}"),
    }
}

fn ja4_head(hello: &ClientHello, carrier: Carrier) -> String {
    let letter = match carrier {
        Carrier::Tls => 't',
        Carrier::Quic => 'q',
        Carrier::Dtls => 'd',
    };
    let newest =
        if carrier == Carrier::Dtls { real(&hello.versions).min() } else { real(&hello.versions).max() };
    let version = match newest.unwrap_or(hello.version) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    };
    let target = if hello.extensions.contains(&0) { 'd' } else { 'i' };
    let ciphers = real(&hello.ciphers).count().min(99);
    let extensions = real(&hello.extensions).count().min(99);
    let [first, last] = alpn_signs(hello.alpn.first().map_or(&[], Vec::as_slice));
    format!("{letter}{version}{target}{ciphers:02}{extensions:02}{first}{last}")
}

/// First and last sign of a protocol name; of its hex form when one of them is not a letter or digit.
fn alpn_signs(name: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |half: u8| char::from_digit(u32::from(half & 0xf), 16).unwrap_or('0');
    [digit(first >> 4), digit(last)]
}

fn hexadecimal(numbers: &[u16]) -> String {
    let mut text = String::with_capacity(5 * numbers.len());
    for number in numbers {
        let digits = [12, 8, 4, 0].map(|shift| digit(number >> shift));
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(std::str::from_utf8(&digits).unwrap_or_default());
    }
    text
}

/// The first 12 hex digits of the SHA-256; zeros for the empty text.
fn short(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    let digest = Sha256::digest(text.as_bytes());
    hex(digest.get(..6).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::hello::tests::{client_hello, server_hello};
    use super::*;

    #[test]
    fn fingerprints_a_client() {
        let hello = ClientHello::parse(&client_hello("a.vn"), false).unwrap();
        assert_eq!(ja3(&hello).text, "771,4865-49199,0-10-11-13-16-43,29,0");
        let ja4 = ja4(&hello, Carrier::Tls);
        assert_eq!(ja4.raw, "t13d0206h2_1301,c02f_000a,000b,000d,002b_0403,0804");
        assert_eq!(ja4.original_raw, "t13d0206h2_1301,c02f_0000,000a,000b,000d,0010,002b_0403,0804");
        assert!(ja4.hash.starts_with("t13d0206h2_") && ja4.hash.len() == 36);
    }

    #[test]
    fn fingerprints_a_server() {
        let hello = ServerHello::parse(&server_hello()).unwrap();
        assert_eq!(ja3s(&hello).text, "771,4865,51-43");
    }

    #[test]
    fn protocol_names_become_two_signs() {
        assert_eq!(alpn_signs(b"http/1.1"), ['h', '1']);
        assert_eq!(alpn_signs(b""), ['0', '0']);
        assert_eq!(alpn_signs(&[0xab, 0x30, 0xcd]), ['a', 'd']);
    }

    #[test]
    fn a_bare_hello() {
        let bare = ClientHello { version: 0x301, ..ClientHello::default() };
        assert_eq!(ja4(&bare, Carrier::Tls).hash, "t10i000000_000000000000_000000000000");
        assert_eq!(ja3(&bare).text, "769,,,,");
    }
}
