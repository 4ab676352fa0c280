//! What correlations need to know of a match, so that it can be sent to where they are counted.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use dongson_event::{Event, Timestamp, identity};
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::{CorrelationMatch, PROVINCE};
use crate::matcher::Matcher;
use crate::ruleset::RuleSet;

/// Longest value of a group in characters; longer ones are cut and get their hash.
const MAX_VALUE_CHARS: usize = 200;

/// One match of a rule, as one correlation sees it. It can be sent to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleMatchKeyed {
    /// Id of the correlation rule.
    pub correlation: String,
    /// The agency: groups never span agencies; [`PROVINCE`] for a correlation that says so.
    pub scope: String,
    /// The values of the fields of `group-by`, with their names, in the rule's order.
    pub group: Vec<(String, String)>,
    /// Id of the rule that matched.
    pub base: String,
    /// For the value types the value to look at; several fields are joined.
    pub value: Option<String>,
    /// Event time.
    pub at: Timestamp,
    /// `event.id`, for the order and the evidence.
    pub event: String,
    /// The monitored point that the event came from, whose clock it follows.
    #[serde(default)]
    pub source: String,
    /// The agency of the event, also where the scope is wider.
    #[serde(default)]
    pub organization: String,
    /// Values that correlations further out in chains read, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carried: BTreeMap<String, String>,
}

/// What the correlations that refer to rule number `base` need to know of its match on `event`.
///
/// A match without one of the fields of `group-by`, or without the value to look at, is left out: it belongs to no
/// group. So is a match without a time, and, for a correlation over the whole province, one with a private address.
pub fn keyed(matcher: &mut Matcher, event: &Event, base: usize) -> Vec<RuleMatchKeyed> {
    let rules = Arc::clone(matcher.rules());
    let Some(at) = event.timestamp() else { return Vec::new() };
    let source = event.text("observer.name").unwrap_or_default();
    let organization = event.organization();
    let from = From { rules: &rules, base, scope: organization, organization, at, event: event.id(), source };
    let definitions = rules.correlations().iter().filter(|definition| definition.rules.contains(&base));
    definitions
        .filter_map(|definition| {
            from.keyed(definition, |field| {
                let text = matcher.value(event, field)?.to_text();
                (!text.is_empty()).then(|| shortened(&text))
            })
        })
        .collect()
}

/// What the correlations around `found` need to know of it; `seen` completed it.
pub(super) fn onward(
    rules: &RuleSet,
    found: &CorrelationMatch,
    seen: &RuleMatchKeyed,
) -> Vec<RuleMatchKeyed> {
    let from = From {
        rules,
        base: found.rule,
        scope: &seen.scope,
        organization: &seen.organization,
        at: found.last,
        event: &seen.event,
        source: &seen.source,
    };
    let value = |field: &str| {
        let grouped = found.group.iter().find(|(name, _)| name == field).map(|(_, value)| value);
        grouped.or_else(|| seen.carried.get(field)).cloned()
    };
    let around = rules.correlations().iter().filter(|definition| definition.rules.contains(&found.rule));
    around.filter_map(|definition| from.keyed(definition, value)).collect()
}

/// Where a match comes from.
struct From<'f> {
    rules: &'f RuleSet,
    base: usize,
    scope: &'f str,
    organization: &'f str,
    at: Timestamp,
    event: &'f str,
    source: &'f str,
}

impl From<'_> {
    fn keyed(
        &self,
        definition: &Definition,
        mut value: impl FnMut(&str) -> Option<String>,
    ) -> Option<RuleMatchKeyed> {
        let id = |number| self.rules.rule(number).map(|rule| rule.id.clone());
        let mut named = |name: &String| value(definition.field(name, self.base));
        let group = definition
            .group_by
            .iter()
            .map(|name| Some((name.clone(), named(name)?)))
            .collect::<Option<Vec<_>>>()?;
        let values = definition.counted.iter().map(&mut named).collect::<Option<Vec<_>>>()?;
        let carried =
            definition.carried.iter().filter_map(|field| Some((field.clone(), value(field)?))).collect();
        if definition.province && group.iter().any(|(_, value)| is_private(value)) {
            return None;
        }
        Some(RuleMatchKeyed {
            correlation: id(definition.number)?,
            scope: if definition.province { provincial(self.scope) } else { self.scope.to_owned() },
            group,
            base: id(self.base)?,
            value: (!values.is_empty()).then(|| values.join("\u{1f}")),
            at: self.at,
            event: self.event.to_owned(),
            source: self.source.to_owned(),
            organization: self.organization.to_owned(),
            carried,
        })
    }
}

/// The scope of all agencies; what a caller put behind a unit separator (the session of a drill) stays there.
fn provincial(scope: &str) -> String {
    scope
        .split_once('\u{1f}')
        .map_or_else(|| PROVINCE.to_owned(), |(_, mark)| format!("{PROVINCE}\u{1f}{mark}"))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => {
            let start = text.get(..at).unwrap_or_default();
            format!("{start}… {}", identity::hex_of(&[text.as_bytes()]))
        }
    }
}

/// True for fields whose values mean the same at every agency: addresses, domains, URLs, hashes, JA3 and JA4.
pub(super) fn is_worldwide(field: &str) -> bool {
    let field = field.to_lowercase();
    let last = field.rsplit('.').next().unwrap_or_default();
    let ends =
        ["ip", "ja3", "ja3s", "ja4", "ja4s", "ja4h", "md5", "sha1", "sha256", "sha512", "imphash", "hashes"];
    ends.contains(&last)
        || last.ends_with("domain")
        || ["sourceip", "destinationip", "src_ip", "dst_ip", "queryname", "id.orig_h", "id.resp_h", "c-ip"]
            .contains(&field.as_str())
        || ["dns.question.name", "dns.question.registered_domain", "tls.client.server_name", "url.full"]
            .contains(&field.as_str())
}

/// True when `value` of `field` names the same thing at every agency, so that it may be a key of state that all
/// agencies share: a public address, a domain, a hash, an account with its domain (`name@example.vn`).
pub fn is_shareable(field: &str, value: &str) -> bool {
    let account =
        value.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'));
    account || (is_worldwide(field) && !is_private(value))
}

/// True for an address that means something else at each agency.
fn is_private(value: &str) -> bool {
    match value.trim().parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            let shared =
                ip.octets().first() == Some(&100) && ip.octets().get(1).is_some_and(|two| two & 0xC0 == 64);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared
        }
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unique_in_the_world() {
        for field in [
            "source.ip",
            "tls.client.ja4",
            "file.hash.sha256",
            "dns.question.name",
            "url.domain",
            "DestinationIp",
        ] {
            assert!(is_worldwide(field), "{field}");
        }
        for field in ["host.name", "user.name", "process.pid", "zip"] {
            assert!(!is_worldwide(field), "{field}");
        }
        for (value, private) in [
            ("10.1.2.3", true),
            ("192.168.1.1", true),
            ("100.64.0.1", true),
            ("fd00::1", true),
            ("8.8.8.8", false),
            ("example.vn", false),
        ] {
            assert_eq!(is_private(value), private, "{value}");
        }
    }

    #[test]
    fn long_values_are_cut_and_stay_different() {
        let (one, other) = ("đ".repeat(300) + "1", "đ".repeat(300) + "2");
        assert!(shortened(&one).chars().count() < 300);
        assert_ne!(shortened(&one), shortened(&other));
        assert_eq!(shortened("short"), "short");
    }
}
