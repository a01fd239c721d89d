//! nginx: HUP, USR2.

use nix::sys::signal::Signal;
use pitstop::process::Process;
use pitstop::service::Service;

use crate::world::{World, folder, hup, in_world, restart, usr2, words};

fn configure(world: &World, answer: &str) {
    let folder = folder(&world.path("nginx.conf"));
    world.write(
        "nginx.conf",
        &format!(
            "worker_processes 2; pid {folder}/web.pid; error_log {folder}/error.log;\n\
             events {{}}\n\
             http {{ access_log off; server {{ listen {}; location / {{ return 200 {answer}; }} }} }}\n",
            world.listen()
        ),
    );
}

/// The command that starts nginx with two workers that give this answer.
pub(crate) fn start(world: &World, answer: &str) -> Vec<String> {
    configure(world, answer);
    // At USR2 nginx runs argv[0] again, without a search path.
    words(&format!("/usr/sbin/nginx -c {}", world.show("nginx.conf")))
}

async fn started(world: &World) -> (Process, Vec<Process>) {
    let service = world.signal(restart(start(world, "one")));
    let main = world.apply(&service, 20).await.unwrap();
    (main, world.until_held_by(3).await)
}

#[test]
fn a_daemon_that_restarts_is_known_by_its_pid_file() {
    in_world(async |world| {
        let (first, _) = started(world).await;
        let (second, holders) = started(world).await;
        assert_ne!(first, second);
        assert!(holders.contains(&second));
        assert_eq!(world.read("web.pid").trim(), second.pid.to_string());
    });
}

#[test]
fn a_reload_keeps_the_master_and_replaces_every_worker() {
    in_world(async |world| {
        let (main, old) = started(world).await;
        configure(world, "two");
        let service = world.signal(hup());
        service.check().await.unwrap();
        assert_eq!(world.apply(&service, 20).await.unwrap(), main);
        let now = world.holders().await;
        assert!(now.iter().all(|holder| *holder == main || !old.contains(holder)));
        assert!(world.get().ends_with("two"));
    });
}

#[test]
fn a_reload_that_nginx_refuses_leaves_the_app_untouched() {
    in_world(async |world| {
        let (_, old) = started(world).await;
        world.write("nginx.conf", "nonsense;\n");
        let error = world.apply(&world.signal(hup()), 1).await.unwrap_err();
        assert!(!error.touched, "{error}");
        assert_eq!(world.holders().await, old);
        assert!(world.get().ends_with("one"));
    });
}

#[test]
fn a_successor_takes_over_and_the_old_master_ends() {
    in_world(async |world| {
        let (main, old) = started(world).await;
        configure(world, "two");
        let service = world.signal(usr2(Signal::SIGQUIT));
        let successor = world.apply(&service, 20).await.unwrap();
        assert_ne!(successor, main);
        for process in old {
            assert!(!process.is_alive().unwrap());
        }
        assert!(world.get().ends_with("two"));
        assert_eq!(service.identity().await.unwrap().unwrap().main, successor);
    });
}
