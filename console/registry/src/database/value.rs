//! What goes into queries and comes out of rows, beyond what sqlx knows for both databases.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Encode, Postgres, Sqlite, Type};

use crate::{
    ChannelKind, Class, EntryKind, IncidentStatus, LegalCategory, Level, PacketState, Role, Severity,
    SourceKind, State, Stated, Verdict,
};

/// The arguments of a query, for either database: which one it will be is not known yet.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(super) sqlite: SqliteArguments,
    pub(super) postgres: PgArguments,
}

impl Arguments {
    fn both<'q, T>(&mut self, value: &T) -> Result<(), BoxDynError>
    where
        T: Encode<'q, Sqlite> + Type<Sqlite> + Encode<'q, Postgres> + Type<Postgres>,
    {
        self.sqlite.add(value)?;
        self.postgres.add(value)
    }
}

/// A value of a query.
pub(crate) trait Param {
    /// Adds it.
    fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError>;
}

/// PostgreSQL keeps no text with a NUL in it, and what attackers send has them: a sign in its place says that one was there,
/// on both databases, so that one can be restored into the other.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

impl Param for Option<&str> {
    fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        match self.map(storable) {
            Some(text) => arguments.both(&&*text),
            None => arguments.both(&None::<&str>),
        }
    }
}

impl Param for &str {
    fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        Some(self).add(arguments)
    }
}

impl Param for String {
    fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        Some(self.as_str()).add(arguments)
    }
}

impl Param for &String {
    fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        Some(self.as_str()).add(arguments)
    }
}

impl Param for Option<String> {
    fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        self.as_deref().add(arguments)
    }
}

impl Param for &Option<String> {
    fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        self.as_deref().add(arguments)
    }
}

impl Param for Option<Cow<'_, str>> {
    fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        self.as_deref().add(arguments)
    }
}

/// Values that both databases take as sqlx gives them.
macro_rules! plain {
    ($($kind:ty),+ $(,)?) => {
        $(impl Param for $kind {
            fn add(self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
                arguments.both(&self)
            }
        })+
    };
}

plain!(i64, Option<i64>, &[u8], Option<&[u8]>, &Vec<u8>, Vec<u8>);

/// Enumerations that are stored as their names.
macro_rules! names {
    ($($kind:ty),+ $(,)?) => {
        plain!($($kind),+);
        plain!($(Option<$kind>),+);
    };
}

names!(
    ChannelKind,
    Class,
    EntryKind,
    IncidentStatus,
    LegalCategory,
    Level,
    PacketState,
    Role,
    Severity,
    SourceKind,
    State,
    Verdict,
);

/// A column that holds 0 or 1, for fields that are `bool`.
#[derive(Debug, Clone, Copy, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct Flag(i64);

impl From<Flag> for bool {
    fn from(flag: Flag) -> Self {
        flag.0 != 0
    }
}

/// A column that holds JSON as text, for fields that are what the JSON says. NULL reads as JSON's `null`.
#[derive(Debug, Clone, sqlx::Type)]
#[sqlx(transparent, no_pg_array)]
pub(crate) struct JsonText(Option<String>);

impl JsonText {
    fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.as_deref().unwrap_or("null"))
    }
}

macro_rules! from_json {
    ($($kind:ty),+ $(,)?) => {
        $(impl TryFrom<JsonText> for $kind {
            type Error = serde_json::Error;

            fn try_from(text: JsonText) -> Result<Self, Self::Error> {
                text.read()
            }
        })+
    };
}

from_json!(
    BTreeMap<String, u64>,
    Option<Stated>,
    Option<Value>,
    Option<Vec<String>>,
    Value,
    Vec<String>,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_json_and_nul() {
        assert!(bool::from(Flag(1)) && !bool::from(Flag(0)));
        let text = |text: &str| JsonText(Some(text.to_owned()));
        assert_eq!(Vec::<String>::try_from(text("[\"a\"]")).unwrap(), ["a"]);
        assert_eq!(Option::<Value>::try_from(JsonText(None)).unwrap(), None);
        assert!(Vec::<String>::try_from(JsonText(None)).is_err());
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        assert!(matches!(storable("ab"), Cow::Borrowed("ab")));
    }
}
