//! How often rows of four bytes (grams) occur, so that literals are looked for by their rarest one.
//!
//! Without a sample the literals of the rules themselves tell: what many rules write is frequent in logs, too.

use super::grams::grams;
use super::literal::SHORTEST;
use super::written::written;

/// Bits of the hash under which grams are counted.
const BITS: u32 = 16;

/// Counts by hash; deterministic.
#[derive(Debug, Clone)]
pub(super) struct Frequencies {
    counts: Vec<u32>,
}

/// What stands in most texts of the logs that rules are written for.
const USUAL: &[&str] = &[
    "c:\\windows\\system32\\",
    "c:\\windows\\syswow64\\",
    "c:\\program files (x86)\\",
    "c:\\program files\\microsoft",
    "c:\\programdata\\microsoft\\",
    "c:\\users\\administrator\\appdata\\local\\temp\\",
    "appdata\\roaming\\microsoft\\windows\\",
    "\\windowspowershell\\v1.0\\powershell.exe",
    "hklm\\software\\microsoft\\windows\\currentversion\\",
    "hklm\\system\\currentcontrolset\\services\\",
    "\\registry\\machine\\software\\classes\\",
    "\\cmd.exe /c \\svchost.exe -k netsvcs -p -s",
    "nt authority\\system network service",
    "microsoft corporation windows operating system",
    "https://www. http:// .com .exe .dll .ps1 .tmp .xml .html .php?",
    "00000000 11111111 ffffffff {0000-0000-0000}",
    "user-agent mozilla/5.0 (windows nt 10.0; win64; x64)",
    "get-wmiobject set- new-object -object invoke- write-host function param(",
    "return string system.  \u{20}\u{20}\u{20}\u{20}\r\n\r\n\t\t\t\t true false null $_. -eq -ne ",
    "/usr/bin/ /usr/local/ /etc/ /var/log/ /home/ /tmp/",
];

impl Default for Frequencies {
    fn default() -> Self {
        let mut own = Self { counts: vec![0; 1 << BITS] };
        for text in USUAL {
            own.add(&written(text), 256);
        }
        own
    }
}

impl Frequencies {
    /// Counts the grams of `text`, each `weight` times.
    pub(super) fn add(&mut self, text: &[u8], weight: u32) {
        for window in text.array_windows::<SHORTEST>() {
            if let Some(count) = self.counts.get_mut(place(u32::from_le_bytes(*window))) {
                *count = count.saturating_add(weight);
            }
        }
    }

    /// Where in `literal` those `count` grams begin that follow one another and are rarest together; `None` where it has
    /// not so many.
    pub(super) fn rarest(&self, literal: &[u8], count: usize) -> Option<usize> {
        let all: Vec<u32> = grams(literal).map(|(_, gram)| gram).collect();
        let sum = |row: &[u32]| row.iter().map(|gram| u64::from(self.count(*gram))).sum::<u64>();
        all.windows(count).enumerate().min_by_key(|(_, row)| sum(row)).map(|(at, _)| at)
    }

    fn count(&self, gram: u32) -> u32 {
        self.counts.get(place(gram)).copied().unwrap_or(0)
    }
}

const fn place(gram: u32) -> usize {
    (gram.wrapping_mul(0x9E37_79B1) >> (32 - BITS)) as usize
}
