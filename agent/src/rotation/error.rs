//! What can go wrong with rules, and what to type next.

use std::io;
use std::net::SocketAddr;

use super::iptables::{LOCK_WAIT, RUN_WAIT};

/// Why rules could not be read or set, or did not do what they should.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The program is not installed.
    #[error("`{program}` is not installed")]
    Missing {
        /// Its name.
        program: &'static str,
    },
    /// The program could not be started; nothing is known about the rules.
    #[error("`{program}` could not be started")]
    NotStarted {
        /// Its name.
        program: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// `CAP_NET_ADMIN` is missing.
    #[error("`{program}` says that we may not read or change rules")]
    NoRights {
        /// Its name.
        program: &'static str,
    },
    /// Somebody else holds a lock; nothing was done.
    #[error("{what} was still held by another process after {} s", LOCK_WAIT.as_secs())]
    LockHeld {
        /// Which lock.
        what: String,
    },
    /// It did not end in time, as where it waits for a lock without limit; whether it was carried out is not known.
    #[error("`{line}` did not end within {} s{}", RUN_WAIT.as_secs(), if *gone { " and was killed" } else { "; it can't be killed and may still be carried out" })]
    TooLate {
        /// The command line.
        line: String,
        /// Whether it was killed and is gone, so that it will not be carried out later.
        gone: bool,
    },
    /// The kernel or the program lacks the table.
    #[error("`{program}` has no table {table}: {message}")]
    NoTable {
        /// Its name.
        program: &'static str,
        /// The table.
        table: &'static str,
        /// What it printed.
        message: String,
    },
    /// Somebody put rules into the table by nft that iptables can't read; nothing is known about ours.
    #[error("`{program}` can't read table {table}, for it also holds rules that only nft can express")]
    Mixed {
        /// Its name.
        program: &'static str,
        /// The table.
        table: &'static str,
    },
    /// Any other failure, such as 127; nothing is known about the rules.
    #[error("`{line}` ended with {}: {message}", code.map_or("a signal".into(), |code| format!("exit code {code}")))]
    Failed {
        /// The command line.
        line: String,
        /// Its exit code; `None` after a signal.
        code: Option<i32>,
        /// What it printed.
        message: String,
    },
    /// Others changed our rules as fast as we did.
    #[error("the rules of chain {chain} keep changing under our hands")]
    Unsettled {
        /// Our chain.
        chain: &'static str,
    },
    /// A rule of ours that counts is gone, and its count with it.
    #[error("the rules that count refused checks are gone")]
    NotCounting,
    /// The redirect is there, or should be, and yet the check port refuses.
    #[error("the check port of {app}, {check}, does not answer though it should; our rule is {}", if *rule { "there" } else { "not there" })]
    NotOpen {
        /// The app.
        app: String,
        /// What was connected to.
        check: SocketAddr,
        /// Whether the rule is there.
        rule: bool,
        /// Why the connect failed.
        source: io::Error,
    },
    /// The redirect is gone, and yet the check port answers.
    #[error("the check port of {app}, {check}, still answers without our rule{}", named(culprits))]
    StillOpen {
        /// The app.
        app: String,
        /// What was connected to.
        check: SocketAddr,
        /// Foreign rules and listeners that may be the reason.
        culprits: Vec<String>,
    },
    /// The gate's rule is there and first, and yet the app's port takes a connection without our mark.
    #[error("the gate before {app} is closed, and yet a new connection gets through")]
    GateOpen {
        /// What was connected to.
        app: SocketAddr,
    },
    /// A connect failed in a way that says nothing about the check port.
    #[error("whether the check port of {app}, {check}, is closed could not be seen")]
    Unproved {
        /// The app.
        app: String,
        /// What was connected to.
        check: SocketAddr,
        /// Why the connect failed.
        source: io::Error,
    },
    /// Foreign rules that can't be deleted by us; nothing was changed.
    #[error("these rules can only be taken over by hand{}", named(rules))]
    NotAdoptable {
        /// The rules.
        rules: Vec<String>,
    },
}

fn named(things: &[String]) -> String {
    things.iter().map(|thing| format!("\n  {thing}")).collect::<String>()
}

impl RulesError {
    /// What to type next.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { program } => format!("apt-get install iptables   # has `{program}`"),
            Self::NotStarted { .. } => "look for a limit on processes or open files: prlimit".into(),
            Self::NoRights { .. } => "run as root, or with CAP_NET_ADMIN".into(),
            Self::LockHeld { .. } => "see who holds it: fuser -v /run/xtables.lock /run/pitstop/rules.lock".into(),
            Self::TooLate { .. } => "see who holds the lock that it waits for: fuser -v /run/xtables.lock".into(),
            Self::NoTable { .. } => {
                "modprobe iptable_nat nft_compat   # or: update-alternatives --config iptables".into()
            }
            Self::Mixed { table, .. } => {
                format!(
                    "give the app's redirect `driver = \"nftables\"`, or move those rules to a table of another name: nft list table ip {table}"
                )
            }
            Self::Failed { .. } => "type the command yourself to see why".into(),
            Self::Unsettled { chain } => {
                format!("see who else changes it: watch -n 0.2 iptables-save '|' grep {chain}")
            }
            Self::NotCounting => "a firewall reload removes them; the count starts again".into(),
            Self::NotOpen { rule: true, check, .. } => {
                format!(
                    "the app itself refuses, or listens elsewhere: ss -ltnp; nc -vz {} {}",
                    check.ip(),
                    check.port()
                )
            }
            Self::NotOpen { .. } => "something removes our rules: look for a firewall that is being reloaded".into(),
            Self::StillOpen { check, .. } => {
                let port = check.port();
                format!(
                    "delete the foreign rule, or let `pitstop in APP --adopt-rules` do so; a listener: ss -ltnp 'sport = :{port}'"
                )
            }
            Self::GateOpen { app } => {
                format!(
                    "look for what leads it past the rules: ss -ltnp 'sport = :{}'; iptables-save; nft list ruleset",
                    app.port()
                )
            }
            Self::Unproved { .. } => "look for a limit on open files, or a firewall on outgoing packets".into(),
            Self::NotAdoptable { .. } => "delete them with the tool that made them".into(),
        }
    }
}
