//! The redirect: the NAT rule that sends the check port to the app's port, so that HAProxy's checks pass.
//!
//! Added, it is proved open by a real connect; removed, it is proved closed by one. What iptables says about its rules
//! is never the proof, for another rule, another variant of iptables or a listener may answer instead of ours.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::chain::{COMMENT, Chain};
use super::error::RulesError;
use super::foreign::{ForeignRule, foreign_rules};
use super::iptables::{Family, Found, Iptables, Table, Variant};
use super::listeners::listeners;
use super::mark::connect_marked;
use super::rule::Rule;
use crate::config::settings::Label;

/// Without `--dst-type LOCAL` the rule in `OUTPUT` would also catch traffic to the same port of other hosts.
const CHAIN: Chain = Chain {
    table: Table::Nat,
    name: "PITSTOP",
    from: &["OUTPUT", "PREROUTING"],
    jump_if: "-m addrtype --dst-type LOCAL",
};

/// How long the check port may take to answer. The first retransmission of a SYN comes after one second (RFC 6298), so
/// that an app whose accept queue was full for a moment still passes.
const OPENS_WITHIN: Duration = Duration::from_secs(3);

/// How long the check port is listened to before silence counts as closed. Without a firewall that drops, it refuses
/// within a millisecond.
const SILENT_FOR: Duration = Duration::from_secs(1);

/// The redirect of one app. Every method may be repeated, and run beside another.
#[derive(Debug, Clone)]
pub struct Redirect {
    pub(super) app: Label,
    pub(super) listen: SocketAddr,
    pub(super) check_port: u16,
    pub(super) variant: Variant,
}

impl Redirect {
    /// The redirect of `check_port` to an app that listens on `listen`.
    pub fn new(app: Label, listen: SocketAddr, check_port: u16) -> Self {
        Self::with_variant(app, listen, check_port, Variant::Host)
    }

    /// The same by a certain iptables.
    pub fn with_variant(app: Label, listen: SocketAddr, check_port: u16, variant: Variant) -> Self {
        Self { app, listen: SocketAddr::new(listen.ip().to_canonical(), listen.port()), check_port, variant }
    }

    /// Whether the rule is there and in use, in every family that the app is reached in.
    ///
    /// # Errors
    /// [`RulesError`]: then nothing is known.
    pub async fn present(&self) -> Result<bool, RulesError> {
        for iptables in self.programs() {
            if !CHAIN.holds(iptables, &[self.rule()], &|rule| self.ours(rule)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds the rule where it is missing, heals chain and jumps, and proves that the check port is open. The app must
    /// be listening.
    ///
    /// # Errors
    /// [`RulesError`]; [`RulesError::NotOpen`] leaves the rule in place.
    pub async fn add(&self) -> Result<(), RulesError> {
        for iptables in self.programs() {
            CHAIN.ensure(iptables, &[self.rule()], &|rule| self.ours(rule)).await?;
        }
        self.prove_open().await
    }

    /// Removes the rule, however often it is there, and proves that the check port is closed. Chain and jumps stay.
    ///
    /// # Errors
    /// [`RulesError`]; after [`RulesError::StillOpen`] or [`RulesError::Unproved`] our rule is gone.
    pub async fn remove(&self) -> Result<(), RulesError> {
        for iptables in self.programs() {
            CHAIN.clear(iptables, &|rule| self.ours(rule)).await?;
        }
        self.prove_closed().await
    }

    /// NAT rules that are not ours and name the check port, escaped for a terminal.
    ///
    /// # Errors
    /// [`RulesError`]
    pub async fn foreign_rules(&self) -> Result<Vec<String>, RulesError> {
        let rules = self.foreign().await?;
        Ok(rules.iter().map(ToString::to_string).collect())
    }

    /// Takes the place of all foreign rules without a gap: ours goes in and is proved open, then they are deleted.
    /// Returns what was deleted.
    ///
    /// # Errors
    /// [`RulesError::NotAdoptable`] before anything is changed, when one of them was not set by iptables or can't be typed
    /// again safely; others as for [`add`](Self::add).
    pub async fn adopt(&self) -> Result<Vec<String>, RulesError> {
        let foreign = self.foreign().await?;
        let (plain, other): (Vec<_>, Vec<_>) = foreign.iter().partition(|rule| rule.is_adoptable());
        if !other.is_empty() {
            let rules = other.iter().map(ToString::to_string).collect();
            return Err(RulesError::NotAdoptable { rules });
        }
        self.add().await?;
        let mut deleted = Vec::new();
        for rule in plain {
            if let (Some(iptables), Some(deletion)) = (rule.iptables, &rule.deletion)
                && iptables.run(Table::Nat, deletion).await? == Found::Yes
            {
                deleted.push(rule.to_string());
            }
        }
        self.prove_open().await?;
        Ok(deleted)
    }

    /// The commands of [`add`](Self::add) on a host that has nothing of ours yet; those that are not needed are not run.
    pub fn acts_in(&self) -> Vec<String> {
        self.programs().flat_map(|iptables| CHAIN.acts_in(iptables, &[self.rule()])).collect()
    }

    /// The commands of [`remove`](Self::remove).
    pub fn acts_out(&self) -> Vec<String> {
        self.programs().flat_map(|iptables| CHAIN.acts_out(iptables, &[self.rule()])).collect()
    }

    /// The families in which the app is reached.
    pub fn families(&self) -> &'static [Family] {
        Family::of(self.listen.ip())
    }

    pub(super) fn programs(&self) -> impl Iterator<Item = Iptables> + use<> {
        let variant = self.variant;
        self.families().iter().map(move |&family| Iptables { family, variant })
    }

    pub(super) async fn foreign(&self) -> Result<Vec<ForeignRule>, RulesError> {
        let ours = |rule: &Rule| rule.chain == CHAIN.name && self.ours(rule).is_some();
        let check = SocketAddr::new(self.listen.ip(), self.check_port);
        foreign_rules(check, self.variant, &ours).await
    }

    /// Listeners on the check port that answer once the redirect is away.
    pub(super) async fn rivals(&self) -> Vec<SocketAddr> {
        let listen = self.listen.ip();
        let reached = |rival: &SocketAddr| {
            let rival = rival.ip();
            listen.is_unspecified() || rival.is_unspecified() || rival == listen
        };
        let mut rivals = listeners(self.check_port).await;
        rivals.retain(reached);
        rivals
    }

    /// Only checks of the address that the app listens on: the same port of another one may be another app's.
    fn rule(&self) -> String {
        let address = self.listen.ip();
        self.written((!address.is_unspecified()).then_some(address), &self.target())
    }

    fn written(&self, to: Option<IpAddr>, target: &str) -> String {
        let to = to.map(|address| format!("-d {address} ")).unwrap_or_default();
        let port = self.check_port;
        format!("{to}-p tcp --dport {port} -m comment --comment {COMMENT} -j {target}")
    }

    /// `REDIRECT` goes to the loopback address in `OUTPUT` and to the first address of the interface in `PREROUTING`: right
    /// for an app that listens everywhere or on loopback alone. One bound to any other address is reached by `DNAT`.
    fn target(&self) -> String {
        let address = self.listen.ip();
        let port = self.listen.port();
        let loopback = self.families().iter().any(|family| family.loopback() == address);
        if address.is_unspecified() || loopback {
            format!("REDIRECT --to-ports {port}")
        } else {
            format!("DNAT --to-destination {}", self.listen)
        }
    }

    /// By check port, comment and address, whatever the target, so that a rule from before the app moved does not stay.
    fn ours(&self, rule: &Rule) -> Option<String> {
        let plain = rule.only(&["-d", "-p", "-m", "--dport", "--comment", "-j", "--to-ports", "--to-destination"]);
        let to = rule.address("-d");
        let ours = plain
            && rule.has("-d") == to.is_some()
            && rule.may_be_to(self.listen.ip())
            && rule.value("--dport")?.parse() == Ok(self.check_port)
            && rule.value("--comment") == Some(COMMENT);
        let target = match rule.value("-j")? {
            "REDIRECT" => {
                let port: u16 = rule.value("--to-ports")?.parse().ok()?;
                format!("REDIRECT --to-ports {port}")
            }
            "DNAT" => {
                let to: SocketAddr = rule.value("--to-destination")?.parse().ok()?;
                format!("DNAT --to-destination {to}")
            }
            _ => return None,
        };
        ours.then(|| self.written(to, &target))
    }

    /// The app's own address as seen from this host in `family`, with another port.
    fn at(&self, family: Family, port: u16) -> SocketAddr {
        let address: IpAddr = match self.listen.ip() {
            address if address.is_unspecified() => family.loopback(),
            address => address,
        };
        SocketAddr::new(address, port)
    }

    async fn prove_open(&self) -> Result<(), RulesError> {
        let mut open = false;
        let mut silent = None;
        for &family in self.families() {
            let check = self.at(family, self.check_port);
            let Err(source) = connect_marked(check, Instant::now() + OPENS_WITHIN).await else {
                open = true;
                continue;
            };
            // An app on `[::]` may take IPv6 alone; then the redirect of IPv4 has nothing to prove.
            let app = self.at(family, self.listen.port());
            if connect_marked(app, Instant::now() + OPENS_WITHIN).await.is_ok() {
                return Err(self.not_open(check, source).await?);
            }
            silent = Some((check, source));
        }
        match silent {
            Some((check, source)) if !open => Err(self.not_open(check, source).await?),
            _ => Ok(()),
        }
    }

    async fn not_open(&self, check: SocketAddr, source: io::Error) -> Result<RulesError, RulesError> {
        Ok(RulesError::NotOpen { app: self.app.to_string(), check, rule: self.present().await?, source })
    }

    async fn prove_closed(&self) -> Result<(), RulesError> {
        let rivals = self.rivals().await;
        for &family in self.families() {
            let check = self.at(family, self.check_port);
            let answer = connect_marked(check, Instant::now() + SILENT_FOR).await;
            let closed = match &answer {
                Ok(_) => false,
                Err(error) => match error.kind() {
                    // Rules in `PREROUTING`, where checks of other hosts come in, are not met by a connect from this one.
                    io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::AddrNotAvailable => {
                        rivals.is_empty() && (self.listen.ip().is_loopback() || self.foreign().await?.is_empty())
                    }
                    // Dropped by a firewall; or by an app whose queue is full, behind somebody else's rule.
                    io::ErrorKind::TimedOut => rivals.is_empty() && self.foreign().await?.is_empty(),
                    _ => {
                        return Err(RulesError::Unproved {
                            app: self.app.to_string(),
                            check,
                            source: answer.err().unwrap_or_else(|| io::ErrorKind::Other.into()),
                        });
                    }
                },
            };
            if !closed {
                return Err(self.still_open(check, &rivals).await?);
            }
        }
        Ok(())
    }

    async fn still_open(&self, check: SocketAddr, rivals: &[SocketAddr]) -> Result<RulesError, RulesError> {
        let mut culprits = self.foreign_rules().await?;
        let listens = |rival: &SocketAddr| format!("a process that listens on {rival}");
        culprits.extend(rivals.iter().map(listens));
        if self.present().await? {
            culprits.push("our own rule, which another process has added again".into());
        }
        Ok(RulesError::StillOpen { app: self.app.to_string(), check, culprits })
    }
}
