//! The way to the store: one client that writes, one that reads within a scope.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use clickhouse::query::Query;
use clickhouse::{Client, Compression};
use dongson_event::{Alert, Signal};

use crate::connect::{Account, ServerOptions};
use crate::facts::{AlertRow, SignalRow};
use crate::migrations::{self, Layout};
use crate::row::{EventRows, Sealing};
use crate::server::Reach;
use crate::shim::{READER, SCOPE_SETTING, WRITER, quote};
use crate::{Result, StoreError};

/// Most rows of one insert: a larger one might be cut into several blocks, and a block is what a token protects.
pub const MAX_INSERT_ROWS: usize = 100_000;
/// Most bytes of one insert: what 40 MiB of events become at worst (five times as much, by words of rare signs), and less
/// than what the engine takes for one block.
pub const MAX_INSERT_BYTES: usize = 224 << 20;
/// Bytes of one piece on the way.
const PIECE_BYTES: usize = 1 << 20;

/// Whose data a question may see. Every reading function asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every agency: the centre's own people.
    All,
    /// These agencies alone, by their ids.
    Organizations(BTreeSet<String>),
}

impl Scope {
    /// One agency.
    pub fn organization(id: impl Into<String>) -> Self {
        Self::Organizations(BTreeSet::from([id.into()]))
    }

    /// True when the agency's data may be seen.
    pub fn allows(&self, organization: &str) -> bool {
        match self {
            Self::All => true,
            Self::Organizations(ids) => ids.contains(organization),
        }
    }

    fn setting(&self) -> Result<String> {
        match self {
            Self::All => Ok("*".to_owned()),
            Self::Organizations(ids) if ids.is_empty() => Err(StoreError::EmptyScope),
            Self::Organizations(ids) => {
                serde_json::to_string(ids).map_err(|error| StoreError::Unreadable(error.to_string()))
            }
        }
    }
}

/// A store: the embedded one or a server. Clones share connections.
#[derive(Debug, Clone)]
pub struct StoreClient {
    writer: Client,
    reader: Client,
    migrator: Client,
    layout: Layout,
    /// How long a question may run, in seconds, on a server; the embedded store sets the limits itself.
    server: Option<u32>,
}

impl StoreClient {
    /// The embedded store at `url` with the secrets of its two users.
    pub fn new(url: &str, writer_key: &str, reader_key: &str) -> Self {
        let client = |user, key| base(url).with_user(user).with_password(key);
        let writer = client(WRITER, writer_key);
        Self {
            migrator: writer.clone(),
            writer,
            reader: client(READER, reader_key),
            layout: Layout::Single,
            server: None,
        }
    }

    /// The store whose data is in the folder `data` of this machine, as it wrote when it last started.
    ///
    /// # Errors
    /// `Io` when no store has ever run there.
    pub fn running(data: &Path) -> Result<Self> {
        let reach = Reach::read(data)?;
        Ok(Self::new(&reach.url, &reach.writer_key, &reach.reader_key))
    }

    /// A `ClickHouse` server or cluster. The scope of each question is sent as `additional_table_filters` and, for row
    /// policies (`grants.rs`), as a setting: the server must know settings that begin with `SQL_`, as it does by default.
    ///
    /// # Errors
    /// For an address that is none, or authorities that cannot be read. Nothing is asked of the server yet.
    pub fn server(options: &ServerOptions) -> Result<Self> {
        let client = options.client()?;
        let of = |account: &Account| client.clone().with_user(&account.user).with_password(&account.password);
        Ok(Self {
            writer: of(&options.writer),
            reader: of(&options.reader),
            // A statement for all servers is done when all have done it, or fails.
            migrator: of(&options.migrator)
                .with_setting("distributed_ddl_task_timeout", "180")
                .with_setting("distributed_ddl_output_mode", "throw"),
            layout: options.layout.clone(),
            server: Some(options.search_seconds),
        })
    }

    /// Makes the tables or brings them up; answers their version.
    pub async fn migrate(&self) -> Result<u32> {
        migrations::migrate(&self.migrator, &self.layout).await
    }

    /// Asks whether the store answers.
    pub async fn ping(&self) -> Result<()> {
        let one: u8 = self.writer.query("SELECT 1").fetch_one().await?;
        if one == 1 { Ok(()) } else { Err(StoreError::NotReady(format!("SELECT 1 gave {one}"))) }
    }

    /// The client that may do everything, for maintenance. What an agency's people see never comes through it.
    pub fn writer(&self) -> &Client {
        &self.writer
    }

    /// A question within `scope`: `SELECT` over the tables of `dongson`, `?` for values.
    pub fn ask(&self, scope: &Scope, sql: &str) -> Result<Query> {
        let query = self.reader.query(sql);
        let value = scope.setting()?;
        let query = query.with_setting(SCOPE_SETTING, value);
        let Some(seconds) = self.server else { return Ok(query) };
        let query = query.with_setting("max_execution_time", seconds.to_string());
        let Scope::Organizations(ids) = scope else { return Ok(query) };
        let list: Vec<String> = ids.iter().map(|id| quote(id)).collect();
        let filter = quote(&format!("organization_id IN ({})", list.join(",")));
        let tables: Vec<String> =
            migrations::SCOPED_TABLES.iter().map(|table| format!("'dongson.{table}':{filter}")).collect();
        Ok(query.with_setting("additional_table_filters", format!("{{{}}}", tables.join(","))))
    }

    /// Writes events. When it answers they are synced to disk; the same `token` again writes nothing.
    ///
    /// # Errors
    /// `InsertTooLarge` above [`MAX_INSERT_ROWS`] or [`MAX_INSERT_BYTES`]; cut the batch at fixed places then.
    pub async fn insert_events(&self, blocks: &[EventRows], token: &str) -> Result<()> {
        self.insert(blocks, token, None).await
    }

    /// Writes events that the transparency log will know: with each row its segment, its place there and two bytes of its
    /// hash. Otherwise as [`StoreClient::insert_events`].
    pub async fn insert_segment(&self, blocks: &[EventRows], token: &str, sealing: Sealing) -> Result<()> {
        self.insert(blocks, token, Some(sealing)).await
    }

    async fn insert(&self, blocks: &[EventRows], token: &str, sealing: Option<Sealing>) -> Result<()> {
        let rows: usize = blocks.iter().map(EventRows::len).sum();
        let bytes: usize = blocks.iter().map(EventRows::size).sum();
        if rows > MAX_INSERT_ROWS || bytes > MAX_INSERT_BYTES {
            return Err(StoreError::InsertTooLarge { rows, bytes });
        }
        if rows == 0 {
            return Ok(());
        }
        // An insert that names the columns in which something stands is taken more than twice as fast.
        let filled = EventRows::filled(blocks);
        let names: Vec<String> = filled.iter().map(|field| format!("`{}`", field.column_name())).collect();
        let names = names.join(",");
        let logged = if sealing.is_some() { ",segment,place,leaf" } else { "" };
        let sql = format!(
            "INSERT INTO dongson.events ({names},original,rest,retention_days,words{logged}) FORMAT Native"
        );
        // Merges build the indexes: with every insert they would cost more than the rows do. Rows without them are few
        // and young, and are found by reading them.
        let writing = self.writing(token).with_setting("materialize_skip_indexes_on_insert", "0");
        let mut insert = writing.insert_formatted_with(sql);
        let mut piece = BytesMut::with_capacity(PIECE_BYTES.min(bytes) + 4_096);
        let mut sealing = sealing;
        for block in blocks {
            if !block.is_empty() {
                block.write(&mut piece, sealing);
            }
            let records = block.records();
            sealing = sealing.map(|one| Sealing { first: one.first.saturating_add(records), ..one });
            if piece.len() >= PIECE_BYTES {
                insert.send(piece.split().freeze()).await?;
            }
        }
        insert.send(Bytes::from(piece)).await?;
        insert.end().await?;
        metrics::counter!("store_inserted_events_total").increment(rows as u64);
        Ok(())
    }

    /// Writes signals as [`StoreClient::insert_events`] writes events.
    pub async fn insert_signals(&self, signals: &[Signal], token: &str) -> Result<()> {
        if signals.is_empty() {
            return Ok(());
        }
        let mut insert = self.writing(token).insert_unescaped::<SignalRow>("dongson.signals").await?;
        for signal in signals {
            insert.write(&SignalRow::of(signal)?).await?;
        }
        Ok(insert.end().await?)
    }

    /// Writes alerts as [`StoreClient::insert_events`] writes events.
    pub async fn insert_alerts(&self, alerts: &[Alert], token: &str) -> Result<()> {
        if alerts.is_empty() {
            return Ok(());
        }
        let mut insert = self.writing(token).insert_unescaped::<AlertRow>("dongson.alerts").await?;
        for alert in alerts {
            insert.write(&AlertRow::of(alert)?).await?;
        }
        Ok(insert.end().await?)
    }

    fn writing(&self, token: &str) -> Client {
        self.writer
            .clone()
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplicate", "1")
            .with_setting("insert_deduplication_token", token)
            .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
            // On a cluster: answered when every shard has its rows, each under the same token.
            .with_setting("distributed_foreground_insert", "1")
            // However many blocks are sent, they become one: the token is for all of them.
            .with_setting("min_insert_block_size_rows", "1000000000")
            .with_setting("min_insert_block_size_bytes", "4294967296")
    }
}

fn base(url: &str) -> Client {
    Client::default().with_url(url).with_compression(Compression::None)
}
