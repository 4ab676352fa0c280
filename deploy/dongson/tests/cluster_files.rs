//! The files of `deploy/cluster`: the compose file says what compose wants and names only what is there, and the units are taken by
//! systemd. What ClickHouse reads is checked on the engine by `analyzer/store/tests/engine`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends at its first surprise, and says what it leaves out"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster")
}

/// The compose file with its anchors and merges resolved.
fn compose() -> Value {
    let text = std::fs::read_to_string(folder().join("compose.yaml")).unwrap();
    let mut yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    yaml.apply_merge().unwrap();
    serde_json::to_value(yaml).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Object(map) => map.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

fn services() -> BTreeMap<String, Value> {
    compose()["services"].as_object().unwrap().clone().into_iter().collect()
}

#[test]
fn compose_names_only_what_is_there() {
    let compose = compose();
    let known = [
        "image",
        "restart",
        "networks",
        "stop_grace_period",
        "environment",
        "env_file",
        "volumes",
        "depends_on",
        "ulimits",
        "build",
        "command",
        "ports",
        "deploy",
    ];
    let (volumes, networks) = (texts(&compose["volumes"]), texts(&compose["networks"]));
    let services = services();
    let mut used = BTreeSet::new();
    for (name, service) in &services {
        for key in service.as_object().unwrap().keys() {
            assert!(
                known.contains(&key.as_str()),
                "{name}: {key:?} is no key of a service, or a new one to check"
            );
        }
        assert!(service["image"].is_string(), "{name}");
        for other in texts(&service["depends_on"]) {
            assert!(services.contains_key(&other), "{name} depends on {other:?}");
        }
        for network in texts(&service["networks"]) {
            assert!(networks.contains(&network), "{name}: network {network:?}");
        }
        for volume in texts(&service["volumes"]) {
            let (from, to) = volume.split_once(':').unwrap();
            assert!(to.starts_with('/'), "{name}: {volume:?}");
            match from.strip_prefix("./") {
                // Made by make-secrets.
                Some(path) if path.starts_with("secrets") => {}
                Some(path) => assert!(folder().join(path).exists(), "{name}: {volume:?}"),
                None => {
                    assert!(volumes.contains(&from.to_owned()), "{name}: volume {from:?}");
                    assert!(
                        used.insert(from.to_owned()),
                        "{name}: {from:?} belongs to another service already"
                    );
                }
            }
        }
    }
    assert_eq!(used, volumes.into_iter().collect(), "every volume is somebody's");
    let count = |begin: &str| services.keys().filter(|name| name.starts_with(begin)).count();
    assert_eq!((count("kafka"), count("keeper"), count("clickhouse-")), (3, 3, 4));
}

#[test]
fn hosts_of_the_servers_are_services() {
    let services = services();
    for (file, element) in [("server.xml", "host"), ("keeper.xml", "hostname")] {
        let text = std::fs::read_to_string(folder().join("clickhouse").join(file)).unwrap();
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let hosts: Vec<&str> =
            text.split(&open).skip(1).map(|rest| rest.split_once(&close).unwrap().0).collect();
        assert!(hosts.len() >= 3, "{file}");
        for host in hosts {
            assert!(services.contains_key(host), "{file} names {host:?}, which is no service");
        }
    }
    for (name, service) in services.iter().filter(|(name, _)| name.starts_with("clickhouse-")) {
        let environment = &service["environment"];
        assert_eq!(environment["DONGSON_REPLICA"], Value::from(name.as_str()));
        let shard = environment["DONGSON_SHARD"].as_str().unwrap();
        assert!(name.starts_with(&format!("clickhouse-{shard}")), "{name} is in shard {shard}");
    }
    let brokers: Vec<&Value> = services
        .iter()
        .filter(|(name, _)| name.starts_with("kafka"))
        .map(|(_, one)| &one["environment"])
        .collect();
    let ids: BTreeSet<i64> = brokers.iter().map(|one| one["KAFKA_NODE_ID"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 3, "each broker has a number of its own");
    assert!(brokers.iter().all(|one| one["CLUSTER_ID"] == brokers[0]["CLUSTER_ID"]));
}

#[test]
fn compose_itself_takes_the_file() {
    let compose = |arguments: &[&str]| {
        Command::new("docker").arg("compose").args(arguments).current_dir(folder()).output()
    };
    if !compose(&["version"]).is_ok_and(|output| output.status.success()) {
        println!("docker compose is not installed: the file was checked without it");
        return;
    }
    let made = Command::new(folder().join("make-secrets")).arg("--help").output().unwrap();
    assert!(made.status.success());
    let output = compose(&["config", "--no-env-resolution", "--quiet"]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn secrets_are_made_once() {
    let place = tempfile::tempdir().unwrap();
    for file in ["make-secrets", "dongson.toml"] {
        std::fs::copy(folder().join(file), place.path().join(file)).unwrap();
    }
    let run = || Command::new(place.path().join("make-secrets")).output().unwrap();
    let made = run();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let secrets = place.path().join("secrets");
    let toml = std::fs::read_to_string(place.path().join("dongson.host.toml")).unwrap();
    let grants = Command::new(env!("CARGO_BIN_EXE_dongson"))
        .args(["store", "grants", "--agency", "so-yte", "--config"])
        .arg(place.path().join("dongson.host.toml"))
        .output()
        .unwrap();
    let sql = String::from_utf8_lossy(&grants.stdout).into_owned();
    assert!(grants.status.success(), "{toml}\n{}", String::from_utf8_lossy(&grants.stderr));
    assert_eq!(sql.matches("CREATE USER").count(), 3, "{sql}");
    assert!(sql.contains("ON CLUSTER 'dongson'") && sql.contains("dongson_agency_so-yte"));
    let word = std::fs::read_to_string(secrets.join("dongson/store-writer")).unwrap();
    assert!(word.trim().len() >= 32 && !sql.contains(word.trim()));
    let again = run();
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("there already"));
}

#[test]
fn units_are_taken_by_systemd() {
    let place = tempfile::tempdir().unwrap();
    for role in ["collector", "analyzer", "console"] {
        let name = format!("dongson-{role}@.service");
        let text = std::fs::read_to_string(folder().join("systemd").join(&name)).unwrap();
        assert!(text.contains(&format!("/usr/bin/dongson {role} --data /var/lib/dongson/{role}-%i")));
        // The program and its user as they are here.
        let text =
            text.replace("/usr/bin/dongson", env!("CARGO_BIN_EXE_dongson")).replace("=dongson\n", "=root\n");
        let unit = place.path().join(format!("dongson-{role}@site.service"));
        std::fs::write(&unit, text).unwrap();
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(&unit)
            .output()
            .expect("systemd-analyze is missing: install the package systemd");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            output.status.success() && !said.contains(&name) && !said.contains("@site.service:"),
            "{said}"
        );
    }
}
