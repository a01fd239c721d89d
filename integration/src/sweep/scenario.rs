//! The kinds of runs that are swept.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tracer::Whose;
use crate::request::Pending;
use crate::world::{Builder, Redirects, World};

/// The request that is still there when the drain's time is over.
const TOO_LONG: Duration = Duration::from_secs(4);

/// A kind of run, on an app with a redirect behind two balancers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// `restart` of a healthy app.
    Restart,
    /// `out`.
    Out,
    /// `in` of an app that is out.
    In,
    /// `restart` of an app that never becomes ready: it stays out, and the alert is raised.
    NeverReady,
    /// `restart` with a request that outlasts the drain: undone.
    DrainTimeout,
}

/// A kind of run, and whose calls are swept in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sweep {
    /// The run.
    pub scenario: Scenario,
    /// Who is killed.
    pub whose: Whose,
}

impl Sweep {
    /// All of them: pitstop in each kind of run, then what it starts in the richest.
    pub const ALL: [Self; 7] = [
        Self { scenario: Scenario::Restart, whose: Whose::Own },
        Self { scenario: Scenario::Out, whose: Whose::Own },
        Self { scenario: Scenario::In, whose: Whose::Own },
        Self { scenario: Scenario::NeverReady, whose: Whose::Own },
        Self { scenario: Scenario::DrainTimeout, whose: Whose::Own },
        Self { scenario: Scenario::Restart, whose: Whose::Children },
        Self { scenario: Scenario::NeverReady, whose: Whose::Children },
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match (self.scenario, self.whose) {
            (Scenario::Restart, Whose::Own) => "restart",
            (Scenario::Out, Whose::Own) => "out",
            (Scenario::In, Whose::Own) => "in",
            (Scenario::NeverReady, Whose::Own) => "never-ready",
            (Scenario::DrainTimeout, Whose::Own) => "drain-timeout",
            (Scenario::NeverReady, Whose::Children) => "never-ready-children",
            (_, Whose::Children | Whose::Both) => "children",
        }
    }

    /// One of [`Sweep::ALL`], by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sweep| sweep.name() == name)
    }
}

impl Scenario {
    /// What is asked of pitstop.
    pub(super) fn goal(self) -> &'static str {
        match self {
            Self::Restart | Self::NeverReady | Self::DrainTimeout => "restart",
            Self::Out => "out",
            Self::In => "in",
        }
    }

    /// The scene; alerts are appended to the file, a line each.
    pub(super) fn scene(self, alerts: &Path) -> Builder {
        let alert = format!(r#"on_alert = ["sh", "-c", "echo \"$0\" >>'{}'"]"#, alerts.display());
        let scene = World::builder()
            .apps(2)
            .balancers(2)
            .redirects(Redirects::ByPitstop)
            .pitstop_line("hold = \"200ms\"")
            .pitstop_line(&alert);
        match self {
            // What never comes is not waited for as long as what a busy machine may delay.
            Self::NeverReady => scene.table_line("ready", "timeout = \"1s\""),
            Self::DrainTimeout => scene.drain_line("timeout = \"300ms\""),
            Self::Restart | Self::Out | Self::In => scene.table_line("ready", "timeout = \"10s\""),
        }
    }

    /// What must be so before the run begins; the request is to be answered.
    pub(super) fn prepare(self, world: &World) -> Option<Pending> {
        match self {
            Self::Restart | Self::Out => None,
            Self::In => {
                world.pitstop.run(&["out", world.apps[0].name()]).assert_code(0);
                None
            }
            Self::NeverReady => {
                world.apps[0].at_next_start(&["--health-only-broken"]);
                None
            }
            Self::DrainTimeout => Some(Pending::work(world.frontend(), TOO_LONG, Some("SERVER=A"))),
        }
    }

    /// The first step that is not the same as in a `restart` that goes well; what comes before it is swept there.
    pub(super) fn differs_from(self) -> &'static str {
        match self {
            Self::Restart => "preflight",
            Self::Out | Self::In => "claim",
            Self::NeverReady => "restart",
            Self::DrainTimeout => "drain",
        }
    }

    /// Exit codes of a run that nobody kills.
    pub(super) fn exit_code(self) -> i32 {
        match self {
            Self::Restart | Self::Out | Self::In => 0,
            Self::DrainTimeout => 5,
            Self::NeverReady => 6,
        }
    }
}
