//! NTLM authentication inside other protocols (MS-NLMP, 2.2.1).
//!
//! In: messages that begin with `NTLMSSP\0`. Out: one `sensor.ntlm` event per attempt, when its outcome is known, at the next
//! attempt or at the end. Challenges and responses are not kept; only whether the response was `NTLMv1`, `NTLMv2` or anonymous.
//! Memory: the names of one attempt, each at most 2 KiB.

use dongson_event::{Event, Timestamp};

use crate::protocol::le;

/// What every message begins with.
pub(in crate::protocol) const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// Flag: texts are UTF-16 (MS-NLMP, 2.2.2.5).
const UNICODE: u32 = 1;
/// Flag: a version follows the fixed fields.
const VERSION: u32 = 0x0200_0000;

/// One attempt to authenticate.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Ntlm {
    started: Option<Timestamp>,
    event: Event,
    user: Option<String>,
    authenticated: bool,
}

impl Ntlm {
    /// One message of either side.
    pub(in crate::protocol) fn message(&mut self, at: Timestamp, bytes: &[u8], out: &mut Vec<Event>) {
        match le::u32(bytes, 8) {
            Some(1) => {
                self.finish(None, out);
                self.started = Some(at);
            }
            Some(2) => {
                if self.authenticated {
                    self.finish(None, out);
                }
                self.started.get_or_insert(at);
                self.challenge(bytes);
            }
            Some(3) => {
                self.started.get_or_insert(at);
                self.authenticate(bytes);
            }
            _ => {}
        }
    }

    /// Who authenticated, as `DOMAIN\user`, if one has.
    pub(in crate::protocol) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Names of who authenticates in the attempt that runs.
    pub(in crate::protocol) fn describe_user(&self, event: &mut Event) {
        for name in ["user.name", "user.domain", "dongson.ntlm.workstation"] {
            event.set_some(name, self.event.text(name));
        }
    }

    /// The attempt is over; its event goes out if there is anything to say.
    pub(in crate::protocol) fn finish(&mut self, success: Option<bool>, out: &mut Vec<Event>) {
        let Some(at) = self.started.take() else { return };
        let mut event = Event::of("sensor.ntlm", at);
        let told = std::mem::take(&mut self.event);
        self.authenticated = false;
        if told.is_empty() {
            return;
        }
        event.set("network.protocol", "ntlm");
        event.set_some("event.outcome", success.map(|yes| if yes { "success" } else { "failure" }));
        event.fill(told);
        out.push(event);
    }

    fn challenge(&mut self, bytes: &[u8]) {
        let flags = le::u32(bytes, 20).unwrap_or(0);
        set_text(&mut self.event, "dongson.ntlm.target", bytes, 12, flags);
        if flags & VERSION != 0 {
            self.event.set_some("dongson.ntlm.server.version", version(bytes, 48));
        }
        // Some servers announce more than they send.
        let place = le::u32(bytes, 44).and_then(|offset| usize::try_from(offset).ok());
        let cut =
            place.and_then(|place| bytes.get(place..)).filter(|_| place.is_some_and(|place| place >= 48));
        let mut pairs = field(bytes, 40).or(cut).unwrap_or_default();
        while let (Some(kind), Some(length)) = (le::u16(pairs, 0), le::u16(pairs, 2)) {
            let Some(value) = le::part(pairs, 4, usize::from(length)) else { break };
            let name = match kind {
                0 => break,
                1 => "dongson.ntlm.server.netbios_computer",
                2 => "dongson.ntlm.server.netbios_domain",
                3 => "dongson.ntlm.server.dns_computer",
                4 => "dongson.ntlm.server.dns_domain",
                5 => "dongson.ntlm.server.dns_tree",
                _ => "",
            };
            if !name.is_empty() && !value.is_empty() {
                self.event.set(name, le::utf16(value));
            }
            pairs = pairs.get(4 + usize::from(length)..).unwrap_or_default();
        }
    }

    fn authenticate(&mut self, bytes: &[u8]) {
        self.authenticated = true;
        let flags = le::u32(bytes, 60).unwrap_or(UNICODE);
        set_text(&mut self.event, "user.domain", bytes, 28, flags);
        set_text(&mut self.event, "user.name", bytes, 36, flags);
        set_text(&mut self.event, "dongson.ntlm.workstation", bytes, 44, flags);
        if flags & VERSION != 0 {
            self.event.set_some("dongson.ntlm.client.version", version(bytes, 64));
        }
        let response = match field(bytes, 20).map_or(0, <[u8]>::len) {
            0 => "anonymous",
            1..=24 => "NTLMv1",
            _ => "NTLMv2",
        };
        self.event.set("dongson.ntlm.version", response);
        let name = |field| self.event.text(field).map(str::to_owned);
        self.user = name("user.name").map(|user| match name("user.domain") {
            Some(domain) => format!("{domain}\\{user}"),
            None => user,
        });
    }
}

/// What the descriptor at `at` points to: length, capacity, offset.
fn field(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let (length, offset) = (le::u16(bytes, at)?, le::u32(bytes, at + 4)?);
    le::part(bytes, usize::try_from(offset).ok()?, usize::from(length))
}

fn set_text(event: &mut Event, name: &'static str, bytes: &[u8], at: usize, flags: u32) {
    let value = field(bytes, at).filter(|value| !value.is_empty());
    let text = value.map(|value| if flags & UNICODE == 0 { le::ascii(value) } else { le::utf16(value) });
    event.set_some(name, text);
}

/// `10.0.17763` (MS-NLMP, 2.2.2.10).
fn version(bytes: &[u8], at: usize) -> Option<String> {
    let (major, minor) = (le::u8(bytes, at)?, le::u8(bytes, at + 1)?);
    let build = le::u16(bytes, at + 2)?;
    (major > 0).then(|| format!("{major}.{minor}.{build}"))
}

#[cfg(test)]
pub(in crate::protocol) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn message(kind: u32, fixed: usize, places: &[(usize, Vec<u8>)], flags_at: usize) -> Vec<u8> {
        let mut bytes = [SIGNATURE, &kind.to_le_bytes()].concat();
        bytes.resize(fixed, 0);
        bytes[flags_at..flags_at + 4].copy_from_slice(&UNICODE.to_le_bytes());
        for (at, value) in places {
            let length = u16::try_from(value.len()).unwrap().to_le_bytes();
            let offset = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            bytes[*at..*at + 8].copy_from_slice(&[&length[..], &length, &offset].concat());
            bytes.extend(value);
        }
        bytes
    }

    /// A challenge and an answer to it, as any carrier may bring them.
    pub(in crate::protocol) fn exchange() -> [Vec<u8>; 2] {
        let info = [&[1, 0, 8, 0][..], &wide("DC01"), &[0, 0, 0, 0]].concat();
        let challenge = message(2, 56, &[(12, wide("TINH")), (40, info)], 20);
        let answer = message(
            3,
            72,
            &[(20, vec![1; 60]), (28, wide("TINH")), (36, wide("an")), (44, wide("PC-7"))],
            60,
        );
        [challenge, answer]
    }

    #[test]
    fn names_of_both_sides_and_the_outcome() {
        let (mut ntlm, mut out) = (Ntlm::default(), Vec::new());
        let [challenge, answer] = exchange();
        ntlm.message(Timestamp::default(), &challenge, &mut out);
        ntlm.message(Timestamp::default(), &answer, &mut out);
        assert!(out.is_empty());
        ntlm.finish(Some(false), &mut out);
        assert_eq!(out[0].text("user.name"), Some("an"));
        assert_eq!(out[0].text("dongson.ntlm.server.netbios_computer"), Some("DC01"));
        assert_eq!(out[0].text("dongson.ntlm.version"), Some("NTLMv2"));
        assert_eq!(out[0].text("event.outcome"), Some("failure"));
        assert_eq!(ntlm.user(), Some("TINH\\an"));
        ntlm.finish(None, &mut out);
        assert_eq!(out.len(), 1, "an attempt is told once");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(kind in 1..4_u8, bytes: Vec<u8>) {
            let (mut ntlm, mut out) = (Ntlm::default(), Vec::new());
            ntlm.message(Timestamp::default(), &[SIGNATURE, &[kind, 0, 0, 0], &bytes].concat(), &mut out);
            ntlm.finish(None, &mut out);
        }
    }
}
