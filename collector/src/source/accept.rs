//! Accepts connections: for every listener in the same way.

use super::Hall;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Pause after a failure to accept, which is usually a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs `session` for each connection until shutdown, then waits for those that are open. At most
/// `limits.connections` at once; more wait in the kernel.
pub(crate) async fn connections<S, F>(hall: &Hall, listener: TcpListener, session: S)
where
    S: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(hall.limits.connections));
    let tasks = TaskTracker::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = hall.shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let running = session(socket, peer);
                tasks.spawn(async move {
                    running.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, listener = ?listener.local_addr(), "accepting a connection failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}
