//! The same files, read by a real HAProxy: `$HAPROXY`, or `haproxy` on the path. Needs root for a network namespace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use haproxy_cfg::{Config, Server};

fn haproxy() -> String {
    let path = std::env::var("HAPROXY").unwrap_or_else(|_| "haproxy".to_owned());
    if let Err(error) = Command::new(&path).arg("-v").output() {
        panic!("this test needs HAProxy 2.4 or later: {path}: {error}; install it or set HAPROXY");
    }
    path
}

#[test]
fn every_example_is_valid_without_a_warning() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let output = Command::new(haproxy()).args(["-dW", "-c", "-f"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", path.display());
        Config::parse("example", &std::fs::read_to_string(&path).unwrap()).unwrap();
        count += 1;
    }
    assert!(count >= 2);
}

#[test]
fn the_recipe_of_main_and_backup_is_read_as_it_is_meant() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/r1-main-and-backup.cfg");
    let config = Config::parse("r1", &std::fs::read_to_string(path).unwrap()).unwrap();
    let main = config.server("srvs", "webA").unwrap();
    let backup = config.server("srvs", "bkpA").unwrap();
    assert_eq!(main.check_port.known(), Some(&Some(2000)));
    assert_eq!(backup.check_port.known(), Some(&Some(1000)));
    assert_eq!(main.address.known(), backup.address.known());
    assert_eq!(main.settings.cookie.known(), backup.settings.cookie.known());
    assert_eq!(main.settings.backup.known(), Some(&false));
    assert_eq!(backup.settings.backup.known(), Some(&true));
    assert_eq!(config.kills_on_down("srvs", "webA"), Some(false));
    let settings = &config.backend("srvs").unwrap().settings;
    assert_eq!(settings.redispatch.known(), Some(&true));
    assert_eq!(settings.retries.known(), Some(&3));
}

/// Every rule by which a server's settings come about, and quoting of every kind.
const RULES: &str = r##"
global#no space needed
    stats socket "SOCKET" level admin # the rest is a comment: "
defaults one
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
    default-server weight 7 fall 5
    balance leastconn
defaults two from one
    default-server weight 9 check
defaults from one # no name
    balance source

backend last
    cookie C insert
    server a 127.0.0.1:1
    default-server rise 4 check
    server b 127.0.0.1:2 cookie check sni str(backup)
    default-server fall 9 weight 3
    server c 127.0.0.1:3 no-check backup
    server d 127.0.0.1:4 no-check track last/b

backend quoting
    cookie C insert
    server a 127.0.0.1:1 cookie a\ b"c d"'e f'
    'ser'"ver" b 127.0.0.1:2 cookie g\#h"#i"'#j'#weight 50
    server c 127.0.0.1:3 cookie \x41"\x42"'\x43'
    server d 127.0.0.1:4 cookie "k\"l'm"
    server e 127.0.0.1:5 cookie 'n"o\p'\q\'
    server f 127.0.0.1:6 cookie $x"\$y"'$z'

backend of_one from one
    server a 127.0.0.1:1 weight 0
listen of_two from two
    server a [::1]:1
    server-template t 2-4 127.0.0.1:80 weight 11 rise 1
"##;

#[test]
fn what_we_read_is_what_haproxy_does() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("admin.sock");
    let text = RULES.replace("SOCKET", socket.to_str().unwrap());
    let file = dir.path().join("haproxy.cfg");
    std::fs::write(&file, &text).unwrap();
    let running = Running::start(&file);
    let rows = stat(&socket);
    drop(running);
    let config = Config::parse("haproxy.cfg", &text).unwrap();
    let mut compared = 0;
    for backend in config.backends() {
        let name = backend.name.clone().unwrap();
        for server in backend.servers() {
            let theirs = &rows[&(name.clone(), server.name.clone())];
            assert_eq!(&in_columns(&server), theirs, "{name}/{}", server.name);
            compared += 1;
        }
        let row = &rows[&(name.clone(), "BACKEND".to_owned())];
        let balance = backend.settings.balance.known().unwrap().as_deref();
        assert_eq!(balance, row.get("algo").map(String::as_str), "{name}");
    }
    let servers = rows.keys().filter(|(_, row)| row != "BACKEND" && row != "FRONTEND");
    assert_eq!(compared, servers.count());
}

type Row = BTreeMap<&'static str, String>;

/// Our view, in the columns of `show stat`; what does not apply is left out, as HAProxy leaves it empty.
fn in_columns(server: &Server) -> Row {
    let settings = &server.settings;
    let mut row = Row::from([
        ("weight", settings.weight.known().unwrap().to_string()),
        ("bck", u8::from(*settings.backup.known().unwrap()).to_string()),
        ("addr", server.address.known().unwrap().clone()),
    ]);
    if *settings.check.known().unwrap() {
        row.insert("check_rise", settings.rise.known().unwrap().to_string());
        row.insert("check_fall", settings.fall.known().unwrap().to_string());
    }
    if let Some(cookie) = settings.cookie.known().unwrap() {
        row.insert("cookie", cookie.clone());
    }
    if let Some(track) = settings.track.known().unwrap() {
        row.insert("tracked", track.clone());
    }
    row
}

/// The same columns of every row of `show stat`.
fn stat(socket: &Path) -> BTreeMap<(String, String), Row> {
    let text = ask(socket, "show stat\n");
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().unwrap().trim_start_matches("# ").split(',').collect();
    let wanted = ["weight", "bck", "addr", "check_rise", "check_fall", "cookie", "tracked", "algo"];
    let row = |line: &str| {
        let cells = cells(line);
        let cell = |name: &str| {
            let index = header.iter().position(|column| *column == name).unwrap();
            cells[index].clone()
        };
        let names = (cell("pxname"), cell("svname"));
        let mut row: Row = wanted.map(|name| (name, cell(name))).into();
        row.retain(|_, value| !value.is_empty());
        (names, row)
    };
    lines.filter(|line| !line.is_empty()).map(row).collect()
}

/// The cells of a line of CSV; a quoted cell doubles its quotes.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let cell = cells.last_mut().unwrap();
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cell.push(other),
        }
    }
    cells
}

fn ask(socket: &Path, command: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(command.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A HAProxy in a network namespace of its own, for as long as this value lives.
struct Running(Child);

impl Running {
    fn start(file: &Path) -> Self {
        let said = file.with_file_name("stderr");
        let child = Command::new("unshare")
            .args(["--net", &haproxy(), "-db", "-f"])
            .arg(file)
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let mut running = Self(child);
        let socket = file.with_file_name("admin.sock");
        let start = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            if running.0.try_wait().unwrap().is_some() {
                panic!("HAProxy ended: {}", std::fs::read_to_string(said).unwrap());
            }
            assert!(start.elapsed() < Duration::from_secs(10), "HAProxy does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
