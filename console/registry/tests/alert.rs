//! The alert queue through the public API: exactly-once steps, triage by several people at once, undo, pages.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use dongson_registry::{
    Action, AlertFilter, AlertRef, AlertSort, AlertUpsert, Change, ChannelEdit, ChannelKind, Consumed, Error,
    ExceptionEdit, ExceptionHit, Level, Outcome, Registry, Scope, State, Step, Verdict,
};
use proptest::prelude::*;
use support::on_both;
use support::{START, alert, analyst, apply, database, only, place, registry};

fn run(first: u64, next: u64) -> Consumed {
    Consumed { group: "analyzer".into(), topic: "dongson.signals".into(), partition: 3, first, next }
}

async fn the_same_run_again_changes_nothing() {
    let (folder, registry) = registry().await;
    let exception = ExceptionEdit {
        organization: Some("a".into()),
        rule_id: Some("rule-1".into()),
        entity_type: None,
        entity_value: None,
        reason: "scanner of ours".into(),
        expires_at: START + 1_000_000,
    };
    let person = analyst(&registry, "an", None).await;
    let change = Change::by(&person.id, None, START);
    let exception = registry.create_exception(&Scope::All, &change, &exception).await.unwrap();
    let step = Step {
        alerts: vec![AlertUpsert { added: 5, ..alert("x", "a", Level::High) }],
        hits: vec![ExceptionHit { exception: exception.id, added: 2, last: START }],
        state: Some(b"state-1".to_vec()),
        ..Step::default()
    };
    assert!(registry.apply_alerts(&run(0, 10), &step, START).await.unwrap().fresh);
    assert!(!registry.apply_alerts(&run(0, 10), &step, START).await.unwrap().fresh);
    assert!(matches!(
        registry.apply_alerts(&run(5, 15), &step, START).await,
        Err(Error::Overlap { stored: 10, .. })
    ));
    registry.close().await;

    let registry = Registry::open(place(&folder.path().join("registry.sqlite"))).await.unwrap();
    assert!(!registry.apply_alerts(&run(0, 10), &step, START).await.unwrap().fresh);
    let saved = registry.offset("analyzer", "dongson.signals", 3).await.unwrap().unwrap();
    assert_eq!((saved.next, saved.state.as_deref()), (10, Some(b"state-1".as_slice())));
    assert_eq!(registry.alert(&Scope::All, "x").await.unwrap().count, 5);
    assert_eq!(registry.exceptions(&Scope::All).await.unwrap()[0].hits, 2);
}

async fn parts_of_a_state_are_written_and_removed_with_the_offset() {
    let (_folder, registry) = registry().await;
    let step = |parts: &[(&str, Option<&str>)]| {
        let parts = parts.iter().map(|(name, value)| ((*name).into(), value.map(Into::into))).collect();
        Step { parts, ..Step::default() }
    };
    let first = step(&[("a", Some("1")), ("b", Some("2"))]);
    assert!(registry.apply_alerts(&run(0, 10), &first, START).await.unwrap().fresh);
    let second = step(&[("a", None), ("b", Some("3")), ("c", Some(""))]);
    assert!(registry.apply_alerts(&run(10, 11), &second, START).await.unwrap().fresh);
    assert!(!registry.apply_alerts(&run(0, 10), &first, START).await.unwrap().fresh);
    let other = Consumed { partition: 4, ..run(0, 1) };
    assert!(registry.apply_alerts(&other, &step(&[("b", Some("4"))]), START).await.unwrap().fresh);
    let kept = registry.state_parts("analyzer", "dongson.signals", 3).await.unwrap();
    let kept: Vec<(&str, &[u8])> =
        kept.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    assert_eq!(kept, [("b", b"3".as_slice()), ("c", b"".as_slice())]);
}

async fn a_state_of_somewhere_else_is_refused_with_all_that_it_did() {
    let (_folder, registry) = registry().await;
    let step = |expected, id| {
        let alerts = vec![alert(id, "a", Level::High)];
        let parts = [("part".to_owned(), Some(id.into()))].into();
        Step { alerts, parts, expected: Some(expected), ..Step::default() }
    };
    assert!(registry.apply_alerts(&run(0, 10), &step(0, "x"), START).await.unwrap().fresh);
    // Two members believe that they go on from offset 10, with cuts of their own.
    assert!(registry.apply_alerts(&run(10, 20), &step(10, "y"), START).await.unwrap().fresh);
    let refused = registry.apply_alerts(&run(20, 30), &step(10, "z"), START).await;
    assert!(matches!(refused, Err(Error::Moved { expected: 10, stored: 20 })), "{refused:?}");
    assert!(!registry.apply_alerts(&run(10, 15), &step(10, "z"), START).await.unwrap().fresh);
    assert!(matches!(registry.alert(&Scope::All, "z").await, Err(Error::NotFound(_))));
    let kept = registry.state_parts("analyzer", "dongson.signals", 3).await.unwrap();
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [("part".to_owned(), b"y".to_vec())]);
}

async fn of_two_that_take_an_alert_at_once_one_wins() {
    let (_folder, registry) = registry().await;
    let (an, binh) = (analyst(&registry, "an", None).await, analyst(&registry, "binh", None).await);
    apply(&registry, vec![alert("x", "a", Level::High)]).await;
    let wanted = [AlertRef { id: "x".into(), version: 1 }];
    let take = |id: &str| (Change::by(id, None, START), Action::Assign { owner: Some(id.to_owned()) });
    let ((by_an, an_takes), (by_binh, binh_takes)) = (take(&an.id), take(&binh.id));
    let (one, two) = tokio::join!(
        registry.triage(&Scope::All, &by_an, &wanted, &an_takes),
        registry.triage(&Scope::All, &by_binh, &wanted, &binh_takes),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.changed.len() + two.changed.len(), 1);
    assert_eq!(one.conflicts.len() + two.conflicts.len(), 1);
    let winner = one.changed.first().or(two.changed.first()).unwrap();
    assert_eq!(registry.alert(&Scope::All, "x").await.unwrap().owner, winner.owner);
}

async fn an_act_can_be_taken_back_once_by_the_same_person() {
    let (_folder, registry) = registry().await;
    let (an, binh) = (analyst(&registry, "an", None).await, analyst(&registry, "binh", None).await);
    apply(&registry, vec![alert("x", "a", Level::High), alert("y", "a", Level::Low)]).await;
    let both = [AlertRef { id: "x".into(), version: 1 }, AlertRef { id: "y".into(), version: 1 }];
    let close = Action::Close { verdict: Verdict::FalsePositive, reason: "quét định kỳ".into() };
    let by_an = Change::by(&an.id, None, START);
    let done = registry.triage(&Scope::All, &by_an, &both, &close).await.unwrap();
    assert_eq!(done.changed.len(), 2);
    apply(&registry, vec![alert("x", "a", Level::High)]).await;
    let undo = done.undo.unwrap();
    let by_binh = Change::by(&binh.id, None, START);
    assert!(matches!(registry.undo_triage(&Scope::All, &by_binh, &undo).await, Err(Error::NotFound(_))));
    let back = registry.undo_triage(&Scope::All, &by_an, &undo).await.unwrap();
    assert_eq!(back.changed.len(), 2);
    assert!(registry.undo_triage(&Scope::All, &by_an, &undo).await.is_err());
    let now = registry.alert(&Scope::All, "x").await.unwrap();
    assert_eq!((now.state, now.count, now.owner, now.verdict), (State::New, 2, None, None));
}

async fn what_is_out_of_scope_is_missing() {
    let (_folder, registry) = registry().await;
    let an = analyst(&registry, "an", Some(vec!["a".into()])).await;
    apply(&registry, vec![alert("x", "a", Level::High), alert("y", "b", Level::Low)]).await;
    let by_an = Change::by(&an.id, None, START);
    let wanted = [AlertRef { id: "y".into(), version: 1 }, AlertRef { id: "none".into(), version: 1 }];
    let done = registry.triage(&only("a"), &by_an, &wanted, &Action::Acknowledge).await.unwrap();
    assert_eq!(done.missing, ["y", "none"]);
    assert_eq!(done.undo, None);
    assert!(matches!(registry.alert(&only("a"), "y").await, Err(Error::NotFound(_))));
    let page =
        registry.alerts(&only("a"), &AlertFilter::default(), AlertSort::Risk, false, None, 10).await.unwrap();
    assert_eq!((page.total, page.alerts.len()), (1, 1));
    let facets = registry.alert_facets(&only("a"), &AlertFilter::default()).await.unwrap();
    assert_eq!(facets.organization.len(), 1);
    let (changed, next) = registry.alerts_changed(&only("a"), 0, 10).await.unwrap();
    assert_eq!((changed.len(), next), (1, 2));
    let narrowed = AlertFilter { organizations: vec!["b".into()], ..AlertFilter::default() };
    assert_eq!(
        registry.alerts(&only("a"), &narrowed, AlertSort::Risk, false, None, 10).await.unwrap().total,
        0
    );
}

async fn words_are_found_without_their_marks() {
    let (_folder, registry) = registry().await;
    apply(&registry, vec![alert("x", "a", Level::High)]).await;
    for (text, found) in [("do mat khau", 1), ("MẬT ssh", 1), ("10.0.0.1", 1), ("100%", 0), ("lừa đảo", 0)]
    {
        let filter = AlertFilter { text: Some(text.into()), ..AlertFilter::default() };
        let page = registry.alerts(&Scope::All, &filter, AlertSort::LastSeen, false, None, 10).await.unwrap();
        assert_eq!(page.total, found, "{text}");
    }
}

async fn a_new_alert_enters_the_outbox_of_those_who_want_it_once() {
    let (_folder, registry) = registry().await;
    let change = Change::service("test", START);
    let channel = |organization: Option<&str>, min_level| ChannelEdit {
        organization: organization.map(str::to_owned),
        name: "mail".into(),
        kind: ChannelKind::Webhook,
        settings: serde_json::json!({ "url": "https://example.org/x", "secret": "s3" }),
        min_level,
        enabled: true,
    };
    let all = registry.create_channel(&Scope::All, &change, &channel(None, Level::High)).await.unwrap();
    registry.create_channel(&Scope::All, &change, &channel(Some("b"), Level::Low)).await.unwrap();
    assert_eq!(all.settings["secret"], "***");
    apply(&registry, vec![alert("x", "a", Level::Critical), alert("y", "a", Level::Low)]).await;
    apply(&registry, vec![alert("x", "a", Level::Critical)]).await;
    let due = registry.due_deliveries(START, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].alert.id.as_str(), &due[0].channel.settings["secret"]), ("x", &"s3".into()));
    registry.finish_delivery(&due[0].id, &Outcome::Failed("refused".into()), START).await.unwrap();
    assert!(registry.due_deliveries(START + 59_999, 10).await.unwrap().is_empty());
    assert_eq!(registry.due_deliveries(START + 60_000, 10).await.unwrap().len(), 1);
    let edit = |url: &str| ChannelEdit {
        settings: serde_json::json!({ "url": url, "secret": "***" }),
        ..channel(None, Level::High)
    };
    let moved =
        registry.update_channel(&Scope::All, &change, &all.id, 1, &edit("https://example.org/y")).await;
    assert!(matches!(moved, Err(Error::Setting { name, .. }) if name == "secret"));
    let kept = ChannelEdit { name: "other".into(), ..edit(" https://example.org/x ") };
    registry.update_channel(&Scope::All, &change, &all.id, 1, &kept).await.unwrap();
    let due = registry.due_deliveries(START + 60_000, 10).await.unwrap();
    assert_eq!(due[0].channel.settings["secret"], "s3");
    let partly = Outcome::DeliveredInPart("b@example.org: 550 no such user".into());
    registry.finish_delivery(&due[0].id, &partly, START + 60_000).await.unwrap();
    assert!(registry.due_deliveries(i64::MAX, 10).await.unwrap().is_empty());
    let log = registry.deliveries(&Scope::All, &all.id).await.unwrap();
    assert_eq!((log[0].attempts, log[0].delivered_at), (2, Some(START + 60_000)));
    assert_eq!(log[0].detail.as_deref(), Some("b@example.org: 550 no such user"), "the reason is kept");
}

/// Applies `runs`, some of them twice, and compares what the queue says with what was applied.
async fn counts_and_pages(registry: &Registry, runs: &[Vec<(u8, u64, i64)>], repeats: &[bool], limit: u32) {
    let mut expected = std::collections::BTreeMap::<String, i64>::new();
    for (place, matches) in (0_u64..).zip(runs) {
        let alerts = matches
            .iter()
            .map(|(id, added, at)| {
                let id = format!("alert-{id}");
                *expected.entry(id.clone()).or_default() += i64::try_from(*added).unwrap();
                AlertUpsert { added: *added, last_seen: START + at, ..alert(&id, "a", Level::Low) }
            })
            .collect();
        let step = Step { alerts, ..Step::default() };
        registry.apply_alerts(&run(place, place + 1), &step, START).await.unwrap();
        if repeats.get(usize::try_from(place).unwrap()).copied().unwrap_or(false) {
            registry.apply_alerts(&run(place, place + 1), &step, START).await.unwrap();
        }
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = registry
            .alerts(
                &Scope::All,
                &AlertFilter::default(),
                AlertSort::LastSeen,
                false,
                cursor.as_deref(),
                limit,
            )
            .await
            .unwrap();
        assert_eq!(usize::try_from(page.total).unwrap(), expected.len());
        seen.extend(page.alerts);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(seen.is_sorted_by_key(|one| std::cmp::Reverse((one.last_seen, one.id.clone()))));
    let counts: std::collections::BTreeMap<_, _> = seen.into_iter().map(|one| (one.id, one.count)).collect();
    assert_eq!(counts, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However runs are repeated and whatever the page size, counts are those of each run once, and the pages
    /// together are the whole queue in order.
    #[test]
    fn counts_are_exact_and_pages_are_whole(
        runs in proptest::collection::vec(proptest::collection::vec((0_u8..6, 1_u64..5, 0_i64..50), 0..4), 1..8),
        repeats in proptest::collection::vec(any::<bool>(), 8),
        limit in 1_u32..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let memory = Registry::in_memory().await.unwrap();
            counts_and_pages(&memory, &runs, &repeats, limit).await;
            let server = Registry::open(database()).await.unwrap();
            counts_and_pages(&server, &runs, &repeats, limit).await;
            server.close().await;
        });
    }
}

on_both!(
    the_same_run_again_changes_nothing,
    parts_of_a_state_are_written_and_removed_with_the_offset,
    a_state_of_somewhere_else_is_refused_with_all_that_it_did,
    of_two_that_take_an_alert_at_once_one_wins,
    an_act_can_be_taken_back_once_by_the_same_person,
    what_is_out_of_scope_is_missing,
    words_are_found_without_their_marks,
    a_new_alert_enters_the_outbox_of_those_who_want_it_once,
);
