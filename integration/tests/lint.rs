//! `pitstop haproxy-cfg lint` as operators and pipelines call it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration::binaries;
use integration::pitstop::{Outcome, Pitstop, Run};
use tempfile::TempDir;

/// Two servers of which one is not checked, in a whole configuration.
const UNCHECKED: &str = "\
defaults
    mode http
    option redispatch
    option httpchk GET /health
backend app
    server s1 10.0.0.1:8080 check
    server s2 10.0.0.2:8080
";

/// A folder of files, and no pitstop.toml.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-lint-").tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binaries::ours("pitstop"));
        command.current_dir(self.0.path()).args(["--config", "none.toml", "haproxy-cfg", "lint"]).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    fn lint(&self, arguments: &[&str]) -> Outcome {
        Run::start(self.command(arguments)).wait()
    }
}

fn one(text: &str) -> Files {
    Files::new(&[("a.cfg", text)])
}

#[test]
fn the_exit_code_is_that_of_the_worst_finding_that_was_asked_for() {
    let clean = one("backend app\n");
    clean.lint(&["a.cfg"]).assert_code(0).assert_says(&["nothing found", "(0 servers in 0 backends)"]);
    let warning = one(UNCHECKED);
    warning.lint(&["a.cfg"]).assert_code(1).assert_says(&["1 warning (2 servers in 1 backend)"]);
    warning.lint(&["a.cfg", "--fail-on", "error"]).assert_code(0).assert_says(&["1 warning"]);
    let note = one(&UNCHECKED.replace(":8080\n", ":8080 check\n").replace("GET /health", "GET /"));
    note.lint(&["a.cfg"]).assert_code(0).assert_says(&["1 note (2 servers"]);
    note.lint(&["a.cfg", "--fail-on", "note"]).assert_code(1);
    let error = one(&UNCHECKED.replace("check\n", "check agent-check\n"));
    error.lint(&["a.cfg", "--fail-on", "error"]).assert_code(1).assert_says(&["1 error, 1 warning (2"]);
    warning.lint(&["--fail-on", "never"]).assert_code(2);
}

#[test]
fn a_finding_is_shown_with_its_place_the_line_carets_the_reason_and_the_fix() {
    let outcome = one(UNCHECKED).lint(&["a.cfg"]);
    let wanted = "\
warning[no-check]: app/s2 is never checked
 --> a.cfg:7:12
  |
7 |     server s2 10.0.0.2:8080
  |            ^^
  why: HAProxy never notices that the server is down, and goes on sending it requests.
  fix: add `check`, to this line or to a `default-server` before it

1 warning (2 servers in 1 backend)
";
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), (wanted, ""));
}

#[test]
fn tabs_wide_characters_line_ends_of_dos_and_what_would_steer_a_terminal_are_borne() {
    let text = "backend app\r\n\toption redispatch\r\n\tserver s1 10.0.0.1:1 check\r\n\
                \tserver\ts2\t10.0.0.2:1 cookie 字\x1b[31m no-check\r\n";
    let outcome = one(text).lint(&["a.cfg"]);
    let wanted = " --> a.cfg:4:9\n  |\n4 |  server s2 10.0.0.2:1 cookie 字\\u{1b}[31m no-check\n  |         ^^\n";
    outcome.assert_code(1).assert_says(&[wanted]);
    assert!(!outcome.stdout.contains(['\x1b', '\r']), "{:?}", outcome.stdout);
}

#[test]
fn files_and_folders_are_one_configuration_and_standard_input_is_a_file() {
    let (defaults, backend) = UNCHECKED.split_at(UNCHECKED.find("backend").unwrap());
    let files = Files::new(&[
        ("main.cfg", defaults),
        ("conf.d/10-app.cfg", backend),
        ("conf.d/.hidden.cfg", "nonsense"),
        ("conf.d/notes.txt", "nonsense"),
        ("empty/README", ""),
    ]);
    let both = files.lint(&["main.cfg", "conf.d"]);
    both.assert_code(1).assert_says(&["--> conf.d/10-app.cfg:3:12", "1 warning (2 servers in 1 backend)"]);
    // Without the first, there is no `option redispatch` either.
    files.lint(&["conf.d"]).assert_says(&["2 warnings"]);
    files.lint(&["empty"]).assert_code(2).assert_says(&["error: no file that ends in .cfg is in empty"]);

    let mut command = files.command(&["-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(UNCHECKED.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("--> standard input:7:12"), "{said}");
}

#[test]
fn what_can_not_be_read_ends_with_code_2_and_the_place() {
    let files = Files::new(&[("quote.cfg", "global\n\tlog \"é ${X} oops\n"), ("binary.cfg", "\x7fELF\0\0\x01")]);
    let quote = files.lint(&["quote.cfg"]);
    let wanted = "\
error: HAProxy could not read this: this double quote is never closed
 --> quote.cfg:2:6
  |
2 |  log \"é ${X} oops
  |      ^
hint: `haproxy -c -f quote.cfg` shows what HAProxy says
";
    assert_eq!((quote.code, quote.stdout.as_str(), quote.stderr.as_str()), (Some(2), "", wanted));
    let binary = files.lint(&["binary.cfg"]);
    binary.assert_code(2).assert_says(&["binary.cfg:1:5", "NUL", r"\u{7f}ELF\0\0\u{1}"]);
    files.lint(&["none.cfg"]).assert_code(2).assert_says(&["none.cfg can't be read: No such file"]);

    let json = files.lint(&["quote.cfg", "--output", "json"]);
    let events = json.assert_code(2).events();
    assert_eq!((events.len(), json.stderr.as_str()), (1, ""));
    assert_eq!(events[0]["event"], "error");
    assert_eq!(events[0]["at"], serde_json::json!({"file": "quote.cfg", "line": 2, "column": 6}));
}

#[test]
fn programs_read_one_object_for_each_line_with_columns_in_characters() {
    let text = "backend app # ü\n option redispatch\n server s1 10.0.0.1:1 check\n server \"s2\" 10.0.0.2:1 # é\n";
    let outcome = one(text).lint(&["a.cfg", "--output", "json", "--times"]);
    let events = outcome.assert_code(1).events();
    assert_eq!(events.len(), outcome.stdout.lines().count());
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["finding", "worst_case", "linted"]);
    assert_eq!((&events[0]["rule"], &events[0]["severity"]), (&"no-check".into(), &"warning".into()));
    assert_eq!(events[0]["at"], serde_json::json!({"file": "a.cfg", "line": 4, "column": 9, "end": 13}));
    assert_eq!(events[0]["servers"], serde_json::json!(["app/s2"]));
    assert_eq!(
        (&events[1]["server"], &events[1]["out_ms"], &events[1]["in_ms"]),
        (&"app/s1".into(), &6000.into(), &4000.into())
    );
    let last = serde_json::json!({"event": "linted", "findings": 1, "backends": 1, "servers": 2, "exit_code": 1});
    assert_eq!(events[2], last);
}

#[test]
fn a_terminal_gets_colours_and_lines_that_fit_and_nobody_else_does() {
    let text =
        UNCHECKED.replace("10.0.0.2:8080", "10.0.0.2:8080 ssl verify none sni str(app.example.org) alpn h2,http/1.1");
    let files = one(&text);
    let pitstop = binaries::ours("pitstop");
    let on_terminal = |before: &str| {
        let lint = format!("{before} {} --config none.toml haproxy-cfg lint a.cfg", pitstop.display());
        let output = Command::new("script")
            .args(["-qec", &format!("stty rows 24 cols 40; {lint}"), "/dev/null"])
            .current_dir(files.0.path())
            .stdin(Stdio::null())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .output()
            .expect("script, of bsdutils");
        String::from_utf8(output.stdout).unwrap().replace('\r', "")
    };
    let coloured = on_terminal("");
    assert!(coloured.contains("\x1b[33mwarning\x1b[0m[no-check]"), "{coloured}");
    let cut = "7 |     server s2 10.0.0.2:8080 ssl ve…\n  |            ^^\n";
    assert!(coloured.contains(cut), "{coloured}");
    let plain = on_terminal("NO_COLOR=1");
    assert!(plain.contains("warning[no-check]") && !plain.contains('\x1b'), "{plain}");
    let piped = files.lint(&["a.cfg"]);
    assert!(piped.stdout.contains("http/1.1\n") && !piped.stdout.contains('\x1b'), "{}", piped.stdout);
}

#[test]
fn what_pitstop_knows_of_a_file_counts_there_and_nowhere_else() {
    let recipe = "\
global
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    mode http
    option redispatch
    option httpchk GET /health
    timeout server 60s
backend app
    server s1 10.0.0.1:8080 check port 2001
    server s2 10.0.0.2:8080 check port 2001
";
    let files = Files::new(&[("a.cfg", recipe), ("b.cfg", recipe)]);
    let path = |name: &str| files.0.path().join(name);
    let pitstop = Pitstop::new(&format!(
        "[balancers.lb1]\nsocket = \"/run/haproxy/admin.sock\"\nconfig = {:?}\n\
         [apps.web]\nservers = [\"app/s1\"]\nlisten = \"10.0.0.1:8080\"\nredirect = {{ check_port = 2000 }}\n\
         ready = [{{ tcp = \"10.0.0.1:8080\" }}]\nservice = {{ systemd = \"web.service\" }}\n",
        path("a.cfg")
    ));
    let lint = |name: &str| pitstop.run(&["haproxy-cfg", "lint", path(name).to_str().unwrap()]);
    lint("a.cfg").assert_code(1).assert_says(&[
        "error[check-port]: app/s1 is checked on port 2001, and the redirect is of port 2000",
        "note[no-master-socket]",
        "1 error, 1 note (2 servers in 1 backend)",
    ]);
    lint("b.cfg").assert_code(0).assert_says(&["nothing found"]);
    pitstop.configure("[nonsense");
    let without = lint("a.cfg");
    without.assert_code(0).assert_says(&["nothing found", "note: what ", "pitstop.toml says is left out: "]);
}

#[test]
fn thousands_of_findings_stay_one_line_each() {
    let mut text = "defaults\n mode http\n option redispatch\n".to_owned();
    for backend in 0..100 {
        text.push_str(&format!("backend b{backend}\n"));
        for server in 0..100 {
            text.push_str(&format!(" server s{server} 10.0.{backend}.{server}:80\n"));
        }
    }
    let outcome = one(&text).lint(&["a.cfg"]);
    outcome.assert_code(1).assert_says(&["10000 warnings (10000 servers in 100 backends)"]);
    let lines = outcome.stdout.lines().count();
    assert!((10_000..10_050).contains(&lines), "{lines}");
    assert_eq!(outcome.stdout.matches("  why: ").count(), 3);
    outcome.assert_says(&["\nwarning[no-check]: b99/s99 is never checked (a.cfg:10103:9)\n"]);
    // Quadratic work would take minutes.
    assert!(outcome.duration < Duration::from_secs(30), "{:?}", outcome.duration);
}

#[test]
fn where_there_is_no_server_nobody_reads_that_all_is_well() {
    for text in ["", "# nothing\n", "global\n log stdout local0\nbackend app\n"] {
        let said = "nothing found, but there was no server to look at (0 servers in 0 backends)\n";
        assert_eq!(one(text).lint(&["a.cfg"]).assert_code(0).stdout, said);
    }
    one("global\n stats socket *:9 level admin\n").lint(&["a.cfg"]).assert_code(1).assert_says(&["1 error (0 servers"]);
}

#[test]
fn a_variable_that_is_told_counts_in_addresses_also_without_quotes() {
    let text = "global\n hard-stop-after 30m\n stats socket ${SOCK} level admin mode 600\ndefaults\n mode http\n option redispatch\n \
                timeout server 60s\n option httpchk GET /up\n\
                backend b\n server a ${IP}:80 check\n server c 10.0.0.2:80 check\n";
    let files = one(text);
    files.lint(&["a.cfg"]).assert_code(0).assert_says(&["nothing found"]);
    let told = |ip: &str, socket: &str| {
        files.lint(&["a.cfg", "--fail-on", "note", "--set", &format!("IP={ip}"), "--set", &format!("SOCK={socket}")])
    };
    told("10.0.0.1", "/run/admin.sock").assert_code(0).assert_says(&["nothing found"]);
    told("10.0.0.2", "*:9").assert_code(1).assert_says(&["error[socket-open]", "warning[same-address]"]);
}

#[test]
fn whoever_may_not_read_a_file_is_told_who_may() {
    let files = one(UNCHECKED);
    fs::set_permissions(files.0.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(files.0.path().join("a.cfg"), PermissionsExt::from_mode(0o600)).unwrap();
    // Programs of a test may be where nobody else can reach them.
    let program = files.0.path().join("pitstop");
    fs::copy(binaries::ours("pitstop"), &program).unwrap();
    let mut command = Command::new(program);
    command.current_dir(files.0.path()).args(["--config", "none.toml", "haproxy-cfg", "lint", "a.cfg"]);
    command.stdin(Stdio::null()).uid(65534).gid(65534);
    let outcome = Run::start(command).wait();
    outcome.assert_code(2).assert_says(&["a.cfg can't be read: Permission denied", "hint: run it as root"]);
}
