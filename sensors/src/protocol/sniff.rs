//! The type of a body by its first bytes (a small part of what `file` knows; WHATWG MIME Sniffing, 6 and 7).

use crate::protocol::wire::{contains_no_case, starts_with_no_case};

/// Bytes at an offset, and the type they mean.
const SIGNATURES: &[(usize, &[u8], &str)] = &[
    (0, b"MZ", "application/x-dosexec"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/x-ms-bmp"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (0, b"CWS", "application/x-shockwave-flash"),
    (0, b"FWS", "application/x-shockwave-flash"),
    (0, b"Rar!\x1a\x07", "application/x-rar"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"MSCF", "application/vnd.ms-cab-compressed"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
    (0, b"\xca\xfe\xba\xbe", "application/x-java-applet"),
    (4, b"ftyp", "video/mp4"),
    (0, b"OggS", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"FLV", "video/x-flv"),
    (257, b"ustar", "application/x-tar"),
    (0, b"{\\rtf", "text/rtf"),
    (0, b"#!", "text/x-shellscript"),
];

/// What text begins with, in lower case, and the type it means.
const MARKUP: &[(&[u8], &str)] = &[
    (b"<!doctype html", "text/html"),
    (b"<html", "text/html"),
    (b"<head", "text/html"),
    (b"<body", "text/html"),
    (b"<title", "text/html"),
    (b"<script", "text/html"),
    (b"<svg", "image/svg+xml"),
    (b"<?php", "text/x-php"),
];

/// The type of what begins with `start`; `None` for nothing or for bytes that tell nothing.
pub(super) fn sniff(start: &[u8]) -> Option<&'static str> {
    if start.is_empty() {
        return None;
    }
    let known =
        SIGNATURES.iter().find(|(at, bytes, _)| start.get(*at..).is_some_and(|rest| rest.starts_with(bytes)));
    known.map(|(.., name)| *name).or_else(|| written(start))
}

fn written(start: &[u8]) -> Option<&'static str> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    if let Some((_, name)) = MARKUP.iter().find(|(prefix, _)| starts_with_no_case(text, prefix)) {
        return Some(name);
    }
    if starts_with_no_case(text, b"<?xml") || starts_with_no_case(text, b"<!--") {
        return Some(if contains_no_case(text, b"<html") { "text/html" } else { "application/xml" });
    }
    if start.iter().any(|&byte| byte < 9 || (14..32).contains(&byte) && byte != 27) {
        return None;
    }
    match text {
        [b'{', b'"' | b'}' | b' ' | b'\r' | b'\n' | b'\t', ..] | [b'[', b'{' | b'[' | b'"', ..] => {
            Some("application/json")
        }
        _ => Some("text/plain"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_types() {
        for (start, expected) in [
            (&b"MZ\x90\x00"[..], Some("application/x-dosexec")),
            (b"\r\n<!DOCTYPE HTML><html>", Some("text/html")),
            (b"<?xml version='1.0'?><a/>", Some("application/xml")),
            ("xin chào".as_bytes(), Some("text/plain")),
            (b"{\"a\":1}", Some("application/json")),
            (b"\x00\x01\x02", None),
            (b"", None),
        ] {
            assert_eq!(sniff(start), expected);
        }
    }
}
