//! What the console's tests begin with: a registry on disk, an event store in memory, and a caller with a cookie.

#![allow(dead_code, reason = "not every test file needs all of it")]

pub(crate) mod document;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use dongson_console::{
    Around, Condition, Config, Console, EventBucket, EventPage, EventQuery, Facts, FactsError, Frequent,
    Parts, RuleInfo, SignalFact, routes,
};
use dongson_registry::{
    AccountEdit, AlertUpsert, Change, Consumed, Level, Millis, OrganizationEdit, Registry, Role, Scope,
    SessionLimits, SignIn, Step,
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The time at which all tests stand: 2026-11-23 06:00 UTC.
pub(crate) const NOW: Millis = 1_795_413_600_000;

/// A password that every person of the tests has.
pub(crate) const PASSWORD: &str = "Trống-đồng-2026!";

/// Events in memory, each with its agency.
#[derive(Debug, Default, Clone)]
pub(crate) struct Memory {
    pub(crate) events: Vec<Value>,
    pub(crate) down: bool,
    /// Never answers a search.
    pub(crate) stuck: bool,
}

/// Whether a value fits a condition.
fn holds(value: Option<&Value>, condition: &Condition) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match condition {
        Condition::Is(wanted) => value.is_some_and(|value| text(value) == *wanted),
        Condition::IsNot(wanted) => value.is_some_and(|value| text(value) != *wanted),
        Condition::Contains(part) => value.is_some_and(|value| text(value).contains(part.as_str())),
        Condition::Exists => value.is_some(),
        Condition::Absent => value.is_none(),
    }
}

impl Memory {
    fn seen(&self, scope: &Scope) -> Result<Vec<Value>, FactsError> {
        if self.down {
            return Err(FactsError::Unavailable("down".into()));
        }
        let allowed = |event: &&Value| event["organization.id"].as_str().is_some_and(|id| scope.allows(id));
        Ok(self.events.iter().filter(allowed).cloned().collect())
    }

    /// A plain reading of a search: newest first; an event without a time is of any time.
    fn found(&self, scope: &Scope, query: &EventQuery) -> Result<Vec<Value>, FactsError> {
        let mut found = self.seen(scope)?;
        found.retain(|event| {
            let at = event["@timestamp"]
                .as_str()
                .map(|text| dongson_event::Timestamp::parse(text).unwrap().millis());
            at.is_none_or(|at| (query.since..query.until).contains(&at))
                && query.text.as_ref().is_none_or(|text| event.to_string().contains(text.as_str()))
                && query.drill.is_none_or(|wanted| wanted == event.get("dongson.drill").is_some())
                && query.conditions.iter().all(|one| holds(event.get(&one.field), &one.condition))
        });
        found.sort_by_key(|event| std::cmp::Reverse(event["@timestamp"].as_str().map(str::to_owned)));
        Ok(found)
    }

    async fn wait(&self) {
        if self.stuck {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Facts for Memory {
    async fn event(&self, scope: &Scope, id: &str) -> Result<Option<Value>, FactsError> {
        Ok(self.seen(scope)?.into_iter().find(|event| event["event.id"] == id))
    }

    async fn signals(&self, scope: &Scope, _: &str, _: u32) -> Result<Vec<SignalFact>, FactsError> {
        let fact = |event: &Value| SignalFact {
            event_id: event["event.id"].as_str().unwrap_or_default().to_owned(),
            at: NOW,
            rule_id: "rule-1".into(),
            fields: Vec::new(),
        };
        Ok(self.seen(scope)?.iter().map(fact).collect())
    }

    async fn events_around(&self, scope: &Scope, _: &Around) -> Result<EventPage, FactsError> {
        Ok(EventPage { events: self.seen(scope)?, next: None })
    }

    async fn event_series(
        &self,
        scope: &Scope,
        since: Millis,
        _: Millis,
        _: Millis,
        _: Option<bool>,
    ) -> Result<Vec<EventBucket>, FactsError> {
        let count = i64::try_from(self.seen(scope)?.len()).unwrap();
        Ok(vec![EventBucket { at: since, count }])
    }

    async fn search(&self, scope: &Scope, query: &EventQuery) -> Result<EventPage, FactsError> {
        self.wait().await;
        let start =
            query.cursor.as_ref().map_or(Ok(0), |cursor| cursor.parse().map_err(|_| FactsError::Cursor))?;
        let found = self.found(scope, query)?;
        let end = start + query.limit as usize;
        let next = (found.len() > end).then(|| end.to_string());
        Ok(EventPage { events: found.into_iter().skip(start).take(query.limit as usize).collect(), next })
    }

    async fn histogram(
        &self,
        scope: &Scope,
        query: &EventQuery,
        step: Millis,
        zone: Millis,
    ) -> Result<Vec<EventBucket>, FactsError> {
        self.wait().await;
        let mut counts = std::collections::BTreeMap::new();
        for event in self.found(scope, query)? {
            let Some(at) = event["@timestamp"].as_str() else { continue };
            let at = dongson_event::Timestamp::parse(at).unwrap().millis();
            *counts.entry((at + zone).div_euclid(step) * step - zone).or_insert(0) += 1;
        }
        Ok(counts.into_iter().map(|(at, count)| EventBucket { at, count }).collect())
    }

    async fn top_values(
        &self,
        scope: &Scope,
        query: &EventQuery,
        field: &str,
        limit: u32,
    ) -> Result<Frequent, FactsError> {
        self.wait().await;
        let (mut counts, mut with_field) = (std::collections::BTreeMap::new(), 0);
        for event in self.found(scope, query)? {
            let Some(value) = event.get(field) else { continue };
            with_field += 1;
            *counts.entry(value.as_str().map_or_else(|| value.to_string(), str::to_owned)).or_insert(0) += 1;
        }
        let mut values: Vec<(String, i64)> = counts.into_iter().collect();
        values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        values.truncate(limit as usize);
        Ok(Frequent { values, with_field })
    }

    async fn ping(&self) -> Result<(), FactsError> {
        self.seen(&Scope::All).map(drop)
    }
}

/// An event of an agency.
pub(crate) fn event(id: &str, organization: &str) -> Value {
    json!({ "event.id": id, "organization.id": organization, "source.ip": "10.0.0.1", "event.original": "raw" })
}

/// Opens a registry in a folder.
pub(crate) async fn open(folder: &Path) -> Registry {
    Registry::open(&folder.join("registry.sqlite")).await.unwrap()
}

/// The parts of a console over a registry and a store.
pub(crate) fn parts(registry: Registry, memory: Memory) -> Parts {
    let rule = RuleInfo {
        id: "rule-1".into(),
        title: "SSH brute force".into(),
        level: "high".into(),
        response: Some("Block the address.".into()),
        response_vi: Some("Chặn địa chỉ.".into()),
        ..RuleInfo::default()
    };
    Parts {
        config: Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() },
        registry,
        facts: Arc::new(memory),
        rules: vec![rule],
        collector_urls: vec!["https://soc.example:9443".into(), "https://192.0.2.7:9443".into()],
        parsers: vec!["sshd".into(), "suricata".into()],
        metrics: Arc::new(|| "up 1\n".to_owned()),
        send_test: Arc::new(|channel| {
            let refused = channel.settings["host"] == "refuses.example";
            Box::pin(async move { if refused { Err("550 no such user".to_owned()) } else { Ok(None) } })
        }),
        health: Arc::new(|| Box::pin(async { None })),
        clock: || NOW,
    }
}

/// The routes of a console.
pub(crate) fn console(registry: Registry, memory: Memory) -> Router {
    routes(Console::new(parts(registry, memory), CancellationToken::new()))
}

/// A change by the tests themselves.
pub(crate) fn change() -> Change {
    Change::service("test", NOW)
}

/// Enters an agency.
pub(crate) async fn agency(registry: &Registry, id: &str) {
    let edit =
        OrganizationEdit { name: id.to_uppercase(), name_en: id.to_uppercase(), parent: None, level: 2 };
    registry.create_organization(&change(), id, &edit).await.unwrap();
}

/// A person with [`PASSWORD`] and an open session.
pub(crate) async fn person(
    registry: &Registry,
    login: &str,
    role: Role,
    organizations: Option<Vec<String>>,
) -> Caller {
    let edit = AccountEdit { full_name: login.into(), role, organizations, disabled: false };
    let made = registry.create_account(&change(), login, &edit).await.unwrap();
    let by = Change::by(&made.account.id, None, NOW);
    registry.change_password(&by, &made.password, PASSWORD, "").await.unwrap();
    let SignIn::Welcome(account) = registry.sign_in(login, PASSWORD, NOW).await.unwrap() else {
        panic!("no welcome")
    };
    let session = registry.begin_session(&account.id, None, SessionLimits::default(), NOW).await.unwrap();
    let csrf = dongson_registry::hash_secret(&format!("csrf:{}", session.secret));
    Caller { id: account.id, secret: Some(session.secret), csrf: Some(csrf) }
}

/// An alert of an agency in the queue.
pub(crate) async fn alert(registry: &Registry, id: &str, organization: &str) {
    let alert = AlertUpsert {
        id: id.into(),
        organization: organization.into(),
        node: Some("gw-01".into()),
        rule_id: "rule-1".into(),
        rule_version: "1".into(),
        title_vi: "Dò mật khẩu SSH".into(),
        title_en: "SSH brute force".into(),
        level: Level::Critical,
        entity_type: "source.ip".into(),
        entity_value: "10.0.0.1".into(),
        first_seen: NOW - 60_000,
        last_seen: NOW - 30_000,
        event_id: format!("event-{organization}"),
        added: 3,
        risk: 80,
        tags: vec!["attack.t1110".into()],
        facts: [0; 32],
        drill: false,
    };
    let first = registry.offset("test", "signals", 0).await.unwrap().map_or(0, |saved| saved.next);
    let run =
        Consumed { group: "test".into(), topic: "signals".into(), partition: 0, first, next: first + 1 };
    let step = Step { alerts: vec![alert], ..Step::default() };
    registry.apply_alerts(&run, &step, NOW).await.unwrap();
}

/// Somebody who calls the API.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    pub(crate) csrf: Option<String>,
}

/// An answer, whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The stable code of a problem.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Caller {
    /// Sends a request and holds it and its answer against the document; of an event stream only the first frame is read.
    pub(crate) async fn send(
        &self,
        router: &Router,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method.clone()).uri(path).header("x-request-id", "fixed");
        if let Some(secret) = &self.secret {
            request = request.header(header::COOKIE, format!("__Host-dongson={secret}"));
        }
        if let Some(csrf) = &self.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        let asked = body;
        let request = match body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        let response = router.clone().oneshot(request.unwrap()).await.unwrap();
        let (head, mut body) = response.into_parts();
        let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<(String, String)> =
            head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let streams = headers
            .iter()
            .any(|(name, value)| name == "content-type" && value.starts_with("text/event-stream"));
        let bytes = if streams {
            body.frame().await.unwrap().unwrap().into_data().unwrap()
        } else {
            body.collect().await.unwrap().to_bytes()
        };
        let answer = String::from_utf8_lossy(&bytes).into_owned();
        let kind = headers.iter().find(|(name, _)| name == "content-type").map_or("", |(_, value)| value);
        document::check(&method, path, asked, head.status, kind, &answer);
        Answer { status: head.status, headers, body: answer }
    }

    /// A GET.
    pub(crate) async fn get(&self, router: &Router, path: &str) -> Answer {
        self.send(router, Method::GET, path, None).await
    }

    /// A POST with a body.
    pub(crate) async fn post(&self, router: &Router, path: &str, body: Value) -> Answer {
        self.send(router, Method::POST, path, Some(&body)).await
    }
}
