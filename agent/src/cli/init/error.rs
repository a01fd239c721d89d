//! Why nothing, or not all, could be written.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use super::shell;
use crate::cli::args::{ADMIN_SOCKET, HAPROXY_CFG};

/// A file that stays changed.
#[derive(Debug)]
pub struct Stuck {
    /// Which.
    pub path: PathBuf,
    /// What it was before.
    pub copy: PathBuf,
    /// Why it could not be put back.
    pub source: io::Error,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: CHANGED ({}); before: {}", self.path.display(), self.source, self.copy.display())
    }
}

/// Why `init` ended early. Unless it says otherwise, nothing of HAProxy's was changed.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("no server in these files has the address {}", hosts.join(" or "))]
    NoServer { hosts: Vec<String>, known: Vec<String> },
    #[error("{name} has no address now, and pitstop.toml needs the one that the app listens on")]
    Unresolved { name: String, source: io::Error },
    #[error(
        "{name} is {ip} here, on which HAProxy on another host, and often HAProxy here, does not reach the app: nothing was written"
    )]
    ResolvedToLoopback { name: String, ip: IpAddr },
    #[error("--host {text} has a port, and one host may have several apps")]
    HostWithPort { text: String, host: String },
    #[error("{} is there already, and does not name {server}: nothing was written", path.display())]
    NotNamed { path: PathBuf, server: String },
    #[error("--systemd names one unit, and this host has {} apps: {}", apps.len(), apps.join(", "))]
    OneUnit { apps: Vec<String> },
    #[error("--socket {path} is no absolute path")]
    RelativeSocket { path: String },
    #[error("standard input can't be written to")]
    StandardInput,
    #[error("{} can't be run, so nothing checks the result: HAProxy's files are as they were", program.display())]
    NoHaproxy { program: PathBuf, source: io::Error },
    #[error("`haproxy -c` does not take the result: HAProxy's files are as they were\n{words}")]
    Refused { words: String },
    #[error("`{} -c` has not ended after {seconds} s: HAProxy's files are as they were", program.display())]
    Late { program: PathBuf, seconds: u64 },
    #[error("{} was changed by somebody else meanwhile: HAProxy's files are as they were", path.display())]
    Changed { path: PathBuf },
    #[error("another `pitstop init --write` is at work in {}: nothing was touched", folder.display())]
    Held { folder: PathBuf },
    #[error("not all files could be changed, and not all put back:\n{}\n{} could not be replaced", states(changed, as_before), path.display())]
    HalfDone { path: PathBuf, changed: Vec<Stuck>, as_before: Vec<PathBuf>, source: io::Error },
    #[error("{} could not be {done}: HAProxy's files are as they were", path.display())]
    Io { path: PathBuf, done: &'static str, source: io::Error },
}

/// One line for each file.
fn states(changed: &[Stuck], as_before: &[PathBuf]) -> String {
    let as_before = as_before.iter().map(|path| format!("{}: as it was", path.display()));
    changed.iter().map(Stuck::to_string).chain(as_before).collect::<Vec<_>>().join("\n")
}

impl InitError {
    /// The exit code.
    pub(in crate::cli) fn exit_code(&self) -> u8 {
        match self {
            Self::Io { .. } | Self::HalfDone { .. } => 1,
            Self::Held { .. } => 4,
            _ => 2,
        }
    }

    /// What to do about it.
    pub(in crate::cli) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoServer { known, .. } if known.is_empty() => {
                "there is no server in them: name all files that HAProxy is given with -f, as --from FILE FILE".to_owned()
            }
            Self::NoServer { known, .. } => format!("give the address as it stands there: {}", known.join(", ")),
            Self::Unresolved { .. } => "give the address beside the name: --host NAME --host ADDRESS".to_owned(),
            Self::ResolvedToLoopback { name, .. } => {
                format!("give the address on which the app listens beside the name: --host {} --host ADDRESS", shell::word(name))
            }
            Self::HostWithPort { host, .. } => format!("without the port: --host {}", shell::word(host)),
            Self::NotNamed { path, .. } => format!(
                "add the app there, or have a new file written beside it and take over what you need: pitstop --config {} init …",
                shell::word(format!("{}.new", path.display()))
            ),
            Self::OneUnit { .. } => "leave it out, and fill in the units in pitstop.toml".to_owned(),
            Self::RelativeSocket { .. } => format!("for example: --socket {ADMIN_SOCKET}"),
            Self::StandardInput => format!("name the files: --from {HAPROXY_CFG}"),
            Self::NoHaproxy { .. } => "say where it is: --haproxy /usr/sbin/haproxy".to_owned(),
            Self::Refused { .. } => {
                "does it take the files as they are (`haproxy -c -f FILE`)? If so, take over by hand what you need of the diff, \
                 which `pitstop init` without --write shows"
                    .to_owned()
            }
            Self::Late { .. } => "does `haproxy -c -f FILE` wait for names to be resolved?".to_owned(),
            Self::Changed { .. } => "type it once more".to_owned(),
            Self::Held { .. } => "type it once more when that one has ended".to_owned(),
            Self::HalfDone { changed, .. } => {
                let back = changed.iter().map(|stuck| format!("cp -p {} {}", shell::word(&stuck.copy), shell::word(&stuck.path)));
                format!("put back what is changed:\n{}", back.collect::<Vec<_>>().join("\n"))
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run it as root, such as with sudo; of HAProxy's files nothing was changed".to_owned()
            }
            Self::Io { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn who_may_not_is_told_to_be_root_and_that_nothing_changed() {
        let error = crate::cli::init::new_file::failed("/etc/haproxy/haproxy.cfg".as_ref(), "written")(
            io::ErrorKind::PermissionDenied.into(),
        );
        assert!(error.to_string().contains("HAProxy's files are as they were"));
        assert!(error.hint().unwrap().contains("as root"));
    }
}
