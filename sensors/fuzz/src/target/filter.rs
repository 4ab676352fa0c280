//! Filters as people write them: read, compiled for the kernel, run over a frame.

use dongson_event::Timestamp;
use dongson_sensor::capture::filter::Filter;
use dongson_sensor::capture::{Frame, LinkType};
use fastrand::Rng;

use super::Target;
use super::wire::{Ip, QUESTION, ethernet, udp};
use crate::mutate;

/// Longest filter in bytes.
const MAX_BYTES: usize = 2_048;

/// The target.
#[derive(Debug)]
pub struct Filters;

impl Target for Filters {
    fn name(&self) -> &'static str {
        "filter"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let texts = [
            "udp and port 53",
            "not (host 10.0.0.1 or net 192.168.0.0/16) and tcp",
            "src host fd00::1 && dst port 443 || icmp6",
            "vlan 7 and ip and not src net 10.0.0.0/8",
            "tcp portrange 1-1024 or dst net fd00::/8",
            "arp or ip6 or icmp",
        ];
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    fn change(&self, rng: &mut Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
        let words = [
            "and",
            "or",
            "not",
            "(",
            ")",
            "!",
            "&&",
            "||",
            " ",
            "host ",
            "net ",
            "port ",
            "portrange ",
            "src ",
            "dst ",
            "tcp ",
            "udp ",
            "ip ",
            "ip6 ",
            "icmp ",
            "arp ",
            "vlan ",
            "10.0.0.0/8",
            "fd00::/128",
            "/33",
            "65536",
            "1-2",
        ];
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let mut text = input.to_vec();
        mutate::change(rng, &mut text, &words, other, MAX_BYTES);
        text
    }

    fn run(&mut self, input: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(input);
        let Ok(filter) = Filter::parse(&text) else { return Ok(()) };
        let bytes = ethernet(0x0800, &Ip::new(false, 17).packet(&udp(40_000, 53, QUESTION)));
        for link in [LinkType::ETHERNET, LinkType::RAW] {
            let Ok(program) = filter.compile(link) else { continue };
            for cut in [0, 13, 15, 30, bytes.len()] {
                let bytes = bytes.get(..cut).unwrap_or_default();
                let frame = Frame { at: Timestamp::default(), link, bytes, wire_length: 90, vlan: None };
                program.takes(&frame);
            }
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        8 << 20
    }
}
