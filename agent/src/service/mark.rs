//! The mark that our commands carry, so that they are known also when we died before we could write down their pid.

use std::fmt;
use std::io;

use crate::process::{self, Process};

/// What a command that a run starts is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It starts or restarts the app.
    Restart,
    /// It reverts the app to what it was.
    Revert,
    /// It says something aloud.
    Alert,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restart => "restart",
            Self::Revert => "revert",
            Self::Alert => "alert",
        })
    }
}

/// The environment variables `PITSTOP_APP`, `PITSTOP_RUN` and `PITSTOP_STEP` of our commands, and the name of their scope.
///
/// What such a command starts inherits both, the app included. An app that writes its title over its environment
/// (setproctitle) loses the first, but not the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The app's name.
    pub app: String,
    /// The run's id.
    pub run: String,
    /// What the command is for.
    pub purpose: Purpose,
}

impl Mark {
    /// As environment variables.
    pub(super) fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("PITSTOP_APP", self.app.clone()),
            ("PITSTOP_RUN", self.run.clone()),
            ("PITSTOP_STEP", self.purpose.to_string()),
        ]
    }

    /// As the beginning of a scope's name: at most 180 characters of the 255 that systemd allows (systemd.unit(5)).
    pub(super) fn unit(&self) -> String {
        format!("pitstop-{}-{}-{}-", self.app, self.run, self.purpose)
    }

    /// Whether a process carries it. One that is gone, and one we may not look into, does not.
    pub(super) fn is_on(&self, pid: u32) -> bool {
        let file = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let environment = file("environ");
        let holds = |(name, value): (&str, String)| {
            let wanted = format!("{name}={value}");
            environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
        };
        self.environment().into_iter().all(holds)
            || String::from_utf8_lossy(&file("cgroup")).contains(&format!("/{}", self.unit()))
    }

    /// The live processes that carry it, without ourselves. Reads all of `/proc`: call it off the runtime's thread.
    pub(super) fn carriers(&self) -> io::Result<Vec<Process>> {
        let mut carriers = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let pid = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            if let Some(pid) = pid.filter(|pid| *pid != std::process::id() && self.is_on(*pid)) {
                carriers.extend(Process::read(pid)?);
            }
        }
        Ok(carriers)
    }
}

/// Those of `processes` that are neither one of `old` nor below one: an earlier attempt may have started those.
pub(super) fn without(mut processes: Vec<Process>, old: &[Process]) -> io::Result<Vec<Process>> {
    for old in old {
        let below = process::descendants_of(old.pid)?;
        processes.retain(|process| process != old && !below.contains(process));
    }
    Ok(processes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn what_a_command_starts_carries_its_mark_and_no_other_run_claims_it() {
        let mark = |run: &str, purpose| Mark { app: "web".to_owned(), run: run.to_owned(), purpose };
        let run = format!("mark-test-{}", std::process::id());
        let mine = mark(&run, Purpose::Restart);
        let mut child = std::process::Command::new("sh")
            .args(["-c", "sleep 60 & echo $!; wait"])
            .envs(mine.environment())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let sleep: u32 = line.trim().parse().unwrap();
        let mut carriers: Vec<u32> = mine.carriers().unwrap().iter().map(|process| process.pid).collect();
        let others = [mark(&run, Purpose::Revert), mark(&run[..run.len() - 1], Purpose::Restart)];
        let others = others.map(|other| other.carriers().unwrap());
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(sleep.cast_signed()), nix::sys::signal::SIGKILL).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        carriers.sort_unstable();
        let mut expected = [child.id(), sleep];
        expected.sort_unstable();
        assert_eq!(carriers, expected);
        assert_eq!(others, [vec![], vec![]]);
    }
}
