//! What is wrong is refused, with its place and a hint.

use super::{FULL, parse};

/// What is replaced in FULL, by what (`»` stands before the place that the error must name), and parts of the error
/// and its hint.
type Case<'a> = (&'a str, &'a str, &'a str, &'a str);

fn check(cases: &[Case<'_>]) {
    for (old, new, what, hint) in cases {
        assert!(FULL.contains(old), "not in FULL: {old}");
        let marked = FULL.replacen(old, new, 1);
        let before = marked.split('»').next().unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;

        let error = parse(&marked.replace('»', "")).expect_err(new);
        let shown = error.to_string();
        let position = error.position.as_ref().expect(new);
        assert_eq!((position.line, position.column), (line, column), "{new}\n{shown}");
        assert!(error.what.contains(what), "{new}\n{shown}");
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{new}\n{shown}");
        assert!(shown.starts_with(&format!("/etc/pitstop/pitstop.toml:{line}:{column}: ")), "{shown}");
    }
}

#[test]
fn an_error_shows_file_line_column_text_and_hint() {
    let error = parse("[balancers.lb1]\n  sokcet = \"/run/haproxy/admin.sock\"\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/pitstop/pitstop.toml:2:3: unknown key `sokcet` in [balancers.lb1]
  2 |   sokcet = \"/run/haproxy/admin.sock\"
    |   ^^^^^^
hint: did you mean `socket`?"
    );
}

#[test]
fn an_unknown_key_is_refused_in_every_table() {
    check(&[
        ("[apps.web]", "[»app.web]", "unknown key `app` at the top of the file", "did you mean `apps`?"),
        ("master =", "»mastr =", "unknown key `mastr` in [balancers.lb1]", "`master`"),
        ("unlisted =", "»unlist =", "in [apps.web]", "`unlisted`"),
        ("unlisted =", "»zebra =", "in [apps.web]", "known here: `balancers`, `servers`"),
        ("driver =", "»drvier =", "in [apps.web.redirect]", "`driver`"),
        ("on_timeout =", "»on-timeout =", "in [apps.web.drain]", "`on_timeout`"),
        ("action =", "»acton =", "in [apps.web.service]", "`action`"),
        ("interval =", "»intervall =", "in [[apps.web.ready]]", "`interval`"),
        ("min_up =", "»minup =", "in [apps.web.guard]", "`min_up`"),
        ("min_weight =", "»min_wieght =", "in [apps.web.guard]", "`min_weight`"),
        ("count_backups =", "»count-backups =", "in [apps.web.guard]", "`count_backups`"),
        ("over =", "»\"ov`er\" =", "unknown key `ov`er` in [apps.web.ramp]", "`over`"),
    ]);
}

#[test]
fn a_missing_key_is_named_with_an_example() {
    check(&[
        (
            "[apps.web]\nservers = [\"srvs/webA\"]\nbackups = [\"srvs/bkpA\"]\nlisten = \"127.0.0.1:1000\"\n",
            "»[apps.web]\n",
            "missing key `listen` in [apps.web]",
            "listen = \"127.0.0.1:1000\"",
        ),
        (
            "[apps.web.redirect]\ncheck_port = 2000\n",
            "»[apps.web.redirect]\n",
            "missing key `check_port` in [apps.web.redirect]",
            "check_port = 2000",
        ),
    ]);
}

#[test]
fn a_wrong_value_is_refused_where_it_stands() {
    check(&[
        ("[apps.web]", "[apps.»\"we b\"]", "1 to 64 letters", "[apps.web]"),
        ("[balancers.lb2]", "[balancers.»\"-lb\"]", "1 to 64 letters", "balancers"),
        ("\"/run/haproxy/admin.sock\"", "»\"admin.sock\"", "absolute path, or tcp:", "socket ="),
        ("\"tcp:10.0.0.6:9999\"", "»\"tcp:lb.example.org:9999\"", "absolute path, or tcp:", "10.0.0.5:9999"),
        ("\"/etc/haproxy/haproxy.cfg\"", "»\"haproxy.cfg\"", "not an absolute path", "config ="),
        ("\"/etc/haproxy/haproxy.cfg\"", "[»\"conf.d\"]", "not an absolute path", "config ="),
        ("\"/etc/haproxy/haproxy.cfg\"", "»7", "a string or an array of strings", "config ="),
        ("[\"10.0.0.5\"]", "[»\"10.0.0.0/24\"]", "IP address", "addresses ="),
        ("[\"srvs/webA\"]", "[\"srvs/webA\", »\"webB\"]", "backend/server", "servers ="),
        ("[\"srvs/webA\"]", "[»\"srvs/web;A\"]", "';' is not allowed", "servers ="),
        ("[\"srvs/webA\"]", "[»\"srvs/web\\nA\"]", "'\\n' is not allowed", "servers ="),
        ("[\"srvs/bkpA\"]", "»\"srvs/bkpA\"", "expected an array", "backups ="),
        ("\"127.0.0.1:1000\"", "»\"localhost:1000\"", "an address, not a name", "listen ="),
        ("\"127.0.0.1:1000\"", "»\"127.0.0.1:0\"", "port 0", "listen ="),
        ("\"127.0.0.1:1000\"", "»1000", "expected a string, found integer `1000`", "listen ="),
        ("unreachable = \"abort\"", "unreachable = »\"abrot\"", "`abrot` is not a value of `unreachable`", "`abort`"),
        ("\"refuse\"", "»\"warn\"", "not a value of `unlisted`", "known here: `refuse`, `ignore`"),
        ("\"refuse\"", "»false", "expected a string, found boolean `false`", "unlisted ="),
        ("\"probed\"", "»\"probe\"", "not a value of `put_back`", "`probed`"),
        ("hold = \"2s\"", "hold = »\"2\"", "not a duration", "hold = \"2s\""),
        ("hold = \"2s\"", "hold = »2", "expected a string, found integer", "hold = \"2s\""),
        ("hold = \"2s\"", "hold = »\"25h\"", "too long", "hold ="),
        ("inter = \"2s\"", "inter = »\"0s\"", "too short", "inter ="),
        ("\"10ms\"", "»\"10us\"", "too short", "interval ="),
        ("check_port = 2000", "check_port = »0", "from 1 to 65535", "check_port = 2000"),
        ("check_port = 2000", "check_port = »65536", "from 1 to 65535", "check_port = 2000"),
        ("fall = 3", "fall = »-1", "from 1 to 1000", "fall = 3"),
        ("attempts = 1", "attempts = »0", "from 1 to 1000", "attempts = 1"),
        ("rise = 2\ninterval", "rise = »0\ninterval", "from 1 to 1000", "rise = 2"),
        ("status = [200]", "status = [200, »99]", "from 200 to 599", "status = [200]"),
        ("status = [200]", "status = »[]", "no status would pass", "status = [200]"),
        ("min_up = 1", "min_up = »-1", "number of servers", "min_up = 1"),
        ("min_up = 1", "min_up = »\"50\"", "percentage", "min_up = 1"),
        ("min_up = 1", "min_up = »\"101%\"", "percentage", "min_up = 1"),
        ("\"0%\"\ncount", "»50\ncount", "expected a string, found integer", "min_weight = \"50%\""),
        ("\"0%\"\ncount", "»\"half\"\ncount", "percentage", "min_weight = \"50%\""),
        ("count_backups = false", "count_backups = »1", "expected true or false", "count_backups = true"),
        ("\"10%\"", "»\"0%\"", "0%", "from = \"10%\""),
        ("\"10%\"", "»\"+5%\"", "percentage", "from = \"10%\""),
        ("\"web.service\"", "»\"web server\"", "' ' is not allowed in the name of a unit", "systemd ="),
        ("\"web.service\"", "»\"web.socket\"", "name its service", "systemd ="),
        ("\"web.service\"", "»\"web@\"", "is a template", "systemd ="),
        ("\"web.service\"", "»\".service\"", "empty", "systemd ="),
        ("\"auto\"", "»\"ipfw\"", "not a value of `driver`", "`iptables`"),
    ]);
}

#[test]
fn a_command_is_program_and_arguments() {
    check(&[
        ("[\"logger\",", "[»\"log\\u0000ger\",", "NUL", "on_alert ="),
        ("[\"logger\",", "[»7,", "expected a string", "on_alert ="),
        (
            "[\"logger\", \"-p\", \"user.alert\", \"-t\", \"pitstop\"]",
            "»\"logger -p\"",
            "expected an array",
            "on_alert =",
        ),
        ("on_alert = [\"logger\",", "on_alert = »[\"logger -p\",", "no shell is involved", "on_alert ="),
        ("on_alert = [\"logger\",", "on_alert = »[\"bin/logger\",", "relative path", "on_alert ="),
        ("on_alert = [\"logger\",", "on_alert = »[\"\",", "program is empty", "on_alert ="),
        ("http = \"http://127.0.0.1:1000/health\"\nstatus = [200]", "command = »[]", "`command` is empty", "program"),
    ]);
}

#[test]
fn a_service_has_exactly_one_manager_and_only_its_keys() {
    let systemd = "systemd = \"web.service\"\naction = \"restart\"";
    check(&[
        (
            "[apps.web.service]\nsystemd = \"web.service\"",
            "»[apps.web.service]",
            "who restarts",
            "systemd = \"web.service\"",
        ),
        (systemd, "systemd = \"web\"\npidfile = »\"/run/web.pid\"", "`pidfile` beside `systemd`", "remove"),
        (systemd, "systemd = \"web\"\nrestart = »[\"r\"]", "`restart` beside `systemd`", "remove"),
        (systemd, "systemd = \"web\"\nstop_signal = »\"TERM\"", "means nothing beside `systemd`", "`stop_signal`"),
        (systemd, "restart = [\"r\"]\nstart = »[\"s\"]", "means nothing beside `restart`", "`start`"),
        (systemd, "restart = »[]", "`restart` is empty", "program"),
        (systemd, "pidfile = »\"/run/web.pid\"", "how it is started", "start ="),
        (systemd, "pidfile = \"/run/web.pid\"\nstart = »[]", "`start` is empty", "program"),
        (systemd, "pidfile = »\"web.pid\"", "not an absolute path", "pidfile ="),
        (systemd, "pidfile = \"/p\"\nstop_signal = »\"TREM\"", "no signal has this name", "stop_signal ="),
        (
            systemd,
            "pidfile = \"/p\"\naction = \"reload\"\nold_signal = »\"QUIT\"",
            "only master",
            "reload_signal = \"USR2\"",
        ),
    ]);
}

#[test]
fn a_proof_is_required_and_asks_one_thing() {
    let http = "http = \"http://127.0.0.1:1000/health\"\nstatus = [200]";
    let url = "\"http://127.0.0.1:1000/health\"";
    check(&[
        (
            "[[apps.web.ready]]\nhttp = \"http://127.0.0.1:1000/health\"\nstatus = [200]",
            "»[[apps.web.ready]]",
            "asks nothing",
            "http =",
        ),
        (http, "http = \"http://h/\"\ntcp = »\"127.0.0.1:1000\"", "`tcp` beside `http`", "table of its own"),
        (http, "http = \"http://h/\"\ncommand = »[\"true\"]", "`command` beside `http`", "table of its own"),
        (http, "tcp = \"127.0.0.1:1\"\ncommand = »[\"true\"]", "`command` beside `tcp`", "table of its own"),
        (http, "tcp = \"127.0.0.1:1000\"\nstatus = »[200]", "means nothing to a tcp probe", "remove `status`"),
        (http, "command = [\"true\"]\ncontains = »\"ok\"", "means nothing to a command probe", "remove `contains`"),
        (http, "http = \"http://h/\"\ninsecure = »true", "only to https", "remove `insecure`"),
        (http, "http = \"https://h/\"\ninsecure = true\nca = »\"/ca.pem\"", "`ca` beside `insecure`", "remove"),
        (http, "http = \"https://h/\"\nserver_name = »\"a b\"", "not a DNS name", "server_name ="),
        (http, "http = \"http://h/\"\nheaders = { »\"a b\" = \"1\" }", "name of a header", "headers ="),
        (http, "http = \"http://h/\"\nrequest_headers = { A = »\"a\\nb\" }", "control characters", "request_headers ="),
        (url, "»\"ftp://h/\"", "http:// or https://", "http ="),
        (url, "»\"/health\"", "http:// or https://", "http ="),
        (url, "»\"http://h:70000/\"", "port", "http ="),
        (url, "»\"http://h:0/\"", "port", "http ="),
        (url, "»\"http://u:p@h/\"", "password", "http ="),
        (url, "»\"http://h/#top\"", "fragment", "http ="),
        (url, "»\"http://h/ü\"", "%XX", "http ="),
        (url, "»\"http://[zz]/\"", "not a URL", "http ="),
    ]);
}

#[test]
fn an_app_without_a_proof_is_shown_a_minimal_one() {
    let error = parse(
        "[balancers.lb1]\nsocket = \"/s\"\n[apps.web]\nservers = [\"b/s\"]\nlisten = \"127.0.0.1:1000\"\nservice.systemd = \"web\"\n",
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/pitstop/pitstop.toml:3:7: nothing proves that app `web` is healthy after a restart
  3 | [apps.web]
    |       ^^^
hint: add at least one probe, for example:
  [[apps.web.ready]]
  http = \"http://127.0.0.1:1000/health\""
    );
}

#[test]
fn what_concerns_several_keys_is_checked_too() {
    check(&[
        ("hold = \"2s\"", "balancers = [\"lb1\", »\"lb3\"]", "no balancer `lb3`", "did you mean `lb"),
        ("hold = \"2s\"", "balancers = [\"lb1\", »\"lb1\"]", "named twice", "remove"),
        ("[\"srvs/webA\"]", "[\"srvs/webA\", »\"srvs/webA\"]", "`srvs/webA` is named twice", "remove"),
        ("[\"srvs/bkpA\"]", "[»\"srvs/webA\"]", "`srvs/webA` is named twice", "remove"),
        ("[apps.web]\nservers = [\"srvs/webA\"]", "[apps.»web]\nservers = []", "lists no servers", "servers ="),
        ("check_port = 2000", "check_port = »1000", "nothing to redirect", "check_port = 2000"),
    ]);
}

#[test]
fn an_app_that_nothing_could_take_out_is_refused() {
    let rest = "listen = \"127.0.0.1:1000\"\nservice.systemd = \"web\"\nready = [{ tcp = \"127.0.0.1:1000\" }]\n";
    for (head, tail, column, what) in [
        ("[apps.web]\n", "", 7, "no balancer and no redirect"),
        ("[balancers.lb1]\n[apps.web]\n", "", 7, "on balancer `lb1`"),
        ("[balancers.a]\nsocket = \"/s\"\n[balancers.b]\n[apps.web]\nservers = [\"b/s\"]\n", "", 7, "on balancer `b`"),
        (
            "[balancers.a]\nsocket = \"/s\"\n[apps.web]\nservers = [\"b/s\"]\n",
            "unreachable = \"ignore-if-redirect\"\n",
            15,
            "without a redirect",
        ),
        (
            "[balancers.a]\n[apps.web]\nredirect.check_port = 2000\n",
            "drain.on_timeout = \"shutdown-sessions\"\n",
            20,
            "no admin socket",
        ),
        (
            "[balancers.a]\nsocket = \"/s\"\n[apps.web]\nservers = [\"b/s\"]\nredirect = { check_port = 2000, alone = true }\n",
            "ramp = { over = \"1min\" }\n",
            8,
            "no admin socket",
        ),
    ] {
        let error = parse(&format!("{head}{rest}{tail}")).unwrap_err();
        assert!(error.what.contains(what), "{error}");
        assert!(error.hint.is_some(), "{error}");
        assert_eq!(error.position.as_ref().unwrap().column, column, "{error}");
    }
}

#[test]
fn an_app_without_a_service_is_shown_the_three_ways() {
    let text = FULL.replacen(
        "[apps.web.service]\nsystemd = \"web.service\"\naction = \"restart\"\nattempts = 1\ntimeout = \"60s\"\n",
        "",
        1,
    );
    let error = parse(&text).unwrap_err();
    assert!(error.what.contains("how app `web` is restarted"), "{error}");
    let hint = error.hint.unwrap();
    assert!(
        ["[apps.web.service]", "systemd =", "pidfile =", "restart ="].iter().all(|part| hint.contains(part)),
        "{hint}"
    );
}

#[test]
fn broken_toml_is_refused_at_its_place() {
    for (text, line, column) in [
        ("[apps.web\n", 1, 10),
        ("[apps.web]\nlisten = 127.0.0.1:1000\n", 2, 15),
        ("x = 1\nx = 2\n", 2, 1),
        ("x = \"ü\" y", 1, 9),
        ("a = [\n", 1, 6),
    ] {
        let error = parse(text).unwrap_err();
        let position = error.position.as_ref().unwrap();
        assert_eq!((position.line, position.column), (line, column), "{error}");
        assert!(error.hint.is_some());
    }
}

#[test]
fn nothing_from_the_file_can_steer_the_terminal() {
    for text in [
        "\"\u{1b}[2J\u{202e}\" = 1",
        "x = \"\u{9b}31m\"",
        "[apps.\"\\u001b[2J\"]",
        "[apps.web]\nunlisted = \"\\u001b[2J\"",
        "[apps.web]\nlisten = \"\\u001b\\n\\u009b\\u202e\"",
        "[apps.web]\nservers = [\"a/\\u202e\"]",
    ] {
        let error = parse(text).unwrap_err();
        let shown = error.to_string();
        assert!(shown.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{shown:?}");
        assert!(!error.what.contains(char::is_control));
    }
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let long = "x".repeat(100_000);
    let text = format!("balancers = {{ lb1 = {{ addresses = [\"{long}\"], nonsense = \"{long}\" }} }}");
    let shown = parse(&text).unwrap_err().to_string();
    assert!(shown.chars().count() < 1500, "{} characters", shown.chars().count());
    assert!(shown.contains('…'));
}

#[test]
fn two_apps_with_the_same_check_port_are_refused() {
    let app = |name: &str| {
        format!(
            "[apps.{name}]\nservers = [\"srvs/{name}\"]\nlisten = \"127.0.0.1:1000\"\nredirect.check_port = 2000\n\
             service.systemd = \"{name}\"\nready = [{{ tcp = \"127.0.0.1:1000\" }}]\n"
        )
    };
    let text = format!("[balancers.lb1]\nsocket = \"/run/haproxy/admin.sock\"\n{}{}", app("one"), app("two"));
    let error = parse(&text).unwrap_err();
    assert!(error.what.contains("apps `one` and `two` have the same check_port, 2000"), "{error}");
    assert_eq!(error.position.map(|position| position.line), Some(9), "the second app");
}
