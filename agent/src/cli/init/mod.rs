//! `init`: from HAProxy's configuration to a `pitstop.toml` and the recipe.
//!
//! | file | what it does |
//! |---|---|
//! | `host` | finds the host's servers, and makes apps of them |
//! | `ports` | finds ports for the checks of main entries |
//! | `adoption` | what HAProxy's files lack for these apps |
//! | `health` | makes a probe of what HAProxy's checks ask |
//! | `unit` | finds the systemd unit of an app that runs here |
//! | `settings` | what `pitstop.toml` is to say, or says already |
//! | `settings_file` | the text of `pitstop.toml` |
//! | `lock` | holds HAProxy's files against another `init --write` |
//! | `new_file` | writes files that were not there before |
//! | `write` | writes `pitstop.toml`, and changes HAProxy's files, once `haproxy -c` accepts them |
//! | `report` | says what was found and done |
//! | `steps` | what to type next |
//! | `shell` | words of a command that is printed to be typed |

mod adoption;
mod error;
mod health;
mod host;
mod lock;
mod new_file;
mod ports;
mod report;
mod settings;
mod settings_file;
mod shell;
mod steps;
mod unit;
mod write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use haproxy_cfg::render::Adoption;
use haproxy_cfg::{Config, Environment, Source};

use self::adoption::{adopted, answered, changes, silent};
pub(super) use self::error::InitError;
use self::host::{Found, Host, HostApp};
use self::lock::Lock;
use self::ports::CheckPort;
use self::settings::{as_configured, existing, gaps};
use self::write::Change;
use super::CliError;
use super::args::{Arguments, InitOptions};
use crate::config::Settings;
use crate::config::settings::Label;
use crate::haproxy::read_files;

/// What was found, and what became of it.
#[derive(Debug)]
struct Initiated {
    config: Config,
    apps: Vec<HostApp>,
    check_ports: Vec<CheckPort>,
    adoption: Adoption,
    /// Lines that were left alone, with why.
    left: Vec<(haproxy_cfg::Place, String)>,
    /// What only a person can know, and should look at.
    confirm: Vec<String>,
    /// Main entries of other hosts.
    others: Vec<String>,
    /// What HAProxy's files lack.
    changes: Vec<Change>,
    /// The copies of those that were changed; `None` where nothing was to be written.
    copies: Option<Vec<PathBuf>>,
    /// Whether `pitstop.toml` is new.
    is_new: bool,
    /// What only a person can fill in there.
    gaps: Vec<Gap>,
    /// What one that was there already lacks.
    unlisted: Vec<Unlisted>,
}

/// Something that has to be filled in in `pitstop.toml`.
#[derive(Debug)]
struct Gap {
    line: Option<usize>,
    what: String,
}

/// Entries of an app that its `pitstop.toml` does not name.
#[derive(Debug)]
struct Unlisted {
    app: Label,
    /// Where they belong: `servers` or `backups`.
    key: &'static str,
    names: Vec<String>,
}

/// Writes `pitstop.toml` if there is none, and shows or makes the changes of HAProxy's files.
pub(super) async fn run(arguments: &Arguments, options: &InitOptions) -> Result<ExitCode, CliError> {
    let initiated = initiate(arguments, options).await?;
    if arguments.is_json() {
        report::json(&initiated, arguments, options);
    } else {
        report::human(&initiated, arguments, options);
    }
    Ok(ExitCode::SUCCESS)
}

async fn initiate(arguments: &Arguments, options: &InitOptions) -> Result<Initiated, CliError> {
    refuse_early(options)?;
    // Held from before the files are read that are to be changed until they are.
    let (sources, _lock) = read(options)?;
    let config = Config::read(sources, &Environment::default())?;
    let existing = existing(&arguments.config)?;
    let mut initiated = find(config, existing.as_ref(), arguments, options).await?;
    let settings =
        if initiated.is_new { Some(initiated.new_settings(&arguments.config, options).await?) } else { None };
    if options.write {
        let files = initiated.files();
        let written = write::write(&initiated.changes, &files, &options.haproxy, settings.as_ref()).await;
        initiated.copies = Some(written.map_err(Box::new)?);
    } else if let Some(settings) = &settings {
        settings.create().map_err(Box::new)?.keep();
    }
    if let Some(settings) = settings {
        initiated.gaps = gaps(&arguments.config, &settings.text);
    }
    Ok(initiated)
}

/// HAProxy's files, which nobody else changes by `init` while the lock lives.
fn read(options: &InitOptions) -> Result<(Vec<Source>, Option<Lock>), CliError> {
    let sources = read_files(&options.from)?;
    if !options.write {
        return Ok((sources, None));
    }
    let lock = Lock::take(sources.iter().map(|source| Path::new(&source.name))).map_err(Box::new)?;
    // Until now they might have been changed.
    let held = read_files(&options.from)?;
    let names = |sources: &[Source]| sources.iter().map(|source| source.name.clone()).collect::<Vec<_>>();
    match names(&sources) == names(&held) {
        true => Ok((held, Some(lock))),
        false => Err(Box::new(InitError::Changed { path: options.from.first().cloned().unwrap_or_default() }).into()),
    }
}

/// The host's apps, and what HAProxy's files lack for them.
async fn find(
    config: Config,
    existing: Option<&Settings>,
    arguments: &Arguments,
    options: &InitOptions,
) -> Result<Initiated, CliError> {
    let Found { mut apps, mut left, others } = host::find(&config, &hosts(options).await?).map_err(Box::new)?;
    if options.systemd.is_some() && apps.len() > 1 {
        let apps = apps.iter().map(|app| app.name.to_string()).collect();
        return Err(Box::new(InitError::OneUnit { apps }).into());
    }
    let mut check_ports = match existing {
        Some(settings) => as_configured(settings, &mut apps, &arguments.config).map_err(Box::new)?,
        None if options.socket_only => vec![CheckPort::Traffic; apps.len()],
        None => ports::choose(&config, &apps, options.check_port).await,
    };
    let adoption = adopted(&config, &apps, &mut check_ports, &options.socket);
    left.extend(adoption.left.iter().map(|left| (left.place, left.why.clone())));
    left.extend(apps.iter().zip(&check_ports).filter_map(|(app, port)| answered(app, *port)));
    let changes = changes(&config, &adoption);
    let is_new = existing.is_none();
    let confirm = match is_new {
        true => apps.iter().zip(&check_ports).filter_map(|(app, port)| silent(app, *port)).collect(),
        false => Vec::new(),
    };
    let mut initiated = Initiated {
        config,
        apps,
        check_ports,
        adoption,
        left,
        confirm,
        others,
        changes,
        copies: None,
        is_new,
        gaps: Vec::new(),
        unlisted: Vec::new(),
    };
    initiated.unlisted = existing.map(|settings| initiated.unlisted(settings)).unwrap_or_default();
    Ok(initiated)
}

/// What is wrong whatever the files say.
fn refuse_early(options: &InitOptions) -> Result<(), Box<InitError>> {
    if !options.socket.starts_with('/') {
        return Err(Box::new(InitError::RelativeSocket { path: options.socket.clone() }));
    }
    if options.write && options.from.iter().any(|path| path.as_os_str() == "-") {
        return Err(Box::new(InitError::StandardInput));
    }
    Ok(())
}

async fn hosts(options: &InitOptions) -> Result<Vec<Host>, Box<InitError>> {
    let mut hosts = Vec::new();
    for text in &options.host {
        hosts.push(Host::resolve(text, &options.host).await.map_err(Box::new)?);
    }
    Ok(hosts)
}

impl Initiated {
    /// All files in the order in which HAProxy is given them.
    fn files(&self) -> Vec<PathBuf> {
        self.config.document().files().iter().map(|file| PathBuf::from(file.name())).collect()
    }

    /// The check port of an app's redirect; `None` where the admin socket alone takes it out.
    fn check_port(&self, app: usize) -> Option<u16> {
        match self.check_ports.get(app) {
            Some(CheckPort::Own(port)) => Some(*port),
            _ => None,
        }
    }

    /// The backup entries of an app that are new.
    fn twins(&self, app: &HostApp) -> Vec<String> {
        let is_of = |backend: &str, main: &str| {
            app.mains.iter().any(|listed| listed.id.backend.as_str() == backend && listed.id.server.as_str() == main)
        };
        let twins = self.adoption.twins.iter().filter(|[backend, main, _]| is_of(backend, main));
        twins.map(|[backend, _, twin]| format!("{backend}/{twin}")).collect()
    }
}
