//! What NFS calls ask (version 2: RFC 1094, 2.2; version 3: RFC 1813, 3.3; version 4: RFC 7530, 16, RFC 8881, 18).
//!
//! In: the arguments of a call, the results of an answer. Out: fields, and handles of files. Memory: none.

use dongson_event::Event;

use super::{opaque, string};
use crate::protocol::wire::Cursor;

/// Operations of one compound.
const MAX_OPERATIONS: u32 = 64;
/// A handle of version 2 (RFC 1094, 2.3.3).
const HANDLE2: usize = 32;

const VERSION2: &[&str] = &[
    "NULL",
    "GETATTR",
    "SETATTR",
    "ROOT",
    "LOOKUP",
    "READLINK",
    "READ",
    "WRITECACHE",
    "WRITE",
    "CREATE",
    "REMOVE",
    "RENAME",
    "LINK",
    "SYMLINK",
    "MKDIR",
    "RMDIR",
    "READDIR",
    "STATFS",
];

const VERSION3: &[&str] = &[
    "NULL",
    "GETATTR",
    "SETATTR",
    "LOOKUP",
    "ACCESS",
    "READLINK",
    "READ",
    "WRITE",
    "CREATE",
    "MKDIR",
    "SYMLINK",
    "MKNOD",
    "REMOVE",
    "RMDIR",
    "RENAME",
    "LINK",
    "READDIR",
    "READDIRPLUS",
    "FSSTAT",
    "FSINFO",
    "PATHCONF",
    "COMMIT",
];

/// Operations of version 4 from number 3 on (RFC 8881, 15.2.1 lists them all).
const VERSION4: &[&str] = &[
    "ACCESS",
    "CLOSE",
    "COMMIT",
    "CREATE",
    "DELEGPURGE",
    "DELEGRETURN",
    "GETATTR",
    "GETFH",
    "LINK",
    "LOCK",
    "LOCKT",
    "LOCKU",
    "LOOKUP",
    "LOOKUPP",
    "NVERIFY",
    "OPEN",
    "OPENATTR",
    "OPEN_CONFIRM",
    "OPEN_DOWNGRADE",
    "PUTFH",
    "PUTPUBFH",
    "PUTROOTFH",
    "READ",
    "READDIR",
    "READLINK",
    "REMOVE",
    "RENAME",
    "RENEW",
    "RESTOREFH",
    "SAVEFH",
    "SECINFO",
    "SETATTR",
    "SETCLIENTID",
    "SETCLIENTID_CONFIRM",
    "VERIFY",
    "WRITE",
    "RELEASE_LOCKOWNER",
    "BACKCHANNEL_CTL",
    "BIND_CONN_TO_SESSION",
    "EXCHANGE_ID",
    "CREATE_SESSION",
    "DESTROY_SESSION",
    "FREE_STATEID",
    "GET_DIR_DELEGATION",
    "GETDEVICEINFO",
    "GETDEVICELIST",
    "LAYOUTCOMMIT",
    "LAYOUTGET",
    "LAYOUTRETURN",
    "SECINFO_NO_NAME",
    "SEQUENCE",
    "SET_SSV",
    "TEST_STATEID",
    "WANT_DELEGATION",
    "DESTROY_CLIENTID",
    "RECLAIM_COMPLETE",
];

/// Operations of version 4 that only prepare or accompany another one.
const AUXILIARY: &[&str] = &[
    "SEQUENCE",
    "PUTFH",
    "PUTROOTFH",
    "PUTPUBFH",
    "SAVEFH",
    "RESTOREFH",
    "GETFH",
    "GETATTR",
    "ACCESS",
    "LOOKUP",
];

/// Results (RFC 1813, 2.6), as Suricata prints them.
const STATUSES: &[(u32, &str)] = &[
    (0, "OK"),
    (1, "ERR_PERM"),
    (2, "ERR_NOENT"),
    (5, "ERR_IO"),
    (6, "ERR_NXIO"),
    (13, "ERR_ACCESS"),
    (17, "ERR_EXIST"),
    (18, "ERR_XDEV"),
    (19, "ERR_NODEV"),
    (20, "ERR_NOTDIR"),
    (21, "ERR_ISDIR"),
    (22, "ERR_INVAL"),
    (27, "ERR_FBIG"),
    (28, "ERR_NOSPC"),
    (30, "ERR_ROFS"),
    (31, "ERR_MLINK"),
    (63, "ERR_NAMETOOLONG"),
    (66, "ERR_NOTEMPTY"),
    (69, "ERR_DQUOT"),
    (70, "ERR_STALE"),
    (71, "ERR_REMOTE"),
    (10_001, "ERR_BADHANDLE"),
    (10_002, "ERR_NOT_SYNC"),
    (10_003, "ERR_BAD_COOKIE"),
    (10_004, "ERR_NOTSUPP"),
    (10_005, "ERR_TOOSMALL"),
    (10_006, "ERR_SERVERFAULT"),
    (10_007, "ERR_BADTYPE"),
    (10_008, "ERR_JUKEBOX"),
];

/// The name of a result, or its number.
pub(super) fn status(number: u32) -> String {
    let known = STATUSES.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// Describes a call; the handle of the file that it is about, where names were not given.
pub(super) fn describe_call<'a>(
    event: &mut Event,
    version: u32,
    procedure: u32,
    cursor: &mut Cursor<'a>,
) -> Option<&'a [u8]> {
    event.set("dongson.nfs.version", i64::from(version));
    if version == 4 && procedure == 1 {
        event.set("dongson.nfs.procedure", "COMPOUND");
        compound(event, cursor);
        return None;
    }
    let table = if version == 2 { VERSION2 } else { VERSION3 };
    let name = usize::try_from(procedure).ok().and_then(|place| table.get(place)).copied();
    event.set("dongson.nfs.procedure", name.map_or_else(|| procedure.to_string(), str::to_owned));
    if !matches!(version, 2 | 3) || procedure == 0 {
        return None;
    }
    let handle = if version == 2 { cursor.take(HANDLE2)? } else { opaque(cursor)? };
    match name? {
        "LOOKUP" | "CREATE" | "MKDIR" | "SYMLINK" | "MKNOD" | "REMOVE" | "RMDIR" => {
            set_name(event, string(cursor)?);
            None
        }
        "RENAME" => {
            let from = string(cursor)?;
            if version == 2 {
                cursor.take(HANDLE2)?
            } else {
                opaque(cursor)?
            };
            event.set("dongson.nfs.previous_path", from);
            set_name(event, string(cursor)?);
            None
        }
        "READ" | "WRITE" if version == 3 => {
            let (high, low, count) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            set_place(event, high, low, count);
            Some(handle)
        }
        _ => Some(handle),
    }
}

/// The handle of a file that a lookup has found (RFC 1094, 2.2.5; RFC 1813, 3.3.3).
pub(super) fn found<'a>(version: u32, procedure: u32, cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    match (version, procedure) {
        (2, 4 | 9 | 14) => cursor.take(HANDLE2),
        (3, 3) => opaque(cursor),
        // A handle that may follow.
        (3, 8..=11) if cursor.u32()? == 1 => opaque(cursor),
        _ => None,
    }
}

fn set_name(event: &mut Event, name: String) {
    event.set("file.name", name.as_str());
    event.set("file.path", name);
}

fn set_place(event: &mut Event, high: u32, low: u32, count: u32) {
    event.set("dongson.nfs.offset", u64::from(high) << 32 | u64::from(low));
    event.set("dongson.nfs.data_bytes", i64::from(count));
}

/// The operations of a compound (RFC 8881, 16.2), up to the first one whose arguments are not read.
fn compound(event: &mut Event, cursor: &mut Cursor<'_>) {
    let head = (opaque(cursor), cursor.u32(), cursor.u32());
    let (Some(_), Some(minor), Some(count)) = head else { return };
    event.set("dongson.nfs.minor_version", i64::from(minor));
    let mut names = Vec::new();
    for _ in 0..count.min(MAX_OPERATIONS) {
        let Some(number) = cursor.u32() else { break };
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(3));
        let Some(name) = place.and_then(|place| VERSION4.get(place)).copied() else { break };
        names.push(name);
        if operation(event, name, cursor).is_none() {
            break;
        }
    }
    let telling = names.iter().find(|name| !AUXILIARY.contains(name));
    let main = telling.or_else(|| names.iter().find(|name| **name == "LOOKUP")).or(names.last());
    event.set_some("dongson.nfs.procedure", main.copied());
    event.set("dongson.nfs.operations", names);
}

/// Passes over the arguments of one operation, and tells the names in them; `None` where that is not possible.
fn operation(event: &mut Event, name: &str, cursor: &mut Cursor<'_>) -> Option<()> {
    match name {
        "GETFH" | "PUTROOTFH" | "PUTPUBFH" | "SAVEFH" | "RESTOREFH" | "LOOKUPP" | "READLINK" => {}
        "ACCESS" | "SECINFO_NO_NAME" | "RECLAIM_COMPLETE" => skip(cursor, 4)?,
        "PUTFH" => opaque(cursor).map(|_| ())?,
        "SEQUENCE" => skip(cursor, 32)?,
        "CLOSE" => skip(cursor, 20)?,
        "COMMIT" => skip(cursor, 12)?,
        "RENEW" => skip(cursor, 8)?,
        "GETATTR" => bitmap(cursor)?,
        "LOOKUP" | "REMOVE" | "SECINFO" => set_name(event, string(cursor)?),
        "RENAME" => {
            let from = string(cursor)?;
            event.set("dongson.nfs.previous_path", from);
            set_name(event, string(cursor)?);
        }
        "READDIR" => {
            cursor.take(24)?;
            bitmap(cursor)?;
        }
        "READ" => {
            cursor.take(16)?;
            let (high, low, count) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
            set_place(event, high, low, count);
        }
        "WRITE" => {
            cursor.take(16)?;
            let (high, low, _stable, count) = (cursor.u32()?, cursor.u32()?, cursor.u32()?, cursor.u32()?);
            set_place(event, high, low, count);
            let length = usize::try_from(count).ok()?;
            cursor.take(length.checked_add(length.wrapping_neg() % 4)?)?;
        }
        "OPEN" => open(event, cursor)?,
        _ => return None,
    }
    Some(())
}

fn skip(cursor: &mut Cursor<'_>, length: usize) -> Option<()> {
    cursor.take(length).map(|_| ())
}

/// Numbers of attributes as bits (RFC 8881, 3.3.7).
fn bitmap(cursor: &mut Cursor<'_>) -> Option<()> {
    let words = usize::try_from(cursor.u32()?).ok()?;
    cursor.take(words.checked_mul(4)?).map(|_| ())
}

/// RFC 8881, 18.16.1; only an opening that creates nothing, or with attributes, is passed over.
fn open(event: &mut Event, cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.take(20)?;
    opaque(cursor)?;
    if cursor.u32()? == 1 {
        match cursor.u32()? {
            0 | 1 => {
                bitmap(cursor)?;
                opaque(cursor)?;
            }
            2 => skip(cursor, 8)?,
            _ => {
                cursor.take(8)?;
                bitmap(cursor)?;
                opaque(cursor)?;
            }
        }
    }
    match cursor.u32()? {
        0 => set_name(event, string(cursor)?),
        1 => skip(cursor, 4)?,
        _ => return None,
    }
    Some(())
}
