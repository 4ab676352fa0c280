//! DNS: one message of ours beside the records of others.

use super::Rule::{By, Drop, Is};
use super::{Line, hexadecimal, line, seconds};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("tshark", "dns", "dns.id", By(|case, v| hexadecimal(v) == case.number("dns.id")), ""),
    line(
        "tshark",
        "dns",
        "dns.flags.response",
        By(|case, v| (case.text("dns.type") == "answer") == (v == "1")),
        "",
    ),
    line("tshark", "dns", "dns.qry.name", By(question), ""),
    line("tshark", "dns", "dns.qry.type", By(|case, v| type_name(v) == case.text("dns.question.type")), ""),
    line(
        "tshark",
        "dns",
        "dns.flags.rcode",
        By(|case, v| rcode_name(v) == case.text("dns.response_code")),
        "",
    ),
    line("tshark", "dns", "dns.a", By(|case, v| records_of(case, "A") == v), ""),
    line("tshark", "dns", "dns.aaaa", By(|case, v| records_of(case, "AAAA") == v), ""),
    line("tshark", "dns", "dns.cname", By(|case, v| records_of(case, "CNAME") == v), ""),
    line("zeek", "dns", "trans_id", Is("dns.id"), ""),
    line("zeek", "dns", "query", Is("dns.question.name"), ""),
    line("zeek", "dns", "original_query", By(question), ""),
    line("zeek", "dns", "qclass", By(|case, v| v == "1" && case.text("dns.question.class") == "IN"), ""),
    line(
        "zeek",
        "dns",
        "qclass_name",
        By(|case, v| v == "C_INTERNET" && case.text("dns.question.class") == "IN"),
        "",
    ),
    line("zeek", "dns", "qtype", By(|case, v| type_name(v) == case.text("dns.question.type")), ""),
    line(
        "zeek",
        "dns",
        "qtype_name",
        By(|case, v| v.replace('*', "ANY") == case.text("dns.question.type")),
        "",
    ),
    line("zeek", "dns", "rcode", By(|case, v| rcode_name(v) == case.text("dns.response_code")), ""),
    line("zeek", "dns", "rcode_name", Is("dns.response_code"), ""),
    line("zeek", "dns", "AA", By(|case, v| answered_flag(case, "AA", v)), ZEEK_FLAGS),
    line("zeek", "dns", "TC", By(|case, v| header_flag(case, "TC", v)), ""),
    line("zeek", "dns", "RD", By(|case, v| asked_flag(case, "RD", v)), ZEEK_FLAGS),
    line("zeek", "dns", "RA", By(|case, v| answered_flag(case, "RA", v)), ZEEK_FLAGS),
    line("zeek", "dns", "Z", By(|case, v| reserved(case) == v), ""),
    line("zeek", "dns", "answers", By(|case, v| zeek_answers(case) == v), ""),
    line("zeek", "dns", "TTLs", By(|case, v| zeek_ttls(case) == v), ""),
    line(
        "zeek",
        "dns",
        "rejected",
        By(|case, v| (case.text("dns.response_code") == "REFUSED") == (v == "T")),
        "",
    ),
    line("zeek", "dns", "opcode", By(|case, v| v == "0" && case.text("dns.op_code") == "QUERY"), ""),
    line("zeek", "dns", "opcode_name", By(|case, v| v.to_uppercase() == case.text("dns.op_code")), ""),
    line("zeek", "dns", "rtt", By(|case, v| seconds(v, case.number("dongson.dns.rtt"))), ""),
    line("suricata-verify", "dns", "dns.type", By(|case, v| dns_type(v) == case.text("dns.type")), ""),
    line("suricata-verify", "dns", "dns.version", Drop, "the number of EVE's own DNS layout"),
    line("suricata-verify", "dns", "dns.id", Is("dns.id"), ""),
    line(
        "suricata-verify",
        "dns",
        "dns.opcode",
        By(|case, v| opcode_name(v) == case.text("dns.op_code")),
        "",
    ),
    line("suricata-verify", "dns", "dns.rcode", Is("dns.response_code"), ""),
    line(
        "suricata-verify",
        "dns",
        "dns.qr",
        By(|case, v| (case.text("dns.type") == "answer") == (v == "true")),
        "",
    ),
    line("suricata-verify", "dns", "dns.aa", By(|case, v| header_flag(case, "AA", v)), ""),
    line("suricata-verify", "dns", "dns.tc", By(|case, v| header_flag(case, "TC", v)), ""),
    line("suricata-verify", "dns", "dns.rd", By(|case, v| header_flag(case, "RD", v)), ""),
    line("suricata-verify", "dns", "dns.ra", By(|case, v| header_flag(case, "RA", v)), ""),
    line("suricata-verify", "dns", "dns.flags", By(|case, v| dns_flags(case) == v), ""),
    line("suricata-verify", "dns", "dns.queries[*].rrname", By(question_at), ""),
    line("suricata-verify", "dns", "dns.queries[*].rrtype", By(question_type_at), ""),
    line("suricata-verify", "dns", "dns.rrname", By(question), ""),
    line("suricata-verify", "dns", "dns.rrtype", Is("dns.question.type"), ""),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].rrname",
        By(|case, v| {
            same_name(case.item("dns.answers.name"), v)
                || (text_is_split(case) && same_name(case.list("dns.answers.name").into_iter().next(), v))
        }),
        SPLIT_TEXT,
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].rrtype",
        By(|case, v| {
            case.item("dns.answers.type").as_deref() == Some(v)
                || (text_is_split(case)
                    && case.list("dns.answers.type").first().is_some_and(|ours| ours == v))
        }),
        SPLIT_TEXT,
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].rdata",
        By(|case, v| case.item("dns.answers.data").as_deref() == Some(v) || text_is_split(case)),
        SPLIT_TEXT,
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].ttl",
        By(|case, v| {
            case.item("dns.answers.ttl").as_deref() == Some(v)
                || (text_is_split(case) && case.list("dns.answers.ttl").first().is_some_and(|ours| ours == v))
        }),
        SPLIT_TEXT,
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].sshfp.algo",
        By(|case, v| case.item("dns.answers.data").is_some_and(|data| data.split(' ').next() == Some(v))),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.answers[*].sshfp.fingerprint",
        By(|case, v| case.item("dns.answers.data").is_some_and(|data| data.ends_with(&v.replace(':', "")))),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.authorities[*].rrname",
        By(|case, v| same_name(case.item("dongson.dns.authorities.name"), v)),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.authorities[*].rrtype",
        By(|case, v| case.item("dongson.dns.authorities.type").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.authorities[*].rdata",
        By(|case, v| case.item("dongson.dns.authorities.data").as_deref() == Some(v)),
        "",
    ),
    line(
        "suricata-verify",
        "dns",
        "dns.authorities[*].ttl",
        By(|case, v| case.item("dongson.dns.authorities.ttl").as_deref() == Some(v)),
        "",
    ),
    line("suricata-verify", "dns", "dns.grouped.A[*]", By(|case, v| answer_at(case, "A") == v), ""),
    line(
        "suricata-verify",
        "dns",
        "dns.grouped.TXT[*]",
        By(|case, v| answer_at(case, "TXT") == v || text_is_split(case)),
        SPLIT_TEXT,
    ),
    line("suricata-verify", "dns", "dns.grouped.CNAME[*]", By(|case, v| answer_at(case, "CNAME") == v), ""),
];

const SPLIT_TEXT: &str = "Suricata makes an answer of each string of a TXT record; ours are joined (RFC 7208, 3.3) and compared joined";

const ZEEK_FLAGS: &str = "Zeek takes AA and RA only from an answer with records, RD only from a question that it saw; else they are F";

pub(super) fn same_name(ours: Option<String>, theirs: &str) -> bool {
    ours.is_some_and(|ours| ours.eq_ignore_ascii_case(theirs))
}

/// The name asked for, as it was written.
pub(super) fn question(case: &Case<'_>, theirs: &str) -> bool {
    let original = case.text("dongson.dns.question_original");
    let ours = if original.is_empty() { case.text("dns.question.name") } else { original };
    let root = ours.is_empty() && theirs == "<Root>";
    ours == theirs || root
}

pub(super) fn question_at(case: &Case<'_>, theirs: &str) -> bool {
    let all = case.list("dongson.dns.questions.name");
    if all.is_empty() {
        question(case, theirs)
    } else {
        all.get(case.index).is_some_and(|ours| ours == theirs)
    }
}

pub(super) fn question_type_at(case: &Case<'_>, theirs: &str) -> bool {
    let all = case.list("dongson.dns.questions.type");
    if all.is_empty() {
        case.text("dns.question.type") == theirs
    } else {
        all.get(case.index).is_some_and(|ours| ours == theirs)
    }
}

pub(super) fn type_name(number: &str) -> String {
    const NAMES: &[(&str, &str)] = &[
        ("1", "A"),
        ("2", "NS"),
        ("5", "CNAME"),
        ("6", "SOA"),
        ("12", "PTR"),
        ("15", "MX"),
        ("16", "TXT"),
        ("28", "AAAA"),
        ("32", "NB"),
        ("33", "SRV"),
        ("35", "NAPTR"),
        ("43", "DS"),
        ("46", "RRSIG"),
        ("48", "DNSKEY"),
        ("64", "SVCB"),
        ("65", "HTTPS"),
        ("252", "AXFR"),
        ("255", "ANY"),
    ];
    let name = NAMES.iter().find(|(code, _)| *code == number).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("TYPE{number}"))
}

pub(super) fn rcode_name(number: &str) -> &str {
    match number {
        "0" => "NOERROR",
        "1" => "FORMERR",
        "2" => "SERVFAIL",
        "3" => "NXDOMAIN",
        "4" => "NOTIMP",
        "5" => "REFUSED",
        other => other,
    }
}

pub(super) fn opcode_name(number: &str) -> String {
    match number {
        "0" => "QUERY".to_owned(),
        "4" => "NOTIFY".to_owned(),
        "5" => "UPDATE".to_owned(),
        other => format!("OPCODE{other}"),
    }
}

pub(super) fn dns_type(theirs: &str) -> &str {
    match theirs {
        "request" => "query",
        "response" => "answer",
        other => other,
    }
}

pub(super) fn header_flag(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    let set = case.list("dns.header_flags").iter().any(|flag| flag == name);
    set == matches!(theirs, "T" | "true")
}

pub(super) fn fact_has(case: &Case<'_>, name: &str) -> bool {
    case.fact.is_some_and(|fact| fact.fields.iter().any(|(theirs, _)| theirs == name))
}

pub(super) fn answered_flag(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    if fact_has(case, "TTLs") { header_flag(case, name, theirs) } else { theirs == "F" }
}

pub(super) fn asked_flag(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    if fact_has(case, "qtype") { header_flag(case, name, theirs) } else { theirs == "F" }
}

pub(super) fn bit(case: &Case<'_>, name: &str, value: u16) -> u16 {
    if case.list("dns.header_flags").iter().any(|flag| flag == name) { value } else { 0 }
}

/// The three bits between RA and the response code.
pub(super) fn reserved(case: &Case<'_>) -> String {
    (bit(case, "Z", 4) | bit(case, "AD", 2) | bit(case, "CD", 1)).to_string()
}

/// The second word of the message, put together again.
pub(super) fn dns_flags(case: &Case<'_>) -> String {
    let answer = if case.text("dns.type") == "answer" { 0x8000 } else { 0 };
    let code = (0..=5_u16).find(|code| rcode_name(&code.to_string()) == case.text("dns.response_code"));
    let named =
        [("AA", 0x400), ("TC", 0x200), ("RD", 0x100), ("RA", 0x80), ("Z", 0x40), ("AD", 0x20), ("CD", 0x10)];
    let flags = named.iter().fold(0, |all, (name, value)| all | bit(case, name, *value));
    format!("{:x}", answer | flags | code.unwrap_or(0))
}

/// True when all answers are texts, and the fact's joined are ours joined.
pub(super) fn text_is_split(case: &Case<'_>) -> bool {
    let theirs: String = case
        .fact
        .iter()
        .flat_map(|fact| &fact.fields)
        .filter(|(name, _)| name.starts_with("dns.answers[") && name.ends_with("].rdata"))
        .map(|(_, value)| crate::values::plain(value))
        .collect();
    let only_texts = case.list("dns.answers.type").iter().all(|kind| kind == "TXT");
    only_texts && !theirs.is_empty() && case.list("dns.answers.data").concat() == theirs
}

/// The data of all answers of one type.
pub(super) fn data_of(case: &Case<'_>, kind: &str) -> Vec<String> {
    let (kinds, data) = (case.list("dns.answers.type"), case.list("dns.answers.data"));
    kinds.iter().zip(data).filter(|(name, _)| *name == kind).map(|(_, data)| data).collect()
}

/// The data of all records of one type, in the order of the message, as tshark writes a list.
pub(super) fn records_of(case: &Case<'_>, kind: &str) -> String {
    let sections = ["dns.answers", "dongson.dns.authorities", "dongson.dns.additionals"];
    let all = sections.into_iter().flat_map(|section| {
        let (kinds, data) = (case.list(&format!("{section}.type")), case.list(&format!("{section}.data")));
        kinds.into_iter().zip(data).filter(|(name, _)| name == kind).map(|(_, data)| data)
    });
    all.collect::<Vec<_>>().join("|")
}

pub(super) fn answer_at(case: &Case<'_>, kind: &str) -> String {
    data_of(case, kind).into_iter().nth(case.index).unwrap_or_else(|| "(none)".to_owned())
}

/// Zeek writes texts with type and length in front.
pub(super) fn zeek_answers(case: &Case<'_>) -> String {
    let (kinds, data) = (case.list("dns.answers.type"), case.list("dns.answers.data"));
    let written = kinds.iter().zip(data).map(|(kind, data)| match kind.as_str() {
        "TXT" | "SPF" => format!("{kind} {} {data}", data.len()),
        _ => data,
    });
    written.collect::<Vec<_>>().join(",")
}

pub(super) fn zeek_ttls(case: &Case<'_>) -> String {
    case.list("dns.answers.ttl").iter().map(|ttl| format!("{ttl}.000000")).collect::<Vec<_>>().join(",")
}
