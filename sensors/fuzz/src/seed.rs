//! Conversations written down: the files `seeds/NAME.talk`.
//!
//! Lines: `# comment`; `reads PATH ...` (which files of `sensors/src/protocol` the conversations are for); `def NAME ITEMS`;
//! `tcp PORT SERVICE` or `udp PORT SERVICE` begins a conversation; `> ITEMS` the client says, `< ITEMS` the server; a line that
//! begins with a blank goes on. Items: `0a1b` bytes; `"text\r\n"`, `w"text"` in UTF-16; `$NAME` what was defined; `ITEM*9` nine
//! times; `u16[ ITEMS ]` after a length (`u8 u16 u24 u32`, with `le` the other byte order, `u32+4[` when it counts more than
//! what follows, `u24-1[` when less; `v[` as QUIC's); `30[ ITEMS ]` a value of DER with its tag.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::talk::{CLIENT, SERVER, Talk, Turn};

/// A file of conversations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seed {
    /// Its name.
    pub name: String,
    /// What it is for: beginnings of paths below `sensors/src/protocol`.
    pub reads: Vec<String>,
    /// What is spoken, each once: transport, name.
    pub services: Vec<(Transport, String)>,
    /// The conversations; the service is the place in the list.
    pub talks: Vec<Talk>,
}

/// What carries a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// A connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// The folder of this crate.
pub fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of `seeds/`, in the order of their names.
///
/// # Errors
/// A file that cannot be read, or a line that is not right, in words.
pub fn all() -> Result<Vec<Seed>, String> {
    let folder = home().join("seeds");
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
        paths.push(entry.map_err(|error| failed(&folder, error))?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "talk"));
    paths.sort();
    let mut seeds = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        seeds.push(read(&name, &text).map_err(|error| format!("{}: {error}", path.display()))?);
    }
    Ok(seeds)
}

/// Reads one file.
///
/// # Errors
/// The number of the line, and what is wrong with it.
pub fn read(name: &str, text: &str) -> Result<Seed, String> {
    let mut seed = Seed { name: name.to_owned(), ..Seed::default() };
    let mut known = BTreeMap::new();
    for (number, line) in joined(text) {
        line_of(&mut seed, &mut known, &line).map_err(|error| format!("line {number}: {error}"))?;
    }
    Ok(seed)
}

/// The lines with what goes on in the next ones, numbered from 1; without comments and empty ones.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match lines.last_mut() {
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            Some((_, last)) if line.starts_with(' ') => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push((number, line.to_owned())),
        }
    }
    lines
}

fn line_of(seed: &mut Seed, known: &mut BTreeMap<String, Vec<u8>>, line: &str) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let words = rest.split_whitespace().collect::<Vec<_>>();
    match (word, words.as_slice()) {
        ("reads", paths) => seed.reads.extend(paths.iter().map(|path| (*path).to_owned())),
        ("def", [name, ..]) => {
            let items = rest.trim_start().strip_prefix(name).unwrap_or_default();
            let bytes = Items { rest: items, known }.all()?;
            known.insert((*name).to_owned(), bytes);
        }
        ("tcp" | "udp", [port, service]) => {
            let transport = if word == "tcp" { Transport::Tcp } else { Transport::Udp };
            let service = (transport, (*service).to_owned());
            let port = port.parse().map_err(|_| format!("{port:?} is not a port"))?;
            let place = seed.services.iter().position(|known| *known == service).unwrap_or_else(|| {
                seed.services.push(service);
                seed.services.len() - 1
            });
            let service = u8::try_from(place).map_err(|_| "more than 255 services".to_owned())?;
            seed.talks.push(Talk { service, port, ..Talk::default() });
        }
        (">" | "<", _) => {
            let bytes = Items { rest, known }.all()?;
            let talk = seed.talks.last_mut().ok_or("no conversation was begun with tcp or udp")?;
            let kind = if word == ">" { CLIENT } else { SERVER };
            talk.turns.push(Turn { kind, missing: 0, bytes });
        }
        _ => return Err(format!("{line:?} begins with none of reads, def, tcp, udp, >, <")),
    }
    Ok(())
}

/// Items that are being read.
struct Items<'a> {
    rest: &'a str,
    known: &'a BTreeMap<String, Vec<u8>>,
}

impl<'a> Items<'a> {
    fn all(mut self) -> Result<Vec<u8>, String> {
        let bytes = self.group()?;
        if self.rest.is_empty() { Ok(bytes) } else { Err(format!("one ] too many before {:?}", self.rest)) }
    }

    /// Items up to the end, or to a closing bracket that stays.
    fn group(&mut self) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.is_empty() || self.rest.starts_with(']') {
                return Ok(out);
            }
            let item = self.item()?;
            let times = match self.rest.strip_prefix('*') {
                Some(rest) => {
                    self.rest = rest;
                    let digits = self.word(|sign| sign.is_ascii_digit());
                    digits.parse().map_err(|_| "no number stands behind *".to_owned())?
                }
                None => 1,
            };
            out.extend(item.repeat(times));
        }
    }

    fn item(&mut self) -> Result<Vec<u8>, String> {
        if let Some(rest) = self.rest.strip_prefix("w\"") {
            self.rest = rest;
            let text = self.text()?;
            return Ok(text.iter().flat_map(|byte| [*byte, 0]).collect());
        }
        if let Some(rest) = self.rest.strip_prefix('"') {
            self.rest = rest;
            return self.text();
        }
        if let Some(rest) = self.rest.strip_prefix('$') {
            self.rest = rest;
            let name = self.word(|sign| sign.is_ascii_alphanumeric() || sign == '_');
            return self.known.get(name).cloned().ok_or_else(|| format!("{name:?} was not defined"));
        }
        let word = self.word(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '+' | '-'));
        if let Some(rest) = self.rest.strip_prefix('[') {
            self.rest = rest;
            let inside = self.group()?;
            self.rest = self.rest.strip_prefix(']').ok_or_else(|| format!("{word}[ is not closed"))?;
            return counted(word, &inside);
        }
        if word.is_empty() {
            return Err(format!("nothing that can stand here: {:?}", self.rest));
        }
        hex::decode(word).map_err(|error| format!("{word:?}: {error}"))
    }

    /// Text to its closing quotation mark.
    fn text(&mut self) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut signs = self.rest.chars();
        loop {
            match signs.next() {
                Some('"') => break,
                Some('\\') => out.push(match signs.next() {
                    Some('r') => b'\r',
                    Some('n') => b'\n',
                    Some('t') => b'\t',
                    Some('0') => 0,
                    Some(sign @ ('\\' | '"')) => u8::try_from(sign).unwrap_or_default(),
                    other => {
                        return Err(format!("\\{other:?} is no escape; bytes stand outside of the text"));
                    }
                }),
                Some(sign) => out.extend(sign.encode_utf8(&mut [0; 4]).bytes()),
                None => return Err("a text is not closed".to_owned()),
            }
        }
        self.rest = signs.as_str();
        Ok(out)
    }

    fn word(&mut self, part: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|sign| !part(sign)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }
}

/// `inside` behind its length or tag.
fn counted(word: &str, inside: &[u8]) -> Result<Vec<u8>, String> {
    if word == "v" {
        // A number of QUIC's in two bytes (RFC 9000, 16).
        let length = u16::try_from(inside.len()).ok().filter(|length| *length < 0x4000);
        let length =
            length.ok_or_else(|| format!("v[ holds {} bytes, which it cannot tell", inside.len()))?;
        return Ok([&(0x4000 | length).to_be_bytes()[..], inside].concat());
    }
    let Some(kind) = word.strip_prefix('u') else { return der(word, inside) };
    let sign = kind.find(['+', '-']).unwrap_or(kind.len());
    let (kind, more) = kind.split_at_checked(sign).unwrap_or((kind, ""));
    let more: isize = match more {
        "" => 0,
        more => more.parse().map_err(|_| format!("{word}: no number stands behind + or -"))?,
    };
    let (bits, little) = kind.strip_suffix("le").map_or((kind, false), |bits| (bits, true));
    let width = match bits {
        "8" => 1,
        "16" => 2,
        "24" => 3,
        "32" => 4,
        _ => return Err(format!("{word}[ is no length: they are u8, u16, u24, u32, with le or without")),
    };
    let digits = inside.len().saturating_add_signed(more).to_le_bytes();
    let mut out: Vec<u8> = digits.iter().take(width).copied().collect();
    if digits.iter().skip(width).any(|digit| *digit != 0) {
        return Err(format!("{word}[ holds {} bytes, which it cannot tell", inside.len()));
    }
    if !little {
        out.reverse();
    }
    out.extend(inside);
    Ok(out)
}

fn der(tag: &str, inside: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = hex::decode(tag).map_err(|error| format!("the tag {tag:?}: {error}"))?;
    let [.., high, low] = inside.len().to_be_bytes();
    match inside.len() {
        0..0x80 => out.push(low),
        0x80..0x100 => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend(inside);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(items: &str, expected: &[u8]) {
        let known = [("a".to_owned(), b"xy".to_vec())].into();
        assert_eq!(Items { rest: items, known: &known }.all().as_deref(), Ok(expected));
    }

    #[test]
    fn items_are_bytes() {
        check("0a1B \"a\\r\\n\\0\" w\"ab\"", b"\x0a\x1ba\r\n\0a\0b\0");
        check("$a*2 00*3", b"xyxy\0\0\0");
        check("u16[ u8[ 01 ] \"b\" ] u24le+4[00]", b"\0\x03\x01\x01b\x05\0\0\0");
        check(
            "30[ 02[05] 04[00*200] ]",
            &[&[0x30, 0x81, 0xce, 2, 1, 5, 4, 0x81, 200][..], &[0; 200]].concat(),
        );
    }

    #[test]
    fn what_is_not_right_is_named() {
        for (text, error) in [
            ("> 00", "line 1: no conversation was begun with tcp or udp"),
            ("tcp 80 http\n\n> u8[00", "line 3: u8[ is not closed"),
            ("tcp x http", "line 1: \"x\" is not a port"),
            ("tcp 80 http\n< $a", "line 2: \"a\" was not defined"),
            ("?", "line 1: \"?\" begins with none of reads, def, tcp, udp, >, <"),
        ] {
            assert_eq!(read("x", text).err().as_deref(), Some(error));
        }
    }

    #[test]
    fn a_file() {
        let text = "reads mail/smtp\n# x\ntcp 25 smtp\n< \"220\n  \\r\\n\"\nudp 53 dns\n> 00\ntcp 26 smtp\n";
        let seed = read("smtp", &text.replace("220\n  ", "220 ")).unwrap();
        assert_eq!(seed.services, [(Transport::Tcp, "smtp".to_owned()), (Transport::Udp, "dns".to_owned())]);
        assert_eq!(
            seed.talks.iter().map(|talk| (talk.service, talk.port)).collect::<Vec<_>>(),
            [(0, 25), (1, 53), (0, 26)]
        );
    }
}
