//! Who can take the app out: its balancers and its redirect.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;

use toml::Spanned;

use super::Result;
use crate::config::error::Fault;
use crate::config::file;
use crate::config::settings::{Balancer, Label, Redirect};
use crate::config::suggest;
use crate::config::value::Text;
use crate::haproxy::ServerId;

/// The means to take one app out.
pub(super) struct Reach {
    pub(super) balancers: Vec<Balancer>,
    pub(super) redirect: Option<Redirect>,
}

impl Reach {
    /// Whether an admin socket can be read.
    pub(super) fn socket(&self) -> bool {
        self.balancers.iter().any(|b| b.socket.is_some())
    }

    /// Whether an admin socket takes our commands.
    pub(super) fn commands(&self) -> bool {
        self.socket() && !self.redirect.as_ref().is_some_and(|r| r.alone)
    }

    /// Refuses an app that a balancer would go on sending to, whatever we did.
    pub(super) fn check(&self, app: &Label, at: &Range<usize>) -> Result<()> {
        if self.redirect.is_some() {
            return Ok(());
        }
        let blind = self.balancers.iter().find(|b| b.socket.is_none());
        let what = match blind {
            Some(balancer) => format!(
                "nothing can take app `{app}` out on balancer `{}`: it has no `socket`, and the app no redirect",
                balancer.name
            ),
            None if self.balancers.is_empty() => {
                format!("nothing can take app `{app}` out: it has no balancer and no redirect")
            }
            None => return Ok(()),
        };
        Err(Fault::new(at.clone(), what).hint(format!(
            "give the balancer its `socket`, for example: socket = \"/run/haproxy/admin.sock\",\nor add [apps.{app}.redirect] with its check_port"
        )))
    }
}

/// The balancers the app names; all, if it names none.
pub(super) fn balancers(
    written: Option<Vec<Spanned<Text<Label>>>>,
    known: &BTreeMap<Label, Balancer>,
) -> Result<Vec<Balancer>> {
    let Some(written) = written else {
        return Ok(known.values().cloned().collect());
    };
    let mut seen = BTreeSet::new();
    let balancer = |name: Spanned<Text<Label>>| {
        let at = name.span();
        let Text(name) = name.into_inner();
        let Some(balancer) = known.get(&name) else {
            let names: Vec<&str> = known.keys().map(Label::as_str).collect();
            let fault = Fault::new(at, format!("there is no balancer `{name}`"));
            return Err(if names.is_empty() {
                fault.hint(format!("add a table [balancers.{name}]"))
            } else {
                fault.hint(suggest::hint(name.as_str(), &names))
            });
        };
        if seen.insert(name) { Ok(balancer.clone()) } else { Err(twice(at, balancer.name.as_str())) }
    };
    written.into_iter().map(balancer).collect()
}

/// The entries, main and backup, without any named twice.
pub(super) fn entries(
    servers: Vec<Spanned<Text<ServerId>>>,
    backups: Vec<Spanned<Text<ServerId>>>,
) -> Result<(Vec<ServerId>, Vec<ServerId>)> {
    let mut seen = BTreeSet::new();
    let mut list = |written: Vec<Spanned<Text<ServerId>>>| {
        written
            .into_iter()
            .map(|entry| {
                let at = entry.span();
                let Text(id) = entry.into_inner();
                if seen.insert(id.clone()) { Ok(id) } else { Err(twice(at, &id.to_string())) }
            })
            .collect::<Result<Vec<_>>>()
    };
    Ok((list(servers)?, list(backups)?))
}

fn twice(at: Range<usize>, name: &str) -> Fault {
    Fault::new(at, format!("`{name}` is named twice")).hint("remove one of the two")
}

/// The redirect of the check port to the port the app listens on.
pub(super) fn redirect(written: file::Redirect, listen: SocketAddr) -> Result<Redirect> {
    let check_port = written.check_port.get_ref().get();
    if check_port == listen.port() {
        return Err(Fault::new(
            written.check_port.span(),
            format!("`check_port` {check_port} is the port the app listens on: there is nothing to redirect"),
        )
        .hint("use the port of `check port …` in haproxy.cfg, one that nothing listens on, for example: check_port = 2000"));
    }
    Ok(Redirect {
        check_port,
        driver: written.driver.0,
        alone: written.alone,
        inter: written.inter.0.get(),
        fall: written.fall.get().into(),
        rise: written.rise.get().into(),
        check_timeout: written.check_timeout.0.get(),
    })
}
