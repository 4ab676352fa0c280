//! The tables of a cluster on the engine. It parses and executes what a server would, with these limits: it has no worker for
//! `ON CLUSTER` statements, so that part is left out of what is executed; it has a Keeper in memory, with which replicated
//! tables are made and checked, but they take neither rows nor changes, because the engine has no port for other replicas. Rows therefore go through
//! tables of kind `Distributed` over unreplicated ones.

use dongson_event::Alert;
use dongson_store::{
    Account, ChildCommand, Condition, EventFilter, Layout, Scope, ServerOptions, StoreClient, StoreOptions,
    Supervisor, engine_path, grants, schema,
};

use super::{event, period, remote, rows, signal};

/// One shard, which is the engine itself.
const CONFIG: &str = "<clickhouse>
    <zookeeper><implementation>testkeeper</implementation></zookeeper>
    <tcp_port>9000</tcp_port>
    <macros><shard>01</shard><replica>a</replica></macros>
    <remote_servers><dongson><shard>
        <internal_replication>true</internal_replication>
        <replica><host>127.0.0.1</host><port>9000</port></replica>
    </shard></dongson></remote_servers>
</clickhouse>";

fn layout() -> Layout {
    Layout::cluster("dongson").unwrap()
}

/// Runs a test on an engine that knows the cluster; gives the options of a client that takes it for a server.
fn with_engine<F: Future<Output = ()>>(test: impl FnOnce(ServerOptions) -> F) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("engine.xml");
    std::fs::write(&config, CONFIG).unwrap();
    let data = folder.path().join("data");
    let mut options = StoreOptions::new(&data, engine_path());
    options.engine_config = Some(config);
    let store = Supervisor::start(ChildCommand::current().unwrap(), &options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(test(ServerOptions { layout: layout(), ..remote::of_child(&data) }));
    drop(runtime);
    drop(store);
}

async fn execute(client: &StoreClient, statement: &str) {
    let done = client.writer().query_raw(statement).execute().await;
    done.unwrap_or_else(|error| panic!("{error}: {statement}"));
}

async fn engines(client: &StoreClient) -> Vec<(String, u64)> {
    let sql = "SELECT engine, count() FROM system.tables WHERE database = 'dongson' GROUP BY engine ORDER BY engine";
    client.writer().query(sql).fetch_all::<(String, u64)>().await.unwrap()
}

/// As it can be executed here.
fn alone(statement: &str) -> String {
    statement.replace(" ON CLUSTER 'dongson'", "")
}

/// Without Keeper.
fn unreplicated(statement: &str) -> String {
    let mut text = alone(statement);
    while let Some(start) = text.find("Replicated") {
        let (head, tail) = text.split_at(start);
        let tail = tail.strip_prefix("Replicated").unwrap();
        let (name, arguments) = tail.split_once('(').unwrap();
        let (arguments, rest) = arguments.split_once(')').unwrap();
        let own = arguments.split(", ").nth(2).unwrap_or_default();
        text = format!("{head}{name}({own}){rest}");
    }
    text.replace("replicated_deduplication_window = ", "non_replicated_deduplication_window = ")
}

pub(super) fn every_statement_parses() {
    with_engine(|options| async move {
        let client = StoreClient::server(&options).unwrap();
        let account = |user: &str| Account { user: user.to_owned(), password: "p".to_owned() };
        let mut parsed = 0;
        for layout in [Layout::Single, layout()] {
            let options = ServerOptions {
                layout: layout.clone(),
                writer: account("w"),
                reader: account("r\""),
                migrator: account("m"),
                ..options.clone()
            };
            let agencies = ["so-yte".to_owned(), "xa.hamrong_1".to_owned()];
            for statement in [schema(&layout).unwrap(), grants(&options, &agencies).unwrap()].concat() {
                let sql = "SELECT formatQuerySingleLine(?)";
                let text: String = client
                    .writer()
                    .query(sql)
                    .bind(&statement)
                    .fetch_one()
                    .await
                    .unwrap_or_else(|error| panic!("{error}: {statement}"));
                assert_eq!(text.contains("ON CLUSTER"), statement.contains("ON CLUSTER"), "{text}");
                parsed += 1;
            }
        }
        assert!(parsed > 100, "{parsed}");
        let error =
            client.writer().query("SELECT formatQuery(?)").bind("CREATE TABL x").fetch_one::<String>().await;
        assert!(error.is_err(), "what is no statement is told");
    });
}

pub(super) fn tables_of_a_cluster_are_made() {
    with_engine(|options| async move {
        let client = StoreClient::server(&options).unwrap();
        for _ in 0..2 {
            // Twice is as good as once.
            for statement in schema(&layout()).unwrap().iter().filter(|one| one.starts_with("CREATE")) {
                execute(&client, &alone(statement)).await;
            }
        }
        let made = engines(&client).await;
        let expected = [
            ("Distributed", 5),
            ("MaterializedView", 2),
            ("ReplicatedMergeTree", 4),
            ("ReplicatedSummingMergeTree", 2),
        ];
        assert_eq!(made, expected.map(|(name, count)| (name.to_owned(), count)));
        let same = "SELECT count() FROM system.columns AS a LEFT ANTI JOIN system.columns AS b \
                    ON b.database = a.database AND b.table = concat(a.table, '_local') AND b.name = a.name AND b.type = a.type \
                    WHERE a.database = 'dongson' AND a.table IN ('events', 'signals', 'alerts', 'events_per_minute', 'alerts_per_minute')";
        let different: u64 = client.writer().query(same).fetch_one().await.unwrap();
        assert_eq!(different, 0, "the distributed tables have the columns of those behind them");
    });
}

pub(super) fn a_cluster_answers_as_one_server() {
    with_engine(|options| async move {
        let client = StoreClient::server(&options).unwrap();
        for statement in schema(&layout()).unwrap() {
            execute(&client, &unreplicated(&statement)).await;
        }
        let mut events: Vec<_> = (0..100).map(|number| event("so-yte", number)).collect();
        events.extend((0..50).map(|number| event("xa-hamrong", number)));
        events[7].set("winlog.event_data.Image", "C:\\Windows\\x.exe");
        events[8].set("message", "Đăng nhập thất bại");
        let alerts: Vec<Alert> = (0..10).map(|number| Alert::of(signal("so-yte", number))).collect();
        for _ in 0..3 {
            client.insert_events(&rows(&events), "dongson.events/0/0-149").await.unwrap();
            client.insert_alerts(&alerts, "dongson.signals/0/0-9").await.unwrap();
            client.insert_signals(&[signal("so-yte", 1)], "dongson.events/0/0-149").await.unwrap();
        }
        let (all, mine) = (Scope::All, Scope::organization("so-yte"));
        let any = EventFilter::default();
        assert_eq!(client.count_events(&all, &any).await.unwrap(), 150, "a token counts once");
        assert_eq!(client.count_events(&mine, &any).await.unwrap(), 100, "a scope holds");
        assert_eq!(client.event(&mine, "xa-hamrong-3").await.unwrap(), None);
        assert_eq!(client.event(&mine, "so-yte-7").await.unwrap().as_ref(), events.get(7));
        let words = EventFilter { words: Some("đăng nhập".to_owned()), ..any.clone() };
        assert_eq!(client.count_events(&all, &words).await.unwrap(), 1);
        let image = ("winlog.event_data.Image".to_owned(), Condition::Contains("x.exe".to_owned()));
        let image = EventFilter { fields: vec![image], ..any.clone() };
        assert_eq!(client.search_events(&all, &image, 5).await.unwrap().len(), 1);
        let counted = client.events_by_organization(&mine, period()).await.unwrap();
        assert_eq!(
            counted.iter().map(|one| one.count).collect::<Vec<_>>(),
            [100],
            "minutes are counted once"
        );
        let levels = client.alerts_by_level(&all, period()).await.unwrap();
        assert_eq!(levels.iter().map(|one| one.count).collect::<Vec<_>>(), [10]);
        let id = &alerts[1].id;
        assert_eq!(client.alert(&mine, id).await.unwrap().as_ref(), alerts.get(1));
        assert_eq!(client.signals_of_alert(&mine, id, 10).await.unwrap().len(), 1);
        assert_eq!(client.alert(&Scope::organization("xa-hamrong"), id).await.unwrap(), None);
        // The condition of the row policies, as the filter that a policy is.
        let policy = "SELECT count() FROM dongson.events_local WHERE {named:String} = '*' \
                      OR has(JSONExtract({named:String}, 'Array(String)'), organization_id)";
        for (named, expected) in [("*", 150), ("[\"so-yte\"]", 100), ("[]", 0), ("so-yte", 0)] {
            let found: u64 = client.writer().query(policy).param("named", named).fetch_one().await.unwrap();
            assert_eq!(found, expected, "{named}");
        }
    });
}

/// `deploy/cluster/clickhouse/server.xml` without what only a server merges or knows: what is removed from its own
/// configuration, and where accounts lie.
fn servers_configuration() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/cluster/clickhouse/server.xml");
    let text = std::fs::read_to_string(path).unwrap();
    let (head, tail) = text.split_once("<user_directories").unwrap();
    let (_, tail) = tail.split_once("</user_directories>").unwrap();
    let lines = [head, tail].concat();
    lines.lines().filter(|line| !line.contains("remove=\"1\"")).collect::<Vec<_>>().join("\n")
}

/// The engine reads the servers' configuration: the cluster that migrations name has the shards and replicas of the compose file.
pub(super) fn the_servers_know_the_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("server.xml");
    std::fs::write(&config, servers_configuration()).unwrap();
    let data = folder.path().join("data");
    let mut options = StoreOptions::new(&data, engine_path());
    options.engine_config = Some(config);
    let mut command = ChildCommand::current().unwrap();
    command.environment = [
        ("SHARD", "2"),
        ("REPLICA", "clickhouse-2b"),
        ("INTERSERVER_PASSWORD", "x"),
        ("CLUSTER_SECRET", "y"),
    ]
    .map(|(name, value)| (format!("DONGSON_{name}"), value.to_owned()))
    .to_vec();
    let store = Supervisor::start(command, &options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = store.client();
        let macros = "SELECT macro, substitution FROM system.macros ORDER BY macro";
        let macros: Vec<(String, String)> = client.writer().query(macros).fetch_all().await.unwrap();
        let expected = [("cluster", "dongson"), ("replica", "clickhouse-2b"), ("shard", "2")];
        assert_eq!(macros, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let hosts = "SELECT shard_num, host_name FROM system.clusters WHERE cluster = 'dongson' ORDER BY shard_num, host_name";
        let hosts: Vec<(u32, String)> = client.writer().query(hosts).fetch_all().await.unwrap();
        let expected = [(1, "clickhouse-1a"), (1, "clickhouse-1b"), (2, "clickhouse-2a"), (2, "clickhouse-2b")];
        assert_eq!(hosts, expected.map(|(shard, host)| (shard, host.to_owned())));
    });
    drop((store, runtime));
}
