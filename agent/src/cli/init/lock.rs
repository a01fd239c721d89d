//! One `init --write` at a time: the folders of HAProxy's files are held from before they are read until the last is changed.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::InitError;
use super::new_file::{failed, folder_of};

/// The folders in which files really are. A file itself can't be held, for another takes its place. Held by flock(2): it ends with us.
#[derive(Debug)]
pub(super) struct Lock {
    _folders: Vec<File>,
}

impl Lock {
    /// Holds them, or says at once that another run does.
    pub(super) fn take<'p>(files: impl IntoIterator<Item = &'p Path>) -> Result<Self, InitError> {
        let mut folders = BTreeMap::new();
        for file in files {
            let real = fs::canonicalize(file).map_err(failed(file, "found"))?;
            let path = folder_of(&real);
            let folder = File::open(path).map_err(failed(path, "opened"))?;
            let metadata = folder.metadata().map_err(failed(path, "opened"))?;
            // One folder may have several paths, and is held once.
            folders.insert((metadata.dev(), metadata.ino()), (path.to_owned(), folder));
        }
        for (path, folder) in folders.values() {
            match folder.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(InitError::Held { folder: path.clone() }),
                Err(TryLockError::Error(error)) => return Err(failed(path, "locked")(error)),
            }
        }
        Ok(Self { _folders: folders.into_values().map(|(_, folder)| folder).collect() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_is_held_once_and_until_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("a.cfg"), folder.path().join("b.cfg")];
        files.iter().for_each(|file| fs::write(file, "").unwrap());
        let take = || Lock::take(files.iter().map(AsRef::as_ref));
        let held = take().unwrap();
        assert!(matches!(take(), Err(InitError::Held { .. })));
        drop(held);
        take().unwrap();
    }
}
