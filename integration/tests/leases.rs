//! Leases and their keeper: an app that is out is kept so, whatever undoes it, until its time is over or somebody says `in`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use integration::haproxy::{Haproxy, Version};
use integration::load::Load;
use integration::pitstop::Run;
use integration::request::Held;
use integration::wait;
use integration::world::{Builder, Redirects, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pitstop::keeper::seat::Seat;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);

/// A world under load, whose alerts are written down.
struct Scene {
    world: World,
    load: Load,
    folder: TempDir,
}

impl Scene {
    fn new(builder: Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let on_alert = format!("on_alert = ['sh', '-c', 'echo \"$1\" >>{}', 'alert']", alerts(&folder).display());
        let world = builder.pitstop_line(&on_alert).pitstop_line("hold = \"0s\"").start();
        let load = world.load(Duration::from_millis(500));
        load.wait_for_requests(50, SOON);
        Self { world, load, folder }
    }

    fn alerts(&self) -> String {
        fs::read_to_string(alerts(&self.folder)).unwrap_or_default()
    }

    fn is_in(&self) -> bool {
        is_in(&self.world, &self.world.haproxy)
    }

    fn is_out(&self) -> bool {
        is_out(&self.world, &self.world.haproxy)
    }

    fn assert_nothing_failed(self) {
        self.load.wait_for_requests(50, SOON);
        self.load.stop().assert_nothing_failed();
    }
}

fn alerts(folder: &TempDir) -> PathBuf {
    folder.path().join("alerts")
}

fn is_in(world: &World, haproxy: &Haproxy) -> bool {
    world.servers(0).iter().all(|server| haproxy.status(server).starts_with("UP"))
}

fn is_out(world: &World, haproxy: &Haproxy) -> bool {
    world.servers(0).iter().all(|server| haproxy.status(server) == "MAINT")
}

/// The keeper of `webA` that lives now. It sits before it has written down who it is.
fn keeper(world: &World) -> Option<i32> {
    let written = || {
        let text = fs::read_to_string(world.pitstop.state().join("apps/webA/keeper")).ok()?;
        text.trim().parse().ok().filter(|pid| wait::is_running(*pid))
    };
    wait::until("who the keeper is", SOON, || match Seat::is_taken(&world.pitstop.state(), "webA") {
        true => written().map(Some),
        false => Some(None),
    })
}

fn diary(world: &World) -> String {
    fs::read_to_string(world.pitstop.state().join("apps/webA/keeper.log")).unwrap_or_default()
}

fn wait_until_kept_no_more(world: &World) {
    wait::until("no keeper", SOON, || keeper(world).is_none().then_some(()));
}

#[test]
fn a_lease_that_runs_out_puts_a_healthy_app_back_and_its_keeper_goes() {
    let scene = Scene::new(World::builder().redirects(Redirects::ByPitstop));
    let out = scene.world.pitstop.run(&["out", "webA", "--for", "1h", "--reason", "new disk"]);
    out.assert_code(0).assert_says(&["out of rotation", "in 1h, or by `pitstop in webA`"]);
    assert!(scene.is_out() && keeper(&scene.world).is_some());
    let status = scene.world.pitstop.run(&["status", "webA"]);
    status.assert_code(0).assert_says(&["lease: out by", "new disk", "left", "keeper: at work"]);
    let json = scene.world.pitstop.run(&["--output", "json", "status", "webA"]).events().remove(0);
    assert_eq!(
        (&json["lease"]["reason"], &json["keeper"], &json["stuck"]),
        (&"new disk".into(), &"alive".into(), &false.into())
    );
    let began = Instant::now();
    scene.world.pitstop.run(&["out", "webA", "--for", "3s"]).assert_code(0);
    wait::until("in again", SOON, || scene.is_in().then_some(()));
    assert!(began.elapsed() >= Duration::from_secs(3), "{}", diary(&scene.world));
    wait_until_kept_no_more(&scene.world);
    let status = scene.world.pitstop.run(&["status", "webA"]);
    assert!(!status.stdout.contains("lease") && !status.stdout.contains("keeper"), "{}", status.stdout);
    assert_eq!(scene.alerts(), "");
    scene.world.pitstop.run(&["restart", "webA"]).assert_code(0);
    scene.assert_nothing_failed();
}

#[test]
fn an_app_that_is_not_healthy_when_its_lease_runs_out_stays_out_is_said_aloud_once_and_goes_in_when_it_is() {
    let scene = Scene::new(World::builder().table_line("ready", "timeout = \"1s\""));
    scene.world.pitstop.run(&["out", "webA", "--for", "1s"]).assert_code(0);
    scene.world.apps[0].stop();
    wait::until("said aloud", SOON, || scene.alerts().contains("webA is out of rotation").then_some(()));
    wait::until("the run ended", SOON, || diary(&scene.world).contains("ends: webA is OUT").then_some(()));
    assert!(scene.is_out());
    let status = scene.world.pitstop.run(&["status", "webA"]);
    status.assert_code(0).assert_says(&["it ran out at", "stays OUT", "keeper: at work"]);
    // It still keeps it out.
    scene.world.haproxy.set_state("srvs/bkpA", "ready");
    wait::until("out again", SOON, || scene.is_out().then_some(()));
    scene.world.apps[0].start();
    wait::until("in again", SOON * 4, || scene.is_in().then_some(()));
    assert_eq!(scene.alerts().lines().count(), 1, "{}", scene.alerts());
    wait_until_kept_no_more(&scene.world);
    scene.assert_nothing_failed();
}

#[test]
fn a_lease_that_ran_out_while_nobody_kept_it_is_ended_by_recover() {
    let scene = Scene::new(World::builder());
    scene.world.pitstop.run(&["out", "webA", "--for", "1s"]).assert_code(0);
    let pid = keeper(&scene.world).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    wait::until("it ran out", SOON, || {
        scene.world.pitstop.run(&["status", "webA"]).stdout.contains("ran out").then_some(())
    });
    assert!(scene.is_out());
    let recovered = scene.world.pitstop.run(&["--output", "json", "recover", "webA"]);
    let last = recovered.assert_code(0).assert_says(&["has run out"]).events().pop().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"recovered".into(), &0.into()));
    assert!(scene.is_in() && keeper(&scene.world).is_none());
    scene.assert_nothing_failed();
}

#[test]
fn a_reload_during_a_lease_is_told_again_on_every_version() {
    for version in Version::ALL {
        // Without the option a worker that ends closes idle connections on which a request may be on its way. 2.2 does not know it.
        let builder = World::builder().version(version);
        let builder = match version {
            Version::Bed("2.2") => builder,
            _ => builder.default_line("option idle-close-on-response"),
        };
        let scene = Scene::new(builder);
        scene.world.pitstop.run(&["out", "webA"]).assert_code(0);
        for round in 1..=2 {
            scene.world.haproxy.reload();
            wait::until("out again", SOON, || scene.is_out().then_some(()));
            let told = "out again after at most ";
            wait::until("noted", SOON, || (diary(&scene.world).matches(told).count() >= round).then_some(()));
        }
        let exposed: Vec<u64> = diary(&scene.world)
            .split("out again after at most ")
            .skip(1)
            .map(|rest| rest.split(' ').next().unwrap().parse().unwrap())
            .collect();
        eprintln!("{version:?}: exposed for at most {exposed:?} ms");
        assert!(exposed.iter().all(|exposed| *exposed < 2000), "{}", diary(&scene.world));
        // What it was sent while it was exposed it has answered; from now on it is sent nothing.
        scene.world.haproxy.wait_until_quiet(&["srvs/webA", "srvs/bkpA"], SOON);
        let sent = |server: &str| scene.world.haproxy.stat(server)["stot"].parse::<u64>().unwrap();
        let before = ["srvs/webA", "srvs/bkpA"].map(sent);
        scene.load.wait_for_requests(200, SOON);
        assert_eq!(["srvs/webA", "srvs/bkpA"].map(sent), before, "{version:?}");
        scene.world.pitstop.run(&["in", "webA"]).assert_code(0);
        wait_until_kept_no_more(&scene.world);
        assert!(scene.is_in());
        scene.assert_nothing_failed();
    }
}

/// Checked on a port that nobody serves, it fails HAProxy's checks and passes our probes.
#[test]
fn an_app_that_does_not_hold_after_its_lease_is_tried_more_and_more_seldom_and_said_aloud_once() {
    let scene = Scene::new(World::builder().server_words("fall 1").check_interval(Duration::from_millis(100)));
    scene.world.pitstop.replace("hold = \"0s\"", "hold = \"1s\"");
    scene.world.pitstop.run(&["out", "webA", "--for", "1h"]).assert_code(0);
    let file = scene.world.haproxy.config_file();
    let text = fs::read_to_string(&file).unwrap();
    let deaf = |line: &str| match line.contains("server webA") || line.contains("server bkpA") {
        true => format!("{line} port 9"),
        false => line.to_owned(),
    };
    fs::write(&file, text.lines().map(deaf).collect::<Vec<_>>().join("\n") + "\n").unwrap();
    scene.world.haproxy.reload();
    scene.world.pitstop.run(&["out", "webA", "--for", "1s"]).assert_code(0);
    let tries = |count: usize| (diary(&scene.world).matches("ends: webA is OUT").count() >= count).then_some(());
    let came =
        |count, limit| assert!(wait::within(limit, || tries(count)).is_some(), "try {count}:\n{}", diary(&scene.world));
    came(1, SOON);
    assert!(scene.alerts().contains("webA is out of rotation: HAProxy's own check"), "{}", scene.alerts());
    came(2, SOON * 2);
    let second = Instant::now();
    came(3, SOON * 4);
    // Twice the first pause, of 15 s; the try itself takes a moment less here than there.
    assert!(second.elapsed() > Duration::from_secs(25), "{}", diary(&scene.world));
    assert_eq!(scene.alerts().lines().count(), 1, "{}", scene.alerts());
    assert!(scene.is_out() && keeper(&scene.world).is_some());
}

#[test]
fn what_is_wrong_with_one_app_does_not_keep_the_others_from_being_recovered() {
    let scene = Scene::new(World::builder());
    for app in ["webA", "webB"] {
        scene.world.pitstop.run(&["out", app, "--for", "2s"]).assert_code(0);
        let keeper = fs::read_to_string(scene.world.pitstop.state().join("apps").join(app).join("keeper")).unwrap();
        kill(Pid::from_raw(keeper.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
    }
    wait::until("it ran out", SOON, || {
        scene.world.pitstop.run(&["status", "webB"]).stdout.contains("ran out").then_some(())
    });
    let journal = scene.world.pitstop.state().join("apps/webA/journal");
    fs::write(&journal, fs::read_to_string(&journal).unwrap().replacen("soften", "harden", 1)).unwrap();
    scene
        .world
        .pitstop
        .run(&["recover"])
        .assert_code(7)
        .assert_says(&["damaged record", "webB is proven and in rotation"]);
    assert!(scene.world.servers(1).iter().all(|server| scene.world.haproxy.status(server).starts_with("UP")));
    assert!(scene.is_out());
    scene.assert_nothing_failed();
}

/// By a balancer that does not know the server: there is nothing that could be done, and nothing has changed.
#[test]
fn a_recovery_that_is_refused_is_said_aloud_once_and_done_by_the_keeper_once_it_can_be() {
    let scene = Scene::new(World::builder());
    let _sticky = Held::conversation(scene.world.frontend(), "SERVER=A");
    let mut run = scene.world.pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    run.signal(Signal::SIGKILL);
    run.wait();
    let file = scene.world.haproxy.config_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("server webA", "server renamed")).unwrap();
    scene.world.haproxy.reload();
    for _ in 0..2 {
        scene.world.pitstop.run(&["recover", "webA"]).assert_code(3).assert_says(&["there is no server srvs/webA"]);
    }
    let owing = "is still owing: balancer lb1: there is no server srvs/webA";
    assert!(scene.alerts().contains(owing) && scene.alerts().lines().count() == 1, "{}", scene.alerts());
    scene.world.pitstop.run(&["status", "webA"]).assert_says(&["INTERRUPTED", "keeper: at work"]);
    wait::until("the keeper is refused too", SOON, || {
        diary(&scene.world).contains("nothing was touched").then_some(())
    });
    fs::write(&file, text).unwrap();
    scene.world.haproxy.reload();
    wait_until_kept_no_more(&scene.world);
    assert!(scene.is_in(), "{}", diary(&scene.world));
    assert_eq!(scene.alerts().lines().count(), 1, "{}", scene.alerts());
    scene.world.pitstop.run(&["recover", "webA"]).assert_code(0).assert_says(&["nothing is owing"]);
    scene.load.stop();
}

#[test]
fn somebodys_ready_is_overruled_three_times_and_then_left_to_them_aloud() {
    let scene = Scene::new(World::builder());
    scene.world.pitstop.run(&["out", "webA"]).assert_code(0);
    for _ in 0..3 {
        scene.world.haproxy.set_state("srvs/webA", "ready");
        wait::until("out again", SOON, || scene.is_out().then_some(()));
    }
    scene.world.haproxy.set_state("srvs/webA", "ready");
    wait::until("said aloud", SOON, || scene.alerts().contains("left to them").then_some(()));
    assert!(scene.world.haproxy.status("srvs/webA").starts_with("UP"));
    scene.assert_nothing_failed();
}

#[test]
fn a_keeper_that_was_killed_is_shown_missing_and_recover_starts_another() {
    let scene = Scene::new(World::builder());
    scene.world.pitstop.run(&["out", "webA", "--for", "1h"]).assert_code(0);
    let first = keeper(&scene.world).unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    wait_until_kept_no_more(&scene.world);
    scene
        .world
        .pitstop
        .run(&["status", "webA"])
        .assert_code(0)
        .assert_says(&["keeper: MISSING", "pitstop recover webA"]);
    scene.world.haproxy.reload();
    scene.world.pitstop.run(&["recover", "webA"]).assert_code(0).assert_says(&["nothing is owing"]);
    let second = keeper(&scene.world).unwrap();
    wait::until("out again", SOON, || scene.is_out().then_some(()));
    // One is enough.
    scene.world.pitstop.run(&["recover", "webA"]).assert_code(0);
    assert_eq!(keeper(&scene.world), Some(second));
    scene.load.stop();
}

#[test]
fn a_restart_of_an_app_on_lease_leaves_it_out_and_says_whose_it_is() {
    let scene = Scene::new(World::builder().redirects(Redirects::ByPitstop));
    scene.world.pitstop.run(&["out", "webA", "--for", "1h", "--reason", "new disk"]).assert_code(0);
    let (old, first) = (scene.world.apps[0].pid(), keeper(&scene.world));
    let restarted = scene.world.pitstop.run(&["restart", "webA"]);
    restarted.assert_code(0).assert_says(&["was out of rotation by", "new disk", "is left so"]);
    assert!(!restarted.stdout.contains("somebody else"), "{}", restarted.stdout);
    assert_ne!(scene.world.apps[0].pid(), old);
    assert!(scene.is_out() && keeper(&scene.world) == first);
    scene.world.pitstop.run(&["status", "webA"]).assert_says(&["lease: out by"]);
    // `in` ends lease and keeper.
    scene.world.pitstop.run(&["in", "webA"]).assert_code(0);
    assert!(scene.is_in());
    wait_until_kept_no_more(&scene.world);
    scene.assert_nothing_failed();
}

#[test]
fn a_second_out_takes_the_firsts_place_and_its_end_still_puts_back_what_the_first_found() {
    let scene = Scene::new(World::builder().redirects(Redirects::ByPitstop));
    scene.world.pitstop.run(&["out", "webA", "--reason", "one"]).assert_code(0);
    let first = keeper(&scene.world).unwrap();
    let second = scene.world.pitstop.run(&["out", "webA", "--for", "2s", "--reason", "two"]);
    second.assert_code(0);
    assert!(!second.stdout.contains("somebody else"), "{}", second.stdout);
    assert_eq!(keeper(&scene.world), Some(first));
    wait::until("in again", SOON, || scene.is_in().then_some(()));
    wait_until_kept_no_more(&scene.world);
    scene.world.pitstop.run(&["restart", "webA"]).assert_code(0);
    assert!(scene.is_in());
    scene.assert_nothing_failed();
}

#[test]
fn what_somebody_had_in_maintenance_before_a_lease_stays_so_after_it() {
    let scene = Scene::new(World::builder());
    scene.world.haproxy.set_state("srvs/webA", "maint");
    scene.world.pitstop.run(&["out", "webA", "--for", "2s"]).assert_code(0).assert_says(&["somebody else"]);
    wait::until("in again", SOON, || scene.world.haproxy.status("srvs/bkpA").starts_with("UP").then_some(()));
    wait_until_kept_no_more(&scene.world);
    assert_eq!(scene.world.haproxy.status("srvs/webA"), "MAINT");
    scene.assert_nothing_failed();
}

#[test]
fn a_balancer_that_was_unreachable_at_put_back_is_paid_by_the_keeper() {
    let scene = Scene::new(World::builder().balancers(2));
    let lb2 = &scene.world.others[0];
    let old = scene.world.apps[0].pid();
    scene.world.apps[0].at_next_start(&["--start-delay=1500"]);
    let run = scene.world.pitstop.start(&["restart", "webA"]);
    wait::until("the new process", SOON, || (scene.world.apps[0].pid() != old).then_some(()));
    let hidden = lb2.socket().with_extension("hidden");
    fs::rename(lb2.socket(), &hidden).unwrap();
    run.wait().assert_code(6).assert_says(&["back on lb2"]);
    assert!(scene.is_in());
    let status = scene.world.pitstop.run(&["status", "webA"]);
    status.assert_code(0).assert_says(&["NOT back on lb2", "keeper: at work"]);
    fs::rename(&hidden, lb2.socket()).unwrap();
    wait::until("paid", SOON, || is_in(&scene.world, lb2).then_some(()));
    wait_until_kept_no_more(&scene.world);
    scene.world.pitstop.run(&["recover", "webA"]).assert_code(0).assert_says(&["nothing is owing"]);
    scene.assert_nothing_failed();
}

#[test]
fn an_app_that_stays_out_unproven_is_kept_out() {
    let scene = Scene::new(World::builder().table_line("ready", "timeout = \"1s\""));
    scene.world.apps[0].at_next_start(&["--health-only-broken"]);
    scene.world.pitstop.run(&["restart", "webA"]).assert_code(6);
    assert!(keeper(&scene.world).is_some());
    scene.world.haproxy.reload();
    wait::until("out again", SOON, || diary(&scene.world).contains("out again after at most").then_some(()));
    wait::until("out again", SOON, || scene.is_out().then_some(()));
    scene.load.stop();
}

#[test]
fn a_keeper_outlives_the_session_that_left_it() {
    let scene = Scene::new(World::builder());
    let mut command = scene.world.pitstop.command(&["out", "webA", "--for", "1h"]);
    command.process_group(0);
    let mut run = Run::start(command);
    let group = run.pid();
    wait::until("it ended", SOON, || run.has_ended().then_some(()));
    run.wait().assert_code(0);
    let keeper_pid = keeper(&scene.world).unwrap();
    // What a terminal that goes away sends to its processes reaches nobody.
    assert!(nix::sys::signal::killpg(Pid::from_raw(group), Signal::SIGHUP).is_err());
    let session = nix::unistd::getsid(Some(Pid::from_raw(keeper_pid))).unwrap();
    assert_eq!(session, Pid::from_raw(keeper_pid));
    for descriptor in ["0", "1"] {
        let file = fs::read_link(format!("/proc/{keeper_pid}/fd/{descriptor}")).unwrap();
        assert_eq!(file, PathBuf::from("/dev/null"));
    }
    scene.load.stop();
}

#[test]
fn a_keeper_ends_with_its_state_directory() {
    let scene = Scene::new(World::builder());
    scene.world.pitstop.run(&["out", "webA"]).assert_code(0);
    let pid = keeper(&scene.world).unwrap();
    fs::remove_dir_all(scene.world.pitstop.state()).unwrap();
    wait::until("its end", SOON, || (!wait::is_running(pid)).then_some(()));
    assert!(!scene.world.pitstop.state().exists());
    scene.load.stop();
}

#[test]
fn a_dry_run_tells_the_lease_and_a_time_that_is_none_is_refused() {
    let world = World::builder().start();
    let dry = world.pitstop.run(&["out", "webA", "--for", "90s", "--dry-run"]);
    dry.assert_code(0).assert_says(&["for 1m 30s"]);
    for time in ["0s", "soon", "10ms", "900y", "-1s"] {
        world.pitstop.run(&["out", "webA", "--for", time]).assert_code(2);
    }
    assert!(keeper(&world).is_none() && is_in(&world, &world.haproxy));
}

#[test]
fn an_app_that_is_renamed_while_it_is_out_is_not_forgotten() {
    let scene = Scene::new(World::builder());
    scene.world.pitstop.run(&["out", "webA"]).assert_code(0);
    scene.world.pitstop.replace("[apps.webA", "[apps.renamed");
    for command in ["status", "recover"] {
        let outcome = scene.world.pitstop.run(&[command]);
        outcome.assert_code(7).assert_says(&["webA is out or owing", "Give it that name again"]);
    }
    scene.world.pitstop.replace("[apps.renamed", "[apps.webA");
    scene.world.pitstop.run(&["in", "webA"]).assert_code(0);
    scene.world.pitstop.run(&["recover"]).assert_code(0);
    scene.assert_nothing_failed();
}

/// Undone without it, it would be out for good, and nobody would know.
#[test]
fn an_entry_that_the_configuration_has_lost_since_it_was_taken_out_is_not_forgotten() {
    let scene = Scene::new(World::builder().balancers(2));
    let pitstop = &scene.world.pitstop;
    let _sticky = Held::conversation(scene.world.frontend(), "SERVER=A");
    let mut run = pitstop.start(&["--output", "json", "restart", "webA"]);
    run.wait_for_step("drain");
    run.signal(Signal::SIGKILL);
    run.wait();
    pitstop.replace("backups = [\"srvs/bkpA\"]", "");
    for command in ["recover", "restart", "in"] {
        let outcome = pitstop.run(&[command, "webA"]);
        outcome.assert_code(3).assert_says(&["srvs/bkpA on lb1 was taken out for webA", "put it back into `backups`"]);
    }
    pitstop.run(&["status", "webA"]).assert_code(7);
    assert!(scene.is_out());
    // Somebody takes the second way: it is no longer this app's.
    scene.world.haproxy.set_state("srvs/bkpA", "ready");
    pitstop.run(&["recover", "webA"]).assert_code(3).assert_says(&["srvs/bkpA on lb2"]);
    let (socket, config) = (scene.world.haproxy.socket(), scene.world.haproxy.config_file());
    scene.world.tell_of_balancers(&format!("[balancers.lb1]\nsocket = {socket:?}\nconfig = {config:?}"));
    // By us or by the keeper, which has been refused until now.
    pitstop.run(&["recover", "webA"]).assert_code(0);
    assert!(scene.is_in());
    wait_until_kept_no_more(&scene.world);
    scene.assert_nothing_failed();
}
