//! A restart command: believed by the process it brings, never by its exit code.

use pitstop::service::Service;
use pitstop::service::command::Command;

use crate::world::{World, in_world};

const APP: &str = "exec python3 -m http.server --bind 127.0.0.1 8000";

/// A restart script: ends the app by its pid, starts it in the background, then ends as told.
fn restart(world: &World, end: &str) -> Vec<String> {
    let app = world.script("app", APP).remove(0);
    let pid = world.show("app.pid");
    world.script(
        "restart",
        &format!(
            "if [ -f {pid} ]; then kill -9 $(cat {pid}); fi\n\
             {app} & echo $! > {pid}\n{end}"
        ),
    )
}

fn service(world: &World, restart: &[String]) -> Command {
    Command::new(world.listen(), None, restart, world.launcher())
}

#[test]
fn every_restart_brings_a_new_process_whatever_the_exit_code() {
    in_world(async |world| {
        let mut last = None;
        for end in ["exit 0", "exit 0", "exit 1"] {
            let service = service(world, &restart(world, end));
            service.check().await.unwrap();
            let main = world.apply(&service, 10).await.unwrap();
            assert_ne!(last, Some(main));
            assert_eq!(service.identity().await.unwrap().unwrap().main, main);
            last = Some(main);
        }
    });
}

#[test]
fn an_app_that_a_command_started_before_it_failed_may_take_its_time() {
    in_world(async |world| {
        let slow = world.script("slow", &format!("sleep 3; {APP}")).remove(0);
        let service = service(world, &world.script("restart", &format!("{slow} &\nexit 1")));
        world.apply(&service, 20).await.unwrap();
    });
}

#[test]
fn a_command_that_says_it_did_and_did_not_is_not_believed() {
    in_world(async |world| {
        let main = world.apply(&service(world, &restart(world, "")), 10).await.unwrap();
        let liar = service(world, &["true".to_owned()]);
        let error = world.apply(&liar, 1).await.unwrap_err();
        assert!(!error.touched, "{error}");
        assert!(error.what.contains(&main.pid.to_string()), "{error}");
        assert!(main.is_alive().unwrap());
    });
}

#[test]
fn a_command_that_fails_without_touching_the_app_is_said_at_once() {
    in_world(async |world| {
        let main = world.apply(&service(world, &restart(world, "")), 10).await.unwrap();
        let failing = service(world, &world.script("fail", "echo no rights >&2; exit 4"));
        let error = world.apply(&failing, 60).await.unwrap_err();
        assert!(!error.touched);
        assert!(error.what.contains("no rights"), "{error}");
        assert!(main.is_alive().unwrap());
    });
}

#[test]
fn a_command_that_only_stops_the_app_leaves_it_touched() {
    in_world(async |world| {
        world.apply(&service(world, &restart(world, "")), 10).await.unwrap();
        let stop = world.script("stop", &format!("kill -9 $(cat {})", world.show("app.pid")));
        let error = world.apply(&service(world, &stop), 1).await.unwrap_err();
        assert!(error.touched, "{error}");
    });
}

/// A master that keeps the listening socket whatever becomes of its worker.
const FORKING: &str = "\
import os, signal, socket, sys
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('127.0.0.1', 8000))
listener.listen()
worker = os.fork()
if worker:
    open(sys.argv[1], 'w').write(str(worker))
    os.wait()
signal.pause()
";

#[test]
fn a_command_that_fails_and_ends_a_worker_leaves_the_app_touched() {
    in_world(async |world| {
        world.write("forking.py", FORKING);
        let app = format!("exec python3 {} {}", world.show("forking.py"), world.show("worker"));
        let app = world.script("forking", &app).remove(0);
        let forked = format!("while [ ! -s {} ]; do sleep 0.01; done", world.show("worker"));
        let start = world.script("start", &format!("{app} &\n{forked}"));
        let main = world.apply(&service(world, &start), 10).await.unwrap();
        let fail = format!("kill -9 $(cat {})\nexit 4", world.show("worker"));
        let failing = service(world, &world.script("fail", &fail));
        let error = world.apply(&failing, 60).await.unwrap_err();
        assert!(main.is_alive().unwrap());
        assert!(error.touched, "{error}");
    });
}
