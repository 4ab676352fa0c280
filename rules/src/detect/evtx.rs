//! Windows event records as EVTX tools print them in JSON (`Event.System...`, `Event.EventData...`), brought to the
//! names that rules use (Sigma rules specification, "Field Usage").

use dongson_event::{Event, Value};

/// Names of the header that data of the same name never hides.
const HEADER: [&str; 5] = ["Channel", "EventID", "Provider_Name", "Computer", "EventRecordID"];

/// Names as rules use them, when `event` is such a record; otherwise the event as it was.
///
/// Attributes are joined by `_` (`Provider_Name`); the container below `UserData` is left out; `Data` elements with
/// names become fields of those names, without names the list `Data`; spaces in names are left out; `@timestamp` is `SystemTime`.
pub fn unpack(event: Event) -> Event {
    let is_record = ["Event.System.EventID", "Event.System.EventID.#text", "Event.System.Channel"]
        .iter()
        .any(|name| event.get(name).is_some());
    if !is_record {
        return event;
    }
    let mut flat = Event::new();
    let mut data = Vec::new();
    for (field, value) in event {
        let name = field.as_str();
        if let Some(rest) = name.strip_prefix("Event.System.") {
            flat.set(plain(rest), value);
        } else if let Some(rest) = name.strip_prefix("Event.EventData.") {
            data.push((plain(rest), value));
        } else if let Some(rest) = name.strip_prefix("Event.UserData.") {
            let inner = rest.split_once('.').filter(|(_, inner)| !inner.starts_with('#'));
            if !rest.contains("#attributes.xmlns") {
                data.push((plain(inner.map_or(rest, |(_, inner)| inner)), value));
            }
        } else if !name.starts_with("Event.") {
            flat.set(field, value);
        }
    }
    if let Some(time) = flat.get("TimeCreated_SystemTime").cloned() {
        flat.set("@timestamp", time.clone());
        flat.set("TimeCreated", time);
    }
    name_data(&mut data);
    for (name, value) in data.into_iter().flat_map(spaceless) {
        if !HEADER.contains(&name.as_str()) || flat.get(&name).is_none() {
            flat.set(name, value);
        }
    }
    flat
}

/// `EventID.#text` is `EventID`, `Provider.#attributes.Name` is `Provider_Name`.
fn plain(name: &str) -> String {
    let name = name.strip_suffix(".#text").unwrap_or(name);
    name.replace(".#attributes.", "_").replace("#attributes.", "EventData_")
}

/// Rules write names without spaces (`ThreatName`), some with `_` for them: both are given.
fn spaceless((name, value): (String, Value)) -> Vec<(String, Value)> {
    if !name.contains(' ') {
        return vec![(name, value)];
    }
    vec![(name.replace(' ', ""), value.clone()), (name.replace(' ', "_"), value)]
}

/// `Data` elements that carry names become fields of these names.
fn name_data(data: &mut Vec<(String, Value)>) {
    let take = |data: &[(String, Value)], wanted: &str| data.iter().position(|(name, _)| name == wanted);
    let (Some(names), Some(texts)) = (take(data, "Data_Name"), take(data, "Data")) else { return };
    let pairs: Vec<(String, Value)> = match (data.get(names), data.get(texts)) {
        (Some((_, names)), Some((_, texts))) if names.scalars().len() == texts.scalars().len() => names
            .scalars()
            .iter()
            .map(|name| name.to_text().into_owned())
            .zip(texts.scalars().to_vec())
            .collect(),
        _ => return,
    };
    data.retain(|(name, _)| name != "Data_Name" && name != "Data");
    data.extend(pairs);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let event = unpack(Event::parse(text.as_bytes()).unwrap().0);
        for (name, value) in expected {
            let given = event.get(name).map(|value| value.to_text().into_owned());
            assert_eq!(given.as_deref(), Some(*value), "{name} in {}", event.to_json());
        }
    }

    #[test]
    fn records_of_evtx_tools() {
        check(
            r##"{"Event":{"#attributes":{"xmlns":"x"},"System":{"Provider":{"#attributes":{"Name":"P"}},"EventID":{"#attributes":{"Qualifiers":1},"#text":7045},"Channel":"System","TimeCreated":{"#attributes":{"SystemTime":"2026-11-23T00:00:00Z"}},"Execution":{"#attributes":{"ProcessID":4}},"Version":5},"EventData":{"ServiceName":"s","Channel":"other","Version":"10"}}}"##,
            &[
                ("Provider_Name", "P"),
                ("EventID", "7045"),
                ("Channel", "System"),
                ("ServiceName", "s"),
                ("Execution_ProcessID", "4"),
                ("@timestamp", "2026-11-23T00:00:00Z"),
                ("Version", "10"),
            ],
        );
        check(
            r##"{"Event":{"System":{"EventID":5858,"Channel":"W"},"UserData":{"Operation_ClientFailure":{"#attributes":{"xmlns":"u"},"Operation":"Start"}}}}"##,
            &[("Operation", "Start")],
        );
        check(
            r##"{"Event":{"System":{"EventID":1,"Channel":"W"},"EventData":{"Data":[{"#attributes":{"Name":"a"},"#text":"1"},{"#attributes":{"Name":"b"},"#text":"2"}]}}}"##,
            &[("a", "1"), ("b", "2")],
        );
        check(
            r#"{"Event":{"System":{"EventID":1119,"Channel":"W"},"EventData":{"Threat Name":"t"}}}"#,
            &[("ThreatName", "t"), ("Threat_Name", "t")],
        );
        check(
            r##"{"Event":{"System":{"EventID":1,"Channel":"W"},"EventData":{"Data":{"#text":["x","y"]}}}}"##,
            &[("Data", "x, y")],
        );
        check(r#"{"Channel":"c","EventID":1}"#, &[("Channel", "c")]);
    }

    proptest! {
        #[test]
        fn any_record_is_taken(names in prop::collection::vec("(Event\\.)?(System|EventData|UserData|)\\.?(EventID|Data|X|Channel|#attributes|#text|\\.){0,3}", 0..12)) {
            let event = names.into_iter().map(|name| (name.into(), Value::from("x"))).collect();
            drop(unpack(event));
        }
    }
}
