//! One partition of the signals topic: what waits there for its turn, and what correlations and scripts remember.
//!
//! The order of the log alone decides what comes of it: the same records give the same signals, however they are cut
//! into batches, and also when the state was saved and restored in between.

use std::collections::BTreeMap;

use dongson_bus::{Batch, Record};
use dongson_event::Signal;
use dongson_registry::StateParts;
use dongson_rules::correlate::Disorder;
use tracing::warn;

use crate::AnalyzerError;
use crate::detect::Content;
use crate::item::{Item, closed, completed};
use crate::order::Order;
use crate::script::Counting;

/// The state of one partition.
pub(crate) struct Partition {
    number: u32,
    order: Order,
    counting: Counting,
    /// What the metrics were told already.
    told: Disorder,
}

/// What a batch leads to.
#[derive(Default)]
pub(crate) struct Taken {
    /// Single matches, and what correlations and scripts found, by event time.
    pub(crate) signals: Vec<Signal>,
    /// For the signals topic: matches of correlations that others count, and watermarks.
    pub(crate) onward: Vec<Record>,
    /// What is to be saved with the offset.
    pub(crate) parts: StateParts,
}

impl Partition {
    /// Partition `number` of `partitions`, without memory.
    pub(crate) fn new(content: &Content, number: u32, partitions: u32) -> Self {
        Self {
            number,
            order: Order::new(&content.rules, partitions),
            counting: Counting::new(content),
            told: Disorder::default(),
        }
    }

    /// Takes what was saved; `whole` is the state as earlier versions wrote it. What cannot be read begins anew and is
    /// told in the log; nothing else is lost.
    pub(crate) fn restore(&mut self, parts: &BTreeMap<String, Vec<u8>>, whole: Option<&[u8]>) {
        self.counting.restore(parts, whole.filter(|_| parts.is_empty()), self.number);
        if let Err(error) = self.order.restore(parts) {
            metrics::counter!("analyzer_order_states_refused_total").increment(1);
            warn!(%error, partition = self.number, "not all that waited for its turn could be taken as it was saved");
        }
    }

    /// Takes the next records of the partition.
    pub(crate) fn take(&mut self, content: &Content, batch: &Batch) -> Result<Taken, AnalyzerError> {
        let mut taken = Taken::default();
        let mut ready = Vec::new();
        for (offset, record) in (batch.first..).zip(&batch.records) {
            match Item::from_record(record) {
                Ok(Item::Signal(signal)) => taken.signals.push(*signal),
                Ok(item) => {
                    self.order.take((offset, record.value.len()), item, &mut ready);
                    for item in ready.drain(..) {
                        self.count(content, item, &mut taken)?;
                    }
                    // Once a watermark, for it walks over every book; not once a batch, which a replay cuts otherwise.
                    if let Some(marks) = self.order.settled() {
                        let over = self.counting.close(|scope| marks.passed(scope));
                        taken.signals.extend(over.iter().filter_map(|found| closed(&content.rules, found)));
                        self.counting.forget_idle(&marks);
                    }
                }
                Err(error) => {
                    metrics::counter!("analyzer_undecodable_records_total").increment(1);
                    warn!(%error, "a record of the signals topic is not understood; it was left out");
                }
            }
        }
        taken.onward.extend(self.order.onward(self.number)?);
        taken.signals.sort_by(|one, other| {
            (one.timestamp, &one.event_id, &one.rule_id).cmp(&(
                other.timestamp,
                &other.event_id,
                &other.rule_id,
            ))
        });
        self.counting.save(&mut taken.parts)?;
        self.order.save(batch, &mut taken.parts)?;
        self.measure();
        Ok(taken)
    }

    /// Counts an item whose turn it is.
    fn count(&mut self, content: &Content, item: Item, taken: &mut Taken) -> Result<(), AnalyzerError> {
        match item {
            Item::Signal(signal) => taken.signals.push(*signal),
            Item::Told { .. } | Item::Watermarks { .. } => {}
            Item::Script { seen, about } => {
                taken.signals.extend(self.counting.script(content, &seen, &about));
            }
            Item::Counted { seen, ingested, observer, asset_level } => {
                for mut found in self.counting.correlation(&seen) {
                    for seen in std::mem::take(&mut found.onward) {
                        let (seen, observer) = (Box::new(seen), observer.clone());
                        let onward = Item::Counted { seen, ingested, observer, asset_level };
                        taken.onward.push(onward.to_record()?);
                    }
                    let rules = &content.rules;
                    let signal = if found.closed.is_some() {
                        closed(rules, &found)
                    } else {
                        completed(rules, &found, &seen, ingested, &observer, asset_level)
                    };
                    taken.signals.extend(signal);
                }
            }
        }
        Ok(())
    }

    /// Tells the metrics.
    fn measure(&mut self) {
        self.counting.measure();
        let held = u32::try_from(self.order.held()).unwrap_or(u32::MAX);
        metrics::gauge!("analyzer_order_held_items", "partition" => self.number.to_string())
            .set(f64::from(held));
        let (now, told) = (self.order.disorder(), self.told);
        metrics::counter!("analyzer_order_late_total").increment(now.late - told.late);
        metrics::counter!("analyzer_order_forced_total").increment(now.forced - told.forced);
        metrics::counter!("analyzer_order_repeated_total").increment(now.repeated - told.repeated);
        self.told = now;
    }
}

#[cfg(test)]
mod tests;
