//! A client's first packets of QUIC: encrypted, so that changes reach what is inside them.

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;

/// What the keys are made from; the client has chosen it.
const DESTINATION: [u8; 8] = [0x83; 8];
/// The salt of version 1 (RFC 9001, 5.2).
const SALT: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];
/// Least length of what is encrypted, so that a datagram is as long as it must be.
const LEAST: usize = 64;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// An Initial packet of version 1 with this number and these frames (RFC 9000, 17.2.2; RFC 9001, 5); `None` when they are
/// too long for one.
pub fn initial(number: u8, frames: &[u8]) -> Option<Vec<u8>> {
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &SALT).extract(&DESTINATION);
    let client: [u8; 32] = expand(&secret, "client in")?;
    let client = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &client);
    let (key, mut nonce): ([u8; 16], [u8; 12]) = (expand(&client, "quic key")?, expand(&client, "quic iv")?);
    let header: [u8; 16] = expand(&client, "quic hp")?;
    let mut inside = frames.to_vec();
    inside.resize(inside.len().max(LEAST), 0);
    let length = u16::try_from(inside.len() + 17).ok().filter(|length| *length < 0x4000)?;
    let head = [&[0xc0, 0, 0, 0, 1, 8][..], &DESTINATION, &[0, 0]].concat();
    let mut packet = [head, (0x4000 | length).to_be_bytes().to_vec()].concat();
    let place = packet.len();
    packet.push(number);
    if let Some(last) = nonce.last_mut() {
        *last ^= number;
    }
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&packet), &mut inside)
        .ok()?;
    packet.extend(inside);
    let header = HeaderProtectionKey::new(&AES_128, &header).ok()?;
    let [first, second, ..] = header.new_mask(packet.get(place + 4..place + 20)?).ok()?;
    *packet.first_mut()? ^= first & 0x0f;
    *packet.get_mut(place)? ^= second;
    Some(packet)
}

/// HKDF-Expand-Label without context (RFC 8446, 7.1).
fn expand<const N: usize>(secret: &hkdf::Prk, label: &str) -> Option<[u8; N]> {
    let label = format!("tls13 {label}");
    let lengths = (u16::try_from(N).ok()?.to_be_bytes(), [u8::try_from(label.len()).ok()?]);
    let info = [&lengths.0[..], &lengths.1, label.as_bytes(), &[0]];
    let mut out = [0; N];
    secret.expand(&info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}
