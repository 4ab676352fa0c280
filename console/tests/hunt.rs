//! Hunting through the API: conditions, columns, pages, histogram, frequent values, names of fields, limits.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use std::time::{Duration, Instant};

use axum::{Router, http::StatusCode};
use dongson_console::{Config, Console, routes};
use dongson_registry::{Registry, Role};
use serde_json::{Value, json};
use support::{Caller, Memory, NOW, agency, console, open, parts, person};
use tokio_util::sync::CancellationToken;

const BODY: &str = "http.request.body.content";

async fn start() -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    agency(&registry, "b").await;
    (folder, registry)
}

/// One event a minute before the present: odd ones of agency b, every third without a port.
fn events(count: i64) -> Vec<Value> {
    let one = |number: i64| {
        let at = dongson_event::Timestamp::from_millis(NOW - (number + 1) * 60_000);
        let mut event = json!({
            "@timestamp": at.to_string(),
            "event.id": format!("e{number:04}"),
            "organization.id": if number % 2 == 0 { "a" } else { "b" },
            "source.ip": format!("10.0.0.{}", number % 4),
            "event.original": format!("raw {number}"),
            BODY: "user=an&password=1",
        });
        if number % 3 != 0 {
            event["destination.port"] = json!(443);
        }
        event
    };
    (0..count).map(one).collect()
}

/// The query string's form of conditions.
fn filter(conditions: &Value) -> String {
    let text = conditions.to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn get(caller: &Caller, router: &Router, path: &str) -> Value {
    let answer = caller.get(router, &format!("/api/v1/events{path}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    answer.json()
}

fn ids(list: &Value) -> Vec<&str> {
    list["events"].as_array().unwrap().iter().map(|event| event["event.id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn conditions_columns_and_pages() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory { events: events(12), ..Memory::default() });
    for (condition, expected) in [
        (json!({ "field": "source.ip", "operator": "is", "value": "10.0.0.1" }), 3),
        (json!({ "field": "source.ip", "operator": "is_not", "value": "10.0.0.1" }), 9),
        (json!({ "field": "source.ip", "operator": "contains", "value": "10.0" }), 12),
        (json!({ "field": "destination.port", "operator": "exists" }), 8),
        (json!({ "field": "destination.port", "operator": "absent" }), 4),
    ] {
        let list = get(&an, &router, &format!("?filter={}", filter(&json!([condition])))).await;
        assert_eq!(ids(&list).len(), expected, "{condition}");
    }
    let both = json!([
        { "field": "source.ip", "operator": "is", "value": "10.0.0.1" },
        { "field": "destination.port", "operator": "is", "value": "443" },
    ]);
    assert_eq!(
        ids(&get(&an, &router, &format!("?filter={}&organization=b", filter(&both))).await),
        ["e0001", "e0005"]
    );
    let first = get(&an, &router, "?limit=5&columns=source.ip").await;
    assert_eq!(ids(&first), ["e0000", "e0001", "e0002", "e0003", "e0004"]);
    assert_eq!(first["events"][0].as_object().unwrap().len(), 4, "{first}");
    let second = get(&an, &router, &format!("?limit=5&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!(ids(&second)[0], "e0005");
    assert_eq!(ids(&get(&an, &router, "?q=raw%207").await), ["e0007"]);
    let (since, until) = (NOW - 4 * 60_000, NOW - 2 * 60_000);
    assert_eq!(ids(&get(&an, &router, &format!("?since={since}&until={until}")).await), ["e0002", "e0003"]);
}

#[tokio::test]
async fn a_histogram_counts_what_the_caller_may_see() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let viewer = person(&registry, "viewer", Role::AgencyViewer, Some(vec!["a".into()])).await;
    for count in [90, 1300] {
        let router = console(registry.clone(), Memory { events: events(count), ..Memory::default() });
        let since = NOW - 24 * 3_600_000;
        let all = get(&an, &router, &format!("/histogram?since={since}&until={NOW}&buckets=60")).await;
        assert_eq!((&all["step_ms"], &all["total"]), (&json!(1_800_000), &json!(count)));
        let buckets = all["buckets"].as_array().unwrap();
        let counts: i64 = buckets.iter().map(|bucket| bucket["count"].as_i64().unwrap()).sum();
        assert_eq!(counts, count);
        assert_eq!(buckets.last().unwrap(), &json!({ "at": NOW - 1_800_000, "count": 30 }));
        let own = get(&viewer, &router, &format!("/histogram?since={since}&until={NOW}")).await;
        assert_eq!(own["total"], count / 2);
    }
}

#[tokio::test]
async fn frequent_values_are_counted_in_all_events() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let viewer = person(&registry, "viewer", Role::AgencyViewer, Some(vec!["a".into()])).await;
    let router = console(registry, Memory { events: events(1400), ..Memory::default() });
    let found = get(&an, &router, "/values?field=source.ip&limit=3").await;
    let expected = json!({ "value": "10.0.0.0", "count": 350, "exact": true });
    assert_eq!(found["values"][0], expected, "{found}");
    assert_eq!(found["values"].as_array().unwrap().len(), 3);
    assert_eq!(found["with_field"], 1400);
    let own = get(&viewer, &router, "/values?field=organization.id").await;
    assert_eq!(own["values"], json!([{ "value": "a", "count": 700, "exact": true }]));
    let none = get(&viewer, &router, "/values?field=organization.id&organization=b").await;
    assert_eq!(none["values"], json!([]));
}

#[tokio::test]
async fn events_of_drills_are_left_out_unless_asked_for() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    support::alert(&registry, "alert-1", "a").await;
    let mut all = events(5);
    for event in &mut all[..2] {
        event["dongson.drill"] = json!("d1");
    }
    all[0]["event.id"] = json!("event-a");
    let router = console(registry, Memory { events: all, ..Memory::default() });
    for (drill, count) in [("", 3), ("drill=exclude", 3), ("drill=only", 2), ("drill=include", 5)] {
        assert_eq!(ids(&get(&an, &router, &format!("?{drill}")).await).len(), count, "{drill}");
        let histogram = get(&an, &router, &format!("/histogram?{drill}")).await;
        assert_eq!(histogram["total"], count, "{drill}");
        let values = get(&an, &router, &format!("/values?field=event.original&{drill}")).await;
        assert_eq!(values["with_field"], count, "{drill}");
    }
    // What is looked up by its id is found, of a drill or not.
    assert_eq!(get(&an, &router, "/event-a").await["dongson.drill"], "d1");
    let why = an.get(&router, "/api/v1/alerts/alert-1/why").await.json();
    assert_eq!(why["event"]["event.id"], "event-a");
    let around = an.get(&router, "/api/v1/alerts/alert-1/around").await.json();
    assert!(ids(&around).contains(&"event-a"), "{around}");
}

#[tokio::test]
async fn bodies_stay_within_the_centre() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, Some(vec!["a".into()])).await;
    let viewer = person(&registry, "viewer", Role::AgencyViewer, Some(vec!["a".into()])).await;
    let router = console(registry, Memory { events: events(2), ..Memory::default() });
    for path in ["", "/e0000"] {
        let (all, own) = (get(&an, &router, path).await, get(&viewer, &router, path).await);
        assert!(all.to_string().contains("password=1"), "{path}");
        assert!(own.to_string().contains("raw 0") && !own.to_string().contains("password=1"), "{path}");
    }
    let names = get(&viewer, &router, "/fields").await.to_string();
    assert!(names.contains("source.ip") && !names.contains(BODY));
    let asked = filter(&json!([{ "field": BODY, "operator": "contains", "value": "password" }]));
    for path in
        [format!("?filter={asked}"), format!("/histogram?filter={asked}"), format!("/values?field={BODY}")]
    {
        let answer = viewer.get(&router, &format!("/api/v1/events{path}")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            "{path}"
        );
        get(&an, &router, &path).await;
    }
}

#[tokio::test]
async fn names_of_fields_have_their_meanings() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    let fields = get(&an, &router, "/fields").await;
    let fields = fields["fields"].as_array().unwrap();
    let source = fields.iter().find(|field| field["name"] == "source.ip").unwrap();
    assert_eq!(source["kind"], "ip");
    assert!(source["meaning_vi"].as_str().unwrap().contains("Địa chỉ nguồn"), "{source}");
    assert!(source["meaning_en"].as_str().unwrap().contains("Address"), "{source}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    let many: Vec<Value> = (0..21).map(|_| json!({ "field": "a", "operator": "exists" })).collect();
    for (path, status, code) in [
        ("?filter=odd".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        (
            format!("?filter={}", filter(&json!([{ "field": "a", "operator": "near", "value": "x" }]))),
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
        ),
        (
            format!("?filter={}", filter(&json!([{ "field": "a", "operator": "is" }]))),
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
        ),
        (
            format!("?filter={}", filter(&json!([{ "field": "", "operator": "exists" }]))),
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
        ),
        (format!("?filter={}", filter(&json!(many))), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("?since=soon".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("?colour=red".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/histogram?limit=1".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/values".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/values?field=".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("?limit=0".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("?limit=99999".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/histogram?buckets=1".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("/values?field=a&limit=26".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        ("?cursor=odd".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
    ] {
        let answer = an.get(&router, &format!("/api/v1/events{path}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.body);
        let vi = answer.json()["message_vi"].as_str().unwrap().to_owned();
        assert!(!vi.contains("unknown field") && !vi.contains("number"), "{vi}");
    }
    let said = |path: &'static str| {
        let (an, router) = (an.clone(), router.clone());
        async move { an.get(&router, &format!("/api/v1/events{path}")).await.json() }
    };
    let limit = said("?limit=0").await;
    assert_eq!((&limit["field"], &limit["message_en"]), (&json!("limit"), &json!("limit: must be 1 to 500")));
    let cursor = said("?cursor=odd").await;
    assert!(cursor["message_en"].as_str().unwrap().contains("`next` of the last page"), "{cursor}");
    assert!(said("?colour=red").await["detail"].as_str().unwrap().contains("colour"));
}

#[tokio::test]
async fn a_search_that_takes_too_long_is_answered_and_others_go_on() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let mut parts = parts(registry, Memory { stuck: true, ..Memory::default() });
    parts.config = Config { search_seconds: 1, ..parts.config };
    let router = routes(Console::new(parts, CancellationToken::new()));
    let begun = Instant::now();
    let asked = (0..6).map(|_| an.get(&router, "/api/v1/events"));
    for answer in futures::future::join_all(asked).await {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "search_too_slow")
        );
        assert!(answer.json()["message_vi"].as_str().unwrap().contains("thu hẹp"));
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(an.get(&router, "/api/v1/alerts").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_condition_is_named_by_its_place() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let router = console(registry, Memory::default());
    let good = json!({ "field": "a", "operator": "exists" });
    for (bad, field, reason) in [
        (json!("x"), "filter[1]", "must be an object of field, operator and value"),
        (
            json!({ "field": "a", "operator": "exists", "x": 1 }),
            "filter[1]",
            "holds something besides field, operator and value",
        ),
        (json!({ "field": "", "operator": "exists" }), "filter[1].field", "must be text of 1 to 256 bytes"),
        (json!({ "operator": "exists" }), "filter[1].field", "must be text of 1 to 256 bytes"),
        (
            json!({ "field": "a", "operator": "near" }),
            "filter[1].operator",
            "must be is, is_not, contains, exists or absent",
        ),
        (json!({ "field": "a" }), "filter[1].operator", "must be is, is_not, contains, exists or absent"),
        (json!({ "field": "a", "operator": "is" }), "filter[1].value", "must be given for this operator"),
        (
            json!({ "field": "a", "operator": "absent", "value": "x" }),
            "filter[1].value",
            "must not be given for this operator",
        ),
        (
            json!({ "field": "a", "operator": "contains", "value": "" }),
            "filter[1].value",
            "must not be empty",
        ),
        (
            json!({ "field": "a", "operator": "is", "value": ["x"] }),
            "filter[1].value",
            "must be text, a number, true or false",
        ),
        (
            json!({ "field": "a", "operator": "is", "value": "x".repeat(4001) }),
            "filter[1].value",
            "must have at most 4000 characters",
        ),
    ] {
        let path = format!("/api/v1/events?filter={}", filter(&json!([good, bad])));
        let refused = an.get(&router, &path).await;
        let problem = refused.json();
        assert_eq!((refused.status, &problem["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)));
        assert_eq!(problem["message_en"], format!("{field}: {reason}"));
        assert_ne!(problem["message_vi"], problem["message_en"]);
    }
}

#[tokio::test]
async fn numbers_and_switches_are_asked_for_by_their_text() {
    let (_folder, registry) = start().await;
    let an = person(&registry, "an", Role::Analyst, None).await;
    let mut held = events(1);
    held[0]["destination.port"] = json!(443);
    held[0]["open"] = json!(true);
    let router = console(registry, Memory { events: held, ..Memory::default() });
    for (field, value, count) in
        [("destination.port", json!(443), 1), ("open", json!(true), 1), ("destination.port", json!(80), 0)]
    {
        let asked = filter(&json!([{ "field": field, "operator": "is", "value": value }]));
        let list = get(&an, &router, &format!("?filter={asked}")).await;
        assert_eq!(list["events"].as_array().unwrap().len(), count, "{field} {value}");
    }
}
