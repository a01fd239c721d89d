//! At most one keeper an app: `apps/APP/keeper`, locked while it lives, with its pid for people.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::journal::app_dir;
use crate::journal::lock::{Lock, locked, try_lock};

/// The place of the one keeper of an app. Its death gives it back.
#[derive(Debug)]
pub struct Seat {
    _file: File,
}

impl Seat {
    /// Takes it; `None` where another keeper has it, or the app has no folder. Never waits.
    pub fn take(state_dir: &Path, app: &str) -> Option<Self> {
        let path = app_dir(state_dir, app).join("keeper");
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o640).open(path);
        let mut file = open.ok()?;
        if !try_lock(&file, Lock::Exclusive).is_ok_and(|taken| taken) {
            return None;
        }
        // A full disk is no reason not to keep.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Some(Self { _file: file })
    }

    /// Whether a keeper lives.
    pub fn is_taken(state_dir: &Path, app: &str) -> bool {
        let file = File::open(app_dir(state_dir, app).join("keeper"));
        file.is_ok_and(|file| locked(&file).is_ok_and(|met| met.is_some()))
    }
}
