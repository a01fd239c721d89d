//! gunicorn: TERM and start, HUP, USR2.

use std::time::Duration;

use nix::sys::signal::Signal;
use pitstop::process::Process;
use pitstop::service::{Note, Service};

use crate::world::{World, folder, hup, in_world, restart, usr2, words};

/// Each worker leaves a mark when it has loaded the app, which comes after it holds the socket.
const APP: &str = "import os\nopen('loaded.%d' % os.getpid(), 'w')\ndef app(environ, start):\n    start('200 OK', [])\n    return [b'VERSION']\n";

/// The command that starts gunicorn with two workers.
pub(crate) fn start(world: &World, options: &str) -> Vec<String> {
    release(world, "one");
    let pidfile = world.show("web.pid");
    let folder = folder(&world.path("web.pid"));
    words(&format!("gunicorn --workers 2 --bind {} --pid {pidfile} --chdir {folder}{options} app:app", world.listen()))
}

fn release(world: &World, version: &str) {
    world.write("app.py", &APP.replace("VERSION", version));
    // Python takes a cached module for fresh when the source's time in seconds and its size are the same.
    let _ = std::fs::remove_dir_all(world.path("__pycache__"));
}

async fn started(world: &World) -> (Process, Vec<Process>) {
    let main = world.apply(&world.signal(restart(start(world, ""))), 20).await.unwrap();
    let holders = world.until_held_by(3).await;
    for worker in holders.iter().filter(|holder| **holder != main) {
        let mark = world.path(&format!("loaded.{}", worker.pid));
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    (main, holders)
}

#[test]
fn a_restart_ends_the_old_process_and_gives_a_new_one_each_time() {
    in_world(async |world| {
        for options in ["", " --daemon"] {
            let service = world.signal(restart(start(world, options)));
            service.check().await.unwrap();
            let first = world.apply(&service, 20).await.unwrap();
            let old = world.until_held_by(3).await;
            release(world, "two");
            service.check().await.unwrap();
            let second = world.apply(&service, 20).await.unwrap();
            assert_ne!(first, second);
            for process in &old {
                assert!(!process.is_alive().unwrap());
            }
            assert!(world.get().ends_with("two"));
            assert_eq!(service.identity().await.unwrap().unwrap().main, second);
            // gunicorn that is stopped while it forks its workers waits for the youngest in vain.
            world.until_held_by(3).await;
        }
        let notes = world.notes.lock().unwrap();
        let gone = notes.iter().filter(|note| matches!(note, Note::Gone { .. }));
        assert_eq!(gone.count(), 3);
    });
}

#[test]
fn a_reload_keeps_the_master_and_replaces_every_worker() {
    in_world(async |world| {
        let (main, old) = started(world).await;
        for version in ["two", "three"] {
            release(world, version);
            let service = world.signal(hup());
            service.check().await.unwrap();
            assert_eq!(world.apply(&service, 20).await.unwrap(), main);
            let now = world.holders().await;
            assert!(now.iter().all(|holder| *holder == main || !old.contains(holder)));
            assert!(now.len() > 1);
            assert!(world.get().ends_with(version));
        }
    });
}

#[test]
fn a_successor_takes_over_and_the_old_master_ends() {
    in_world(async |world| {
        let (mut main, _) = started(world).await;
        for version in ["two", "three"] {
            let old = world.until_held_by(3).await;
            release(world, version);
            let service = world.signal(usr2(Signal::SIGTERM));
            service.check().await.unwrap();
            let successor = world.apply(&service, 20).await.unwrap();
            assert_ne!(successor, main);
            for process in old {
                assert!(!process.is_alive().unwrap());
            }
            let identity = service.identity().await.unwrap().unwrap();
            assert_eq!(identity.main, successor);
            assert!(world.get().ends_with(version));
            main = successor;
            // It takes its old master's pid file over within a second; only then it hears the next USR2.
            while world.read("web.pid").trim() != main.pid.to_string() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
}

#[test]
fn a_successor_that_can_not_work_leaves_the_old_master_serving() {
    in_world(async |world| {
        let (main, old) = started(world).await;
        // The first makes gunicorn's new master end, the second makes it fork workers without end.
        for (broken, seconds) in [("raise RuntimeError()\n", 20), ("raise SystemExit()\n", 2)] {
            world.write("app.py", broken);
            let service = world.signal(usr2(Signal::SIGTERM));
            let error = world.apply(&service, seconds).await.unwrap_err();
            assert!(!error.touched, "{error}");
            assert!(error.what.contains("goes on as before"), "{error}");
            assert_eq!(world.until_held_by(3).await, old);
            assert_eq!(service.identity().await.unwrap().unwrap().main, main);
            assert!(world.get().ends_with("one"));
        }
    });
}

#[test]
fn a_start_that_fails_says_what_the_app_said() {
    in_world(async |world| {
        let (old, _) = started(world).await;
        let service = world.signal(restart(start(world, " --no-such-option")));
        let error = world.apply(&service, 20).await.unwrap_err();
        assert!(error.touched);
        assert!(error.what.contains("unrecognized arguments"), "{error}");
        assert!(!old.is_alive().unwrap());
        assert!(service.identity().await.unwrap().is_none());
    });
}

#[test]
fn a_reload_of_an_app_that_does_not_run_is_refused() {
    in_world(async |world| {
        for plan in [hup(), usr2(Signal::SIGTERM)] {
            let service = world.signal(plan);
            assert!(!service.check().await.unwrap_err().touched);
            assert!(!world.apply(&service, 5).await.unwrap_err().touched);
        }
    });
}
