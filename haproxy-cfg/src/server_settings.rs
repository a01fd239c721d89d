//! What `server` and `default-server` lines can set (configuration manual, 5.2).

use std::time::Duration;

use crate::delay::delay;
use crate::effective::{Effective, Place};
use crate::word::{Word, number};

/// What `server` and `default-server` lines can set, as far as a restart has to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// `check`: whether its health is checked.
    pub check: Effective<bool>,
    /// `port`: where the health check connects, if not to the server's own port.
    pub port: Effective<Option<u16>>,
    /// `inter`: pause between two checks.
    pub inter: Effective<Duration>,
    /// `fall`: so many failed checks in a row make it DOWN.
    pub fall: Effective<u32>,
    /// `rise`: so many passed checks in a row make it UP.
    pub rise: Effective<u32>,
    /// `backup`: it is used when no other server is up.
    pub backup: Effective<bool>,
    /// `cookie`: the value that makes clients stick to it.
    pub cookie: Effective<Option<String>>,
    /// `weight`
    pub weight: Effective<u32>,
    /// `on-marked-down`
    pub on_marked_down: Effective<OnMarkedDown>,
    /// `on-marked-up`
    pub on_marked_up: Effective<OnMarkedUp>,
    /// `track`: the server whose state it shares, as written.
    pub track: Effective<Option<String>>,
    /// `agent-check`: an agent may change its state as well.
    pub agent_check: Effective<bool>,
}

/// What happens to a server's sessions when it goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMarkedDown {
    /// They go on.
    Nothing,
    /// They are cut, also by `state maint`.
    ShutdownSessions,
}

/// What happens to the sessions of backup servers when a server comes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMarkedUp {
    /// They go on.
    Nothing,
    /// They are cut.
    ShutdownBackupSessions,
}

/// Settings that take a value and have nothing to do with a restart; the value must not be taken for a setting.
/// All of 2.2 to 3.4, with the parts of `source`.
const TAKES_A_VALUE: &[&str] = &[
    "addr",
    "agent-addr",
    "agent-inter",
    "agent-port",
    "agent-send",
    "alpn",
    "ca-file",
    "cc",
    "check-alpn",
    "check-pool-conn-name",
    "check-proto",
    "check-sni",
    "ciphers",
    "ciphersuites",
    "client-sigalgs",
    "crl-file",
    "crt",
    "curves",
    "downinter",
    "error-limit",
    "fastinter",
    "guid",
    "hash-key",
    "healthcheck",
    "id",
    "idle-ping",
    "init-addr",
    "init-state",
    "interface",
    "ktls",
    "log-bufsize",
    "log-proto",
    "max-reuse",
    "maxconn",
    "maxqueue",
    "minconn",
    "namespace",
    "npn",
    "observe",
    "on-error",
    "pool-conn-name",
    "pool-low-conn",
    "pool-max-conn",
    "pool-purge-delay",
    "proto",
    "proxy-v2-options",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "shard",
    "sigalgs",
    "slowstart",
    "sni",
    "socks4",
    "source",
    "ssl-max-ver",
    "ssl-min-ver",
    "tcp-ut",
    "usesrc",
    "verify",
    "verifyhost",
    "ws",
];

impl ServerSettings {
    /// What a server has that nothing is said about.
    pub(crate) fn of_haproxy() -> Self {
        Self {
            check: Effective::default(false),
            port: Effective::default(None),
            inter: Effective::default(Duration::from_secs(2)),
            fall: Effective::default(3),
            rise: Effective::default(2),
            backup: Effective::default(false),
            cookie: Effective::default(None),
            weight: Effective::default(1),
            on_marked_down: Effective::default(OnMarkedDown::Nothing),
            on_marked_up: Effective::default(OnMarkedUp::Nothing),
            track: Effective::default(None),
            agent_check: Effective::default(false),
        }
    }

    /// What can't be known because of this line.
    pub(crate) fn unknown(line: usize) -> Self {
        Self {
            check: Effective::Unknown { line },
            port: Effective::Unknown { line },
            inter: Effective::Unknown { line },
            fall: Effective::Unknown { line },
            rise: Effective::Unknown { line },
            backup: Effective::Unknown { line },
            cookie: Effective::Unknown { line },
            weight: Effective::Unknown { line },
            on_marked_down: Effective::Unknown { line },
            on_marked_up: Effective::Unknown { line },
            track: Effective::Unknown { line },
            agent_check: Effective::Unknown { line },
        }
    }

    /// Applies the settings of one line, in their order.
    pub(crate) fn apply(&mut self, place: Place, words: &[Word]) {
        if words.iter().any(|word| word.spreads) {
            *self = Self::unknown(place.line);
            return;
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(keyword) = word.known() else {
                *self = Self::unknown(place.line);
                return;
            };
            let mut text = || words.next().and_then(Word::known);
            match keyword {
                "check" => self.check.set(place, Some(true)),
                "no-check" => self.check.set(place, Some(false)),
                "backup" => self.backup.set(place, Some(true)),
                "no-backup" => self.backup.set(place, Some(false)),
                "agent-check" => self.agent_check.set(place, Some(true)),
                "no-agent-check" => self.agent_check.set(place, Some(false)),
                "port" => self.port.set(place, number(words.next()).map(Some)),
                "inter" => self.inter.set(place, delay(words.next())),
                "fall" => self.fall.set(place, number(words.next())),
                "rise" => self.rise.set(place, number(words.next())),
                "weight" => self.weight.set(place, number(words.next())),
                "cookie" => self.cookie.set(place, text().map(|text| Some(text.to_owned()))),
                "track" => self.track.set(place, text().map(|text| Some(text.to_owned()))),
                "on-marked-down" => self.on_marked_down.set(
                    place,
                    match text() {
                        Some("shutdown-sessions") => Some(OnMarkedDown::ShutdownSessions),
                        _ => None,
                    },
                ),
                "on-marked-up" => self.on_marked_up.set(
                    place,
                    match text() {
                        Some("shutdown-backup-sessions") => Some(OnMarkedUp::ShutdownBackupSessions),
                        _ => None,
                    },
                ),
                other if TAKES_A_VALUE.contains(&other) => drop(words.next()),
                other if other.starts_with("set-proxy-v2-tlv-fmt") => drop(words.next()),
                _ => {}
            }
        }
    }
}
