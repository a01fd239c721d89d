//! A gunicorn that notes by itself when it is told to stop, and when each request begins and ends: what is measured is
//! the same for every method, whoever does the restart.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use integration::app::status_of;
use integration::real_app::{RealApp, Worker};
use integration::{binaries, netns, wait};
use nix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(30);

/// Gunicorn's configuration. A line is written at once and by one call, so that threads and processes share the file.
/// The master learns of the stop by its own signal handler; workers are known by the master that started them.
const HOOKS: &str = r#"
import os, signal, threading, time

# Longer than the balancer keeps a connection, as is advised for apps behind one.
keepalive = 75

NOTES = os.open(NOTES_PATH, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def note(what, master, path="-"):
    line = f"{time.monotonic_ns()} {what} {master} {os.getpid()}:{threading.get_ident()} {path}\n"
    os.write(NOTES, line.encode())

def when_ready(server):
    handler = signal.getsignal(signal.SIGTERM)
    def told_to_stop(number, frame):
        note("stop", os.getpid())
        handler(number, frame)
    signal.signal(signal.SIGTERM, told_to_stop)

def pre_request(worker, request):
    note("begin", worker.ppid, request.path)

def post_request(worker, request, environ, response):
    note("end", worker.ppid, request.path)
"#;

/// A time on the monotonic clock, which all processes of a host share.
pub(crate) type Moment = Duration;

/// Now.
pub(crate) fn now() -> Moment {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("read the monotonic clock");
    Duration::from(time)
}

/// What was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The master got its stop signal.
    Stop,
    /// A request was read.
    Begin,
    /// A request was answered.
    End,
}

/// A line of the notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) at: Moment,
    pub(crate) what: What,
    /// The master of the process that wrote it.
    pub(crate) master: i32,
    /// Process and thread, which has one request at a time.
    pub(crate) thread: String,
    /// Whether it is about a request that is not `/health`.
    pub(crate) traffic: bool,
}

impl Note {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let at = Duration::from_nanos(words.next()?.parse().ok()?);
        let what = match words.next()? {
            "stop" => What::Stop,
            "begin" => What::Begin,
            "end" => What::End,
            _ => return None,
        };
        let master = words.next()?.parse().ok()?;
        let thread = words.next()?.to_owned();
        let traffic = what != What::Stop && words.next()? != "/health";
        Some(Self { at, what, master, thread, traffic })
    }
}

/// The app, and its notes.
#[derive(Debug)]
pub(crate) struct NotedApp {
    name: String,
    gunicorn: RealApp,
    folder: TempDir,
}

impl NotedApp {
    /// Starts it, and waits until it is healthy.
    pub(crate) fn start(name: &str, listen: SocketAddr) -> Self {
        let folder = tempfile::Builder::new().prefix("pitstop-notes-").tempdir().expect("create a folder for notes");
        let app = Self { name: name.to_owned(), gunicorn: RealApp::gunicorn(name, listen, Worker::Gthread), folder };
        let hooks = HOOKS.replace("NOTES_PATH", &format!("{:?}", app.notes_path()));
        std::fs::write(app.hooks_path(), hooks).expect("write gunicorn's configuration");
        let command = app.start_command();
        netns::run(&command.iter().map(String::as_str).collect::<Vec<_>>());
        wait::until(&format!("{name} is healthy"), START, || {
            (app.pid().is_some() && status_of(listen, "/health") == Some(200)).then_some(())
        });
        app
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.gunicorn.listen()
    }

    pub(crate) fn pidfile(&self) -> PathBuf {
        self.gunicorn.pidfile()
    }

    /// The master.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.gunicorn.pid()
    }

    /// The command that starts it as a daemon.
    pub(crate) fn start_command(&self) -> Vec<String> {
        let mut command = self.gunicorn.start_command();
        command.extend(["--config".to_owned(), binaries::text(&self.hooks_path())]);
        command
    }

    fn hooks_path(&self) -> PathBuf {
        self.folder.path().join("gunicorn.conf.py")
    }

    fn notes_path(&self) -> PathBuf {
        self.folder.path().join("notes")
    }

    /// What has been noted so far, and is noted from now on when read again.
    pub(crate) fn notes(&self) -> Notes {
        let file = std::fs::File::open(self.notes_path()).expect("an app that served has notes");
        Notes { file, rest: String::new(), read: Vec::new() }
    }

    /// As [`notes`](Self::notes), without what was noted before.
    pub(crate) fn notes_from_now(&self) -> Notes {
        let mut notes = self.notes();
        notes.file.seek(SeekFrom::End(0)).expect("skip what was noted");
        notes
    }
}

/// A reader of an app's notes.
#[derive(Debug)]
pub(crate) struct Notes {
    file: std::fs::File,
    rest: String,
    read: Vec<Note>,
}

impl Notes {
    /// All that was noted since the reader's beginning.
    pub(crate) fn all(&mut self) -> &[Note] {
        self.file.read_to_string(&mut self.rest).expect("read notes");
        // The last line may be on its way.
        let complete = self.rest.rfind('\n').map_or(0, |end| end + 1);
        self.read.extend(self.rest[..complete].lines().filter_map(Note::read));
        self.rest.drain(..complete);
        &self.read
    }
}
