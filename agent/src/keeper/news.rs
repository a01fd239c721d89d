//! Noticing cheaply that something has happened: the journal is read only then.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::journal::app_dir;

/// What tells that journal or configuration is another than before: inode, length, and time of the last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct News {
    journal: (u64, u64),
    config: Option<(u64, u64, i64, i64)>,
}

impl News {
    /// As they are now; `None` where there is no journal.
    pub(super) fn of(state_dir: &Path, app: &str, config: &Path) -> Option<Self> {
        let journal = fs::metadata(app_dir(state_dir, app).join("journal")).ok()?;
        let config = fs::metadata(config).ok().map(|file| (file.ino(), file.len(), file.mtime(), file.mtime_nsec()));
        Some(Self { journal: (journal.ino(), journal.len()), config })
    }
}
