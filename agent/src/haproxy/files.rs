//! The files of HAProxy's configuration, as HAProxy finds them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use haproxy_cfg::Source;
use rustix::fs::OFlags;

/// Larger files are not read, in bytes: 10,000 servers take one million.
const LARGEST: u64 = 100_000_000;

/// What `-` is called.
pub const STANDARD_INPUT: &str = "standard input";

/// A file or folder that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be read", path.display())]
pub struct Unreadable {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The files in their order; of a folder all that end in `.cfg` and are not hidden, in the order of their bytes (management guide, 3,
/// `-f`). `-` is standard input.
pub fn read_files(paths: &[PathBuf]) -> Result<Vec<Source>, Unreadable> {
    let mut sources = Vec::new();
    for path in paths {
        let failed = |source| Unreadable { path: path.clone(), source };
        if path.as_os_str() == "-" {
            sources.push(Source::new(STANDARD_INPUT, read_bounded(io::stdin().lock()).map_err(failed)?));
        } else if fs::metadata(path).map_err(failed)?.is_dir() {
            for file in files_of(path).map_err(failed)? {
                sources.push(read_one(&file)?);
            }
        } else {
            sources.push(read_one(path)?);
        }
    }
    Ok(sources)
}

fn read_one(path: &Path) -> Result<Source, Unreadable> {
    let bytes = read_regular(path).map_err(|source| Unreadable { path: path.to_owned(), source })?;
    Ok(Source::new(path.display().to_string(), bytes))
}

/// Regular files alone, for a pipe or a device may have no end, or nobody who writes.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file; `-` stands for standard input",
        ));
    }
    read_bounded(file)
}

fn read_bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {} MB", LARGEST / 1_000_000),
        ));
    }
    Ok(bytes)
}

fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.ends_with(b".cfg") && !name.starts_with(b".") && fs::metadata(entry.path())?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_has_no_end_or_nobody_who_writes_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("haproxy.cfg");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [fifo, PathBuf::from("/dev/zero")] {
            let error = read_files(std::slice::from_ref(&path)).unwrap_err();
            assert!(error.source.to_string().contains("no regular file"), "{error:?}");
        }
        let large = folder.path().join("large.cfg");
        File::create(&large).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(read_files(&[large]).unwrap_err().source.kind(), io::ErrorKind::FileTooLarge);
    }
}
