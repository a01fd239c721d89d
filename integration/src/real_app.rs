//! Apps as they are met in the field, each run for real: gunicorn, with its graceful reloads, and nginx.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::app::status_of;
use crate::{binaries, content, wait};

const START: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(3);

/// The pages of `testapp`, as a WSGI app.
const WSGI: &str = r#"
import os, time, zlib
from urllib.parse import parse_qs

NAME = os.environ.get("APP_NAME", "gunicorn")

def application(environ, start_response):
    query = {key: values[0] for key, values in parse_qs(environ["QUERY_STRING"]).items()}
    identity = query.get("id", "work")
    pause = int(query.get("ms", 0)) / 1000
    status, path = "200 OK", environ["PATH_INFO"]
    if path == "/health":
        body = b"ok\n"
    elif path == "/work":
        time.sleep(pause)
        line, size = (identity + "\n").encode(), int(query.get("bytes", 1024))
        body = (line * (size // len(line) + 1))[:size]
    elif path == "/upload":
        time.sleep(pause)
        length, checksum = 0, 0
        while chunk := environ["wsgi.input"].read(65536):
            length, checksum = length + len(chunk), zlib.crc32(chunk, checksum)
        body = f"{identity} {length} {checksum:08x}\n".encode()
    else:
        status, body = "404 Not Found", b"no such page\n"
    start_response(status, [("Content-Length", str(len(body))), ("X-App", NAME), ("X-Pid", str(os.getpid()))])
    return [body]
"#;

/// How gunicorn's workers serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    /// One request at a time.
    Sync,
    /// Threads, with keep-alive.
    Gthread,
}

/// A daemon with a pid file; ended on drop with all its workers, successors included.
#[derive(Debug)]
pub struct RealApp {
    listen: SocketAddr,
    folder: TempDir,
    start_command: Vec<String>,
    /// Ends master and workers at once.
    end: Signal,
}

impl RealApp {
    /// A gunicorn, not started yet.
    pub fn gunicorn(name: &str, listen: SocketAddr, worker: Worker) -> Self {
        let (folder, path) = new_folder();
        std::fs::write(folder.path().join("app.py"), WSGI).expect("write the WSGI app");
        let (class, workers, threads) = match worker {
            Worker::Sync => ("sync", "8", "1"),
            Worker::Gthread => ("gthread", "2", "8"),
        };
        let start_command = [
            &binaries::text(&binaries::tool("gunicorn", "test")),
            "--daemon",
            "--chdir",
            &path,
            "--bind",
            &listen.to_string(),
            "--pid",
            &format!("{path}/pid"),
            "--error-logfile",
            &format!("{path}/log"),
            "--worker-class",
            class,
            "--workers",
            workers,
            "--threads",
            threads,
            "--env",
            &format!("APP_NAME={name}"),
            "app:application",
        ]
        .map(str::to_owned)
        .into();
        Self { listen, folder, start_command, end: Signal::SIGQUIT }
    }

    /// An nginx that serves static pages, not started yet: `/health`, `/fast`, and `/slow`, which takes about two seconds. The
    /// load asks for these with `static_site`.
    pub fn nginx(listen: SocketAddr) -> Self {
        let (folder, path) = new_folder();
        let page = content::body(content::STATIC_ID, content::STATIC_BYTES);
        for name in ["fast", "slow"] {
            std::fs::write(folder.path().join(name), &page).expect("write a page");
        }
        std::fs::write(folder.path().join("nginx.conf"), nginx_config(&listen.to_string(), &path))
            .expect("write nginx.conf");
        let nginx = binaries::text(&binaries::tool("nginx", "test"));
        let start_command = [&nginx, "-e", &format!("{path}/log"), "-c", &format!("{path}/nginx.conf")];
        Self { listen, folder, start_command: start_command.map(str::to_owned).into(), end: Signal::SIGTERM }
    }

    /// The same nginx with TLS, under a certificate that it has signed itself; started, and accepting.
    pub fn nginx_with_tls(listen: SocketAddr) -> Self {
        let app = Self::nginx(listen);
        let path = binaries::text(app.folder.path());
        let certificate = [
            &binaries::text(&binaries::tool("openssl", "test")),
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-batch",
            "-subj",
            "/CN=app",
            "-out",
            &format!("{path}/certificate.pem"),
            "-keyout",
            &format!("{path}/key.pem"),
        ]
        .map(str::to_owned);
        run(&certificate);
        let secured =
            format!("{listen} ssl; ssl_certificate {path}/certificate.pem; ssl_certificate_key {path}/key.pem");
        std::fs::write(app.folder.path().join("nginx.conf"), nginx_config(&secured, &path)).expect("write nginx.conf");
        run(&app.start_command);
        let accepts = || (app.pid().is_some() && TcpStream::connect(listen).is_ok()).then_some(());
        wait::until("the app accepts", START, accepts);
        app
    }

    /// Where it takes traffic.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// The pid file of its master; gunicorn's successor after USR2 writes `pid.2` beside it until the old master has gone.
    pub fn pidfile(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    /// Its master, as the pid file says.
    pub fn pid(&self) -> Option<i32> {
        wait::read_pid(&self.pidfile())
    }

    /// The command that starts it as a daemon.
    pub fn start_command(&self) -> Vec<String> {
        self.start_command.clone()
    }

    /// Starts it, and waits until it is healthy.
    pub fn started(self) -> Self {
        run(&self.start_command);
        wait::until("the app is healthy", START, || {
            (self.pid().is_some() && status_of(self.listen, "/health") == Some(200)).then_some(())
        });
        self
    }
}

impl Drop for RealApp {
    fn drop(&mut self) {
        // After USR2 a successor (`pid.2`) or the old master (`pid.oldbin`) stands beside it.
        for name in ["pid", "pid.2", "pid.oldbin"] {
            end(wait::read_pid(&self.folder.path().join(name)), self.end);
        }
    }
}

fn nginx_config(listen: &str, path: &str) -> String {
    format!(
        "daemon on;
        worker_processes 2;
        user root;
        pid {path}/pid;
        error_log {path}/log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            default_type application/octet-stream;
            client_body_temp_path {path}/body;
            proxy_temp_path {path}/proxy;
            fastcgi_temp_path {path}/fastcgi;
            uwsgi_temp_path {path}/uwsgi;
            scgi_temp_path {path}/scgi;
            server {{
                listen {listen};
                root {path};
                add_header X-App nginx;
                add_header X-Pid $pid;
                location = /health {{ return 200 \"ok\\n\"; }}
                location = /slow {{ limit_rate 32k; }}
            }}
        }}
        "
    )
}

fn new_folder() -> (TempDir, String) {
    let folder = tempfile::Builder::new().prefix("pitstop-app-").tempdir().expect("create a folder for an app");
    let path = binaries::text(folder.path());
    (folder, path)
}

fn run(command: &[String]) {
    let status = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

fn end(pid: Option<i32>, signal: Signal) {
    let Some(pid) = pid.filter(|pid| wait::is_running(*pid)) else {
        return;
    };
    kill(Pid::from_raw(pid), signal).ok();
    if wait::within(END, || (!wait::is_running(pid)).then_some(())).is_none() {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
}
