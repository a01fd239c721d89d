//! `init`: from HAProxy's configuration to a `pitstop.toml` and the recipe.
//!
//! | file | what it does |
//! |---|---|
//! | `host` | finds the host's servers, and makes apps of them |
//! | `ports` | finds ports for the checks of main entries |
//! | `health` | makes a probe of what HAProxy's checks ask |
//! | `unit` | finds the systemd unit of an app that runs here |
//! | `settings_file` | the text of `pitstop.toml` |
//! | `lock` | holds HAProxy's files against another `init --write` |
//! | `new_file` | writes files that were not there before |
//! | `write` | writes `pitstop.toml`, and changes HAProxy's files, once `haproxy -c` accepts them |
//! | `report` | says what was found and done |
//! | `steps` | what to type next |
//! | `shell` | words of a command that is printed to be typed |

mod error;
mod health;
mod host;
mod lock;
mod new_file;
mod ports;
mod report;
mod settings_file;
mod shell;
mod steps;
mod unit;
mod write;

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use haproxy_cfg::render::{Adoption, Wanted, adopt, edit};
use haproxy_cfg::{Config, Environment, Level, Proxy, Server, Source};

pub(super) use self::error::InitError;
use self::host::{Found, Host, HostApp};
use self::lock::Lock;
use self::new_file::failed;
use self::ports::CheckPort;
use self::settings_file::{AppTable, SettingsFile, address_of_socket};
use self::write::{Change, NewSettings};
use super::CliError;
use super::args::{Arguments, InitOptions};
use crate::config::settings::Label;
use crate::config::{self, Settings};
use crate::haproxy::{ServerId, read_files};

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

/// What only a person can fill in: all of it that is marked, or else the first that the configuration is refused for.
fn gaps(path: &Path, text: &str) -> Vec<Gap> {
    let Err(flaw) = config::parse(path, text) else { return Vec::new() };
    let marked = |(line, text): (usize, &str)| {
        Some(Gap { line: Some(line), what: text.strip_prefix(settings_file::FILL_IN)?.to_owned() })
    };
    let marked: Vec<_> = (1..).zip(text.lines()).filter_map(marked).collect();
    match marked.is_empty() {
        true => vec![Gap { line: flaw.position.map(|position| position.line), what: flaw.what }],
        false => marked,
    }
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

/// The `pitstop.toml` that is there already.
fn existing(path: &Path) -> Result<Option<Settings>, CliError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(Some(config::load(path)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Box::new(failed(path, "looked at")(error)).into()),
    }
}

/// Whether a file is no secret. What can't be known counts as one.
fn all_may_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

/// Names and check ports as an existing `pitstop.toml` has them.
fn as_configured(settings: &Settings, apps: &mut [HostApp], path: &Path) -> Result<Vec<CheckPort>, InitError> {
    let mut ports = Vec::new();
    for app in apps {
        let lists =
            |main: &host::Listed| settings.apps.values().find(|configured| configured.servers.contains(&main.id));
        let Some(configured) = app.mains.iter().find_map(lists) else {
            let server = app.mains.first().map(|main| main.id.to_string()).unwrap_or_default();
            return Err(InitError::NotNamed { path: path.to_owned(), server });
        };
        app.name = configured.name.clone();
        let redirect = configured.redirect.as_ref();
        ports.push(redirect.map_or(CheckPort::Traffic, |redirect| CheckPort::Own(redirect.check_port)));
    }
    Ok(ports)
}

/// What the apps' lines lack. Where a main entry can't be checked on the app's check port, the app gets no redirect: so none of its lines
/// may be led to that port, for nothing would answer there.
fn adopted(config: &Config, apps: &[HostApp], check_ports: &mut [CheckPort], socket: &str) -> Adoption {
    let mut left = adopt(config, &wanted(apps, check_ports), socket).left;
    for (app, check_port) in apps.iter().zip(check_ports.iter_mut()) {
        let CheckPort::Own(port) = *check_port else { continue };
        let missing = |main: &&host::Listed| !is_checked_at(config, main, port);
        let places: Vec<_> = app.mains.iter().filter(missing).map(|main| main.server.place).collect();
        let of_app = left.iter_mut().filter(|left| places.contains(&left.place));
        for left in of_app {
            left.why += &format!(": so the admin socket alone takes {} out", app.name);
            *check_port = CheckPort::Traffic;
        }
    }
    let mut adoption = adopt(config, &wanted(apps, check_ports), socket);
    let places: Vec<_> = adoption.left.iter().map(|left| left.place).collect();
    adoption.left.extend(left.into_iter().filter(|left| !places.contains(&left.place)));
    adoption
}

/// Whether a redirect of this port takes the entry out as it stands.
fn is_checked_at(config: &Config, main: &host::Listed, port: u16) -> bool {
    let (server, settings) = (&main.server, &main.server.settings);
    let backend = config.backend(main.id.backend.as_str());
    let follows_port = backend.is_some_and(|backend| backend.settings.check_connect.is(&false));
    follows_port && server.check_port.is(&Some(port)) && settings.addr.is(&None) && settings.track.is(&None)
}

fn wanted(apps: &[HostApp], ports: &[CheckPort]) -> Vec<Wanted> {
    let all = apps.iter().zip(ports).flat_map(|(app, port)| {
        app.mains.iter().map(|main| Wanted {
            backend: main.id.backend.to_string(),
            server: main.id.server.to_string(),
            check_port: match port {
                CheckPort::Own(port) => Some(*port),
                CheckPort::Answered(_) | CheckPort::Traffic => None,
            },
        })
    });
    all.collect()
}

fn answered(app: &HostApp, port: CheckPort) -> Option<(haproxy_cfg::Place, String)> {
    let (CheckPort::Answered(port), Some(main)) = (port, app.mains.first()) else { return None };
    let why = format!(
        "{} is checked on port {port}, on which something answers here: so it stays, and the admin socket alone takes it out",
        main.id
    );
    Some((main.server.place, why))
}

/// A check port that was there, and on which nothing answers now: whatever did there would be taken out of sight by the redirect.
fn silent(app: &HostApp, port: CheckPort) -> Option<String> {
    let CheckPort::Own(port) = port else { return None };
    let main = app.mains.iter().find(|main| main.server.check_port.is(&Some(port)))?;
    Some(format!(
        "{} is checked on port {port} already, on which nothing answers here now. The redirect rests on that: if something is to answer          there (a page for checks that is down now), leave the redirect out: --socket-only",
        main.id
    ))
}

/// The files that lack something.
fn changes(config: &Config, adoption: &Adoption) -> Vec<Change> {
    let files = config.document().files().iter().zip(0..);
    let changes = files.map(|(file, number)| Change {
        path: PathBuf::from(file.name()),
        old: file.bytes().to_vec(),
        new: edit::edited(config.document(), number, &adoption.edits),
    });
    changes.filter(|change| change.old != change.new).collect()
}

impl Initiated {
    /// All files in the order in which HAProxy is given them.
    fn files(&self) -> Vec<PathBuf> {
        self.config.document().files().iter().map(|file| PathBuf::from(file.name())).collect()
    }

    /// The configuration with what it lacked.
    fn changed_config(&self) -> Result<Config, CliError> {
        let new = |path: &Path| self.changes.iter().find(|change| change.path == path).map(|change| change.new.clone());
        let files = self.config.document().files().iter();
        let sources = files
            .map(|file| Source::new(file.name(), new(Path::new(file.name())).unwrap_or_else(|| file.bytes().to_vec())));
        Ok(Config::read(sources.collect(), &Environment::default())?)
    }

    /// The check port of an app's redirect; `None` where the admin socket alone takes it out.
    fn check_port(&self, app: usize) -> Option<u16> {
        match self.check_ports.get(app) {
            Some(CheckPort::Own(port)) => Some(*port),
            _ => None,
        }
    }

    /// The new `pitstop.toml`.
    async fn new_settings<'p>(&self, path: &'p Path, options: &InitOptions) -> Result<NewSettings<'p>, CliError> {
        let changed = self.changed_config()?;
        let is_admin = |level: Option<&Level>| level == Some(&Level::Admin);
        let sockets =
            changed.global().sockets.iter().filter(|socket| !socket.conditional && is_admin(socket.level.known()));
        let mut addresses: Vec<_> = sockets.filter_map(|socket| address_of_socket(socket.address.known()?)).collect();
        // What is on this host is nearer than what is reached over TCP.
        addresses.sort_by_key(|address| matches!(address, crate::haproxy::Address::Tcp(_)));
        let mut tables = Vec::new();
        for (number, app) in self.apps.iter().enumerate() {
            let unit = match &options.systemd {
                Some(unit) => Some(unit.clone()),
                None => unit::unit_at(app.listen).await,
            };
            let check_port = self.check_port(number);
            let (health, health_port) = health::health(&self.config, app, check_port.is_some());
            tables.push(AppTable {
                app,
                twins: self.twins(app),
                check_port,
                health,
                health_port,
                unit,
                is_alone: self.is_alone(app),
                has_stand_in: self.has_stand_in(app),
            });
        }
        let files = options.from.iter().filter(|path| path.as_os_str() != "-");
        let files = files.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone())).collect();
        let file = SettingsFile {
            config: &self.config,
            from: &options.from,
            socket: addresses.into_iter().next(),
            files,
            apps: tables,
        };
        let is_open = !file.has_secrets() && self.files().iter().all(|path| all_may_read(path));
        Ok(NewSettings { path, text: file.text(), mode: if is_open { 0o644 } else { 0o600 } })
    }

    /// The backup entries of an app that are new.
    fn twins(&self, app: &HostApp) -> Vec<String> {
        let is_of = |backend: &str, main: &str| {
            app.mains.iter().any(|listed| listed.id.backend.as_str() == backend && listed.id.server.as_str() == main)
        };
        let twins = self.adoption.twins.iter().filter(|[backend, main, _]| is_of(backend, main));
        twins.map(|[backend, _, twin]| format!("{backend}/{twin}")).collect()
    }

    /// The entries of the apps, those that are to be added among them, that an existing `pitstop.toml` does not name.
    fn unlisted(&self, settings: &Settings) -> Vec<Unlisted> {
        let mut all = Vec::new();
        for app in &self.apps {
            let Some(configured) = settings.apps.get(&app.name) else { continue };
            let listed: Vec<_> =
                configured.servers.iter().chain(&configured.backups).map(ServerId::to_string).collect();
            let names = |listed: &[host::Listed]| listed.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>();
            let backups = [names(&app.backups), self.twins(app)].concat();
            for (key, names) in [("servers", names(&app.mains)), ("backups", backups)] {
                let names: Vec<_> = names.into_iter().filter(|name| !listed.contains(name)).collect();
                if !names.is_empty() {
                    all.push(Unlisted { app: app.name.clone(), key, names });
                }
            }
        }
        all
    }

    /// The backends of an app.
    fn backends(&self, app: &HostApp) -> impl Iterator<Item = &Proxy> {
        let names: BTreeSet<_> = app.mains.iter().map(|main| main.id.backend.as_str().to_owned()).collect();
        self.config.backends().filter(move |backend| backend.name.as_ref().is_some_and(|name| names.contains(name)))
    }

    /// Whether a backend has no main entry but those of this app.
    fn is_alone(&self, app: &HostApp) -> bool {
        self.backends(app).any(|backend| is_alone_in(backend, app))
    }

    /// Whether each backend in which it is alone has a backup entry that is none of this app's.
    fn has_stand_in(&self, app: &HostApp) -> bool {
        let is_own = |place| app.mains.iter().chain(&app.backups).any(|own| own.server.place == place);
        let stands_in = |backup: &Server| backup.settings.backup.is(&true) && !is_own(backup.place);
        self.backends(app)
            .filter(|backend| is_alone_in(backend, app))
            .all(|backend| backend.server_lines().any(|server| stands_in(&server)))
    }
}

/// Whether a backend has no main entry but those of this app.
fn is_alone_in(backend: &Proxy, app: &HostApp) -> bool {
    let is_own = |place| app.mains.iter().any(|own| own.server.place == place);
    backend.server_lines().all(|server| server.settings.backup.is(&true) || is_own(server.place))
}
