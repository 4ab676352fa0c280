//! Matches as one page for the desk of an incident responder: no network, no other file, nothing of a log is code.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dongson_event::{Level, Timestamp};
use dongson_rules::RuleSet;
use dongson_rules::detect::Hit;

use super::Lang;
use super::attack::{self, TACTICS};
use super::summary::Summary;
use super::timeline::{COLUMNS, Timeline};
use crate::output::harmless;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Most matches in the table: the worst are kept.
const MAX_ROWS: usize = 20_000;
/// Most hosts that are drawn.
const MAX_HOSTS: usize = 60;
/// Most rules that are listed.
const MAX_RULES: usize = 200;
/// Most fields of a match that are shown, and their longest value in characters.
const MAX_FIELDS: usize = 16;
const MAX_CHARS: usize = 400;

/// What the page will show.
pub(super) struct Page {
    lang: Lang,
    rules: Arc<RuleSet>,
    /// With the number that says in which order they came.
    hits: Vec<(u64, Hit)>,
    seen: u64,
    timeline: Timeline,
}

impl Page {
    pub(super) fn new(lang: Lang, rules: Arc<RuleSet>) -> Self {
        Self { lang, rules, hits: Vec::new(), seen: 0, timeline: Timeline::new() }
    }

    /// Keeps a match, as long as there are not too many worse ones.
    pub(super) fn add(&mut self, mut hit: Hit) {
        let tags = self.rules.rule(hit.rule).map(|rule| rule.tags.as_slice()).unwrap_or_default();
        self.timeline.add(&hit, &attack::numbers(tags));
        hit.fields.truncate(MAX_FIELDS);
        for field in &mut hit.fields {
            field.value = cut(&field.value.to_text()).into();
        }
        self.hits.push((self.seen, hit));
        self.seen += 1;
        if self.hits.len() >= 2 * MAX_ROWS {
            self.keep_worst();
        }
    }

    fn keep_worst(&mut self) {
        self.hits.sort_by_key(|(number, hit)| (std::cmp::Reverse(hit.level), *number));
        self.hits.truncate(MAX_ROWS);
    }

    /// Writes the whole page.
    pub(super) fn write(
        &mut self,
        summary: &Summary,
        events: u64,
        files: usize,
        bad: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.keep_worst();
        self.hits.sort_by_key(|(number, hit)| (hit.moment, *number));
        let lang = self.lang;
        let title = lang.pick("Kết quả phát hiện", "Detection report");
        let hash = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, SCRIPT.as_bytes()));
        write!(
            out,
            "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'\"><meta name=\"viewport\" content=\"width=device-width\"><meta name=\"referrer\" content=\"no-referrer\"><title>{title} · Dongson</title><style>{STYLE}</style></head><body>\n<header><h1>{title}</h1><button id=\"theme\" type=\"button\">{}</button></header>\n<main>\n",
            lang.code(),
            lang.pick("Sáng / tối", "Light / dark"),
        )?;
        out.write_all(self.overview(summary, events, files, bad).as_bytes())?;
        out.write_all(self.lanes().as_bytes())?;
        out.write_all(self.top(summary).as_bytes())?;
        self.table(out)?;
        write!(
            out,
            "</main>\n<footer>{}</footer>\n<script>{SCRIPT}</script></body></html>\n",
            lang.pick(
                "Quy tắc theo giấy phép của tác giả quy tắc. Trang này không cần kết nối mạng.",
                "Rules under their authors' licences. This page needs no network."
            )
        )
    }

    fn overview(&self, summary: &Summary, events: u64, files: usize, bad: u64) -> String {
        let lang = self.lang;
        let mut text = String::from("<section class=\"cards\">");
        let mut card = |class: &str, number: u64, words: &str| {
            let number = grouped(number, lang.pick(".", ","));
            let _infallible =
                write!(text, "<div class=\"card {class}\"><b>{number}</b><span>{words}</span></div>");
        };
        for level in Level::ALL.into_iter().rev() {
            let count = summary.levels.get(&std::cmp::Reverse(level)).copied().unwrap_or_default();
            card(level.as_str(), count, lang.level(level));
        }
        card("", summary.hits, lang.pick("lượt khớp", "matches"));
        card("", summary.rules.len() as u64, lang.pick("quy tắc khớp", "rules matched"));
        card("", events, lang.pick("sự kiện đã đọc", "events read"));
        card("", files as u64, lang.pick("tệp", "files"));
        if bad > 0 {
            card("", bad, lang.pick("bản ghi không đọc được", "records not readable"));
        }
        text.push_str("</section>\n");
        if let (Some(first), Some(last)) = (summary.first, summary.last) {
            let words = lang.pick("Khớp đầu tiên", "First match");
            let until = lang.pick("cuối cùng", "last");
            let _infallible =
                writeln!(text, "<p>{words}: <time>{first}</time> · {until}: <time>{last}</time></p>");
        }
        text
    }

    fn lanes(&self) -> String {
        let lang = self.lang;
        let mut text = format!(
            "<section><h2>{}</h2>\n",
            lang.pick(
                "Dòng thời gian theo máy và chiến thuật ATT&amp;CK",
                "Timeline by host and ATT&amp;CK tactic"
            )
        );
        let rows = self.timeline.rows();
        let range = self.timeline.range();
        if let Some((start, column)) = range {
            let end = start.saturating_add(column.saturating_mul(COLUMNS));
            let _infallible = writeln!(
                text,
                "<div class=\"axis\"><span></span><p><span>{}</span><span>{}</span></p><span></span></div>",
                clock(start),
                clock(end)
            );
            text.push_str("<div class=\"axis\"><span></span><div class=\"ticks\">");
            for at in self.timeline.ticks() {
                let place = (at - start).saturating_mul(1_000) / (end - start).max(1);
                let _infallible = write!(
                    text,
                    "<b style=\"--at:{place}\" title=\"{}\">{}</b>",
                    clock(at),
                    mark(at, end - start)
                );
            }
            text.push_str("</div><span></span></div>\n");
        }
        let others = lang.pick("(không rõ máy, hoặc máy khác)", "(no host named, or other hosts)");
        for host in rows.iter().take(MAX_HOSTS) {
            let name = if host.name.is_empty() { others.to_owned() } else { escape(&cut(&host.name)) };
            let data = escape(&host.name);
            let _infallible = writeln!(
                text,
                "<div class=\"host\"><h3><button type=\"button\" data-host=\"{data}\">{name}</button> <small>{}</small></h3>",
                host.all.count
            );
            for lane in &host.lanes {
                let Some(tactic) = TACTICS.get(lane.tactic) else { continue };
                let _infallible =
                    write!(text, "<div class=\"lane\"><span>{}</span><div>", lang.tactic(tactic));
                for (place, cell) in &lane.cells {
                    let (start, column) = range.unwrap_or((0, 1));
                    let at = clock(start.saturating_add(place.saturating_mul(column)));
                    let _infallible = write!(
                        text,
                        "<i class=\"{}\" style=\"--at:{place}\" title=\"{at} · {} · {}\"></i>",
                        cell.worst.as_str(),
                        lang.level(cell.worst),
                        cell.count
                    );
                }
                let _infallible = writeln!(text, "</div><span>{}</span></div>", lane.all.count);
            }
            text.push_str("</div>\n");
        }
        if rows.len() > MAX_HOSTS {
            let words = lang.pick("máy khác không vẽ", "more hosts are not drawn");
            let _infallible = writeln!(text, "<p>{} {words}</p>", rows.len() - MAX_HOSTS);
        }
        text.push_str("</section>\n");
        text
    }

    fn top(&self, summary: &Summary) -> String {
        let lang = self.lang;
        let mut text = format!(
            "<section><details open><summary><h2>{}</h2></summary><table class=\"rules\"><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>ATT&amp;CK</th></tr></thead><tbody>\n",
            lang.pick("Quy tắc đã khớp", "Rules that matched"),
            lang.pick("Mức", "Level"),
            lang.pick("Lượt", "Matches"),
            lang.pick("Quy tắc", "Rule")
        );
        let top = summary.top_rules(&self.rules);
        for (number, count) in top.iter().take(MAX_RULES) {
            let Some(rule) = self.rules.rule(*number) else { continue };
            let name = match (lang, &rule.title_vi) {
                (Lang::Vi, Some(title)) => title,
                _ => &rule.title,
            };
            let _infallible = writeln!(
                text,
                "<tr><td class=\"{}\">{}</td><td>{count}</td><td><button type=\"button\" data-text=\"{}\">{}</button></td><td>{}</td></tr>",
                rule.level.as_str(),
                lang.level(rule.level),
                escape(&rule.id),
                escape(name),
                escape(&attack::techniques(&rule.tags).join(" "))
            );
        }
        text.push_str("</tbody></table></details></section>\n");
        text
    }

    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        let lang = self.lang;
        write!(
            out,
            "<section><h2>{}</h2><div class=\"filter\"><input id=\"filter\" type=\"search\" placeholder=\"{}\" aria-label=\"{}\"><span id=\"levels\">",
            lang.pick("Các lượt khớp", "Matches"),
            lang.pick("Lọc theo chữ bất kỳ…", "Filter by any text…"),
            lang.pick("Lọc", "Filter"),
        )?;
        for level in Level::ALL.into_iter().rev() {
            let word = level.as_str();
            write!(
                out,
                "<label class=\"{word}\"><input type=\"checkbox\" value=\"{word}\" checked> {}</label>",
                lang.level(level)
            )?;
        }
        writeln!(out, "</span><output id=\"shown\"></output></div>")?;
        let left_out = self.seen.saturating_sub(self.hits.len() as u64);
        if left_out > 0 {
            let words = lang.pick(
                "lượt khớp mức thấp hơn không có trong bảng; dùng --format jsonl hoặc csv để có tất cả",
                "matches of the lowest levels are not in the table; --format jsonl or csv gives all",
            );
            writeln!(out, "<p>{left_out} {words}</p>")?;
        }
        let heads = match lang {
            Lang::Vi => ["Thời gian", "Mức", "Quy tắc", "Máy", "Trường khớp", "Nguồn"],
            Lang::En => ["Time", "Level", "Rule", "Host", "Matched fields", "Source"],
        };
        writeln!(
            out,
            "<table id=\"hits\"><thead><tr><th>{}</th></tr></thead><tbody>",
            heads.join("</th><th>")
        )?;
        for (_, hit) in &self.hits {
            self.row(hit, out)?;
        }
        writeln!(out, "</tbody></table></section>")
    }

    fn row(&self, hit: &Hit, out: &mut dyn Write) -> io::Result<()> {
        let rule = self.rules.rule(hit.rule);
        let title = match (self.lang, rule.and_then(|rule| rule.title_vi.as_ref())) {
            (Lang::Vi, Some(title)) => title,
            _ => &hit.rule_title,
        };
        let tags = rule.map(|rule| rule.tags.as_slice()).unwrap_or_default();
        let tactics: Vec<&str> =
            attack::tactics(tags).into_iter().map(|tactic| self.lang.tactic(tactic)).collect();
        let mut fields = String::new();
        for field in &hit.fields {
            let _infallible = write!(
                fields,
                "<dt>{}</dt><dd>{}</dd>",
                escape(&field.field),
                escape(&field.value.to_text())
            );
        }
        if let Some(count) = hit.count {
            let _infallible =
                write!(fields, "<dt>{}</dt><dd>{count}</dd>", self.lang.pick("số đếm", "count"));
        }
        let host = hit.host.as_deref().unwrap_or_default();
        writeln!(
            out,
            "<tr class=\"{level}\" data-level=\"{level}\" data-host=\"{host}\" data-rule=\"{id}\"><td><time>{time}</time></td><td>{word}</td><td>{title}<small>{tactics} {techniques}<br>{id}</small></td><td>{host_cut}</td><td><dl>{fields}</dl></td><td>{file}:{event}</td></tr>",
            level = hit.level.as_str(),
            host = escape(host),
            id = escape(&hit.rule_id),
            time = escape(hit.timestamp.as_deref().unwrap_or_default()),
            word = self.lang.level(hit.level),
            title = escape(title),
            tactics = tactics.join(", "),
            techniques = escape(&attack::techniques(tags).join(" ")),
            host_cut = escape(&cut(host)),
            file = escape(&hit.file),
            event = hit.event,
        )
    }
}

/// A second as `2026-11-23 08:15:00` UTC.
fn clock(seconds: i64) -> String {
    let text = Timestamp::from_seconds(seconds).to_string();
    text.get(..19).map_or(text.clone(), |head| head.replace('T', " "))
}

/// A mark of an axis that is so many seconds long: the day where it spans several, else the time of day.
fn mark(seconds: i64, span: i64) -> String {
    let text = clock(seconds);
    let part = match span {
        ..=900 => text.get(11..19),
        901..=172_800 => text.get(11..16),
        172_801..=1_209_600 => text.get(5..16),
        _ => text.get(..10),
    };
    part.unwrap_or(&text).to_owned()
}

fn cut(text: &str) -> String {
    let mut signs = text.chars();
    let head: String = signs.by_ref().take(MAX_CHARS).collect();
    if signs.next().is_some() { head + "…" } else { head }
}

/// Text from outside as text of a page, also inside quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in harmless(text).chars() {
        match sign {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A number with `separator` between its groups of three digits.
fn grouped(number: u64, separator: &str) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push_str(separator);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_of_a_log_is_code(text in "\\PC{0,40}|[<>&\"'/a-z=\u{0}\u{202e}]{0,40}") {
            let escaped = escape(&text);
            let harmful = ['<', '>', '"', '\'', '\u{0}', '\u{202e}'];
            prop_assert!(!escaped.contains(harmful), "{}", escaped);
        }
    }

    #[test]
    fn clocks() {
        assert_eq!(clock(0), "1970-01-01 00:00:00");
        assert_eq!((mark(5, 60).as_str(), mark(3_600, 7_200).as_str()), ("00:00:05", "01:00"));
        assert_eq!((mark(0, 900_000).as_str(), mark(0, 9_000_000).as_str()), ("01-01 00:00", "1970-01-01"));
    }
}
