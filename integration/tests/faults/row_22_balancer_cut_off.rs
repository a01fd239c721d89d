//! Row 22: the second of two balancers is on another host, and is cut off in the middle of a run. What it was told stays so there,
//! and what it does not answer is not taken for "drained".
//!
//! Where only the way of the admin socket is cut, nobody may lose anything: its clients go on by the last word it was told. Where its host
//! is cut off from the apps altogether, its clients can't be served by anybody, and only the other one's are looked at.

use std::time::Duration;

use integration::haproxy::Haproxy;
use integration::load::{Load, Options};
use integration::netns::{self, Host};
use integration::pitstop::{Outcome, Run};
use integration::request::Held;
use integration::world::{Builder, Redirects, World};
use nix::sys::signal::Signal;

use crate::scene::{SOON, Scene, wait_for_new_process};

/// The interface to a network beside that of the traffic, and both ends' addresses on it.
const ASIDE: &str = "aside0";
const ASIDE_HERE: &str = "10.78.0.1/24";
const ASIDE_THERE: &str = "10.78.0.2";

const ADMIN_PORT: u16 = 9999;

/// What is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// That of the admin socket; clients and apps have another one.
    Admin,
    /// The only one.
    Only,
}

struct CutOff {
    scene: Scene,
    /// Of those clients of the second balancer that must not notice anything.
    second_load: Option<Load>,
    wire: Wire,
    old: i32,
}

impl CutOff {
    fn new(builder: Builder, wire: Wire) -> Self {
        let line = format!("stats socket ipv4@0.0.0.0:{ADMIN_PORT} level admin");
        let scene = Scene::new(builder.second_balancer_elsewhere().global_line(&line));
        let address = match wire {
            Wire::Only => host(&scene).far().to_string(),
            Wire::Admin => {
                lay_aside_wire(host(&scene));
                ASIDE_THERE.to_owned()
            }
        };
        scene.world.tell_of_balancers(&balancers(&scene.world, &address));
        let old = scene.pid();
        Self { scene, second_load: None, wire, old }
    }

    fn with_second_load(mut self, options: &Options) -> Self {
        let load = Load::start(&Options { target: self.scene.world.frontend_of(1), ..options.clone() });
        load.wait_for_requests(50, SOON);
        self.second_load = Some(load);
        self
    }

    /// Clients of all kinds on the second balancer too.
    fn loaded(builder: Builder) -> Self {
        let cut_off = Self::new(builder, Wire::Admin);
        let mix = Options::mix(cut_off.scene.world.frontend_of(1), Duration::from_millis(500));
        cut_off.with_second_load(&mix)
    }

    fn connect(&self, up: bool) {
        match self.wire {
            Wire::Only => host(&self.scene).connect(up),
            Wire::Admin => drop(netns::run(&["ip", "link", "set", ASIDE, if up { "up" } else { "down" }])),
        }
    }

    fn start(&self) -> Run {
        self.scene.world.pitstop.start(&["--output", "json", "restart", "webA"])
    }

    /// A restart that drains until the conversation, which is the first balancer's, is let go of.
    fn start_and_drain(&self) -> (Run, Held) {
        let sticky = Held::conversation(self.scene.world.frontend(), "SERVER=A");
        let mut run = self.start();
        run.wait_for_step("drain");
        (run, sticky)
    }

    /// A restart whose new process is there, and does not listen yet.
    fn start_and_restart(&self) -> Run {
        self.scene.world.apps[0].at_next_start(&["--start-delay=1000"]);
        let run = self.start();
        wait_for_new_process(&self.scene.world, self.old);
        run
    }

    fn second(&self) -> &Haproxy {
        &self.scene.world.others[0]
    }

    /// In on the first, and said aloud that it is not known to be so on the second, which holds what it was told.
    fn assert_owing(&self, outcome: &Outcome) {
        outcome.assert_code(6).assert_says(&["webA is NOT known to be back on lb2"]);
        assert!(self.scene.alerts().contains("webA is not back on lb2"), "{}", self.scene.alerts());
        assert_all(&self.scene.world.haproxy, &self.scene.world, "UP");
        assert_all(self.second(), &self.scene.world, "MAINT");
    }

    /// With the wire in place again what is owing is paid.
    fn assert_recovers(self) {
        self.connect(true);
        self.scene.run(&["recover", "webA"]).assert_code(0);
        self.scene.run(&["recover", "webA"]).assert_code(0).assert_says(&["nothing is owing"]);
        self.assert_in_and_nothing_lost();
    }

    fn assert_in_and_nothing_lost(mut self) {
        assert_all(self.second(), &self.scene.world, "UP");
        self.scene.run(&["check", "webA"]).assert_says(&["redirect: in place"]);
        self.scene.assert_in();
        // Where nobody could be served meanwhile, there are clients again now.
        let clients = Options::mix(self.scene.world.frontend_of(1), Duration::from_millis(200));
        let load = self.second_load.take().unwrap_or_else(|| Load::start(&clients));
        load.wait_for_requests(50, SOON);
        load.stop().assert_nothing_failed();
        self.scene.assert_nothing_failed();
    }

    fn assert_restarted(&self) {
        assert_ne!(self.scene.pid(), self.old);
    }

    fn assert_not_restarted(&self) {
        assert_eq!(self.scene.pid(), self.old);
    }
}

fn host(scene: &Scene) -> &Host {
    scene.world.balancer_host.as_ref().unwrap()
}

fn lay_aside_wire(host: &Host) {
    netns::run(&["ip", "link", "add", ASIDE, "type", "veth", "peer", "name", "eth1", "netns", host.name()]);
    netns::run(&["ip", "address", "add", ASIDE_HERE, "dev", ASIDE]);
    netns::run(&["ip", "link", "set", ASIDE, "up"]);
    host.run(|| {
        netns::run(&["ip", "address", "add", &format!("{ASIDE_THERE}/24"), "dev", "eth1"]);
        netns::run(&["ip", "link", "set", "eth1", "up"]);
    });
}

/// The second has its admin socket at this address, and no master socket, which would not go over a network.
fn balancers(world: &World, address: &str) -> String {
    let (first, second) = (&world.haproxy, &world.others[0]);
    format!(
        "[balancers.lb1]\nsocket = {:?}\nmaster = {:?}\nconfig = {:?}\n\
         [balancers.lb2]\nsocket = \"tcp:{address}:{ADMIN_PORT}\"\nconfig = {:?}\n",
        first.socket(),
        first.master_socket(),
        first.config_file(),
        second.config_file()
    )
}

fn assert_all(haproxy: &Haproxy, world: &World, status: &str) {
    for server in world.servers(0) {
        haproxy.wait_for_status(&server, status, SOON);
    }
}

fn builder() -> Builder {
    World::builder().redirects(Redirects::ByPitstop)
}

fn with(unreachable: &str) -> Builder {
    builder().pitstop_line(&format!("unreachable = {unreachable:?}"))
}

#[test]
fn row_22_cut_off_in_the_drain_the_other_one_is_undone_and_it_is_owing_until_recover() {
    let cut_off = CutOff::loaded(builder());
    let (run, _sticky) = cut_off.start_and_drain();
    cut_off.connect(false);
    let outcome = run.wait();
    outcome.assert_says(&["it is asked again"]);
    cut_off.assert_owing(&outcome);
    cut_off.assert_not_restarted();
    // Nothing has changed yet, and it is said again.
    cut_off.scene.run(&["recover", "webA"]).assert_code(6).assert_says(&["NOT known to be back on lb2"]);
    cut_off.assert_recovers();
}

/// The host of the second balancer reaches no app: its own clients are not served by anybody until the wire is up again.
#[test]
fn row_22_a_host_cut_off_in_the_drain_costs_the_others_clients_nothing() {
    let cut_off = CutOff::new(builder(), Wire::Only);
    let (run, _sticky) = cut_off.start_and_drain();
    cut_off.connect(false);
    let outcome = run.wait();
    cut_off.assert_owing(&outcome);
    cut_off.assert_not_restarted();
    cut_off.assert_recovers();
}

/// What it was told before holds, so the app can be restarted; only the put-back is owing.
fn goes_on_without_it(unreachable: &str) {
    let cut_off = CutOff::loaded(with(unreachable));
    let (mut run, sticky) = cut_off.start_and_drain();
    cut_off.connect(false);
    run.wait_for_remark("goes on without it, as `unreachable` says");
    drop(sticky);
    let outcome = run.wait();
    cut_off.assert_owing(&outcome);
    cut_off.assert_restarted();
    cut_off.assert_recovers();
}

#[test]
fn row_22_cut_off_in_the_drain_the_redirect_alone_goes_on_where_that_is_wanted() {
    goes_on_without_it("ignore-if-redirect");
}

#[test]
fn row_22_cut_off_in_the_drain_the_run_proceeds_where_that_is_wanted() {
    goes_on_without_it("proceed");
}

#[test]
fn row_22_cut_off_for_a_moment_in_the_drain_nothing_is_owing() {
    let cut_off = CutOff::loaded(builder());
    let (mut run, sticky) = cut_off.start_and_drain();
    cut_off.connect(false);
    run.wait_for_remark("it is asked again");
    cut_off.connect(true);
    run.wait_for_remark("lb2 answers again");
    drop(sticky);
    run.wait().assert_code(0);
    cut_off.assert_restarted();
    cut_off.assert_in_and_nothing_lost();
}

/// A proven app goes in wherever it can, whatever `unreachable` says.
fn cut_off_while_the_app_restarts(unreachable: &str) {
    let cut_off = CutOff::loaded(with(unreachable));
    let run = cut_off.start_and_restart();
    cut_off.connect(false);
    let outcome = run.wait();
    cut_off.assert_owing(&outcome);
    cut_off.assert_restarted();
    cut_off.assert_recovers();
}

#[test]
fn row_22_cut_off_while_the_app_restarts_it_is_owing_until_recover() {
    cut_off_while_the_app_restarts("abort");
}

#[test]
fn row_22_cut_off_while_the_app_restarts_it_is_owing_also_with_ignore_if_redirect() {
    cut_off_while_the_app_restarts("ignore-if-redirect");
}

#[test]
fn row_22_cut_off_while_the_app_restarts_it_is_owing_also_with_proceed() {
    cut_off_while_the_app_restarts("proceed");
}

/// Nobody knows whether the second balancer sends it clients: by `abort` it is not stopped once more.
#[test]
fn row_22_cut_off_after_a_death_in_the_restart_it_is_not_finished_before_all_answer() {
    let cut_off = CutOff::loaded(builder());
    let run = cut_off.start_and_restart();
    run.signal(Signal::SIGKILL);
    run.wait();
    cut_off.connect(false);
    cut_off.scene.run(&["recover", "webA"]).assert_code(3).assert_says(&["lb2", "nothing was touched"]);
    cut_off.assert_recovers();
}

#[test]
fn row_22_cut_off_after_put_back_nothing_is_owing() {
    let cut_off = CutOff::loaded(builder().pitstop_line("hold = \"3s\""));
    let mut run = cut_off.start();
    run.wait_for_step("await_in");
    cut_off.connect(false);
    run.wait().assert_code(0).assert_says(&["restarted, proven and back as it was"]);
    cut_off.connect(true);
    cut_off.assert_restarted();
    cut_off.assert_in_and_nothing_lost();
}

#[test]
fn row_22_cut_off_before_the_run_it_is_refused_and_nothing_is_touched() {
    let cut_off = CutOff::loaded(builder());
    cut_off.connect(false);
    cut_off.scene.run(&["restart", "webA"]).assert_code(3).assert_says(&["lb2", "nothing was touched"]);
    cut_off.assert_not_restarted();
    cut_off.connect(true);
    cut_off.assert_in_and_nothing_lost();
}

/// Its own checks take the app out there. Clients who stick by a cookie go on to the backup entry, which is checked on the app's own port,
/// until the stop: what they have in flight then is lost, so there are none of them here.
#[test]
fn row_22_cut_off_before_the_run_the_redirect_takes_the_app_out_there_without_contact() {
    let builder = with("ignore-if-redirect")
        .table_line("redirect", "inter = \"500ms\"")
        .table_line("redirect", "check_timeout = \"1s\"");
    let cut_off = CutOff::new(builder, Wire::Admin);
    let nobody_sticks = Options {
        short: 4,
        per_request: 4,
        long: 4,
        long_max: 300,
        ..Options::nobody(cut_off.scene.world.frontend_of(1))
    };
    let cut_off = cut_off.with_second_load(&nobody_sticks);
    cut_off.connect(false);
    let run = cut_off.start();
    cut_off.second().wait_for_status("srvs/webA", "DOWN", SOON);
    run.wait().assert_code(0);
    cut_off.connect(true);
    cut_off.assert_restarted();
    cut_off.assert_in_and_nothing_lost();
}
