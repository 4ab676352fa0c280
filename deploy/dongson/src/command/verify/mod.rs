//! `dongson verify`, `dongson evidence`: whether what is stored is what was logged, and proof of one thing for others.

mod evidence;
mod place;
mod segment;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use dongson_registry::{LogCheck, Registry, now};
use dongson_store::StoreClient;
use serde_json::json;

pub(crate) use evidence::EvidenceCommand;
use place::Opened;

use crate::output::{self, Format};

/// Compares what is stored with the transparency log.
#[derive(Debug, Args)]
#[command(
    after_help = "example: dongson verify --data /var/lib/dongson --sample 100\nBeside a running `dongson up` it reads from that; otherwise it starts the store itself.\nexit codes: 0 all is as it was logged, 1 something was changed, removed, inserted or back-dated, 2 wrong usage"
)]
pub(crate) struct Verify {
    /// The data folder of `dongson up`.
    #[arg(long, env = "DONGSON_DATA")]
    data: PathBuf,
    /// The configuration of `dongson up`, if it names a registry elsewhere (`registry.url`).
    #[arg(long, env = "DONGSON_CONFIG")]
    config: Option<PathBuf>,
    /// Reads the rows of so many segments and so many alerts, chosen evenly, the newest among them; all where not given.
    #[arg(long)]
    sample: Option<u64>,
    /// Looks at the log and the audit alone: no store is needed.
    #[arg(long, conflicts_with = "sample")]
    log_only: bool,
    /// Signed heads from elsewhere (a sensor's witness.json, or the note itself) that the log must agree with.
    #[arg(long = "head", value_name = "FILE")]
    heads: Vec<PathBuf>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// What was compared with the store.
#[derive(Debug, Default, serde::Serialize)]
struct Compared {
    segments: u64,
    segments_checked: u64,
    rows: u64,
    rows_expired: u64,
    rows_not_sealed: u64,
    alerts: u64,
    alerts_checked: u64,
}

impl Verify {
    pub(crate) fn run(self) -> Result<ExitCode> {
        tokio::runtime::Runtime::new()?.block_on(self.verify())
    }

    async fn verify(&self) -> Result<ExitCode> {
        let heads = self.heads.iter().map(|path| head(path)).collect::<Result<Vec<_>>>()?;
        let opened = Opened::open(&self.data, self.config.as_deref(), !self.log_only).await?;
        let mut bar = Bar::new("log");
        let mut check = opened.registry.check_transparency(&heads, |done, of| bar.show(done, of)).await?;
        let mut compared = Compared::default();
        if let Some(store) = &opened.store {
            self.segments(&opened.registry, store, &mut check, &mut compared).await?;
            self.alerts(&opened.registry, store, &mut check, &mut compared).await?;
        }
        drop(bar);
        let key = opened.registry.transparency_key().await?.map(|key| key.to_string());
        opened.close().await?;
        self.print(&check, &compared, key.as_deref())?;
        Ok(if check.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Whether entry `number` of `all` of a kind is looked at.
    fn takes(&self, number: u64, all: u64) -> bool {
        let Some(sample) = self.sample.filter(|sample| *sample < all) else { return true };
        // Evenly, ending with the newest.
        let before = u128::from(number) * u128::from(sample) / u128::from(all);
        let after = u128::from(number + 1) * u128::from(sample) / u128::from(all);
        after > before
    }

    async fn segments(
        &self,
        registry: &Registry,
        store: &StoreClient,
        check: &mut LogCheck,
        compared: &mut Compared,
    ) -> Result<()> {
        let all = count(registry, "segment").await?;
        let mut bar = Bar::new("segments");
        let mut from = 0;
        loop {
            let page = registry.transparency_entries(Some("segment"), from).await?;
            let Some(last) = page.last() else { break };
            from = last.leaf + 1;
            for entry in page.iter().filter_map(dongson_registry::LoggedEntry::entry) {
                if self.takes(compared.segments, all) {
                    segment::compare(store, &entry, now(), check, compared).await?;
                    compared.segments_checked += 1;
                }
                compared.segments += 1;
                bar.show(compared.segments, all);
            }
        }
        if self.sample.is_none() {
            segment::outside(registry, store, check, compared).await?;
        }
        Ok(())
    }

    async fn alerts(
        &self,
        registry: &Registry,
        store: &StoreClient,
        check: &mut LogCheck,
        compared: &mut Compared,
    ) -> Result<()> {
        let all = count(registry, "alert").await?;
        let mut bar = Bar::new("alerts");
        let mut from = 0;
        loop {
            let page = registry.transparency_entries(Some("alert"), from).await?;
            let Some(last) = page.last() else { return Ok(()) };
            from = last.leaf + 1;
            for entry in page.iter().filter_map(dongson_registry::LoggedEntry::entry) {
                if self.takes(compared.alerts, all) {
                    segment::compare_alert(store, &entry, now(), check).await?;
                    compared.alerts_checked += 1;
                }
                compared.alerts += 1;
                bar.show(compared.alerts, all);
            }
        }
    }

    fn print(&self, check: &LogCheck, compared: &Compared, key: Option<&str>) -> Result<()> {
        if matches!(self.format, Format::Json) {
            let good = check.wrong == 0;
            return output::json(&json!({ "good": good, "key": key, "log": check, "store": compared }));
        }
        if check.wrong > 0 {
            let rows: Vec<Vec<String>> = check.findings.iter().map(row).collect();
            output::table(&["kind", "name", "problem", "detail"], &rows)?;
        }
        let said = [
            ("log entries", check.entries),
            ("signed heads", check.heads),
            ("audit entries", check.audit),
            ("sensor batches", check.batches),
            ("sensor batches not kept any more", check.batches_forgotten),
            ("segments", compared.segments),
            ("segments compared", compared.segments_checked),
            ("rows compared", compared.rows),
            ("rows deleted by retention", compared.rows_expired),
            ("rows not sealed yet", compared.rows_not_sealed),
            ("alerts", compared.alerts),
            ("alerts compared", compared.alerts_checked),
            ("things that do not fit", check.wrong),
        ];
        let rows: Vec<Vec<String>> =
            said.iter().map(|(what, count)| vec![(*what).to_owned(), count.to_string()]).collect();
        output::table(&["what", "count"], &rows)?;
        output::line(&format!("key of the log: {}", key.unwrap_or("none yet")))?;
        Ok(())
    }
}

fn row(finding: &dongson_registry::Finding) -> Vec<String> {
    let problem = serde_json::to_value(finding.problem).ok();
    let problem = problem.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    vec![finding.kind.clone(), finding.name.clone(), problem, finding.detail.clone()]
}

async fn count(registry: &Registry, kind: &str) -> Result<u64> {
    let (mut all, mut from) = (0, 0);
    loop {
        let page = registry.transparency_entries(Some(kind), from).await?;
        let Some(last) = page.last() else { return Ok(all) };
        from = last.leaf + 1;
        all += page.len() as u64;
    }
}

/// A signed head from a file: the note itself, or what a sensor keeps.
fn head(path: &std::path::Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let kept: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let note = kept.as_ref().and_then(|kept| kept.get("note")?.as_str());
    Ok(note.map_or(text.clone(), str::to_owned))
}

/// Progress on a terminal; nothing elsewhere.
struct Bar {
    what: &'static str,
    shown: Option<u64>,
    terminal: bool,
}

impl Bar {
    fn new(what: &'static str) -> Self {
        Self { what, shown: None, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, done: u64, of: u64) {
        let percent = (done * 100).checked_div(of).unwrap_or(100);
        if self.terminal && self.shown != Some(percent) {
            self.shown = Some(percent);
            // A terminal that is gone needs no progress.
            drop(write!(std::io::stderr(), "\r{}: {done} of {of} ({percent} %) ", self.what));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown.is_some() {
            drop(writeln!(std::io::stderr()));
        }
    }
}
