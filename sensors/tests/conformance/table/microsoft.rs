//! DCE/RPC and NTLM.

use super::Rule::{By, Is};
use super::{Line, line};

pub(super) const LINES: &[Line] = &[
    line("zeek", "dce_rpc", "rtt", By(|case, v| super::seconds(v, case.number("event.duration"))), ""),
    line(
        "zeek",
        "dce_rpc",
        "named_pipe",
        By(|case, v| v.replace("\\\\", "\\") == case.text("dongson.dce_rpc.named_pipe")),
        "",
    ),
    line("zeek", "dce_rpc", "endpoint", Is("dongson.dce_rpc.endpoint"), ""),
    line("zeek", "dce_rpc", "operation", Is("dongson.dce_rpc.operation"), ""),
    line("tshark", "dce_rpc", "dcerpc.opnum", Is("dongson.dce_rpc.opnum"), ""),
    line("tshark", "dce_rpc", "dcerpc.cn_ctx_id", Is("dongson.dce_rpc.context_id"), ""),
    line("suricata-verify", "dcerpc", "dcerpc.activityuuid", Is("dongson.dce_rpc.activity"), ""),
    line("suricata-verify", "dcerpc", "dcerpc.seqnum", Is("dongson.dce_rpc.sequence"), ""),
    line("suricata-verify", "dcerpc", "dcerpc.rpc_version", Is("dongson.dce_rpc.version"), ""),
    line(
        "suricata-verify",
        "dcerpc",
        "dcerpc.request",
        By(|case, v| v == "REQUEST" && !case.text("dongson.dce_rpc.opnum").is_empty()),
        "",
    ),
    line(
        "suricata-verify",
        "dcerpc",
        "dcerpc.response",
        By(|case, v| v == "RESPONSE" && !case.text("dongson.dce_rpc.response_fragments").is_empty()),
        "",
    ),
    line("suricata-verify", "dcerpc", "dcerpc.req.opnum", Is("dongson.dce_rpc.opnum"), ""),
    line("suricata-verify", "dcerpc", "dcerpc.req.frag_cnt", Is("dongson.dce_rpc.request_fragments"), ""),
    line("suricata-verify", "dcerpc", "dcerpc.req.stub_data_size", Is("dongson.dce_rpc.request_bytes"), ""),
    line("suricata-verify", "dcerpc", "dcerpc.res.frag_cnt", Is("dongson.dce_rpc.response_fragments"), ""),
    line("suricata-verify", "dcerpc", "dcerpc.res.stub_data_size", Is("dongson.dce_rpc.response_bytes"), ""),
    line("zeek", "ntlm", "server_nb_computer_name", Is("dongson.ntlm.server.netbios_computer"), ""),
    line("zeek", "ntlm", "server_dns_computer_name", Is("dongson.ntlm.server.dns_computer"), ""),
    line("zeek", "ntlm", "server_tree_name", Is("dongson.ntlm.server.dns_tree"), ""),
    line("zeek", "ntlm", "username", Is("user.name"), ""),
    line("zeek", "ntlm", "domainname", Is("user.domain"), ""),
    line("zeek", "ntlm", "hostname", Is("dongson.ntlm.workstation"), ""),
    line(
        "zeek",
        "ntlm",
        "success",
        By(|case, v| (case.text("event.outcome") == "success") == (v == "T")),
        "",
    ),
];
