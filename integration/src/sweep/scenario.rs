//! The kinds of runs that are swept.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::Call;
use super::tracer::Whose;
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
    /// `in` of an app that `out` took out.
    In,
    /// `in` of an app that stayed out unproven, and was mended since.
    InAfterStaysOut,
    /// `recover` of a `restart` that died before the stop signal: undone.
    RecoverDrain,
    /// `recover` of a `restart` that died with the app stopped and not started yet: finished.
    RecoverRestart,
    /// `recover` of a `restart` that died with the app back on one of two balancers.
    RecoverPutBack,
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

/// All sweeps by their names: pitstop in each kind of run, then what it starts in the richest.
const ALL: [(&str, Scenario, Whose); 11] = [
    ("restart", Scenario::Restart, Whose::Own),
    ("out", Scenario::Out, Whose::Own),
    ("in", Scenario::In, Whose::Own),
    ("in-after-stays-out", Scenario::InAfterStaysOut, Whose::Own),
    ("never-ready", Scenario::NeverReady, Whose::Own),
    ("drain-timeout", Scenario::DrainTimeout, Whose::Own),
    ("recover-drain", Scenario::RecoverDrain, Whose::Own),
    ("recover-restart", Scenario::RecoverRestart, Whose::Own),
    ("recover-put-back", Scenario::RecoverPutBack, Whose::Own),
    ("children", Scenario::Restart, Whose::Children),
    ("never-ready-children", Scenario::NeverReady, Whose::Children),
];

impl Sweep {
    /// All of them.
    pub fn all() -> Vec<Self> {
        ALL.map(|(_, scenario, whose)| Self { scenario, whose }).into()
    }

    /// As on the command line.
    pub fn name(self) -> &'static str {
        let is_this = |(_, scenario, whose): &&(_, Scenario, Whose)| (*scenario, *whose) == (self.scenario, self.whose);
        ALL.iter().find(is_this).map_or("another", |(name, ..)| name)
    }

    /// One of [`Sweep::all`], by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|sweep| sweep.name() == name)
    }
}

impl fmt::Display for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Scenario {
    /// What is asked of pitstop.
    pub(super) fn goal(self) -> &'static str {
        match self {
            Self::Restart | Self::NeverReady | Self::DrainTimeout => "restart",
            Self::Out => "out",
            Self::In | Self::InAfterStaysOut => "in",
            Self::RecoverDrain | Self::RecoverRestart | Self::RecoverPutBack => "recover",
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
            Self::NeverReady | Self::InAfterStaysOut => scene.table_line("ready", "timeout = \"1s\""),
            Self::DrainTimeout => scene.drain_line("timeout = \"300ms\""),
            _ => scene.table_line("ready", "timeout = \"10s\""),
        }
    }

    /// The first step that is not the same as in a `restart` that goes well; what comes before it is swept there.
    pub(super) fn differs_from(self) -> &'static str {
        match self {
            Self::NeverReady => "restart",
            Self::DrainTimeout => "drain",
            _ => "preflight",
        }
    }

    /// Exit codes of a run that nobody kills.
    pub(super) fn exit_code(self) -> i32 {
        match self {
            Self::DrainTimeout => 5,
            Self::NeverReady => 6,
            _ => 0,
        }
    }

    /// Whether a `restart` dies at this call of this step, so that there is something to recover.
    pub(super) fn dies_at(self, step: &str, call: &Call) -> bool {
        match self {
            Self::RecoverDrain => step == "drain",
            Self::RecoverRestart => step == "restart" && ["clone", "clone3", "fork", "vfork"].contains(&call.name),
            Self::RecoverPutBack => {
                step == "put_back" && ["balancer_two", "state ready"].iter().all(|words| call.subject.contains(words))
            }
            _ => false,
        }
    }

    /// How long the request takes that is in flight from before the run, where one is.
    pub(super) fn in_flight(self) -> Option<Duration> {
        (self == Self::DrainTimeout).then_some(TOO_LONG)
    }
}
