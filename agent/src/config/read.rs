//! The file itself: found, trusted, small enough, and text.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::ConfigError;
use super::trust;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Reads a file that nobody but root and the current user could have written.
///
/// The path is resolved first and every directory of it is checked before the file is opened, so that nothing on the
/// way can be exchanged by others in between (sshd reads its keys in the same way: `safe_path()` in its `misc.c`).
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let real = path.canonicalize().map_err(|error| unreadable(path, error))?;
    trust::directories_above(&real)?;

    let file = open(&real).map_err(|error| unreadable(path, error))?;
    let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
    if !metadata.is_file() {
        return Err(ConfigError::whole(
            path,
            "this is not a regular file",
            "name the configuration file itself with --config",
        ));
    }
    trust::owned(&real, &metadata)?;

    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(ConfigError::whole(
            path,
            "larger than 1 MiB",
            "this does not look like a configuration of pitstop; name the right file with --config",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        ConfigError::whole(
            path,
            format!("line {line} is not UTF-8"),
            "TOML is always UTF-8: save the file in that encoding",
        )
    })
}

/// Never waits (a FIFO) and never follows a link put there after the path was resolved.
fn open(path: &Path) -> io::Result<File> {
    use nix::fcntl::OFlag;
    File::options().read(true).custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY).bits()).open(path)
}

fn unreadable(path: &Path, error: io::Error) -> ConfigError {
    let (what, hint) = match error.kind() {
        io::ErrorKind::NotFound => (
            "there is no such file".to_owned(),
            "`pitstop init --host ADDRESS` writes one from haproxy.cfg; or copy the example (agent/dist/pitstop.toml) there, or name another file with --config",
        ),
        io::ErrorKind::PermissionDenied => {
            ("no permission to read it".to_owned(), "run pitstop as root, or as a user who may read the file")
        }
        _ => (format!("can't be read: {error}"), "name another file with --config"),
    };
    ConfigError::whole(path, what, hint).because(error)
}
