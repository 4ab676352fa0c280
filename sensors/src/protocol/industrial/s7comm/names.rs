//! Words of S7comm.

/// Kind of a PDU (`ROSCTR`).
pub(super) fn kind(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "job",
        2 => "ack",
        3 => "ack_data",
        7 => "userdata",
        _ => return None,
    })
}

/// Function of a job.
pub(super) fn function(code: u8) -> String {
    let name = match code {
        0x00 => "cpu_services",
        0x04 => "read_variable",
        0x05 => "write_variable",
        0x1a => "request_download",
        0x1b => "download_block",
        0x1c => "download_ended",
        0x1d => "start_upload",
        0x1e => "upload",
        0x1f => "end_upload",
        0x28 => "pi_service",
        0x29 => "plc_stop",
        0xf0 => "setup_communication",
        other => return format!("unknown-{other:#04x}"),
    };
    name.to_owned()
}

/// Class of an error.
pub(super) fn error(class: u8) -> String {
    let name = match class {
        0x81 => "application relationship",
        0x82 => "object definition",
        0x83 => "no resources available",
        0x84 => "service processing",
        0x85 => "supplies",
        0x87 => "access",
        other => return format!("unknown-{other:#04x}"),
    };
    name.to_owned()
}

/// Group of user data, the low half of its byte.
pub(super) fn group(code: u8) -> &'static str {
    match code {
        0x0 => "mode_transition",
        0x1 => "programmer_commands",
        0x2 => "cyclic_services",
        0x3 => "block_functions",
        0x4 => "cpu_functions",
        0x5 => "security",
        0x6 => "pbc_bsend_brecv",
        0x7 => "time_functions",
        0xf => "nc_programming",
        _ => "unknown",
    }
}

/// What user data asks of its group.
pub(super) fn subfunction(group: u8, code: u8) -> Option<&'static str> {
    Some(match (group, code) {
        (0x0, 0x00) => "stop",
        (0x0, 0x01) => "warm_restart",
        (0x0, 0x02) => "run",
        (0x0, 0x03) => "hot_restart",
        (0x0, 0x04) => "hold",
        (0x0, 0x06) => "cold_restart",
        (0x1, 0x01) => "request_diagnostics",
        (0x1, 0x02) => "variable_table",
        (0x1, 0x0c) => "erase",
        (0x1, 0x0e) => "read_diagnostics",
        (0x1, 0x0f) => "remove_diagnostics",
        (0x1, 0x10) => "force",
        (0x2, 0x01) => "cyclic_data",
        (0x2, 0x04) => "unsubscribe",
        (0x3, 0x01) => "list_blocks",
        (0x3, 0x02) => "list_blocks_of_type",
        (0x3, 0x03) => "get_block_info",
        (0x4, 0x01) => "read_szl",
        (0x4, 0x02) => "message_service",
        (0x4, 0x03) => "diagnostic_message",
        (0x5, 0x01) => "plc_password",
        (0x7, 0x01 | 0x03) => "read_clock",
        (0x7, 0x02 | 0x04) => "set_clock",
        _ => return None,
    })
}

/// Kind of a block in a file name: two hexadecimal digits.
pub(super) fn block(digits: &[u8]) -> Option<&'static str> {
    Some(match digits {
        b"08" => "OB",
        b"0A" | b"0a" => "DB",
        b"0B" | b"0b" => "SDB",
        b"0C" | b"0c" => "FC",
        b"0D" | b"0d" => "SFC",
        b"0E" | b"0e" => "FB",
        b"0F" | b"0f" => "SFB",
        _ => return None,
    })
}

/// Where a block lies or shall lie.
pub(super) fn filesystem(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'P' => "passive",
        b'A' => "active",
        b'B' => "both",
        _ => return None,
    })
}
