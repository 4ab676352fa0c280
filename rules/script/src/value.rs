//! Values of events and of states, as scripts see them and as they are saved.

use std::collections::BTreeMap;

use dongson_event::Value;
use rhai::{Dynamic, FLOAT, INT, Map};
use serde::{Deserialize, Serialize};

/// Longest text that a script is given, in characters; longer ones are cut.
pub(crate) const MAX_TEXT_CHARS: usize = 256;
/// Most elements of a list that a script is given.
pub(crate) const MAX_LIST: usize = 32;
/// Deepest state.
const MAX_DEPTH: usize = 8;
/// About how many bytes a value takes besides its text.
const VALUE_BYTES: usize = 24;

/// A value of a field, cut to what a script is given.
pub(crate) fn bounded(value: &Value) -> Value {
    match value {
        Value::Text(text) => match text.char_indices().nth(MAX_TEXT_CHARS) {
            Some((end, _)) => Value::from(text.get(..end).unwrap_or_default()),
            None => value.clone(),
        },
        Value::List(items) => Value::List(items.iter().take(MAX_LIST).map(bounded).collect()),
        other => other.clone(),
    }
}

/// A value of a field for a script.
pub(crate) fn to_script(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => Dynamic::from_bool(*truth),
        Value::Int(number) => Dynamic::from_int(*number),
        Value::Float(number) => Dynamic::from_float(*number),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => Dynamic::from_array(items.iter().map(to_script).collect()),
    }
}

/// A scalar of a script as a value of an event; what is no scalar is printed.
pub(crate) fn from_script(value: &Dynamic) -> Value {
    if let Ok(truth) = value.as_bool() {
        return Value::Bool(truth);
    }
    if let Ok(number) = value.as_int() {
        return Value::Int(number);
    }
    if let Ok(number) = value.as_float() {
        return if number.is_finite() { Value::Float(number) } else { Value::Null };
    }
    let text: String = value.to_string().chars().take(MAX_TEXT_CHARS).collect();
    Value::from(text)
}

/// A state as it is saved: the same state, the same text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Held {
    /// `()`.
    Unit,
    Bool(bool),
    Int(INT),
    Float(FLOAT),
    Text(String),
    List(Vec<Held>),
    Map(BTreeMap<String, Held>),
}

impl Held {
    pub(crate) fn of(value: &Dynamic) -> Option<Self> {
        Some(if value.is_unit() {
            Self::Unit
        } else if let Ok(truth) = value.as_bool() {
            Self::Bool(truth)
        } else if let Ok(number) = value.as_int() {
            Self::Int(number)
        } else if let Ok(number) = value.as_float() {
            Self::Float(number)
        } else if let Ok(text) = value.as_immutable_string_ref() {
            Self::Text(text.as_str().to_owned())
        } else if let Ok(items) = value.as_array_ref() {
            Self::List(items.iter().map(Self::of).collect::<Option<_>>()?)
        } else if let Ok(map) = value.as_map_ref() {
            return Self::of_map(&map);
        } else {
            return None;
        })
    }

    pub(crate) fn of_map(map: &Map) -> Option<Self> {
        map.iter()
            .map(|(name, value)| Some((name.to_string(), Self::of(value)?)))
            .collect::<Option<_>>()
            .map(Self::Map)
    }

    pub(crate) fn into_script(self) -> Dynamic {
        match self {
            Self::Unit => Dynamic::UNIT,
            Self::Bool(truth) => truth.into(),
            Self::Int(number) => number.into(),
            Self::Float(number) => number.into(),
            Self::Text(text) => text.into(),
            Self::List(items) => Dynamic::from_array(items.into_iter().map(Self::into_script).collect()),
            Self::Map(map) => Dynamic::from_map(Self::map(map)),
        }
    }

    /// A map for a script.
    pub(crate) fn map(map: BTreeMap<String, Self>) -> Map {
        map.into_iter().map(|(name, value)| (name.into(), value.into_script())).collect()
    }
}

/// About how many bytes a state takes; or why it cannot be a state.
pub(crate) fn weigh(map: &Map) -> Result<usize, String> {
    map.iter().try_fold(0, |sum, (name, value)| {
        let inner = weigh_value(value, 0).map_err(|reason| format!("state.{}: {reason}", name.as_str()))?;
        Ok(sum + VALUE_BYTES + name.len() + inner)
    })
}

fn weigh_value(value: &Dynamic, depth: usize) -> Result<usize, String> {
    if depth > MAX_DEPTH {
        return Err(format!("is more than {MAX_DEPTH} levels deep"));
    }
    if let Ok(number) = value.as_float() {
        return if number.is_finite() { Ok(VALUE_BYTES) } else { Err("is not a finite number".to_owned()) };
    }
    if value.is_unit() || value.is_bool() || value.is_int() {
        return Ok(VALUE_BYTES);
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(VALUE_BYTES + text.len());
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().try_fold(VALUE_BYTES, |sum, item| Ok(sum + weigh_value(item, depth + 1)?));
    }
    if let Ok(map) = value.as_map_ref() {
        return map.iter().try_fold(VALUE_BYTES, |sum, (name, value)| {
            Ok(sum + VALUE_BYTES + name.len() + weigh_value(value, depth + 1)?)
        });
    }
    Err(format!("is a {}; a state holds numbers, texts, truth values, arrays and maps", value.type_name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held() -> impl Strategy<Value = Held> {
        let leaf = prop_oneof![
            Just(Held::Unit),
            any::<bool>().prop_map(Held::Bool),
            any::<i64>().prop_map(Held::Int),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Held::Float),
            "\\PC{0,12}".prop_map(Held::Text),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Held::List),
                prop::collection::btree_map("[a-z]{0,5}", inner, 0..5).prop_map(Held::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn states_come_back_as_they_were(state in held()) {
            let text = serde_json::to_string(&state).unwrap();
            let read: Held = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &state);
            prop_assert_eq!(Held::of(&state.clone().into_script()), Some(state));
        }
    }

    #[test]
    fn what_is_no_state_is_refused_by_name() {
        let map = |value: Dynamic| Map::from([("x".into(), value)]);
        assert!(weigh(&map(Dynamic::from_char('a'))).unwrap_err().contains("state.x"));
        assert!(weigh(&map(Dynamic::from_float(f64::NAN))).unwrap_err().contains("finite"));
        let deep = (0..20).fold(Dynamic::from_int(1), |inner, _| Dynamic::from_array(vec![inner]));
        assert!(weigh(&map(deep)).unwrap_err().contains("levels"));
        assert!(weigh(&map("abc".into())).unwrap() > 3);
    }
}
