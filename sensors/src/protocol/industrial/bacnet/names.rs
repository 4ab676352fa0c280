//! Words of `BACnet` (ASHRAE 135, clauses 6.2.4, 18 and 21, annex J.2).

/// The name at a number's place in a list.
fn named(list: &[&str], number: u64) -> String {
    let name =
        usize::try_from(number).ok().and_then(|number| list.get(number)).filter(|name| !name.is_empty());
    name.map_or_else(|| format!("unknown-{number}"), |name| (*name).to_owned())
}

/// Function of the link to IP.
pub(super) fn function(code: u8) -> String {
    const NAMES: [&str; 13] = [
        "result",
        "write_broadcast_distribution_table",
        "read_broadcast_distribution_table",
        "read_broadcast_distribution_table_ack",
        "forwarded_npdu",
        "register_foreign_device",
        "read_foreign_device_table",
        "read_foreign_device_table_ack",
        "delete_foreign_device_table_entry",
        "distribute_broadcast_to_network",
        "original_unicast_npdu",
        "original_broadcast_npdu",
        "secure_bvll",
    ];
    named(&NAMES, code.into())
}

/// What routers tell one another.
pub(super) fn network_message(code: u8) -> String {
    const NAMES: [&str; 20] = [
        "who_is_router_to_network",
        "i_am_router_to_network",
        "i_could_be_router_to_network",
        "reject_message_to_network",
        "router_busy_to_network",
        "router_available_to_network",
        "initialize_routing_table",
        "initialize_routing_table_ack",
        "establish_connection_to_network",
        "disconnect_connection_to_network",
        "challenge_request",
        "security_payload",
        "security_response",
        "request_key_update",
        "update_key_set",
        "update_distribution_key",
        "request_master_key",
        "set_master_key",
        "what_is_network_number",
        "network_number_is",
    ];
    named(&NAMES, code.into())
}

pub(super) fn confirmed(code: u8) -> String {
    const NAMES: [&str; 32] = [
        "acknowledge_alarm",
        "confirmed_cov_notification",
        "confirmed_event_notification",
        "get_alarm_summary",
        "get_enrollment_summary",
        "subscribe_cov",
        "atomic_read_file",
        "atomic_write_file",
        "add_list_element",
        "remove_list_element",
        "create_object",
        "delete_object",
        "read_property",
        "read_property_conditional",
        "read_property_multiple",
        "write_property",
        "write_property_multiple",
        "device_communication_control",
        "confirmed_private_transfer",
        "confirmed_text_message",
        "reinitialize_device",
        "vt_open",
        "vt_close",
        "vt_data",
        "authenticate",
        "request_key",
        "read_range",
        "life_safety_operation",
        "subscribe_cov_property",
        "get_event_information",
        "subscribe_cov_property_multiple",
        "confirmed_cov_notification_multiple",
    ];
    named(&NAMES, code.into())
}

pub(super) fn unconfirmed(code: u8) -> String {
    const NAMES: [&str; 12] = [
        "i_am",
        "i_have",
        "unconfirmed_cov_notification",
        "unconfirmed_event_notification",
        "unconfirmed_private_transfer",
        "unconfirmed_text_message",
        "time_synchronization",
        "who_has",
        "who_is",
        "utc_time_synchronization",
        "write_group",
        "unconfirmed_cov_notification_multiple",
    ];
    named(&NAMES, code.into())
}

pub(super) fn reject(code: u8) -> String {
    const NAMES: [&str; 10] = [
        "other",
        "buffer-overflow",
        "inconsistent-parameters",
        "invalid-parameter-data-type",
        "invalid-tag",
        "missing-required-parameter",
        "parameter-out-of-range",
        "too-many-arguments",
        "undefined-enumeration",
        "unrecognized-service",
    ];
    named(&NAMES, code.into())
}

pub(super) fn abort(code: u8) -> String {
    const NAMES: [&str; 12] = [
        "other",
        "buffer-overflow",
        "invalid-apdu-in-this-state",
        "preempted-by-higher-priority-task",
        "segmentation-not-supported",
        "security-error",
        "insufficient-security",
        "window-size-out-of-range",
        "application-exceeded-reply-time",
        "out-of-resources",
        "tsm-timeout",
        "apdu-too-long",
    ];
    named(&NAMES, code.into())
}

/// Code of an error (clause 18).
pub(super) fn error(code: u64) -> String {
    let name = match code {
        0 => "other",
        2 => "configuration-in-progress",
        3 => "device-busy",
        4 => "dynamic-creation-not-supported",
        5 => "file-access-denied",
        7 => "inconsistent-parameters",
        8 => "inconsistent-selection-criterion",
        9 => "invalid-data-type",
        10 => "invalid-file-access-method",
        11 => "invalid-file-start-position",
        16 => "object-deletion-not-permitted",
        17 => "object-identifier-already-exists",
        18 => "no-space-for-object",
        20 => "no-space-to-write-property",
        22 => "property-is-not-a-list",
        24 => "operational-problem",
        25 => "password-failure",
        27 => "read-access-denied",
        29 => "service-request-denied",
        30 => "timeout",
        31 => "unknown-object",
        32 => "unknown-property",
        35 => "unsupported-object-type",
        36 => "value-out-of-range",
        40 => "write-access-denied",
        41 => "character-set-not-supported",
        42 => "invalid-array-index",
        43 => "cov-subscription-failed",
        44 => "not-cov-property",
        45 => "optional-functionality-not-supported",
        47 => "datatype-not-supported",
        50 => "property-is-not-an-array",
        other => return format!("unknown-{other}"),
    };
    name.to_owned()
}

/// Whether a device may speak.
pub(super) fn communication(code: u64) -> Option<&'static str> {
    ["enable", "disable", "disable-initiation"].get(usize::try_from(code).ok()?).copied()
}

/// What a device that begins anew does.
pub(super) fn reinitialize(code: u64) -> Option<&'static str> {
    const NAMES: [&str; 8] = [
        "coldstart",
        "warmstart",
        "start-backup",
        "end-backup",
        "start-restore",
        "end-restore",
        "abort-restore",
        "activate-changes",
    ];
    NAMES.get(usize::try_from(code).ok()?).copied()
}

/// Type of an object.
pub(super) fn object(code: u32) -> String {
    const NAMES: [&str; 31] = [
        "analog-input",
        "analog-output",
        "analog-value",
        "binary-input",
        "binary-output",
        "binary-value",
        "calendar",
        "command",
        "device",
        "event-enrollment",
        "file",
        "group",
        "loop",
        "multi-state-input",
        "multi-state-output",
        "notification-class",
        "program",
        "schedule",
        "averaging",
        "multi-state-value",
        "trend-log",
        "life-safety-point",
        "life-safety-zone",
        "accumulator",
        "pulse-converter",
        "event-log",
        "global-group",
        "trend-log-multiple",
        "load-control",
        "structured-view",
        "access-door",
    ];
    named(&NAMES, code.into())
}

/// A property: those that are met most.
pub(super) fn property(code: u64) -> String {
    let name = match code {
        8 => "all",
        10 => "apdu-segment-timeout",
        11 => "apdu-timeout",
        12 => "application-software-version",
        22 => "cov-increment",
        24 => "daylight-savings-status",
        28 => "description",
        30 => "device-address-binding",
        36 => "event-state",
        44 => "firmware-revision",
        55 => "list-of-session-keys",
        56 => "local-date",
        57 => "local-time",
        58 => "location",
        62 => "max-apdu-length-accepted",
        63 => "max-info-frames",
        64 => "max-master",
        70 => "model-name",
        73 => "number-of-apdu-retries",
        75 => "object-identifier",
        76 => "object-list",
        77 => "object-name",
        79 => "object-type",
        80 => "optional",
        81 => "out-of-service",
        85 => "present-value",
        87 => "priority-array",
        96 => "protocol-object-types-supported",
        97 => "protocol-services-supported",
        98 => "protocol-version",
        103 => "reliability",
        104 => "relinquish-default",
        105 => "required",
        107 => "segmentation-supported",
        111 => "status-flags",
        112 => "system-status",
        117 => "units",
        119 => "utc-offset",
        120 => "vendor-identifier",
        121 => "vendor-name",
        139 => "protocol-revision",
        152 => "active-cov-subscriptions",
        153 => "backup-failure-timeout",
        155 => "database-revision",
        168 => "profile-name",
        other => return format!("unknown-{other}"),
    };
    name.to_owned()
}
