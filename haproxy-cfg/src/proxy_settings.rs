//! What a backend can set (configuration manual, 4.2).

use std::time::Duration;

use crate::delay::delay;
use crate::effective::{At, settings};
use crate::word::{Word, number};

settings! {
    /// What a proxy can set, as far as a restart has to do with it.
    pub struct ProxySettings {
        /// `mode`
        mode: Mode = Mode::Tcp,
        /// `balance`: the algorithm; `None` where nothing is said, and HAProxy takes its own.
        balance: Option<String> = None,
        /// `hash-type`: whether a server's weight can change while HAProxy runs, where `balance` is by a hash.
        hash_type: HashType = HashType::MapBased,
        /// `option redispatch`: a request whose server can't be reached may go to another.
        redispatch: bool = false,
        /// `option persist`: clients stick even to a server that is down.
        persist: bool = false,
        /// `option allbackups`: all backup servers are used, not only the first.
        allbackups: bool = false,
        /// `retries`
        retries: u32 = 3,
        /// `timeout check`
        timeout_check: Option<Duration> = None,
        /// `timeout client`
        timeout_client: Option<Duration> = None,
        /// `timeout connect`
        timeout_connect: Option<Duration> = None,
        /// `timeout server`
        timeout_server: Option<Duration> = None,
        /// `timeout tunnel`
        timeout_tunnel: Option<Duration> = None,
        /// `http-reuse`
        http_reuse: HttpReuse = HttpReuse::Safe,
        /// `cookie`: the name of the cookie by which clients stick.
        cookie: Option<String> = None,
        /// `option httpchk`: the URI that its short form names; `None` where no such check is asked for.
        httpchk: Option<Option<String>> = None,
        /// `http-check send uri`
        http_check_uri: Option<String> = None,
        /// `http-check expect`, or a longer check than one request.
        http_check_expect: bool = false,
        /// `http-check connect` or `tcp-check connect`: checks connect as these lines say.
        check_connect: bool = false,
        /// `option external-check`: a program checks, in its own way.
        external_check: bool = false,
        /// `load-server-state-from-file`: whether states are read from a file at the start.
        load_server_state: LoadServerState = LoadServerState::None,
        /// `force-persist`: some clients stick even to a server that is down.
        force_persist: bool = false,
        /// `stick on`, `stick match` or `stick store-request`: clients stick by a table.
        sticks: bool = false,
        /// `disabled`: it serves nobody.
        disabled: bool = false,
    }
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `tcp`
    Tcp,
    /// `http`
    Http,
    /// Any other.
    Other,
}

/// Whether the states of servers outlive a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadServerState {
    /// `none`
    None,
    /// `global`: from the file of `server-state-file`.
    Global,
    /// `local`: from a file of its own.
    Local,
}

/// How a hash finds its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashType {
    /// `map-based`: by a table made at the start; weights are fixed.
    MapBased,
    /// `consistent`: by a tree; weights may change.
    Consistent,
}

/// Whether a connection to a server may serve another client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpReuse {
    /// `never`
    Never,
    /// `safe`
    Safe,
    /// `aggressive`
    Aggressive,
    /// `always`
    Always,
}

impl ProxySettings {
    /// Whether no server's weight can change while HAProxy runs: `balance static-rr`, or one by a hash that is `map-based`
    /// (configuration manual, 4.2, `balance` and `hash-type`). `None` where that can't be known.
    pub fn has_fixed_weights(&self) -> Option<bool> {
        let Some(algorithm) = self.balance.known()? else {
            return Some(false);
        };
        let name = algorithm.split('(').next().unwrap_or_default();
        match name {
            "static-rr" => Some(true),
            "source" | "uri" | "url_param" | "hdr" | "rdp-cookie" | "hash" => {
                Some(*self.hash_type.known()? == HashType::MapBased)
            }
            _ => Some(false),
        }
    }

    /// Applies one line of the section.
    pub(crate) fn apply(&mut self, at: At, keyword: &str, words: &[Word]) {
        let first = words.first();
        let text = || first.and_then(Word::known).map(str::to_owned);
        match keyword {
            "mode" => self.mode.set(at, first.and_then(Word::known).map(mode)),
            "disabled" => self.disabled.set(at, Some(true)),
            "enabled" => self.disabled.set(at, Some(false)),
            "balance" => self.balance.set(at, text().map(Some)),
            "hash-type" => self.hash_type.set(at, text().and_then(|method| hash_type(&method))),
            "retries" => self.retries.set(at, number(first)),
            "cookie" => self.cookie.set(at, text().map(Some)),
            "http-reuse" => self.http_reuse.set(at, text().and_then(|mode| http_reuse(&mode))),
            "load-server-state-from-file" => {
                self.load_server_state.set(at, first.and_then(Word::known).and_then(load_server_state));
            }
            "force-persist" => self.force_persist.set(at, Some(true)),
            "stick" => self.sticks.set(at, Some(true)),
            "http-check" if first.is_some_and(|word| word.text == "send") => {
                let uri = words.iter().skip_while(|word| word.text != "uri").nth(1);
                if let Some(uri) = uri {
                    self.http_check_uri.set(at, uri.known().map(|uri| Some(uri.to_owned())));
                }
            }
            "http-check" if first.is_some_and(|word| word.text == "expect") => {
                self.http_check_expect.set(at, Some(true))
            }
            "http-check" | "tcp-check" if first.is_some_and(|word| word.text == "connect") => {
                self.check_connect.set(at, Some(true));
            }
            "timeout" => self.apply_timeout(at, words),
            "option" => self.apply_option(at, words, true),
            "no" | "default" => match words.split_first() {
                Some((option, words)) if option.known() == Some("option") => {
                    self.apply_option(at, words, false);
                }
                Some((option, _)) if option.variable => *self = Self::unknown(at.place),
                _ => {}
            },
            _ => {}
        }
    }

    fn apply_timeout(&mut self, at: At, words: &[Word]) {
        let Some((which, rest)) = words.split_first() else {
            return;
        };
        let value = delay(rest.first()).map(Some);
        match which.known() {
            Some("client" | "clitimeout") => self.timeout_client.set(at, value),
            Some("connect" | "contimeout") => self.timeout_connect.set(at, value),
            Some("check") => self.timeout_check.set(at, value),
            Some("server") => self.timeout_server.set(at, value),
            Some("tunnel") => self.timeout_tunnel.set(at, value),
            Some(_) => {}
            None => *self = Self::unknown(at.place),
        }
    }

    fn apply_option(&mut self, at: At, words: &[Word], on: bool) {
        let Some((which, rest)) = words.split_first() else {
            return;
        };
        match which.known() {
            Some("persist") => self.persist.set(at, Some(on)),
            Some("allbackups") => self.allbackups.set(at, Some(on)),
            // The last check that is asked for is the one that is made.
            Some("httpchk") => {
                self.httpchk.set(at, httpchk(rest).map(|uri| on.then_some(uri)));
                if on {
                    self.external_check.set(at, Some(false));
                }
            }
            Some(
                which @ ("tcp-check" | "ssl-hello-chk" | "smtpchk" | "ldap-check" | "mysql-check" | "pgsql-check"
                | "redis-check" | "spop-check" | "external-check"),
            ) if on => {
                self.httpchk.set(at, Some(None));
                self.external_check.set(at, Some(which == "external-check"));
            }
            Some("external-check") => self.external_check.set(at, Some(false)),
            Some("redispatch") => {
                // `option redispatch 0` is another way to write `no option redispatch`.
                let interval = match rest.first() {
                    Some(interval) if on => number::<i32>(Some(interval)),
                    _ => Some(-1),
                };
                self.redispatch.set(at, interval.map(|interval| on && interval != 0));
            }
            Some(_) => {}
            None => *self = Self::unknown(at.place),
        }
    }
}

fn hash_type(method: &str) -> Option<HashType> {
    match method {
        "map-based" => Some(HashType::MapBased),
        "consistent" => Some(HashType::Consistent),
        _ => None,
    }
}

fn http_reuse(mode: &str) -> Option<HttpReuse> {
    match mode {
        "never" => Some(HttpReuse::Never),
        "safe" => Some(HttpReuse::Safe),
        "aggressive" => Some(HttpReuse::Aggressive),
        "always" => Some(HttpReuse::Always),
        _ => None,
    }
}

fn mode(name: &str) -> Mode {
    match name {
        "tcp" => Mode::Tcp,
        "http" => Mode::Http,
        _ => Mode::Other,
    }
}

fn load_server_state(from: &str) -> Option<LoadServerState> {
    match from {
        "none" => Some(LoadServerState::None),
        "global" => Some(LoadServerState::Global),
        "local" => Some(LoadServerState::Local),
        _ => None,
    }
}

/// `option httpchk [[METHOD] URI [VERSION]]`
fn httpchk(words: &[Word]) -> Option<Option<String>> {
    if words.iter().any(|word| word.variable) {
        return None;
    }
    let uri = if words.len() == 1 { words.first() } else { words.get(1) };
    Some(uri.map(|uri| uri.text.clone()))
}
