//! Running a statement on the engine and answering it.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::pool::{Pool, Taken};
use super::request::{Order, Refusal};
use super::scope::{self, quote};
use super::{Role, SCOPE_SETTING, Shim, body, gate};
use crate::engine::{Connection, EngineError};

/// Pieces of an insert that may wait for the engine; then the client waits.
const INSERT_PIECES: usize = 8;

/// Runs what is asked for who asks.
pub(super) async fn run(shim: &Shim, role: Role, mut order: Order) -> Result<Response, Refusal> {
    let scope = take_setting(&mut order, SCOPE_SETTING);
    match role {
        Role::Writer => as_writer(&shim.pool, order).await,
        Role::Reader => as_reader(shim, order, scope.as_deref()).await,
    }
}

fn take_setting(order: &mut Order, name: &str) -> Option<String> {
    let at = order.settings.iter().position(|(held, _)| held == name)?;
    Some(order.settings.swap_remove(at).1)
}

async fn as_reader(shim: &Shim, order: Order, scope: Option<&str>) -> Result<Response, Refusal> {
    let pool = &shim.pool;
    let limits = scope::limits(scope, shim.search_seconds)?;
    if let Err(gate::Refused(words)) = gate::check(&order.sql, &pool.table_functions) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, 497, words));
    }
    if let Some((name, _)) = order.settings.first() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, 164, format!("a reader may not set {name:?}")));
    }
    let mut taken = pool.take_limited(&limits).await?;
    let (answer, answered) = oneshot::channel();
    spawn_blocking(move || {
        let begun = use_database(&mut taken.connection, Some("dongson"));
        select(&mut taken.connection, begun, &order, answer);
    });
    answered.await.map_err(|_| lost())?
}

async fn as_writer(pool: &Arc<Pool>, order: Order) -> Result<Response, Refusal> {
    let taken = pool.take().await?;
    let (answer, answered) = oneshot::channel();
    let pool = Arc::clone(pool);
    let first = first_word(&order.sql);
    let (sender, rows) = mpsc::channel(INSERT_PIECES);
    let mut order = order;
    let feed = std::mem::replace(&mut order.rows, Body::empty());
    spawn_blocking(move || {
        let mut taken = taken;
        let connection = &mut taken.connection;
        let begun = use_database(connection, order.database.as_deref())
            .and_then(|()| set(connection, &order.settings));
        match (first.as_str(), split_format(&order.sql)) {
            ("insert", Some((sql, format))) => {
                drop(answer.send(insert(connection, begun, sql, format, rows)));
            }
            ("select" | "with", _) => select(connection, begun, &order, answer),
            _ => drop(answer.send(execute(connection, begun, &order))),
        }
        give_back(&pool, taken, &order.settings);
    });
    feed_rows(feed, sender).await;
    answered.await.map_err(|_| lost())?
}

fn lost() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, 1002, "the statement ended without an answer")
}

/// What comes of an insert's body. A channel that closes without `End` means that the client is gone.
enum Rows {
    Piece(bytes::Bytes),
    End,
}

/// Hands the rows over as they come.
async fn feed_rows(rows: Body, sender: mpsc::Sender<Rows>) {
    let mut pieces = rows.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return };
        if sender.send(Rows::Piece(piece)).await.is_err() {
            return;
        }
    }
    drop(sender.send(Rows::End).await);
}

fn insert(
    connection: &mut Connection,
    begun: Result<(), EngineError>,
    sql: &str,
    format: &str,
    mut rows: mpsc::Receiver<Rows>,
) -> Result<Response, Refusal> {
    begun?;
    let mut stream = connection.insert(sql, format)?;
    loop {
        match rows.blocking_recv() {
            Some(Rows::Piece(piece)) => stream.append(&piece)?,
            Some(Rows::End) => break,
            None => {
                let words = "the rows broke off: nothing was inserted";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, 210, words));
            }
        }
    }
    stream.finish()?;
    Ok(StatusCode::OK.into_response())
}

/// Streams a SELECT. An error before the first piece becomes a refusal, a later one breaks the body off.
fn select(
    connection: &mut Connection,
    begun: Result<(), EngineError>,
    order: &Order,
    answer: oneshot::Sender<Result<Response, Refusal>>,
) {
    let first = begun.and_then(|()| {
        let mut stream = connection.stream(&order.sql, &order.format, &order.params)?;
        let first = stream.next()?;
        Ok((stream, first))
    });
    let (mut stream, first) = match first {
        Ok(begun) => begun,
        Err(error) => return drop(answer.send(Err(error.into()))),
    };
    let (mut pieces, body) = body::channel(&order.format);
    let response = ([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response();
    if answer.send(Ok(response)).is_err() {
        return;
    }
    let mut piece = first;
    while let Some(bytes) = piece {
        if !pieces.push(bytes) {
            return;
        }
        piece = match stream.next() {
            Ok(next) => next,
            Err(error) => return pieces.fail(error),
        };
    }
}

fn execute(
    connection: &mut Connection,
    begun: Result<(), EngineError>,
    order: &Order,
) -> Result<Response, Refusal> {
    begun?;
    let bytes = connection.query(&order.sql, &order.format, &order.params)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

fn use_database(connection: &mut Connection, database: Option<&str>) -> Result<(), EngineError> {
    let Some(database) = database else { return Ok(()) };
    connection.query(&format!("USE `{}`", database.replace(['`', '\\'], "")), "Null", &[]).map(drop)
}

fn set(connection: &mut Connection, settings: &[(String, String)]) -> Result<(), EngineError> {
    for (name, value) in settings {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(EngineError::new(format!("Code: 115. DB::Exception: {name:?} is not a setting")));
        }
        connection.query(&format!("SET {name} = {}", quote(value)), "Null", &[])?;
    }
    Ok(())
}

/// Back into the pool, unless a setting would stay.
fn give_back(pool: &Pool, mut taken: Taken, settings: &[(String, String)]) {
    let valid = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let reset = settings
        .iter()
        .filter(|(name, _)| valid(name))
        .all(|(name, _)| taken.connection.query(&format!("SET {name} = DEFAULT"), "Null", &[]).is_ok());
    if reset {
        pool.put(taken);
    }
}

/// The first keyword, lower case; comments before it are skipped.
fn first_word(sql: &str) -> String {
    let mut rest = sql.trim_start_matches(|sign: char| sign.is_whitespace() || sign == '(');
    while let Some(comment) = rest.strip_prefix("--").map(|tail| tail.split_once('\n')) {
        rest = comment.map_or("", |(_, tail)| tail).trim_start();
    }
    rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
}

/// `INSERT INTO t(a) FORMAT RowBinary` without its format, and the format.
fn split_format(sql: &str) -> Option<(&str, &str)> {
    let sql = sql.trim_end_matches(|sign: char| sign.is_whitespace() || sign == ';');
    let (head, format) = sql.rsplit_once(char::is_whitespace)?;
    let head = head.trim_end();
    let at = head.len().checked_sub("format".len())?;
    let (head, word) = head.split_at_checked(at)?;
    (word.eq_ignore_ascii_case("format") && head.ends_with(char::is_whitespace))
        .then(|| (head.trim_end(), format))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_split_off() {
        let expected = Some(("INSERT INTO `t`(`a`)", "RowBinary"));
        assert_eq!(split_format("INSERT INTO `t`(`a`) FORMAT RowBinary"), expected);
        assert_eq!(split_format("INSERT INTO `t`(`a`)\nformat RowBinary ;"), expected);
        assert_eq!(split_format("INSERT INTO t VALUES (1)"), None);
        assert_eq!(split_format("format"), None);
    }

    #[test]
    fn first_words() {
        assert_eq!(first_word("  (SELECT 1)"), "select");
        assert_eq!(first_word("-- why\nINSERT INTO t"), "insert");
        assert_eq!(first_word(""), "");
    }
}
