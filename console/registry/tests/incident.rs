//! Incidents through the public API: numbers, linking, versions, closing, the time line's chain, scope.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use dongson_registry::{
    AlertUpsert, Change, Class, Closing, Entry, EntryKind, Error, Incident, IncidentFilter, IncidentPatch,
    IncidentStatus, LegalCategory, Level, NewIncident, Scope, Severity, State, Verdict,
};
use support::on_both;
use support::{START, alert, analyst, apply, only, registry};

fn new(alerts: &[&str]) -> NewIncident {
    NewIncident {
        title: "Xâm nhập cổng dịch vụ công".into(),
        class: Class::Xn,
        severity: Severity::High,
        legal_category: LegalCategory::NghiemTrong,
        organization: None,
        detected_at: None,
        owner: None,
        alerts: alerts.iter().map(|id| (*id).to_owned()).collect(),
        comment: Some("Phát hiện webshell.".into()),
    }
}

async fn from_alerts_to_a_lesson() {
    let (_folder, registry) = registry().await;
    let an = analyst(&registry, "an", None).await;
    let change = Change::by(&an.id, None, START);
    apply(&registry, vec![alert("x", "a", Level::High), alert("y", "a", Level::Low)]).await;
    let made = registry.create_incident(&Scope::All, &change, &new(&["x"])).await.unwrap();
    assert_eq!(
        (made.number.as_str(), made.agency_number.as_deref()),
        ("SC-2026-0001", Some("SC-A-2026-0001"))
    );
    assert_eq!(made.organization.as_deref(), Some("a"));
    assert_eq!(made.next_deadline().unwrap().due, START + 24 * 3_600_000);
    assert_eq!(registry.alert(&Scope::All, "x").await.unwrap().state, State::InProgress);
    registry.link_alerts(&Scope::All, &change, &made.id, &["y".into()]).await.unwrap();
    let other = registry.create_incident(&Scope::All, &change, &new(&["y"])).await;
    assert!(matches!(other, Err(Error::Refused { reason: "belongs to another incident", .. })));
    registry.unlink_alert(&Scope::All, &change, &made.id, "y").await.unwrap();
    let now = registry.comment_incident(&Scope::All, &change, &made.id, "Đã cô lập máy chủ.").await.unwrap();
    let patch = IncidentPatch {
        first_notice_at: Some(START),
        status: Some(IncidentStatus::Contained),
        ..IncidentPatch::default()
    };
    let patched = registry.patch_incident(&Scope::All, &change, &made.id, now.version, &patch).await.unwrap();
    assert_eq!(patched.next_deadline().unwrap().kind, "report");
    let closing = Closing {
        verdict: Verdict::TruePositive,
        cause: "Lỗ hổng tải tệp".into(),
        lesson: "Vá định kỳ".into(),
    };
    let stale = registry.close_incident(&Scope::All, &change, &made.id, now.version, &closing).await;
    assert!(matches!(stale, Err(Error::Stale { .. })));
    let closed =
        registry.close_incident(&Scope::All, &change, &made.id, patched.version, &closing).await.unwrap();
    assert_eq!((closed.status, closed.next_deadline()), (IncidentStatus::Closed, None));
    let linked = registry.alert(&Scope::All, "x").await.unwrap();
    assert_eq!((linked.state, linked.verdict), (State::Closed, Some(Verdict::TruePositive)));
    let entries = registry.timeline(&Scope::All, &made.id).await.unwrap();
    let kinds: Vec<EntryKind> = entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(
        kinds,
        [
            EntryKind::Created,
            EntryKind::Comment,
            EntryKind::Linked,
            EntryKind::Linked,
            EntryKind::Unlinked,
            EntryKind::Comment,
            EntryKind::Changed,
            EntryKind::Closed
        ]
    );
    assert!(Entry::unbroken(&made.id, &entries));
    let mut forged = entries.clone();
    forged[1].text = "Không có gì.".into();
    assert!(!Entry::unbroken(&made.id, &forged));
    forged.remove(1);
    assert!(!Entry::unbroken(&made.id, &forged));
    assert_eq!(registry.audit_verify().await.unwrap().broken_at, None);
}

async fn numbers_have_no_gaps_when_raising_fails() {
    let (_folder, registry) = registry().await;
    let an = analyst(&registry, "an", None).await;
    let change = Change::by(&an.id, None, START);
    for wanted in ["SC-2026-0001", "SC-2026-0002", "SC-2026-0003"] {
        assert!(registry.create_incident(&Scope::All, &change, &new(&["none"])).await.is_err());
        let stranger = NewIncident { owner: Some("nobody".into()), ..new(&[]) };
        assert!(registry.create_incident(&Scope::All, &change, &stranger).await.is_err());
        assert_eq!(registry.create_incident(&Scope::All, &change, &new(&[])).await.unwrap().number, wanted);
    }
    let new_year = Change { at: START + 39 * 24 * 3_600_000, ..change };
    let next = registry.create_incident(&Scope::All, &new_year, &new(&[])).await.unwrap();
    assert_eq!(next.number, "SC-2027-0001");
}

async fn other_agencies_incidents_do_not_exist_and_do_not_count() {
    let (_folder, registry) = registry().await;
    let centre = analyst(&registry, "centre", None).await;
    let an = analyst(&registry, "an", Some(vec!["a".into()])).await;
    let (by_centre, by_an) = (Change::by(&centre.id, None, START), Change::by(&an.id, None, START));
    apply(
        &registry,
        vec![alert("x", "a", Level::High), alert("y", "b", Level::High), alert("z", "b", Level::High)],
    )
    .await;
    let of_b = registry.create_incident(&Scope::All, &by_centre, &new(&["y"])).await.unwrap();
    let of_both = registry.create_incident(&Scope::All, &by_centre, &new(&["x", "z"])).await.unwrap();
    assert_eq!((of_both.organization, of_both.agency_number), (None, None));
    let alone = NewIncident { organization: Some("a".into()), ..new(&[]) };
    let of_a = registry.create_incident(&only("a"), &by_an, &alone).await.unwrap();
    assert_eq!(of_a.number, "SC-A-2026-0001", "the centre's number would count what others have");
    for id in [&of_b.id, &of_both.id] {
        assert!(matches!(registry.incident(&only("a"), id).await, Err(Error::NotFound(_))));
        assert!(matches!(registry.timeline(&only("a"), id).await, Err(Error::NotFound(_))));
        assert!(registry.comment_incident(&only("a"), &by_an, id, "x").await.is_err());
    }
    let nowhere = registry.create_incident(&only("a"), &by_an, &new(&[])).await;
    assert!(matches!(nowhere, Err(Error::Invalid { field: "organization", .. })));
    let foreign = NewIncident { organization: Some("b".into()), ..new(&[]) };
    let unknown = NewIncident { organization: Some("c".into()), ..new(&[]) };
    let mut refused = Vec::new();
    for one in [&foreign, &unknown] {
        let error = registry.create_incident(&only("a"), &by_an, one).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { field: "organization", .. }), "{error}");
        refused.push(error.to_string());
    }
    assert_eq!(refused[0], refused[1], "another agency is as one that is not there");
    assert!(matches!(
        registry.link_alerts(&only("a"), &by_an, &of_a.id, &["y".into()]).await,
        Err(Error::NotFound(_))
    ));
    let mixed = registry.link_alerts(&Scope::All, &by_centre, &of_a.id, &["y".into()]).await;
    assert!(matches!(mixed, Err(Error::Refused { .. })));
    let found = |text: &str| IncidentFilter { text: Some(text.into()), ..IncidentFilter::default() };
    assert_eq!(registry.incidents(&only("a"), &found("xam nhap"), 10).await.unwrap().len(), 1);
    assert_eq!(registry.incidents(&only("a"), &found("SC-2026-0003"), 10).await.unwrap().len(), 0);
    assert_eq!(registry.incidents(&Scope::All, &found("SC-2026-0003"), 10).await.unwrap().len(), 1);
    let of_drills = |drill| IncidentFilter { drill: Some(drill), ..IncidentFilter::default() };
    assert_eq!(registry.incidents(&Scope::All, &of_drills(true), 10).await.unwrap().len(), 0);
    assert_eq!(registry.incidents(&Scope::All, &of_drills(false), 10).await.unwrap().len(), 3);
}

async fn drills_are_numbered_apart_and_take_no_real_alert() {
    let (_folder, registry) = registry().await;
    let an = analyst(&registry, "an", None).await;
    let change = Change::by(&an.id, None, START);
    let of_drill = |id: &str| AlertUpsert { drill: true, ..alert(id, "a", Level::High) };
    let drills = vec![of_drill("d1"), of_drill("d2"), of_drill("d3"), of_drill("d4")];
    apply(&registry, [drills, vec![alert("x", "a", Level::High), alert("y", "a", Level::High)]].concat())
        .await;
    let numbers = |one: &Incident| (one.number.clone(), one.agency_number.clone().unwrap());
    let drill = registry.create_incident(&Scope::All, &change, &new(&["d1"])).await.unwrap();
    assert_eq!(numbers(&drill), ("DT-2026-0001".into(), "DT-A-2026-0001".into()));
    let mixed = registry.create_incident(&Scope::All, &change, &new(&["d2", "x"])).await.unwrap();
    assert!(!mixed.drill, "a real alert makes an incident real");
    assert_eq!(numbers(&mixed), ("SC-2026-0001".into(), "SC-A-2026-0001".into()));
    let refused = registry.link_alerts(&Scope::All, &change, &drill.id, &["d3".into(), "y".into()]).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::Refused { what: "alert", .. }), "{refused}");
    assert!(refused.to_string().contains("raise an incident of its own"), "{refused}");
    for id in ["d3", "y"] {
        assert_eq!(registry.alert(&Scope::All, id).await.unwrap().incident, None);
    }
    registry.link_alerts(&Scope::All, &change, &drill.id, &["d3".into()]).await.unwrap();
    registry.link_alerts(&Scope::All, &change, &mixed.id, &["d4".into(), "y".into()]).await.unwrap();
    let found = IncidentFilter { text: Some("dt-2026".into()), ..IncidentFilter::default() };
    assert_eq!(registry.incidents(&Scope::All, &found, 10).await.unwrap().len(), 1);
}

on_both!(
    from_alerts_to_a_lesson,
    numbers_have_no_gaps_when_raising_fails,
    other_agencies_incidents_do_not_exist_and_do_not_count,
    drills_are_numbered_apart_and_take_no_real_alert,
);
