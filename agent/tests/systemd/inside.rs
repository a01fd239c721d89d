//! What runs inside the container, one after the other.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pitstop::config::settings::Action;
use pitstop::process::Process;
use pitstop::service::child::Launcher;
use pitstop::service::left::Left;
use pitstop::service::mark::Purpose;
use pitstop::service::systemd::Systemd;
use pitstop::service::{Identity, Service, ServiceError};

const UNIT: &str = "web.service";
/// A worker that is told to end while it still boots does not hear it (gunicorn 20.1): the master then waits its grace out.
const GUNICORN: &str = "/usr/bin/gunicorn --graceful-timeout 2 --workers 2 --bind 127.0.0.1:8000 --chdir /run/web";

fn listen() -> SocketAddr {
    "127.0.0.1:8000".parse().unwrap()
}

fn systemctl(arguments: &str) -> bool {
    let words = arguments.split(' ');
    Command::new("systemctl").args(words).stderr(Stdio::null()).status().unwrap().success()
}

/// Installs the unit and starts it.
fn unit(text: &str) {
    std::fs::create_dir_all("/run/web").unwrap();
    let app = "def app(environ, start):\n    start('200 OK', [])\n    return [b'one']\n";
    std::fs::write("/run/web/app.py", app).unwrap();
    if Path::new("/run/systemd/system/web.service").exists() {
        systemctl("stop web.service");
        systemctl("reset-failed web.service");
    }
    std::fs::write("/run/systemd/system/web.service", text).unwrap();
    assert!(systemctl("daemon-reload"));
    assert!(systemctl("start web.service"));
}

fn service(action: Action) -> Systemd {
    Systemd::new(UNIT, action, listen())
}

async fn apply(service: &Systemd, seconds: u64) -> Result<Identity, ServiceError> {
    let before = service.identity().await?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    service.apply(before.as_ref(), deadline, &|_| Ok(())).await
}

async fn holders() -> Vec<Process> {
    let sockets = pitstop::drain::sockets::Sockets::new(listen(), Vec::new());
    sockets.holders().await.unwrap()
}

/// Waits until so many processes hold the socket and none has worked between two looks: a worker of gunicorn that has not loaded
/// its code yet does not hear TERM.
async fn until_held_by(count: usize) -> Vec<Process> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut before = Vec::new();
    loop {
        let now = holders().await;
        let ticks: Vec<_> = now.iter().map(|process| process.ticks_at_rest().unwrap()).collect();
        let at_rest = ticks.iter().all(Option::is_some) && ticks == before;
        if now.len() == count && at_rest {
            return now;
        }
        before = ticks;
        assert!(Instant::now() < deadline, "held by {now:?}, not by {count} at rest");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn restarts_to_a_new_process_each_time(text: &str) {
    unit(text);
    until_held_by(3).await;
    let service = service(Action::Restart);
    let mut last = service.identity().await.unwrap().unwrap();
    for _ in 0..3 {
        service.check().await.unwrap();
        let now = apply(&service, 20).await.unwrap();
        assert_ne!(now.main, last.main);
        assert_ne!(now.invocation, last.invocation);
        assert!(now.main.is_alive().unwrap());
        assert!(!last.main.is_alive().unwrap());
        last = now;
        // gunicorn that is stopped while it forks its workers waits for the youngest in vain.
        until_held_by(3).await;
    }
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_simple_unit_restarts() {
    restarts_to_a_new_process_each_time(&format!("[Service]\nExecStart={GUNICORN} app:app\n")).await;
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_notifying_unit_restarts() {
    let text = format!("[Service]\nType=notify\nNotifyAccess=all\nExecStart={GUNICORN} app:app\n");
    restarts_to_a_new_process_each_time(&text).await;
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_forking_unit_restarts() {
    let text = format!(
        "[Service]\nType=forking\nPIDFile=/run/web/pid\n\
         ExecStart={GUNICORN} --daemon --pid /run/web/pid app:app\n"
    );
    restarts_to_a_new_process_each_time(&text).await;
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_stopped_unit_is_started() {
    unit(&format!("[Service]\nExecStart={GUNICORN} app:app\n"));
    systemctl("stop web.service");
    let service = service(Action::Restart);
    assert!(service.identity().await.unwrap().is_none());
    service.check().await.unwrap();
    apply(&service, 20).await.unwrap();
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_reload_is_over_when_no_old_worker_holds_the_socket() {
    unit(&format!("[Service]\nExecStart={GUNICORN} app:app\nExecReload=/bin/kill -HUP $MAINPID\n"));
    let old = until_held_by(3).await;
    let service = service(Action::Reload);
    let before = service.identity().await.unwrap().unwrap();
    service.check().await.unwrap();
    let now = apply(&service, 20).await.unwrap();
    assert_eq!(now.main, before.main);
    for holder in holders().await {
        assert!(holder == now.main || !old.contains(&holder));
    }
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_unit_that_can_not_be_restarted_is_refused_untouched() {
    let refused = async |unit: &str, action, word: &str| {
        let service = Systemd::new(unit, action, listen());
        let error = service.check().await.unwrap_err();
        assert!(!error.touched && error.what.contains(word), "{error}");
        assert!(!apply(&service, 5).await.unwrap_err().touched);
    };
    refused("no-such.service", Action::Restart, "no unit").await;
    unit(&format!("[Service]\nExecStart={GUNICORN} app:app\n"));
    refused(UNIT, Action::Reload, "ExecReload").await;
    systemctl("stop web.service");
    refused(UNIT, Action::Reload, "inactive").await;
    std::os::unix::fs::symlink("/dev/null", "/run/systemd/system/masked.service").unwrap();
    assert!(systemctl("daemon-reload"));
    refused("masked.service", Action::Restart, "masked").await;
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_start_that_fails_is_told_with_its_exit_status() {
    unit(
        "[Service]\nType=notify\nNotifyAccess=all\n\
         ExecStart=/bin/sh -c 'test ! -e /run/web/broken || exit 7; \
         systemd-notify --ready; exec sleep 600'\n",
    );
    std::fs::write("/run/web/broken", "").unwrap();
    let error = apply(&service(Action::Restart), 20).await.unwrap_err();
    std::fs::remove_file("/run/web/broken").unwrap();
    assert!(error.touched);
    assert!(error.what.contains("exit-code, its exit status 7"), "{error}");
    assert!(error.hint.unwrap().contains("journalctl -u web.service"));
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_start_limit_is_named_with_its_cure() {
    unit(&format!("[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=60\n[Service]\nExecStart={GUNICORN} app:app\n"));
    let service = service(Action::Restart);
    apply(&service, 20).await.unwrap();
    let error = apply(&service, 20).await.unwrap_err();
    assert!(error.touched);
    assert!(error.what.contains("start-limit-hit"), "{error}");
    assert!(error.hint.unwrap().contains("systemctl reset-failed web.service"));
    systemctl("reset-failed web.service");
    apply(&service, 20).await.unwrap();
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_crash_loop_is_waited_out_until_the_deadline_or_the_next_process() {
    unit(
        "[Service]\nRestart=always\nRestartSec=300ms\n\
         ExecStart=/bin/sh -c 'test ! -e /run/web/once || { rm /run/web/once; exit 1; }; \
         echo >/run/web/started; exec sleep 600'\n",
    );
    while !Path::new("/run/web/started").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::write("/run/web/once", "").unwrap();
    let service = service(Action::Restart);
    let before = service.identity().await.unwrap().unwrap();
    let now = apply(&service, 20).await.unwrap();
    assert_ne!(now.main, before.main);
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_job_that_takes_too_long_is_given_up_at_the_deadline() {
    unit(
        "[Service]\nExecStart=/bin/sh -c 'trap \"\" TERM; echo >/run/web/started; while :; do sleep 1; done'\nTimeoutStopSec=8\n",
    );
    while !Path::new("/run/web/started").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = apply(&service(Action::Restart), 1).await.unwrap_err();
    assert!(error.touched && error.what.contains("not over"), "{error}");
    systemctl("kill --signal=KILL web.service");
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn without_a_bus_nothing_is_begun() {
    unit(&format!("[Service]\nExecStart={GUNICORN} app:app\n"));
    systemctl("stop dbus.socket dbus.service");
    let service = service(Action::Restart);
    let checked = service.check().await;
    let applied = apply(&service, 5).await;
    systemctl("start dbus.socket dbus.service");
    for error in [checked.unwrap_err(), applied.unwrap_err()] {
        assert!(!error.touched && error.what.contains("D-Bus"), "{error}");
    }
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn who_has_no_right_touches_nothing() {
    if !nix::unistd::Uid::effective().is_root() {
        let error = apply(&service(Action::Restart), 5).await.unwrap_err();
        assert!(!error.touched, "{error}");
        return;
    }
    unit(&format!("[Service]\nExecStart={GUNICORN} app:app\n"));
    let before = service(Action::Restart).identity().await.unwrap();
    let this = std::env::current_exe().unwrap();
    let nobody = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", "--"])
        .arg(this)
        .args(["--ignored", "who_has_no_right_touches_nothing"])
        .status()
        .unwrap();
    assert!(nobody.success());
    assert_eq!(service(Action::Restart).identity().await.unwrap(), before);
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_command_runs_in_a_scope_of_its_own() {
    let launcher = Launcher::new(&"web".parse().unwrap(), Path::new("/run/web"), "run", Purpose::Restart);
    let command = ["sleep".to_owned(), "600".to_owned()];
    let child = launcher.spawn(&command, &|_| Ok(())).await.unwrap();
    let pid = child.process().pid;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        if cgroup.contains("/system.slice/pitstop-web-") && command == "sleep\x00600\x00" {
            break;
        }
        assert!(Instant::now() < deadline, "{cgroup} {command:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(child.process().is_alive().unwrap());
}

/// Lets a run die right before or right after it asks systemd, and finishes it.
async fn finishes(asked: bool, text: &str) {
    unit(text);
    until_held_by(3).await;
    let service = service(Action::Restart);
    let before = service.identity().await.unwrap();
    if asked {
        assert!(systemctl("--no-block restart web.service"));
    }
    let left = Left { app: "web".to_owned(), runs: vec!["dead".to_owned()], before: before.clone(), notes: Vec::new() };
    let deadline = Instant::now() + Duration::from_secs(20);
    let now = service.finish(&left, deadline, &|_| Ok(())).await.unwrap();
    assert_ne!(Some(&now), before.as_ref());
    assert!(!before.unwrap().main.is_alive().unwrap());
    assert!(until_held_by(3).await.contains(&now.main));
    // What has happened is not done again.
    assert_eq!(service.finish(&left, deadline, &|_| Ok(())).await.unwrap(), now);
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_restart_is_finished_whether_systemd_was_asked_or_not() {
    for asked in [false, true] {
        finishes(asked, &format!("[Service]\nType=notify\nNotifyAccess=all\nExecStart={GUNICORN} app:app\n")).await;
        finishes(asked, &format!("[Service]\nExecStartPre=/bin/sleep 1\nExecStart={GUNICORN} app:app\n")).await;
    }
}

const CALLER: &str = "PITSTOP_TEST_CALLER";

#[tokio::test]
#[ignore = "runs inside the container"]
async fn what_a_run_started_outlives_the_unit_it_was_called_from() {
    let launcher = Launcher::new(&"web".parse().unwrap(), Path::new("/run/web"), "20261121-web", Purpose::Restart);
    if std::env::var_os(CALLER).is_some() {
        let start = ["sh", "-c", "sleep 700 & echo $! > /run/web/app.pid; wait"].map(str::to_owned);
        launcher.spawn(&start, &|_| Ok(())).await.unwrap();
        std::future::pending::<()>().await;
    }
    std::fs::create_dir_all("/run/web").unwrap();
    let this = std::env::current_exe().unwrap().display().to_string();
    for how in [&["--unit=caller.service", "--quiet"][..], &["--unit=caller.scope", "--quiet", "--scope"]] {
        let _ = std::fs::remove_file("/run/web/app.pid");
        let test = "inside::what_a_run_started_outlives_the_unit_it_was_called_from";
        let mut caller = Command::new("systemd-run")
            .args(how)
            .args(["env", &format!("{CALLER}=1"), &this, "--ignored", "--exact", test])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let app = loop {
            let pid = std::fs::read_to_string("/run/web/app.pid").unwrap_or_default();
            if let Ok(pid) = pid.trim().parse() {
                break Process::read(pid).unwrap().unwrap();
            }
            assert!(Instant::now() < deadline, "nothing was started");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", app.pid)).unwrap();
        assert!(cgroup.contains("/system.slice/pitstop-web-20261121-web-restart-"), "{cgroup}");
        assert!(systemctl(&format!("stop {}", how[0].trim_start_matches("--unit="))));
        caller.wait().unwrap();
        assert!(app.is_alive().unwrap());
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(app.pid.cast_signed()), nix::sys::signal::SIGKILL).unwrap();
    }
}

#[tokio::test]
#[ignore = "runs inside the container"]
async fn a_command_is_started_also_where_systemd_makes_no_scope() {
    if !nix::unistd::Uid::effective().is_root() {
        let launcher = Launcher::new(&"web".parse().unwrap(), Path::new("/tmp/nobody"), "run", Purpose::Restart);
        let deadline = Instant::now() + Duration::from_secs(20);
        launcher.run(&["true".to_owned()], deadline, &|_| Ok(())).await.unwrap();
        return;
    }
    let nobody = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "inside::a_command_is_started_also_where_systemd_makes_no_scope"])
        .status()
        .unwrap();
    assert!(nobody.success());
}
