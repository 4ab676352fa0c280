//! MQTT and Modbus.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

const FIXED: &str = "flags of an answer are fixed by the specification; our event tells those of the message that began the exchange";

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "mqtt", "event_type", By(|_, v| v == "mqtt"), ""),
    line("suricata-verify", "mqtt", "has-key", By(has), ""),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.qos",
        By(|case, v| first(case, "connect", "dongson.mqtt.qos", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.dup",
        By(|case, v| first(case, "connect", "dongson.mqtt.dup", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.retain",
        By(|case, v| first(case, "connect", "dongson.mqtt.retain", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.connack.qos", By(|case, _| saw(case, "connack")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.connack.dup", By(|case, _| saw(case, "connack")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.connack.retain", By(|case, _| saw(case, "connack")), FIXED),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.publish.qos",
        By(|case, v| first(case, "publish", "dongson.mqtt.qos", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.publish.dup",
        By(|case, v| first(case, "publish", "dongson.mqtt.dup", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.publish.retain",
        By(|case, v| first(case, "publish", "dongson.mqtt.retain", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.publish.message_id",
        By(|case, v| told(case, "publish", "dongson.mqtt.message_id", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.pubrec.qos", By(|case, _| saw(case, "pubrec")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.pubrec.dup", By(|case, _| saw(case, "pubrec")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.pubrec.retain", By(|case, _| saw(case, "pubrec")), FIXED),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.pubrec.message_id",
        By(|case, v| told(case, "pubrec", "dongson.mqtt.message_id", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.pubrel.qos", By(|case, _| saw(case, "pubrel")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.pubrel.dup", By(|case, _| saw(case, "pubrel")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.pubrel.retain", By(|case, _| saw(case, "pubrel")), FIXED),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.pubrel.message_id",
        By(|case, v| told(case, "pubrel", "dongson.mqtt.message_id", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.pubcomp.qos", By(|case, _| saw(case, "pubcomp")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.pubcomp.dup", By(|case, _| saw(case, "pubcomp")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.pubcomp.retain", By(|case, _| saw(case, "pubcomp")), FIXED),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.pubcomp.message_id",
        By(|case, v| told(case, "pubcomp", "dongson.mqtt.message_id", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.puback.qos", By(|case, _| saw(case, "puback")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.puback.dup", By(|case, _| saw(case, "puback")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.puback.retain", By(|case, _| saw(case, "puback")), FIXED),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.puback.message_id",
        By(|case, v| told(case, "puback", "dongson.mqtt.message_id", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.subscribe.qos",
        By(|case, v| first(case, "subscribe", "dongson.mqtt.qos", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.subscribe.dup",
        By(|case, v| first(case, "subscribe", "dongson.mqtt.dup", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.subscribe.retain",
        By(|case, v| first(case, "subscribe", "dongson.mqtt.retain", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.subscribe.message_id",
        By(|case, v| told(case, "subscribe", "dongson.mqtt.message_id", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.suback.qos", By(|case, _| saw(case, "suback")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.suback.dup", By(|case, _| saw(case, "suback")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.suback.retain", By(|case, _| saw(case, "suback")), FIXED),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.suback.message_id",
        By(|case, v| told(case, "suback", "dongson.mqtt.message_id", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.unsubscribe.qos",
        By(|case, v| first(case, "unsubscribe", "dongson.mqtt.qos", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.unsubscribe.dup",
        By(|case, v| first(case, "unsubscribe", "dongson.mqtt.dup", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.unsubscribe.retain",
        By(|case, v| first(case, "unsubscribe", "dongson.mqtt.retain", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.unsubscribe.message_id",
        By(|case, v| told(case, "unsubscribe", "dongson.mqtt.message_id", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.unsuback.qos", By(|case, _| saw(case, "unsuback")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.unsuback.dup", By(|case, _| saw(case, "unsuback")), FIXED),
    line("suricata-verify", "mqtt", "mqtt.unsuback.retain", By(|case, _| saw(case, "unsuback")), FIXED),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.unsuback.message_id",
        By(|case, v| told(case, "unsuback", "dongson.mqtt.message_id", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.disconnect.qos",
        By(|case, v| first(case, "disconnect", "dongson.mqtt.qos", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.disconnect.dup",
        By(|case, v| first(case, "disconnect", "dongson.mqtt.dup", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.disconnect.retain",
        By(|case, v| first(case, "disconnect", "dongson.mqtt.retain", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.auth.qos",
        By(|case, v| first(case, "auth", "dongson.mqtt.qos", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.auth.dup",
        By(|case, v| first(case, "auth", "dongson.mqtt.dup", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.auth.retain",
        By(|case, v| first(case, "auth", "dongson.mqtt.retain", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.connect.protocol_string", Is("dongson.mqtt.protocol"), ""),
    line("suricata-verify", "mqtt", "mqtt.connect.protocol_version", Is("dongson.mqtt.version"), ""),
    line("suricata-verify", "mqtt", "mqtt.connect.client_id", Is("dongson.mqtt.client_id"), ""),
    line("suricata-verify", "mqtt", "mqtt.connect.username", Is("user.name"), ""),
    line("suricata-verify", "mqtt", "mqtt.connect.will.topic", Is("dongson.mqtt.will.topic"), ""),
    line("suricata-verify", "mqtt", "mqtt.connect.will.message", Is("dongson.mqtt.will.payload"), ""),
    line("suricata-verify", "mqtt", "mqtt.connect.flags.will", Is("dongson.mqtt.will.present"), ""),
    line("suricata-verify", "mqtt", "mqtt.connect.flags.clean_session", Is("dongson.mqtt.clean_session"), ""),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.flags.will_retain",
        By(|case, v| (case.text("dongson.mqtt.will.retain") == "true") == (v == "true")),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.flags.username",
        By(|case, v| case.text("user.name").is_empty() == (v == "false")),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.flags.password",
        By(|case, v| case.text("dongson.mqtt.password").is_empty() == (v == "false")),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.password",
        By(|case, _| case.text("dongson.mqtt.password").starts_with("hmac-sha256:")),
        "passwords are sealed",
    ),
    line("suricata-verify", "mqtt", "mqtt.connack.session_present", Is("dongson.mqtt.session_present"), ""),
    line("suricata-verify", "mqtt", "mqtt.connack.return_code", By(|case, v| reason(case, "connack", v)), ""),
    line("suricata-verify", "mqtt", "mqtt.puback.reason_code", By(|case, v| reason(case, "puback", v)), ""),
    line("suricata-verify", "mqtt", "mqtt.pubrec.reason_code", By(|case, v| reason(case, "pubrec", v)), ""),
    line("suricata-verify", "mqtt", "mqtt.pubrel.reason_code", By(|case, v| reason(case, "pubrel", v)), ""),
    line("suricata-verify", "mqtt", "mqtt.pubcomp.reason_code", By(|case, v| reason(case, "pubcomp", v)), ""),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.disconnect.reason_code",
        By(|case, v| reason(case, "disconnect", v)),
        "",
    ),
    line("suricata-verify", "mqtt", "mqtt.publish.topic", Is("dongson.mqtt.topics"), ""),
    line("suricata-verify", "mqtt", "mqtt.publish.message", Is("dongson.mqtt.payload"), ""),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.subscribe.topics[*].topic",
        By(|case, v| case.item("dongson.mqtt.topics").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.subscribe.topics[*].qos",
        By(|case, v| case.item("dongson.mqtt.requested_qos").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.suback.qos_granted[*]",
        By(|case, v| case.item("dongson.mqtt.granted_qos").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.unsubscribe.topics[*]",
        By(|case, v| case.item("dongson.mqtt.topics").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.unsuback.reason_codes[*]",
        By(|case, v| case.item("dongson.mqtt.reason_codes").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.properties.receive_maximum",
        By(|case, v| property(case, "connect.receive_maximum", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.properties.maximum_packet_size",
        By(|case, v| property(case, "connect.maximum_packet_size", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.properties.session_expiry_interval",
        By(|case, v| property(case, "connect.session_expiry_interval", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.properties.topic_alias_maximum",
        By(|case, v| property(case, "connect.topic_alias_maximum", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.properties.userprop1",
        By(|case, v| property(case, "connect.userprop1", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.properties.userprop2",
        By(|case, v| property(case, "connect.userprop2", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.will.properties.content_type",
        By(|case, v| property(case, "will.content_type", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.will.properties.correlation_data",
        By(|case, v| property(case, "will.correlation_data", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.will.properties.message_expiry_interval",
        By(|case, v| property(case, "will.message_expiry_interval", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.will.properties.payload_format_indicator",
        By(|case, v| property(case, "will.payload_format_indicator", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.will.properties.response_topic",
        By(|case, v| property(case, "will.response_topic", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.will.properties.userprop5",
        By(|case, v| property(case, "will.userprop5", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connect.will.properties.will_delay_interval",
        By(|case, v| property(case, "will.will_delay_interval", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.connack.properties.topic_alias_maximum",
        By(|case, v| property(case, "connack.topic_alias_maximum", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.disconnect.properties.session_expiry_interval",
        By(|case, v| property(case, "disconnect.session_expiry_interval", v)),
        "",
    ),
    line(
        "suricata-verify",
        "mqtt",
        "mqtt.disconnect.properties.userprop4",
        By(|case, v| property(case, "disconnect.userprop4", v)),
        "",
    ),
    line("zeek", "modbus", "tid", Is("dongson.modbus.transaction_id"), ""),
    line("zeek", "modbus", "unit", Is("dongson.modbus.unit_id"), ""),
    line("zeek", "modbus", "func", Is("dongson.modbus.function"), ""),
    line("zeek", "modbus", "exception", Is("dongson.modbus.exception"), ""),
    line(
        "zeek",
        "modbus",
        "pdu_type",
        By(|case, v| case.list("dongson.modbus.pdu_types").iter().any(|seen| seen == v)),
        "",
    ),
];

fn saw(case: &Case<'_>, message: &str) -> bool {
    case.list("dongson.mqtt.messages").iter().any(|seen| seen == message)
}

/// A field of the message that begins the exchange.
fn first(case: &Case<'_>, message: &str, name: &str, theirs: &str) -> bool {
    case.list("dongson.mqtt.messages").first().is_some_and(|seen| seen == message)
        && case.text(name) == theirs
}

fn told(case: &Case<'_>, message: &str, name: &str, theirs: &str) -> bool {
    saw(case, message) && case.text(name) == theirs
}

/// `mqtt.pingreq` is there when the message is.
fn has(case: &Case<'_>, theirs: &str) -> bool {
    theirs.strip_prefix("mqtt.").is_some_and(|message| saw(case, message))
}

/// The code of an answer stands at its place among the messages that have one.
fn reason(case: &Case<'_>, message: &str, theirs: &str) -> bool {
    let messages = case.list("dongson.mqtt.messages");
    let mut coded = messages.iter().filter(|seen| !matches!(seen.as_str(), "connect" | "publish"));
    let place = coded.position(|seen| seen == message);
    place.and_then(|place| case.list("dongson.mqtt.reason_codes").get(place).cloned()).as_deref()
        == Some(theirs)
}

fn property(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    case.list("dongson.mqtt.properties").contains(&format!("{name}={theirs}"))
}
