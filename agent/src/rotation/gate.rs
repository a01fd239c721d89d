//! The gate: while it is closed, the app's own port takes no new connections but our probes. What is established goes on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;

use super::chain::{COMMENT, Chain};
use super::error::RulesError;
use super::foreign::foreign_rules;
use super::iptables::{Family, Iptables, Table, Variant};
use super::mark::PROBE_MARK;
use super::rule::Rule;

const CHAIN: Chain = Chain { table: Table::Filter, name: "PITSTOP-GATE", from: &["INPUT"], jump_if: "" };

/// How long the proof waits for an answer. A closed gate refuses within a millisecond.
const SILENT_FOR: Duration = Duration::from_secs(1);

/// The gate before one app's port. Every method may be repeated.
#[derive(Debug, Clone)]
pub struct Gate {
    listen: SocketAddr,
    variant: Variant,
}

impl Gate {
    /// The gate before an app that listens on `listen`.
    pub fn new(listen: SocketAddr) -> Self {
        Self::with_variant(listen, Variant::Host)
    }

    /// The same by a certain iptables.
    pub fn with_variant(listen: SocketAddr, variant: Variant) -> Self {
        let listen = SocketAddr::new(listen.ip().to_canonical(), listen.port());
        Self { listen, variant }
    }

    /// Rejects new connections with a reset from now on, unless they carry [`PROBE_MARK`], and proves it by a connect.
    ///
    /// # Errors
    /// [`RulesError`]; [`RulesError::GateOpen`] leaves the rule in place.
    pub async fn close(&self) -> Result<(), RulesError> {
        for iptables in self.programs() {
            CHAIN.ensure(iptables, &[self.rule()], &|rule| self.ours(rule)).await?;
        }
        self.prove_closed().await
    }

    /// Only a connection that comes about proves anything against the gate: silence may be a firewall on outgoing packets. One
    /// that foreign NAT rules may have led elsewhere proves nothing either.
    async fn prove_closed(&self) -> Result<(), RulesError> {
        for &family in Family::of(self.listen.ip()) {
            let address = match self.listen.ip() {
                address if address.is_unspecified() => family.loopback(),
                address => address,
            };
            let app = SocketAddr::new(address, self.listen.port());
            let connected = tokio::time::timeout(SILENT_FOR, TcpStream::connect(app)).await;
            if matches!(connected, Ok(Ok(_))) && !self.is_led_elsewhere(app).await? {
                return Err(RulesError::GateOpen { app });
            }
        }
        Ok(())
    }

    async fn is_led_elsewhere(&self, app: SocketAddr) -> Result<bool, RulesError> {
        let foreign = foreign_rules(app, self.variant, &|_| false).await?;
        Ok(!foreign.is_empty())
    }

    /// Lets everybody in again, whatever else a firewall says.
    ///
    /// # Errors
    /// [`RulesError`]
    pub async fn open(&self) -> Result<(), RulesError> {
        for iptables in self.programs() {
            CHAIN.clear(iptables, &|rule| self.ours(rule)).await?;
        }
        Ok(())
    }

    /// Whether it is closed, in every family.
    ///
    /// # Errors
    /// [`RulesError`]: then nothing is known.
    pub async fn is_closed(&self) -> Result<bool, RulesError> {
        for iptables in self.programs() {
            if !CHAIN.holds(iptables, &[self.rule()], &|rule| self.ours(rule)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The commands that close it on a host that has nothing of ours yet.
    pub fn acts_close(&self) -> Vec<String> {
        self.programs().flat_map(|iptables| CHAIN.acts_in(iptables, &[self.rule()])).collect()
    }

    /// The commands that open it.
    pub fn acts_open(&self) -> Vec<String> {
        self.programs().flat_map(|iptables| CHAIN.acts_out(iptables, &[self.rule()])).collect()
    }

    fn programs(&self) -> impl Iterator<Item = Iptables> + use<> {
        let variant = self.variant;
        Family::of(self.listen.ip()).iter().map(move |&family| Iptables { family, variant })
    }

    fn rule(&self) -> String {
        let address = self.listen.ip();
        written((!address.is_unspecified()).then_some(address), self.listen.port())
    }

    /// By port alone, so that a gate from before the app's address was changed does not stay closed.
    fn ours(&self, rule: &Rule) -> Option<String> {
        let port = self.listen.port();
        let ours = rule.value("--dport")?.parse() == Ok(port)
            && rule.value("-j") == Some("REJECT")
            && rule.value("--comment") == Some(COMMENT);
        ours.then(|| written(rule.address("-d"), port))
    }
}

fn written(address: Option<IpAddr>, port: u16) -> String {
    let to = address.map(|address| format!("-d {address} ")).unwrap_or_default();
    format!(
        "{to}-p tcp --syn --dport {port} -m mark ! --mark {PROBE_MARK:#x} -m comment --comment {COMMENT} \
         -j REJECT --reject-with tcp-reset"
    )
}
