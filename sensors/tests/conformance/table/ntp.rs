//! NTP.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "ntp", "event_type", By(|_, v| v == "ntp"), ""),
    line("suricata-verify", "ntp", "ntp.version", Is("dongson.ntp.version"), ""),
    line("suricata-verify", "ntp", "ntp.mode", Is("dongson.ntp.mode"), ""),
    line("suricata-verify", "ntp", "ntp.stratum", Is("dongson.ntp.stratum"), ""),
    line("suricata-verify", "ntp", "ntp.reference_id", By(reference_bytes), ""),
    line("zeek", "ntp", "mode", Is("dongson.ntp.mode"), ""),
    line("zeek", "ntp_control", "mode", Is("dongson.ntp.mode"), ""),
    line("zeek", "ntp_private", "mode", Is("dongson.ntp.mode"), ""),
    line("zeek", "ntp", "version", Is("dongson.ntp.version"), ""),
    line("zeek", "ntp_control", "version", Is("dongson.ntp.version"), ""),
    line("zeek", "ntp_private", "version", Is("dongson.ntp.version"), ""),
    line("zeek", "ntp", "stratum", Is("dongson.ntp.stratum"), ""),
    line("zeek", "ntp", "poll", By(|case, v| number(case, "dongson.ntp.poll", v)), ""),
    line("zeek", "ntp", "precision", By(|case, v| number(case, "dongson.ntp.precision", v)), ""),
    line("zeek", "ntp", "root_delay", By(|case, v| number(case, "dongson.ntp.root_delay", v)), ""),
    line("zeek", "ntp", "root_disp", By(|case, v| number(case, "dongson.ntp.root_dispersion", v)), ""),
    line("zeek", "ntp", "ref_id", By(reference), ""),
    line("zeek", "ntp", "ref_time", By(|case, v| moment(case, "dongson.ntp.reference_time", v)), ""),
    line("zeek", "ntp", "org_time", By(|case, v| moment(case, "dongson.ntp.origin_time", v)), ""),
    line("zeek", "ntp", "rec_time", By(|case, v| moment(case, "dongson.ntp.receive_time", v)), ""),
    line("zeek", "ntp", "xmt_time", By(|case, v| moment(case, "dongson.ntp.transmit_time", v)), ""),
    line("zeek", "ntp", "num_exts", Is("dongson.ntp.extensions"), ""),
    line("zeek", "ntp_control", "op_code", Is("dongson.ntp.op_code"), ""),
    line("zeek", "ntp_control", "sequence", Is("dongson.ntp.sequence"), ""),
    line("zeek", "ntp_private", "sequence", Is("dongson.ntp.sequence"), ""),
    line("zeek", "ntp_control", "status", Is("dongson.ntp.status"), ""),
    line("zeek", "ntp_control", "association_id", Is("dongson.ntp.association_id"), ""),
    line("zeek", "ntp_control", "resp_bit", By(|case, v| truth(case, "dongson.ntp.response", v)), ""),
    line("zeek", "ntp_control", "err_bit", By(|case, v| truth(case, "dongson.ntp.error", v)), ""),
    line("zeek", "ntp_control", "more_bit", By(|case, v| truth(case, "dongson.ntp.more", v)), ""),
    line("zeek", "ntp_private", "req_code", Is("dongson.ntp.request_code"), ""),
    line("zeek", "ntp_private", "implementation", Is("dongson.ntp.implementation"), ""),
    line("zeek", "ntp_private", "auth_bit", By(|case, v| truth(case, "dongson.ntp.authenticated", v)), ""),
    line("zeek", "ntp_private", "err", Is("dongson.ntp.error_code"), ""),
];

fn truth(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    case.text(name) == if theirs == "T" { "true" } else { "false" }
}

/// Equal in the six digits that Zeek writes.
fn number(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    case.text(name).parse::<f64>().is_ok_and(|ours| format!("{ours:.6}") == theirs)
}

/// Equal to the microsecond; Zeek's zero is our absent.
fn moment(case: &Case<'_>, name: &str, theirs: &str) -> bool {
    let Some(ours) = case.event.time(name) else { return theirs == "0.000000" };
    let theirs: f64 = theirs.parse().unwrap_or(f64::NAN);
    #[expect(clippy::cast_precision_loss, reason = "compared to the microsecond")]
    let ours = ours.nanos() as f64 / 1e9;
    (ours - theirs).abs() < 2e-6
}

fn reference(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("dongson.ntp.reference_id");
    ours == theirs.replace("\\x00", "") || (ours.is_empty() && theirs == "0.0.0.0")
}

/// Suricata writes the four bytes.
fn reference_bytes(case: &Case<'_>, theirs: &str) -> bool {
    let ours = case.text("dongson.ntp.reference_id");
    let mut bytes: Vec<u8> = match ours.parse::<std::net::Ipv4Addr>() {
        Ok(address) => address.octets().to_vec(),
        Err(_) => ours.into_bytes(),
    };
    bytes.resize(4, 0);
    let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    words.join(":") == theirs
}
