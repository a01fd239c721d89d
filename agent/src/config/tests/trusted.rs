//! Only a file that nobody else could have written is read.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::FULL;
use crate::config::{ConfigError, Settings, load};

/// A directory with a configuration in `etc/pitstop.toml`.
fn set_up() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let etc = directory.path().join("etc");
    fs::create_dir(&etc).unwrap();
    let file = etc.join("pitstop.toml");
    fs::write(&file, FULL).unwrap();
    mode(&etc, 0o755);
    mode(&file, 0o644);
    (directory, file)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refused(path: &Path) -> ConfigError {
    match load(path) {
        Ok(Settings { .. }) => panic!("{} was read", path.display()),
        Err(error) => error,
    }
}

#[test]
fn a_file_of_our_own_is_read_also_through_a_link_and_below_a_sticky_directory() {
    let (directory, file) = set_up();
    load(&file).unwrap();

    let link = directory.path().join("link.toml");
    symlink(&file, &link).unwrap();
    load(&link).unwrap();

    mode(file.parent().unwrap(), 0o1777);
    load(&file).unwrap();
}

#[test]
fn a_file_that_others_may_write_is_refused_with_the_command_that_helps() {
    let (_directory, file) = set_up();
    for bits in [0o664, 0o646, 0o666, 0o1666] {
        mode(&file, bits);
        let error = refused(&file);
        let command = format!("chmod go-w {}", file.canonicalize().unwrap().display());
        assert!(error.hint.unwrap().ends_with(&command), "{bits:o}");
    }
}

#[test]
fn a_directory_that_others_may_write_is_refused_with_the_command_that_helps() {
    let (_directory, file) = set_up();
    let etc = file.parent().unwrap().canonicalize().unwrap();
    for bits in [0o775, 0o757] {
        mode(&etc, bits);
        let error = refused(&file);
        assert_eq!(error.file, etc);
        assert!(error.hint.unwrap().ends_with(&format!("chmod go-w {}", etc.display())), "{bits:o}");
    }
}

#[test]
fn a_file_or_directory_of_somebody_else_is_refused_with_the_command_that_helps() {
    let (_directory, file) = set_up();
    let file = file.canonicalize().unwrap();
    if chown(&file, Some(12345), None).is_err() {
        return; // Only root can give a file away, and only to a user who has a number in his namespace.
    }
    chown(&file, Some(0), None).unwrap();
    for path in [file.as_path(), file.parent().unwrap()] {
        chown(path, Some(12345), None).unwrap();
        let error = refused(&file);
        assert_eq!(error.file, path);
        assert!(error.what.contains("user 12345"), "{error}");
        assert!(error.hint.unwrap().ends_with(&format!("chown root {}", path.display())));
        chown(path, Some(0), None).unwrap();
    }
    // A sticky directory protects its entries from others, but not from its owner.
    mode(file.parent().unwrap(), 0o1777);
    chown(file.parent().unwrap(), Some(12345), None).unwrap();
    assert!(refused(&file).what.contains("user 12345"));
}

#[test]
fn a_missing_file_says_how_to_get_one() {
    let (directory, _file) = set_up();
    let error = refused(&directory.path().join("none.toml"));
    let shown = error.to_string();
    assert!(shown.contains("none.toml: there is no such file"), "{shown}");
    assert!(shown.contains("agent/dist/pitstop.toml") && shown.contains("--config"), "{shown}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn what_is_no_file_too_large_or_no_text_is_refused() {
    let (directory, file) = set_up();
    assert!(refused(directory.path()).what.contains("not a regular file"));

    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert!(refused(&fifo).what.contains("not a regular file"), "and does not wait for a writer");

    let comment = "#".repeat(1 << 20);
    fs::write(&file, &comment).unwrap();
    load(&file).unwrap();
    fs::write(&file, format!("{comment}#")).unwrap();
    assert!(refused(&file).what.contains("1 MiB"));

    fs::write(&file, b"# one\n# \xff\n").unwrap();
    assert!(refused(&file).what.contains("line 2 is not UTF-8"));
}
