//! Counting refused checks: where no admin socket tells, a balancer is out once its last `fall` checks were refused.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::chain::{COMMENT, Chain};
use super::error::RulesError;
use super::iptables::{Family, Iptables, Table, Variant};
use super::mark::PROBE_MARK;
use super::rule::Rule;

const CHAIN: Chain = Chain { table: Table::Filter, name: "PITSTOP-CHECKS", from: &["INPUT"], jump_if: "" };

/// Rules that refuse one app's checks at once, also under a firewall that drops, and count them by where they come from.
///
/// They act only while the redirect is away: it rewrites the port before the table `filter` sees it. Our own connects to
/// the check port are neither refused by these rules nor counted.
#[derive(Debug, Clone)]
pub struct Refusals {
    check_port: u16,
    sources: Vec<IpAddr>,
    variant: Variant,
}

impl Refusals {
    /// Counts checks of `check_port` by each of `sources`; without any, all of each of `families` under the
    /// unspecified address.
    pub fn new(check_port: u16, sources: &[IpAddr], families: &[Family]) -> Self {
        Self::with_variant(check_port, sources, families, Variant::Host)
    }

    /// The same by a certain iptables.
    pub fn with_variant(check_port: u16, sources: &[IpAddr], families: &[Family], variant: Variant) -> Self {
        let mut sources: Vec<IpAddr> = sources.iter().map(IpAddr::to_canonical).collect();
        let mut seen = HashSet::new();
        sources.retain(|source| seen.insert(*source));
        if sources.is_empty() {
            sources.extend(families.iter().map(|family| anywhere(*family)));
        }
        Self { check_port, sources, variant }
    }

    /// Starts to count, from zero.
    ///
    /// # Errors
    /// [`RulesError`]
    pub async fn start(&self) -> Result<(), RulesError> {
        self.stop().await?;
        for (iptables, sources) in self.programs() {
            let wanted: Vec<String> = sources.iter().map(|source| self.rule(*source)).collect();
            CHAIN.ensure(iptables, &wanted, &|rule| self.ours(rule)).await?;
        }
        Ok(())
    }

    /// Removes the rules, in both families. May be repeated.
    ///
    /// # Errors
    /// [`RulesError`]
    pub async fn stop(&self) -> Result<(), RulesError> {
        for (iptables, _) in self.programs() {
            CHAIN.clear(iptables, &|rule| self.ours(rule)).await?;
        }
        Ok(())
    }

    /// How many checks of each source were refused since [`start`](Self::start), whatever entry they were for and whichever
    /// of the balancers behind that address they came from.
    ///
    /// # Errors
    /// [`RulesError::NotCounting`] when a rule is gone, for then its count is not zero but unknown; others as ever.
    pub async fn counts(&self) -> Result<Vec<(IpAddr, u64)>, RulesError> {
        let mut counts = Vec::new();
        for (iptables, sources) in self.programs() {
            let listing = iptables.list(Table::Filter, true).await?;
            let wanted: Vec<String> = sources.iter().map(|source| self.rule(*source)).collect();
            if !CHAIN.is_complete(&listing, &wanted, &|rule| self.ours(rule)) {
                return Err(RulesError::NotCounting);
            }
            for (source, wanted) in sources.iter().zip(&wanted) {
                let packets = listing
                    .of(CHAIN.name)
                    .find(|rule| self.ours(rule).as_ref() == Some(wanted))
                    .and_then(Rule::packets)
                    .ok_or(RulesError::NotCounting)?;
                counts.push((*source, packets));
            }
        }
        Ok(counts)
    }

    /// The commands of [`start`](Self::start) on a host that has nothing of ours yet.
    pub fn acts_start(&self) -> Vec<String> {
        self.acts(Chain::acts_in)
    }

    /// The commands of [`stop`](Self::stop).
    pub fn acts_stop(&self) -> Vec<String> {
        self.acts(Chain::acts_out)
    }

    fn acts(&self, acts: impl Fn(&Chain, Iptables, &[String]) -> Vec<String>) -> Vec<String> {
        self.programs()
            .flat_map(|(iptables, sources)| {
                let wanted: Vec<String> = sources.iter().map(|source| self.rule(*source)).collect();
                acts(&CHAIN, iptables, &wanted)
            })
            .collect()
    }

    /// The families in use, with their sources.
    fn programs(&self) -> impl Iterator<Item = (Iptables, Vec<IpAddr>)> {
        [Family::V4, Family::V6].into_iter().filter_map(|family| {
            let of_family = |source: &&IpAddr| source.is_ipv4() == (family == Family::V4);
            let sources: Vec<IpAddr> = self.sources.iter().filter(of_family).copied().collect();
            let variant = self.variant;
            (!sources.is_empty()).then_some((Iptables { family, variant }, sources))
        })
    }

    fn rule(&self, source: IpAddr) -> String {
        let from = if source.is_unspecified() { String::new() } else { format!("-s {source} ") };
        let port = self.check_port;
        format!(
            "{from}-p tcp --syn --dport {port} -m mark ! --mark {PROBE_MARK:#x} -m comment --comment {COMMENT} \
             -j REJECT --reject-with tcp-reset"
        )
    }

    fn ours(&self, rule: &Rule) -> Option<String> {
        let ours = rule.value("--dport")?.parse() == Ok(self.check_port)
            && rule.value("-j") == Some("REJECT")
            && rule.value("--comment") == Some(COMMENT);
        // Which unspecified address does not matter: neither is written.
        let source = rule.address("-s").unwrap_or(anywhere(Family::V4));
        ours.then(|| self.rule(source))
    }
}

fn anywhere(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}
