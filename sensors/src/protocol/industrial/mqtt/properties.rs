//! Properties of a message of MQTT 5 (2.2.2 of its specification), under the names that Suricata gives them.

use super::super::super::secret;
use super::super::super::wire::{Cursor, text};

/// Properties of one exchange that are told.
pub(super) const MAX_PROPERTIES: usize = 64;
/// Bytes of a property's text that are told.
const MAX_TEXT: usize = 256;

/// How a value is written (1.5 of the specification).
#[derive(Debug, Clone, Copy)]
enum Form {
    Byte,
    Short,
    Long,
    Variable,
    Text,
    /// Sealed: what a method of authentication exchanges.
    Secret,
}

/// A variable byte integer: seven bits in each of one to four bytes, the lowest first (1.5.5).
pub(super) fn variable(cursor: &mut Cursor<'_>) -> Option<u32> {
    let mut value = 0;
    for place in 0..4 {
        let byte = cursor.u8()?;
        value |= u32::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads a list of properties and adds each as `OF.NAME=VALUE`; a user property's name is its own.
pub(super) fn read(cursor: &mut Cursor<'_>, of: &str, key: &[u8; 32], found: &mut Vec<String>) -> Option<()> {
    let length = usize::try_from(variable(cursor)?).ok()?;
    let mut inner = Cursor::new(cursor.take(length)?);
    while !inner.is_empty() {
        let Some((name, value)) = property(&mut inner, key) else { break };
        if found.len() < MAX_PROPERTIES {
            found.push(format!("{of}.{name}={value}"));
        }
    }
    Some(())
}

fn property(cursor: &mut Cursor<'_>, key: &[u8; 32]) -> Option<(String, String)> {
    let identifier = variable(cursor)?;
    if identifier == 38 {
        let name = text(cursor.vec16()?, MAX_TEXT);
        return Some((name, text(cursor.vec16()?, MAX_TEXT)));
    }
    let (name, form) = known(identifier)?;
    let value = match form {
        Form::Byte => cursor.u8()?.to_string(),
        Form::Short => cursor.u16()?.to_string(),
        Form::Long => cursor.u32()?.to_string(),
        Form::Variable => variable(cursor)?.to_string(),
        Form::Text => text(cursor.vec16()?, MAX_TEXT),
        Form::Secret => secret::seal(key, cursor.vec16()?),
    };
    Some((name.to_owned(), value))
}

/// Table 2-4 of the specification.
fn known(identifier: u32) -> Option<(&'static str, Form)> {
    Some(match identifier {
        1 => ("payload_format_indicator", Form::Byte),
        2 => ("message_expiry_interval", Form::Long),
        3 => ("content_type", Form::Text),
        8 => ("response_topic", Form::Text),
        9 => ("correlation_data", Form::Text),
        11 => ("subscription_identifier", Form::Variable),
        17 => ("session_expiry_interval", Form::Long),
        18 => ("assigned_client_identifier", Form::Text),
        19 => ("server_keep_alive", Form::Short),
        21 => ("authentication_method", Form::Text),
        22 => ("authentication_data", Form::Secret),
        23 => ("request_problem_information", Form::Byte),
        24 => ("will_delay_interval", Form::Long),
        25 => ("request_response_information", Form::Byte),
        26 => ("response_information", Form::Text),
        28 => ("server_reference", Form::Text),
        31 => ("reason_string", Form::Text),
        33 => ("receive_maximum", Form::Short),
        34 => ("topic_alias_maximum", Form::Short),
        35 => ("topic_alias", Form::Short),
        36 => ("maximum_qos", Form::Byte),
        37 => ("retain_available", Form::Byte),
        39 => ("maximum_packet_size", Form::Long),
        40 => ("wildcard_subscription_available", Form::Byte),
        41 => ("subscription_identifier_available", Form::Byte),
        42 => ("shared_subscription_available", Form::Byte),
        _ => return None,
    })
}
