//! `ClientHello` and `ServerHello` (RFC 8446, 4.1; RFC 5246, 7.4.1; RFC 6347, 4.2.1), read as far as they go.

use crate::protocol::wire::{Cursor, numbers16, text};

/// Numbers kept of one list; JA4 counts to 99, real hellos stay under 200.
const MAX_LIST: usize = 512;
/// Protocols kept of an ALPN list.
const MAX_ALPN: usize = 32;

/// The `random` that turns a `ServerHello` into a request to try again (RFC 8446, 4.1.3).
pub(super) const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a client offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::protocol) struct ClientHello {
    /// The version of the message, not of `supported_versions`.
    pub(super) version: u16,
    pub(super) session_id: Vec<u8>,
    pub(super) ciphers: Vec<u16>,
    /// Types of the extensions, in their order.
    pub(super) extensions: Vec<u16>,
    pub(super) server_name: Option<String>,
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) groups: Vec<u16>,
    pub(super) point_formats: Vec<u8>,
    pub(super) signatures: Vec<u16>,
    pub(super) versions: Vec<u16>,
    /// A session ticket was sent along.
    pub(super) ticket: bool,
}

/// What the server chose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::protocol) struct ServerHello {
    /// The version of the message.
    pub(super) version: u16,
    pub(super) session_id: Vec<u8>,
    pub(super) cipher: u16,
    pub(super) extensions: Vec<u16>,
    pub(super) alpn: Option<Vec<u8>>,
    /// The version that `supported_versions` chose.
    pub(super) selected_version: Option<u16>,
    /// The group of the key share.
    pub(super) group: Option<u16>,
    pub(super) pre_shared_key: bool,
    /// It is a request to send another `ClientHello`.
    pub(super) retry: bool,
}

impl ClientHello {
    /// Reads the body of the handshake message; `cookie` for DTLS. `None` when it ends before the cipher suites.
    pub(super) fn parse(body: &[u8], cookie: bool) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let version = cursor.u16()?;
        cursor.take(32)?;
        let session_id = cursor.vec8()?.to_vec();
        if cookie {
            cursor.vec8()?;
        }
        let ciphers = limited(cursor.vec16()?);
        let mut hello = Self { version, session_id, ciphers, ..Self::default() };
        if cursor.vec8().is_some() {
            each_extension(cursor, |kind, value| {
                hello.extensions.push(kind);
                hello.extension(kind, value);
            });
        }
        Some(hello)
    }

    /// Reads the SSL 2.0 form (RFC 5246, E.2), without its two-byte record header.
    pub(super) fn parse_v2(record: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(record);
        if cursor.u8()? != 1 {
            return None;
        }
        let version = cursor.u16()?;
        let lengths = (usize::from(cursor.u16()?), usize::from(cursor.u16()?), cursor.u16()?);
        let ciphers = cursor.take(lengths.0)?;
        let session_id = cursor.take(lengths.1)?.to_vec();
        let known = ciphers.as_chunks::<3>().0.iter().filter(|[kind, ..]| *kind == 0);
        let ciphers = known.map(|[_, high, low]| u16::from_be_bytes([*high, *low])).take(MAX_LIST).collect();
        Some(Self { version, session_id, ciphers, ..Self::default() })
    }

    fn extension(&mut self, kind: u16, value: &[u8]) {
        let mut cursor = Cursor::new(value);
        match kind {
            0 => self.server_name = server_name(value).or(self.server_name.take()),
            10 => self.groups = cursor.vec16().map(limited).unwrap_or_default(),
            11 => self.point_formats = cursor.vec8().unwrap_or_default().to_vec(),
            13 => self.signatures = cursor.vec16().map(limited).unwrap_or_default(),
            16 => self.alpn = alpn(value),
            35 => self.ticket = !value.is_empty(),
            43 => self.versions = cursor.vec8().map(limited).unwrap_or_default(),
            _ => {}
        }
    }
}

impl ServerHello {
    /// Reads the body of the handshake message; `None` when it ends before the cipher suite.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let version = cursor.u16()?;
        let retry = cursor.take(32)? == RETRY_RANDOM;
        // The drafts of TLS 1.3 up to 21 sent neither session id nor compression.
        let draft = version & 0xff00 == 0x7f00 && version & 0xff < 22;
        let session_id = if draft { Vec::new() } else { cursor.vec8()?.to_vec() };
        let cipher = cursor.u16()?;
        let mut hello = Self { version, session_id, cipher, retry, ..Self::default() };
        if draft || cursor.u8().is_some() {
            each_extension(cursor, |kind, value| {
                hello.extensions.push(kind);
                hello.extension(kind, value);
            });
        }
        Some(hello)
    }

    fn extension(&mut self, kind: u16, value: &[u8]) {
        let mut cursor = Cursor::new(value);
        match kind {
            16 => self.alpn = alpn(value).into_iter().next(),
            41 => self.pre_shared_key = true,
            43 => self.selected_version = cursor.u16(),
            51 => self.group = cursor.u16(),
            _ => {}
        }
    }

    /// The version that is spoken.
    pub(super) fn negotiated(&self) -> u16 {
        self.selected_version.unwrap_or(self.version)
    }
}

fn limited(bytes: &[u8]) -> Vec<u16> {
    numbers16(bytes.get(..2 * MAX_LIST).unwrap_or(bytes))
}

/// Calls `visit` with type and value of each whole extension of a list that may be cut off.
fn each_extension(mut cursor: Cursor<'_>, mut visit: impl FnMut(u16, &[u8])) {
    let Some(length) = cursor.u16() else { return };
    let list = cursor.rest();
    let mut cursor = Cursor::new(list.get(..usize::from(length)).unwrap_or(list));
    for _ in 0..MAX_LIST {
        let Some((kind, value)) = cursor.u16().zip(cursor.vec16()) else { return };
        visit(kind, value);
    }
}

/// The first host name of the `server_name` extension (RFC 6066, 3).
fn server_name(value: &[u8]) -> Option<String> {
    let mut list = Cursor::new(Cursor::new(value).vec16()?);
    while !list.is_empty() {
        let (kind, name) = (list.u8()?, list.vec16()?);
        if kind == 0 {
            return Some(text(name, 512));
        }
    }
    None
}

/// Protocol names (RFC 7301, 3.1).
fn alpn(value: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let mut list = Cursor::new(Cursor::new(value).vec16().unwrap_or_default());
    while let Some(name) = list.vec8() {
        if names.len() == MAX_ALPN {
            break;
        }
        names.push(name.to_vec());
    }
    names
}

#[cfg(test)]
pub(in crate::protocol) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        [&kind.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
    }

    /// Body of a client hello for `name` with GREASE, ALPN h2, x25519, two signature schemes and TLS 1.3.
    pub(in crate::protocol) fn client_hello(name: &str) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend([0, 6, 0x0a, 0x0a, 0x13, 0x01, 0xc0, 0x2f, 1, 0]);
        let length = u8::try_from(name.len()).unwrap();
        let sni = [&[0, length + 3, 0, 0, length][..], name.as_bytes()].concat();
        let list = [
            extension(0x1a1a, &[]),
            extension(0, &sni),
            extension(10, &[0, 2, 0, 29]),
            extension(11, &[1, 0]),
            extension(13, &[0, 4, 4, 3, 8, 4]),
            extension(16, b"\x00\x03\x02h2"),
            extension(43, &[4, 3, 4, 3, 3]),
        ]
        .concat();
        body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
        body.extend(list);
        body
    }

    /// Body of a server hello that chooses TLS 1.3, AES-128-GCM and x25519.
    pub(in crate::protocol) fn server_hello() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([9; 32]);
        body.extend([0, 0x13, 0x01, 0]);
        let list = [extension(51, &[0, 29, 0, 1, 5]), extension(43, &[3, 4])].concat();
        body.extend(u16::try_from(list.len()).unwrap().to_be_bytes());
        body.extend(list);
        body
    }

    #[test]
    fn reads_a_client_hello() {
        let hello = ClientHello::parse(&client_hello("cong.thanhhoa.gov.vn"), false).unwrap();
        assert_eq!(hello.server_name.as_deref(), Some("cong.thanhhoa.gov.vn"));
        assert_eq!(hello.ciphers, [0x0a0a, 0x1301, 0xc02f]);
        assert_eq!(hello.alpn, [b"h2".to_vec()]);
        assert_eq!(hello.versions, [0x304, 0x303]);
        assert_eq!(hello.signatures, [0x403, 0x804]);
    }

    #[test]
    fn a_cut_hello_keeps_what_came() {
        let body = client_hello("a.vn");
        let hello = ClientHello::parse(&body[..body.len() - 3], false).unwrap();
        assert_eq!(hello.alpn, [b"h2".to_vec()]);
        assert!(hello.versions.is_empty());
    }

    #[test]
    fn reads_a_server_hello() {
        let hello = ServerHello::parse(&server_hello()).unwrap();
        assert_eq!((hello.negotiated(), hello.cipher, hello.group), (0x304, 0x1301, Some(29)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, cookie: bool) {
            drop((ClientHello::parse(&bytes, cookie), ClientHello::parse_v2(&bytes), ServerHello::parse(&bytes)));
        }

        #[test]
        fn any_extensions_are_read(tail: Vec<u8>) {
            let mut body = client_hello("");
            body.truncate(47);
            body.extend(tail);
            drop(ClientHello::parse(&body, false));
        }
    }
}
