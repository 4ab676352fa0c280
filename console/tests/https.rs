//! The real listener: HTTPS with its own certificate, headers, the page, metrics, a taken port, a clean stop.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod support;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use dongson_console::{Config, ServeError, Server};
use dongson_registry::Role;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use support::{Memory, agency, alert, open, parts, person};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

/// Connects as a client that trusts nothing but the certificate in `folder`.
async fn connect(folder: &Path, address: SocketAddr) -> TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("console.crt.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// The whole answer to a GET.
async fn get(folder: &Path, address: SocketAddr, path: &str, headers: &str) -> String {
    let mut stream = connect(folder, address).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn serves_until_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    let shutdown = CancellationToken::new();
    let server = Server::bind(parts(registry.clone(), Memory::default()), folder.path(), shutdown.clone())
        .await
        .unwrap();
    let address = server.address().unwrap();
    let taken = Config { listen: address, ..Config::default() };
    let second = dongson_console::Parts { config: taken, ..parts(registry, Memory::default()) };
    let error = Server::bind(second, folder.path(), CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, ServeError::Listen { .. }));
    assert!(error.to_string().contains(&address.port().to_string()), "{error}");
    let running = tokio::spawn(server.run());

    let health = get(folder.path(), address, "/healthz", "").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self';",
        "strict-transport-security: max-age=",
        "x-content-type-options: nosniff",
        "frame-ancestors 'none'",
        "x-request-id: ",
    ] {
        assert!(health.contains(header), "{header} is missing in {health}");
    }
    assert!(
        !health.contains("unsafe-inline' 'self'") && !health.contains("script-src 'self' 'unsafe-inline'")
    );
    assert!(get(folder.path(), address, "/metrics", "").await.ends_with("up 1\n"));
    let page = get(folder.path(), address, "/incidents", "").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.to_lowercase().contains("<!doctype html>"), "{page}");
    assert!(get(folder.path(), address, "/missing.js", "").await.starts_with("HTTP/1.1 404"));
    assert!(get(folder.path(), address, "/api/v1/openapi.json", "").await.contains("\"openapi\""));
    assert!(get(folder.path(), address, "/api/v1/alerts", "").await.contains("\"unauthenticated\""));

    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(&[0x16, 0xff, 0x00, 0x13, 0x37]).await.unwrap();
    drop(garbage);
    assert!(get(folder.path(), address, "/healthz", "").await.starts_with("HTTP/1.1 200"));

    shutdown.cancel();
    timeout(Duration::from_secs(10), running).await.expect("stops within ten seconds").unwrap();
}

#[tokio::test]
async fn new_alerts_arrive_on_the_stream_of_those_who_may_see_them() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path()).await;
    agency(&registry, "a").await;
    agency(&registry, "b").await;
    let viewer = person(&registry, "viewer", Role::AgencyViewer, Some(vec!["a".into()])).await;
    let shutdown = CancellationToken::new();
    let server = Server::bind(parts(registry.clone(), Memory::default()), folder.path(), shutdown.clone())
        .await
        .unwrap();
    let address = server.address().unwrap();
    let running = tokio::spawn(server.run());
    let mut stream = connect(folder.path(), address).await;
    let cookie = format!("__Host-dongson={}", viewer.secret.unwrap());
    let request = format!("GET /api/v1/stream HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    let mut told = false;
    let wait = async {
        while !seen.contains("alert-of-a") {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "the stream ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
            if seen.contains("event: figures") && !told {
                told = true;
                alert(&registry, "alert-of-b", "b").await;
                alert(&registry, "alert-of-a", "a").await;
            }
        }
    };
    timeout(Duration::from_secs(20), wait).await.expect("the alert arrives");
    assert!(!seen.contains("alert-of-b"), "{seen}");
    shutdown.cancel();
    timeout(Duration::from_secs(10), running).await.expect("open streams do not hold up the stop").unwrap();
}
