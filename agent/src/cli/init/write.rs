//! HAProxy's files changed, once `haproxy -c` accepts the result: a copy of each is kept, and each is replaced at once.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Gid, Mode, Uid};

use super::InitError;

/// How long HAProxy may take to read its configuration; it may resolve names.
const CHECK: Duration = Duration::from_secs(60);
/// So many copies of a file are kept; somebody has to look at them before there are more.
const MOST_COPIES: u32 = 100;

/// A file of HAProxy's, and what is to become of it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

/// The new text of a file, beside it. Gone on drop, unless it took the file's place.
#[derive(Debug)]
struct Candidate<'c> {
    change: &'c Change,
    /// The file, with no link on the way.
    real: PathBuf,
    path: PathBuf,
}

/// Changes the files, and says where the copies are. All files are given to HAProxy in their order.
pub(super) async fn write(changes: &[Change], all: &[PathBuf], program: &Path) -> Result<Vec<PathBuf>, InitError> {
    let candidates = changes.iter().map(Candidate::write).collect::<Result<Vec<_>, _>>()?;
    check(&candidates, all, program).await?;
    for candidate in &candidates {
        candidate.is_still_as_read()?;
    }
    let copies = candidates.iter().map(Candidate::keep_copy).collect::<Result<Vec<_>, _>>()?;
    candidates.into_iter().try_for_each(Candidate::take_place)?;
    Ok(copies)
}

/// Asks HAProxy whether it would start with the candidates in place of their files.
async fn check(candidates: &[Candidate<'_>], all: &[PathBuf], program: &Path) -> Result<(), InitError> {
    let mut command = tokio::process::Command::new(program);
    command.arg("-c");
    for path in all {
        let candidate = candidates.iter().find(|candidate| candidate.change.path == *path);
        command.arg("-f").arg(candidate.map_or(path, |candidate| &candidate.path));
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let failed = |source| InitError::NoHaproxy { program: program.to_owned(), source };
    let late = |_| InitError::Late { program: program.to_owned(), seconds: CHECK.as_secs() };
    let output = tokio::time::timeout(CHECK, command.output()).await.map_err(late)?.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let mut words = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
    for candidate in candidates {
        words = words.replace(&*candidate.path.to_string_lossy(), &candidate.change.path.to_string_lossy());
    }
    Err(InitError::Refused { words: words.trim().to_owned() })
}

impl<'c> Candidate<'c> {
    fn write(change: &'c Change) -> Result<Self, InitError> {
        let real = fs::canonicalize(&change.path).map_err(failed(&change.path, "found"))?;
        // A folder's files count only where their names end in .cfg.
        let path = beside(&real, ".pitstop-candidate");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path, "removed")(error)),
            _ => {}
        }
        let candidate = Self { change, real, path };
        create_alike(&candidate.path, &candidate.real, &change.new).map_err(failed(&candidate.path, "written"))?;
        Ok(candidate)
    }

    fn is_still_as_read(&self) -> Result<(), InitError> {
        let now = fs::read(&self.real).map_err(failed(&self.real, "read"))?;
        if now == self.change.old { Ok(()) } else { Err(InitError::Changed { path: self.change.path.clone() }) }
    }

    /// Keeps the old text under a name that is free.
    fn keep_copy(&self) -> Result<PathBuf, InitError> {
        let mut number = 1;
        loop {
            let suffix = if number == 1 { ".before-pitstop".to_owned() } else { format!(".before-pitstop.{number}") };
            let path = beside(&self.real, &suffix);
            match create_alike(&path, &self.real, &self.change.old) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_COPIES => number += 1,
                Err(error) => return Err(failed(&path, "written")(error)),
            }
        }
    }

    fn take_place(self) -> Result<(), InitError> {
        fs::rename(&self.path, &self.real).map_err(failed(&self.real, "replaced"))?;
        let folder = self.real.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder, "synced"))
    }
}

impl Drop for Candidate<'_> {
    fn drop(&mut self) {
        // After it took the file's place there is nothing of this name; else nobody needs it.
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(path: &Path, done: &'static str) -> impl FnOnce(io::Error) -> InitError {
    let path = path.to_owned();
    move |source| InitError::Io { path, done, source }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

/// A new file with this content, and with owner, group and mode of another; on disk when this returns.
fn create_alike(path: &Path, like: &Path, content: &[u8]) -> io::Result<()> {
    let metadata = fs::metadata(like)?;
    create_with(path, content, |file| {
        let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
        let own = (rustix::process::geteuid(), rustix::process::getegid());
        if (user, group) != own {
            rustix::fs::fchown(file, Some(user), Some(group))?;
        }
        Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(metadata.mode() & 0o7777))?)
    })
}

/// Writes a file that nobody has written before, with the folder above it.
pub(super) fn create_new(path: &Path, text: &str) -> Result<(), InitError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed(folder, "made"))?;
    let readable = |file: &File| Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(0o644))?);
    create_with(path, text.as_bytes(), readable).map_err(failed(path, "written"))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder, "synced"))
}

/// A new file, whole or not at all.
fn create_with(path: &Path, content: &[u8], prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = prepare(&file).and_then(|()| file.write_all(content)).and_then(|()| file.sync_all());
    if written.is_err() {
        // What stood in the way of its content counts, not what may stand in the way of this.
        let _ = fs::remove_file(path);
    }
    written
}
