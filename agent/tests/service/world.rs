//! A network namespace, a folder and an address for one test, and an end for everything that was started in it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use pitstop::config::settings::{self, Action, SignalName};
use pitstop::drain::sockets::Sockets;
use pitstop::process::Process;
use pitstop::service::child::Launcher;
use pitstop::service::mark::Purpose;
use pitstop::service::signal::{self, Plan};
use pitstop::service::{Note, Service};

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) notes: Mutex<Vec<Note>>,
    /// The id of the run that starts what is started.
    pub(crate) run: String,
}

pub(crate) fn in_world(test: impl AsyncFnOnce(&World) + Send + 'static) {
    let ended = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        run("ip", &["link", "set", "lo", "up"]);
        let folder = tempfile::tempdir().unwrap();
        // gunicorn and nginx hand their work to users of lower rights.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let run = format!("{}-{:?}", std::process::id(), std::thread::current().id());
        let world = World { folder, notes: Mutex::default(), run };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(test(&world))));
        if outcome.is_err() {
            eprintln!("{}", world.read("web.log"));
        }
        end_all_in_this_namespace();
        outcome
    });
    if let Err(panic) = ended.join().unwrap() {
        std::panic::resume_unwind(panic);
    }
}

/// Nobody but this test's own processes can be in its namespace.
fn end_all_in_this_namespace() {
    for process in processes_here() {
        let _ = nix::sys::signal::kill(Pid::from_raw(process.pid.cast_signed()), Signal::SIGKILL);
    }
}

/// All that lives in this thread's namespace, without this process.
pub(crate) fn processes_here() -> Vec<Process> {
    let here = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().parse::<u32>();
        if let Ok(pid) = pid
            && pid != std::process::id()
            && std::fs::read_link(entry.path().join("ns/net")).is_ok_and(|there| there == here)
        {
            found.extend(Process::read(pid).unwrap());
        }
    }
    found
}

pub(crate) fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success());
}

pub(crate) fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

pub(crate) fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

impl World {
    pub(crate) fn listen(&self) -> SocketAddr {
        "127.0.0.1:8000".parse().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn show(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn script(&self, name: &str, text: &str) -> Vec<String> {
        self.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o755)).unwrap();
        vec![self.show(name)]
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn launcher(&self) -> Launcher {
        self.launcher_of("run")
    }

    pub(crate) fn run_id(&self, run: &str) -> String {
        format!("{}-{run}", self.run)
    }

    /// As another run's.
    pub(crate) fn launcher_of(&self, run: &str) -> Launcher {
        let app = "web".parse::<settings::Label>().unwrap();
        Launcher::new(&app, self.folder.path(), &self.run_id(run), Purpose::Restart)
    }

    pub(crate) fn signal(&self, plan: Plan) -> signal::Signal {
        self.signal_of("run", plan)
    }

    pub(crate) fn signal_of(&self, run: &str, plan: Plan) -> signal::Signal {
        let pidfile = self.path("web.pid");
        signal::Signal::new(self.listen(), &pidfile, plan, self.launcher_of(run))
    }

    pub(crate) async fn apply(
        &self,
        service: &dyn Service,
        seconds: u64,
    ) -> Result<Process, pitstop::service::ServiceError> {
        let before = service.identity().await?;
        let notify = |note| {
            self.notes.lock().unwrap().push(note);
            Ok(())
        };
        service.apply(before.as_ref(), within(seconds), &notify).await.map(|identity| identity.main)
    }

    /// All but this process that hold the app's port, sorted by pid.
    pub(crate) async fn holders(&self) -> Vec<Process> {
        let sockets = Sockets::new(self.listen(), Vec::new());
        let mut holders = sockets.holders().await.unwrap();
        holders.sort_by_key(|holder| holder.pid);
        holders
    }

    /// Waits until so many processes hold the app's port.
    pub(crate) async fn until_held_by(&self, count: usize) -> Vec<Process> {
        let deadline = within(10);
        loop {
            let holders = self.holders().await;
            if holders.len() == count {
                return holders;
            }
            assert!(Instant::now() < deadline, "held by {holders:?}, not by {count}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// As [`until_held_by`](Self::until_held_by), and none has worked between two looks: a worker of gunicorn that has not loaded
    /// its code yet does not hear TERM.
    pub(crate) async fn until_at_rest(&self, count: usize) -> Vec<Process> {
        let deadline = within(20);
        let mut before = Vec::new();
        loop {
            let now = self.until_held_by(count).await;
            let ticks: Vec<_> = now.iter().map(|process| process.ticks_at_rest().unwrap()).collect();
            if ticks.iter().all(Option::is_some) && ticks == before {
                return now;
            }
            before = ticks;
            assert!(Instant::now() < deadline, "{now:?} do not come to rest");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the pid file, if there is one, names this process, as gunicorn's does soon after a succession.
    pub(crate) async fn until_named(&self, main: Process) {
        let deadline = within(10);
        let second = self.path("web.pid.2");
        while second.exists() || self.path("web.pid").exists() && self.read("web.pid").trim() != main.pid.to_string() {
            assert!(Instant::now() < deadline, "the pid file names {}", self.read("web.pid"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn get(&self) -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(self.listen()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

pub(crate) fn restart(start: Vec<String>) -> Plan {
    Plan::Restart { stop: Signal::SIGTERM, start }
}

pub(crate) fn hup() -> Plan {
    let [term, hup] = [Signal::SIGTERM, Signal::SIGHUP].map(SignalName);
    Plan::new(Action::Reload, &[], term, hup, None)
}

pub(crate) fn usr2(old: Signal) -> Plan {
    let [term, usr2] = [Signal::SIGTERM, Signal::SIGUSR2].map(SignalName);
    Plan::new(Action::Reload, &[], term, usr2, Some(SignalName(old)))
}

/// The folder of a path, for those who need it as text.
pub(crate) fn folder(path: &Path) -> String {
    path.parent().unwrap().display().to_string()
}
