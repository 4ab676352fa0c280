//! The inventory of assets.

use axum::extract::State;
use dongson_registry::{Asset, Imported, InventoryError, parse_csv, parse_toml};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Console,
    auth::{Administrator, Reader},
    error::{ApiError, ApiResult},
    extract::Json,
};

/// The assets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssetList {
    /// By agency and name.
    assets: Vec<Asset>,
}

/// A file's text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InventoryFile {
    format: InventoryFormat,
    /// The text of the file.
    text: String,
}

/// How a file is written.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum InventoryFormat {
    /// `[[asset]]` tables.
    Toml,
    /// A header line naming organization, name, address, host, level, owner; then one line per asset.
    Csv,
}

impl From<InventoryError> for ApiError {
    fn from(error: InventoryError) -> Self {
        Self::invalid("text", &error.to_string())
    }
}

/// The assets in scope.
#[utoipa::path(get, path = "/assets", tag = "assets", responses((status = 200, body = AssetList)))]
pub(crate) async fn list(
    State(console): State<Console>,
    Reader(person): Reader,
) -> ApiResult<Json<AssetList>> {
    Ok(Json(AssetList { assets: console.registry.assets(&person.scope).await? }))
}

/// Enters or rewrites the assets of a file, all or none.
#[utoipa::path(post, path = "/assets/import", tag = "assets", request_body = InventoryFile, responses((status = 200, body = Imported)))]
pub(crate) async fn import(
    State(console): State<Console>,
    Administrator(person): Administrator,
    Json(file): Json<InventoryFile>,
) -> ApiResult<Json<Imported>> {
    let assets = match file.format {
        InventoryFormat::Toml => parse_toml(&file.text)?,
        InventoryFormat::Csv => parse_csv(&file.text)?,
    };
    Ok(Json(console.registry.import_assets(&person.change(), &assets).await?))
}
