//! Files that were not there before: whole, under a name that nobody has, and gone again unless they are kept.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, RenameFlags, Uid, XattrFlags};
use rustix::io::Errno;

use super::InitError;

/// So many files of one kind may stand beside another; somebody has to look at them before there are more.
const MOST: u32 = 100;

/// The extended attribute that is a file's access control list (acl(5)).
const ACCESS_LIST: &str = "system.posix_acl_access";
/// As long as an extended attribute can be, in bytes (xattr(7)).
const LONGEST_LIST: usize = 64 * 1024;

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
    rustix::fs::fchmod(file, Mode::from_raw_mode(metadata.mode() & 0o7777))?;
    // With one, the bits of the group say what all whom it names may do at most, and not what the group may: so it comes along, or the
    // group would have the rights of all of them.
    match access_list(like)? {
        Some(list) => Ok(rustix::fs::fsetxattr(file, ACCESS_LIST, &list, XattrFlags::empty())?),
        None => Ok(()),
    }
}

/// The access control list of a file, as the kernel has it (acl(5)); `None` where it has none, or none can be had there.
fn access_list(of: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut list = vec![0; LONGEST_LIST];
    match rustix::fs::getxattr(of, ACCESS_LIST, list.as_mut_slice()) {
        Ok(length) => {
            list.truncate(length);
            Ok(Some(list))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whole or not at all, whenever we end: written under another name, which becomes this one only where nobody has it. A file whose name
/// does not end in `.cfg` is none of a folder's that HAProxy reads.
fn create(path: &Path, content: &[u8], prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".pitstop-part-{}", std::process::id()));
    let part = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    let written = prepare(&file).and_then(|()| file.write_all(content)).and_then(|()| file.sync_all());
    let named = written.and_then(|()| name_it(&part, path));
    if named.is_err() {
        let _ = fs::remove_file(&part);
    }
    named
}

/// Gives a file its name, unless there is one of that name.
fn name_it(part: &Path, path: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, part, CWD, path, RenameFlags::NOREPLACE) {
        // Not every file system knows how.
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(part, path)?;
            fs::remove_file(part)
        }
        renamed => Ok(renamed?),
    }
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

    #[test]
    fn a_file_has_its_name_only_once_it_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        let nobody_sees_it = |_: &File| {
            assert!(!path.exists());
            Ok(())
        };
        create(&path, b"x", nobody_sees_it).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        // One that came in between is not written over.
        assert_eq!(create(&path, b"y", |_| Ok(())).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"x");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_access_control_list_comes_along() {
        // In memory, where the kernel has lists whatever the disk is.
        let root = tempfile::tempdir_in("/dev/shm").unwrap();
        let like = root.path().join("file");
        fs::write(&like, "x").unwrap();
        // user::rw- user:1:rw- group::--- mask::rw- other::---
        let entries = [(1_u16, 6_u16, u32::MAX), (2, 6, 1), (4, 0, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, whom) in entries {
            list.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
            list.extend(whom.to_le_bytes());
        }
        rustix::fs::setxattr(&like, ACCESS_LIST, &list, XattrFlags::empty()).unwrap();
        let new = NewFile::beside(&like, ".new", b"y").unwrap();
        assert_eq!(access_list(new.path()).unwrap(), Some(list));
        assert_eq!(fs::metadata(new.path()).unwrap().mode() & 0o777, 0o660);
    }
}
