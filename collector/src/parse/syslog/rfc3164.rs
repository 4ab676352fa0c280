//! The RFC 3164 header after `<priority>`: `TIMESTAMP HOST TAG[pid]: message`, with its common variants.

use super::Header;
use crate::parse::{Basis, Claimed, Context};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};

/// RFC 3164 allows 32 letters for a tag; real programs have longer names.
const MAX_TAG: usize = 128;

/// Reads a header that begins with a time; `None` when it does not.
pub(super) fn header<'a>(text: &'a str, context: &Context<'_>) -> Option<Header<'a>> {
    let text = text.trim_start_matches(['*', '.', ' ']);
    let (claimed, rest) = bsd_time(text, context).or_else(|| iso_time(text, context))?;
    let rest = rest.trim_start_matches(' ');
    let mut header = match rest.split_once(' ') {
        Some((host, tail)) if !host.ends_with(':') => {
            let tail = tail.trim_start_matches(' ');
            Header { host, ..tag(tail).unwrap_or(Header { message: tail, ..Header::default() }) }
        }
        _ => tag(rest).unwrap_or(Header { message: rest, ..Header::default() }),
    };
    header.claimed = claimed;
    Some(header)
}

/// Splits `program[pid]: message`.
pub(super) fn tag(text: &str) -> Option<Header<'_>> {
    let (tag, message) = text.split_once(':')?;
    let (program, process) = match tag.split_once('[') {
        Some((program, bracket)) => (program, bracket.strip_suffix(']')?),
        None => (tag, ""),
    };
    let plain = !program.is_empty() && program.len() <= MAX_TAG && !tag.contains([' ', '{', '"', '=']);
    plain.then(|| Header {
        program,
        process,
        message: message.strip_prefix(' ').unwrap_or(message),
        ..Header::default()
    })
}

/// `Mmm dd hh:mm:ss[.fff]`, with a year after the day or before the month if the sender is a router.
fn bsd_time<'a>(text: &'a str, context: &Context<'_>) -> Option<(Option<Claimed>, &'a str)> {
    let (stated, text) = leading_year(text);
    let (month, rest) = text.split_at_checked(3)?;
    let month = month_number(month)?;
    let (day, rest) = rest.strip_prefix(' ')?.trim_start_matches(' ').split_once(' ')?;
    let day: i8 = day.parse().ok()?;
    let (year, rest) = leading_year(rest.trim_start_matches(' '));
    let (time, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let time: Time = time.trim_end_matches(':').parse().ok()?;
    let claimed = match stated.or(year) {
        Some(year) => Date::new(year, month, day)
            .ok()
            .and_then(|date| instant(date.to_datetime(time), context))
            .map(|at| Claimed { at, basis: Basis::SourceZone }),
        None => nearest_year(month, day, time, context),
    };
    Some((claimed, rest))
}

/// `2026-01-01T07:00:00.5+07:00`, or without offset, or with a space for the `T`.
fn iso_time<'a>(text: &'a str, context: &Context<'_>) -> Option<(Option<Claimed>, &'a str)> {
    let (word, rest) = text.split_once(' ')?;
    if let Ok(at) = word.parse::<Timestamp>() {
        return Some((Some(Claimed { at, basis: Basis::Stated }), rest));
    }
    if let (Ok(local), true) = (word.parse::<DateTime>(), word.contains('T')) {
        return Some((instant(local, context).map(|at| Claimed { at, basis: Basis::SourceZone }), rest));
    }
    let date: Date = word.parse().ok()?;
    let (time, rest) = rest.split_once(' ')?;
    let time: Time = time.replace(',', ".").parse().ok()?;
    let at = instant(date.to_datetime(time), context);
    Some((at.map(|at| Claimed { at, basis: Basis::SourceZone }), rest))
}

fn leading_year(text: &str) -> (Option<i16>, &str) {
    match text.split_once(' ') {
        Some((word, rest)) if word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()) => {
            (word.parse().ok(), rest.trim_start_matches(' '))
        }
        _ => (None, text),
    }
}

/// The year that puts the time closest to the receive time; the neighbours matter around New Year, and
/// 29 February looks four years back.
fn nearest_year(month: i8, day: i8, time: Time, context: &Context<'_>) -> Option<Claimed> {
    let now = context.received.to_zoned(context.zone.clone()).year();
    (-4_i16..=1)
        .filter_map(|shift| Date::new(now.checked_add(shift)?, month, day).ok())
        .filter_map(|date| instant(date.to_datetime(time), context))
        .min_by_key(|at| at.duration_since(context.received).abs())
        .map(|at| Claimed { at, basis: Basis::SourceZoneAndYear })
}

fn instant(local: DateTime, context: &Context<'_>) -> Option<Timestamp> {
    Some(local.to_zoned(context.zone.clone()).ok()?.timestamp())
}

fn month_number(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let index = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    i8::try_from(index + 1).ok()
}
