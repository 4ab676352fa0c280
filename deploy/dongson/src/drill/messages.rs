//! The application messages of the drill: DNS, HTTP, TLS, made byte by byte.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};

/// A DNS question for `name` of `kind` (RFC 1035 3.2.2: 1 = A, 16 = TXT).
pub(crate) fn dns_question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [id, 0x0100, 1, 0, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    put_name(&mut bytes, name);
    for word in [kind, 1] {
        bytes.extend(word.to_be_bytes());
    }
    bytes
}

/// The answer to [`dns_question`]: an address, or NXDOMAIN without one.
pub(crate) fn dns_answer(id: u16, name: &str, address: Option<Ipv4Addr>) -> Vec<u8> {
    let flags = if address.is_some() { 0x8180 } else { 0x8183 };
    let mut bytes = Vec::new();
    for word in [id, flags, 1, u16::from(address.is_some()), 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    put_name(&mut bytes, name);
    for word in [1_u16, 1] {
        bytes.extend(word.to_be_bytes());
    }
    if let Some(address) = address {
        for word in [0xc00c_u16, 1, 1, 0, 300, 4] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(address.octets());
    }
    bytes
}

/// The answer to a TXT question, carrying `text` (at most 255 bytes).
pub(crate) fn dns_text(id: u16, name: &str, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [id, 0x8180, 1, 1, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    put_name(&mut bytes, name);
    for word in [16_u16, 1, 0xc00c, 16, 1, 0, 60] {
        bytes.extend(word.to_be_bytes());
    }
    let text: Vec<u8> = text.bytes().take(255).collect();
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    bytes.extend((u16::from(length) + 1).to_be_bytes());
    bytes.push(length);
    bytes.extend(text);
    bytes
}

fn put_name(bytes: &mut Vec<u8>, name: &str) {
    for label in name.split('.') {
        let label: Vec<u8> = label.bytes().take(63).collect();
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(label);
    }
    bytes.push(0);
}

/// A request of HTTP/1.1; `body` adds its length.
pub(crate) fn http_request(method: &str, host: &str, target: &str, agent: &str, body: &str) -> Vec<u8> {
    let mut text =
        format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n");
    if !body.is_empty() {
        text.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        text.push_str("Content-Length: ");
        text.push_str(&body.len().to_string());
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// An answer of HTTP/1.1 with `body`.
pub(crate) fn http_answer(status: u16, reason: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} {reason}\r\nServer: nginx\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The turns of a TLS 1.2 conversation: hello, hello with certificate, key exchange, `records` of encrypted data.
pub(crate) fn tls_conversation(name: &str, certificate: &[u8], records: &[usize]) -> Vec<(bool, Vec<u8>)> {
    let finished = [handshake(16, &[7; 66]), record(20, &[1]), record(22, &[9; 40])].concat();
    let mut turns = vec![
        (true, client_hello(name)),
        (
            false,
            [server_hello(), certificate_message(certificate), handshake(12, &[5; 140]), handshake(14, &[])]
                .concat(),
        ),
        (true, finished),
        (false, [record(20, &[1]), record(22, &[9; 40])].concat()),
    ];
    for (index, length) in records.iter().enumerate() {
        turns.push((index % 2 == 0, record(23, &vec![0x5a; *length])));
    }
    turns
}

fn client_hello(name: &str) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([0x11; 32]);
    body.push(0);
    body.extend(prefixed_u16(&words(&[0xc02b, 0xc02f, 0xc02c, 0xc030, 0x009c, 0x009d, 0x002f, 0x0035])));
    body.extend([1, 0]);
    let mut extensions = Vec::new();
    if !name.is_empty() {
        let entry = [vec![0], prefixed_u16(name.as_bytes())].concat();
        extensions.extend(extension(0, &prefixed_u16(&entry)));
    }
    extensions.extend(extension(10, &prefixed_u16(&words(&[0x001d, 0x0017, 0x0018]))));
    extensions.extend(extension(11, &[1, 0]));
    extensions.extend(extension(13, &prefixed_u16(&words(&[0x0403, 0x0804, 0x0401, 0x0503]))));
    body.extend(prefixed_u16(&extensions));
    handshake(1, &body)
}

fn server_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([0x22; 32]);
    body.push(0);
    body.extend(words(&[0xc02f]));
    body.push(0);
    body.extend(prefixed_u16(&extension(11, &[1, 0])));
    handshake(2, &body)
}

fn certificate_message(certificate: &[u8]) -> Vec<u8> {
    handshake(11, &prefixed_u24(&prefixed_u24(certificate)))
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend(prefixed_u24(body));
    record(22, &message)
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 3, 3];
    bytes.extend(prefixed_u16(body));
    bytes
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(prefixed_u16(body));
    bytes
}

fn words(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn prefixed_u16(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().to_vec(), body.to_vec()].concat()
}

fn prefixed_u24(body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [length.to_vec(), body.to_vec()].concat()
}

/// A self-signed certificate for `name`, valid for 30 days from the start of 2026-11: always the same bytes, because
/// its key comes from a fixed seed and Ed25519 signs deterministically (RFC 8032).
pub(crate) fn certificate(name: &str) -> Result<Vec<u8>> {
    let seed = [0x44_u8; 32];
    let public = ring::signature::KeyPair::public_key(
        &ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| anyhow::anyhow!("the drill's certificate key was refused"))?,
    )
    .as_ref()
    .to_vec();
    // PKCS #8 version 2 (RFC 5958, RFC 8410) of an Ed25519 key.
    let mut key =
        vec![0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    key.extend(seed);
    key.extend([0x81, 0x21, 0x00]);
    key.extend(public);
    let key = rcgen::KeyPair::try_from(key).context("reading the drill's certificate key")?;
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 11, 1);
    params.not_after = rcgen::date_time_ymd(2026, 12, 1);
    params.serial_number = Some(rcgen::SerialNumber::from(4_097_u64));
    Ok(params.self_signed(&key)?.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_always_the_same() {
        assert_eq!(certificate("a.example").unwrap(), certificate("a.example").unwrap());
    }

    #[test]
    fn a_question_has_its_name() {
        assert_eq!(dns_question(7, "a.bc", 1)[12..], [1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
    }
}
