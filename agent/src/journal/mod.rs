//! Intent and outcome on disk, and the claim on an app.
//!
//! Under the state directory each app has a folder: `apps/APP/journal`, to which every run appends, and `apps/APP/claim`,
//! which is locked by a run, and for moments by a keeper.

mod claim;
mod debt;
mod lease;
pub(crate) mod lock;
mod record;
mod replay;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use rustix::fs::statvfs;

pub use claim::{Claim, ClaimError, Holder, Share};
pub use debt::Debt;
pub use lease::{Lease, Until, who_and_why};
pub use record::{Entry, Found, Record, Recovers};
pub use replay::{FoundAll, History, InSince, Last, history, unsettled};
pub use writer::Journal;

/// The folder of one app under the state directory.
pub fn app_dir(state_dir: &Path, app: &str) -> PathBuf {
    state_dir.join("apps").join(app)
}

/// Whether a run of `app` could write here, with room for it; touches nothing.
///
/// # Errors
/// [`JournalError::Io`] with the folder, or its nearest one that is there, and why.
pub fn writable(state_dir: &Path, app: &str) -> Result<(), JournalError> {
    let dir = app_dir(state_dir, app);
    // What is above a relative path is the working directory.
    let above =
        |folder: &'_ Path| if folder.as_os_str().is_empty() { Path::new(".").to_owned() } else { folder.to_owned() };
    let there =
        &dir.ancestors().map(above).find(|folder| folder.symlink_metadata().is_ok()).unwrap_or(state_dir.to_owned());
    let looked = std::fs::metadata(there).and_then(|folder| match folder.is_dir() {
        true => access(there, AccessFlags::W_OK | AccessFlags::X_OK).map_err(std::io::Error::from),
        false => Err(std::io::ErrorKind::NotADirectory.into()),
    });
    let looked = looked.and_then(|()| {
        let room = statvfs(there)?;
        // Some file systems do not count their inodes, and tell 0 of 0.
        let is_full = room.f_bfree == 0 || (room.f_ffree == 0 && room.f_files > 0);
        if is_full { Err(rustix::io::Errno::NOSPC.into()) } else { Ok(()) }
    });
    looked.map_err(JournalError::io(there))
}

/// Why the journal can't be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("the state directory can't be used: {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A record in the middle is damaged.
    #[error("{}:{line}: damaged record: {why}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl JournalError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        |source| Self::Io { path: path.to_owned(), source }
    }

    /// What to type next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, path } => Some(match source.kind() {
                std::io::ErrorKind::PermissionDenied => "run as root".to_owned(),
                std::io::ErrorKind::NotADirectory => {
                    format!("is {} the one you mean? --state-dir (or PITSTOP_STATE_DIR) names it", path.display())
                }
                _ => format!("see `ls -ld {0}` and `df {0}`", path.display()),
            }),
            Self::Damaged { path, .. } => Some(format!(
                "read it (`cat {0}`), compare with `pitstop status`, then move it away (`mv {0} {0}.damaged`)",
                path.display()
            )),
        }
    }
}
