//! Connections to the engine, and the statements that run on them.

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::EngineError;
use super::binding::{Engine, Handle, QueryFn};

/// A session of the engine with settings of its own. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    engine: &'static Engine,
    raw: NonNull<Handle>,
}

// SAFETY: the engine allows a connection to be used from any thread, one statement at a time; `&mut self` in every
// method that runs one keeps to that.
unsafe impl Send for Connection {}

/// Named values of `{name:Type}` places.
pub(crate) type Params = [(String, String)];

impl Connection {
    /// Opens a session; `arguments` as on `clickhouse-local`'s command line. The first one of a process boots the
    /// engine on its `--path`.
    ///
    /// # Errors
    /// The engine gives no reason; most often another process holds the folder.
    pub(crate) fn open(engine: &'static Engine, arguments: &[String]) -> Result<Self, EngineError> {
        let zero = |_| EngineError::new("an argument of the engine holds a zero byte".to_owned());
        let mut texts = vec![CString::from(c"clickhouse")];
        for argument in arguments {
            texts.push(CString::new(argument.as_str()).map_err(zero)?);
        }
        let mut pointers: Vec<*mut c_char> = texts.iter().map(|text| text.as_ptr().cast_mut()).collect();
        let count = i32::try_from(pointers.len()).unwrap_or(i32::MAX);
        // SAFETY: `count` valid zero-terminated strings, alive through the call; the engine copies them.
        let raw = unsafe { (engine.connect)(count, pointers.as_mut_ptr()) };
        let refused = || EngineError::new("the engine refused the connection".to_owned());
        NonNull::new(raw).map(|raw| Self { engine, raw }).ok_or_else(refused)
    }

    fn handle(&self) -> Handle {
        // SAFETY: `raw` came from connect and lives until close, which is in `drop`.
        unsafe { *self.raw.as_ptr() }
    }

    /// Runs one statement and takes its whole result.
    pub(crate) fn query(&mut self, sql: &str, format: &str, params: &Params) -> Result<Vec<u8>, EngineError> {
        let result = Answer::new(self.engine, self.call(self.engine.query, sql, format, params))?;
        result.into_bytes()
    }

    /// Begins a SELECT whose result comes in pieces.
    pub(crate) fn stream(
        &mut self,
        sql: &str,
        format: &str,
        params: &Params,
    ) -> Result<Stream<'_>, EngineError> {
        let result = Answer::new(self.engine, self.call(self.engine.stream, sql, format, params))?;
        result.check()?;
        Ok(Stream { connection: self, result, ended: false })
    }

    /// Begins an INSERT (without FORMAT) whose data comes in pieces.
    pub(crate) fn insert(&mut self, sql: &str, format: &str) -> Result<Insert<'_>, EngineError> {
        let (engine, handle) = (self.engine, self.handle());
        // SAFETY: pointers and lengths of live strings; the stream is freed in `drop`.
        let raw = unsafe {
            (engine.insert)(handle, sql.as_ptr().cast(), sql.len(), format.as_ptr().cast(), format.len())
        };
        let insert = Insert { engine, raw, connection: PhantomData };
        insert.check()?;
        Ok(insert)
    }

    fn call(&mut self, function: QueryFn, sql: &str, format: &str, params: &Params) -> Handle {
        let names: Vec<*const c_char> = params.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = params.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<*const c_char> = params.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = params.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: pointers and lengths of live strings, as many as said; the engine copies what it keeps.
        unsafe {
            function(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                params.len(),
            )
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: open until here, and nothing borrowed from it is left.
        unsafe { (self.engine.close)(self.raw.as_ptr()) }
    }
}

/// A result of the engine; freed when dropped.
#[derive(Debug)]
struct Answer {
    engine: &'static Engine,
    raw: Handle,
}

impl Answer {
    fn new(engine: &'static Engine, raw: Handle) -> Result<Self, EngineError> {
        if raw.is_null() {
            return Err(EngineError::new("the engine gave no result".to_owned()));
        }
        Ok(Self { engine, raw })
    }

    fn check(&self) -> Result<(), EngineError> {
        // SAFETY: a live result; the text lives as long.
        text(unsafe { (self.engine.error)(self.raw) })
    }

    fn into_bytes(self) -> Result<Vec<u8>, EngineError> {
        self.check()?;
        // SAFETY: a live result; the engine says how many bytes stand at the buffer.
        let (buffer, length) = unsafe { ((self.engine.buffer)(self.raw), (self.engine.length)(self.raw)) };
        if buffer.is_null() || length == 0 {
            return Ok(Vec::new());
        }
        // SAFETY: as above; copied before the result is freed.
        Ok(unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) }.to_vec())
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: live until here.
        unsafe { (self.engine.destroy)(self.raw) }
    }
}

fn text(error: *const c_char) -> Result<(), EngineError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the engine's error texts end with a zero byte.
    let words = unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned();
    if words.is_empty() { Ok(()) } else { Err(EngineError::new(words)) }
}

/// The rest of a SELECT.
#[derive(Debug)]
pub(crate) struct Stream<'c> {
    connection: &'c mut Connection,
    result: Answer,
    ended: bool,
}

impl Stream<'_> {
    /// The next piece in the format asked for; `None` at the end. Formats with a header repeat it in each piece.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, EngineError> {
        let engine = self.connection.engine;
        // SAFETY: both live; fetching past the end is allowed.
        let piece =
            Answer::new(engine, unsafe { (engine.fetch)(self.connection.handle(), self.result.raw) })?;
        let bytes = piece.into_bytes();
        self.ended = !matches!(&bytes, Ok(bytes) if !bytes.is_empty());
        bytes.map(|bytes| (!bytes.is_empty()).then_some(bytes))
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // SAFETY: both live.
            unsafe { (self.connection.engine.cancel)(self.connection.handle(), self.result.raw) }
        }
    }
}

/// An INSERT that takes its data. Dropping it without [`Insert::finish`] commits nothing.
#[derive(Debug)]
pub(crate) struct Insert<'c> {
    engine: &'static Engine,
    raw: Handle,
    connection: PhantomData<&'c mut Connection>,
}

impl Insert<'_> {
    fn check(&self) -> Result<(), EngineError> {
        if self.raw.is_null() {
            return Err(EngineError::new("the engine gave no insert stream".to_owned()));
        }
        // SAFETY: a live stream.
        text(unsafe { (self.engine.insert_error)(self.raw) })
    }

    /// Hands over a piece; waits while the engine is behind.
    pub(crate) fn append(&mut self, data: &[u8]) -> Result<(), EngineError> {
        // SAFETY: a live stream; the engine copies the bytes.
        let state = unsafe { (self.engine.append)(self.raw, data.as_ptr().cast(), data.len()) };
        if state == 0 {
            return Ok(());
        }
        self.check()?;
        Err(EngineError::new("the engine took no more data".to_owned()))
    }

    /// Commits.
    pub(crate) fn finish(self) -> Result<(), EngineError> {
        // SAFETY: a live stream; freed in `drop`.
        Answer::new(self.engine, unsafe { (self.engine.done)(self.raw) })?.check()
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: live until here; an unfinished one is cancelled by it.
            unsafe { (self.engine.destroy_insert)(self.raw) }
        }
    }
}
