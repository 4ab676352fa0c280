//! What the shipped taxonomies make of events.

use super::*;

fn event(text: &str) -> Event {
    Event::parse(text.as_bytes()).unwrap().0
}

fn check(text: &str, expected: &[(Option<&str>, Option<&str>, Option<&str>)]) {
    let event = event(text);
    let taxonomies = Taxonomies::embedded();
    let given = taxonomies.logsources(&event, Mode::Auto);
    for (product, category, service) in expected {
        let own = |word: Option<&str>| word.map(str::to_owned);
        let wanted = LogSource { product: own(*product), category: own(*category), service: own(*service) };
        assert!(given.iter().any(|source| wanted.accepts(source)), "{text}: {wanted:?} not in {given:?}");
    }
}

#[test]
fn shipped_files_are_read() {
    let taxonomies = Taxonomies::embedded();
    assert_eq!(
        taxonomies.versions(),
        [
            ("dongson", 1),
            ("winlogbeat", 1),
            ("endpoint", 1),
            ("dongson-other", 1),
            ("eve", 1),
            ("zeek", 1),
            ("windows", 1),
            ("cloud", 1)
        ]
    );
}

#[test]
fn log_sources_by_format() {
    let windows = Some("windows");
    check(
        r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":13}"#,
        &[
            (windows, Some("registry_set"), None),
            (windows, Some("registry_event"), None),
            (windows, None, Some("sysmon")),
        ],
    );
    check(
        r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":"12","EventType":"INFO","EventTypeOrignal":"DeleteValue"}"#,
        &[(windows, Some("registry_delete"), None)],
    );
    check(
        r#"{"winlog":{"channel":"Security","event_id":"4688"},"event":{"dataset":"windows.security"}}"#,
        &[(windows, Some("process_creation"), None), (windows, None, Some("security"))],
    );
    check(
        r#"{"event.dataset":"sensor.dns"}"#,
        &[(None, Some("dns"), None), (Some("dongson"), None, Some("dns"))],
    );
    check(
        r#"{"event.dataset":"nginx.access"}"#,
        &[(None, Some("webserver"), None), (None, None, Some("nginx"))],
    );
    let endpoint = r#"{"event":{"dataset":"endpoint.events.process","category":["process"],"type":["start"]},"host":{"os":{"type":"windows"}}}"#;
    check(endpoint, &[(windows, Some("process_creation"), None)]);
    check(
        r#"{"event":{"category":["network"],"type":["start"]},"host":{"os":{"family":"Windows"}},"process.executable":"C:\\a.exe","dns.question.name":"a.vn"}"#,
        &[(windows, Some("network_connection"), None), (windows, Some("dns_query"), None)],
    );
    check(r#"{"event_type":"http","timestamp":"x","http":{"url":"/"}}"#, &[(None, Some("proxy"), None)]);
    check(
        r#"{"_path":"dns","ts":1.5,"uid":"C","id.orig_h":"10.0.0.1"}"#,
        &[(Some("zeek"), None, Some("dns"))],
    );
    check(
        r#"{"ts":1.5,"uid":"C","id.orig_h":"10.0.0.1","conn_state":"SF"}"#,
        &[(Some("zeek"), None, Some("conn"))],
    );
    check(
        r#"{"product":"Linux","category":"process_creation"}"#,
        &[(Some("linux"), Some("process_creation"), None)],
    );
}

#[test]
fn a_field_of_another_format_does_not_change_where_a_record_belongs() {
    check(
        r#"{"event.dataset":"sensor.dns","winlog.channel":"Security","Channel":"x","EventID":1,"product":"y","uid":"z"}"#,
        &[(None, Some("dns"), None)],
    );
    check(r#"{"event.dataset":"acme.app"}"#, &[(Some("dongson"), None, None)]);
}

#[test]
fn names_by_format() {
    let taxonomies = Taxonomies::embedded();
    let find = |text: &str, name: &str| {
        let event = event(text);
        let names = taxonomies.names(&taxonomies.place(&event, Mode::Auto), name);
        names.iter().find_map(|name| event.get(name)).map(|value| value.to_text().into_owned())
    };
    let security = r#"{"winlog.channel":"Security","winlog.event_id":4688,"winlog.event_data.NewProcessName":"C:\\a.exe"}"#;
    assert_eq!(find(security, "Image").as_deref(), Some("C:\\a.exe"));
    let endpoint = r#"{"event":{"category":["process"],"type":["start"]},"host.os.type":"windows","process.executable":"C:\\b.exe"}"#;
    assert_eq!(find(endpoint, "Image").as_deref(), Some("C:\\b.exe"));
    assert_eq!(find(security, "EventID").as_deref(), Some("4688"));
    assert_eq!(
        find(r#"{"event.dataset":"sensor.dns","dns.question.name":"a.vn"}"#, "query").as_deref(),
        Some("a.vn")
    );
    assert_eq!(
        find(r#"{"event.dataset":"sensor.dns","dns.question.name":"a.vn"}"#, "dns.question.name").as_deref(),
        Some("a.vn")
    );
    assert_eq!(
        find(r#"{"event_type":"dns","timestamp":"x","dns":{"rrname":"a.vn"}}"#, "query").as_deref(),
        Some("a.vn")
    );
}

#[test]
fn what_the_sensor_sees_of_windows_answers_to_the_names_of_zeek() {
    let taxonomies = Taxonomies::embedded();
    for (text, service, name, value) in [
        (r#"{"event.dataset":"sensor.smb","file.path":"PSEXESVC.exe"}"#, "smb_files", "name", "PSEXESVC.exe"),
        (
            r#"{"event.dataset":"sensor.smb","dongson.smb.share":"\\\\A\\C$"}"#,
            "smb_mapping",
            "path",
            "\\\\A\\C$",
        ),
        (
            r#"{"event.dataset":"sensor.dce_rpc","dongson.dce_rpc.operation":"CreateServiceW"}"#,
            "dce_rpc",
            "operation",
            "CreateServiceW",
        ),
        (
            r#"{"event.dataset":"sensor.kerberos","dongson.kerberos.cipher":"rc4-hmac"}"#,
            "kerberos",
            "cipher",
            "rc4-hmac",
        ),
        (r#"{"event.dataset":"sensor.ntlm","user.name":"an"}"#, "ntlm", "username", "an"),
        (r#"{"event.dataset":"sensor.rdp","dongson.rdp.cookie":"an"}"#, "rdp", "cookie", "an"),
    ] {
        let event = event(text);
        let zeek =
            LogSource { product: Some("zeek".into()), category: None, service: Some(service.to_owned()) };
        assert!(taxonomies.logsources(&event, Mode::Auto).contains(&zeek), "{text}");
        let names = taxonomies.names(&taxonomies.place(&event, Mode::Auto), name);
        let found = names.iter().find_map(|name| event.get(name)).map(|value| value.to_text().into_owned());
        assert_eq!(found.as_deref(), Some(value), "{text}");
    }
}

#[test]
fn in_sigma_mode_only_the_event_speaks() {
    let event = event(
        r#"{"product":"windows","category":"registry_set","Channel":"Microsoft-Windows-Sysmon/Operational","EventID":13}"#,
    );
    let given = Taxonomies::embedded().logsources(&event, Mode::Sigma);
    let stated =
        LogSource { product: Some("windows".into()), category: Some("registry_set".into()), service: None };
    assert_eq!(given, [stated]);
}

#[test]
fn a_misspelt_key_is_refused() {
    for (text, reason) in [
        ("taxonomy: x\nversion: 1\nrecognize: []\n", "recognize"),
        ("taxonomy: x\nversion: 1\ninclude: [y]\n", "\"y\""),
        ("taxonomy: x\nversion: 1\nsources: [{when: {a: 1}, is: [], tables: [t]}]\n", "\"t\""),
    ] {
        let error = Taxonomies::from_documents(&[("x.yml", text)]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
