//! What of an event stays within the centre: fields that may hold secrets are for its own people, not for viewers of
//! an agency.

use dongson_event::fields::{self, Sensitivity};
use dongson_registry::Role;
use serde_json::Value;

use crate::{MatchedField, SignalFact};

/// Whether somebody of this role may see the field, and so ask about it.
pub(crate) fn may_see(role: Role, field: &str) -> bool {
    role != Role::AgencyViewer
        || fields::find(field).is_none_or(|known| known.sensitivity != Sensitivity::Secret)
}

/// Takes out of an event what the role may not see.
pub(crate) fn strip(role: Role, event: &mut Value) {
    if let Value::Object(held) = event {
        held.retain(|name, _| may_see(role, name));
    }
}

/// Takes the value out of matched fields that the role may not see; that they matched remains.
pub(crate) fn strip_signal(role: Role, signal: &mut SignalFact) {
    let hidden = |one: &&mut MatchedField| one.field.as_ref().is_some_and(|name| !may_see(role, name));
    for field in signal.fields.iter_mut().filter(hidden) {
        field.value = "***".to_owned();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_viewer_sees_no_bodies() {
        let body = "http.request.body.content";
        let event = json!({ "source.ip": "10.0.0.1", body: "password=1" });
        let (mut seen, mut all) = (event.clone(), event.clone());
        strip(Role::AgencyViewer, &mut seen);
        strip(Role::Analyst, &mut all);
        assert_eq!(seen, json!({ "source.ip": "10.0.0.1" }));
        assert_eq!(all, event);
        let matched =
            MatchedField { field: Some(body.into()), value: "password=1".into(), selection: "s".into() };
        let mut signal =
            SignalFact { event_id: "e".into(), at: 0, rule_id: "r".into(), fields: vec![matched] };
        strip_signal(Role::AgencyViewer, &mut signal);
        assert!(signal.fields.iter().all(|field| field.value == "***"));
    }
}
