//! A record on its way out: names and values that are printed, or made an [`Event`], without being kept.
//!
//! Where many records are made and only printed, most of the work was to look up names, to hold values and to free them.
//! A [`Line`] borrows its values, and its names are places in the table of fields that the compiler has looked up. Lines
//! and events say the same: [`Line::print`] writes what [`Event::to_json`] writes of [`Line::event`].

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::{Event, Name, Timestamp, Value, fields, json};

/// The place of a name of the table among its names in byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known(u16);

impl Known {
    /// The place of `name`; to be called by the compiler (`const`), which refuses a name that the table does not have.
    ///
    /// # Panics
    /// When the table does not have it.
    pub const fn of(name: &str) -> Self {
        let (mut place, mut found) = (0, false);
        let mut rest = fields::FIELDS;
        while let [field, more @ ..] = rest {
            match order(field.name.as_bytes(), name.as_bytes()) {
                -1 => place += 1,
                0 => found = true,
                _ => {}
            }
            rest = more;
        }
        assert!(found, "the table of fields does not have this name");
        Self(place)
    }

    pub(crate) const fn number(self) -> u16 {
        self.0
    }
}

/// Whether `one` comes before `other` (-1), is the same (0) or comes behind it (1).
const fn order(mut one: &[u8], mut other: &[u8]) -> i8 {
    loop {
        match (one, other) {
            ([], []) => return 0,
            ([], _) => return -1,
            (_, []) => return 1,
            ([a, more @ ..], [b, rest @ ..]) => {
                if *a != *b {
                    return if *a < *b { -1 } else { 1 };
                }
                (one, other) = (more, rest);
            }
        }
    }
}

/// A value that is borrowed or small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plain<'a> {
    /// A whole number.
    Int(i64),
    /// A count.
    Count(u64),
    /// Text.
    Text(&'a str),
    /// Several texts.
    Texts(&'a [&'a str]),
    /// A moment.
    Moment(Timestamp),
    /// An address.
    Address(IpAddr),
}

impl From<Plain<'_>> for Value {
    fn from(plain: Plain<'_>) -> Self {
        match plain {
            Plain::Int(number) => Self::from(number),
            Plain::Count(number) => Self::from(number),
            Plain::Text(text) => Self::from(text),
            Plain::Texts(texts) => Self::from(texts.to_vec()),
            Plain::Moment(moment) => Self::from(moment),
            Plain::Address(address) => Self::from(address),
        }
    }
}

impl Plain<'_> {
    fn put_json(self, out: &mut String) {
        match self {
            Self::Int(number) => out.push_str(itoa::Buffer::new().format(number)),
            // As values: what does not fit 63 bits is text.
            Self::Count(number) => match i64::try_from(number) {
                Ok(number) => out.push_str(itoa::Buffer::new().format(number)),
                Err(_) => Value::from(number).put_json(out),
            },
            Self::Text(text) => json::put_text(text, out),
            Self::Texts(texts) => {
                let mut sign = '[';
                for text in texts {
                    out.push(sign);
                    json::put_text(text, out);
                    sign = ',';
                }
                out.push_str(if texts.is_empty() { "[]" } else { "]" });
            }
            Self::Moment(moment) => {
                out.push('"');
                moment.put(out);
                out.push('"');
            }
            Self::Address(IpAddr::V4(address)) => {
                out.push('"');
                let mut number = itoa::Buffer::new();
                let [a, b, c, d] = address.octets();
                out.push_str(number.format(a));
                for part in [b, c, d] {
                    out.push('.');
                    out.push_str(number.format(part));
                }
                out.push('"');
            }
            Self::Address(address) => {
                // Writing to a String cannot fail.
                let _written = write!(out, "\"{address}\"");
            }
        }
    }
}

/// Names and values, each name once.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    fields: Vec<(Known, Plain<'a>)>,
}

impl Default for Line<'_> {
    fn default() -> Self {
        Self { fields: Vec::with_capacity(64) }
    }
}

impl<'a> Line<'a> {
    /// Adds a field; of two with one name the later counts.
    #[inline]
    pub fn set(&mut self, name: Known, value: Plain<'a>) {
        self.fields.push((name, value));
    }

    /// Adds a field when there is a value.
    #[inline]
    pub fn set_some(&mut self, name: Known, value: Option<Plain<'a>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Brings the fields in the order of their names, of which each stands once then.
    pub fn sort(&mut self) {
        // Merging the few runs that they are set in by hand was measured: it takes longer.
        self.fields.sort_by_key(|(name, _)| *name);
        self.fields.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                *earlier = *later;
            }
            same
        });
    }

    /// The event of its fields, which are sorted.
    pub fn event(&self) -> Event {
        let fields = self.fields.iter().map(|(name, value)| (Name::from(*name), Value::from(*value)));
        Event::from_sorted(fields.collect())
    }

    /// Appends the JSON text of `event` with these fields, which are sorted and stand in the place of the event's own of
    /// the same name.
    pub fn print(&self, event: Option<&Event>, out: &mut String) {
        let begin = out.len();
        let mut own = self.fields.iter().peekable();
        for (name, value) in event.map_or(&[][..], Event::pairs) {
            while let Some((before, value)) = own.next_if(|(held, _)| is_before(*held, name)) {
                put(*before, *value, out);
            }
            if own.peek().is_some_and(|(held, _)| name.number() == Some(held.number())) {
                continue;
            }
            json::put_name(name, out);
            value.put_json(out);
        }
        for (name, value) in own {
            put(*name, *value, out);
        }
        json::close(begin, out);
    }
}

fn is_before(one: Known, other: &Name) -> bool {
    match other.number() {
        Some(number) => one.number() < number,
        None => fields::by_number(one.number()).is_some_and(|field| field.name < other.as_str()),
    }
}

#[inline]
fn put(name: Known, value: Plain<'_>, out: &mut String) {
    out.push_str(fields::printed(name.number()).unwrap_or_default());
    value.put_json(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Some names of the table, on both sides of one another.
    const NAMES: [Known; 6] = [
        Known::of("@timestamp"),
        Known::of("destination.ip"),
        Known::of("dongson.conn.uid"),
        Known::of("event.id"),
        Known::of("source.ip"),
        Known::of("source.port"),
    ];

    #[test]
    fn places_are_those_of_the_index() {
        for field in fields::FIELDS {
            assert_eq!(Some(Known::of(field.name).number()), fields::number(field.name), "{}", field.name);
        }
    }

    fn plain() -> impl Strategy<Value = Plain<'static>> {
        prop_oneof![
            any::<i64>().prop_map(Plain::Int),
            any::<u64>().prop_map(Plain::Count),
            prop::sample::select(vec!["", "a\"b", "tiếng Việt\n"]).prop_map(Plain::Text),
            prop::sample::select(vec![&[][..], &["a"], &["a", "\\"]]).prop_map(Plain::Texts),
            any::<i64>().prop_map(|nanos| Plain::Moment(Timestamp::from_nanos(nanos))),
            any::<[u8; 4]>().prop_map(|octets| Plain::Address(octets.into())),
            any::<[u8; 16]>().prop_map(|octets| Plain::Address(octets.into())),
        ]
    }

    proptest! {
        #[test]
        fn lines_print_what_their_events_print(
            set in prop::collection::vec((prop::sample::select(NAMES.to_vec()), plain()), 0..9),
            held in prop::collection::vec(("event.id|source.ip|a|zz|event.idx|user.name", any::<i64>()), 0..5),
        ) {
            let mut line = Line::default();
            let mut expected = Event::new();
            for (name, value) in held.clone() {
                expected.set(name, value);
            }
            let own = expected.clone();
            for (name, value) in set {
                line.set(name, value);
                expected.set(Name::from(name), value);
            }
            line.sort();
            let mut printed = String::new();
            line.print(Some(&own), &mut printed);
            prop_assert_eq!(&printed, &expected.to_json());
            let mut filled = line.event();
            filled.fill(own);
            prop_assert_eq!(filled, expected);
            let mut alone = String::new();
            line.print(None, &mut alone);
            prop_assert_eq!(alone, line.event().to_json());
        }
    }
}
