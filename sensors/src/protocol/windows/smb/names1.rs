//! Names of numbers in the first version of SMB: commands as Suricata prints them, errors without NT statuses.
//!
//! In: numbers. Out: names. Memory: the tables.

/// Commands of SMB 1 (MS-CIFS, 2.2.2.1).
const COMMANDS1: &[(u8, &str)] = &[
    (0x00, "SMB1_COMMAND_CREATE_DIRECTORY"),
    (0x01, "SMB1_COMMAND_DELETE_DIRECTORY"),
    (0x02, "SMB1_COMMAND_OPEN"),
    (0x03, "SMB1_COMMAND_CREATE"),
    (0x04, "SMB1_COMMAND_CLOSE"),
    (0x05, "SMB1_COMMAND_FLUSH"),
    (0x06, "SMB1_COMMAND_DELETE"),
    (0x07, "SMB1_COMMAND_RENAME"),
    (0x08, "SMB1_COMMAND_QUERY_INFORMATION"),
    (0x09, "SMB1_COMMAND_SET_INFORMATION"),
    (0x0a, "SMB1_COMMAND_READ"),
    (0x0b, "SMB1_COMMAND_WRITE"),
    (0x0c, "SMB1_COMMAND_LOCK_BYTE_RANGE"),
    (0x0d, "SMB1_COMMAND_UNLOCK_BYTE_RANGE"),
    (0x0e, "SMB1_COMMAND_CREATE_TEMPORARY"),
    (0x0f, "SMB1_COMMAND_CREATE_NEW"),
    (0x10, "SMB1_COMMAND_CHECK_DIRECTORY"),
    (0x11, "SMB1_COMMAND_PROCESS_EXIT"),
    (0x12, "SMB1_COMMAND_SEEK"),
    (0x13, "SMB1_COMMAND_LOCK_AND_READ"),
    (0x14, "SMB1_COMMAND_WRITE_AND_UNLOCK"),
    (0x24, "SMB1_COMMAND_LOCKING_ANDX"),
    (0x25, "SMB1_COMMAND_TRANS"),
    (0x2b, "SMB1_COMMAND_ECHO"),
    (0x2c, "SMB1_COMMAND_WRITE_AND_CLOSE"),
    (0x2d, "SMB1_COMMAND_OPEN_ANDX"),
    (0x2e, "SMB1_COMMAND_READ_ANDX"),
    (0x2f, "SMB1_COMMAND_WRITE_ANDX"),
    (0x32, "SMB1_COMMAND_TRANS2"),
    (0x33, "SMB1_COMMAND_TRANS2_SECONDARY"),
    (0x34, "SMB1_COMMAND_FIND_CLOSE2"),
    (0x71, "SMB1_COMMAND_TREE_DISCONNECT"),
    (0x72, "SMB1_COMMAND_NEGOTIATE_PROTOCOL"),
    (0x73, "SMB1_COMMAND_SESSION_SETUP_ANDX"),
    (0x74, "SMB1_COMMAND_LOGOFF_ANDX"),
    (0x75, "SMB1_COMMAND_TREE_CONNECT_ANDX"),
    (0x80, "SMB1_COMMAND_QUERY_INFO_DISK"),
    (0x81, "SMB1_COMMAND_SEARCH"),
    (0xa0, "SMB1_COMMAND_NT_TRANS"),
    (0xa1, "SMB1_COMMAND_NT_TRANS_SECONDARY"),
    (0xa2, "SMB1_COMMAND_NT_CREATE_ANDX"),
    (0xa4, "SMB1_COMMAND_NT_CANCEL"),
];

/// Errors of the server in SMB 1 without NT statuses (MS-CIFS, 2.2.2.4, class ERRSRV).
const SERVER_ERRORS: &[(u16, &str)] = &[
    (1, "SRV_ERROR"),
    (2, "SRV_BADPW"),
    (4, "SRV_ACCESS"),
    (5, "SRV_INVTID"),
    (6, "SRV_INVNETNAME"),
    (7, "SRV_INVDEVICE"),
    (64, "SRV_BADCMD"),
    (67, "SRV_BADPERMITS"),
    (91, "SRV_BADUID"),
    (2239, "SRV_ACCOUNT_EXPIRED"),
    (2241, "SRV_BAD_LOGON_TIME"),
    (2242, "SRV_PASSWORD_EXPIRED"),
];

/// Errors of the operating system in SMB 1 (MS-CIFS, 2.2.2.4, class ERRDOS).
const DOS_ERRORS: &[(u16, &str)] = &[
    (1, "DOS_BADFUNC"),
    (2, "DOS_BADFILE"),
    (3, "DOS_BADPATH"),
    (4, "DOS_TOO_MANY_OPEN_FILES"),
    (5, "DOS_NOACCESS"),
    (6, "DOS_BADFID"),
    (8, "DOS_INSUFFICIENT_MEMORY"),
    (18, "DOS_NOFILES"),
    (32, "DOS_BADSHARE"),
    (33, "DOS_BADLOCK"),
    (50, "DOS_UNSUPPORTED"),
    (65, "DOS_NOACCESS2"),
    (67, "DOS_BADNETNAME"),
    (80, "DOS_FILE_EXISTS"),
    (87, "DOS_INVALID_PARAMETER"),
    (109, "DOS_BROKEN_PIPE"),
    (123, "DOS_INVALID_NAME"),
    (230, "DOS_INVALID_PIPE"),
    (231, "DOS_PIPE_BUSY"),
    (232, "DOS_PIPE_CLOSING"),
    (233, "DOS_NOT_CONNECTED"),
    (234, "DOS_MORE_DATA"),
];

/// A command of SMB 1.
pub(super) fn command(number: u8) -> String {
    find(COMMANDS1, number).map_or_else(|| format!("{number}"), str::to_owned)
}

/// The name of an error of SMB 1 with class and code.
pub(super) fn error(class: u8, code: u16) -> Option<&'static str> {
    match class {
        1 => find(DOS_ERRORS, code),
        2 => find(SERVER_ERRORS, code),
        _ => None,
    }
}

fn find<K: PartialEq + Copy>(table: &[(K, &'static str)], key: K) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == key).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_names() {
        assert_eq!(command(0x73), "SMB1_COMMAND_SESSION_SETUP_ANDX");
        assert_eq!(command(0xfe), "254");
        assert_eq!(error(2, 91), Some("SRV_BADUID"));
        assert_eq!(error(3, 91), None);
    }
}
