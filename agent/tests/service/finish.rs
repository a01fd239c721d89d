//! Runs that die in the middle of a restart, at every note they write, and what finishes it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::FutureExt;
use nix::sys::signal::Signal;
use pitstop::process::Process;
use pitstop::service::left::Left;
use pitstop::service::signal::Plan;
use pitstop::service::{Identity, Note, Service, command};

use crate::world::{World, hup, in_world, processes_here, restart, usr2, within};
use crate::{gunicorn, nginx, single};

/// How a run dies at a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// Before it is written down; what it announces does not follow.
    Before,
    /// Once it is written down and what it announces is done.
    After,
}

/// Applies, and dies at the `nth` note, from 0. `None` when the run was over before.
async fn die(world: &World, service: &dyn Service, run: &str, nth: usize, death: Death) -> Option<Left> {
    let before = service.identity().await.unwrap();
    let notes: Mutex<Vec<Note>> = Mutex::default();
    let dead = AtomicBool::new(false);
    let notify = |note| {
        let mut notes = notes.lock().unwrap();
        if notes.len() == nth {
            dead.store(true, Ordering::Relaxed);
            if death == Death::Before {
                drop(notes);
                resume_unwind(Box::new("dead"));
            }
        }
        notes.push(note);
        Ok(())
    };
    let life = AssertUnwindSafe(service.apply(before.as_ref(), within(20), &notify)).catch_unwind();
    until_dead(life, &dead).await;
    let died = dead.load(Ordering::Relaxed);
    let mut notes = notes.into_inner().unwrap();
    notes.truncate(nth + 1);
    died.then(|| Left { app: "web".to_owned(), runs: vec![world.run_id(run)], before, notes })
}

/// Polls until it is over, or drops it at its first rest once it is dead.
async fn until_dead<F: Future>(life: F, dead: &AtomicBool) {
    let mut life = pin!(life);
    poll_fn(|context| match life.as_mut().poll(context) {
        Poll::Pending if !dead.load(Ordering::Relaxed) => Poll::Pending,
        _ => Poll::Ready(()),
    })
    .await;
}

async fn finish(service: &dyn Service, left: &Left) -> Identity {
    let finished = service.finish(left, within(30), &|_| Ok(())).await;
    finished.unwrap_or_else(|error| panic!("{error} ({:?}) after {left:?}", error.source))
}

/// Lets a run die at every note, each in both ways, and finishes it each time: then the app is a new one, and the only one.
async fn finished_wherever_a_run_dies(world: &World, make: impl Fn(&str) -> Box<dyn Service>, processes: usize) {
    world.apply(&*make("first"), 20).await.unwrap();
    let mut deaths = 0;
    for death in [Death::Before, Death::After] {
        for nth in 0.. {
            world.until_at_rest(processes).await;
            let all = processes_here().len();
            let run = format!("{death:?}-{nth}");
            let Some(left) = die(world, &*make(&run), &run, nth, death).await else { break };
            deaths += 1;
            let now = finish(&*make("recovery"), &left).await.main;
            let old = left.before.as_ref().unwrap().main;
            assert_ne!(now, old, "{left:?}");
            assert!(!old.is_alive().unwrap(), "{left:?}");
            world.until_held_by(processes).await;
            assert_eq!(processes_here().len(), all, "{left:?}");
            assert!(now.is_alive().unwrap() && world.get().contains("one"));
            world.until_named(now).await;
        }
    }
    assert!(deaths >= 4, "only {deaths} deaths");
}

#[test]
fn a_restart_is_finished_wherever_the_run_died() {
    in_world(async |world| {
        let plan = restart(single::start(world, &world.show("web.pid"), ""));
        finished_wherever_a_run_dies(world, |run| Box::new(world.signal_of(run, plan.clone())), 1).await;
    });
}

#[test]
fn a_restart_without_a_pid_file_is_finished_wherever_the_run_died() {
    in_world(async |world| {
        let plan = restart(single::start(world, "", ""));
        finished_wherever_a_run_dies(world, |run| Box::new(world.signal_of(run, plan.clone())), 1).await;
    });
}

#[test]
fn a_daemons_restart_is_finished_wherever_the_run_died() {
    in_world(async |world| {
        let plan = restart(gunicorn::start(world, " --daemon --graceful-timeout 2"));
        finished_wherever_a_run_dies(world, |run| Box::new(world.signal_of(run, plan.clone())), 3).await;
    });
}

#[test]
fn a_restart_command_is_finished_wherever_the_run_died() {
    in_world(async |world| {
        let app = single::start(world, &world.show("web.pid"), "").join(" ");
        let pid = world.show("web.pid");
        let script = format!("if [ -f {pid} ]; then kill -9 $(cat {pid}); rm {pid}; fi\nsleep 0.3\n{app} &");
        let restart = world.script("restart", &script);
        let make = |run: &str| -> Box<dyn Service> {
            Box::new(command::Command::new(world.listen(), None, &restart, world.launcher_of(run)))
        };
        finished_wherever_a_run_dies(world, make, 1).await;
    });
}

#[test]
fn a_restart_by_a_manager_that_starts_the_app_itself_is_finished_wherever_the_run_died() {
    in_world(async |world| {
        let app = single::start(world, &world.show("web.pid"), "").join(" ");
        std::fs::create_dir(world.path("web")).unwrap();
        world.script("web/run", &format!("exec {app}"));
        let mut runsv = Command::new("runsv").arg(world.path("web")).spawn().unwrap();
        world.until_at_rest(1).await;
        let restart = ["sv", "restart", &world.show("web")].map(str::to_owned);
        let make = |run: &str| -> Box<dyn Service> {
            Box::new(command::Command::new(world.listen(), None, &restart, world.launcher_of(run)))
        };
        finished_wherever_a_run_dies(world, make, 1).await;
        runsv.kill().unwrap();
        runsv.wait().unwrap();
    });
}

#[test]
fn a_succession_is_finished_wherever_the_run_died() {
    in_world(async |world| {
        let start = restart(gunicorn::start(world, " --graceful-timeout 2"));
        succession(world, start, usr2(Signal::SIGTERM)).await;
    });
}

#[test]
fn a_succession_of_nginx_is_finished_wherever_the_run_died() {
    in_world(async |world| {
        let start = restart(nginx::start(world, "one"));
        succession(world, start, usr2(Signal::SIGQUIT)).await;
    });
}

async fn succession(world: &World, start: Plan, plan: Plan) {
    let make = |run: &str| -> Box<dyn Service> {
        Box::new(world.signal_of(run, if run == "first" { start.clone() } else { plan.clone() }))
    };
    finished_wherever_a_run_dies(world, make, 3).await;
}

#[test]
fn a_reload_is_done_again() {
    in_world(async |world| {
        let main = world.apply(&world.signal(restart(nginx::start(world, "one"))), 20).await.unwrap();
        let old = world.until_at_rest(3).await;
        for death in [Death::Before, Death::After] {
            let left = die(world, &world.signal(hup()), "run", 0, death).await.unwrap();
            assert_eq!(finish(&world.signal(hup()), &left).await.main, main);
            let now = world.until_held_by(3).await;
            assert!(now.iter().all(|holder| *holder == main || !old.contains(holder)));
        }
    });
}

/// A start command that leaves a line in `starts` and becomes the app two seconds later.
fn slow_start(world: &World) -> Vec<String> {
    let app = single::start(world, &world.show("web.pid"), "").join(" ");
    world.script("slow", &format!("echo started >> {}\nsleep 2\nexec {app}", world.show("starts")))
}

#[test]
fn a_start_that_takes_long_is_waited_for_and_not_begun_again() {
    in_world(async |world| {
        let slow = slow_start(world);
        let make = |run: &str| world.signal_of(run, restart(slow.clone()));
        for death in [Death::Before, Death::After] {
            // Its first note is the start, its second the process.
            let run = format!("{death:?}");
            let left = die(world, &make(&run), &run, if world.read("starts").is_empty() { 1 } else { 3 }, death)
                .await
                .unwrap();
            let starts = world.read("starts").lines().count();
            finish(&make("recovery"), &left).await;
            assert!(world.read("starts").lines().count() <= starts.max(1) + 1);
            assert_eq!(processes_here().len(), 1);
        }
        assert_eq!(world.read("starts").lines().count(), 2);
    });
}

#[test]
fn a_recovery_that_dies_is_recovered_with_what_the_first_run_left() {
    in_world(async |world| {
        let slow = slow_start(world);
        let service = world.signal_of("one", restart(slow.clone()));
        let mut left = die(world, &service, "one", 1, Death::Before).await.unwrap();
        left.runs.push(world.run_id("two"));
        left.notes.clear();
        finish(&world.signal_of("three", restart(slow)), &left).await;
        assert_eq!(world.read("starts").lines().count(), 1);
    });
}

/// Takes the app's port and answers.
const STRANGER: &str =
    "import http.server as h; h.HTTPServer(('127.0.0.1', 8000), h.SimpleHTTPRequestHandler).serve_forever()";

#[test]
fn a_stranger_that_takes_the_port_while_the_app_is_down_is_not_the_app() {
    in_world(async |world| {
        let good = world.signal(restart(single::start(world, &world.show("web.pid"), "")));
        let old = world.apply(&good, 10).await.unwrap();
        let idle = world.script("idle", "exec sleep 60");
        let service = world.signal(restart(idle));
        let stranger = Mutex::new(None);
        let notify = |note: Note| {
            if matches!(note, Note::Child { .. }) {
                let child = Command::new("python3").args(["-c", STRANGER]).spawn()?;
                *stranger.lock().unwrap() = Some(child);
            }
            Ok(())
        };
        let before = service.identity().await.unwrap();
        let error = service.apply(before.as_ref(), within(4), &notify).await.unwrap_err();
        let mut stranger = stranger.into_inner().unwrap().unwrap();
        let pid = stranger.id();
        let alive = Process::read(pid).unwrap().is_some();
        let doubt = error.source.as_ref().unwrap().to_string();
        // Nor is it for the recovery of a run that died there.
        let left = Left { app: "web".to_owned(), runs: vec!["dead".to_owned()], before, notes: Vec::new() };
        let refused = good.finish(&left, within(3), &|_| Ok(())).await.unwrap_err();
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        assert!(alive && !old.is_alive().unwrap() && error.touched);
        assert!(doubt.contains(&pid.to_string()), "{doubt}");
        assert!(refused.what.contains(&pid.to_string()), "{refused}");
    });
}
