//! Appends to a journal. An intent that [`Journal::append`] has returned from survives a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::{Entry, Record, VERSION};
use super::{History, JournalError, app_dir, history};

/// From how many bytes on a run begins a new journal.
const LARGE: u64 = 4 << 20;

/// One run's hand on its app's journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    run: String,
    seq: u64,
    /// How long the file is up to the last record that was appended whole.
    good: u64,
    /// Whether the file may go on after that with a fragment, which an append must not follow.
    torn: bool,
}

impl Journal {
    /// Opens the journal of `app` for `run`; the caller holds the app's claim.
    ///
    /// A torn last record (a write cut by a power loss) is dropped. A journal above 4 MiB that nobody needs any more becomes
    /// `journal.1`, in place of an older one. On return the file and its folder are on disk.
    pub fn open(state_dir: &Path, app: &str, run: &str) -> Result<Self, JournalError> {
        let dir = create_app_dir(state_dir, app)?;
        let path = dir.join("journal");
        if fs::metadata(&path).is_ok_and(|file| file.len() > LARGE) {
            set_aside(&path, &history(state_dir, app)?);
        }
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o640)
            .open(&path)
            .map_err(JournalError::io(&path))?;
        let good = drop_torn_tail(&mut file).map_err(JournalError::io(&path))?;
        sync_dir(&dir)?;
        Ok(Self { file, path, run: run.to_owned(), seq: 0, good, torn: false })
    }

    /// Appends records; those that announce an act, and all before them, are on disk when this returns.
    ///
    /// It blocks the thread on purpose: nothing else of the run may happen before. After an error none of `records` is in the
    /// journal, and a later call may succeed; but nothing is written of a run whose beginning could not be.
    pub fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.write(records).map_err(JournalError::io(&self.path))
    }

    fn write(&mut self, records: &[Record]) -> std::io::Result<()> {
        if self.seq == 0 && !matches!(records.first(), None | Some(Record::Begin { .. })) {
            return Err(std::io::Error::other("the run's beginning could not be written"));
        }
        if self.torn {
            self.file.set_len(self.good)?;
            self.torn = false;
        }
        let mut lines = String::new();
        for (seq, record) in (self.seq + 1..).zip(records) {
            lines += &Entry { v: VERSION, seq, run: self.run.clone(), at: now(), record: record.clone() }.to_line()?;
        }
        let must_last = records.iter().any(Record::must_last);
        let written = self.file.write_all(lines.as_bytes());
        let written = written.and_then(|()| if must_last { self.file.sync_data() } else { Ok(()) });
        if written.is_err() {
            self.torn = self.file.set_len(self.good).is_err();
            return written;
        }
        self.seq += records.len() as u64;
        self.good += lines.len() as u64;
        Ok(())
    }
}

/// Wall time for people, to the microsecond.
fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

/// Creates the folder of `app`, so that it survives a power cut: each new folder is synced into its parent.
pub(super) fn create_app_dir(state_dir: &Path, app: &str) -> Result<PathBuf, JournalError> {
    let dir = app_dir(state_dir, app);
    let missing: Vec<_> = dir.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o750).create(&dir).map_err(JournalError::io(&dir))?;
    for folder in missing.iter().filter_map(|folder| folder.parent()) {
        sync_dir(folder)?;
    }
    Ok(dir)
}

fn sync_dir(dir: &Path) -> Result<(), JournalError> {
    let dir_or_here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir_or_here).and_then(|dir| dir.sync_all()).map_err(JournalError::io(dir))
}

/// Sets a journal aside from which nothing is owed and nothing is to be finished. It serves as well if it can't be.
fn set_aside(path: &Path, history: &History) {
    if !history.is_settled() {
        return;
    }
    if let Err(error) = fs::rename(path, path.with_extension("1")) {
        tracing::warn!(%error, "the journal is large, and could not be set aside");
    }
}

/// Returns how long the file is then.
fn drop_torn_tail(file: &mut File) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64)?;
    }
    Ok(whole as u64)
}
