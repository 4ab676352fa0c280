//! `[store]`: the embedded engine, or a ClickHouse server or cluster.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dongson_store::{Account, Layout, ServerOptions, StoreClient};
use serde::Deserialize;

/// Longest password file.
const MAX_PASSWORD_BYTES: u64 = 4_096;

/// The store. With `url` a server is used, else the embedded engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreConfig {
    /// Path of `libchdb.so`; default: where `deploy/fetch-engine` puts it.
    pub(crate) engine: Option<PathBuf>,
    /// Most memory of the engine in MiB.
    pub(crate) memory_mib: u64,
    /// A ClickHouse server: `https://host:8443`, or `http://host:8123` where the network between is trusted.
    pub(crate) url: Option<String>,
    /// The account that writes; default: `default`.
    pub(crate) user: Option<String>,
    /// File of its password; a line end at its end does not count. Without one the account has none.
    pub(crate) password_file: Option<PathBuf>,
    /// The account that asks, within scopes; default: the one that writes.
    pub(crate) reader_user: Option<String>,
    /// File of its password.
    pub(crate) reader_password_file: Option<PathBuf>,
    /// The account that makes tables; default: the one that writes.
    pub(crate) migrator_user: Option<String>,
    /// File of its password.
    pub(crate) migrator_password_file: Option<PathBuf>,
    /// PEM file of the authorities that the server's certificate may come from; default: those of this machine.
    pub(crate) ca: Option<PathBuf>,
    /// The cluster among the servers' `remote_servers`: tables become replicated and distributed.
    pub(crate) cluster: Option<String>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            engine: None,
            memory_mib: 2_048,
            url: None,
            user: None,
            password_file: None,
            reader_user: None,
            reader_password_file: None,
            migrator_user: None,
            migrator_password_file: None,
            ca: None,
            cluster: None,
        }
    }
}

impl StoreConfig {
    /// What is wrong with the values, by the name of the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.url.is_none() {
            let of_servers = [
                ("user", self.user.is_some()),
                ("password_file", self.password_file.is_some()),
                ("reader_user", self.reader_user.is_some()),
                ("reader_password_file", self.reader_password_file.is_some()),
                ("migrator_user", self.migrator_user.is_some()),
                ("migrator_password_file", self.migrator_password_file.is_some()),
                ("ca", self.ca.is_some()),
                ("cluster", self.cluster.is_some()),
            ];
            return match of_servers.iter().find(|(_, set)| *set) {
                Some((key, _)) => {
                    Err(format!("store.{key}: is for a server: set store.url, or leave it out"))
                }
                None => Ok(()),
            };
        }
        if self.engine.is_some() {
            return Err("store.engine: is not used with store.url: leave one of them out".to_owned());
        }
        for (key, user, file) in [
            ("reader_password_file", &self.reader_user, &self.reader_password_file),
            ("migrator_password_file", &self.migrator_user, &self.migrator_password_file),
        ] {
            if file.is_some() && user.is_none() {
                return Err(format!(
                    "store.{key}: is of no account: name it in store.{}",
                    key.replace("password_file", "user")
                ));
            }
        }
        self.layout().map_err(|error| format!("store.cluster: {error}"))?;
        let options = self.server(1).map_err(|error| error.to_string())?;
        options.map_or(Ok(()), |options| match StoreClient::server(&options) {
            Ok(_) => Ok(()),
            Err(error) if self.ca.is_some() => Err(format!("store.ca: {error}")),
            Err(error) => Err(format!("store.url: {error}")),
        })
    }

    /// How the tables lie.
    pub(crate) fn layout(&self) -> Result<Layout> {
        Ok(self.cluster.as_deref().map_or(Ok(Layout::Single), Layout::cluster)?)
    }

    /// How to reach the server, if one is named; questions may run for `search_seconds`.
    pub(crate) fn server(&self, search_seconds: u32) -> Result<Option<ServerOptions>> {
        let Some(url) = &self.url else { return Ok(None) };
        let writer = Account {
            user: self.user.clone().unwrap_or_else(|| "default".to_owned()),
            password: password("password_file", self.password_file.as_deref())?,
        };
        let other = |user: &Option<String>, key, file: &Option<PathBuf>| match user {
            Some(user) => {
                anyhow::Ok(Account { user: user.clone(), password: password(key, file.as_deref())? })
            }
            None => Ok(writer.clone()),
        };
        let reader = other(&self.reader_user, "reader_password_file", &self.reader_password_file)?;
        let migrator = other(&self.migrator_user, "migrator_password_file", &self.migrator_password_file)?;
        let (ca, layout) = (self.ca.clone(), self.layout()?);
        Ok(Some(ServerOptions { url: url.clone(), writer, reader, migrator, ca, layout, search_seconds }))
    }
}

/// The password in a file.
fn password(key: &str, file: Option<&Path>) -> Result<String> {
    let Some(path) = file else { return Ok(String::new()) };
    let unusable = |why: String| anyhow::anyhow!("store.{key}: {}: {why}", path.display());
    let length = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?.len();
    if length > MAX_PASSWORD_BYTES {
        return Err(unusable(format!("has {length} bytes, which is no password")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(unusable("is empty".to_owned())) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_fall_back_to_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "geheim\n").unwrap();
        let mut config = StoreConfig {
            url: Some("http://c:8123".to_owned()),
            password_file: Some(file.clone()),
            cluster: Some("dongson".to_owned()),
            ..StoreConfig::default()
        };
        config.check().unwrap();
        let options = config.server(7).unwrap().unwrap();
        let writer = Account { user: "default".to_owned(), password: "geheim".to_owned() };
        assert_eq!((&options.writer, &options.reader, &options.migrator), (&writer, &writer, &writer));
        assert_eq!((options.layout, options.search_seconds), (Layout::Cluster("dongson".to_owned()), 7));
        config.reader_user = Some("r".to_owned());
        let reader = config.server(7).unwrap().unwrap().reader;
        assert_eq!(reader, Account { user: "r".to_owned(), password: String::new() });
        std::fs::write(&file, "\n").unwrap();
        assert!(config.check().unwrap_err().contains("store.password_file"));
    }
}
