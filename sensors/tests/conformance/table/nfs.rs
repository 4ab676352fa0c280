//! NFS.

use super::Rule::{By, Drop, Is};
use super::{Line, line};

pub(super) const LINES: &[Line] = &[
    line(
        "suricata-verify",
        "nfs",
        "nfs.id",
        Drop,
        "Suricata's number of the transaction, as tx_id on the README's list",
    ),
    line("suricata-verify", "nfs", "nfs.version", Is("dongson.nfs.version"), ""),
    line("suricata-verify", "nfs", "nfs.procedure", Is("dongson.nfs.procedure"), ""),
    line("suricata-verify", "nfs", "nfs.filename", Is("file.path"), ""),
    line("suricata-verify", "nfs", "nfs.status", Is("dongson.nfs.status"), ""),
    line(
        "suricata-verify",
        "nfs",
        "nfs.type",
        By(|case, v| v == "request" || !case.text("dongson.rpc.status").is_empty()),
        "Suricata says which of two messages it logs, ours is both",
    ),
    line(
        "suricata-verify",
        "nfs",
        "nfs.write.first",
        By(|case, v| {
            let first =
                case.text("dongson.nfs.procedure") == "WRITE" && case.text("dongson.nfs.offset") == "0";
            first == (v == "true")
        }),
        "",
    ),
    line("suricata-verify", "nfs", "rpc.xid", Is("dongson.rpc.xid"), ""),
    line("suricata-verify", "nfs", "rpc.status", Is("dongson.rpc.status"), ""),
    line("suricata-verify", "nfs", "rpc.auth_type", Is("dongson.rpc.auth_type"), ""),
    line("suricata-verify", "nfs", "rpc.creds.machine_name", Is("dongson.rpc.machine_name"), ""),
    line("suricata-verify", "nfs", "rpc.creds.uid", Is("dongson.rpc.uid"), ""),
    line("suricata-verify", "nfs", "rpc.creds.gid", Is("dongson.rpc.gid"), ""),
];
