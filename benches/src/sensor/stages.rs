//! Where the time of the four kinds goes: the sensor's library is run in this process with stages left out, from the last to
//! the first; a stage costs what the run with it takes more than the one without.

use std::path::Path;

use anyhow::{Result, ensure};
use dongson_sensor::capture::CaptureFile;
use dongson_sensor::layer::{Decoder, FragmentLimits, Vlans};
use dongson_sensor::protocol::{Kind, Kinds};
use dongson_sensor::{Options, read_told};
use serde::Serialize;

use super::process::on_processor;

/// Nanoseconds of processor time for each packet.
#[derive(Debug, Serialize)]
pub(crate) struct Stages {
    /// The file, its hash, its records.
    read: f64,
    /// Headers down to the transport, tunnels, fragments.
    layers: f64,
    /// Flows, TCP state, timers, the records of flows; they are not printed.
    flow: f64,
    /// Streams in order, DNS, HTTP, TLS with fingerprints; not printed either.
    protocols: f64,
    /// JSON into a buffer.
    json: f64,
}

/// Measures with `path`, each stage `times` times, and takes the best.
pub(crate) fn measure(path: &Path, packets: u64, times: u32) -> Result<Stages> {
    let four = Kinds::of(&[Kind::Conn, Kind::Dns, Kind::Http, Kind::Tls]);
    let best = |one: &dyn Fn() -> Result<u64>| -> Result<f64> {
        let mut least = f64::INFINITY;
        for _ in 0..times {
            let begin = on_processor("/proc/thread-self/schedstat");
            ensure!(one()? == packets, "a run saw another number of packets");
            least = least.min(on_processor("/proc/thread-self/schedstat") - begin);
        }
        Ok(least)
    };
    let steps = [
        best(&|| frames(path, None))?,
        best(&|| frames(path, Some(Decoder::new(FragmentLimits::default(), Vlans::default()))))?,
        best(&|| records(path, Kinds::of(&[Kind::Conn]), false))?,
        best(&|| records(path, four, false))?,
        best(&|| records(path, four, true))?,
    ];
    #[expect(clippy::cast_precision_loss, reason = "packets are far fewer than 2^52")]
    let each = |seconds: f64| (seconds * 1e9 / packets.max(1) as f64).round();
    let [read, layers, flow, protocols, json] = steps;
    Ok(Stages {
        read: each(read),
        layers: each(layers - read),
        flow: each(flow - layers),
        protocols: each(protocols - flow),
        json: each(json - protocols),
    })
}

/// Reads the frames, and takes them apart where there is a decoder; how many there were.
fn frames(path: &Path, mut decoder: Option<Decoder>) -> Result<u64> {
    let mut capture = CaptureFile::open(path)?;
    let (mut count, mut datagrams) = (0, 0_u64);
    while let Some(frame) = capture.next_frame()? {
        count += 1;
        if let Some(decoder) = &mut decoder {
            decoder.frame(&frame, &mut |_| datagrams += 1);
        }
    }
    ensure!(decoder.is_none() || datagrams > 0, "no frame holds an IP packet");
    Ok(count)
}

/// Reads the records of these kinds, and prints them or not; how many frames there were.
fn records(path: &Path, kinds: Kinds, print: bool) -> Result<u64> {
    let mut options = Options::default();
    options.protocol.kinds = kinds;
    let mut text = String::with_capacity(1 << 18);
    let summary = read_told(path, &options, None, &mut |told, id| {
        if print {
            told.print(id, &mut text);
            if text.len() > 1 << 17 {
                text.clear();
            }
        }
    })?;
    Ok(summary.statistics.frames)
}
