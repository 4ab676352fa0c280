//! Indicators beside the rules: what an event meets is written into it, and each is a signal of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dongson_event::{Event, Signal};
use dongson_intel::{AllowList, Builder, LoadReport, Set, load};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{AnalyzerError, Config};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Refusals that are told in the log one by one.
const TOLD: usize = 20;

/// The indicators in use.
#[derive(Debug, Default)]
pub(crate) struct Intel {
    set: Set,
    allow: AllowList,
}

/// Where they come from.
#[derive(Debug, Clone)]
pub(crate) struct Lists {
    indicators: Vec<PathBuf>,
    allowed: Vec<PathBuf>,
}

/// A file as it was when it was read.
type Seen = (PathBuf, u64, Option<SystemTime>);

impl Lists {
    pub(crate) fn of(config: &Config) -> Self {
        Self { indicators: config.indicators.clone(), allowed: config.indicators_allowed.clone() }
    }

    /// Reads all of them, away from the tasks that wait for disks.
    pub(crate) async fn read_apart(&self) -> Result<Intel, AnalyzerError> {
        let lists = self.clone();
        tokio::task::spawn_blocking(move || lists.read()).await.map_err(AnalyzerError::Panicked)
    }

    fn read(&self) -> Intel {
        if self.indicators.is_empty() {
            return Intel::default();
        }
        let mut builder = Builder::default();
        let report = load::files(&self.indicators, &mut builder);
        let set = builder.finish();
        told(&report, &set);
        Intel { set, allow: allowed(&self.allowed) }
    }

    /// Sizes and times of all files, to see a change.
    fn look(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for path in self.indicators.iter().chain(&self.allowed) {
            look(path, &mut seen, 0);
        }
        seen
    }
}

fn look(path: &Path, seen: &mut Vec<Seen>, depth: usize) {
    let Ok(about) = fs::metadata(path) else { return };
    if about.is_dir() && depth < 8 {
        let mut children: Vec<PathBuf> =
            fs::read_dir(path).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
        children.sort();
        for child in children.iter().filter(|child| !child.is_symlink() || child.is_file()) {
            look(child, seen, depth + 1);
        }
    } else {
        seen.push((path.to_owned(), about.len(), about.modified().ok()));
    }
}

fn allowed(paths: &[PathBuf]) -> AllowList {
    let (mut all, mut bad) = (AllowList::default(), 0);
    for path in paths {
        match fs::read_to_string(path) {
            Ok(text) => {
                let (list, refused) = AllowList::parse(&text);
                all.extend(list);
                bad += refused.len();
                for (line, reason) in refused.iter().take(TOLD) {
                    warn!(file = %path.display(), line, %reason, "a line of an allow-list was refused");
                }
            }
            Err(error) => error!(file = %path.display(), %error, "an allow-list cannot be read"),
        }
    }
    if !paths.is_empty() {
        info!(files = paths.len(), refused = bad, "allow-lists read");
    }
    all
}

fn told(report: &LoadReport, set: &Set) {
    info!(indicators = set.len(), files = report.files, refused = report.refused, "indicators read");
    metrics::counter!("analyzer_indicators_refused_total").increment(report.refused as u64);
    metrics::gauge!("analyzer_indicators").set(f64::from(u32::try_from(set.len()).unwrap_or(u32::MAX)));
    for one in report.reasons.iter().take(TOLD) {
        warn!(file = %one.file, place = one.place, reason = %one.reason, "an indicator was refused");
    }
}

/// Reads the files again whenever they change, until `stop`.
pub(crate) async fn refresh(lists: Lists, publish: watch::Sender<Arc<Intel>>, stop: CancellationToken) {
    let mut last = lists.look();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = lists.look();
        if now == last {
            continue;
        }
        match lists.read_apart().await {
            Ok(intel) => drop(publish.send_replace(Arc::new(intel))),
            Err(error) => error!(%error, "the indicators could not be read; the last ones stay"),
        }
        last = now;
    }
}

impl Intel {
    /// A signal for each indicator that `event` meets; they are written into it.
    pub(crate) fn signals(&self, event: &mut Event) -> Vec<Signal> {
        let signals = dongson_intel::signals(&self.set, &self.allow, event);
        if !signals.is_empty() {
            metrics::counter!("analyzer_indicators_met_total").increment(signals.len() as u64);
        }
        signals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dongson_event::Level;
    use dongson_intel::{Detail, Indicator};

    #[test]
    fn what_an_event_meets_is_written_into_it_and_signalled() {
        let mut builder = Builder::default();
        let detail = Detail { source: "CERT".to_owned(), confidence: 90, ..Detail::default() };
        builder.add(&Indicator::guess("bad.example").unwrap(), &detail);
        let intel = Intel { set: builder.finish(), allow: AllowList::default() };
        let text = r#"{"@timestamp":"2026-11-23T02:00:00Z","organization.id":"so-yte","event.id":"e","source.ip":"10.0.0.7","dns.question.name":"x.bad.example"}"#;
        let mut event = Event::parse(text.as_bytes()).unwrap().0;
        let signals = intel.signals(&mut event);
        assert_eq!(signals.len(), 1);
        assert_eq!(signals[0].level, Level::High);
        assert_eq!(signals[0].entity.value, "10.0.0.7|bad.example");
        assert_eq!(event.text("threat.indicator.provider"), Some("CERT"));
        let mut other = Event::parse(br#"{"dns.question.name":"good.example"}"#).unwrap().0;
        assert!(intel.signals(&mut other).is_empty() && other.get("threat.indicator.type").is_none());
    }

    #[test]
    fn files_that_change_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        fs::write(&file, "203.0.113.7\n").unwrap();
        let lists = Lists { indicators: vec![folder.path().to_owned()], allowed: Vec::new() };
        let before = lists.look();
        assert_eq!((before.len(), lists.read().set.len()), (1, 1));
        fs::write(&file, "203.0.113.7\n203.0.113.8\n").unwrap();
        assert_ne!(lists.look(), before);
        assert_eq!(lists.read().set.len(), 2);
    }
}
