//! What would keep the redirect from working, looked for before anything is touched.

use std::io;
use std::net::UdpSocket;

use super::error::RulesError;
use super::foreign::{ForeignRule, other_variant};
use super::iptables::{Iptables, Listing, Table};
use super::redirect::Redirect;
use super::rule::Rule;

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It can't work.
    Error,
    /// It may not do what is expected.
    Warning,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, escaped for a terminal.
    pub what: String,
    /// What to type or change next.
    pub hint: String,
}

impl Finding {
    fn error(what: String, hint: String) -> Self {
        let severity = Severity::Error;
        Self { severity, what, hint }
    }

    fn warning(what: String, hint: String) -> Self {
        let severity = Severity::Warning;
        Self { severity, what, hint }
    }
}

impl From<RulesError> for Finding {
    fn from(error: RulesError) -> Self {
        Self::error(error.to_string(), error.hint())
    }
}

impl Redirect {
    /// Everything that would keep the redirect from working. Changes nothing.
    pub async fn check(&self) -> Vec<Finding> {
        self.look(|_| false).await
    }

    /// The same before [`adopt`](Self::adopt), which replaces all foreign rules that it can.
    pub async fn check_before_adoption(&self) -> Vec<Finding> {
        self.look(ForeignRule::is_adoptable).await
    }

    async fn look(&self, welcome: impl Fn(&ForeignRule) -> bool) -> Vec<Finding> {
        let mut findings = self.addresses();
        for iptables in self.programs() {
            match iptables.list(Table::Filter, false).await {
                Ok(filter) => findings.extend(self.firewall(iptables, &filter)),
                Err(error) => {
                    findings.push(error.into());
                    continue;
                }
            }
            findings.extend(mixture(iptables).await);
        }
        if findings.iter().all(|one| one.severity != Severity::Error) {
            match self.foreign().await {
                Ok(rules) => {
                    let strangers = rules.iter().filter(|rule| !welcome(rule));
                    findings.extend(strangers.map(|rule| self.stranger(rule)));
                }
                Err(error) => findings.push(error.into()),
            }
        }
        for rival in self.rivals().await {
            findings.push(Finding::error(
                format!(
                    "a process listens on the check port itself, {rival}: it would answer checks while {} is out",
                    self.app
                ),
                format!("see which: ss -ltnp 'sport = :{}'", self.check_port),
            ));
        }
        findings
    }

    fn addresses(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let (app, listen) = (&self.app, self.listen);
        if listen.port() == self.check_port {
            findings.push(Finding::error(
                format!("{app} itself listens on its check port {}", self.check_port),
                "choose a check_port that nothing listens on".into(),
            ));
        }
        let bound = UdpSocket::bind((listen.ip(), 0)).err();
        if bound.is_some_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable) {
            findings.push(Finding::error(
                format!("{} is not an address of this host", listen.ip()),
                "see which there are: ip -brief address".into(),
            ));
        }
        if listen.ip().is_loopback() {
            findings.push(Finding::warning(
                format!("{app} listens on {}: checks from this host work, from another they can't", listen.ip()),
                format!("where HAProxy runs on another host, let {app} listen on the address that HAProxy connects to"),
            ));
        }
        findings
    }

    /// A firewall sees a redirected check with the app's port, so that is what it must let in.
    fn firewall(&self, iptables: Iptables, filter: &Listing) -> Option<Finding> {
        let port = self.listen.port();
        let drops = |(chain, policy): &(String, String)| chain == "INPUT" && policy == "DROP";
        let last =
            |rule: &Rule| matches!(rule.value("-j"), Some("DROP" | "REJECT")) && rule.only(&["-j", "--reject-with"]);
        let closed = filter.policies.iter().any(drops) || filter.of("INPUT").any(last);
        let open = filter.rules.iter().any(|rule| accepts(rule, port));
        (closed && !open && !self.listen.ip().is_loopback()).then(|| {
            Finding::warning(
                format!("the firewall lets nobody in to port {port}, where redirected checks arrive"),
                format!(
                    "{} -I INPUT -p tcp --dport {port} -j ACCEPT   # the check port need not be open",
                    iptables.program()
                ),
            )
        })
    }

    fn stranger(&self, rule: &ForeignRule) -> Finding {
        let app = &self.app;
        let hint = match (rule.iptables, &rule.deletion) {
            (Some(iptables), Some(deletion)) => {
                let line = iptables.line(Table::Nat, deletion);
                format!("take its place without a gap: pitstop in {app} --adopt-rules   # or: {line}")
            }
            _ => "delete it with the tool that made it".into(),
        };
        Finding::error(format!("a rule that is not ours has to do with check port {}: {rule}", self.check_port), hint)
    }
}

fn accepts(rule: &Rule, port: u16) -> bool {
    let any_port = !rule.has("--dport") && !rule.has("--dports") && !rule.has("--ports");
    let new = rule.value("--ctstate").is_none_or(|states| states.contains("NEW"));
    rule.value("-j") == Some("ACCEPT")
        && matches!(rule.value("-p"), None | Some("tcp" | "all"))
        && rule.value("-i") != Some("lo")
        && new
        && (any_port || rule.names_port(port))
}

async fn mixture(iptables: Iptables) -> Option<Finding> {
    let (other, rules) = match other_variant(iptables).await {
        Ok(found) => found?,
        Err(error) => return Some(error.into()),
    };
    let (ours, theirs) = (iptables.program(), other.program());
    Some(Finding::warning(
        format!("{rules} NAT rules were set by {theirs}, which {ours} does not see: which of both decides is chance"),
        format!("look: {theirs} -t nat -S   # then move all rules to one: update-alternatives --config iptables"),
    ))
}
