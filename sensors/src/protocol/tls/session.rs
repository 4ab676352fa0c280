//! One TLS handshake as both sides speak it, whatever carries it: stream records, DTLS records or QUIC frames.
//!
//! In: handshake messages and what the record layer can see of the rest. Out: one `sensor.tls` event. Memory: two hellos
//! (each under 8 KiB), two chains (under 300 KiB with all names at their limits), a history of [`MAX_HISTORY`] letters.

use dongson_event::{Event, Timestamp, Value};

use crate::protocol::wire::{Cursor, text};

use super::certificate::{self, Chain};
use super::fingerprint::{self, Carrier};
use super::hello::{ClientHello, ServerHello};
use super::names;

/// Letters of history kept.
const MAX_HISTORY: usize = 64;
/// Fingerprints kept when a client says hello more than once.
const MAX_HELLOS: usize = 4;

/// What is known of one handshake.
#[derive(Debug)]
pub(in crate::protocol) struct Session {
    carrier: Carrier,
    started: Timestamp,
    history: String,
    client: Option<ClientHello>,
    /// Later hellos of the client, after a retry request.
    again: Vec<ClientHello>,
    server: Option<ServerHello>,
    client_chain: Option<Chain>,
    server_chain: Option<Chain>,
    authorities: Vec<String>,
    group: Option<u16>,
    last_alert: Option<u8>,
    established: bool,
    ticket_resumed: bool,
    client_keyed: bool,
    /// Client, then server: what follows is encrypted.
    encrypted: [bool; 2],
    /// Types of the server's handshake messages in the clear.
    server_messages: Vec<u8>,
}

impl Session {
    pub(in crate::protocol) fn new(carrier: Carrier, started: Timestamp) -> Self {
        Self {
            carrier,
            started,
            history: String::new(),
            client: None,
            again: Vec::new(),
            server: None,
            client_chain: None,
            server_chain: None,
            authorities: Vec::new(),
            group: None,
            last_alert: None,
            established: false,
            ticket_resumed: false,
            client_keyed: false,
            encrypted: [false; 2],
            server_messages: Vec::new(),
        }
    }

    /// Whether anything worth an event was seen.
    pub(in crate::protocol) fn is_known(&self) -> bool {
        self.client.is_some() || self.server.is_some()
    }

    pub(in crate::protocol) fn has_client(&self) -> bool {
        self.client.is_some()
    }

    pub(in crate::protocol) fn has_server(&self) -> bool {
        self.server.as_ref().is_some_and(|hello| !hello.retry)
    }

    /// Whether handshake and alert records of a side are sealed; those of TLS 1.3 hide in data records instead.
    pub(super) fn is_encrypted(&self, client: bool) -> bool {
        let [from_client, from_server] = self.encrypted;
        (if client { from_client } else { from_server }) && !self.is_tls13()
    }

    fn note(&mut self, client: bool, letter: char) {
        if self.history.len() < MAX_HISTORY {
            self.history.push(if client { letter } else { letter.to_ascii_lowercase() });
        }
    }

    /// A handshake message in the clear, without its header.
    pub(in crate::protocol) fn handshake(&mut self, client: bool, kind: u8, body: &[u8]) {
        self.note(client, names::handshake_letter(kind));
        if !client && self.server_messages.len() < MAX_HISTORY {
            self.server_messages.push(kind);
        }
        match (client, kind) {
            (true, 1) => self.client_hello(ClientHello::parse(body, self.carrier == Carrier::Dtls)),
            (false, 2) => self.server_hello(body),
            (true, 11) => self.client_chain = Chain::parse(body).or(self.client_chain.take()),
            (false, 11) => self.server_chain = Chain::parse(body).or(self.server_chain.take()),
            (false, 12) => {
                self.group = self.group.or_else(|| exchanged_group(body, self.server.as_ref()?.cipher));
            }
            (false, 13) => {
                let signatures =
                    self.server.as_ref().is_some_and(|hello| matches!(hello.version, 0x303 | 0xfefd));
                self.authorities = certificate::requested_authorities(body, signatures).unwrap_or_default();
            }
            (true, 16) => self.client_keyed = true,
            _ => {}
        }
    }

    /// A hello of SSL 2.0 form.
    pub(super) fn hello_v2(&mut self, record: &[u8]) {
        self.note(true, 'C');
        self.client_hello(ClientHello::parse_v2(record));
    }

    fn client_hello(&mut self, hello: Option<ClientHello>) {
        let Some(hello) = hello else { return };
        if self.client.is_none() {
            self.client = Some(hello);
        } else if self.again.len() < MAX_HELLOS {
            self.again.push(hello);
        }
    }

    fn server_hello(&mut self, body: &[u8]) {
        let retried = self.server.as_ref().is_none_or(|hello| hello.retry);
        if let Some(hello) = ServerHello::parse(body).filter(|_| retried) {
            self.group = hello.group.or(self.group);
            if !hello.retry && self.server.is_some() {
                // The empty ChangeCipherSpec around a retry seals nothing yet.
                self.encrypted = [false; 2];
            }
            self.server = Some(hello);
        }
    }

    /// A `ChangeCipherSpec`.
    pub(super) fn change_cipher(&mut self, client: bool) {
        self.note(client, 'I');
        self.encrypt(client);
        let ticket = self.client.as_ref().is_some_and(|hello| hello.ticket);
        if client && ticket && !self.client_keyed && !self.is_tls13() {
            self.ticket_resumed = true;
        }
    }

    fn encrypt(&mut self, client: bool) {
        let [from_client, from_server] = &mut self.encrypted;
        *(if client { from_client } else { from_server }) = true;
    }

    /// A record whose content cannot be read.
    pub(super) fn sealed(&mut self, client: bool, is_data: bool) {
        if is_data && self.is_tls13() {
            self.encrypt(client);
        }
        if self.encrypted == [true, true] {
            self.established = true;
        }
    }

    /// An alert in the clear.
    pub(super) fn alert(&mut self, client: bool, body: &[u8]) {
        if let &[_, description] = body {
            self.note(client, 'L');
            self.last_alert = Some(description);
        }
    }

    /// Both sides speak in cipher: there is nothing more to learn.
    pub(super) fn is_established(&self) -> bool {
        self.established
    }

    fn is_tls13(&self) -> bool {
        let version = self.server.as_ref().map(ServerHello::negotiated);
        version.is_some_and(|code| matches!(code, 0x304 | 0xfefc) || matches!(code >> 8, 0x7f | 0x7e))
    }

    fn is_resumed(&self) -> bool {
        let Some(server) = &self.server else { return false };
        let same_id = self.client.as_ref().is_some_and(|client| {
            !client.session_id.is_empty() && client.session_id == server.session_id && !self.is_tls13()
        });
        same_id || self.ticket_resumed || server.pre_shared_key
    }

    /// Hands out the event of this handshake, and those of its `certificates` where they are wanted.
    pub(super) fn tell(self, certificates: bool, out: &mut Vec<Event>) {
        if !certificates {
            return out.push(self.describe());
        }
        let at = out.len();
        for (chain, by_client) in [(&self.server_chain, false), (&self.client_chain, true)] {
            if let Some(chain) = chain {
                chain.certificates(self.started, by_client, out);
            }
        }
        out.insert(at, self.describe());
    }

    /// The event of this handshake, at the time of its first message.
    pub(in crate::protocol) fn describe(self) -> Event {
        let mut event = Event::of("sensor.tls", self.started);
        event.set("network.protocol", if self.carrier == Carrier::Quic { "quic" } else { "tls" });
        event.set("tls.established", self.established);
        event.set("tls.resumed", self.is_resumed());
        event.set("dongson.tls.history", self.history);
        if !self.server_messages.is_empty() {
            event.set("dongson.tls.server.handshakes", self.server_messages);
        }
        event.set_some("dongson.tls.alert", self.last_alert.map(names::alert));
        event.set_some("tls.curve", self.group.map(names::group));
        event.set_some(
            "dongson.tls.requested_authorities",
            (!self.authorities.is_empty()).then_some(self.authorities),
        );
        if let Some(hello) = self.client {
            client(&mut event, hello, &self.again, self.carrier);
        }
        if let Some(hello) = self.server {
            server(&mut event, hello);
        }
        if let Some(chain) = self.server_chain {
            chain.describe(&mut event, &certificate::SERVER);
        }
        if let Some(chain) = self.client_chain {
            chain.describe(&mut event, &certificate::CLIENT);
        }
        event
    }
}

fn client(event: &mut Event, hello: ClientHello, again: &[ClientHello], carrier: Carrier) {
    let ja3 = fingerprint::ja3(&hello);
    let ja4 = fingerprint::ja4(&hello, carrier);
    event.set("tls.client.ja3", ja3.hash);
    event.set("dongson.tls.client.ja3_string", ja3.text);
    event.set("tls.client.ja4", ja4.hash);
    event.set("dongson.tls.client.ja4_r", ja4.raw);
    event.set("dongson.tls.client.ja4_o", ja4.original);
    event.set("dongson.tls.client.ja4_ro", ja4.original_raw);
    if !again.is_empty() {
        let all: Vec<_> = again.iter().map(|hello| fingerprint::ja4(hello, carrier)).collect();
        event.set("dongson.tls.client.retry_ja4", all.iter().map(|ja4| ja4.hash.clone()).collect::<Vec<_>>());
        event
            .set("dongson.tls.client.retry_ja4_r", all.iter().map(|ja4| ja4.raw.clone()).collect::<Vec<_>>());
        event.set(
            "dongson.tls.client.retry_ja4_o",
            all.iter().map(|ja4| ja4.original.clone()).collect::<Vec<_>>(),
        );
        event.set(
            "dongson.tls.client.retry_ja4_ro",
            all.into_iter().map(|ja4| ja4.original_raw).collect::<Vec<_>>(),
        );
    }
    event.set("dongson.tls.client.version", hex_number(hello.version));
    if !hello.versions.is_empty() {
        event.set(
            "dongson.tls.client.supported_versions",
            hello.versions.iter().map(|&v| hex_number(v)).collect::<Vec<_>>(),
        );
    }
    event.set_some("tls.client.server_name", hello.server_name);
    if !hello.alpn.is_empty() {
        event
            .set("dongson.tls.client.alpn", hello.alpn.iter().map(|name| text(name, 64)).collect::<Vec<_>>());
    }
}

fn server(event: &mut Event, hello: ServerHello) {
    let ja3s = fingerprint::ja3s(&hello);
    event.set("tls.server.ja3s", ja3s.hash);
    event.set("dongson.tls.server.ja3s_string", ja3s.text);
    let (protocol, version) = names::version(hello.negotiated());
    event.set("tls.version_protocol", protocol);
    event.set("tls.version", version);
    event.set("tls.cipher", names::cipher(hello.cipher));
    event.set("dongson.tls.cipher_code", hex_number(hello.cipher));
    event.set("dongson.tls.server.version", hex_number(hello.version));
    event.set_some("tls.next_protocol", hello.alpn.map(|name| Value::from(text(&name, 64))));
}

fn hex_number(number: u16) -> String {
    format!("0x{number:04x}")
}

/// The named curve of an ECDHE `ServerKeyExchange` (RFC 8422, 5.4).
fn exchanged_group(body: &[u8], cipher: u16) -> Option<u16> {
    let elliptic = names::cipher(cipher).contains("_ECDH");
    let mut cursor = Cursor::new(body);
    (elliptic && cursor.u8()? == 3).then(|| cursor.u16()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::hello::tests::{client_hello, server_hello};
    use super::*;

    #[test]
    fn tls13_is_established_by_the_clients_first_sealed_record() {
        let mut session = Session::new(Carrier::Tls, Timestamp::default());
        session.handshake(true, 1, &client_hello("a.vn"));
        session.handshake(false, 2, &server_hello());
        session.change_cipher(false);
        session.sealed(false, true);
        session.change_cipher(true);
        assert!(!session.is_established());
        session.sealed(true, true);
        assert!(session.is_established());
        let event = session.describe();
        assert_eq!(event.text("dongson.tls.history"), Some("CsiI"));
        assert_eq!(event.text("tls.version"), Some("1.3"));
        assert_eq!(event.text("tls.cipher"), Some("TLS_AES_128_GCM_SHA256"));
        assert_eq!(event.text("tls.curve"), Some("x25519"));
        assert_eq!(event.text("tls.client.server_name"), Some("a.vn"));
        assert_eq!(event.get("tls.resumed"), Some(&Value::Bool(false)));
    }

    #[test]
    fn a_retry_keeps_both_hellos() {
        let mut retry = server_hello();
        retry.splice(2..34, super::super::hello::RETRY_RANDOM);
        let mut session = Session::new(Carrier::Tls, Timestamp::default());
        session.handshake(true, 1, &client_hello("a.vn"));
        session.handshake(false, 2, &retry);
        session.change_cipher(false);
        session.change_cipher(true);
        assert!(!session.is_encrypted(true));
        session.handshake(true, 1, &client_hello("a.vn"));
        session.handshake(false, 2, &server_hello());
        session.sealed(false, true);
        assert!(!session.is_established());
        session.sealed(true, true);
        assert!(session.is_established());
        let event = session.describe();
        assert_eq!(event.get("dongson.tls.client.retry_ja4").map(|list| list.scalars().len()), Some(1));
        assert_eq!(event.text("dongson.tls.history"), Some("CsiICs"));
    }

    #[test]
    fn the_same_session_id_is_a_resumption() {
        let hello = |tail: &[u8]| [&[3, 3][..], &[1; 32], &[2, 8, 8], tail].concat();
        let mut session = Session::new(Carrier::Tls, Timestamp::default());
        session.handshake(true, 1, &hello(&[0, 2, 0, 0x2f, 1, 0]));
        session.handshake(false, 2, &hello(&[0, 0x2f, 0]));
        assert!(session.is_resumed());
    }
}
