//! The pinned engine package: checking it and unpacking `libchdb.so`.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha512};

use crate::{Result, StoreError};

/// The npm package that holds the engine, for `npm pack`.
pub const ENGINE_PACKAGE: &str = "@chdb/lib-linux-x64-gnu@26.7.3-stable.1";
/// SHA-512 of the package file, as npm writes it.
pub const ENGINE_INTEGRITY: &str =
    "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==";
/// Name of the library in its folder.
pub const ENGINE_FILE: &str = "libchdb.so";
const MEMBER: &str = "package/libchdb.so";
/// Longest library that is unpacked.
const MAX_LIBRARY_BYTES: u64 = 2 << 30;

/// Where the engine is looked for: `DONGSON_ENGINE`, else `dongson/engine/libchdb.so` in the user's cache folder.
pub fn engine_path() -> PathBuf {
    if let Some(path) = std::env::var_os("DONGSON_ENGINE") {
        return PathBuf::from(path);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    cache.unwrap_or_else(|| home().join(".cache")).join("dongson/engine").join(ENGINE_FILE)
}

/// Checks the package at `file` and puts its library into the folder `to`; answers the library's path. A crash
/// leaves the old library or the new one.
///
/// # Errors
/// `WrongPackage` when the SHA-512 differs, `BadPackage` when the library is not in it, `Io`.
pub fn install_engine(file: &Path, to: &Path) -> Result<PathBuf> {
    install(file, to, ENGINE_INTEGRITY)
}

fn install(file: &Path, to: &Path, integrity: &str) -> Result<PathBuf> {
    let mut package = BufReader::new(File::open(file).map_err(StoreError::io(file))?);
    let mut hasher = Sha512::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = package.read(&mut buffer).map_err(StoreError::io(file))?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    let found = format!("sha512-{}", base64(&hasher.finalize()));
    if found != integrity {
        return Err(StoreError::WrongPackage {
            path: file.to_owned(),
            found,
            expected: integrity.to_owned(),
        });
    }
    package.rewind().map_err(StoreError::io(file))?;
    std::fs::create_dir_all(to).map_err(StoreError::io(to))?;
    let (target, partial) = (to.join(ENGINE_FILE), to.join("libchdb.so.new"));
    unpack(&mut GzDecoder::new(package), &partial, file)?;
    std::fs::rename(&partial, &target).map_err(StoreError::io(&target))?;
    File::open(to).and_then(|folder| folder.sync_all()).map_err(StoreError::io(to))?;
    Ok(target)
}

/// Walks the tar archive (POSIX ustar: blocks of 512 bytes) to the one member we want.
fn unpack(archive: &mut impl Read, partial: &Path, file: &Path) -> Result<()> {
    let bad = || StoreError::BadPackage(file.to_owned());
    loop {
        let mut header = [0; 512];
        archive.read_exact(&mut header).map_err(|_| bad())?;
        let (name, size) = (text(header.get(..100)), octal(header.get(124..136)).ok_or_else(bad)?);
        if name.is_empty() {
            return Err(bad());
        }
        if name == MEMBER {
            if size > MAX_LIBRARY_BYTES {
                return Err(bad());
            }
            let mut out = File::create(partial).map_err(StoreError::io(partial))?;
            let copied = std::io::copy(&mut archive.take(size), &mut out).map_err(StoreError::io(partial))?;
            if copied != size {
                return Err(bad());
            }
            return out.flush().and_then(|()| out.sync_all()).map_err(StoreError::io(partial));
        }
        let padded = size.div_ceil(512).saturating_mul(512);
        std::io::copy(&mut archive.take(padded), &mut std::io::sink()).map_err(|_| bad())?;
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    let bytes = bytes.unwrap_or_default();
    String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

fn octal(bytes: Option<&[u8]>) -> Option<u64> {
    u64::from_str_radix(text(bytes).trim(), 8).ok()
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn archive(name: &str, content: &[u8]) -> Vec<u8> {
        let mut block = vec![0; 512];
        block.get_mut(..name.len()).unwrap().copy_from_slice(name.as_bytes());
        block.get_mut(124..135).unwrap().copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block.extend_from_slice(content);
        block.resize(block.len().next_multiple_of(512), 0);
        block
    }

    fn package(folder: &Path, blocks: &[Vec<u8>]) -> (PathBuf, String) {
        let path = folder.join("package.tgz");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&blocks.concat()).unwrap();
        let bytes = gz.finish().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        (path, format!("sha512-{}", base64(&Sha512::digest(&bytes))))
    }

    #[test]
    fn the_library_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let (path, integrity) =
            package(folder.path(), &[archive("package/index.js", &[1; 700]), archive(MEMBER, b"engine")]);
        let library = install(&path, &folder.path().join("to"), &integrity).unwrap();
        assert_eq!(std::fs::read(library).unwrap(), b"engine");
    }

    #[test]
    fn another_package_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, integrity) = package(folder.path(), &[archive("package/other", b"x"), vec![0; 1_024]]);
        assert!(matches!(install_engine(&path, folder.path()), Err(StoreError::WrongPackage { .. })));
        assert!(matches!(install(&path, folder.path(), &integrity), Err(StoreError::BadPackage(_))));
        assert!(matches!(install_engine(Path::new("/nowhere"), folder.path()), Err(StoreError::Io { .. })));
    }

    proptest! {
        #[test]
        fn any_archive_is_read_or_refused(bytes: Vec<u8>) {
            let folder = tempfile::tempdir().unwrap();
            drop(unpack(&mut bytes.as_slice(), &folder.path().join("x"), Path::new("x")));
        }
    }
}
