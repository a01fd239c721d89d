//! What `server` and `default-server` lines can set (configuration manual, 5.2).

use std::time::Duration;

use crate::delay::delay;
use crate::effective::{At, settings};
use crate::word::{Word, number};

settings! {
    /// What `server` and `default-server` lines can set, as far as a restart has to do with it.
    pub struct ServerSettings {
        /// `check`: whether its health is checked.
        check: bool = false,
        /// `addr`: where the health check connects, if not to the server's own address.
        addr: Option<String> = None,
        /// `port`: where the health check connects, if not to the server's own port.
        port: Option<u16> = None,
        /// `healthcheck`: the section that says how it is checked (HAProxy 3.4).
        healthcheck: Option<String> = None,
        /// `inter`: pause between two checks.
        inter: Duration = Duration::from_secs(2),
        /// `fastinter`: the same while it goes up or down; `None` means `inter`.
        fastinter: Option<Duration> = None,
        /// `downinter`: the same while it is down; `None` means `inter`.
        downinter: Option<Duration> = None,
        /// `fall`: so many failed checks in a row make it DOWN.
        fall: u32 = 3,
        /// `rise`: so many passed checks in a row make it UP.
        rise: u32 = 2,
        /// `slowstart`: for how long its weight rises after it came up; 0 where it does not.
        slowstart: Duration = Duration::ZERO,
        /// `backup`: it is used when no other server is up.
        backup: bool = false,
        /// `disabled`: it begins in maintenance.
        disabled: bool = false,
        /// `cookie`: the value that makes clients stick to it.
        cookie: Option<String> = None,
        /// `weight`
        weight: u32 = 1,
        /// `on-marked-down`
        on_marked_down: OnMarkedDown = OnMarkedDown::Nothing,
        /// `on-marked-up`
        on_marked_up: OnMarkedUp = OnMarkedUp::Nothing,
        /// `track`: the server whose state it shares, as written.
        track: Option<String> = None,
        /// `agent-check`: an agent may change its state as well.
        agent_check: bool = false,
        /// `agent-port`: where that agent listens.
        agent_port: Option<u16> = None,
        /// `init-addr`: how its address is found at the start, as written.
        init_addr: Option<String> = None,
        /// `resolvers`: its address is asked for again while HAProxy runs.
        resolvers: Option<String> = None,
        /// `ssl`: it is spoken to in TLS; its checks too, unless they have a `port` or `addr` of their own.
        ssl: bool = false,
        /// `check-ssl`: its checks speak TLS wherever they go.
        check_ssl: bool = false,
        /// `send-proxy` of any kind: connections begin with the PROXY protocol; its checks too, unless they have a `port` or `addr`.
        send_proxy: bool = false,
        /// `check-send-proxy`: its checks begin with the PROXY protocol wherever they go.
        check_send_proxy: bool = false,
    }
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
    "agent-addr",
    "agent-inter",
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
    "error-limit",
    "guid",
    "hash-key",
    "id",
    "idle-ping",
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
    "shard",
    "sigalgs",
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

/// Settings that take a value and are read here.
const READ_WITH_A_VALUE: &[&str] = &[
    "addr",
    "agent-port",
    "cookie",
    "downinter",
    "fall",
    "fastinter",
    "healthcheck",
    "init-addr",
    "inter",
    "on-marked-down",
    "on-marked-up",
    "port",
    "resolvers",
    "rise",
    "slowstart",
    "track",
    "weight",
];

/// Whether the word after this one is its value.
pub(crate) fn takes_a_value(keyword: &str) -> bool {
    TAKES_A_VALUE.contains(&keyword)
        || READ_WITH_A_VALUE.contains(&keyword)
        || keyword.starts_with("set-proxy-v2-tlv-fmt")
}

impl ServerSettings {
    /// How the server is spoken to and its checks are not, each with the keyword that makes checks do so as well. With a port of their
    /// own they do not follow what is said for the server (configuration manual, 5.2, `check-ssl` and `check-send-proxy`).
    pub(crate) fn plain_checks(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let both = [
            (&self.ssl, &self.check_ssl, "ssl", "check-ssl"),
            (&self.send_proxy, &self.check_send_proxy, "send-proxy", "check-send-proxy"),
        ];
        let plain = both.into_iter().filter(|(speaks, checks_speak, ..)| speaks.is(&true) && checks_speak.is(&false));
        plain.map(|(.., spoken, of_checks)| (spoken, of_checks))
    }

    /// Applies the settings of one line, in their order.
    pub(crate) fn apply(&mut self, at: At, words: &[Word]) {
        if words.iter().any(|word| word.spreads) {
            *self = Self::unknown(at.place);
            return;
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(keyword) = word.known() else {
                *self = Self::unknown(at.place);
                return;
            };
            let mut text = || words.next().and_then(Word::known);
            match keyword {
                "check" => self.check.set(at, Some(true)),
                "no-check" => self.check.set(at, Some(false)),
                "backup" => self.backup.set(at, Some(true)),
                "no-backup" => self.backup.set(at, Some(false)),
                "agent-check" => self.agent_check.set(at, Some(true)),
                "no-agent-check" => self.agent_check.set(at, Some(false)),
                "disabled" => self.disabled.set(at, Some(true)),
                "enabled" => self.disabled.set(at, Some(false)),
                "ssl" => self.ssl.set(at, Some(true)),
                "no-ssl" => self.ssl.set(at, Some(false)),
                "check-ssl" => self.check_ssl.set(at, Some(true)),
                "no-check-ssl" => self.check_ssl.set(at, Some(false)),
                "send-proxy" | "send-proxy-v2" | "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => {
                    self.send_proxy.set(at, Some(true));
                }
                "no-send-proxy" | "no-send-proxy-v2" | "no-send-proxy-v2-ssl" | "no-send-proxy-v2-ssl-cn" => {
                    self.send_proxy.set(at, Some(false));
                }
                "check-send-proxy" => self.check_send_proxy.set(at, Some(true)),
                "no-check-send-proxy" => self.check_send_proxy.set(at, Some(false)),
                "addr" => self.addr.set(at, text().map(|text| Some(text.to_owned()))),
                "healthcheck" => self.healthcheck.set(at, text().map(|text| Some(text.to_owned()))),
                "init-addr" => self.init_addr.set(at, text().map(|text| Some(text.to_owned()))),
                "resolvers" => self.resolvers.set(at, text().map(|text| Some(text.to_owned()))),
                "agent-port" => self.agent_port.set(at, number(words.next()).map(not_zero)),
                "fastinter" => self.fastinter.set(at, delay(words.next()).map(Some)),
                "downinter" => self.downinter.set(at, delay(words.next()).map(Some)),
                "slowstart" => self.slowstart.set(at, delay(words.next())),
                "port" => self.port.set(at, number(words.next()).map(not_zero)),
                "inter" => self.inter.set(at, delay(words.next())),
                "fall" => self.fall.set(at, number(words.next())),
                "rise" => self.rise.set(at, number(words.next())),
                "weight" => self.weight.set(at, number(words.next())),
                "cookie" => self.cookie.set(at, text().map(|text| Some(text.to_owned()))),
                "track" => self.track.set(at, text().map(|text| Some(text.to_owned()))),
                "on-marked-down" => self.on_marked_down.set(
                    at,
                    match text() {
                        Some("shutdown-sessions") => Some(OnMarkedDown::ShutdownSessions),
                        _ => None,
                    },
                ),
                "on-marked-up" => self.on_marked_up.set(
                    at,
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

/// HAProxy takes port 0 for none.
fn not_zero(port: u16) -> Option<u16> {
    (port != 0).then_some(port)
}
