//! Apps behind a HAProxy that nobody has prepared for pit stops.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use haproxy_cfg::Config as Read;
use haproxy_cfg::lint::{Context, Redirected, Severity, lint};
use integration::app::App;
use integration::haproxy::{Config, Haproxy, Version};
use integration::load::{Load, Options};
use integration::netns::Namespace;
use integration::pitstop::{Outcome, Pitstop};

pub(crate) const FRONTEND: &str = "127.0.0.1:8000";
pub(crate) const SOON: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(1);

/// Two apps, `webA` on port 1001 and `webB` on port 1002, a HAProxy, and a pitstop without a `pitstop.toml`.
pub(crate) struct Scene {
    pub(crate) version: Version,
    pub(crate) apps: Vec<App>,
    pub(crate) haproxy: Haproxy,
    pub(crate) pitstop: Pitstop,
    _namespace: Namespace,
}

impl Scene {
    /// With this configuration of HAProxy, beside its frontend, which leads to backend `srvs`.
    pub(crate) fn start(version: Version, config: Config) -> Self {
        // Without the option a worker that ends closes idle connections on which a request may be on its way. 2.2 does not know it.
        let config = match version {
            Version::Bed("2.2") => config,
            _ => config.defaults("option idle-close-on-response"),
        };
        let namespace = Namespace::new();
        let listen = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let apps = vec![App::new("webA", listen(1001)).started(), App::new("webB", listen(1002)).started()];
        let haproxy = Haproxy::start(version, config.frontend("www", FRONTEND.parse().unwrap(), "srvs"));
        let pitstop = Pitstop::new("");
        std::fs::remove_file(pitstop.config()).unwrap();
        Self { version, apps, haproxy, pitstop, _namespace: namespace }
    }

    /// Clients of all kinds, of which many stick where they can.
    pub(crate) fn load(&self) -> Load {
        let target = FRONTEND.parse().unwrap();
        load_of(Options { sticky: 6, sticky_per_request: 4, ..Options::mix(target, LONG) })
    }

    /// Clients that use each connection once. In TCP mode a session lasts as long as its connection, and on 2.2 a reload closes
    /// idle ones.
    pub(crate) fn load_on_new_connections(&self) -> Load {
        let target = FRONTEND.parse().unwrap();
        load_of(Options { per_request: 10, sticky_per_request: 4, ..Options::nobody(target) })
    }

    /// `pitstop init` for this host, with the HAProxy of the scene to check the result.
    pub(crate) fn init(&self, more: &[&str]) -> Outcome {
        let (from, program) = (self.haproxy.config_file(), self.version.program());
        let mut arguments = vec!["init", "--from", text(&from), "--host", "127.0.0.1", "--haproxy", text(&program)];
        arguments.extend_from_slice(more);
        self.pitstop.run(&arguments)
    }

    /// Says how the apps are restarted, which HAProxy's files can't tell.
    pub(crate) fn fill_in(&self) {
        let mut written = std::fs::read_to_string(self.pitstop.config()).unwrap();
        for app in &self.apps {
            let table = format!("[apps.{}.service]\n", app.name());
            let (before, after) = written.split_once(&table).unwrap();
            // Where the tests themselves run as a service, that was found.
            let after = after.strip_prefix("systemd = ").map_or(after, |rest| rest.split_once('\n').unwrap().1);
            let how = format!("pidfile = {:?}\nstart = {:?}\n", app.pidfile(), app.start_command());
            written = format!("{before}{table}{how}{after}");
        }
        self.pitstop.configure(&written);
    }

    /// Does what `init` says is next, in its order.
    pub(crate) fn follow(&self, outcome: &Outcome) {
        let events = outcome.events();
        let last = events.iter().find(|event| event["event"] == "initiated").expect("its last event");
        let mut is_filled_in = false;
        for step in last["next"].as_array().unwrap() {
            let act = step["act"].as_str().unwrap();
            if act.starts_with("fill in ") {
                // One step for each app, and all are filled in at once.
                if !std::mem::replace(&mut is_filled_in, true) {
                    self.fill_in();
                }
            } else if act.starts_with("systemctl reload") {
                self.haproxy.reload();
            } else {
                let (config, state) = (self.pitstop.config(), self.pitstop.state());
                let own = format!("pitstop --config {} --state-dir {} ", config.display(), state.display());
                let arguments: Vec<_> = act.strip_prefix(&own).unwrap_or_else(|| panic!("{act}")).split(' ').collect();
                self.pitstop.run(&arguments).assert_code(0);
            }
        }
    }

    /// The configuration of HAProxy as it is now.
    pub(crate) fn file(&self) -> Vec<u8> {
        std::fs::read(self.haproxy.config_file()).unwrap()
    }

    /// The copy that `--write` keeps.
    pub(crate) fn copy(&self, suffix: &str) -> Option<Vec<u8>> {
        let name = format!("haproxy.cfg.before-pitstop{suffix}");
        std::fs::read(self.haproxy.folder().join(name)).ok()
    }
}

/// Nothing is left of what was tried.
pub(crate) fn assert_untouched(scene: &Scene, before: &[u8]) {
    assert_eq!(scene.file(), before);
    let names = names_in(scene.haproxy.folder());
    assert!(!names.iter().any(|name| name.contains("pitstop")), "{names:?}");
}

/// All that is in a folder.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn load_of(options: Options) -> Load {
    let load = Load::start(&options);
    load.wait_for_requests(100, SOON);
    load
}

/// Panics where a rule finds something of severity warning or above, with these main entries taken out by redirects.
pub(crate) fn assert_lints_clean(written: &str, redirects: &[(&str, u16)]) {
    let config = Read::parse("haproxy.cfg", written).unwrap();
    let redirected = |(server, check_port): &(&str, u16)| Redirected {
        backend: "srvs".to_owned(),
        server: (*server).to_owned(),
        check_port: *check_port,
    };
    let context = Context { redirects: redirects.iter().map(redirected).collect(), ..Context::default() };
    let bad: Vec<_> =
        lint(&config, &context).into_iter().filter(|finding| finding.severity >= Severity::Warning).collect();
    assert!(bad.is_empty(), "{bad:#?}\n{written}");
}

/// Panics with HAProxy's words unless it takes the file without a warning.
pub(crate) fn assert_taken(version: Version, file: &Path) {
    let written = std::fs::read_to_string(file).unwrap();
    // The scene's own line is not for 2.2.
    let copy = tempfile::NamedTempFile::new().unwrap();
    let is_known = |line: &&str| version != Version::Bed("2.2") || !line.contains("idle-close-on-response");
    let known: Vec<_> = written.split_inclusive('\n').filter(is_known).collect();
    std::fs::write(copy.path(), known.concat()).unwrap();
    let output = Command::new(version.program()).arg("-c").arg("-f").arg(copy.path()).output().unwrap();
    let words = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
    assert!(output.status.success(), "{version:?}: {words}\n{written}");
    for word in ["WARNING", "ALERT", "NOTICE"] {
        assert!(!words.contains(word), "{version:?}: {words}\n{written}");
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
