//! The inventory: which address or host is which asset, of which level. Read from TOML or CSV files.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::{QueryBuilder, query_scalar};
use crate::{
    Change, Error, Registry, Result, Scope,
    agency::check_level,
    audit::{self, Deed},
    error::check_text,
    new_id,
};

/// How many assets one import may hold.
const MAX_ASSETS: usize = 100_000;

/// An asset of an agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct Asset {
    /// Id.
    pub id: String,
    /// Its agency.
    pub organization: String,
    /// Its name, unique within the agency.
    pub name: String,
    /// Address or network (CIDR).
    pub address: Option<String>,
    /// Host name.
    pub host: Option<String>,
    /// Level of its information system, 1 to 5.
    pub level: i64,
    /// Who answers for it.
    pub owner: Option<String>,
    /// For the optimistic check.
    pub version: i64,
}

/// An asset as a file tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetEdit {
    /// Its agency.
    pub organization: String,
    /// Its name.
    pub name: String,
    /// Address or network (CIDR).
    #[serde(default)]
    pub address: Option<String>,
    /// Host name.
    #[serde(default)]
    pub host: Option<String>,
    /// Level, 1 to 5.
    pub level: i64,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Imported {
    /// Assets in the file.
    pub read: usize,
    /// Assets that were new.
    pub created: usize,
}

/// Why an inventory file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// The TOML text is not an inventory; the message names the line.
    #[error("not an inventory: {0}")]
    Toml(String),
    /// A CSV line has the wrong number of fields.
    #[error("line {line}: {found} fields where the header names {wanted}")]
    Fields {
        /// Line number from 1.
        line: usize,
        /// Fields found.
        found: usize,
        /// Fields in the header.
        wanted: usize,
    },
    /// A CSV header is unknown or a needed one is missing.
    #[error(
        "line 1: header {0:?}: known are organization, name, address, host, level, owner; the first two and level are needed"
    )]
    Header(String),
    /// A CSV level is no number.
    #[error("line {line}: level {found:?} is not a number from 1 to 5")]
    Level {
        /// Line number from 1.
        line: usize,
        /// The text found.
        found: String,
    },
    /// A quoted CSV field does not end.
    #[error("line {0}: a quoted field does not end")]
    OpenQuote(usize),
    /// A value of an asset cannot be accepted.
    #[error("line {line}: asset {name:?}: {reason}")]
    Asset {
        /// Line number from 1.
        line: usize,
        /// The asset's name.
        name: String,
        /// Field and reason.
        reason: String,
    },
}

/// An asset, and the line of the file where it begins, from 1.
pub type Located = (usize, AssetEdit);

/// Reads `[[asset]]` tables.
pub fn parse_toml(text: &str) -> std::result::Result<Vec<AssetEdit>, InventoryError> {
    Ok(locate_toml(text)?.into_iter().map(|(_, asset)| asset).collect())
}

/// As [`parse_toml`], with the line of each asset.
pub fn locate_toml(text: &str) -> std::result::Result<Vec<Located>, InventoryError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        asset: Vec<toml::Spanned<AssetEdit>>,
    }
    let file: File = toml::from_str(text).map_err(|error| InventoryError::Toml(error.to_string()))?;
    let (mut line, mut counted) = (1, 0);
    file.asset
        .into_iter()
        .map(|asset| {
            let start = asset.span().start;
            line += text.get(counted..start).map_or(0, |between| between.matches('\n').count());
            counted = counted.max(start);
            located(line, asset.into_inner())
        })
        .collect()
}

/// The asset, if its values can be accepted.
fn located(line: usize, asset: AssetEdit) -> std::result::Result<Located, InventoryError> {
    match asset.check() {
        Ok(()) => Ok((line, asset)),
        Err(error) => Err(InventoryError::Asset { line, name: asset.name, reason: error.to_string() }),
    }
}

/// Reads CSV (RFC 4180, UTF-8, comma) with a header line; the order of the columns is free.
pub fn parse_csv(text: &str) -> std::result::Result<Vec<AssetEdit>, InventoryError> {
    Ok(locate_csv(text)?.into_iter().map(|(_, asset)| asset).collect())
}

/// As [`parse_csv`], with the line of each asset.
pub fn locate_csv(text: &str) -> std::result::Result<Vec<Located>, InventoryError> {
    let mut records = csv_records(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter();
    let header = records.next().map(|(_, fields)| fields).unwrap_or_default();
    let place = |name: &str| header.iter().position(|field| field.trim() == name);
    let known = ["organization", "name", "address", "host", "level", "owner"];
    if let Some(strange) = header.iter().find(|field| !known.contains(&field.trim())) {
        return Err(InventoryError::Header(strange.clone()));
    }
    let needed = |name: &str| place(name).ok_or_else(|| InventoryError::Header(header.join(",")));
    let (organization, name, level) = (needed("organization")?, needed("name")?, needed("level")?);
    let (address, host, owner) = (place("address"), place("host"), place("owner"));
    records
        .map(|(line, fields)| {
            if fields.len() != header.len() {
                return Err(InventoryError::Fields { line, found: fields.len(), wanted: header.len() });
            }
            let field = |place: usize| fields.get(place).map_or("", |field| field.trim()).to_owned();
            let optional = |place: Option<usize>| place.map(field).filter(|text| !text.is_empty());
            let found = field(level);
            let level = found.parse().map_err(|_| InventoryError::Level { line, found })?;
            let asset = AssetEdit {
                organization: field(organization),
                name: field(name),
                address: optional(address),
                host: optional(host),
                level,
                owner: optional(owner),
            };
            located(line, asset)
        })
        .collect()
}

/// Splits CSV into records with the number of their first line; empty lines are left out.
fn csv_records(text: &str) -> std::result::Result<Vec<(usize, Vec<String>)>, InventoryError> {
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut quoted, mut line, mut first) = (false, 1, 1);
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        line += usize::from(sign == '\n');
        match sign {
            '"' if quoted && signs.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            '\r' if !quoted && signs.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                fields.push(std::mem::take(&mut field));
                records.push((first, std::mem::take(&mut fields)));
                first = line;
            }
            sign => field.push(sign),
        }
    }
    if quoted {
        return Err(InventoryError::OpenQuote(first));
    }
    fields.push(field);
    records.push((first, fields));
    records.retain(|(_, fields)| fields.iter().any(|field| !field.trim().is_empty()));
    Ok(records)
}

impl AssetEdit {
    fn check(&self) -> Result<()> {
        check_text("name", &self.name, 200)?;
        check_level(self.level)?;
        if self.address.is_none() && self.host.is_none() {
            return Err(Error::Invalid { field: "address", reason: "give an address or a host" });
        }
        let readable = |text: &str| text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok();
        if self.address.as_deref().is_some_and(|text| !readable(text)) {
            return Err(Error::Invalid { field: "address", reason: "is no address or network" });
        }
        Ok(())
    }
}

impl Registry {
    /// The assets of a scope by agency and name, at most 100,000.
    pub async fn assets(&self, scope: &Scope) -> Result<Vec<Asset>> {
        let mut query = QueryBuilder::new("SELECT * FROM asset WHERE 1 = 1");
        scope.restrict(&mut query, "organization");
        query.push(" ORDER BY organization, name LIMIT 100000");
        Ok(query.build_query_as().fetch_all(&self.readers).await?)
    }

    /// Enters or rewrites assets by agency and name, all or none. Assets that the list does not name stay.
    pub async fn import_assets(&self, change: &Change, assets: &[AssetEdit]) -> Result<Imported> {
        if assets.len() > MAX_ASSETS {
            return Err(Error::Invalid { field: "assets", reason: "must be at most 100,000" });
        }
        assets.iter().try_for_each(AssetEdit::check)?;
        let mut tx = self.write().await?;
        let mut created = 0;
        for asset in assets {
            let version: i64 = query_scalar(
                "INSERT INTO asset VALUES ($1, $2, $3, $4, $5, $6, $7, 1)
                 ON CONFLICT (organization, name) DO UPDATE SET address = excluded.address, host = excluded.host,
                 level = excluded.level, owner = excluded.owner, version = asset.version + 1 RETURNING version",
            )
            .bind(new_id())
            .bind(&asset.organization)
            .bind(&asset.name)
            .bind(&asset.address)
            .bind(&asset.host)
            .bind(asset.level)
            .bind(&asset.owner)
            .fetch_one(&mut *tx)
            .await
            .map_err(Error::or_taken("asset"))?;
            created += usize::from(version == 1);
        }
        let after = Some(serde_json::json!({ "read": assets.len(), "created": created }));
        let deed = Deed {
            action: "import",
            kind: "inventory",
            object: "assets",
            organization: None,
            before: None,
            after,
        };
        audit::record(&mut tx, change, deed).await?;
        tx.commit().await?;
        Ok(Imported { read: assets.len(), created })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn csv_and_toml_say_the_same() {
        let csv = "name,organization,level,address\r\n\"Cổng, \"\"dịch vụ\"\"\",so-yte,3,192.0.2.0/24\r\n";
        let toml = "[[asset]]\nname = 'Cổng, \"dịch vụ\"'\norganization = 'so-yte'\nlevel = 3\naddress = '192.0.2.0/24'\n";
        assert_eq!(parse_csv(csv).unwrap(), parse_toml(toml).unwrap());
        let toml_lines = "# systems\n\n[[asset]]\nname = 'a'\norganization = 'o'\nlevel = 1\nhost = 'h'\n\n[[asset]]\nname = 'b'\norganization = 'o'\nlevel = 9\nhost = 'h'\n";
        let error = parse_toml(toml_lines).unwrap_err();
        assert_eq!(error.to_string(), "line 9: asset \"b\": level: must be 1 to 5");
        let error =
            parse_csv("organization,name,level,address\no,a,1,10.0.0.1\no,b,2,10.0.0.999\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3: asset \"b\": address: is no address or network");
        assert!(matches!(parse_csv("name,colour\n"), Err(InventoryError::Header(_))));
        assert!(matches!(
            parse_csv("organization,name,level\n\na,b\n"),
            Err(InventoryError::Fields { line: 3, found: 2, wanted: 3 })
        ));
        assert!(matches!(parse_csv("organization,name,level\na,\"b,1\n"), Err(InventoryError::OpenQuote(2))));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            drop(parse_csv(&text));
            drop(parse_toml(&text));
        }

        #[test]
        fn changed_files_are_read_or_refused(at: prop::sample::Index, sign in "[\"',\n=#\\[\\]x9]{0,4}", cut in 0_usize..9) {
            for text in [
                "name,organization,level,address\r\n\"Cổng, \"\"x\"\"\",so-yte,3,192.0.2.0/24\r\nb,c,1,::1\r\n",
                "[[asset]]\nname = 'Cổng'\norganization = 'so-yte'\nlevel = 3\naddress = '192.0.2.0/24'\n",
            ] {
                let mut signs: Vec<char> = text.chars().collect();
                let at = at.index(signs.len());
                let end = signs.len().min(at + cut);
                drop(signs.splice(at..end, sign.chars()));
                let text: String = signs.into_iter().collect();
                drop(parse_csv(&text));
                drop(parse_toml(&text));
            }
        }

        #[test]
        fn quoted_fields_survive(name in "[^\\s\\p{C}][^\\p{C}]{0,20}", level in 1_i64..6) {
            let name = name.trim().to_owned();
            let csv = format!("organization,name,level,host\na,\"{}\",{level},h\n", name.replace('"', "\"\""));
            let read = parse_csv(&csv).unwrap();
            prop_assert_eq!(&read[0].name, &name);
            prop_assert_eq!(read[0].level, level);
        }
    }
}
