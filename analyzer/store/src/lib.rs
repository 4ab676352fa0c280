//! ClickHouse, a server or the embedded engine behind its HTTP interface: tables, migrations, queries.
