//! The files of HAProxy's configuration, as HAProxy finds them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use haproxy_cfg::Source;

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
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes).map_err(failed)?;
            sources.push(Source::new(STANDARD_INPUT, bytes));
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
    let bytes = fs::read(path).map_err(|source| Unreadable { path: path.to_owned(), source })?;
    Ok(Source::new(path.display().to_string(), bytes))
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
