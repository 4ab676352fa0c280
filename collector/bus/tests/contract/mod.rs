//! What every implementation of the log must do. `contract!(make)` turns each law into a test; `make` is an async
//! function that answers an empty [`Fixture`].

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dongson_bus::{Batch, Bus, BusError, Consumer, MAX_RECORD_BYTES, Position, Record, partition_of};
use dongson_event::Timestamp;

/// An empty log and whatever must live as long.
pub(crate) struct Fixture {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) keep: Box<dyn Any>,
}

const TOPIC: &str = "dongson.events";
const WAIT: Duration = Duration::from_secs(10);
const NOW: Duration = Duration::from_millis(1);

pub(crate) fn record(key: &str, value: impl std::fmt::Display) -> Record {
    Record::new(key.to_owned(), value.to_string(), Timestamp::from_millis(1_700_000_000_000))
}

fn values(batches: &[Batch]) -> Vec<String> {
    let records = batches.iter().flat_map(|batch| &batch.records);
    records.map(|record| String::from_utf8(record.value.to_vec()).unwrap()).collect()
}

/// Polls until `count` records came.
pub(crate) async fn drain(consumer: &mut dyn Consumer, count: usize) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut seen = 0;
    while seen < count {
        let more = consumer.poll(count - seen, 1 << 20, WAIT).await.unwrap();
        assert!(!more.is_empty(), "{seen} of {count} records came in time");
        seen += more.iter().map(|batch| batch.records.len()).sum::<usize>();
        batches.extend(more);
    }
    batches
}

pub(crate) async fn a_key_keeps_its_order(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 4).await.unwrap();
    let keys = ["so-yte", "xa-hamrong", "so-tttt", "vnpt", "lgsp"];
    let mut next = BTreeMap::new();
    for round in 0..20 {
        let records: Vec<Record> = keys.iter().map(|key| record(key, format!("{key} {round}"))).collect();
        for (key, position) in keys.iter().zip(bus.produce(TOPIC, records).await.unwrap()) {
            assert_eq!(position.partition, partition_of(key.as_bytes(), 4));
            let expected = next.entry(position.partition).or_insert(0);
            assert_eq!(position.offset, *expected, "offsets have no gaps");
            *expected += 1;
        }
    }
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    let mut seen: BTreeMap<Bytes, usize> = BTreeMap::new();
    for batch in drain(consumer.as_mut(), 100).await {
        assert_eq!(batch.last - batch.first + 1, batch.records.len() as u64);
        for held in &batch.records {
            let round = seen.entry(held.key.clone()).or_default();
            let key = String::from_utf8_lossy(&held.key);
            assert_eq!(String::from_utf8_lossy(&held.value), format!("{key} {round}"));
            *round += 1;
        }
    }
    assert!(seen.values().all(|&count| count == 20), "{seen:?}");
}

pub(crate) async fn a_record_comes_back_whole(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 1).await.unwrap();
    let sent = vec![
        Record {
            key: Bytes::from_static(&[0, 255]),
            value: Bytes::from(vec![7; 1 << 20]),
            headers: vec![("trace".to_owned(), Bytes::from_static(b"a\0b")), (String::new(), Bytes::new())],
            timestamp: Timestamp::from_nanos(-5),
        },
        Record::default(),
    ];
    bus.produce(TOPIC, sent.clone()).await.unwrap();
    assert_eq!(bus.produce(TOPIC, Vec::new()).await.unwrap(), []);
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    let got: Vec<Record> =
        drain(consumer.as_mut(), 2).await.into_iter().flat_map(|batch| batch.records).collect();
    assert_eq!(got, sent);
}

pub(crate) async fn polls_keep_their_limits(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 2).await.unwrap();
    bus.produce(TOPIC, (0..100).map(|n| record(&format!("k{n}"), "x".repeat(1_000))).collect())
        .await
        .unwrap();
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    let by_number = consumer.poll(7, 1 << 20, WAIT).await.unwrap();
    assert!((1..=7).contains(&values(&by_number).len()));
    let by_bytes = consumer.poll(1_000, 3_500, WAIT).await.unwrap();
    assert!((1..=4).contains(&values(&by_bytes).len()));
    let one_at_least = consumer.poll(1_000, 1, WAIT).await.unwrap();
    assert_eq!(values(&one_at_least).len(), 1);
}

pub(crate) async fn a_group_goes_on_where_it_committed(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 1).await.unwrap();
    bus.produce(TOPIC, (0..10).map(|n| record("k", n)).collect()).await.unwrap();
    let mut first = bus.consumer("reader", &[TOPIC]).await.unwrap();
    assert_eq!(first.committed(TOPIC, 0).await.unwrap(), None);
    assert_eq!(values(&first.poll(6, 1 << 20, WAIT).await.unwrap()).len(), 6);
    first.commit(TOPIC, 0, 4, "in flight 4-5".to_owned()).await.unwrap();
    drop(first);
    let mut second = bus.consumer("reader", &[TOPIC]).await.unwrap();
    assert_eq!(second.committed(TOPIC, 0).await.unwrap(), Some((4, "in flight 4-5".to_owned())));
    assert_eq!(values(&drain(second.as_mut(), 6).await), ["4", "5", "6", "7", "8", "9"]);
    let mut other = bus.consumer("another", &[TOPIC]).await.unwrap();
    assert_eq!(values(&drain(other.as_mut(), 10).await).len(), 10);
}

pub(crate) async fn a_batch_is_cut_again_as_it_was(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 1).await.unwrap();
    for n in 0..10 {
        bus.produce(TOPIC, vec![record("k", n)]).await.unwrap();
    }
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    let batch = consumer.read(TOPIC, 0, 3, 6).await.unwrap();
    assert_eq!((batch.first, batch.last), (3, 6));
    assert_eq!(values(&[batch]), ["3", "4", "5", "6"]);
    consumer.seek(TOPIC, 0, 8).await.unwrap();
    assert_eq!(values(&drain(consumer.as_mut(), 2).await), ["8", "9"]);
    assert!(matches!(consumer.read(TOPIC, 0, 9, 10).await, Err(BusError::OutOfRange { end: 10, .. })));
    assert!(matches!(consumer.seek(TOPIC, 0, 11).await, Err(BusError::OutOfRange { .. })));
    assert!(matches!(consumer.commit(TOPIC, 0, 11, String::new()).await, Err(BusError::OutOfRange { .. })));
}

pub(crate) async fn a_token_counts_once(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 3).await.unwrap();
    let batch: Vec<Record> = (0..9).map(|n| record(&format!("k{n}"), n)).collect();
    let first = bus.produce_once(TOPIC, "sensor-1/7/12", batch.clone()).await.unwrap();
    assert_eq!(bus.produce_once(TOPIC, "sensor-1/7/12", batch.clone()).await.unwrap(), first);
    let together = tokio::join!(
        bus.produce_once(TOPIC, "sensor-1/7/13", batch.clone()),
        bus.produce_once(TOPIC, "sensor-1/7/13", batch.clone()),
        bus.produce_once(TOPIC, "sensor-1/7/13", batch.clone()),
    );
    let (one, two, three) = (together.0.unwrap(), together.1.unwrap(), together.2.unwrap());
    assert_eq!((&one, &two), (&two, &three));
    assert_ne!(one, first);
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    assert_eq!(values(&drain(consumer.as_mut(), 18).await).len(), 18);
    assert!(consumer.poll(10, 1 << 20, NOW).await.unwrap().is_empty());
}

pub(crate) async fn members_share_the_partitions(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 4).await.unwrap();
    let mut one = bus.consumer("reader", &[TOPIC]).await.unwrap();
    let mut two = bus.consumer("reader", &[TOPIC]).await.unwrap();
    bus.produce(TOPIC, (0..200).map(|n| record(&format!("k{n}"), n)).collect()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 200 {
        for consumer in [&mut one, &mut two] {
            seen.extend(values(&consumer.poll(50, 1 << 20, Duration::from_millis(100)).await.unwrap()));
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 200, "each record went to one member");
    let (mine, yours) = (one.assigned(), two.assigned());
    assert_eq!(mine.len() + yours.len(), 4);
    assert!(!mine.is_empty() && !yours.is_empty());
    let (topic, partition) = yours.first().unwrap();
    let refused = one.commit(topic, *partition, 1, String::new()).await;
    assert!(matches!(refused, Err(BusError::NotAssigned { .. })), "{refused:?}");
    drop(two);
    assert_eq!(values(&drain(one.as_mut(), 1).await).len(), 1, "what was not committed comes to who is left");
    assert_eq!(one.assigned().len(), 4);
}

pub(crate) async fn a_poll_waits_for_records(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 2).await.unwrap();
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    assert!(consumer.poll(10, 1 << 20, NOW).await.unwrap().is_empty());
    let (polled, produced) =
        tokio::join!(consumer.poll(10, 1 << 20, WAIT), bus.produce(TOPIC, vec![record("k", "late")]));
    produced.unwrap();
    assert_eq!(values(&polled.unwrap()), ["late"]);
}

pub(crate) async fn lag_is_told(bus: &dyn Bus) {
    bus.create_topic(TOPIC, 1).await.unwrap();
    bus.produce(TOPIC, (0..10).map(|n| record("k", n)).collect()).await.unwrap();
    let mut consumer = bus.consumer("reader", &[TOPIC]).await.unwrap();
    let behind = bus.lag("reader").await.unwrap().remove(0);
    assert_eq!((behind.committed, behind.end, behind.records), (0, 10, 10));
    assert!(behind.bytes > 0);
    consumer.commit(TOPIC, 0, 10, String::new()).await.unwrap();
    let even = bus.lag("reader").await.unwrap().remove(0);
    assert_eq!((even.records, even.bytes), (0, 0));
    drop(consumer);
    bus.forget_group("reader").await.unwrap();
    assert_eq!(bus.lag("reader").await.unwrap(), []);
}

pub(crate) async fn mistakes_are_named(bus: &dyn Bus) {
    assert!(matches!(bus.produce("nowhere", vec![record("k", 1)]).await, Err(BusError::UnknownTopic(_))));
    assert!(matches!(bus.consumer("reader", &["nowhere"]).await.err(), Some(BusError::UnknownTopic(_))));
    assert!(matches!(bus.create_topic("a topic", 1).await, Err(BusError::BadName(_))));
    bus.create_topic(TOPIC, 2).await.unwrap();
    bus.create_topic(TOPIC, 2).await.unwrap();
    assert!(matches!(
        bus.create_topic(TOPIC, 3).await,
        Err(BusError::PartitionsDiffer { existing: 2, wanted: 3, .. })
    ));
    assert_eq!(bus.topics().await.unwrap(), [(TOPIC.to_owned(), 2)]);
    let long = Record::new("k", vec![0; MAX_RECORD_BYTES + 1], Timestamp::default());
    assert!(matches!(bus.produce(TOPIC, vec![long]).await, Err(BusError::TooLarge { what: "record", .. })));
    let next = bus.produce(TOPIC, vec![record("k", 1)]).await.unwrap();
    assert_eq!(
        next,
        [Position { partition: partition_of(b"k", 2), offset: 0 }],
        "nothing of the refused was kept"
    );
}

/// One test for each law.
macro_rules! contract {
    ($make:path: $($law:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $law() {
            let fixture = $make().await;
            contract::$law(fixture.bus.as_ref()).await;
            drop(fixture.keep);
        }
    )*};
    ($make:path) => {
        contract!($make: a_key_keeps_its_order, a_record_comes_back_whole, polls_keep_their_limits,
            a_group_goes_on_where_it_committed, a_batch_is_cut_again_as_it_was, a_token_counts_once,
            members_share_the_partitions, a_poll_waits_for_records, lag_is_told, mistakes_are_named);
    };
}
