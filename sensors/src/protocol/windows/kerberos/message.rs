//! The messages of Kerberos (RFC 4120, 5.4 to 5.9), as fields of an event.
//!
//! In: one message. Out: fields. Memory: what the event holds; lists are cut at [`MAX_LIST`].

use dongson_event::{Event, Timestamp};

use super::names;
use crate::protocol::der::{Der, number};
use crate::protocol::wire::text;

/// Longest name, in bytes.
const MAX_NAME: usize = 512;
/// Entries of a list that are told.
const MAX_LIST: usize = 16;
/// Pre-authentication: an AP-REQ with the ticket that is shown (RFC 4120, 7.5.2).
const PA_TGS_REQ: i64 = 1;
/// Pre-authentication: the user on whose behalf a service asks (MS-SFU, 2.2.1).
const PA_FOR_USER: i64 = 129;

/// The kinds that are told, by their application tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    /// What a request asks for, in Zeek's words.
    pub(super) fn request(self) -> Option<&'static str> {
        match self.0 {
            10 => Some("AS"),
            12 => Some("TGS"),
            14 => Some("AP"),
            _ => None,
        }
    }

    /// The request that an answer belongs to; an error does not say.
    pub(super) fn answers(self) -> Option<&'static str> {
        match self.0 {
            11 => Some("AS"),
            13 => Some("TGS"),
            15 => Some("AP"),
            _ => None,
        }
    }
}

/// The kind of a message.
pub(super) fn kind(bytes: &[u8]) -> Option<Kind> {
    bytes.first().filter(|tag| matches!(tag, 0x6a..=0x6f | 0x7e)).map(|tag| Kind(tag & 0x1f))
}

/// Whether a message begins here: an application tag and a sequence in it.
pub(in crate::protocol) fn is_message(bytes: &[u8]) -> bool {
    kind(bytes).is_some() && Der::new(bytes).next().is_some_and(|(_, value)| value.first() == Some(&0x30))
}

/// The fields of a message; a message that is cut short gives those it has.
fn fields(bytes: &[u8]) -> Option<Der<'_>> {
    let (_, value) = Der::new(bytes).next()?;
    Der::new(value).take(0x30).map(Der::new)
}

/// Fields of AS-REQ, TGS-REQ and AP-REQ.
pub(super) fn describe_request(event: &mut Event, bytes: &[u8]) {
    let Some(fields) = fields(bytes) else { return };
    if kind(bytes) == Some(Kind(14)) {
        if let Some(ticket) = fields.find(0xa3) {
            let (realm, service, cipher) = ticket_of(ticket);
            event.set_some("dongson.kerberos.realm", realm);
            event.set_some("dongson.kerberos.service", service);
            event.set_some("dongson.kerberos.ticket_cipher", cipher);
        }
        return;
    }
    describe_padata(event, &fields);
    let Some(body) = fields.explicit(4, 0x30).map(Der::new) else { return };
    // Bits of kdc-options from the left (RFC 4120, 5.4.1), behind the count of unused bits.
    let options = body.explicit(0, 3).and_then(|bits| bits.get(1).copied());
    event.set_some("dongson.kerberos.forwardable", options.map(|bits| bits & 0x40 != 0));
    event.set_some(
        "dongson.kerberos.renewable",
        body.explicit(0, 3).and_then(|bits| bits.get(2)).map(|bits| bits & 0x80 != 0),
    );
    event.set_some("user.name", body.explicit(1, 0x30).and_then(principal));
    event.set_some("dongson.kerberos.realm", string(body.find(0xa2)));
    event.set_some("dongson.kerberos.service", body.explicit(3, 0x30).and_then(principal));
    event.set_some("dongson.kerberos.from", body.explicit(4, 0x18).and_then(moment));
    event.set_some("dongson.kerberos.till", body.explicit(5, 0x18).and_then(moment));
    if let Some(offered) = body.explicit(8, 0x30) {
        event.set(
            "dongson.kerberos.ciphers",
            numbers(offered).into_iter().map(names::cipher).collect::<Vec<_>>(),
        );
    }
}

/// Kinds of pre-authentication, the ticket that a TGS-REQ shows, and the user it asks for.
fn describe_padata(event: &mut Event, fields: &Der<'_>) {
    let Some(list) = fields.explicit(3, 0x30) else { return };
    let (mut list, mut kinds) = (Der::new(list), Vec::new());
    while let Some(entry) = list.take(0x30).map(Der::new) {
        let (Some(kind), value) = (entry.explicit(1, 2).and_then(number), entry.explicit(2, 4)) else {
            continue;
        };
        if kinds.len() < MAX_LIST {
            kinds.push(names::preauthentication(kind));
        }
        match (kind, value) {
            (PA_TGS_REQ, Some(request)) => {
                if let Some(ticket) = self::fields(request).and_then(|fields| fields.find(0xa3)) {
                    let (realm, service, cipher) = ticket_of(ticket);
                    event.set_some("dongson.kerberos.shown.realm", realm);
                    event.set_some("dongson.kerberos.shown.service", service);
                    event.set_some("dongson.kerberos.shown.cipher", cipher);
                }
            }
            (PA_FOR_USER, Some(value)) => {
                let user = Der::new(value).take(0x30).and_then(|user| Der::new(user).explicit(0, 0x30));
                event.set_some("user.target.name", user.and_then(principal));
            }
            _ => {}
        }
    }
    if !kinds.is_empty() {
        event.set("dongson.kerberos.preauthentication", kinds);
    }
}

/// Fields of AS-REP, TGS-REP, AP-REP and KRB-ERROR; whether the request was granted.
pub(super) fn describe_answer(event: &mut Event, bytes: &[u8]) -> bool {
    let Some(fields) = fields(bytes) else { return false };
    if kind(bytes) == Some(Kind(30)) {
        describe_error(event, &fields);
        return false;
    }
    if kind(bytes) != Some(Kind(15)) {
        event.set_some("dongson.kerberos.client_realm", string(fields.find(0xa3)));
        event.set_some("user.name", fields.explicit(4, 0x30).and_then(principal));
        if let Some(ticket) = fields.find(0xa5) {
            let (realm, service, cipher) = ticket_of(ticket);
            event.set_some("dongson.kerberos.realm", realm);
            event.set_some("dongson.kerberos.service", service);
            event.set_some("dongson.kerberos.ticket_cipher", cipher);
        }
        event.set_some("dongson.kerberos.cipher", fields.find(0xa6).and_then(cipher));
    }
    true
}

fn describe_error(event: &mut Event, fields: &Der<'_>) {
    let code = fields.explicit(6, 2).and_then(number);
    event.set_some("dongson.kerberos.error_code", code);
    event.set_some("dongson.kerberos.error_name", code.map(names::error));
    event.set_some("error.message", string(fields.find(0xab)).filter(|message| !message.is_empty()));
    for (name, value) in [
        ("dongson.kerberos.client_realm", string(fields.find(0xa7))),
        ("user.name", fields.explicit(8, 0x30).and_then(principal)),
        ("dongson.kerberos.realm", string(fields.find(0xa9))),
        ("dongson.kerberos.service", fields.explicit(10, 0x30).and_then(principal)),
    ] {
        if let Some(value) = value {
            event.set_absent(name, value);
        }
    }
}

/// Realm, service and cipher of a ticket (RFC 4120, 5.3).
fn ticket_of(value: &[u8]) -> (Option<String>, Option<String>, Option<String>) {
    let ticket = Der::new(value).take(0x61).and_then(|inner| Der::new(inner).take(0x30)).map(Der::new);
    let Some(ticket) = ticket else { return (None, None, None) };
    (
        string(ticket.find(0xa1)),
        ticket.explicit(2, 0x30).and_then(principal),
        ticket.find(0xa3).and_then(cipher),
    )
}

/// The kind of an `EncryptedData` (RFC 4120, 5.2.9).
fn cipher(value: &[u8]) -> Option<String> {
    let data = Der::new(value).take(0x30).map(Der::new)?;
    data.explicit(0, 2).and_then(number).map(names::cipher)
}

/// The parts of a `PrincipalName`, joined by `/`.
fn principal(value: &[u8]) -> Option<String> {
    let mut parts = Der::new(value).explicit(1, 0x30).map(Der::new)?;
    let mut name = String::new();
    while let Some((_, part)) = parts.next().filter(|_| name.len() < MAX_NAME) {
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(&text(part, MAX_NAME));
    }
    Some(name).filter(|name| !name.is_empty())
}

/// The text of a string of any type.
fn string(value: Option<&[u8]>) -> Option<String> {
    Der::new(value?).next().map(|(_, bytes)| text(bytes, MAX_NAME))
}

fn numbers(list: &[u8]) -> Vec<i64> {
    let mut list = Der::new(list);
    std::iter::from_fn(|| list.take(2)).filter_map(number).take(MAX_LIST).collect()
}

/// `20370913024805Z` (RFC 4120, 5.2.3).
fn moment(value: &[u8]) -> Option<Timestamp> {
    let digits = std::str::from_utf8(value).ok()?.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    let piece = |from: usize, to: usize| digits.get(from..to);
    let (year, month, day) = (piece(0, 4)?, piece(4, 6)?, piece(6, 8)?);
    let (hour, minute, second) = (piece(8, 10)?, piece(10, 12)?, piece(12, 14)?);
    Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}
