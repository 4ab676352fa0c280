//! Who may do what on a server: SQL for its administrator.
//!
//! Three accounts of the program: one makes tables, one writes rows, one asks. The one that asks names its agencies with each
//! question (the setting [`crate::SCOPE_SETTING`]), and a row policy shows it those alone; without the setting the
//! server refuses the question. For people who ask the server themselves there is a role for each agency, whose
//! policy names the agency. Quotas bound what questions may cost.
//!
//! Each statement can be run again. They need a user with `access_management`.

use sha2::{Digest as _, Sha256};

use crate::connect::Account;
use crate::migrations::{Layout, SCOPED_TABLES};
use crate::shim::SCOPE_SETTING;
use crate::{Result, ServerOptions, StoreError};

/// The statements for the accounts of `options` and a role for each of `agencies`.
///
/// # Errors
/// `BadQuestion` for an account without a password, or an agency whose id cannot be part of a name.
pub fn grants(options: &ServerOptions, agencies: &[String]) -> Result<Vec<String>> {
    let on = options.layout.on_cluster();
    let (migrator, writer, reader) = (&options.migrator, &options.writer, &options.reader);
    let mut all = Vec::new();
    for account in distinct([migrator, writer, reader]) {
        all.push(user(account, &on)?);
    }
    let name = |account: &Account| quoted(&account.user);
    all.push(format!(
        "GRANT{on} CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER TABLE, ALTER VIEW, SELECT, INSERT, BACKUP ON dongson.* TO {}",
        name(migrator)
    ));
    // For ON CLUSTER and for tables of kind Distributed.
    all.push(format!("GRANT{on} CLUSTER, REMOTE ON *.* TO {}", name(migrator)));
    all.push(format!("GRANT{on} INSERT, SELECT ON dongson.* TO {}", name(writer)));
    for table in tables(&options.layout) {
        all.push(format!("GRANT{on} SELECT ON {table} TO {}", name(reader)));
    }
    all.extend(policies(options));
    all.push(format!(
        "CREATE SETTINGS PROFILE OR REPLACE dongson_reader{on} SETTINGS readonly = 2, \
         max_execution_time = {seconds} MAX {seconds}, max_memory_usage = 8000000000, \
         max_concurrent_queries_for_user = 64 TO {}",
        name(reader),
        seconds = options.search_seconds,
    ));
    all.push(format!(
        "CREATE QUOTA OR REPLACE dongson_reader{on} KEYED BY user_name \
         FOR INTERVAL 1 minute MAX queries = 6000, FOR INTERVAL 1 hour MAX execution_time = 28800 TO {}",
        name(reader)
    ));
    for agency in agencies {
        all.extend(agency_role(agency, &options.layout)?);
    }
    Ok(all)
}

/// One account may do several things.
fn distinct(accounts: [&Account; 3]) -> Vec<&Account> {
    let mut seen: Vec<&Account> = Vec::new();
    for account in accounts {
        if !seen.iter().any(|one| one.user == account.user) {
            seen.push(account);
        }
    }
    seen
}

/// The server gets the SHA-256 of the password, never the password.
fn user(account: &Account, on: &str) -> Result<String> {
    if account.password.is_empty() {
        let words =
            format!("the account {:?} has no password: name its file in the configuration", account.user);
        return Err(StoreError::BadQuestion(words));
    }
    let hash = hex::encode(Sha256::digest(&account.password));
    Ok(format!(
        "CREATE USER OR REPLACE {}{on} IDENTIFIED WITH sha256_hash BY '{hash}'",
        quoted(&account.user)
    ))
}

/// What the reader sees, and that the others see everything.
fn policies(options: &ServerOptions) -> Vec<String> {
    let (on, reader) = (options.layout.on_cluster(), quoted(&options.reader.user));
    let mut others = distinct([&options.migrator, &options.writer, &options.writer]);
    others.retain(|account| account.user != options.reader.user);
    let others: Vec<String> = others.iter().map(|account| quoted(&account.user)).collect();
    let mut all = Vec::new();
    for table in tables(&options.layout) {
        all.push(format!(
            "CREATE ROW POLICY OR REPLACE dongson_scope ON {table}{on} FOR SELECT USING {} TO {reader}",
            scope_condition()
        ));
        if !others.is_empty() {
            all.push(format!(
                "CREATE ROW POLICY OR REPLACE dongson_everything ON {table}{on} FOR SELECT USING 1 TO {}",
                others.join(", ")
            ));
        }
    }
    all
}

/// True for rows of the agencies that the question names.
pub(crate) fn scope_condition() -> String {
    let named = format!("getSetting('{SCOPE_SETTING}')");
    format!("{named} = '*' OR has(JSONExtract({named}, 'Array(String)'), organization_id)")
}

/// A role for people of one agency who ask the server themselves: `GRANT "dongson_agency_ID" TO their_user`.
fn agency_role(agency: &str, layout: &Layout) -> Result<Vec<String>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if agency.is_empty() || agency.len() > 64 || !agency.bytes().all(plain) {
        let words = format!("an agency's id is 1 to 64 letters, digits, `_`, `-` and `.`, not {agency:?}");
        return Err(StoreError::BadQuestion(words));
    }
    let (on, role) = (layout.on_cluster(), quoted(&format!("dongson_agency_{agency}")));
    let mut all = vec![format!("CREATE ROLE IF NOT EXISTS {role}{on}")];
    for table in tables(layout) {
        all.push(format!("GRANT{on} SELECT ON {table} TO {role}"));
        all.push(format!(
            "CREATE ROW POLICY OR REPLACE {role} ON {table}{on} FOR SELECT USING organization_id = '{agency}' TO {role}"
        ));
    }
    all.push(format!(
        "CREATE SETTINGS PROFILE OR REPLACE {role}{on} SETTINGS readonly = 1, max_execution_time = 60, \
         max_memory_usage = 4000000000, max_concurrent_queries_for_user = 4 TO {role}"
    ));
    all.push(format!(
        "CREATE QUOTA OR REPLACE {role}{on} KEYED BY user_name FOR INTERVAL 1 minute MAX queries = 120, \
         FOR INTERVAL 1 hour MAX queries = 2000, execution_time = 3600 TO {role}"
    ));
    Ok(all)
}

/// Every table that questions reach, with the ones behind it on a cluster.
fn tables(layout: &Layout) -> Vec<String> {
    let mut all: Vec<String> = SCOPED_TABLES.iter().map(|table| format!("dongson.{table}")).collect();
    if *layout != Layout::Single {
        all.extend(SCOPED_TABLES.iter().map(|table| layout.held(table)));
    }
    all
}

/// A name between double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(user: &str) -> Account {
        Account { user: user.to_owned(), password: format!("secret of {user}") }
    }

    fn options(layout: Layout) -> ServerOptions {
        ServerOptions {
            writer: account("w"),
            reader: account("r"),
            migrator: account("m"),
            layout,
            ..ServerOptions::new("https://c:8443", account("m"))
        }
    }

    #[test]
    fn every_table_has_a_policy_and_no_password_is_told() {
        for (layout, tables) in [(Layout::Single, 5), (Layout::Cluster("c".to_owned()), 10)] {
            let all = grants(&options(layout.clone()), &["so-yte".to_owned()]).unwrap();
            let with = |begin: &str| all.iter().filter(|one| one.starts_with(begin)).count();
            assert_eq!(with("CREATE ROW POLICY OR REPLACE dongson_scope ON"), tables);
            assert_eq!(with("CREATE ROW POLICY OR REPLACE \"dongson_agency_so-yte\""), tables);
            assert_eq!(with("CREATE USER"), 3);
            assert!(all.iter().all(|one| !one.contains("secret")), "{all:?}");
            assert!(
                all.iter().all(|one| one.contains("ON CLUSTER") == (layout != Layout::Single)),
                "{all:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let strange = grants(&options(Layout::Single), &["a' OR 1".to_owned()]).unwrap_err().to_string();
        assert!(strange.contains("agency"), "{strange}");
        let open = ServerOptions {
            reader: Account { user: "r".to_owned(), password: String::new() },
            ..options(Layout::Single)
        };
        assert!(grants(&open, &[]).unwrap_err().to_string().contains("has no password"));
    }
}
