//! NAT rules that are not ours and have to do with a check port, whichever tool set them. They are named, not touched.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::error::RulesError;
use super::iptables::{Family, Iptables, Listing, Table, Variant, shown};
use super::rule::{Rule, contains, covers};

/// A rule that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRule {
    /// The program that shows and deletes it; `None`: nft.
    pub iptables: Option<Iptables>,
    /// Where it stands, and how it is written, escaped for a terminal.
    text: String,
    /// What to type after `-t nat` to delete it, if all of it is plain.
    pub deletion: Option<String>,
}

impl fmt::Display for ForeignRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ForeignRule {
    /// Whether [`Redirect::adopt`](super::redirect::Redirect::adopt) can take its place: iptables set it, and all of it can be
    /// typed again safely.
    pub fn is_adoptable(&self) -> bool {
        self.iptables.is_some() && self.deletion.is_some()
    }

    fn of_iptables(iptables: Iptables, rule: &Rule) -> Self {
        let line = rule.line.escape_debug();
        let plain_chain =
            rule.chain.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) && !rule.chain.starts_with('-');
        Self {
            iptables: Some(iptables),
            text: format!("{} -t nat {line}", iptables.program()),
            deletion: rule.retyped().filter(|_| plain_chain).map(|words| format!("-D {} {words}", rule.chain)),
        }
    }
}

/// Every foreign NAT rule that may lead a connection to `check` elsewhere: its port is named, and its address not excluded. Of the
/// unspecified address all are meant. `variant` is the one we use ourselves, in which the rules that `ours` knows are
/// not foreign.
///
/// # Errors
/// [`RulesError`] when the rules of our own variant can't be read.
pub async fn foreign_rules(
    check: SocketAddr,
    variant: Variant,
    ours: &(dyn Fn(&Rule) -> bool + Send + Sync),
) -> Result<Vec<ForeignRule>, RulesError> {
    let mut found = Vec::new();
    let mut seen_by_iptables = Vec::new();
    for &family in Family::of(check.ip()) {
        let own = Iptables { family, variant };
        let listing = own.list(Table::Nat, false).await?;
        found.extend(suspects(&listing, check, own, ours));
        let mut readable = is_nft(own).await?;
        if let Some(other) = other(own, readable).await? {
            match other.list(Table::Nat, false).await {
                Ok(listing) => {
                    found.extend(suspects(&listing, check, other, &|_| false));
                    readable = true;
                }
                // Then nft itself must tell.
                Err(RulesError::Mixed { .. }) if other.variant == Variant::Nft => {}
                Err(error) => return Err(error),
            }
        }
        if readable {
            seen_by_iptables.push(match family {
                Family::V4 => "ip nat",
                Family::V6 => "ip6 nat",
            });
        }
    }
    if let Some(ruleset) = shown("nft", &["list", "ruleset"]).await? {
        found.extend(nft_suspects(&ruleset, check, &seen_by_iptables));
    }
    Ok(found)
}

/// The variant that we do not use, where rules of it exist: its name, and the number of its NAT rules.
///
/// # Errors
/// [`RulesError`]
pub async fn other_variant(own: Iptables) -> Result<Option<(Iptables, usize)>, RulesError> {
    let Some(other) = other(own, is_nft(own).await?).await? else {
        return Ok(None);
    };
    let rules = match other.list(Table::Nat, false).await {
        Ok(listing) => listing.rules.len(),
        // Rules of nft's own; those that matter are found by the check port.
        Err(RulesError::Mixed { .. }) => 0,
        Err(error) => return Err(error),
    };
    Ok((rules > 0).then_some((other, rules)))
}

async fn is_nft(iptables: Iptables) -> Result<bool, RulesError> {
    let program = iptables.program();
    let version = shown(program, &["--version"]).await?.ok_or(RulesError::Missing { program })?;
    Ok(version.contains("nf_tables"))
}

/// The program of the other variant, if it is installed and looking through it changes nothing.
async fn other(own: Iptables, own_is_nft: bool) -> Result<Option<Iptables>, RulesError> {
    let variant = if own_is_nft { Variant::Legacy } else { Variant::Nft };
    let other = Iptables { variant, ..own };
    // Merely listing a legacy table creates it, so it is listed only where the kernel has it already.
    if variant == Variant::Legacy && !has_legacy_nat(own.family).await {
        return Ok(None);
    }
    let installed = shown(other.program(), &["--version"]).await?.is_some();
    Ok(installed.then_some(other))
}

async fn has_legacy_nat(family: Family) -> bool {
    let names = match family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    let names = tokio::fs::read_to_string(names).await.unwrap_or_default();
    names.lines().any(|name| name == Table::Nat.name())
}

fn suspects(
    listing: &Listing,
    check: SocketAddr,
    iptables: Iptables,
    ours: &(dyn Fn(&Rule) -> bool + Send + Sync),
) -> Vec<ForeignRule> {
    // Rules on the source address, such as Docker's, do not decide where a connection goes.
    let of_source = |rule: &Rule| matches!(rule.value("-j"), Some("MASQUERADE" | "SNAT"));
    let not_tcp = |rule: &Rule| rule.value("-p").is_some_and(|protocol| !matches!(protocol, "tcp" | "all"));
    let concerns = |rule: &Rule| rule.names_port(check.port()) && rule.may_be_to(check.ip());
    listing
        .rules
        .iter()
        .filter(|rule| concerns(rule) && !not_tcp(rule) && !of_source(rule) && !ours(rule))
        .map(|rule| ForeignRule::of_iptables(iptables, rule))
        .collect()
}

/// Reads `nft list ruleset`. Tables in `skip` were seen through iptables, in its own words.
fn nft_suspects(ruleset: &str, check: SocketAddr, skip: &[&str]) -> Vec<ForeignRule> {
    let sets = nft_sets(ruleset);
    let (mut table, mut chain) = ("", "");
    let mut found = Vec::new();
    for line in ruleset.lines().map(str::trim) {
        if let Some(name) = block(line, "table ") {
            (table, chain) = (name, "");
        } else if let Some(name) = block(line, "chain ") {
            chain = name;
        } else if !skip.contains(&table)
            && (line.contains("redirect") || line.contains("dnat"))
            && nft_may_be_to(line, check.ip())
            && nft_names_port(line, check.port(), |set| sets.get(&(table, set)).map(String::as_str))
        {
            let text = format!("nft: table {table} chain {chain}: {line}");
            found.push(ForeignRule { iptables: None, text: text.escape_debug().to_string(), deletion: None });
        }
    }
    found
}

fn block<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    let name = line.strip_prefix(kind)?.strip_suffix('{')?;
    Some(name.trim())
}

/// The elements of every set and map, by table and name.
fn nft_sets(ruleset: &str) -> BTreeMap<(&str, &str), String> {
    let mut sets = BTreeMap::new();
    let (mut table, mut set, mut inside) = ("", None, false);
    for line in ruleset.lines().map(str::trim) {
        if let Some(name) = block(line, "table ") {
            (table, set) = (name, None);
        } else if let Some(name) = block(line, "set ").or_else(|| block(line, "map ")) {
            set = Some(name);
        } else if let Some(name) = set {
            inside = inside || line.starts_with("elements");
            if inside {
                let elements: &mut String = sets.entry((table, name)).or_default();
                let line = line.split_once('{').map_or(line, |(_, after)| after);
                elements.push_str(line.trim_end_matches('}'));
                elements.push(' ');
            }
            if line.ends_with('}') {
                set = set.filter(|_| inside);
                inside = false;
            }
        }
    }
    sets
}

fn nft_may_be_to(line: &str, address: IpAddr) -> bool {
    let network = |after: &str| after.split(' ').next().and_then(|network| contains(network, address));
    address.is_unspecified() || line.split("daddr ").skip(1).all(|after| network(after).unwrap_or(true))
}

fn nft_names_port<'a>(line: &'a str, port: u16, set: impl Fn(&'a str) -> Option<&'a str>) -> bool {
    let before = line.split("dport");
    before.clone().zip(before.skip(1)).any(|(before, after)| {
        if before.trim_end().ends_with("udp") {
            return false;
        }
        let after = after.trim();
        let (negated, after) = match after.strip_prefix("!=") {
            Some(after) => (true, after.trim()),
            None => (false, after),
        };
        let elements = if let Some((_, list)) = after.split_once('{') {
            list.split('}').next()
        } else if let Some((_, name)) = after.split_once('@') {
            name.split(' ').next().and_then(&set)
        } else {
            after.split(' ').next()
        };
        let named = elements.unwrap_or_default().split(',').any(|element| {
            let key = element.split(':').next().unwrap_or_default();
            key.split(" . ").any(|part| covers(part, '-', port))
        });
        negated != named
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    const RULESET: &str = "\
table ip nat {
	chain OUTPUT {
		tcp dport 2000 counter packets 0 bytes 0 redirect to :1000
	}
}
table inet mine {
	map checks {
		type inet_service : inet_service
		elements = { 1999 : 1000,
			     2000 : 1001 }
	}
	set empty {
		type inet_service
	}
	chain pre {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local meta l4proto tcp redirect to :tcp dport map @checks
		tcp dport @empty redirect to :1
		tcp dport { 80, 1990-2010 } dnat ip to 10.0.0.1:80
		tcp dport != 80 redirect to :2
		tcp dport 2001 redirect to :2000
		tcp dport 2000 accept
		udp dport 2000 redirect to :53
		ip daddr 10.0.0.6 tcp dport 2000 redirect to :1006
	}
}
";

    #[test]
    fn rules_of_nft_are_found_by_number_range_set_and_map() {
        let check: SocketAddr = "10.0.0.5:2000".parse().unwrap();
        let found = nft_suspects(RULESET, check, &["ip nat"]);
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 3, "{texts:#?}");
        assert!(texts.iter().any(|text| text.contains("map @checks")));
        assert!(texts.iter().any(|text| text.contains("1990-2010")));
        assert!(texts.iter().any(|text| text.contains("!= 80")));
        assert_eq!(nft_suspects(RULESET, check, &[]).len(), 4);
        assert_eq!(nft_suspects(RULESET, "0.0.0.0:2000".parse().unwrap(), &[]).len(), 5);
    }

    #[test]
    fn a_rule_that_is_not_plain_has_no_deletion() {
        let own = Iptables { family: Family::V4, variant: Variant::Host };
        let deletion = |line: &str| {
            let rule = Rule::parse(line).unwrap();
            ForeignRule::of_iptables(own, &rule).deletion
        };
        assert_eq!(
            deletion("-A OUTPUT -p tcp --dport 2000 -j ACCEPT").unwrap(),
            "-D OUTPUT -p tcp --dport 2000 -j ACCEPT"
        );
        assert_eq!(deletion(r#"-A OUTPUT -p tcp --dport 2000 -m comment --comment "a b" -j ACCEPT"#), None);
        assert_eq!(deletion("-A OUT;PUT -p tcp --dport 2000 -j ACCEPT"), None);
    }

    proptest! {
        #[test]
        fn no_ruleset_makes_the_parser_fail(text in "(table|chain|set|map|elements|dport|daddr|redirect|[{}@=:,. 0-9\n-]){0,60}") {
            nft_suspects(&text, "10.0.0.5:2000".parse().unwrap(), &[]);
        }
    }
}
