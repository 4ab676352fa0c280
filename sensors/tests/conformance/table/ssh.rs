//! SSH.

use super::Rule::{By, Is};
use super::{Line, line};
use crate::values::Case;

pub(super) const LINES: &[Line] = &[
    line("suricata-verify", "ssh", "ssh.client.proto_version", Is("dongson.ssh.client.version"), ""),
    line("suricata-verify", "ssh", "ssh.client.software_version", Is("dongson.ssh.client.software"), ""),
    line("suricata-verify", "ssh", "ssh.client.hassh.hash", Is("dongson.ssh.client.hassh"), ""),
    line("suricata-verify", "ssh", "ssh.client.hassh.string", Is("dongson.ssh.client.hassh_string"), ""),
    line("suricata-verify", "ssh", "ssh.server.proto_version", Is("dongson.ssh.server.version"), ""),
    line("suricata-verify", "ssh", "ssh.server.software_version", Is("dongson.ssh.server.software"), ""),
    line("suricata-verify", "ssh", "ssh.server.hassh.hash", Is("dongson.ssh.server.hassh"), ""),
    line("suricata-verify", "ssh", "ssh.server.hassh.string", Is("dongson.ssh.server.hassh_string"), ""),
    line("zeek", "ssh", "client", Is("dongson.ssh.client.banner"), ""),
    line("zeek", "ssh", "server", Is("dongson.ssh.server.banner"), ""),
    line("zeek", "ssh", "version", By(major_version), "Zeek gives the major version that both can speak"),
    line("zeek", "ssh", "kex_alg", Is("dongson.ssh.kex_algorithm"), ""),
    line("zeek", "ssh", "host_key_alg", Is("dongson.ssh.host_key_algorithm"), ""),
    line("zeek", "ssh", "cipher_alg", Is("dongson.ssh.cipher"), ""),
    line("zeek", "ssh", "mac_alg", Is("dongson.ssh.mac"), ""),
    line("zeek", "ssh", "compression_alg", Is("dongson.ssh.compression"), ""),
];

/// 2 unless one side can speak 1.x only (RFC 4253, 5.1: 1.99 speaks both).
fn major_version(case: &Case<'_>, theirs: &str) -> bool {
    let sides = [case.text("dongson.ssh.client.version"), case.text("dongson.ssh.server.version")];
    let old = sides.iter().any(|version| version.starts_with("1.") && version != "1.99");
    theirs == if old { "1" } else { "2" }
}
