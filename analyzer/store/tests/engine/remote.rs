//! A server instead of the embedded engine: one that is named, or the engine's process taken for one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use dongson_store::{Account, EventFilter, Layout, Scope, ServerOptions, StoreClient};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};

use super::{event, rows, start};

const URL: &str = "DONGSON_CLICKHOUSE_URL";

/// Takes `--clickhouse-url URL` out of the arguments.
pub(super) fn take_url(mut arguments: Vec<String>) -> Vec<String> {
    if let Some(at) = arguments.iter().position(|argument| argument == "--clickhouse-url") {
        let url = arguments.get(at + 1).cloned().expect("--clickhouse-url URL");
        arguments.drain(at..at + 2);
        URL_GIVEN.set(url).unwrap();
    }
    arguments
}

static URL_GIVEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// The server that tests run on, if one is named.
pub(super) fn options() -> Option<ServerOptions> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let url = URL_GIVEN.get().cloned().or_else(|| variable(URL))?;
    let account = Account {
        user: variable("DONGSON_CLICKHOUSE_USER").unwrap_or_else(|| "default".to_owned()),
        password: variable("DONGSON_CLICKHOUSE_PASSWORD").unwrap_or_default(),
    };
    let layout =
        variable("DONGSON_CLICKHOUSE_CLUSTER").map_or(Layout::Single, |name| Layout::cluster(&name).unwrap());
    Some(ServerOptions { layout, ..ServerOptions::new(&url, account) })
}

/// The named server without rows. Only a database that tests made is dropped.
pub(super) async fn fresh() -> StoreClient {
    let options = options().unwrap();
    let on = match &options.layout {
        Layout::Single => String::new(),
        Layout::Cluster(name) => format!(" ON CLUSTER '{name}'"),
    };
    let client = StoreClient::server(&options).unwrap();
    let count = |table: &'static str| {
        let sql = "SELECT count() FROM system.tables WHERE database = 'dongson' AND name LIKE ?";
        client.writer().query(sql).bind(table).fetch_one::<u64>()
    };
    let (tables, ours) = (count("%").await.unwrap(), count("made_by_tests").await.unwrap());
    assert!(tables == 0 || ours == 1, "{} has a database dongson that no test made: it stays", options.url);
    let execute = |sql: String| async move {
        StoreClient::server(&self::options().unwrap())
            .unwrap()
            .writer()
            .query_raw(&sql)
            .execute()
            .await
            .unwrap();
    };
    execute(format!("DROP DATABASE IF EXISTS dongson{on} SYNC")).await;
    execute(format!("CREATE DATABASE dongson{on} ENGINE = Atomic")).await;
    execute(format!("CREATE TABLE dongson.made_by_tests{on} (organization_id String) ENGINE = Log")).await;
    client
}

/// The engine's process whose folder is `data`, taken for a server.
pub(super) fn of_child(data: &Path) -> ServerOptions {
    let text = std::fs::read(data.join("connection.json")).unwrap();
    let reach: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let text = |name: &str| reach.get(name).unwrap().as_str().unwrap().to_owned();
    let account = Account { user: "writer".to_owned(), password: text("writer_key") };
    ServerOptions::new(&text("url"), account)
}

/// Passes TLS connections on to `to` in plain; gives the port.
async fn unwrap_tls(to: SocketAddr, certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> u16 {
    let key = PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(to).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
            });
        }
    });
    port
}

pub(super) fn a_server_is_reached_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let store = start(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let plain = of_child(folder.path());
        let to: SocketAddr = plain.url.strip_prefix("http://").unwrap().parse().unwrap();
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let port = unwrap_tls(to, &certificate).await;
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, certificate.cert.pem()).unwrap();
        let at = |host: &str, ca: Option<&Path>| {
            let options = ServerOptions {
                url: format!("https://{host}:{port}"),
                ca: ca.map(Path::to_owned),
                ..plain.clone()
            };
            StoreClient::server(&options).unwrap()
        };
        let client = at("localhost", Some(&ca));
        assert_eq!(client.migrate().await.unwrap(), 7);
        client.insert_events(&rows(&[event("so-yte", 1), event("xa-hamrong", 1)]), "t").await.unwrap();
        let any = EventFilter::default();
        for (scope, expected) in [(Scope::All, 2), (Scope::organization("so-yte"), 1)] {
            assert_eq!(client.count_events(&scope, &any).await.unwrap(), expected);
        }
        at("localhost", None).ping().await.expect_err("an authority that nobody named");
        at("127.0.0.1", Some(&ca)).ping().await.expect_err("a name that the certificate has not");
    });
    drop(runtime);
    drop(store);
}
