//! `haproxy-cfg render`.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use haproxy_cfg::render::{AdminSocket, Backend, Entry, HttpCheck, Recipe};

use crate::cli::CliError;
use crate::cli::args::{Arguments, RenderOptions};
use crate::cli::check::chosen;
use crate::cli::printer;
use crate::config::settings::{App, Balancer, HttpProbe, ProbeKind};
use crate::config::{self, Settings};
use crate::haproxy::{Address, ServerId};

/// What is said of checks where no redirect says otherwise; HAProxy's own defaults.
const INTER: Duration = Duration::from_secs(2);
const FALL: u32 = 3;
const RISE: u32 = 2;
/// As in the recipe's `defaults`.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Why nothing can be written from this configuration.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the apps have several balancers ({}), and each has a file of its own", known.join(", "))]
    SeveralBalancers { known: Vec<String> },
    #[error("there is no balancer {name:?} here; there is {}", known.join(", "))]
    UnknownBalancer { name: String, known: Vec<String> },
    #[error("nothing is known of any entry: no app lists servers")]
    NoServers,
    #[error("app {app} listens on {listen}, which is no address that a balancer can reach")]
    AnyAddress { app: String, listen: SocketAddr },
    #[error("the apps of backend {backend} are not alike: one is probed over HTTP, another is not")]
    Mixed { backend: String },
    #[error("backend {backend} has one check for all its servers, and its apps ask for different ones: {} in {first} and {second}", what.join(", "))]
    Differ { backend: String, first: String, second: String, what: Vec<&'static str> },
    #[error("backend {backend} speaks TCP, in which there are no cookies: no app of it is probed over HTTP")]
    CookieOverTcp { backend: String },
}

impl RenderError {
    /// What to type.
    pub(in crate::cli) fn hint(&self) -> String {
        match self {
            Self::SeveralBalancers { known } | Self::UnknownBalancer { known, .. } => {
                let name = known.first().map_or("NAME", String::as_str);
                format!("say whose file it is to be: --balancer {name}")
            }
            Self::NoServers => "add to the app, for example: servers = [\"srvs/webA\"]".to_owned(),
            Self::AnyAddress { .. } => {
                "say where the balancer finds this host, for example: --host 10.0.0.2".to_owned()
            }
            Self::Mixed { .. } => "give each of them a [[apps.X.ready]] with `http`, or none of them".to_owned(),
            Self::Differ { first, .. } => {
                format!(
                    "make the first [[apps.X.ready]] with `http` and the `check_timeout` alike, or name fewer apps: pitstop haproxy-cfg render {first}"
                )
            }
            Self::CookieOverTcp { .. } => "leave out --cookie, or name only apps that are probed over HTTP".to_owned(),
        }
    }
}

/// Prints the recipe for some apps, or all.
pub(super) fn run(arguments: &Arguments, options: &RenderOptions) -> Result<ExitCode, CliError> {
    let settings = config::load(&arguments.config)?;
    let apps = chosen(&settings, &options.apps)?;
    let recipe = recipe(&settings, &apps, options)?;
    if arguments.is_json() {
        let line = serde_json::json!({"event": "rendered", "text": recipe.to_string(), "exit_code": 0});
        printer::out(&line.to_string());
    } else {
        printer::out_all(recipe.to_string().as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}

fn recipe(settings: &Settings, apps: &[&App], options: &RenderOptions) -> Result<Recipe, RenderError> {
    let balancer = balancer(settings, apps, options.balancer.as_deref())?;
    let is_here =
        |app: &App| balancer.is_none_or(|balancer| app.balancers.iter().any(|other| other.name == balancer.name));
    let mut backends: Vec<Backend> = Vec::new();
    let mut firsts: Vec<&App> = Vec::new();
    for app in apps.iter().filter(|app| is_here(app)) {
        let entries = app.servers.iter().map(|id| (id, false)).chain(app.backups.iter().map(|id| (id, true)));
        for (id, backup) in entries {
            let name = id.backend.as_str();
            let at = match backends.iter().position(|backend| backend.name == name) {
                Some(at) => at,
                None => {
                    backends.push(new_backend(name, app, options)?);
                    firsts.push(app);
                    backends.len() - 1
                }
            };
            let (Some(backend), Some(first)) = (backends.get_mut(at), firsts.get(at)) else { continue };
            if backend.http != http_probe(app).is_some() {
                return Err(RenderError::Mixed { backend: name.to_owned() });
            }
            let what = differences(first, app);
            if !what.is_empty() {
                let [first, second] = [first, app].map(|app| app.name.to_string());
                return Err(RenderError::Differ { backend: name.to_owned(), first, second, what });
            }
            backend.entries.push(entry(app, id, backup, options)?);
        }
    }
    if backends.is_empty() {
        return Err(RenderError::NoServers);
    }
    let socket = balancer.and_then(|balancer| balancer.socket.as_ref()).map(|address| match address {
        Address::Unix(path) => AdminSocket::Unix(path.display().to_string()),
        Address::Tcp(address) => AdminSocket::Tcp(*address),
    });
    let master = balancer.and_then(|balancer| balancer.master.as_ref()).map(|address| match address {
        Address::Unix(path) => path.display().to_string(),
        Address::Tcp(address) => address.to_string(),
    });
    Ok(Recipe { socket, master, bind: options.bind.clone(), backends })
}

/// Whose file it is to be; `None` where the apps have no balancer.
fn balancer<'s>(
    settings: &'s Settings,
    apps: &[&App],
    name: Option<&str>,
) -> Result<Option<&'s Balancer>, RenderError> {
    let is_used =
        |balancer: &&Balancer| apps.iter().any(|app| app.balancers.iter().any(|used| used.name == balancer.name));
    let used: Vec<_> = settings.balancers.values().filter(is_used).collect();
    let known = || used.iter().map(|balancer| balancer.name.to_string()).collect();
    match (name, used.as_slice()) {
        (Some(name), _) => match used.iter().find(|balancer| balancer.name.as_str() == name) {
            Some(balancer) => Ok(Some(balancer)),
            None => Err(RenderError::UnknownBalancer { name: name.to_owned(), known: known() }),
        },
        (None, []) => Ok(None),
        (None, [one]) => Ok(Some(one)),
        (None, _) => Err(RenderError::SeveralBalancers { known: known() }),
    }
}

fn new_backend(name: &str, app: &App, options: &RenderOptions) -> Result<Backend, RenderError> {
    let probe = http_probe(app);
    if probe.is_none() && options.cookie.is_some() {
        return Err(RenderError::CookieOverTcp { backend: name.to_owned() });
    }
    Ok(Backend {
        name: name.to_owned(),
        http: probe.is_some(),
        cookie: options.cookie.clone(),
        check: probe.map(http_check),
        check_timeout: Some(check_timeout(app)).filter(|timeout| *timeout != CHECK_TIMEOUT),
        entries: Vec::new(),
    })
}

fn check_timeout(app: &App) -> Duration {
    app.redirect.as_ref().map_or(CHECK_TIMEOUT, |redirect| redirect.check_timeout)
}

/// In what the checks of two apps differ, which are one in a backend. A host that nobody gave is the app's own address, and is not meant.
fn differences(one: &App, other: &App) -> Vec<&'static str> {
    let mut what = Vec::new();
    if let (Some(one), Some(other)) = (http_probe(one), http_probe(other)) {
        let status = |probe: &HttpProbe| probe.status.iter().copied().collect::<BTreeSet<_>>();
        let all = [
            ("path", one.path != other.path),
            ("host", given_host(one) != given_host(other)),
            ("status", status(one) != status(other)),
        ];
        what.extend(all.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what));
    }
    if check_timeout(one) != check_timeout(other) {
        what.push("check_timeout");
    }
    what
}

fn given_host(probe: &HttpProbe) -> Option<&str> {
    let host = probe.request_headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    host.map(|(_, host)| host.as_str())
}

/// The probe that a check of HAProxy's can make as well: it asks where the app takes traffic.
fn http_probe(app: &App) -> Option<&HttpProbe> {
    app.ready.iter().find_map(|probe| match &probe.kind {
        ProbeKind::Http(http) if http.port == app.listen.port() => Some(http),
        _ => None,
    })
}

fn http_check(probe: &HttpProbe) -> HttpCheck {
    let host = match given_host(probe) {
        Some(host) => host.to_owned(),
        None if probe.host.contains(':') => format!("[{}]:{}", probe.host, probe.port),
        None => format!("{}:{}", probe.host, probe.port),
    };
    HttpCheck { uri: probe.path.clone(), host: Some(host), status: probe.status.clone() }
}

fn entry(app: &App, id: &ServerId, backup: bool, options: &RenderOptions) -> Result<Entry, RenderError> {
    let redirect = app.redirect.as_ref();
    // The value is the main entry's name: its twin has the same.
    let main = app.servers.iter().find(|main| main.backend == id.backend).unwrap_or(id);
    Ok(Entry {
        name: id.server.to_string(),
        address: address(app, options.host)?.to_string(),
        check_port: redirect.map(|redirect| redirect.check_port).filter(|_| !backup),
        cookie: options.cookie.as_ref().map(|_| main.server.to_string()),
        tls: http_probe(app).is_some_and(|probe| probe.tls),
        backup,
        inter: redirect.map_or(INTER, |redirect| redirect.inter),
        fall: redirect.map_or(FALL, |redirect| redirect.fall),
        rise: redirect.map_or(RISE, |redirect| redirect.rise),
    })
}

/// Where the balancer finds it.
fn address(app: &App, host: Option<IpAddr>) -> Result<SocketAddr, RenderError> {
    let ip = app.listen.ip();
    match host {
        Some(host) if ip.is_loopback() || ip.is_unspecified() => Ok(SocketAddr::new(host, app.listen.port())),
        None if ip.is_unspecified() => Err(RenderError::AnyAddress { app: app.name.to_string(), listen: app.listen }),
        _ => Ok(app.listen),
    }
}
