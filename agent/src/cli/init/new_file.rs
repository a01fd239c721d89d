//! Files that were not there before: whole, under a name that nobody has, and gone again unless they are kept.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Uid};

use super::InitError;

/// So many files of one kind may stand beside another; somebody has to look at them before there are more.
const MOST: u32 = 100;

/// A new file, on disk. Removed on drop, with the folders that were made for it, unless it is kept.
#[derive(Debug)]
pub(super) struct NewFile {
    path: PathBuf,
    /// The innermost last.
    folders: Vec<PathBuf>,
    is_kept: bool,
}

impl NewFile {
    /// With owner, group and mode of another, beside it; its name is the other's with this suffix, and a number where that is taken.
    pub(super) fn beside(like: &Path, suffix: &str, content: &[u8]) -> Result<Self, InitError> {
        let mut number = 1;
        loop {
            let mut name = OsString::from(like.file_name().unwrap_or_default());
            name.push(suffix);
            if number > 1 {
                name.push(format!(".{number}"));
            }
            let path = like.with_file_name(name);
            match create(&path, content, |file| be_alike(file, like)) {
                Ok(()) => return Ok(Self { path, folders: Vec::new(), is_kept: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST => number += 1,
                Err(error) => return Err(failed(&path, "written")(error)),
            }
        }
    }

    /// At this path, with the folders above it.
    pub(super) fn at(path: &Path, content: &[u8], mode: u32) -> Result<Self, InitError> {
        let folder = folder_of(path);
        let missing = folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
        let mut missing: Vec<_> = missing.map(Path::to_owned).collect();
        missing.reverse();
        let mut new = Self { path: path.to_owned(), folders: Vec::new(), is_kept: true };
        for above in missing {
            fs::create_dir(&above).map_err(failed(&above, "made"))?;
            new.folders.push(above);
            // From here on there is something to remove.
            new.is_kept = false;
        }
        let set_mode = |file: &File| Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?);
        create(path, content, set_mode).map_err(failed(path, "written"))?;
        new.is_kept = false;
        sync(folder)?;
        Ok(new)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It stays.
    pub(super) fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // What stood in the way counts, not what may stand in the way of this. A file that took another's place is gone from here.
        let _ = fs::remove_file(&self.path);
        for folder in self.folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// What became of a file whose error this is.
pub(super) fn failed(path: &Path, done: &'static str) -> impl FnOnce(io::Error) -> InitError {
    let path = path.to_owned();
    move |source| InitError::Io { path, done, source }
}

/// The folder of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts the names of a folder on disk.
pub(super) fn sync(folder: &Path) -> Result<(), InitError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder, "synced"))
}

fn be_alike(file: &File, like: &Path) -> io::Result<()> {
    let metadata = fs::metadata(like)?;
    let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    if (user, group) != (rustix::process::geteuid(), rustix::process::getegid()) {
        rustix::fs::fchown(file, Some(user), Some(group))?;
    }
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(metadata.mode() & 0o7777))?)
}

/// Whole or not at all.
fn create(path: &Path, content: &[u8], prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = prepare(&file).and_then(|()| file.write_all(content)).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_new_file_goes_again_with_the_folders_that_were_made_for_it_unless_it_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/file");
        drop(NewFile::at(&path, b"x", 0o600).unwrap());
        assert!(!root.path().join("a").exists());
        NewFile::at(&path, b"x", 0o600).unwrap().keep();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        // Somebody else's file is no new one.
        assert!(NewFile::at(&path, b"y", 0o600).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }
}
