//! The functions of `libchdb.so`, as `chdb.h` declares them.

use std::ffi::{c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use libloading::Library;

use crate::StoreError;

/// `chdb_result *` and `chdb_insert_stream`: opaque.
pub(super) type Handle = *mut c_void;

/// The opened library; it is never closed.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Handle,
    pub(super) close: unsafe extern "C" fn(*mut Handle),
    pub(super) query: QueryFn,
    pub(super) stream: QueryFn,
    pub(super) fetch: unsafe extern "C" fn(Handle, Handle) -> Handle,
    pub(super) cancel: unsafe extern "C" fn(Handle, Handle),
    pub(super) destroy: unsafe extern "C" fn(Handle),
    pub(super) insert: unsafe extern "C" fn(Handle, *const c_char, usize, *const c_char, usize) -> Handle,
    pub(super) append: unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int,
    pub(super) done: unsafe extern "C" fn(Handle) -> Handle,
    pub(super) insert_error: unsafe extern "C" fn(Handle) -> *const c_char,
    pub(super) destroy_insert: unsafe extern "C" fn(Handle),
    pub(super) buffer: unsafe extern "C" fn(Handle) -> *const c_char,
    pub(super) length: unsafe extern "C" fn(Handle) -> usize,
    pub(super) error: unsafe extern "C" fn(Handle) -> *const c_char,
    /// Where it was loaded from.
    pub(crate) path: PathBuf,
}

/// Statement, format and named parameters, each as pointer and length.
pub(super) type QueryFn = unsafe extern "C" fn(
    Handle,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> Handle;

impl Engine {
    /// Opens the library for the rest of the process.
    ///
    /// # Errors
    /// `EngineMissing` when there is no such file, `EngineUnusable` when it is not the library we know.
    pub(crate) fn load(path: &Path) -> Result<&'static Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::EngineMissing(path.to_owned()));
        }
        let unusable =
            |error: libloading::Error| StoreError::EngineUnusable(path.to_owned(), error.to_string());
        // SAFETY: the file is the engine that the operator installed after its checksum was compared; its
        // constructors are those of ClickHouse and need nothing from us.
        let library = unsafe { Library::new(path) }.map_err(unusable)?;
        // Never closed: the engine's threads run in its code until the process ends.
        let library: &'static Library = Box::leak(Box::new(library));
        // SAFETY: names and types are those of chdb.h of this version.
        unsafe {
            let quiet: unsafe extern "C" fn(c_int) =
                *library.get(b"chdb_set_signal_handlers_enabled\0").map_err(unusable)?;
            quiet(0);
            let engine = Self {
                connect: *library.get(b"chdb_connect\0").map_err(unusable)?,
                close: *library.get(b"chdb_close_conn\0").map_err(unusable)?,
                query: *library.get(b"chdb_query_with_params_n\0").map_err(unusable)?,
                stream: *library.get(b"chdb_stream_query_with_params_n\0").map_err(unusable)?,
                fetch: *library.get(b"chdb_stream_fetch_result\0").map_err(unusable)?,
                cancel: *library.get(b"chdb_stream_cancel_query\0").map_err(unusable)?,
                destroy: *library.get(b"chdb_destroy_query_result\0").map_err(unusable)?,
                insert: *library.get(b"chdb_stream_insert_n\0").map_err(unusable)?,
                append: *library.get(b"chdb_stream_append\0").map_err(unusable)?,
                done: *library.get(b"chdb_stream_done\0").map_err(unusable)?,
                insert_error: *library.get(b"chdb_stream_insert_error\0").map_err(unusable)?,
                destroy_insert: *library.get(b"chdb_destroy_insert_stream\0").map_err(unusable)?,
                buffer: *library.get(b"chdb_result_buffer\0").map_err(unusable)?,
                length: *library.get(b"chdb_result_length\0").map_err(unusable)?,
                error: *library.get(b"chdb_result_error\0").map_err(unusable)?,
                path: path.to_owned(),
            };
            Ok(Box::leak(Box::new(engine)))
        }
    }
}
