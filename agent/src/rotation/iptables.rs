//! Running iptables: bounded in time, its exit code made a fact, or else an error that says what is not known.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Output, Stdio};
use std::time::Duration;

use super::error::RulesError;
use super::invocation::Invocation;
use super::rule::Rule;

/// How long iptables may wait for its lock (`-w`), and we for ours.
pub const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How long one run may take in all: the lock, and then some.
pub(super) const RUN_WAIT: Duration = Duration::from_secs(7);

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `iptables`
    V4,
    /// `ip6tables`
    V6,
}

impl Family {
    /// Those in which an app that listens on `address` is reached; `[::]` takes both.
    pub fn of(address: IpAddr) -> &'static [Self] {
        match address {
            IpAddr::V4(_) => &[Self::V4],
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => &[Self::V4, Self::V6],
            IpAddr::V6(_) => &[Self::V6],
        }
    }

    /// Its loopback address.
    pub fn loopback(self) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::LOCALHOST.into(),
            Self::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }
}

/// Which iptables: rules set by one are invisible to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// What the host calls `iptables`.
    Host,
    /// `iptables-nft`
    Nft,
    /// `iptables-legacy`
    Legacy,
}

/// A table of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Address translation.
    Nat,
    /// Accept, drop, reject.
    Filter,
}

impl Table {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
        }
    }
}

/// One iptables program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iptables {
    /// IPv4 or IPv6.
    pub family: Family,
    /// Which of those installed.
    pub variant: Variant,
}

/// Whether what was asked for was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Done.
    Yes,
    /// No such rule or chain, or the chain exists already: the rules are not what the command took them for.
    No,
}

impl Iptables {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match (self.family, self.variant) {
            (Family::V4, Variant::Host) => "iptables",
            (Family::V4, Variant::Nft) => "iptables-nft",
            (Family::V4, Variant::Legacy) => "iptables-legacy",
            (Family::V6, Variant::Host) => "ip6tables",
            (Family::V6, Variant::Nft) => "ip6tables-nft",
            (Family::V6, Variant::Legacy) => "ip6tables-legacy",
        }
    }

    /// The command line that [`run`](Self::run) runs.
    pub fn line(self, table: Table, command: &str) -> String {
        let (program, table) = (self.program(), table.name());
        format!("{program} -t {table} {}", waiting(command))
    }

    /// Runs one command; the kernel takes it as a whole or not at all.
    ///
    /// # Errors
    /// [`RulesError`]. Whatever it is, and also when this is dropped, the command is not carried out later, unless
    /// [`RulesError::TooLate`] says that it is not gone.
    pub async fn run(self, table: Table, command: &str) -> Result<Found, RulesError> {
        let output = self.output(table, command).await?;
        match output.status.code() {
            Some(0) => Ok(Found::Yes),
            Some(1) => Ok(Found::No),
            _ => Err(self.failure(table, command, &output)),
        }
    }

    /// The table as `-S` prints it, with the packets each rule has counted where `counted`.
    ///
    /// # Errors
    /// [`RulesError`]
    pub async fn list(self, table: Table, counted: bool) -> Result<Listing, RulesError> {
        let command = if counted { "-S -v" } else { "-S" };
        let output = self.output(table, command).await?;
        if !output.status.success() {
            return Err(self.failure(table, command, &output));
        }
        Ok(Listing::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    async fn output(self, table: Table, command: &str) -> Result<Output, RulesError> {
        let program = self.program();
        let mut invocation = Invocation::begin(program, table.name(), waiting(command));
        match invocation.output(RUN_WAIT).await {
            Some(output) => output.map_err(|error| not_started(program, error)),
            None => Err(RulesError::TooLate { line: self.line(table, command), gone: invocation.end().await }),
        }
    }

    fn failure(self, table: Table, command: &str, output: &Output) -> RulesError {
        let program = self.program();
        let message = String::from_utf8_lossy(&output.stderr);
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(&["xtables lock"]) {
            return RulesError::LockHeld { what: "the xtables lock".into() };
        }
        if says(&["Permission denied", "you must be root", "Operation not permitted"]) {
            return RulesError::NoRights { program };
        }
        if says(&["is incompatible, use 'nft' tool"]) {
            let table = table.name();
            return RulesError::Mixed { program, table };
        }
        match output.status.code() {
            Some(3) => RulesError::NoTable { program, table: table.name(), message: one_line(&message) },
            code => RulesError::Failed { line: self.line(table, command), code, message: one_line(&message) },
        }
    }
}

fn waiting(command: &str) -> String {
    format!("-w {} {command}", LOCK_WAIT.as_secs())
}

fn one_line(message: &str) -> String {
    message.trim().escape_debug().to_string()
}

fn not_started(program: &'static str, source: io::Error) -> RulesError {
    match source.kind() {
        io::ErrorKind::NotFound => RulesError::Missing { program },
        _ => RulesError::NotStarted { program, source },
    }
}

/// What a program that changes nothing prints; `None` where it is not installed.
pub(super) async fn shown(program: &'static str, arguments: &[&str]) -> Result<Option<String>, RulesError> {
    let line = || format!("{program} {}", arguments.join(" "));
    let run = tokio::process::Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(RUN_WAIT, run).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(Err(error)) => return Err(not_started(program, error)),
        Err(_) => return Err(RulesError::TooLate { line: line(), gone: true }),
    };
    if output.status.success() {
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    } else {
        Err(RulesError::Failed {
            line: line(),
            code: output.status.code(),
            message: one_line(&String::from_utf8_lossy(&output.stderr)),
        })
    }
}

/// One table at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Built-in chains and what becomes of a packet that no rule decided on.
    pub policies: Vec<(String, String)>,
    /// User-defined chains.
    pub chains: Vec<String>,
    /// Every rule, in order.
    pub rules: Vec<Rule>,
}

impl Listing {
    fn parse(text: &str) -> Self {
        let mut listing = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("-P"), Some(chain), Some(policy)) => {
                    listing.policies.push((chain.into(), policy.into()));
                }
                (Some("-N"), Some(chain), _) => listing.chains.push(chain.into()),
                _ => listing.rules.extend(Rule::parse(line)),
            }
        }
        listing
    }

    /// The rules of one chain.
    pub fn of(&self, chain: &str) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.chain == chain)
    }
}
