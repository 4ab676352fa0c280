//! Names of numbers in SMB: commands as Suricata prints them, dialects, statuses (MS-ERREF, 2.3), dispositions, functions.
//!
//! In: numbers. Out: names, or the number in hexadecimal where there is none. Memory: the tables.

use crate::protocol::le;

/// Commands of SMB 2 and 3 by number (MS-SMB2, 2.2.1.2).
const COMMANDS2: &[&str] = &[
    "SMB2_COMMAND_NEGOTIATE_PROTOCOL",
    "SMB2_COMMAND_SESSION_SETUP",
    "SMB2_COMMAND_SESSION_LOGOFF",
    "SMB2_COMMAND_TREE_CONNECT",
    "SMB2_COMMAND_TREE_DISCONNECT",
    "SMB2_COMMAND_CREATE",
    "SMB2_COMMAND_CLOSE",
    "SMB2_COMMAND_FLUSH",
    "SMB2_COMMAND_READ",
    "SMB2_COMMAND_WRITE",
    "SMB2_COMMAND_LOCK",
    "SMB2_COMMAND_IOCTL",
    "SMB2_COMMAND_CANCEL",
    "SMB2_COMMAND_KEEPALIVE",
    "SMB2_COMMAND_FIND",
    "SMB2_COMMAND_CHANGE_NOTIFY",
    "SMB2_COMMAND_GET_INFO",
    "SMB2_COMMAND_SET_INFO",
    "SMB2_COMMAND_OPLOCK_BREAK",
];

/// The statuses that are met (MS-ERREF, 2.3.1).
const STATUSES: &[(u32, &str)] = &[
    (0x0000_0000, "STATUS_SUCCESS"),
    (0x0000_0103, "STATUS_PENDING"),
    (0x0000_010b, "STATUS_NOTIFY_CLEANUP"),
    (0x0000_010c, "STATUS_NOTIFY_ENUM_DIR"),
    (0x8000_0005, "STATUS_BUFFER_OVERFLOW"),
    (0x8000_0006, "STATUS_NO_MORE_FILES"),
    (0x8000_0014, "STATUS_EA_LIST_INCONSISTENT"),
    (0x8000_001a, "STATUS_NO_MORE_ENTRIES"),
    (0x8000_002d, "STATUS_STOPPED_ON_SYMLINK"),
    (0xc000_0001, "STATUS_UNSUCCESSFUL"),
    (0xc000_0002, "STATUS_NOT_IMPLEMENTED"),
    (0xc000_0003, "STATUS_INVALID_INFO_CLASS"),
    (0xc000_0004, "STATUS_INFO_LENGTH_MISMATCH"),
    (0xc000_0008, "STATUS_INVALID_HANDLE"),
    (0xc000_000d, "STATUS_INVALID_PARAMETER"),
    (0xc000_000e, "STATUS_NO_SUCH_DEVICE"),
    (0xc000_000f, "STATUS_NO_SUCH_FILE"),
    (0xc000_0010, "STATUS_INVALID_DEVICE_REQUEST"),
    (0xc000_0011, "STATUS_END_OF_FILE"),
    (0xc000_0016, "STATUS_MORE_PROCESSING_REQUIRED"),
    (0xc000_0022, "STATUS_ACCESS_DENIED"),
    (0xc000_0023, "STATUS_BUFFER_TOO_SMALL"),
    (0xc000_0033, "STATUS_OBJECT_NAME_INVALID"),
    (0xc000_0034, "STATUS_OBJECT_NAME_NOT_FOUND"),
    (0xc000_0035, "STATUS_OBJECT_NAME_COLLISION"),
    (0xc000_0039, "STATUS_OBJECT_PATH_INVALID"),
    (0xc000_003a, "STATUS_OBJECT_PATH_NOT_FOUND"),
    (0xc000_003b, "STATUS_OBJECT_PATH_SYNTAX_BAD"),
    (0xc000_0043, "STATUS_SHARING_VIOLATION"),
    (0xc000_0054, "STATUS_FILE_LOCK_CONFLICT"),
    (0xc000_0055, "STATUS_LOCK_NOT_GRANTED"),
    (0xc000_0056, "STATUS_DELETE_PENDING"),
    (0xc000_005e, "STATUS_NO_LOGON_SERVERS"),
    (0xc000_0061, "STATUS_PRIVILEGE_NOT_HELD"),
    (0xc000_0064, "STATUS_NO_SUCH_USER"),
    (0xc000_006a, "STATUS_WRONG_PASSWORD"),
    (0xc000_006c, "STATUS_PASSWORD_RESTRICTION"),
    (0xc000_006d, "STATUS_LOGON_FAILURE"),
    (0xc000_006e, "STATUS_ACCOUNT_RESTRICTION"),
    (0xc000_006f, "STATUS_INVALID_LOGON_HOURS"),
    (0xc000_0070, "STATUS_INVALID_WORKSTATION"),
    (0xc000_0071, "STATUS_PASSWORD_EXPIRED"),
    (0xc000_0072, "STATUS_ACCOUNT_DISABLED"),
    (0xc000_007e, "STATUS_RANGE_NOT_LOCKED"),
    (0xc000_007f, "STATUS_DISK_FULL"),
    (0xc000_0098, "STATUS_FILE_INVALID"),
    (0xc000_009a, "STATUS_INSUFFICIENT_RESOURCES"),
    (0xc000_00a2, "STATUS_MEDIA_WRITE_PROTECTED"),
    (0xc000_00ac, "STATUS_PIPE_NOT_AVAILABLE"),
    (0xc000_00ad, "STATUS_INVALID_PIPE_STATE"),
    (0xc000_00ae, "STATUS_PIPE_BUSY"),
    (0xc000_00af, "STATUS_ILLEGAL_FUNCTION"),
    (0xc000_00b0, "STATUS_PIPE_DISCONNECTED"),
    (0xc000_00b1, "STATUS_PIPE_CLOSING"),
    (0xc000_00b5, "STATUS_IO_TIMEOUT"),
    (0xc000_00ba, "STATUS_FILE_IS_A_DIRECTORY"),
    (0xc000_00bb, "STATUS_NOT_SUPPORTED"),
    (0xc000_00c3, "STATUS_INVALID_NETWORK_RESPONSE"),
    (0xc000_00c9, "STATUS_NETWORK_NAME_DELETED"),
    (0xc000_00ca, "STATUS_NETWORK_ACCESS_DENIED"),
    (0xc000_00cb, "STATUS_BAD_DEVICE_TYPE"),
    (0xc000_00cc, "STATUS_BAD_NETWORK_NAME"),
    (0xc000_00d0, "STATUS_REQUEST_NOT_ACCEPTED"),
    (0xc000_0101, "STATUS_DIRECTORY_NOT_EMPTY"),
    (0xc000_0102, "STATUS_FILE_CORRUPT_ERROR"),
    (0xc000_0103, "STATUS_NOT_A_DIRECTORY"),
    (0xc000_011f, "STATUS_TOO_MANY_OPENED_FILES"),
    (0xc000_0120, "STATUS_CANCELLED"),
    (0xc000_0121, "STATUS_CANNOT_DELETE"),
    (0xc000_0123, "STATUS_FILE_DELETED"),
    (0xc000_0128, "STATUS_FILE_CLOSED"),
    (0xc000_0133, "STATUS_TIME_DIFFERENCE_AT_DC"),
    (0xc000_015b, "STATUS_LOGON_TYPE_NOT_GRANTED"),
    (0xc000_0184, "STATUS_INVALID_DEVICE_STATE"),
    (0xc000_018a, "STATUS_NO_TRUST_LSA_SECRET"),
    (0xc000_018b, "STATUS_NO_TRUST_SAM_ACCOUNT"),
    (0xc000_018c, "STATUS_TRUSTED_DOMAIN_FAILURE"),
    (0xc000_018d, "STATUS_TRUSTED_RELATIONSHIP_FAILURE"),
    (0xc000_0192, "STATUS_NETLOGON_NOT_STARTED"),
    (0xc000_0193, "STATUS_ACCOUNT_EXPIRED"),
    (0xc000_0199, "STATUS_NOLOGON_WORKSTATION_TRUST_ACCOUNT"),
    (0xc000_0203, "STATUS_USER_SESSION_DELETED"),
    (0xc000_0205, "STATUS_INSUFF_SERVER_RESOURCES"),
    (0xc000_0224, "STATUS_PASSWORD_MUST_CHANGE"),
    (0xc000_0225, "STATUS_NOT_FOUND"),
    (0xc000_0234, "STATUS_ACCOUNT_LOCKED_OUT"),
    (0xc000_0235, "STATUS_HANDLE_NOT_CLOSABLE"),
    (0xc000_0257, "STATUS_PATH_NOT_COVERED"),
    (0xc000_035c, "STATUS_NETWORK_SESSION_EXPIRED"),
    (0xc000_0466, "STATUS_SERVER_UNAVAILABLE"),
    (0xc000_0467, "STATUS_FILE_NOT_AVAILABLE"),
    (0xc000_a000, "STATUS_INVALID_SIGNATURE"),
];

/// Functions of files and pipes (MS-FSCC, 2.3; MS-SMB2, 2.2.31).
const FUNCTIONS: &[(u32, &str)] = &[
    (0x0006_0194, "FSCTL_DFS_GET_REFERRALS"),
    (0x0006_01b0, "FSCTL_DFS_GET_REFERRALS_EX"),
    (0x0009_0000, "FSCTL_REQUEST_OPLOCK_LEVEL_1"),
    (0x0009_0058, "FSCTL_READ_FILE_USN_DATA"),
    (0x0009_0064, "FSCTL_GET_NTFS_VOLUME_DATA"),
    (0x0009_00a4, "FSCTL_SET_REPARSE_POINT"),
    (0x0009_00a8, "FSCTL_GET_REPARSE_POINT"),
    (0x0009_00ac, "FSCTL_DELETE_REPARSE_POINT"),
    (0x0009_009c, "FSCTL_GET_OBJECT_ID"),
    (0x0009_00c0, "FSCTL_CREATE_OR_GET_OBJECT_ID"),
    (0x0009_00c4, "FSCTL_SET_SPARSE"),
    (0x0009_00cf, "FSCTL_QUERY_ALLOCATED_RANGES"),
    (0x0009_80c8, "FSCTL_SET_ZERO_DATA"),
    (0x0009_8208, "FSCTL_FILE_LEVEL_TRIM"),
    (0x0011_0018, "FSCTL_PIPE_WAIT"),
    (0x0011_400c, "FSCTL_PIPE_PEEK"),
    (0x0011_c017, "FSCTL_PIPE_TRANSCEIVE"),
    (0x0014_0078, "FSCTL_SRV_REQUEST_RESUME_KEY"),
    (0x0014_0204, "FSCTL_VALIDATE_NEGOTIATE_INFO"),
    (0x0014_01d4, "FSCTL_LMR_REQUEST_RESILIENCY"),
    (0x0014_01fc, "FSCTL_QUERY_NETWORK_INTERFACE_INFO"),
    (0x0014_4064, "FSCTL_SRV_ENUMERATE_SNAPSHOTS"),
    (0x0014_40f2, "FSCTL_SRV_COPYCHUNK"),
    (0x0014_41bb, "FSCTL_SRV_READ_HASH"),
    (0x0014_80f2, "FSCTL_SRV_COPYCHUNK_WRITE"),
];

/// What is done when a file exists or not (MS-SMB2, 2.2.13), as Suricata prints it.
const DISPOSITIONS: &[&str] =
    &["FILE_SUPERSEDE", "FILE_OPEN", "FILE_CREATE", "FILE_OPEN_IF", "FILE_OVERWRITE", "FILE_OVERWRITE_IF"];

fn find<K: PartialEq + Copy>(table: &[(K, &'static str)], key: K) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == key).map(|(_, name)| *name)
}

/// A command of SMB 2 or 3; an unknown one as Suricata prints it.
pub(super) fn command2(number: u16) -> String {
    COMMANDS2.get(usize::from(number)).map_or_else(|| format!("{number}"), |name| (*name).to_owned())
}

/// The name of an NT status, where it is known.
pub(super) fn status(number: u32) -> Option<&'static str> {
    find(STATUSES, number)
}

/// A function of FSCTL; an unknown one in hexadecimal.
pub(super) fn function(number: u32) -> String {
    find(FUNCTIONS, number).map_or_else(|| format!("0x{number:08x}"), str::to_owned)
}

/// What CREATE does.
pub(super) fn disposition(number: u32) -> Option<&'static str> {
    DISPOSITIONS.get(usize::try_from(number).ok()?).copied()
}

/// A dialect of SMB 2 or 3 (MS-SMB2, 2.2.3), as Suricata prints it.
pub(super) fn dialect(number: u16) -> String {
    match number {
        0x02ff => "2.??".to_owned(),
        0x0200..=0x03ff => format!("{}.{:02x}", number >> 8, number & 0xff),
        _ => format!("0x{number:04x}"),
    }
}

/// A GUID as Suricata prints it: numbers of 4, 2, 2, 2, 2 and 4 bytes, the last two without a sign between them.
pub(super) fn guid(bytes: &[u8]) -> Option<String> {
    let (first, last) = (le::u32(bytes, 0)?, le::u32(bytes, 12)?);
    let (second, third) = (le::u16(bytes, 4)?, le::u16(bytes, 6)?);
    let (fourth, fifth) = (le::u16(bytes, 8)?, le::u16(bytes, 10)?);
    Some(format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:04x}{last:08x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_names() {
        assert_eq!(command2(5), "SMB2_COMMAND_CREATE");
        assert_eq!(command2(18), "SMB2_COMMAND_OPLOCK_BREAK");
        assert_eq!(command2(99), "99");
        assert_eq!(status(0xc000_0022), Some("STATUS_ACCESS_DENIED"));
        assert_eq!(function(0x0011_c017), "FSCTL_PIPE_TRANSCEIVE");
        assert_eq!(function(1), "0x00000001");
        assert_eq!(disposition(1), Some("FILE_OPEN"));
        assert_eq!((dialect(0x0210), dialect(0x0311)), ("2.10".to_owned(), "3.11".to_owned()));
        let file = [0x65, 0, 0, 0, 0x30, 0, 0, 0, 0x25, 0, 0x20, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(guid(&file).as_deref(), Some("00000065-0030-0000-0025-0020ffffffff"));
    }
}
