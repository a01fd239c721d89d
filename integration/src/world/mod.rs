//! The standard scene in one call: one HAProxy, three apps, each with a main and a backup entry as in the recipe of 2008,
//! and a `pitstop.toml` that knows them.
//!
//! Apps are called `webA`, `webB`, `webC`; the main entry of `webA` is `srvs/webA`, its backup `srvs/bkpA`, both with cookie
//! `A`; it listens on port 1001 and its main entry is checked on port 2001, which a redirect leads to 1001.

mod builder;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::app::App;
use crate::haproxy::Haproxy;
use crate::load::{Load, Options};
use crate::netns::{Host, Namespace};
use crate::pitstop::Pitstop;

pub use builder::Builder;

/// Where the frontend listens.
const FRONTEND: u16 = 8000;
const BACKEND: &str = "srvs";

/// Whose redirects of the check ports there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// None: main entries are checked on the app's own port, and only the admin socket takes them out.
    None,
    /// Made with plain iptables, as an operator without pitstop does.
    ByHand,
    /// Made by `pitstop in` of each app.
    ByPitstop,
}

/// The scene. On drop everything ends.
#[derive(Debug)]
pub struct World {
    /// The balancer.
    pub haproxy: Haproxy,
    /// The balancers beside it, if it is not the only one.
    pub others: Vec<Haproxy>,
    /// The apps, `webA` first.
    pub apps: Vec<App>,
    /// Configured for all of them.
    pub pitstop: Pitstop,
    /// The host of the balancer, or of those beside it, if it is another one.
    pub balancer_host: Option<Host>,
    apps_toml: String,
    frontend: SocketAddr,
    further_frontend: IpAddr,
    /// Left last: it ends what is still there.
    _namespace: Option<Namespace>,
}

impl World {
    /// The scene with nothing special: the distribution's HAProxy on loopback, no redirects, in a new network namespace.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where clients go.
    pub fn frontend(&self) -> SocketAddr {
        self.frontend
    }

    /// Where clients of a further balancer go; 0 is the first.
    pub fn frontend_of(&self, balancer: u16) -> SocketAddr {
        let address = if balancer == 0 { self.frontend.ip() } else { self.further_frontend };
        SocketAddr::new(address, self.frontend.port() + balancer)
    }

    /// Replaces what pitstop knows of the balancers, which is everything, by this, such as
    /// `[balancers.lb1]` and `addresses = ["127.0.0.1"]`.
    pub fn tell_of_balancers(&self, text: &str) {
        self.pitstop.configure(&format!("{text}\n{}", self.apps_toml));
    }

    /// The main and the backup entry of an app.
    pub fn servers(&self, app: usize) -> [String; 2] {
        ["web", "bkp"].map(|kind| format!("{BACKEND}/{kind}{}", letter(app)))
    }

    /// A bit of everything, with long requests of up to `long_max`.
    pub fn load(&self, long_max: Duration) -> Load {
        Load::start(&Options::mix(self.frontend(), long_max))
    }

    /// What pitstop does, done by hand with the admin socket alone: drain, maint, wait, restart, ready.
    pub fn restart_by_hand(&self, app: usize) {
        let servers = self.servers(app);
        let names: Vec<&str> = servers.iter().map(String::as_str).collect();
        for state in ["drain", "maint"] {
            for server in &names {
                self.haproxy.set_state(server, state);
            }
        }
        self.haproxy.wait_until_quiet(&names, Duration::from_secs(30));
        self.apps[app].restart_plainly();
        for server in &names {
            self.haproxy.set_state(server, "ready");
        }
    }
}

fn letter(app: usize) -> char {
    char::from(b'A' + u8::try_from(app).expect("few apps"))
}
