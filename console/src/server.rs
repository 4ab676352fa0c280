//! The HTTPS server: accepts, hands shake, serves, and stops cleanly.

use std::{fmt, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, http::StatusCode, middleware};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;

use crate::{Console, Parts, api, error::ApiError, page, respond, tls};

/// The longest a handshake or the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long open requests may go on after the shutdown token.
const GRACE: Duration = Duration::from_secs(5);

/// Why the console does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be taken.
    #[error("console cannot listen on {address}: {cause}; is another program using the port?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// There is no certificate to serve with.
    #[error("console certificate: {0}")]
    Tls(#[from] tls::TlsError),
    /// The configuration does not hold together.
    #[error("configuration: {0}")]
    Config(&'static str),
}

/// The console, bound to its address.
pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    console: Console,
    shutdown: CancellationToken,
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// All routes, without a listener: for [`Server`] and for tests.
pub fn routes(console: Console) -> Router {
    let not_found = || async { ApiError::not_found() };
    let not_allowed = || async { ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed") };
    let (api, _) = api::router().split_for_parts();
    Router::new()
        .merge(api)
        .merge(api::machine_routes())
        .route("/api/{*rest}", axum::routing::any(not_found))
        .fallback(page::serve)
        .method_not_allowed_fallback(not_allowed)
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(console.clone(), respond::finish))
        .with_state(console)
}

impl Server {
    /// Takes the address and reads or makes the certificate in `folder`.
    pub async fn bind(parts: Parts, folder: &Path, shutdown: CancellationToken) -> Result<Self, ServeError> {
        parts.config.validate().map_err(ServeError::Config)?;
        let tls = tls::server_config(&parts.config, folder)?;
        let address = parts.config.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|cause| ServeError::Listen { address, cause })?;
        let console = Console::new(parts, shutdown.clone());
        Ok(Self { listener, acceptor: TlsAcceptor::from(tls), console, shutdown })
    }

    /// The address that was taken.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the shutdown token; then lets open requests end for a few seconds.
    pub async fn run(self) {
        let router = routes(self.console.clone());
        let slots = Arc::new(Semaphore::new(self.console.config.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => break,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            while connections.try_join_next().is_some() {}
            let Some((stream, peer, slot)) = accepted else { continue };
            let (acceptor, router, shutdown) = (self.acceptor.clone(), router.clone(), self.shutdown.clone());
            connections.spawn(async move {
                serve_connection(stream, peer, acceptor, router, shutdown).await;
                drop(slot);
            });
        }
        let drained = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(open = connections.len(), "connections cut at shutdown");
        }
    }
}

/// The next connection, when there is a slot for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(%error, "console could not accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    shutdown: CancellationToken,
) {
    let Ok(Ok(stream)) = timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await else { return };
    let service = router.map_request(move |mut request: axum::http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(Duration::from_secs(30)));
    let connection =
        builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "console connection ended");
    }
}
