//! Application messages (clause 20.1): a service with its parameters, or how it went.

use dongson_event::Event;

use super::super::super::wire::{Cursor, text};
use super::names;
use super::tag::{Tag, Tags, Value};
use crate::protocol::secret;

/// Objects, properties and values of one message that are told.
const MAX_TOLD: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Confirmed,
    Unconfirmed,
    SimpleAck,
    ComplexAck,
    SegmentAck,
    Error,
    Reject,
    Abort,
}

/// The head of a message, and what follows.
#[derive(Debug)]
pub(super) struct Apdu<'a> {
    pub(super) kind: Kind,
    /// The number that a request and its answer share.
    pub(super) invoke: Option<u8>,
    /// A segment that is not the first.
    pub(super) later: bool,
    /// The service, or why a request was rejected or aborted.
    choice: u8,
    parameters: &'a [u8],
}

impl<'a> Apdu<'a> {
    pub(super) fn read(mut cursor: Cursor<'a>) -> Option<Self> {
        let first = cursor.u8()?;
        let segmented = first & 0x08 != 0;
        let kind = match first >> 4 {
            0 => Kind::Confirmed,
            1 => Kind::Unconfirmed,
            2 => Kind::SimpleAck,
            3 => Kind::ComplexAck,
            4 => Kind::SegmentAck,
            5 => Kind::Error,
            6 => Kind::Reject,
            7 => Kind::Abort,
            _ => return None,
        };
        if kind == Kind::Confirmed {
            cursor.u8()?;
        }
        let invoke = if kind == Kind::Unconfirmed { None } else { Some(cursor.u8()?) };
        let mut later = false;
        if segmented && matches!(kind, Kind::Confirmed | Kind::ComplexAck) {
            later = cursor.u8()? > 0;
            cursor.u8()?;
        }
        let choice = cursor.u8()?;
        Some(Self { kind, invoke, later, choice, parameters: cursor.rest() })
    }

    /// Service and parameters of a request, or of a message that wants no answer.
    pub(super) fn request(&self, event: &mut Event, key: &[u8; 32]) {
        self.name(event);
        if self.kind == Kind::Confirmed {
            confirmed(event, self.choice, self.parameters, key);
        } else {
            unconfirmed(event, self.choice, self.parameters);
        }
    }

    fn name(&self, event: &mut Event) {
        let name = if self.kind == Kind::Unconfirmed {
            names::unconfirmed(self.choice)
        } else {
            names::confirmed(self.choice)
        };
        event.set("dongson.bacnet.service", name.clone());
        event.set("event.action", name);
        event.set_some("dongson.bacnet.invoke_id", self.invoke);
    }

    /// How a request went.
    pub(super) fn answer(&self, event: &mut Event) {
        let known = event.get("dongson.bacnet.service").is_some();
        match self.kind {
            Kind::Reject | Kind::Abort => {
                event.set_some("dongson.bacnet.invoke_id", self.invoke);
                event.set("event.outcome", "failure");
                let reason = if self.kind == Kind::Reject {
                    names::reject(self.choice)
                } else {
                    names::abort(self.choice)
                };
                event.set("dongson.bacnet.error", reason);
                if !known {
                    event.set("event.action", if self.kind == Kind::Reject { "reject" } else { "abort" });
                }
                return;
            }
            _ if !known => self.name(event),
            _ => {}
        }
        event.set("event.outcome", if self.kind == Kind::Error { "failure" } else { "success" });
        match self.kind {
            Kind::Error => {
                // Class and code; some services put them into a list of their own.
                let mut codes = Tags::new(self.parameters).filter_map(|tag| tag.enumerated());
                event.set_some("dongson.bacnet.error_class", codes.next());
                if let Some(code) = codes.next() {
                    event.set("dongson.bacnet.error_code", code);
                    event.set("dongson.bacnet.error", names::error(code));
                }
            }
            Kind::ComplexAck => properties(event, self.choice, self.parameters),
            _ => {}
        }
    }
}

/// Parameters of services that are confirmed (clauses 13 to 17).
fn confirmed(event: &mut Event, service: u8, parameters: &[u8], key: &[u8; 32]) {
    match service {
        // Device communication control and reinitialize device carry a password at their end.
        17 | 20 => {
            for tag in Tags::new(parameters) {
                match (service, tag.context) {
                    (17, Some(0)) => event.set_some("dongson.bacnet.duration", tag.unsigned()),
                    (17, Some(1)) => {
                        event.set_some(
                            "dongson.bacnet.device_state",
                            tag.unsigned().and_then(names::communication),
                        );
                    }
                    (20, Some(0)) => {
                        event.set_some(
                            "dongson.bacnet.device_state",
                            tag.unsigned().and_then(names::reinitialize),
                        );
                    }
                    (17, Some(2)) | (20, Some(1)) => {
                        let word = tag.data.get(1..).unwrap_or_default();
                        event.set("dongson.bacnet.password", secret::seal(key, word));
                    }
                    _ => {}
                }
            }
        }
        _ => properties(event, service, parameters),
    }
}

/// Objects, properties and values of a request or of an answer.
fn properties(event: &mut Event, service: u8, parameters: &[u8]) {
    let (mut objects, mut properties, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for tag in Tags::new(parameters) {
        // Which context number means a property, at which depth (clause 21).
        let is_property = match service {
            14 => tag.depth == 1 && matches!(tag.context, Some(0 | 2)),
            12 | 15 => tag.depth == 0 && tag.context == Some(1),
            1 | 2 | 16 | 28 => tag.depth == 1 && tag.context == Some(0),
            _ => false,
        };
        let is_object = tag.data.len() == 4
            && (tag.application == Some(12)
                || match service {
                    12 | 14..=16 | 26 => tag.depth == 0 && tag.context == Some(0),
                    1 | 2 => tag.depth == 0 && matches!(tag.context, Some(1 | 2)),
                    5 | 28 => tag.depth == 0 && tag.context == Some(1),
                    _ => false,
                });
        if is_object {
            objects.extend(tag.object());
        } else if is_property {
            properties.extend(tag.unsigned().map(names::property));
        } else if let Some(value) = tag.value().filter(|_| tag.depth > 0) {
            values.push(value.to_string());
        } else if service == 15 && tag.depth == 0 && tag.context == Some(4) {
            event.set_some("dongson.bacnet.priority", tag.unsigned());
        } else if matches!(service, 12 | 15) && tag.depth == 0 && tag.context == Some(2) {
            event.set_some("dongson.bacnet.array_index", tag.unsigned());
        }
    }
    for (name, mut list) in [
        ("dongson.bacnet.objects", objects),
        ("dongson.bacnet.properties", properties),
        ("dongson.bacnet.values", values),
    ] {
        list.truncate(MAX_TOLD);
        if !list.is_empty() {
            event.set_absent(name, list);
        }
    }
}

/// Parameters of services that want no answer (clauses 13.8 and 16.8 to 16.10).
fn unconfirmed(event: &mut Event, service: u8, parameters: &[u8]) {
    let tags: Vec<Tag<'_>> = Tags::new(parameters).take(MAX_TOLD).collect();
    let context = |number| tags.iter().find(|tag| tag.depth == 0 && tag.context == Some(number));
    match service {
        0 => {
            let mut numbers = tags.iter().filter_map(Tag::unsigned_value);
            event.set_some(
                "dongson.bacnet.objects",
                tags.iter().find_map(Tag::object).map(|object| vec![object]),
            );
            event.set_some("dongson.bacnet.device", tags.iter().find_map(Tag::instance));
            event.set_some("dongson.bacnet.max_apdu", numbers.next());
            event.set_some("dongson.bacnet.vendor_id", numbers.next());
        }
        1 => {
            let objects: Vec<String> = tags.iter().filter_map(Tag::object).collect();
            event.set_some("dongson.bacnet.device", tags.iter().find_map(Tag::instance));
            event.set("dongson.bacnet.objects", objects);
            let names: Vec<String> =
                tags.iter().filter_map(Tag::value).filter_map(Value::into_text).collect();
            if !names.is_empty() {
                event.set("dongson.bacnet.values", names);
            }
        }
        7 | 8 => {
            event.set_some("dongson.bacnet.low_limit", context(0).and_then(Tag::unsigned));
            event.set_some("dongson.bacnet.high_limit", context(1).and_then(Tag::unsigned));
            if service == 7 {
                event.set_some(
                    "dongson.bacnet.objects",
                    context(2).and_then(Tag::object_in_context).map(|one| vec![one]),
                );
                let name = context(3).and_then(|tag| tag.data.get(1..)).map(|name| vec![text(name, 128)]);
                event.set_some("dongson.bacnet.values", name);
            }
        }
        // Reports of values and of events have the parameters of their confirmed kin.
        2 => properties(event, 1, parameters),
        3 => properties(event, 2, parameters),
        _ => {}
    }
}
