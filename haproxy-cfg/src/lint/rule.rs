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
        "The redirect is of another port than the one that is checked, so removing it takes nobody out.",
    TwinCheckPort "twin-check-port" Warning
        "Main and backup entry are checked on the same port: closing it takes out both, and those who stick with them.",
    CheckRoot "check-root" Note
        "A page that always answers says little about the app, and a redirect to a login counts as healthy: a broken app is put back.",
    CheckByConnect "check-by-connect" Note
        "An app that accepts connections before it can answer is taken for healthy, and gets requests too early.",
    KillsSessions "kills-sessions" Warning
        "Whatever is in flight is cut when the server goes down or into maintenance, so it must be empty before.",
    KillsBackupSessions "kills-backup-sessions" Warning
        "Putting the server back cuts what its backups serve at that moment.",
    SlowstartShort "slowstart-short" Note
        "The weight has risen before the next check could see that the app does not bear it.",
    AgentPort "agent-port" Error
        "HAProxy does not start, nor reload, with an agent check that has no port.",
    NoRedispatch "no-redispatch" Warning
        "A request whose server does not answer fails instead of going to another one, as when HAProxy is reloaded during a restart.",
    Persist "persist" Warning
        "Clients that stick are sent to a server that is in maintenance or down as well, so it never empties.",
    CookieWithoutTwin "cookie-without-twin" Warning
        "Clients that stick to it are moved, and lose what it holds of them, as soon as the main entry is down: there is no backup entry that goes on serving them.",
    TwinCookie "twin-cookie" Error
        "Clients that stick to the main entry do not find the backup entry, which has another cookie value.",
    TwinAddress "twin-address" Error
        "Clients that stick are sent to another server while this one is out, or this one gets traffic while it is restarted.",
    NoSocket "no-socket" Warning
        "Without an admin socket nobody can take a server out at once, or see when it is empty.",
    SocketLevel "socket-level" Error
        "A socket below level admin refuses to take servers out.",
    SocketOwner "socket-owner" Note
        "Who may write to the socket then depends on the umask of whoever starts HAProxy.",
    SocketOpen "socket-open" Error
        "Whoever reaches that address can take every server out.",
    NoMasterSocket "no-master-socket" Note
        "After a reload nobody can see what the old worker still serves.",
    StateForgotten "state-forgotten" Note
        "A reload forgets maintenance and weights that were set by hand: a server that is out is back in.",
    StateFile "state-file" Warning
        "States are to be read from a file that nothing names.",
    StateStale "state-stale" Warning
        "HAProxy never writes the file by itself: a file from before takes servers out again that are back, and overrides addresses that were changed since.",
    LongTimeout "long-timeout" Warning
        "A client that says nothing for hours holds its connection that long, and a drain waits for it.",
    NoHardStop "no-hard-stop" Note
        "An old worker serves long connections for ever after a reload.",
    ReuseAlways "reuse-always" Note
        "A request may be the first on a connection that the app is just closing; it is lost if it can't be sent again.",
    FixedWeights "fixed-weights" Note
        "The weight of a server can't change while HAProxy runs, so it can't rise slowly after a restart.",
    InitAddr "init-addr" Note
        "HAProxy does not start, nor reload, while the name can't be resolved.",
    SameAddress "same-address" Warning
        "Taking one entry out leaves the other, which goes on sending requests to the same app.",
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
