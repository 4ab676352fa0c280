//! Types, causes and control functions of IEC 60870-5-101 and -104, and the lengths of their elements.

/// A control function (60870-5-104, 5.3), and whether it confirms.
pub(super) fn control(code: u8) -> Option<(&'static str, bool)> {
    Some(match code {
        0x07 => ("startdt", false),
        0x0b => ("startdt", true),
        0x13 => ("stopdt", false),
        0x23 => ("stopdt", true),
        0x43 => ("testfr", false),
        0x83 => ("testfr", true),
        _ => return None,
    })
}

/// Every type: number, name, bytes of one element (60870-5-101, 7.3; 60870-5-104, 8).
const TYPES: &[(u8, &str, usize)] = &[
    (1, "M_SP_NA_1", 1),
    (2, "M_SP_TA_1", 4),
    (3, "M_DP_NA_1", 1),
    (4, "M_DP_TA_1", 4),
    (5, "M_ST_NA_1", 2),
    (6, "M_ST_TA_1", 5),
    (7, "M_BO_NA_1", 5),
    (8, "M_BO_TA_1", 8),
    (9, "M_ME_NA_1", 3),
    (10, "M_ME_TA_1", 6),
    (11, "M_ME_NB_1", 3),
    (12, "M_ME_TB_1", 6),
    (13, "M_ME_NC_1", 5),
    (14, "M_ME_TC_1", 8),
    (15, "M_IT_NA_1", 5),
    (16, "M_IT_TA_1", 8),
    (17, "M_EP_TA_1", 6),
    (18, "M_EP_TB_1", 7),
    (19, "M_EP_TC_1", 7),
    (20, "M_PS_NA_1", 5),
    (21, "M_ME_ND_1", 2),
    (30, "M_SP_TB_1", 8),
    (31, "M_DP_TB_1", 8),
    (32, "M_ST_TB_1", 9),
    (33, "M_BO_TB_1", 12),
    (34, "M_ME_TD_1", 10),
    (35, "M_ME_TE_1", 10),
    (36, "M_ME_TF_1", 12),
    (37, "M_IT_TB_1", 12),
    (38, "M_EP_TD_1", 10),
    (39, "M_EP_TE_1", 11),
    (40, "M_EP_TF_1", 11),
    (45, "C_SC_NA_1", 1),
    (46, "C_DC_NA_1", 1),
    (47, "C_RC_NA_1", 1),
    (48, "C_SE_NA_1", 3),
    (49, "C_SE_NB_1", 3),
    (50, "C_SE_NC_1", 5),
    (51, "C_BO_NA_1", 4),
    (58, "C_SC_TA_1", 8),
    (59, "C_DC_TA_1", 8),
    (60, "C_RC_TA_1", 8),
    (61, "C_SE_TA_1", 10),
    (62, "C_SE_TB_1", 10),
    (63, "C_SE_TC_1", 12),
    (64, "C_BO_TA_1", 11),
    (70, "M_EI_NA_1", 1),
    (100, "C_IC_NA_1", 1),
    (101, "C_CI_NA_1", 1),
    (102, "C_RD_NA_1", 0),
    (103, "C_CS_NA_1", 7),
    (104, "C_TS_NA_1", 2),
    (105, "C_RP_NA_1", 1),
    (106, "C_CD_NA_1", 2),
    (107, "C_TS_TA_1", 9),
    (110, "P_ME_NA_1", 3),
    (111, "P_ME_NB_1", 3),
    (112, "P_ME_NC_1", 5),
    (113, "P_AC_NA_1", 1),
];

/// Types of files, whose elements have lengths of their own.
const FILES: &[(u8, &str)] = &[
    (120, "F_FR_NA_1"),
    (121, "F_SR_NA_1"),
    (122, "F_SC_NA_1"),
    (123, "F_LS_NA_1"),
    (124, "F_AF_NA_1"),
    (125, "F_SG_NA_1"),
    (126, "F_DR_TA_1"),
    (127, "F_SC_NB_1"),
];

pub(super) fn asdu(code: u8) -> Option<&'static str> {
    let known = TYPES.iter().map(|(number, name, _)| (number, name));
    let mut all = known.chain(FILES.iter().map(|(number, name)| (number, name)));
    all.find(|(number, _)| **number == code).map(|(_, name)| *name)
}

/// Bytes of one element behind its address; `None` where they are not the same for all.
pub(in crate::protocol) fn element_length(code: u8) -> Option<usize> {
    TYPES.iter().find(|(number, ..)| *number == code).map(|(_, _, length)| *length)
}

/// Cause of transmission (60870-5-101, 7.2.3).
pub(super) fn cause(code: u8) -> String {
    let name = match code {
        1 => "periodic",
        2 => "background",
        3 => "spontaneous",
        4 => "initialized",
        5 => "request",
        6 => "activation",
        7 => "activation_confirmation",
        8 => "deactivation",
        9 => "deactivation_confirmation",
        10 => "activation_termination",
        11 => "return_remote",
        12 => "return_local",
        13 => "file_transfer",
        20 => "interrogated_by_station",
        21..=36 => return format!("interrogated_by_group_{}", code - 20),
        37 => "counter_request_general",
        38..=41 => return format!("counter_request_group_{}", code - 37),
        44 => "unknown_type",
        45 => "unknown_cause",
        46 => "unknown_common_address",
        47 => "unknown_object_address",
        other => return format!("unknown-{other}"),
    };
    name.to_owned()
}

/// What a command does.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    pub(super) text: String,
    /// It only selects; `None` where commands are not selected first.
    pub(super) select: Option<bool>,
}

/// The command of the first element (60870-5-101, 7.2.6.15 to 7.2.6.29); `None` for types that command nothing.
pub(super) fn command(kind: u8, element: &[u8]) -> Option<Command> {
    let first = *element.first()?;
    let selected = Some(first & 0x80 != 0);
    let set_point = |qualifier: usize| element.get(qualifier).map(|byte| byte & 0x80 != 0);
    Some(match kind {
        45 | 58 => Command { text: if first & 1 == 1 { "on" } else { "off" }.to_owned(), select: selected },
        46 | 59 => {
            let text = match first & 3 {
                1 => "off",
                2 => "on",
                _ => "not permitted",
            };
            Command { text: text.to_owned(), select: selected }
        }
        47 | 60 => {
            let text = match first & 3 {
                1 => "lower",
                2 => "higher",
                _ => "not permitted",
            };
            Command { text: text.to_owned(), select: selected }
        }
        48 | 49 | 61 | 62 => {
            let value = i16::from_le_bytes(*element.first_chunk()?);
            Command { text: value.to_string(), select: set_point(2) }
        }
        50 | 63 => {
            let value = f32::from_le_bytes(*element.first_chunk()?);
            Command { text: value.to_string(), select: set_point(4) }
        }
        51 | 64 => {
            let value = u32::from_le_bytes(*element.first_chunk()?);
            Command { text: format!("{value:#010x}"), select: None }
        }
        // The qualifier: whom an interrogation asks, how a process is reset.
        100 | 101 | 105 => Command { text: first.to_string(), select: None },
        _ => return None,
    })
}
