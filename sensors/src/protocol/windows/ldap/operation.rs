//! The operations of LDAP (RFC 4511, 4.2 to 4.13), as fields of an event.
//!
//! In: one message. Out: fields, and tokens of GSS-API that a bind carries. Memory: what the event holds; names are cut at
//! [`MAX_NAME`], lists at [`MAX_LIST`].

use dongson_event::Event;

use super::filter;
use crate::protocol::der::{Der, number};
use crate::protocol::secret;
use crate::protocol::wire::text;

/// Longest name or text, in bytes.
const MAX_NAME: usize = 1024;
/// Entries of a list that are told.
const MAX_LIST: usize = 32;
/// Tag of a bind request.
pub(super) const BIND: u8 = 0x60;
/// Tag of a search request.
pub(super) const SEARCH: u8 = 0x63;
/// Result: the bind goes on.
pub(super) const BIND_IN_PROGRESS: i64 = 14;

/// One message.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) id: i64,
    pub(super) tag: u8,
    body: &'a [u8],
}

/// What an answer means for its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Entry,
    Reference,
    /// An intermediate response.
    Between,
    Result,
}

/// How an operation ended.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    pub(super) code: Option<i64>,
    /// The token that a bind response carries.
    pub(super) token: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// A message that is cut short has no body.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Der::new(Der::new(bytes).take(0x30)?);
        let id = fields.take(2).and_then(number)?;
        let (tag, body) = fields.next()?;
        Some(Self { id, tag, body })
    }

    pub(super) fn is_request(&self) -> bool {
        self.operation().is_some()
    }

    pub(super) fn expects_answer(&self) -> bool {
        !matches!(self.tag, 0x42 | 0x50)
    }

    fn operation(&self) -> Option<&'static str> {
        Some(match self.tag {
            BIND => "bind",
            0x42 => "unbind",
            SEARCH => "search",
            0x66 => "modify",
            0x68 => "add",
            0x4a => "delete",
            0x6c => "modify-dn",
            0x6e => "compare",
            0x50 => "abandon",
            0x77 => "extended",
            _ => return None,
        })
    }

    pub(super) fn answer(&self) -> Answer {
        match self.tag {
            0x64 => Answer::Entry,
            0x73 => Answer::Reference,
            0x79 => Answer::Between,
            _ => Answer::Result,
        }
    }

    /// Sets the fields of a request; the token of a bind is given back.
    pub(super) fn describe_request(&self, event: &mut Event, key: &[u8; 32]) -> Option<&'a [u8]> {
        event.set_some("dongson.ldap.operation", self.operation());
        let mut body = Der::new(self.body);
        match self.tag {
            BIND => return self.describe_bind(event, key),
            SEARCH => describe_search(event, &mut body),
            0x4a => drop(event.set("dongson.ldap.object", text(self.body, MAX_NAME))),
            0x50 => event.set_some("dongson.ldap.abandoned_id", number(self.body)),
            0x77 => event.set_some("dongson.ldap.oid", body.take(0x80).map(|oid| text(oid, MAX_NAME))),
            0x66 | 0x68 | 0x6c | 0x6e => {
                event.set_some("dongson.ldap.object", body.take(4).map(|name| text(name, MAX_NAME)));
                describe_change(event, self.tag, &mut body);
            }
            _ => {}
        }
        None
    }

    fn describe_bind(&self, event: &mut Event, key: &[u8; 32]) -> Option<&'a [u8]> {
        let mut body = Der::new(self.body);
        event.set_some("dongson.ldap.version", body.take(2).and_then(number));
        let name = body.take(4).map(|name| text(name, MAX_NAME)).filter(|name| !name.is_empty());
        event.set_some("user.name", name.clone());
        event.set_some("dongson.ldap.object", name);
        let (method, value) = body.next()?;
        match method {
            0x80 => {
                event.set("dongson.ldap.bind.method", "simple");
                if !value.is_empty() {
                    event.set("dongson.ldap.password", secret::seal(key, value));
                }
                None
            }
            0xa3 => {
                let mut sasl = Der::new(value);
                event.set("dongson.ldap.bind.method", "SASL");
                event.set_some("dongson.ldap.bind.mechanism", sasl.take(4).map(|name| text(name, 64)));
                sasl.take(4)
            }
            // Sicily, Microsoft's NTLM before SASL (MS-ADTS, 5.1.1.1.3).
            0x89..=0x8b => {
                event.set("dongson.ldap.bind.method", "NTLM");
                Some(value)
            }
            _ => None,
        }
    }

    /// Sets the fields of the result.
    pub(super) fn describe_result(&self, event: &mut Event) -> Told<'a> {
        let mut body = Der::new(self.body);
        let Some(code) = body.take(10).and_then(number) else { return Told::default() };
        let matched = body.take(4).unwrap_or_default();
        event.set("dongson.ldap.result_code", code);
        event.set("dongson.ldap.result", result_name(code));
        if code != BIND_IN_PROGRESS {
            event.set("event.outcome", if matches!(code, 0 | 5 | 6) { "success" } else { "failure" });
        }
        let diagnostic = body.take(4).unwrap_or_default();
        // Sicily puts its challenge where the matched name would stand.
        if self.tag == 0x61 && matched.starts_with(b"NTLMSSP\0") {
            return Told { code: Some(BIND_IN_PROGRESS), token: Some(matched) };
        }
        for (name, value) in [("dongson.ldap.matched", matched), ("dongson.ldap.diagnostic", diagnostic)] {
            if !value.is_empty() {
                event.set(name, text(value.strip_suffix(&[0]).unwrap_or(value), MAX_NAME));
            }
        }
        Told { code: Some(code), token: body.find(0x87).filter(|_| self.tag == 0x61) }
    }
}

fn describe_search(event: &mut Event, body: &mut Der<'_>) {
    event.set_some("dongson.ldap.object", body.take(4).map(|name| text(name, MAX_NAME)));
    let scope = body.take(10).and_then(number);
    event.set_some("dongson.ldap.search.scope", scope.and_then(|scope| pick(&SCOPES, scope)));
    let aliases = body.take(10).and_then(number);
    event.set_some("dongson.ldap.search.aliases", aliases.and_then(|aliases| pick(&ALIASES, aliases)));
    let (_size, _time, _types) = (body.take(2), body.take(2), body.take(1));
    let Some((tag, value)) = body.next() else { return };
    event.set("dongson.ldap.search.filter", filter::text(tag, value));
    let names = strings(body.take(0x30).unwrap_or_default());
    if !names.is_empty() {
        event.set("dongson.ldap.search.attributes", names);
    }
}

/// Attributes that are changed, or the new name.
fn describe_change(event: &mut Event, tag: u8, body: &mut Der<'_>) {
    match tag {
        0x6c => {
            event.set_some("dongson.ldap.new_rdn", body.take(4).map(|name| text(name, MAX_NAME)));
            let old = body.take(1).map(|value| value != [0]);
            event.set_some("dongson.ldap.delete_old_rdn", old);
            event.set_some("dongson.ldap.new_superior", body.take(0x80).map(|name| text(name, MAX_NAME)));
        }
        0x6e => {
            let compared = body.take(0x30).and_then(|pair| Der::new(pair).take(4));
            event.set_some("dongson.ldap.attributes", compared.map(|name| text(name, MAX_NAME)));
        }
        _ => {
            let (mut list, mut names) = (Der::new(body.take(0x30).unwrap_or_default()), Vec::new());
            while let Some(change) = list.take(0x30).filter(|_| names.len() < MAX_LIST) {
                let mut change = Der::new(change);
                let attribute = if change.peek() == Some(10) {
                    change.next();
                    change.take(0x30).and_then(|pair| Der::new(pair).take(4))
                } else {
                    change.take(4)
                };
                names.extend(attribute.map(|name| text(name, 128)));
            }
            if !names.is_empty() {
                event.set("dongson.ldap.attributes", names);
            }
        }
    }
}

const SCOPES: [&str; 4] = ["base", "single", "tree", "subordinate"];
const ALIASES: [&str; 4] = ["never", "searching", "finding", "always"];

fn pick(names: &[&'static str], number: i64) -> Option<&'static str> {
    names.get(usize::try_from(number).ok()?).copied()
}

fn strings(list: &[u8]) -> Vec<String> {
    let mut list = Der::new(list);
    std::iter::from_fn(|| list.take(4)).take(MAX_LIST).map(|name| text(name, 128)).collect()
}

/// The name of a result code (RFC 4511, 4.1.9 and appendix A).
fn result_name(code: i64) -> String {
    let name = match code {
        0 => "success",
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        5 => "compareFalse",
        6 => "compareTrue",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        14 => "saslBindInProgress",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        19 => "constraintViolation",
        20 => "attributeOrValueExists",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        33 => "aliasProblem",
        34 => "invalidDNSyntax",
        36 => "aliasDereferencingProblem",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        54 => "loopDetect",
        64 => "namingViolation",
        65 => "objectClassViolation",
        66 => "notAllowedOnNonLeaf",
        67 => "notAllowedOnRDN",
        68 => "entryAlreadyExists",
        69 => "objectClassModsProhibited",
        71 => "affectsMultipleDSAs",
        80 => "other",
        _ => return code.to_string(),
    };
    name.to_owned()
}
