//! Who could have written the file: it names commands that run as root.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::ConfigError;
use crate::text::escape;

/// Group and others may write.
const SHARED: u32 = 0o022;
/// Only the owner of an entry may rename or remove it.
const STICKY: u32 = 0o1000;

/// Checks each directory above `path`, which must be resolved.
pub(super) fn directories_above(path: &Path) -> Result<(), ConfigError> {
    for directory in path.ancestors().skip(1) {
        let metadata = fs::symlink_metadata(directory).map_err(|error| {
            ConfigError::whole(
                directory,
                format!("can't be looked at: {error}"),
                "run pitstop as root, or as a user who may read it",
            )
            .because(error)
        })?;
        owned(directory, &metadata)?;
    }
    Ok(())
}

/// Checks one file or directory.
pub(super) fn owned(path: &Path, metadata: &Metadata) -> Result<(), ConfigError> {
    let own = nix::unistd::geteuid().as_raw();
    let owner = metadata.uid();
    if owner != 0 && owner != own && !unmapped(owner) {
        return Err(ConfigError::whole(
            path,
            format!("belongs to user {owner}, who could have commands run by pitstop"),
            format!("if the content is right, type: chown root {}", quoted(path)),
        ));
    }
    let sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
    if metadata.mode() & SHARED != 0 && !sticky {
        return Err(ConfigError::whole(
            path,
            "group or others may write here, and could have commands run by pitstop",
            format!("if the content is right, type: chmod go-w {}", quoted(path)),
        ));
    }
    Ok(())
}

/// Whether the user is the one that the kernel shows for everybody who has no number in this user namespace
/// (`/proc/sys/kernel/overflowuid`, user_namespaces(7)). In a namespace made by `unshare --map-root-user`, root of the
/// host appears so, and `/` is his.
fn unmapped(user: u32) -> bool {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    text("/proc/sys/kernel/overflowuid").trim().parse() == Ok(user) && !mapped(&text("/proc/self/uid_map"), user)
}

/// Whether a line of `uid_map` (first number inside, first number outside, count) covers the user. An unreadable map
/// covers all.
fn mapped(map: &str, user: u32) -> bool {
    let covers = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) => {
                (first..first.saturating_add(count)).contains(&u64::from(user))
            }
            _ => true,
        }
    };
    map.is_empty() || map.lines().any(covers)
}

/// The path as a word of a shell.
fn quoted(path: &Path) -> String {
    let text = escape(&path.to_string_lossy());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_number_in_this_namespace_is_told_from_a_real_one() {
        let host = "         0          0 4294967295\n";
        let rootless = "         0       1000          1\n";
        assert!(mapped(host, 65534));
        assert!(!mapped(rootless, 65534));
        assert!(mapped("", 65534), "an unreadable map must not widen trust");
        assert!(mapped("garbage", 65534));
    }

    #[test]
    fn a_path_is_one_word_for_the_shell() {
        assert_eq!(quoted(Path::new("/etc/pitstop.toml")), "/etc/pitstop.toml");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
