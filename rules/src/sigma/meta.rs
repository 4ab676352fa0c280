//! What a rule says about itself: title, id, level, log source, and our own `dongson:` key.

use std::collections::BTreeMap;
use std::time::Duration;

use dongson_event::Level;
use serde_yaml_ng::{Mapping, Value};

use crate::RuleError;
use crate::rule::{LogSource, Rule, Status};

/// Taxonomies whose names a rule may use: Sigma's, and the ECS names of our events.
const TAXONOMIES: [&str; 3] = ["sigma", "ecs", "dongson"];

/// Reads everything but detection and correlation. `file` and `line` say where the document stands.
pub(crate) fn read(map: &Mapping, file: &str, line: usize) -> Result<Rule, RuleError> {
    refuse_obsolete(map)?;
    let title = text(map, "title")?.filter(|title| !title.trim().is_empty()).ok_or(RuleError::Missing {
        key: "title".to_owned(),
        hint: "say in one line what the rule detects",
    })?;
    let name = text(map, "name")?;
    let correlation = map.contains_key("correlation");
    let (logsource, logsource_notes) =
        if correlation { (LogSource::default(), BTreeMap::new()) } else { logsource(map)? };
    let mut rule = Rule {
        id: text(map, "id")?.or_else(|| name.clone()).unwrap_or_else(|| title.clone()),
        name,
        title,
        title_vi: None,
        description: text(map, "description")?.unwrap_or_default(),
        description_vi: None,
        response: None,
        response_vi: None,
        level: word(map, "level", "one of informational, low, medium, high, critical", Level::parse)?
            .unwrap_or(Level::Medium),
        status: word(
            map,
            "status",
            "one of stable, test, experimental, deprecated, unsupported",
            Status::parse,
        )?,
        author: text(map, "author")?,
        tags: texts(map, "tags")?,
        references: texts(map, "references")?,
        falsepositives: texts(map, "falsepositives")?,
        fields: texts(map, "fields")?,
        logsource,
        logsource_notes,
        filters: Vec::new(),
        extensions: Vec::new(),
        warnings: Vec::new(),
        file: file.to_owned(),
        line,
        entity: Vec::new(),
        window: None,
        reported: true,
        correlation,
        script: map.contains_key(crate::script::KEY),
        province: false,
    };
    if rule.status == Some(Status::Unsupported) {
        rule.warnings.push(
            "`status: unsupported`: its writer says that it cannot be used as it is; it is compiled nevertheless"
                .to_owned(),
        );
    }
    if let Some(Value::Mapping(response)) = map.get("response") {
        read_response(response, &mut rule);
    }
    if let Some(own) = map.get("dongson") {
        read_own(own, &mut rule)?;
    }
    Ok(rule)
}

pub(crate) fn refuse_obsolete(map: &Mapping) -> Result<(), RuleError> {
    if map.contains_key("action") {
        return Err(RuleError::Obsolete {
            what: "action:".to_owned(),
            instead: "write each rule as a document of its own, with its own log source and detection",
        });
    }
    match text(map, "taxonomy")? {
        Some(other) if !TAXONOMIES.contains(&other.as_str()) => Err(RuleError::Unsupported {
            what: format!("taxonomy: {other}"),
            instead: "use the field names of the taxonomy `sigma`, or ECS names with `taxonomy: ecs`",
        }),
        _ => Ok(()),
    }
}

/// Our own attributes; unlike Sigma's custom ones they are ours to check, so an unknown key is refused.
fn read_own(own: &Value, rule: &mut Rule) -> Result<(), RuleError> {
    let Value::Mapping(own) = own else {
        return Err(wrong("dongson", "a map of title_vi, description_vi, entity, window, scope"));
    };
    for key in own.keys() {
        let key = key.as_str().unwrap_or_default();
        if !matches!(key, "title_vi" | "description_vi" | "entity" | "window" | "scope") {
            return Err(wrong(
                key,
                "one of title_vi, description_vi, entity, window, scope (under `dongson:`)",
            ));
        }
    }
    rule.title_vi = text(own, "title_vi")?;
    rule.description_vi = text(own, "description_vi")?;
    rule.entity = texts(own, "entity")?;
    rule.window = text(own, "window")?
        .map(|span| {
            timespan(&span).ok_or_else(|| wrong("window", "a number and one of s, m, h, d, w, such as 1h"))
        })
        .transpose()?;
    rule.province = match text(own, "scope")?.as_deref() {
        None | Some("agency") => false,
        Some("province") if rule.correlation || rule.script => true,
        Some("province") => {
            return Err(wrong("scope", "`agency`; only a correlation or a script may be `province`"));
        }
        Some(_) => return Err(wrong("scope", "`agency` or `province`")),
    };
    Ok(())
}

/// What to do about a match, in two languages. The key is a custom one in Sigma's sense, so what others mean by it is
/// not refused: what is no text is left out.
fn read_response(response: &Mapping, rule: &mut Rule) {
    let words = |key| text(response, key).ok().flatten().map(|words| words.trim().to_owned());
    rule.response = words("en").filter(|words| !words.is_empty());
    rule.response_vi = words("vi").filter(|words| !words.is_empty());
}

/// The log source and what else is said about it; at least one of its three words must be there.
pub(crate) fn logsource(map: &Mapping) -> Result<(LogSource, BTreeMap<String, String>), RuleError> {
    let missing = || RuleError::Missing {
        key: "logsource".to_owned(),
        hint: "name at least one of product, category and service",
    };
    let Value::Mapping(source) = map.get("logsource").ok_or_else(missing)? else {
        return Err(wrong("logsource", "a map of product, category, service"));
    };
    let lower = |key: &str| Ok(text(source, key)?.map(|word| word.to_lowercase()));
    let logsource =
        LogSource { product: lower("product")?, category: lower("category")?, service: lower("service")? };
    if logsource == LogSource::default() {
        return Err(missing());
    }
    let mut notes = BTreeMap::new();
    for key in source.keys().filter_map(Value::as_str) {
        if !matches!(key, "product" | "category" | "service") {
            notes.insert(key.to_owned(), texts(source, key)?.join(", "));
        }
    }
    Ok((logsource, notes))
}

fn wrong(key: &str, expected: &'static str) -> RuleError {
    RuleError::WrongType { key: key.to_owned(), expected }
}

/// The text of `key`; a number counts as its digits, null as absent.
pub(crate) fn text(map: &Mapping, key: &str) -> Result<Option<String>, RuleError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(wrong(key, "text")),
    }
}

/// The texts of `key`: a list, or one text.
pub(crate) fn texts(map: &Mapping, key: &str) -> Result<Vec<String>, RuleError> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Null => Ok(None),
        _ => Err(wrong(key, "a list of texts")),
    };
    match map.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Sequence(items)) => items.iter().filter_map(|item| one(item).transpose()).collect(),
        Some(single) => Ok(one(single)?.into_iter().collect()),
    }
}

fn word<T>(
    map: &Mapping,
    key: &str,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, RuleError> {
    text(map, key)?.map(|word| parse(&word).ok_or_else(|| wrong(key, expected))).transpose()
}

/// Reads `30s`, `5m`, `1h`, `7d`, `2w`; not zero and at most 366 days.
pub(crate) fn timespan(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let total = count.checked_mul(seconds)?;
    (1..=366 * 86_400).contains(&total).then(|| Duration::from_secs(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<Rule, RuleError> {
        read(&serde_yaml_ng::from_str(text).unwrap(), "x.yml", 1)
    }

    #[test]
    fn spans() {
        assert_eq!(timespan("90m"), Some(Duration::from_mins(90)));
        for bad in ["", "m", "0s", "1M", "1.5h", "9999999999999999999d", "2y", "-1s"] {
            assert_eq!(timespan(bad), None, "{bad}");
        }
    }

    #[test]
    fn own_attributes() {
        let rule = rule(
            "title: T\nid: 7\nlevel: high\nlogsource: {product: Windows}\ntags: attack.t1110\ndongson:\n  title_vi: Dò mật khẩu\n  entity: [source.ip]\n  window: 1h\n",
        )
        .unwrap();
        assert_eq!((rule.id.as_str(), rule.level), ("7", Level::High));
        assert_eq!(rule.title_vi.as_deref(), Some("Dò mật khẩu"));
        assert_eq!(rule.window, Some(Duration::from_hours(1)));
        assert_eq!(rule.logsource.product.as_deref(), Some("windows"));
        assert_eq!(rule.tags, ["attack.t1110"]);
    }

    #[test]
    fn a_response_in_two_languages() {
        let own = rule(
            "title: T\nlogsource: {product: x}\nresponse:\n  en: >-\n    Look\n    twice.\n  vi: Xem lại.\n",
        )
        .unwrap();
        assert_eq!(own.response.as_deref(), Some("Look twice."));
        assert_eq!(own.response_vi.as_deref(), Some("Xem lại."));
        for foreign in ["response: isolate", "response: [a, b]", "response: {en: [a], vi: ''}"] {
            let other = rule(&format!("title: T\nlogsource: {{product: x}}\n{foreign}\n")).unwrap();
            assert_eq!((other.response, other.response_vi), (None, None), "{foreign}");
        }
    }

    #[test]
    fn refusals_say_what_to_write() {
        for (text, part) in [
            ("logsource: {product: x}", "\"title\" is missing"),
            ("title: T", "\"logsource\" is missing"),
            ("title: T\nlogsource: {definition: x}", "at least one of product"),
            ("title: T\nlogsource: {product: x}\nlevel: severe", "one of informational"),
            ("title: T\nlogsource: {product: x}\ndongson: {titel_vi: a}", "title_vi, description_vi"),
            ("title: T\nlogsource: {product: x}\ndongson: {window: soon}", "such as 1h"),
            ("title: T\nlogsource: {product: x}\naction: global", "obsolete"),
            ("title: T\nlogsource: {product: x}\ntaxonomy: acme", "taxonomy: acme"),
        ] {
            let reason = rule(text).unwrap_err().to_string();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }
}
