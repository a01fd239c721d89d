//! Rules of ours in a chain of our own: what has to be typed so that they stand there, or do not.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Instant;

use super::error::RulesError;
use super::iptables::{Found, Iptables, LOCK_WAIT, Listing, Table};
use super::rule::Rule;
use crate::drain::Pace;

/// On every rule and jump of ours.
pub const COMMENT: &str = "pitstop";

/// One run of ours at a time changes rules, so that none is added twice. Held by flock(2): it ends with us.
const LOCK: &str = "/run/pitstop/rules.lock";

/// How often rules are read again after somebody changed them between our look and our act.
const ROUNDS: usize = 5;

/// A chain of ours and the built-in chains that jump to it, as the first rule when the jump is added. In the table `filter`,
/// where a rule before ours may accept what ours would reject, a jump that has got behind others is moved up again; behind
/// the jump to another chain of ours it may stay.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// In which table.
    pub table: Table,
    /// Its name.
    pub name: &'static str,
    /// The built-in chains.
    pub from: &'static [&'static str],
    /// What the jump asks for; empty: nothing.
    pub jump_if: &'static str,
}

/// What has to be typed, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What is missing.
    pub add: Vec<String>,
    /// What is too much: duplicates, and rules of ours that say something else.
    pub delete: Vec<String>,
}

/// Says whether a rule in our chain is one that we answer for, and if so how it is written.
pub type Ours<'a> = &'a (dyn Fn(&Rule) -> Option<String> + Send + Sync);

impl Chain {
    /// What makes exactly `wanted` stand in the chain and the chain be in use, in `filter` before what is not ours. Pure.
    pub fn plan(&self, listing: &Listing, wanted: &[String], ours: Ours<'_>) -> Plan {
        let mut plan = self.completing(listing, wanted, ours);
        let late = self.from.iter().filter(|from| self.is_late(listing, from));
        // In this order, for `-D` takes the first that matches.
        plan.add.extend(late.flat_map(|from| {
            let jump = self.jump();
            [format!("-D {from} {jump}"), format!("-I {from} 1 {jump}")]
        }));
        plan
    }

    /// Whether all of `wanted` is there and in use, behind whatever other rules. Pure.
    pub fn is_complete(&self, listing: &Listing, wanted: &[String], ours: Ours<'_>) -> bool {
        self.completing(listing, wanted, ours).add.is_empty()
    }

    /// The same wherever the jump stands.
    fn completing(&self, listing: &Listing, wanted: &[String], ours: Ours<'_>) -> Plan {
        let mut plan = self.clearing(listing, wanted, ours);
        if !listing.chains.iter().any(|chain| chain == self.name) {
            plan.add.push(format!("-N {}", self.name));
        }
        let there: Vec<String> = listing.of(self.name).filter_map(ours).collect();
        let missing = wanted.iter().filter(|rule| !there.contains(rule));
        plan.add.extend(missing.map(|rule| format!("-A {} {rule}", self.name)));
        for from in self.from {
            let jumps = listing.of(from).filter(|rule| self.is_jump(rule)).count();
            if jumps == 0 {
                plan.add.push(format!("-I {from} 1 {}", self.jump()));
            }
            let surplus = std::iter::repeat_n(format!("-D {from} {}", self.jump()), jumps);
            plan.delete.extend(surplus.skip(1));
        }
        plan
    }

    /// What removes every rule of ours but one of each of `keep`. Pure; chain and jumps stay.
    fn clearing(&self, listing: &Listing, keep: &[String], ours: Ours<'_>) -> Plan {
        let mut kept: Vec<String> = Vec::new();
        let mut plan = Plan::default();
        for rule in listing.of(self.name).filter_map(ours) {
            if keep.contains(&rule) && !kept.contains(&rule) {
                kept.push(rule);
            } else {
                plan.delete.push(format!("-D {} {rule}", self.name));
            }
        }
        plan
    }

    /// The commands for a host that has nothing of ours yet.
    pub fn acts_in(&self, iptables: Iptables, wanted: &[String]) -> Vec<String> {
        let plan = self.plan(&Listing::default(), wanted, &|_| None);
        let line = |command: &String| iptables.line(self.table, command);
        plan.add.iter().map(line).collect()
    }

    /// The commands that remove `wanted`.
    pub fn acts_out(&self, iptables: Iptables, wanted: &[String]) -> Vec<String> {
        let delete = |rule: &String| format!("-D {} {rule}", self.name);
        wanted.iter().map(|rule| iptables.line(self.table, &delete(rule))).collect()
    }

    /// Whether all of `wanted` is there and in use, behind whatever other rules, and nothing of ours says otherwise.
    ///
    /// # Errors
    /// [`RulesError`]: then nothing is known.
    pub async fn holds(&self, iptables: Iptables, wanted: &[String], ours: Ours<'_>) -> Result<bool, RulesError> {
        let listing = iptables.list(self.table, false).await?;
        let complete = self.is_complete(&listing, wanted, ours);
        let same = listing.of(self.name).filter_map(ours).all(|rule| wanted.contains(&rule));
        Ok(complete && same)
    }

    /// Makes exactly `wanted` stand in the chain, the chain exist and be in use. May be repeated.
    ///
    /// # Errors
    /// [`RulesError`]
    pub async fn ensure(&self, iptables: Iptables, wanted: &[String], ours: Ours<'_>) -> Result<(), RulesError> {
        self.settle(iptables, |listing| self.plan(listing, wanted, ours)).await
    }

    /// Removes every rule of ours, however often it is there. Chain and jumps stay. May be repeated.
    ///
    /// # Errors
    /// [`RulesError`]
    pub async fn clear(&self, iptables: Iptables, ours: Ours<'_>) -> Result<(), RulesError> {
        self.settle(iptables, |listing| self.clearing(listing, &[], ours)).await
    }

    /// Does what `plan` says until it says nothing more.
    async fn settle(&self, iptables: Iptables, plan: impl Fn(&Listing) -> Plan) -> Result<(), RulesError> {
        let _lock = lock().await?;
        for _ in 0..ROUNDS {
            let plan = plan(&iptables.list(self.table, false).await?);
            if plan == Plan::default() {
                return Ok(());
            }
            for command in plan.add.iter().chain(&plan.delete) {
                if iptables.run(self.table, command).await? == Found::No {
                    break;
                }
            }
        }
        Err(RulesError::Unsettled { chain: self.name })
    }

    fn jump(&self) -> String {
        let gap = if self.jump_if.is_empty() { "" } else { " " };
        let (jump_if, name) = (self.jump_if, self.name);
        format!("{jump_if}{gap}-m comment --comment {COMMENT} -j {name}")
    }

    fn is_jump(&self, rule: &Rule) -> bool {
        rule.value("-j") == Some(self.name) && rule.value("--comment") == Some(COMMENT)
    }

    /// Whether a rule of somebody else decides before our jump does.
    fn is_late(&self, listing: &Listing, from: &str) -> bool {
        let before = || listing.of(from).take_while(|rule| !self.is_jump(rule));
        let there = listing.of(from).any(|rule| self.is_jump(rule));
        self.table == Table::Filter && there && before().any(|rule| !is_jump_of_ours(rule))
    }
}

/// Whether it jumps to any chain of ours.
fn is_jump_of_ours(rule: &Rule) -> bool {
    let ours = |chain: &str| chain.starts_with("PITSTOP-");
    rule.value("-j").is_some_and(ours) && rule.value("--comment") == Some(COMMENT)
}

/// Waits for our turn. `None` where there is nowhere to keep the lock: a duplicate does no harm, refusing to act would.
async fn lock() -> Result<Option<File>, RulesError> {
    let path = Path::new(LOCK);
    if let Some(directory) = path.parent() {
        // Whether it is there shows when the file is opened.
        let _ = std::fs::create_dir(directory);
    }
    let Ok(file) = OpenOptions::new().create(true).append(true).open(path) else {
        return Ok(None);
    };
    let deadline = Instant::now() + LOCK_WAIT;
    let pace = Pace::new();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(RulesError::LockHeld { what: LOCK.into() });
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(pace.pause()).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    const CHAIN: Chain = Chain { table: Table::Filter, name: "OWN", from: &["INPUT"], jump_if: "" };

    fn ours(rule: &Rule) -> Option<String> {
        rule.value("--dport").map(|port| format!("-p tcp --dport {port} -j DROP"))
    }

    fn listing(lines: &[&str]) -> Listing {
        Listing {
            chains: vec!["OWN".into()],
            rules: lines.iter().filter_map(|line| Rule::parse(line)).collect(),
            ..Listing::default()
        }
    }

    const JUMP: &str = "-A INPUT -m comment --comment pitstop -j OWN";
    const RULE: &str = "-A OWN -p tcp -m tcp --dport 1 -j DROP";

    #[test]
    fn nothing_is_typed_where_all_is_as_it_should_be() {
        let wanted = ["-p tcp --dport 1 -j DROP".to_owned()];
        let plan = CHAIN.plan(&listing(&[JUMP, RULE]), &wanted, &ours);
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn the_rule_stands_before_the_chain_is_entered_and_what_is_stale_goes_last() {
        let wanted = ["-p tcp --dport 1 -j DROP".to_owned()];
        let plan = CHAIN.plan(&Listing::default(), &wanted, &ours);
        assert_eq!(plan.add[0], "-N OWN");
        assert_eq!(plan.add[1], "-A OWN -p tcp --dport 1 -j DROP");
        assert_eq!(plan.add[2], "-I INPUT 1 -m comment --comment pitstop -j OWN");

        let stale = "-A OWN -p tcp -m tcp --dport 2 -j DROP";
        let plan = CHAIN.plan(&listing(&[JUMP, stale, RULE, RULE, JUMP]), &wanted, &ours);
        assert!(plan.add.is_empty());
        assert_eq!(plan.delete.len(), 3, "{plan:?}");
    }

    #[test]
    fn a_jump_that_got_behind_foreign_rules_is_moved_up_and_one_behind_our_own_stays() {
        let wanted = ["-p tcp --dport 1 -j DROP".to_owned()];
        let foreign = "-A INPUT -i lo -j ACCEPT";
        let other = "-A INPUT -m comment --comment pitstop -j PITSTOP-GATE";
        let plan = |lines: &[&str]| CHAIN.plan(&listing(lines), &wanted, &ours);
        let jump = "-m comment --comment pitstop -j OWN";
        let moved = [format!("-D INPUT {jump}"), format!("-I INPUT 1 {jump}")];
        assert_eq!(plan(&[other, foreign, JUMP, RULE]).add, moved);
        assert_eq!(plan(&[other, JUMP, foreign, RULE]), Plan::default());
        assert!(CHAIN.is_complete(&listing(&[foreign, JUMP, RULE]), &wanted, &ours));
        // In `nat` whoever comes first is shown as a foreign rule instead.
        let nat = Chain { table: Table::Nat, ..CHAIN };
        assert_eq!(nat.plan(&listing(&[foreign, JUMP, RULE]), &wanted, &ours), Plan::default());
    }
}
