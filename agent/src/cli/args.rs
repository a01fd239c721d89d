//! The arguments, as clap reads them; their texts are the help and the man pages.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Restarts an application behind HAProxy without dropping a request.
///
/// It takes the app's servers out of rotation on every balancer, waits until nothing is in flight, restarts the app,
/// proves that it is healthy, and puts it back.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(long, global = true, value_name = "FILE", default_value = crate::config::DEFAULT_PATH, env = "PITSTOP_CONFIG")]
    pub config: PathBuf,

    /// Where journals and claims live
    #[arg(long, global = true, value_name = "DIR", default_value = STATE_DIR, env = "PITSTOP_STATE_DIR")]
    pub state_dir: PathBuf,

    /// What goes to stdout: text for people, or JSON for programs
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub output: Format,

    /// Logs what is asked and answered, to stderr; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  internal error
  2  wrong usage or configuration
  3  refused: nothing was touched
  4  another run holds the app: nothing was touched
  5  undone: the app was not stopped, everything is as it was found
  6  the app stays out of rotation, or is in on some balancers only
  7  stuck: needs a person";

const RECOVER_CODES: &str = "\
Exit codes:
  0  nothing is owing (any more)
  3  refused, and still owing: nothing was touched
  4  another run holds an app
  6  an app stays out of rotation, or is in on some balancers only
  7  stuck: needs a person";

/// What goes to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Does a whole pit stop: out, drain, restart, proof, in
    #[command(after_help = EXIT_CODES)]
    Restart(OutOptions),
    /// Takes an app out of rotation, waits until nothing is in flight, and leaves it out
    #[command(after_help = EXIT_CODES)]
    Out(LeaseOptions),
    /// Proves an app healthy and puts it in rotation; also sets the redirect at boot
    #[command(after_help = EXIT_CODES)]
    In(InOptions),
    /// Finishes or undoes what died in the middle, and pays what is owing; for the boot, and after any mishap
    #[command(after_help = RECOVER_CODES)]
    Recover {
        /// Only these apps
        apps: Vec<String>,
    },
    /// Shows every app: in or out on each balancer, what is in flight, the process, the last run
    Status {
        /// Only these apps
        apps: Vec<String>,
    },
    /// Checks the configuration and the live system, and touches nothing
    Check {
        /// Only these apps
        apps: Vec<String>,
    },
    /// Reads HAProxy's own configuration, or writes it
    #[command(subcommand)]
    HaproxyCfg(HaproxyCfg),
    /// Writes pitstop.toml from HAProxy's configuration, and shows what haproxy.cfg lacks for restarts without a lost request
    #[command(after_help = INIT_CODES)]
    Init(InitOptions),
    /// Keeps an app that is out, or owing, until that is over; left behind by the commands that need it
    #[command(hide = true)]
    Keep {
        /// The app
        app: String,
    },
    /// Prints the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Writes the man pages
    Man {
        /// Where to
        folder: PathBuf,
    },
}

impl Command {
    /// Whether it changes something outside.
    pub(super) fn acts(&self) -> bool {
        match self {
            Self::Restart(_) | Self::Out(_) | Self::In(_) | Self::Recover { .. } | Self::Keep { .. } => true,
            Self::Status { .. }
            | Self::Check { .. }
            | Self::HaproxyCfg(_)
            | Self::Init(_)
            | Self::Completions { .. }
            | Self::Man { .. } => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum HaproxyCfg {
    /// Says what in it would make a restart drop requests, why, and what to write instead
    ///
    /// Where pitstop.toml names one of the files as `config` of a balancer, its redirects, ramps and master sockets count as well. A comment
    /// `# pitstop: allow RULE` on a line, or on one of its own before it, silences that rule there.
    #[command(after_help = LINT_CODES)]
    Lint(LintOptions),
    /// Writes the main and backup entries of this host's apps, as pitstop.toml has them
    Render(RenderOptions),
}

const INIT_CODES: &str = "\
Exit codes:
  0  done
  1  a file could not be read or written
  2  wrong usage or configuration, no such server, `haproxy -c` does not take the result or is too late, or somebody else
     changed a file meanwhile
  4  another `init --write` is at work on the files: nothing was touched";

/// HAProxy's configuration, as distributions have it.
pub(super) const HAPROXY_CFG: &str = "/etc/haproxy/haproxy.cfg";
/// HAProxy's admin socket, as distributions have it.
pub(super) const ADMIN_SOCKET: &str = "/run/haproxy/admin.sock";
/// Where journals and claims live where nothing is said.
pub(super) const STATE_DIR: &str = "/var/lib/pitstop";
/// The program, found by `PATH`.
pub(super) const HAPROXY: &str = "haproxy";

/// Of `haproxy-cfg render`.
#[derive(Debug, Args)]
pub(super) struct RenderOptions {
    /// Only these apps
    pub apps: Vec<String>,

    /// Whose file it is to be, where pitstop.toml has several balancers
    #[arg(long, value_name = "NAME")]
    pub balancer: Option<String>,

    /// Where the balancer finds an app that listens on a loopback or any address
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<std::net::IpAddr>,

    /// Lets clients stick by a cookie of this name; its values are the main entries' names
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub cookie: Option<String>,

    /// Writes a frontend, too, which listens here, such as :80
    #[arg(long, value_name = "ADDRESS", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub bind: Option<String>,
}

/// Of `init`.
#[derive(Debug, Args)]
pub(super) struct InitOptions {
    /// Files and folders of HAProxy's configuration, in the order in which HAProxy is given them with -f
    #[arg(long, value_name = "FILE", num_args = 1.., default_value = HAPROXY_CFG)]
    pub from: Vec<PathBuf>,

    /// By which address HAProxy knows this host; may be given several times
    #[arg(long, value_name = "ADDRESS", required = true)]
    pub host: Vec<String>,

    /// The first port to try for the checks of the main entries; without it, 1000 above the app's own
    #[arg(long, value_name = "PORT", conflicts_with = "socket_only", value_parser = clap::value_parser!(u16).range(1..))]
    pub check_port: Option<u16>,

    /// No ports of their own for checks, and no backup entries: the admin socket alone takes the apps out
    #[arg(long)]
    pub socket_only: bool,

    /// The systemd unit of the app, where this host has one app, and it is not found by who listens
    #[arg(long, value_name = "UNIT")]
    pub systemd: Option<String>,

    /// Where an admin socket is added, if there is none
    #[arg(long, value_name = "PATH", default_value = ADMIN_SOCKET, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub socket: String,

    /// Changes HAProxy's files, too, once `haproxy -c` accepts the result; keeps a copy of each
    #[arg(long)]
    pub write: bool,

    /// The program that checks them
    #[arg(long, value_name = "PATH", default_value = HAPROXY)]
    pub haproxy: PathBuf,
}

const LINT_CODES: &str = "\
Exit codes:
  0  clean: nothing as bad as --fail-on
  1  findings as bad as that
  2  wrong usage, a file that can't be read, or one that HAProxy could not read either";

/// Of `haproxy-cfg lint`.
#[derive(Debug, Args)]
pub(super) struct LintOptions {
    /// Files and folders in the order in which HAProxy is given them with -f; - is standard input
    #[arg(value_name = "FILE", default_value = HAPROXY_CFG)]
    pub files: Vec<PathBuf>,

    /// A variable of HAProxy's environment; with at least one, all others count as not set
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub set: Vec<(String, String)>,

    /// The least severity that ends with exit code 1
    #[arg(long, value_name = "SEVERITY", default_value = "warning")]
    pub fail_on: FailOn,

    /// Also prints how long HAProxy's checks alone take, at worst, to see each server go and come
    #[arg(long)]
    pub times: bool,
}

/// A severity of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Note,
    Warning,
    Error,
}

impl From<FailOn> for haproxy_cfg::lint::Severity {
    fn from(severity: FailOn) -> Self {
        match severity {
            FailOn::Note => Self::Note,
            FailOn::Warning => Self::Warning,
            FailOn::Error => Self::Error,
        }
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// The app, as [apps.NAME] in the configuration
    pub app: String,

    /// Why; kept in the journal and shown to others
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Prints what would be done, with the exact commands, and touches nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Of `restart` and `out`.
#[derive(Debug, Args)]
pub(super) struct OutOptions {
    #[command(flatten)]
    pub run: RunOptions,

    /// Refuses where somebody else has a server in maintenance
    #[arg(long)]
    pub strict: bool,

    /// Does not ask the guard how many others are up
    #[arg(long)]
    pub force: bool,
}

/// Of `out`.
#[derive(Debug, Args)]
pub(super) struct LeaseOptions {
    #[command(flatten)]
    pub out: OutOptions,

    /// For how long, such as 30m or 2h; then it is proven and put back. Without it: until somebody says `in`
    #[arg(long = "for", value_name = "TIME", value_parser = lease)]
    pub lease: Option<Duration>,
}

/// Of `in`.
#[derive(Debug, Args)]
pub(super) struct InOptions {
    #[command(flatten)]
    pub run: RunOptions,

    /// Replaces foreign rules on the check port by ours, without a gap
    #[arg(long)]
    pub adopt_rules: bool,
}

/// The shortest and the longest time that an app may be taken out for.
const LEASE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(366 * 24 * 3600)];

fn lease(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}: write it as 90s, 30m or 2h30m"))?;
    let [shortest, longest] = LEASE;
    match time {
        _ if time < shortest => Err("it is too short: at least 1s".to_owned()),
        _ if time > longest => Err("it is too long: at most 366d; without --for it is until `pitstop in`".to_owned()),
        _ => Ok(time),
    }
}
