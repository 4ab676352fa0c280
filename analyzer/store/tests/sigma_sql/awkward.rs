//! Values that are easily read in two ways, in fields with and without a column, and tests that ask for them.

use dongson_rules::text::fold_char;
use serde_json::{Value as Json, json};

use super::shipped::rule;

/// Fields: outside the columns, and one column of each type.
const FIELDS: [&str; 9] = [
    "v", "source.port", "source.ip", "dongson.dns.entropy", "tls.established", "tls.server.not_after",
    "event.category", "process.command_line", "event.outcome",
];

/// Rules and events.
pub(super) fn all() -> (Vec<(String, String)>, Vec<Json>) {
    let mut rules = Vec::new();
    for field in FIELDS {
        for (number, (modifier, value)) in tests().into_iter().enumerate() {
            let selection = json!({format!("{field}{modifier}"): value});
            let detection = json!({"sel": selection, "condition": if number % 3 == 2 { "not sel" } else { "sel" }});
            rules.push(("awkward.yml".to_owned(), rule(&format!("{field}{modifier} {value}"), &detection)));
        }
    }
    for keyword in ["a", "*ong*", "4104", "4104.5", "10.0.0.1", "success", "'", "so-yte", "e1", "true", "*2026*", "1e21"] {
        let detection = json!({"sel": [keyword], "condition": "sel"});
        rules.push(("keyword.yml".to_owned(), rule(&format!("keyword {keyword}"), &detection)));
    }
    let mut events = Vec::new();
    for field in FIELDS {
        events.extend(values().into_iter().map(|value| json!({field: value, "w": "a"})));
    }
    events.push(json!({}));
    // Every sign that has another case, beside what it folds to.
    for sign in ('\0'..=char::MAX).filter(|sign| fold_char(*sign) != *sign) {
        events.push(json!({"v": format!("x{sign}"), "w": format!("x{}", fold_char(sign)), "tags": [sign.to_string()]}));
    }
    (rules, events)
}

fn values() -> Vec<Json> {
    let texts = [
        "", " ", "a", "A", "ab", "AB", "a*b", "a?b", "axb", "a\nb", "a\\b", "\\", "\\\\", "'", "\"", "a\"b", "K", "k",
        "\u{212a}", "ſ", "s", "ı", "i", "İ", "Đông Sơn", "ĐÔNG SƠN", "đông sơn", "STRAẞE", "straße", "ΣΊΣΥΦΟΣ", "a\0b", "\u{7f}",
        "😀", "a\u{301}", "null", "[]", "[1]", "{}", "true", "True", "4104", "4104.0", "4104.50", "+4104", "04104", "4104.",
        " 4104 ", "\u{a0}4104\u{3000}", "\u{b}5", ".5", "0.5", "0.50", "-0", "-0.0", "1e3", "1E+3", "1000", "1e-7",
        "0.0000001", "1e21", "1e400", "-1e400", "inf", "Infinity", "-infinity", "+INF", "nan", "NaN", "18446744073709551615", "9007199254740993",
        "9007199254740992", "0.1", "4.35", "4.350", "10.0.0.1", " 10.0.0.1 ", "10.0.0.01", "10.0.0.256", "::1", "::ffff:10.0.0.1",
        "::10.0.0.1", "::a00:1", "fd00::1", "FD00:0:0::1", "fe80::1%eth0", "1:2:3:4:5:6:7::", "203.0.113.7", "success",
        "cmd /enc x", "cmd -enc x", "cmd –enc x", "cmd —enc x", "cmd ―enc x", "2026-11-23T02:05:12.000Z", "2026-11-23T02:05:12Z",
        "2026-11-23T02:05:12.123456Z", "2026-11-23T02:05:12.123456789Z", "1850-01-01T00:00:00.000Z", "1899-12-31T23:59:59.999Z", "1900-01-01T00:00:00.000Z",
        "2026-11-23 09:05:12+07:00", "1969-12-31T23:59:59.999Z", "cHdk", "xcHdkx",
    ];
    let mut all: Vec<Json> = texts.iter().map(|text| json!(text)).collect();
    all.extend([
        json!(null), json!([]), json!([null]), json!(["a"]), json!(["b", null, "A"]), json!(["", "x"]), json!([1, 2.5, true, null, "4104"]),
        json!([4104.0, "q"]), json!([1e21, 1e-7]), json!(true), json!(false), json!(0), json!(-0.0), json!(1), json!(-1), json!(4104), json!(4104.0), json!(4104.5),
        json!(0.5), json!(0.1), json!(1e15), json!(1e16), json!(123_456_789_012_345_680.0), json!(1e21), json!(1.5e300), json!(-2.5e22), json!(1e-5), json!(1e-7), json!(-1.25e-9), json!(5e-324),
        json!(4.35), json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!(["10.0.0.1", "::1"]), json!(["::a00:1", "0:0:0:0:0:ffff:a00:1"]), json!(["Đông", "b"]),
        json!("x".repeat(5_000)), json!({"w": 1}),
    ]);
    all
}

fn tests() -> Vec<(&'static str, Json)> {
    let mut all = vec![
        ("", json!("")), ("", json!(null)), ("|exists", json!(true)), ("|exists", json!(false)), ("", json!("*")), ("", json!("?")), ("", json!("?*")),
        ("", json!("a")), ("|cased", json!("A")), ("", json!("a*b")), ("", json!("a?b")), ("", json!("a\\*b")), ("", json!("\\\\")), ("", json!("'")),
        ("|contains", json!("a")), ("|contains", json!(["a", "k", "'", "\\", "\n"])), ("|contains|all", json!(["a", "b"])), ("|startswith", json!(["A", "đ"])),
        ("|endswith", json!(["b", "ơn", "k"])), ("|contains|cased", json!(["Đ", "A"])), ("", json!("đông sơn")), ("|contains", json!("ô")), ("", json!("đ*n")), ("", json!("??")),
        ("", json!("STRASSE")), ("", json!("straße")), ("|contains", json!("σ")), ("", json!("k")), ("", json!(["K", "s", "i", "ı"])), ("|contains", json!("s")),
        ("", json!("x?")), ("", json!("😀")), ("", json!("a?")), ("", json!("null")), ("", json!("[]")), ("", json!("true")), ("", json!(true)), ("", json!(false)),
        ("", json!(4104)), ("", json!("4104")), ("", json!(4104.5)), ("", json!(0)), ("", json!(1)), ("", json!(0.5)), ("", json!(0.1)), ("", json!(4.35)), ("", json!(1000)), ("", json!(-1)), ("", json!(1e21)), ("", json!(1e-7)),
        ("", json!([1, 4104, 7.25])), ("", json!("1e21")), ("", json!("0.0000001")), ("", json!("1000000000000000000000")), ("", json!("*e*")), ("", json!("5")), ("", json!("-0")),
        ("|lt", json!(0)), ("|lte", json!(0)), ("|gt", json!(4104)), ("|gte", json!(4104)), ("|gt", json!(0.1)), ("|gte", json!(4.35)), ("|lte", json!(4.35)), ("|lt", json!(1e300)), ("|gt", json!(9_007_199_254_740_992_i64)), ("|gt", json!(1e308)),
        ("|re", json!("^a.b$")), ("|re|s", json!("^a.b$")), ("|re|i", json!("đông")), ("|re", json!("\\bcat\\b|^\\w+$")), ("|re", json!("\\d{4}")), ("|re", json!("^$")), ("|re|i", json!("[k-s]")), ("|re|m", json!("^b$")), ("|re", json!("x{3,5}$")), ("|re", json!("\\s")),
        ("|cidr", json!("10.0.0.0/8")), ("|cidr", json!("10.0.0.1")), ("|cidr", json!("::/0")), ("|cidr", json!("fd00::/8")), ("|cidr", json!("::ffff:0:0/96")), ("|cidr", json!("0.0.0.0/0")), ("|cidr", json!(["203.0.113.0/24", "::1/128"])),
        ("|fieldref", json!("w")), ("|fieldref|contains", json!("w")), ("|fieldref|startswith", json!("w")), ("|fieldref|endswith", json!("w")), ("|fieldref|cased", json!("w")), ("|fieldref|cased|contains", json!("w")), ("|fieldref", json!("absent")), ("|fieldref|contains", json!("tags")),
        ("|windash|contains", json!(" -enc")), ("|windash|contains", json!([" -enc", " /x", "a"])), ("|base64", json!("pwd")), ("|base64offset|contains", json!("pwd")), ("|neq", json!("a")), ("|contains", json!("2026-11-23T02:05:12")),
        ("", json!("2026-11-23T02:05:12.000Z")), ("", json!("1850*")), ("|startswith", json!(["1899", "1900", "::", "10"])), ("", json!("10.0.0.1")), ("", json!("::a00:1")), ("", json!("::10.0.0.1")), ("", json!("success")),
    ];
    // Many values of one field are asked together.
    all.push(("|contains", Json::Array((0..600).map(|number| json!(format!("z{number}"))).chain([json!("ab")]).collect())));
    all.push(("|windash|contains", Json::Array((0..200).map(|number| json!(format!(" -opt{number}"))).chain([json!(" -enc")]).collect())));
    all
}
