//! What is written means what it says.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{FULL, parse};
use crate::config::settings::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn app(text: &str) -> App {
    let settings = parse(text).unwrap_or_else(|error| panic!("{error}"));
    settings.apps.into_values().next().expect("an app")
}

/// The example of FULL as settings.
fn full() -> App {
    let balancer = |name: &str, socket: &str| Balancer {
        name: name.parse().unwrap(),
        socket: Some(socket.parse().unwrap()),
        master: None,
        config: vec![],
        addresses: vec![],
    };
    App {
        name: "web".parse().unwrap(),
        balancers: vec![
            Balancer {
                master: Some("/run/haproxy/master.sock".parse().unwrap()),
                config: vec!["/etc/haproxy/haproxy.cfg".into()],
                addresses: vec!["10.0.0.5".parse().unwrap()],
                ..balancer("lb1", "/run/haproxy/admin.sock")
            },
            balancer("lb2", "tcp:10.0.0.6:9999"),
        ],
        servers: vec!["srvs/webA".parse().unwrap()],
        backups: vec!["srvs/bkpA".parse().unwrap()],
        listen: "127.0.0.1:1000".parse().unwrap(),
        unreachable: Unreachable::Abort,
        unlisted: Unlisted::Refuse,
        put_back: PutBack::Probed,
        hold: seconds(2),
        on_alert: strings(&["logger", "-p", "user.alert", "-t", "pitstop"]),
        redirect: Some(Redirect {
            check_port: 2000,
            driver: RedirectDriver::Auto,
            alone: false,
            inter: seconds(2),
            fall: 3,
            rise: 2,
            check_timeout: seconds(2),
        }),
        drain: Drain {
            timeout: seconds(60),
            on_timeout: OnTimeout::Abort,
            sticky_grace: Duration::ZERO,
            idle_after: Duration::from_secs(10),
            kills_on_down: None,
        },
        service: Service {
            manager: Manager::Systemd { unit: "web.service".into() },
            action: Action::Restart,
            revert: vec![],
            attempts: 1,
            timeout: seconds(60),
        },
        ready: vec![Probe {
            kind: ProbeKind::Http(HttpProbe {
                tls: false,
                host: "127.0.0.1".into(),
                port: 1000,
                path: "/health".into(),
                status: vec![200],
                request_headers: vec![],
                headers: vec![],
                contains: None,
                ca: None,
                server_name: None,
                insecure: false,
            }),
            rise: 2,
            interval: Duration::from_millis(10),
            timeout: seconds(60),
        }],
        guard: Guard { min_up: MinUp::Servers(1), min_weight: 0, count_backups: false },
        ramp: Some(Ramp { from: 10, over: seconds(30) }),
    }
}

#[test]
fn every_key_lands_in_the_settings() {
    assert_eq!(app(FULL), full());
}

#[test]
fn a_key_left_out_has_its_documented_default() {
    let required = r#"
        [balancers.lb1]
        socket = "/run/haproxy/admin.sock"
        master = "/run/haproxy/master.sock"
        config = "/etc/haproxy/haproxy.cfg"
        addresses = ["10.0.0.5"]
        [balancers.lb2]
        socket = "tcp:10.0.0.6:9999"
        [apps.web]
        servers = ["srvs/webA"]
        backups = ["srvs/bkpA"]
        listen = "127.0.0.1:1000"
        redirect.check_port = 2000
        service.systemd = "web"
        ready = [{ http = "http://127.0.0.1:1000/health" }]
        [apps.web.ramp]
    "#;
    assert_eq!(app(required), full());
}

#[test]
fn an_app_without_balancers_of_its_own_is_sent_to_by_all_and_one_that_names_some_only_by_those() {
    let named = FULL.replace("hold = \"2s\"", "balancers = [\"lb2\"]");
    let names: Vec<String> = app(&named).balancers.iter().map(|b| b.name.to_string()).collect();
    assert_eq!(names, ["lb2"]);
}

#[test]
fn the_redirect_alone_needs_no_servers_and_no_balancers() {
    let app = app(r#"
        [apps.web]
        listen = "[::1]:1000"
        redirect = { check_port = 2000, alone = true }
        service.systemd = "web"
        ready = [{ tcp = "[::1]:1000" }]
    "#);
    assert_eq!((app.servers.len(), app.balancers.len()), (0, 0));
    assert!(app.redirect.unwrap().alone);
}

#[test]
fn a_service_is_restarted_by_exactly_the_manager_named() {
    let service = |lines: &str| app(&FULL.replace("systemd = \"web.service\"\naction = \"restart\"", lines)).service;

    let signal = service("pidfile = \"/run/web.pid\"\nstart = [\"/bin/web\", \"-d\"]");
    assert_eq!(
        signal.manager,
        Manager::Signal {
            pidfile: "/run/web.pid".into(),
            stop_signal: SignalName(Signal::SIGTERM),
            start: strings(&["/bin/web", "-d"]),
            reload_signal: SignalName(Signal::SIGHUP),
            old_signal: None,
        }
    );

    let successor =
        service("pidfile = \"/p\"\naction = \"reload\"\nreload_signal = \"SIGUSR2\"\nold_signal = \"QUIT\"");
    assert_eq!(successor.action, Action::Reload);
    assert_eq!(
        successor.manager,
        Manager::Signal {
            pidfile: "/p".into(),
            stop_signal: SignalName(Signal::SIGTERM),
            start: vec![],
            reload_signal: SignalName(Signal::SIGUSR2),
            old_signal: Some(SignalName(Signal::SIGQUIT)),
        }
    );

    let command = service("restart = [\"web-restart\"]\npidfile = \"/run/web.pid\"\nrevert = [\"/bin/revert\"]");
    assert_eq!(command.revert, ["/bin/revert"]);
    assert_eq!(
        command.manager,
        Manager::Command { restart: strings(&["web-restart"]), pidfile: Some("/run/web.pid".into()) }
    );

    for (written, unit) in [
        ("web", "web.service"),
        ("web@1", "web@1.service"),
        ("org.example.web", "org.example.web.service"),
        (r"dev\\x2dweb.service", r"dev\x2dweb.service"),
    ] {
        let manager = service(&format!("systemd = \"{written}\"")).manager;
        assert_eq!(manager, Manager::Systemd { unit: unit.into() });
    }
}

#[test]
fn a_url_says_where_to_connect_and_what_to_ask() {
    for (url, tls, host, port, path) in [
        ("http://127.0.0.1:1000/health", false, "127.0.0.1", 1000, "/health"),
        ("http://localhost", false, "localhost", 80, "/"),
        ("https://web.example.org/a?b=1", true, "web.example.org", 443, "/a?b=1"),
        ("https://[::1]:8443?q", true, "::1", 8443, "/?q"),
    ] {
        let text = FULL.replace("http://127.0.0.1:1000/health", url);
        let ProbeKind::Http(probe) = &app(&text).ready[0].kind else { panic!("no http probe: {url}") };
        assert_eq!((probe.tls, probe.host.as_str(), probe.port, probe.path.as_str()), (tls, host, port, path), "{url}");
    }
}

#[test]
fn every_option_of_a_probe_is_kept() {
    let text = FULL.replace(
        "http = \"http://127.0.0.1:1000/health\"\nstatus = [200]",
        r#"http = "https://127.0.0.1/"
        status = [200, 204]
        request_headers = { Host = "www.example.org" }
        headers = { X-Version = "7" }
        contains = "ok"
        ca = "/etc/ssl/ca.pem"
        server_name = "www.example.org""#,
    );
    let ProbeKind::Http(probe) = app(&text).ready.remove(0).kind else { panic!("no http probe") };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(probe.status, [200, 204]);
    assert_eq!(probe.request_headers, [pair("Host", "www.example.org")]);
    assert_eq!(probe.headers, [pair("X-Version", "7")]);
    assert_eq!(probe.contains.as_deref(), Some("ok"));
    assert_eq!(probe.ca, Some("/etc/ssl/ca.pem".into()));
    assert_eq!(probe.server_name.as_deref(), Some("www.example.org"));

    let text = FULL.replace("http = \"http://127.0.0.1:1000/health\"\nstatus = [200]", "command = [\"true\"]");
    assert_eq!(app(&text).ready[0].kind, ProbeKind::Command(strings(&["true"])));
}

#[test]
fn a_guard_is_a_number_or_a_share() {
    let min_up = |value: &str| app(&FULL.replace("min_up = 1", &format!("min_up = {value}"))).guard.min_up;
    assert_eq!(min_up("0"), MinUp::Servers(0));
    assert_eq!(min_up("12"), MinUp::Servers(12));
    assert_eq!(min_up("\"50%\""), MinUp::Percent(50));
}

#[test]
fn a_share_of_the_weight_stands_beside_the_number() {
    let text = FULL.replace("min_weight = \"0%\"\ncount_backups = false", "min_weight = \"60%\"\ncount_backups = true");
    assert_eq!(app(&text).guard, Guard { min_up: MinUp::Servers(1), min_weight: 60, count_backups: true });
}

#[test]
fn the_files_of_a_balancer_are_one_or_several() {
    let several = "config = [\"/etc/haproxy/haproxy.cfg\", \"/etc/haproxy/conf.d\"]";
    let text = FULL.replace("config = \"/etc/haproxy/haproxy.cfg\"", several);
    let config = app(&text).balancers.into_iter().next().unwrap().config;
    assert_eq!(config, ["/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d"].map(std::path::PathBuf::from));
}

#[test]
fn the_example_that_is_shipped_is_right_and_shows_the_defaults() {
    let shipped = include_str!("../../../dist/pitstop.toml");
    let shown = app(shipped);
    let minimal = App {
        balancers: vec![Balancer {
            name: "lb1".parse().unwrap(),
            socket: Some("/run/haproxy/admin.sock".parse().unwrap()),
            master: None,
            config: vec![],
            addresses: vec![],
        }],
        ramp: None,
        ..full()
    };
    assert_eq!(shown, minimal);
}

#[test]
fn every_key_of_the_shipped_example_is_right_when_its_comment_sign_is_removed() {
    let shipped = include_str!("../../../dist/pitstop.toml");
    // What excludes another key of the same table; a process instead of a unit, a URL with TLS.
    let instead =
        [("systemd = ", "#"), ("restart = ", "#"), ("insecure = ", "#"), ("http = \"http:", "http = \"https:")];
    let all: Vec<String> = shipped
        .lines()
        .map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let is_key = bare.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
            let line = if is_key || bare.starts_with("[") { bare } else { line };
            match instead.iter().find(|(key, _)| line.starts_with(key)) {
                Some((key, other)) => line.replacen(key, other, 1),
                None => line.to_owned(),
            }
        })
        .collect();
    let all =
        all.join("\n").replace("old_signal = \"QUIT\"", "").replace("action = \"restart\"", "action = \"reload\"");
    let app = app(&all);
    assert_eq!(app.drain.kills_on_down, Some(false));
    assert!(matches!(app.service.manager, Manager::Signal { .. }));
    assert!(matches!(&app.ready[0].kind, ProbeKind::Http(probe) if probe.ca.is_some() && !probe.headers.is_empty()));
    assert_eq!(app.ramp, full().ramp);
}

#[test]
fn every_configuration_in_the_documentation_is_right() {
    let page = include_str!("../../../../docs/configuration.md");
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(blocks.len() >= 3, "found {} blocks", blocks.len());
    for block in &blocks {
        parse(block).unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(blocks[0].lines().count(), 10, "the first is the shortest that works");
}

#[test]
fn every_key_is_documented() {
    let page = include_str!("../../../../docs/configuration.md");
    for (header, keys) in [
        ("[balancers.lb1]", 4),
        ("[apps.web]", 15),
        ("[apps.web.redirect]", 7),
        ("[apps.web.drain]", 5),
        ("[apps.web.service]", 11),
        ("[[apps.web.ready]]", 13),
        ("[apps.web.guard]", 3),
        ("[apps.web.ramp]", 2),
    ] {
        let text = FULL.replace(header, &format!("{header}\nno_such_key_at_all = 1"));
        let hint = parse(&text).unwrap_err().hint.unwrap();
        let known: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
        assert_eq!(known.len(), keys, "{hint}");
        for key in known {
            let row = format!("| `{key}` |");
            let table = format!(".X.{key}]");
            assert!(page.contains(&row) || page.contains(&table), "`{key}` of {header}");
        }
    }
}

#[test]
fn an_unknown_app_names_the_nearest_or_all() {
    let settings = parse(FULL).unwrap();
    assert_eq!(settings.app("web").unwrap().name.as_str(), "web");
    let error = settings.app("wbe").unwrap_err();
    assert_eq!(error.to_string(), "there is no app \"wbe\"");
    assert_eq!(error.hint(), "did you mean `web`?");
    assert_eq!(settings.app("\u{1b}[2J").unwrap_err().to_string(), r#"there is no app "\u{1b}[2J""#);
    assert_eq!(settings.app("mail").unwrap_err().hint(), "known here: `web`");
    assert!(parse("").unwrap().app("web").unwrap_err().hint().contains("[apps.web]"));
}
