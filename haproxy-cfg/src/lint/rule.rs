//! The rules.

use std::fmt;
use std::str::FromStr;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// A restart may drop requests, or take much longer.
    Warning,
    /// A restart drops requests, or can't be made.
    Error,
}

impl Severity {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no rule of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule called {0}")]
pub struct UnknownRule(pub String);

macro_rules! rules {
    ($($rule:ident $name:literal $severity:ident $why:literal,)*) => {
        /// A rule. Its documentation is why it matters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $why] $rule,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];

            /// Its name, as in `# pitstop: allow NAME`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$rule => $name,)* }
            }

            /// How bad it is, where nothing makes it better or worse.
            pub fn severity(self) -> Severity {
                match self { $(Self::$rule => Severity::$severity,)* }
            }

            /// Why it drops requests.
            pub fn why(self) -> &'static str {
                match self { $(Self::$rule => $why,)* }
            }
        }
    };
}

rules! {
    NoCheck "no-check" Warning
        "HAProxy never notices that the server is down, and goes on sending it requests.",
    CheckPort "check-port" Error
        "Without the redirect the check still passes, so HAProxy goes on sending new clients to an app that is about to stop.",
    TwinCheckPort "twin-check-port" Warning
        "Main and backup entry are one to the checks: both go down at once, and clients that stick are moved in the middle of what they do.",
    PlainCheck "plain-check" Warning
        "Checks reach the app in a language that it does not take: the entry never comes up, or counts as healthy by its connect alone.",
    CheckRoot "check-root" Note
        "The page at `/` often answers, or redirects to a login, while the app can't serve: it gets requests that fail.",
    CheckByConnect "check-by-connect" Note
        "An app that accepts connections before it can answer is taken for healthy, and gets requests too early.",
    KillsSessions "kills-sessions" Warning
        "Whatever is in flight is cut when the server goes down or into maintenance.",
    KillsBackupSessions "kills-backup-sessions" Warning
        "When the server comes back, whatever its backup servers have in flight is cut.",
    SlowstartShort "slowstart-short" Note
        "All of the load is back before a second check can see that a fresh app does not bear it.",
    AgentPort "agent-port" Error
        "HAProxy refuses the configuration: a reload fails, and a restart of HAProxy leaves nothing that serves.",
    NoRedispatch "no-redispatch" Warning
        "A request whose server does not answer fails instead of going to another one. That happens when HAProxy is reloaded during a restart, and to clients that stick.",
    Persist "persist" Warning
        "Clients that stick are sent to their server even when it is in maintenance or down, so it never empties, and their requests fail while it restarts.",
    CookieWithoutTwin "cookie-without-twin" Warning
        "As soon as the main entry is down, clients that stick to it are moved and lose what it holds of them: no backup entry goes on serving them.",
    TwinCookie "twin-cookie" Error
        "When the main entry is down, clients that stick to it do not find the backup entry by their cookie, and are moved.",
    TwinAddress "twin-address" Error
        "When the main entry is down, clients that stick to it land on another server, which does not know them.",
    SameCookie "same-cookie" Warning
        "Clients that stick to the second land on the first as long as that is up, and it does not know them.",
    NoSocket "no-socket" Warning
        "Without an admin socket nobody can take a server out at once, or see when nothing is in flight any more.",
    SocketLevel "socket-level" Error
        "A socket below level admin refuses to take servers out.",
    SocketOwner "socket-owner" Note
        "Who may write to the socket depends on the umask of whoever starts HAProxy: everybody, or not even those who should.",
    SocketOpen "socket-open" Error
        "There is no password: whoever reaches that address can take every server out.",
    NoMasterSocket "no-master-socket" Note
        "After a reload nobody sees what the old worker still serves, and an app that looks idle is stopped in the middle of a request.",
    StateForgotten "state-forgotten" Warning
        "A reload forgets maintenance and weights that were set by hand: a server that is out gets requests again.",
    StateFile "state-file" Warning
        "HAProxy loads nothing, so a reload forgets maintenance and weights that were set by hand: a server that is out gets requests again.",
    StateStale "state-stale" Note
        "HAProxy never writes the file by itself: an old one takes servers out that are back, puts servers in that are out, and overrides addresses that were changed since.",
    LongTimeout "long-timeout" Warning
        "Whoever says nothing holds a connection that long, and so long nobody can tell when the server is empty.",
    NoHardStop "no-hard-stop" Note
        "After a reload an old worker serves long connections for ever, by the configuration of before.",
    ReuseAlways "reuse-always" Note
        "The first request of a client may go to a connection that the app is just closing: it fails, and clients do not send it again by themselves.",
    FixedWeights "fixed-weights" Note
        "The weight of a server can't change while HAProxy runs, so it can't rise slowly after a restart; with a hash, most clients move when one server goes.",
    InitAddr "init-addr" Note
        "While the name can't be resolved, HAProxy refuses the configuration: a reload fails, and a restart of HAProxy leaves nothing that serves.",
    SameAddress "same-address" Warning
        "Taking one entry out leaves the other, which goes on sending requests to the same app.",
    UnknownAllow "unknown-allow" Warning
        "A comment that names no rule, or is not written as `# pitstop: allow RULE`, allows nothing.",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(name: &str) -> Result<Self, UnknownRule> {
        let rule = Self::ALL.iter().find(|rule| rule.name() == name);
        rule.copied().ok_or_else(|| UnknownRule(name.to_owned()))
    }
}
