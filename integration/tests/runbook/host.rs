//! The host was booted.

use integration::netns;

use crate::page::Section;
use crate::scene::{SOON, Scene, pretend_a_boot};

#[test]
fn a_host_that_was_booted_gets_its_redirect_back() {
    let mut page = Section::of("The host was booted");
    let scene = Scene::with_foreign_redirects();
    scene.run("pitstop in web --adopt-rules").assert_code(0);
    netns::run(&["iptables", "-w", "5", "-t", "nat", "-F"]);
    pretend_a_boot();
    scene.haproxy().wait_for_status("srvs/webA", "DOWN", SOON);
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_run_that_was_done_leaves_nothing_to_do() {
    let mut page = Section::of("It is over when");
    let scene = Scene::new();
    scene.run("pitstop restart web").assert_code(0);
    page.run_rest(&scene);
    scene.assert_in();
}

#[test]
fn a_firewall_that_was_flushed_gets_its_redirect_back() {
    let mut page = Section::of("The firewall was flushed");
    let scene = Scene::with_foreign_redirects();
    scene.run("pitstop in web --adopt-rules").assert_code(0);
    netns::run(&["iptables", "-w", "5", "-t", "nat", "-F"]);
    scene.haproxy().wait_for_status("srvs/webA", "DOWN", SOON);
    page.run_rest(&scene);
    scene.assert_in();
}
