//! HAProxy's files changed, once `haproxy -c` accepts the result: a copy of each is kept, and each is replaced at once; all of them, or
//! none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::InitError;
use super::error::Stuck;
use super::new_file::{NewFile, failed, folder_of, sync};

/// How long HAProxy may take to read its configuration; it may resolve names.
const CHECK: Duration = Duration::from_secs(60);

/// A file of HAProxy's, and what is to become of it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

/// A `pitstop.toml` that is to be written.
#[derive(Debug)]
pub(super) struct NewSettings<'p> {
    pub(super) path: &'p Path,
    pub(super) text: String,
    /// Who may read it.
    pub(super) mode: u32,
}

impl NewSettings<'_> {
    /// Writes it, where there is none.
    pub(super) fn create(&self) -> Result<NewFile, InitError> {
        NewFile::at(self.path, self.text.as_bytes(), self.mode)
    }
}

/// The new text of a file, beside it.
#[derive(Debug)]
struct Candidate<'c> {
    change: &'c Change,
    /// The file, with no link on the way.
    real: PathBuf,
    new: NewFile,
}

/// Changes the files, and says where the copies are. All files are given to HAProxy in their order. `pitstop.toml` comes before them: if
/// it can't be written, they are not changed, and if they can't be changed, it is not kept.
pub(super) async fn write(
    changes: &[Change],
    all: &[PathBuf],
    program: &Path,
    settings: Option<&NewSettings<'_>>,
) -> Result<Vec<PathBuf>, InitError> {
    let candidates = changes.iter().map(Candidate::write).collect::<Result<Vec<_>, _>>()?;
    if !candidates.is_empty() {
        check(&candidates, all, program).await?;
    }
    for candidate in &candidates {
        candidate.is_still_as_read()?;
    }
    let copies = candidates.iter().map(Candidate::keep_copy).collect::<Result<Vec<_>, _>>()?;
    let settings = settings.map(NewSettings::create).transpose()?;
    let copies = replace(&candidates, copies)?;
    settings.map(NewFile::keep);
    Ok(copies)
}

/// Asks HAProxy whether it would start with the candidates in place of their files.
async fn check(candidates: &[Candidate<'_>], all: &[PathBuf], program: &Path) -> Result<(), InitError> {
    let mut command = tokio::process::Command::new(program);
    command.arg("-c");
    for path in all {
        let candidate = candidates.iter().find(|candidate| candidate.change.path == *path);
        command.arg("-f").arg(candidate.map_or(path.as_path(), |candidate| candidate.new.path()));
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
        words = words.replace(&*candidate.new.path().to_string_lossy(), &candidate.change.path.to_string_lossy());
    }
    Err(InitError::Refused { words: words.trim().to_owned() })
}

/// Puts every candidate in its file's place; where one can't be, those before it are put back from their copies.
fn replace(candidates: &[Candidate<'_>], copies: Vec<NewFile>) -> Result<Vec<PathBuf>, InitError> {
    let mut replaced = 0;
    let renamed = candidates.iter().try_for_each(|candidate| {
        candidate.take_place()?;
        replaced += 1;
        Ok(())
    });
    let synced = renamed.and_then(|()| candidates.iter().try_for_each(|candidate| sync(folder_of(&candidate.real))));
    let Err(failure) = synced else {
        return Ok(copies.into_iter().map(NewFile::keep).collect());
    };
    let mut changed = Vec::new();
    for (candidate, copy) in candidates.iter().zip(copies).take(replaced) {
        // The copy is as good as the file was, and a rename needs no room.
        if let Err(source) = fs::rename(copy.path(), &candidate.real) {
            changed.push(Stuck { path: candidate.change.path.clone(), copy: copy.keep(), source });
        }
    }
    let (path, source) = match failure {
        InitError::Io { path, source, .. } if !changed.is_empty() => (path, source),
        failure => return Err(failure),
    };
    let is_changed = |path: &Path| changed.iter().any(|stuck| stuck.path == path);
    let paths = candidates.iter().map(|candidate| candidate.change.path.clone());
    let as_before = paths.filter(|path| !is_changed(path)).collect();
    Err(InitError::HalfDone { path, changed, as_before, source })
}

impl<'c> Candidate<'c> {
    fn write(change: &'c Change) -> Result<Self, InitError> {
        let real = fs::canonicalize(&change.path).map_err(failed(&change.path, "found"))?;
        // A folder's files count only where their names end in .cfg.
        let new = NewFile::beside(&real, &format!(".pitstop-candidate-{}", std::process::id()), &change.new)?;
        Ok(Self { change, real, new })
    }

    fn is_still_as_read(&self) -> Result<(), InitError> {
        let now = fs::read(&self.real).map_err(failed(&self.real, "read"))?;
        if now == self.change.old { Ok(()) } else { Err(InitError::Changed { path: self.change.path.clone() }) }
    }

    /// Keeps the old text under a name that is free.
    fn keep_copy(&self) -> Result<NewFile, InitError> {
        NewFile::beside(&self.real, ".before-pitstop", &self.change.old)
    }

    fn take_place(&self) -> Result<(), InitError> {
        fs::rename(self.new.path(), &self.real).map_err(failed(&self.real, "replaced"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn what_can_not_be_put_back_either_is_named_with_its_copy() {
        let folder = tempfile::tempdir().unwrap();
        let changes = ["a.cfg", "b.cfg"].map(|name| {
            let path = folder.path().join(name);
            fs::write(&path, "old").unwrap();
            Change { path, old: b"old".to_vec(), new: b"new".to_vec() }
        });
        let candidates = changes.each_ref().map(|change| Candidate::write(change).unwrap());
        let copies: Vec<_> = candidates.iter().map(|candidate| candidate.keep_copy().unwrap()).collect();
        let [_, second] = &candidates;
        fs::remove_file(second.new.path()).unwrap();
        fs::remove_file(copies.first().unwrap().path()).unwrap();
        let error = replace(&candidates, copies).unwrap_err();
        let InitError::HalfDone { changed, as_before, .. } = &error else { panic!("{error}") };
        assert_eq!(changed.first().map(|stuck| &stuck.path), changes.first().map(|change| &change.path));
        assert_eq!(as_before.first(), changes.get(1).map(|change| &change.path));
        assert!(error.to_string().contains("a.cfg.before-pitstop"), "{error}");
        assert!(error.to_string().ends_with("b.cfg could not be replaced"), "{error}");
    }
}
