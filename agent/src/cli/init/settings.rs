//! The `pitstop.toml`: a new one from what was found, and what one that is there says and lacks.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use haproxy_cfg::{Config, Environment, Level, Proxy, Server, Source};

use super::host::{HostApp, Listed};
use super::new_file::failed;
use super::ports::CheckPort;
use super::settings_file::{self, AppTable, SettingsFile, address_of_socket};
use super::write::NewSettings;
use super::{Gap, InitError, Initiated, Unlisted, health, unit};
use crate::cli::CliError;
use crate::cli::args::InitOptions;
use crate::config::{self, Settings};
use crate::haproxy::{Address, ServerId};

/// The `pitstop.toml` that is there already.
pub(super) fn existing(path: &Path) -> Result<Option<Settings>, CliError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(Some(config::load(path)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Box::new(failed(path, "looked at")(error)).into()),
    }
}

/// Names and check ports as an existing `pitstop.toml` has them.
pub(super) fn as_configured(
    settings: &Settings,
    apps: &mut [HostApp],
    path: &Path,
) -> Result<Vec<CheckPort>, InitError> {
    let mut ports = Vec::new();
    for app in apps {
        let lists = |main: &Listed| settings.apps.values().find(|configured| configured.servers.contains(&main.id));
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

/// What only a person can fill in: all of it that is marked, or else the first that the configuration is refused for.
pub(super) fn gaps(path: &Path, text: &str) -> Vec<Gap> {
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

impl Initiated {
    /// The new `pitstop.toml`.
    pub(super) async fn new_settings<'p>(
        &self,
        path: &'p Path,
        options: &InitOptions,
    ) -> Result<NewSettings<'p>, CliError> {
        let changed = self.changed_config()?;
        let is_admin = |level: Option<&Level>| level == Some(&Level::Admin);
        let sockets =
            changed.global().sockets.iter().filter(|socket| !socket.conditional && is_admin(socket.level.known()));
        let mut addresses: Vec<_> = sockets.filter_map(|socket| address_of_socket(socket.address.known()?)).collect();
        // What is on this host is nearer than what is reached over TCP.
        addresses.sort_by_key(|address| matches!(address, Address::Tcp(_)));
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

    /// The entries of the apps, those that are to be added among them, that an existing `pitstop.toml` does not name.
    pub(super) fn unlisted(&self, settings: &Settings) -> Vec<Unlisted> {
        let mut all = Vec::new();
        for app in &self.apps {
            let Some(configured) = settings.apps.get(&app.name) else { continue };
            let listed: Vec<_> =
                configured.servers.iter().chain(&configured.backups).map(ServerId::to_string).collect();
            let names = |listed: &[Listed]| listed.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>();
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

    /// The configuration with what it lacked.
    fn changed_config(&self) -> Result<Config, CliError> {
        let new = |path: &Path| self.changes.iter().find(|change| change.path == path).map(|change| change.new.clone());
        let files = self.config.document().files().iter();
        let sources = files
            .map(|file| Source::new(file.name(), new(Path::new(file.name())).unwrap_or_else(|| file.bytes().to_vec())));
        Ok(Config::read(sources.collect(), &Environment::default())?)
    }

    /// The backends of an app.
    fn backends(&self, app: &HostApp) -> impl Iterator<Item = &Proxy> {
        let names: BTreeSet<_> = app.mains.iter().map(|main| main.id.backend.as_str().to_owned()).collect();
        self.config.backends().filter(move |backend| backend.name.as_ref().is_some_and(|name| names.contains(name)))
    }

    /// Whether a backend has no main entry but those of this app.
    pub(super) fn is_alone(&self, app: &HostApp) -> bool {
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

/// Whether a file is no secret. What can't be known counts as one.
fn all_may_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}
