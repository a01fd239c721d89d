//! What `pitstop haproxy-cfg render` writes.

use integration::haproxy::{Backend, Config, Mode, Version};
use integration::pitstop::Pitstop;

use crate::scene::{FRONTEND, SOON, Scene, assert_lints_clean, assert_taken};

/// What the scene's pitstop is told, with these lines for each app's redirect; none: there is no redirect.
fn settings(scene: &Scene, redirect: Option<&str>) -> String {
    let (socket, master, config) = (scene.haproxy.socket(), scene.haproxy.master_socket(), scene.haproxy.config_file());
    let mut written = format!("[balancers.lb1]\nsocket = {socket:?}\nmaster = {master:?}\nconfig = {config:?}\n");
    for (app, letter) in scene.apps.iter().zip(["A", "B"]) {
        let (name, listen) = (app.name(), app.listen());
        written += &format!(
            "[apps.{name}]\nservers = [\"srvs/web{letter}\"]\nbackups = [\"srvs/bkp{letter}\"]\nlisten = \"{listen}\"\n\
             [apps.{name}.service]\npidfile = {:?}\nstart = {:?}\n[[apps.{name}.ready]]\nhttp = \"http://{listen}/health\"\n",
            app.pidfile(),
            app.start_command()
        );
        if let Some(lines) = redirect {
            written += &format!("[apps.{name}.redirect]\ncheck_port = {}\n{lines}\n", listen.port() + 1000);
        }
    }
    written
}

/// Renders, has HAProxy take it, and restarts both apps under load.
fn stops(version: Version, redirect: Option<&str>) {
    let scene = Scene::start(version, Config::new(Mode::Http).backend(Backend::new("srvs")));
    scene.pitstop.configure(&settings(&scene, redirect));
    let rendered = scene.pitstop.run(&["haproxy-cfg", "render", "--cookie", "SERVER", "--bind", FRONTEND]);
    rendered.assert_code(0);
    let ports: &[_] = if redirect.is_some() { &[("webA", 2001), ("webB", 2002)] } else { &[] };
    assert_lints_clean(&rendered.stdout, ports);
    std::fs::write(scene.haproxy.config_file(), &rendered.stdout).unwrap();
    scene.haproxy.reload();
    for app in &scene.apps {
        scene.pitstop.run(&["in", app.name()]).assert_code(0);
    }
    for server in ["srvs/webA", "srvs/webB", "srvs/bkpA", "srvs/bkpB"] {
        scene.haproxy.wait_for_status(server, "UP", SOON);
    }
    let load = scene.load();
    for app in &scene.apps {
        let before = app.pid();
        scene.pitstop.run(&["restart", app.name()]).assert_code(0);
        assert_ne!(app.pid(), before);
        load.wait_for_requests(100, SOON);
    }
    load.stop().assert_nothing_failed();
}

/// Checks so frequent that the test is short.
const OFTEN: &str = "inter = \"100ms\"\ncheck_timeout = \"500ms\"";

#[test]
fn by_socket_and_redirect_nothing_is_dropped_on_2_6() {
    stops(Version::Bed("2.6"), Some(OFTEN));
}

#[test]
fn by_socket_and_redirect_nothing_is_dropped_on_3_2() {
    stops(Version::Bed("3.2"), Some(OFTEN));
}

#[test]
fn by_the_redirect_alone_nothing_is_dropped_on_2_6() {
    stops(Version::Bed("2.6"), Some(&format!("alone = true\n{OFTEN}")));
}

#[test]
fn by_the_redirect_alone_nothing_is_dropped_on_3_2() {
    stops(Version::Bed("3.2"), Some(&format!("alone = true\n{OFTEN}")));
}

#[test]
fn by_the_socket_alone_nothing_is_dropped_on_2_2() {
    stops(Version::Bed("2.2"), None);
}

#[test]
fn by_the_socket_alone_nothing_is_dropped_on_3_0() {
    stops(Version::Bed("3.0"), None);
}

/// `pitstop.toml` with one app.
fn one(balancer: &str, app: &str, ready: &str) -> Pitstop {
    Pitstop::new(&format!(
        "[balancers.lb1]\n{balancer}\n[apps.web]\nservers = [\"srvs/web\"]\n{app}\n[apps.web.service]\nsystemd = \"web\"\n\
         [[apps.web.ready]]\n{ready}\n"
    ))
}

#[test]
fn every_version_takes_every_shape_without_a_warning() {
    let socket = "socket = \"/tmp/pitstop-never-opened.sock\"";
    let redirect = "backups = [\"srvs/bkp\"]\n[apps.web.redirect]\ncheck_port = 2000\ncheck_timeout = \"700ms\"";
    let loopback = format!("listen = \"127.0.0.1:1000\"\n{redirect}");
    let six = format!("listen = \"[::1]:1000\"\n{redirect}");
    let several = "http = \"http://127.0.0.1:1000/health?a=b%20c\"\nstatus = [200, 204]\nrequest_headers = { Host = \"www.example.org\" }";
    let strange = "http = \"http://127.0.0.1:1000/it's\"\nrequest_headers = { host = \"50% 'off' # \\\"$X\\\"\" }";
    let shapes: [(&str, &str, &str, &[&str]); 8] = [
        (socket, &loopback, several, &["--cookie", "SERVER"]),
        (socket, &loopback, strange, &["--cookie", "SERVER", "--bind", ":8000"]),
        (socket, &six, "http = \"https://[::1]:1000/\"\ninsecure = true", &[]),
        (socket, &six, "tcp = \"[::1]:1000\"", &["--host", "10.0.0.2"]),
        (socket, "listen = \"0.0.0.0:1000\"", "tcp = \"127.0.0.1:1000\"", &["--host", "10.0.0.2", "--bind", ":8000"]),
        (socket, "listen = \"127.0.0.1:1000\"\nbackups = [\"srvs/bkp\"]", several, &[]),
        ("socket = \"tcp:10.0.0.5:9999\"\nmaster = \"/run/master.sock\"", &loopback, several, &[]),
        ("socket = \"tcp:[::1]:9999\"", &loopback, "command = [\"true\"]", &["web"]),
    ];
    for (balancer, app, ready, options) in shapes {
        let pitstop = one(balancer, app, ready);
        let outcome = pitstop.run(&[&["haproxy-cfg", "render"], options].concat());
        outcome.assert_code(0);
        let redirects: &[_] = if app.contains("check_port") { &[("web", 2000)] } else { &[] };
        assert_lints_clean(&outcome.stdout, redirects);
        let file = pitstop.state().join("haproxy.cfg");
        std::fs::write(&file, &outcome.stdout).unwrap();
        Version::ALL.iter().for_each(|version| assert_taken(*version, &file));
    }
}

#[test]
fn what_can_not_be_rendered_is_refused_with_what_to_type() {
    let any = one("socket = \"/run/x\"", "listen = \"0.0.0.0:1000\"", "tcp = \"127.0.0.1:1000\"");
    any.run(&["haproxy-cfg", "render"]).assert_code(2).assert_says(&["0.0.0.0:1000", "--host 10.0.0.2"]);
    any.run(&["haproxy-cfg", "render", "--host", "10.0.0.2", "--cookie", "C"]).assert_code(2).assert_says(&["cookie"]);
    any.run(&["haproxy-cfg", "render", "--balancer", "lb2"]).assert_code(2).assert_says(&["lb2", "--balancer lb1"]);
    let several = one(
        "socket = \"/run/x\"\n[balancers.lb2]\nsocket = \"/run/y\"",
        "listen = \"10.0.0.2:1000\"",
        "tcp = \"10.0.0.2:1000\"",
    );
    several.run(&["haproxy-cfg", "render"]).assert_code(2).assert_says(&["lb1, lb2", "--balancer lb1"]);
    several.run(&["haproxy-cfg", "render", "--balancer", "lb2"]).assert_code(0).assert_says(&["/run/y"]);
}

#[test]
fn apps_of_one_backend_that_ask_for_different_checks_are_refused() {
    let app = |name: &str, ready: &str, redirect: &str| {
        format!(
            "[apps.{name}]\nservers = [\"srvs/{name}\"]\nlisten = \"10.0.0.2:1000\"\n[apps.{name}.service]\nsystemd = \"{name}\"\n\
             [[apps.{name}.ready]]\nhttp = \"http://10.0.0.2:1000{ready}\n{redirect}"
        )
    };
    let slow = "[apps.b.redirect]\ncheck_port = 2000\ncheck_timeout = \"3s\"\n";
    let others = [
        ("/b\"", "", "path"),
        ("/a\"\nstatus = [204]", "", "status"),
        ("/a\"\nrequest_headers = { host = \"b\" }", "", "host"),
        ("/a\"", slow, "check_timeout"),
    ];
    for (ready, redirect, what) in others {
        let pitstop = Pitstop::new(&format!(
            "[balancers.lb1]\nsocket = \"/run/x\"\n{}{}",
            app("a", "/a\"", ""),
            app("b", ready, redirect).replace(":1000", ":1001")
        ));
        let outcome = pitstop.run(&["haproxy-cfg", "render"]);
        outcome.assert_code(2).assert_says(&["srvs", &format!("different ones: {what} in a and b")]);
        pitstop.run(&["haproxy-cfg", "render", "a"]).assert_code(0);
    }
}
