//! Backups of the registry: written from either database, restored into either, compared by their hashes; what does not fit
//! is refused; rows of an older version are brought up to date.
//!
//! `fixtures/registry-0.1` is a backup of what [`fill`] makes, written by version 0.1 (`DONGSON_BLESS=1` writes it anew: only
//! when a new release is made, into a new folder).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::path::Path;

use dongson_event::batch::Class as BatchClass;
use dongson_registry::{
    AccountEdit, AlertUpsert, Change, ChannelEdit, ChannelKind, Class, Consumed, Entry, Error, ExceptionEdit,
    ExportError, Exported, LegalCategory, Level, NewIncident, Place, Received, Registry, Role, Scope,
    SensorCertificate, Severity, Signed, SourceEdit, SourceKind, Step,
};
use support::{START, alert, analyst, database, on_both, registry};

/// Something in most tables: texts with marks and signs, bytes, numbers that use every bit, references, NULLs.
async fn fill(registry: &Registry) {
    let an = analyst(registry, "an", Some(vec!["a".into()])).await;
    let change = Change::by(&an.id, Some("192.0.2.1".into()), START);
    let edit = AccountEdit {
        full_name: "Nguyễn Thị Bình \"B\" \\ 🙂".into(),
        role: Role::Administrator,
        organizations: None,
        disabled: false,
    };
    registry.create_account(&change, "binh", &edit).await.unwrap();
    let token = registry.create_enrolment_token(&change, "a", "gw-01", 60_000).await.unwrap();
    let certificate = SensorCertificate {
        sensor: "sensor-1".into(),
        serial: "1".into(),
        fingerprint: "f".into(),
        not_after: START + 1_000_000,
    };
    let sensor = registry.redeem(&token.secret, &certificate, START).await.unwrap().id;
    let batches: Vec<Received> = (1..=3)
        .map(|sequence| Received {
            sensor: sensor.clone(),
            epoch: u64::MAX,
            sequence,
            class: BatchClass::Conn,
            events: 10,
            at: START,
            signed: Some(Signed { root: [7; 32], signature: vec![0, 255, 1], certificate: "c".into() }),
        })
        .collect();
    registry.note_batches(&batches).await.unwrap();
    let source = SourceEdit {
        organization: "b".into(),
        name: "fw-01".into(),
        kind: SourceKind::Syslog,
        address: Some("10.1.0.0/16".into()),
        listener: None,
        certificate: None,
        api_key: None,
        parser: None,
        time_zone: "Asia/Ho_Chi_Minh".into(),
        clock_offset_ms: -5,
        expected_per_hour: None,
        silence_after_seconds: Some(60),
        owner: None,
    };
    registry.create_source(&change, &source).await.unwrap();
    registry.create_api_key(&change, "b", "web-01", true).await.unwrap();
    let channel = ChannelEdit {
        organization: None,
        name: "Thư".into(),
        kind: ChannelKind::Webhook,
        settings: serde_json::json!({ "url": "https://hook.example/a", "secret": "s" }),
        min_level: Level::Low,
        enabled: true,
    };
    registry.create_channel(&Scope::All, &change, &channel).await.unwrap();
    let exception = ExceptionEdit {
        organization: Some("a".into()),
        rule_id: Some("rule-2".into()),
        entity_type: None,
        entity_value: None,
        reason: "scanner of ours".into(),
        expires_at: START + 1_000_000,
    };
    registry.create_exception(&Scope::All, &change, &exception).await.unwrap();
    // What an attacker sends may hold any sign; NUL is what PostgreSQL keeps no text with.
    let odd = AlertUpsert { entity_value: "a\0b\t'\u{1b}".into(), ..alert("odd", "b", Level::High) };
    let step = Step {
        alerts: vec![alert("x", "a", Level::Critical), odd],
        state: Some(vec![0, 1, 255]),
        parts: [("window".to_owned(), Some(vec![9; 300]))].into(),
        ..Step::default()
    };
    let run = Consumed { group: "g".into(), topic: "t".into(), partition: 0, first: 0, next: 9 };
    registry.apply_alerts(&run, &step, START).await.unwrap();
    let incident = NewIncident {
        title: "Sự cố ở cổng dịch vụ công".into(),
        class: Class::Xn,
        severity: Severity::High,
        legal_category: LegalCategory::NghiemTrong,
        organization: None,
        detected_at: None,
        owner: None,
        alerts: vec!["x".into()],
        comment: Some("Hai\ndòng".into()),
    };
    registry.create_incident(&Scope::All, &change, &incident).await.unwrap();
    registry.set_setting(&change, "province.name", &"Thanh Hoá".into(), 0).await.unwrap();
    registry.start_drill(&change).await.unwrap();
    registry.begin_session(&an.id, None, dongson_registry::SessionLimits::default(), START).await.unwrap();
}

/// What is right of a registry that [`fill`] filled, wherever it was restored.
async fn check(registry: &Registry) {
    assert_eq!(registry.audit_verify().await.unwrap().broken_at, None);
    assert_eq!(registry.organizations(&Scope::All).await.unwrap().len(), 2);
    assert_eq!(registry.accounts().await.unwrap().len(), 2);
    let saved = registry.offset("g", "t", 0).await.unwrap().unwrap();
    assert_eq!((saved.next, saved.state), (9, Some(vec![0, 1, 255])));
    let odd = registry.alert(&Scope::All, "odd").await.unwrap();
    assert_eq!(odd.entity_value, "a\u{fffd}b\t'\u{1b}");
    let incidents =
        registry.incidents(&Scope::All, &dongson_registry::IncidentFilter::default(), 10).await.unwrap();
    let [incident] = incidents.as_slice() else { panic!("{incidents:?}") };
    assert!(Entry::unbroken(&incident.id, &registry.timeline(&Scope::All, &incident.id).await.unwrap()));
    assert_eq!(registry.batch_root("sensor-1", u64::MAX, 2).await.unwrap(), Some(vec![7; 32]));
    assert_eq!(registry.setting("province.name").await.unwrap().unwrap().value, "Thanh Hoá");
    // It goes on where it was.
    let new = NewIncident {
        title: "Mới".into(),
        class: Class::Xn,
        severity: Severity::Low,
        legal_category: LegalCategory::Thuong,
        organization: Some("a".into()),
        detected_at: None,
        owner: None,
        alerts: Vec::new(),
        comment: None,
    };
    let change = Change::by(&registry.accounts().await.unwrap().first().unwrap().id, None, START);
    let made = registry.create_incident(&Scope::All, &change, &new).await.unwrap();
    assert_eq!(made.number, "SC-2026-0002");
}

async fn restored_and_written_again(place: impl Into<Place>, folder: &Path, exported: &Exported) {
    let registry = Registry::restore(place, folder, exported).await.unwrap();
    let again = tempfile::tempdir().unwrap();
    assert_eq!(registry.export(again.path()).await.unwrap(), *exported, "the same bytes");
    check(&registry).await;
    registry.close().await;
}

async fn a_backup_goes_into_either_database_and_is_the_same_there() {
    let (_folder, registry) = registry().await;
    fill(&registry).await;
    let folder = tempfile::tempdir().unwrap();
    let exported = registry.export(folder.path()).await.unwrap();
    assert!(exported.tables.iter().filter(|table| table.rows > 0).count() > 15, "{exported:?}");
    let file = tempfile::tempdir().unwrap();
    restored_and_written_again(&file.path().join("registry.sqlite"), folder.path(), &exported).await;
    restored_and_written_again(database(), folder.path(), &exported).await;
    // A second backup into the same folder would mix two moments.
    let twice = registry.export(folder.path()).await.unwrap_err();
    assert!(matches!(twice, Error::Export(ExportError::File { .. })), "{twice}");
    check(&registry).await;
}

async fn what_does_not_fit_is_refused_and_changes_nothing() {
    let (_folder, registry) = registry().await;
    fill(&registry).await;
    let folder = tempfile::tempdir().unwrap();
    let exported = registry.export(folder.path()).await.unwrap();
    let target = tempfile::tempdir().unwrap();
    let place = support::place(&target.path().join("registry.sqlite"));
    if let Place::Postgres(_) = place {
        // On the server the test's only database is the one that was filled.
        let full = Registry::restore(&place, folder.path(), &exported).await.unwrap_err();
        assert!(matches!(full, Error::Export(ExportError::NotEmpty { .. })), "{full}");
    }
    let place: Place = match place {
        Place::Postgres(_) => database().into(),
        file @ Place::File(_) => file,
    };
    let path = folder.path().join("account.ndjson");
    let text = fs::read_to_string(&path).unwrap();
    for (bytes, expected) in [
        (text.replace("binh", "bing"), "SHA-256"),
        (format!("{}\n", text.lines().next().unwrap()), "rows is 1, was 2"),
        (format!("{text}[1]\n"), "line 3: has 1 columns"),
        (text.replace('[', "{"), "line 1"),
    ] {
        fs::write(&path, bytes).unwrap();
        let said = Registry::restore(&place, folder.path(), &exported).await.unwrap_err().to_string();
        assert!(said.contains(expected) && said.contains("account.ndjson"), "{said}");
    }
    fs::write(&path, text).unwrap();
    let newer = Exported { schema: [exported.schema.clone(), vec![9_999]].concat(), ..exported.clone() };
    let said = Registry::restore(&place, folder.path(), &newer).await.unwrap_err().to_string();
    assert!(said.contains("schema 9999"), "{said}");
    // After all these refusals it is still empty.
    let restored = Registry::restore(&place, folder.path(), &exported).await.unwrap();
    check(&restored).await;
    let full = Registry::restore(&place, folder.path(), &exported).await.unwrap_err();
    assert!(matches!(full, Error::Export(ExportError::NotEmpty { .. })), "{full}");
}

async fn rows_of_an_older_version_are_brought_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/registry-0.1");
    let written = folder.join("exported.json");
    let target = tempfile::tempdir().unwrap();
    let place = support::place(&target.path().join("registry.sqlite"));
    if std::env::var_os("DONGSON_BLESS").is_some() && !written.exists() && matches!(place, Place::File(_)) {
        let (_folder, registry) = registry().await;
        fill(&registry).await;
        fs::create_dir_all(&folder).unwrap();
        let exported = registry.export(&folder).await.unwrap();
        fs::write(&written, serde_json::to_string_pretty(&exported).unwrap() + "\n").unwrap();
    }
    let exported: Exported = serde_json::from_str(&fs::read_to_string(&written).unwrap()).unwrap();
    let registry = Registry::restore(&place, &folder, &exported).await.unwrap();
    check(&registry).await;
    registry.close().await;
    // What was brought up to date opens like any other.
    Registry::open(&place).await.unwrap().ping().await.unwrap();
}

on_both!(
    a_backup_goes_into_either_database_and_is_the_same_there,
    what_does_not_fit_is_refused_and_changes_nothing,
    rows_of_an_older_version_are_brought_up_to_date,
);
