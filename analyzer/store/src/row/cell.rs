//! A value as a column holds it.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use dongson_event::fields::Kind;
use dongson_event::{Timestamp, Value};

/// 1900-01-01T00:00:00Z.
const PRINTED_FROM: Timestamp = Timestamp::from_seconds(-2_208_988_800);

/// What stands in a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'v> {
    /// Nothing, or nothing that the column can hold.
    Null,
    /// Of a text column.
    Text(Cow<'v, str>),
    /// Of a whole number.
    Long(i64),
    /// Of a number with a fraction.
    Float(f64),
    /// Of a truth value.
    Bool(bool),
    /// Of an address; IPv4 stands inside IPv6.
    Ip(Ipv6Addr),
    /// Of a moment.
    Date(Timestamp),
    /// Of a list; never empty.
    List(Vec<Cell<'v>>),
}

impl<'v> Cell<'v> {
    /// The nearest that a column of `kind` can hold of `value`.
    pub(super) fn of(kind: Kind, value: &'v Value) -> Self {
        match element(kind) {
            Some(element) => {
                let cells: Vec<Self> =
                    value.scalars().iter().map(|scalar| Self::of(element, scalar)).collect();
                let cells: Vec<Self> = cells.into_iter().filter(|cell| *cell != Self::Null).collect();
                if cells.is_empty() { Self::Null } else { Self::List(cells) }
            }
            None => Self::scalar(kind, value).unwrap_or(Self::Null),
        }
    }

    fn scalar(kind: Kind, value: &'v Value) -> Option<Self> {
        Some(match kind {
            Kind::Long => Self::Long(match value {
                Value::Text(text) => text.parse().ok()?,
                other => other.as_i64()?,
            }),
            Kind::Float => Self::Float(value.as_f64()?),
            Kind::Bool => Self::Bool(value.as_bool()?),
            Kind::Ip => Self::Ip(match value.as_str()?.parse().ok()? {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            }),
            Kind::Date => Self::Date(Timestamp::parse(value.as_str()?).ok()?),
            _ => match value {
                Value::Null => return None,
                other => Self::Text(other.to_text()),
            },
        })
    }

    /// True when [`Cell::value`] is `value`; texts are compared without a copy.
    pub(super) fn says(&self, kind: Kind, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(text), Value::Text(original)) => *text == original.as_str(),
            (Self::Long(number), value) => value.as_i64() == Some(*number),
            // The engine prints no moment before 1900.
            (Self::Date(moment), _) if *moment < PRINTED_FROM => false,
            (Self::List(cells), Value::List(items)) => {
                let element = element(kind).unwrap_or(kind);
                cells.len() == items.len()
                    && cells.iter().zip(items).all(|(cell, item)| cell.says(element, item))
            }
            _ => self.value(kind).as_ref() == Some(value),
        }
    }

    /// The value that this cell says; `None` for nothing.
    pub(super) fn value(&self, kind: Kind) -> Option<Value> {
        Some(match self {
            Self::Null => return None,
            Self::Text(text) => Value::from(text.as_ref()),
            Self::Long(number) => Value::Int(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Ip(address) => match address.to_ipv4_mapped() {
                Some(address) => Value::from(IpAddr::V4(address)),
                None => Value::from(IpAddr::V6(*address)),
            },
            Self::Date(moment) => Value::from(*moment),
            Self::List(cells) => {
                let element = element(kind).unwrap_or(kind);
                Value::List(cells.iter().filter_map(|cell| cell.value(element)).collect())
            }
        })
    }
}

/// The kind of the elements of a list; `None` for a scalar.
pub(super) const fn element(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Keywords => Some(Kind::Keyword),
        Kind::Longs => Some(Kind::Long),
        Kind::Ips => Some(Kind::Ip),
        _ => None,
    }
}
