//! `pitstop.toml` as written: the keys, their types and their defaults. What concerns more than one key is left to
//! `check`, which is why some values keep their place.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use toml::Spanned;

use super::settings::{
    Action, Guard, Label, MinUp, OnTimeout, PutBack, RedirectDriver, SignalName, Unlisted, Unreachable,
};
use super::value::{
    AbsolutePath, Choice, Command, Count, Duration, Endpoint, HeaderText, HeaderWord, OneOrMore, Percent, Port,
    PositiveDuration, ServerName, Status, Text, UnitName, Url,
};
use crate::haproxy::{Address, ServerId};

/// A value with its place.
type Placed<T> = Option<Spanned<T>>;

/// Header fields with their values.
pub(super) type Headers = BTreeMap<Text<HeaderWord>, Text<HeaderText>>;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) balancers: BTreeMap<Spanned<Text<Label>>, Balancer>,
    #[serde(default)]
    pub(super) apps: BTreeMap<Spanned<Text<Label>>, App>,
}

/// `[balancers.X]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Balancer {
    pub(super) socket: Option<Text<Address>>,
    pub(super) master: Option<Text<Address>>,
    #[serde(default)]
    pub(super) config: OneOrMore<AbsolutePath>,
    #[serde(default)]
    pub(super) addresses: Vec<Text<IpAddr>>,
}

/// `[apps.X]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct App {
    pub(super) balancers: Option<Vec<Spanned<Text<Label>>>>,
    #[serde(default)]
    pub(super) servers: Vec<Spanned<Text<ServerId>>>,
    #[serde(default)]
    pub(super) backups: Vec<Spanned<Text<ServerId>>>,
    pub(super) listen: Text<Endpoint>,
    pub(super) unreachable: Placed<Choice<Unreachable>>,
    #[serde(default = "defaults::unlisted")]
    pub(super) unlisted: Choice<Unlisted>,
    #[serde(default = "defaults::put_back")]
    pub(super) put_back: Choice<PutBack>,
    #[serde(default = "defaults::hold")]
    pub(super) hold: Text<Duration>,
    #[serde(default = "defaults::on_alert")]
    pub(super) on_alert: Command,
    pub(super) redirect: Option<Redirect>,
    #[serde(default)]
    pub(super) drain: Drain,
    pub(super) service: Placed<Service>,
    #[serde(default)]
    pub(super) ready: Vec<Spanned<Probe>>,
    #[serde(default)]
    pub(super) guard: GuardTable,
    pub(super) ramp: Placed<Ramp>,
}

/// `[apps.X.redirect]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Redirect {
    pub(super) check_port: Spanned<Port>,
    #[serde(default = "defaults::driver")]
    pub(super) driver: Choice<RedirectDriver>,
    #[serde(default)]
    pub(super) alone: bool,
    #[serde(default = "defaults::two_seconds")]
    pub(super) inter: Text<PositiveDuration>,
    #[serde(default = "Count::of::<3>")]
    pub(super) fall: Count,
    #[serde(default = "Count::of::<2>")]
    pub(super) rise: Count,
    #[serde(default = "defaults::two_seconds")]
    pub(super) check_timeout: Text<PositiveDuration>,
}

/// `[apps.X.drain]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Drain {
    pub(super) timeout: Text<PositiveDuration>,
    pub(super) on_timeout: Placed<Choice<OnTimeout>>,
    pub(super) sticky_grace: Text<Duration>,
    pub(super) idle_after: Text<PositiveDuration>,
    pub(super) kills_on_down: Option<bool>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            timeout: defaults::minute(),
            on_timeout: None,
            sticky_grace: Text(Duration::ZERO),
            idle_after: defaults::ten_seconds(),
            kills_on_down: None,
        }
    }
}

/// `[apps.X.service]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Service {
    pub(super) systemd: Placed<Text<UnitName>>,
    pub(super) pidfile: Placed<Text<AbsolutePath>>,
    pub(super) restart: Placed<Command>,
    pub(super) stop_signal: Placed<Text<SignalName>>,
    pub(super) start: Placed<Command>,
    pub(super) reload_signal: Placed<Text<SignalName>>,
    pub(super) old_signal: Placed<Text<SignalName>>,
    #[serde(default = "defaults::action")]
    pub(super) action: Choice<Action>,
    #[serde(default)]
    pub(super) revert: Command,
    #[serde(default = "Count::of::<1>")]
    pub(super) attempts: Count,
    #[serde(default = "defaults::minute")]
    pub(super) timeout: Text<PositiveDuration>,
}

/// `[[apps.X.ready]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Probe {
    pub(super) http: Placed<Text<Url>>,
    pub(super) tcp: Placed<Text<Endpoint>>,
    pub(super) command: Placed<Command>,
    pub(super) status: Placed<Vec<Status>>,
    pub(super) request_headers: Placed<Headers>,
    pub(super) headers: Placed<Headers>,
    pub(super) contains: Placed<String>,
    pub(super) ca: Placed<Text<AbsolutePath>>,
    pub(super) server_name: Placed<Text<ServerName>>,
    pub(super) insecure: Placed<bool>,
    #[serde(default = "Count::of::<2>")]
    pub(super) rise: Count,
    #[serde(default = "defaults::ten_milliseconds")]
    pub(super) interval: Text<PositiveDuration>,
    #[serde(default = "defaults::minute")]
    pub(super) timeout: Text<PositiveDuration>,
}

/// `[apps.X.guard]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct GuardTable {
    pub(super) min_up: MinUp,
    pub(super) min_weight: Text<Percent>,
    pub(super) count_backups: bool,
}

impl Default for GuardTable {
    fn default() -> Self {
        let Guard { min_up, min_weight, count_backups } = Guard::default();
        Self { min_up, min_weight: Text(Percent(min_weight)), count_backups }
    }
}

/// `[apps.X.ramp]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Ramp {
    pub(super) from: Placed<Text<Percent>>,
    #[serde(default = "defaults::half_a_minute")]
    pub(super) over: Text<PositiveDuration>,
}

/// Where serde wants a function.
mod defaults {
    use super::*;

    pub(super) fn unlisted() -> Choice<Unlisted> {
        Choice(Unlisted::Refuse)
    }

    pub(super) fn put_back() -> Choice<PutBack> {
        Choice(PutBack::Probed)
    }

    pub(super) fn driver() -> Choice<RedirectDriver> {
        Choice(RedirectDriver::Auto)
    }

    pub(super) fn action() -> Choice<Action> {
        Choice(Action::Restart)
    }

    pub(super) fn on_alert() -> Command {
        let words = ["logger", "-p", "user.alert", "-t", "pitstop"];
        Command(words.map(str::to_owned).to_vec())
    }

    pub(super) fn hold() -> Text<Duration> {
        Text(Duration::seconds(2))
    }

    pub(super) fn ten_milliseconds() -> Text<PositiveDuration> {
        Text(PositiveDuration::of_millis::<10>())
    }

    pub(super) fn two_seconds() -> Text<PositiveDuration> {
        Text(PositiveDuration::of_millis::<2_000>())
    }

    pub(super) fn ten_seconds() -> Text<PositiveDuration> {
        Text(PositiveDuration::of_millis::<10_000>())
    }

    pub(super) fn half_a_minute() -> Text<PositiveDuration> {
        Text(PositiveDuration::of_millis::<30_000>())
    }

    pub(super) fn minute() -> Text<PositiveDuration> {
        Text(PositiveDuration::of_millis::<60_000>())
    }
}
