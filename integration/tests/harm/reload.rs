//! `state-forgotten`, `state-file`, `state-stale`: whether a server that is out, or back, is so after a reload.

use std::collections::BTreeSet;

use haproxy_cfg::lint::Rule;
use integration::haproxy::{Config, Server};
use tempfile::TempDir;

use crate::config::{at, main_entry, web};
use crate::harm::Harm;
use crate::scene::{Fate, Scene, by};

const LOAD: &str = "load-server-state-from-file global";

/// A file for the states, and what `global` says of it.
struct StateFile {
    folder: TempDir,
}

impl StateFile {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn config(&self) -> String {
        format!("server-state-file {}/state", self.folder.path().display())
    }

    fn write(&self, scene: &Scene) {
        std::fs::write(self.folder.path().join("state"), scene.haproxy.command("show servers state")).unwrap();
    }
}

fn two_servers() -> Config {
    web(&[], &[main_entry('A'), main_entry('B')])
}

/// The states as they are right before the reload.
fn maintenance_outlives_a_reload(rule: Rule, file: &StateFile, bad: Config) {
    let good = two_servers().global(&file.config()).defaults(&format!("{LOAD} # pitstop: allow state-stale"));
    let everybody: BTreeSet<Fate> = [by("webA"), by("webB")].into();
    Harm::of(rule).shows((bad, everybody), (good, [by("webB")].into()), |scene| {
        scene.haproxy.set_state("srvs/webA", "maint");
        assert_eq!(scene.ask_around(), [by("webB")].into());
        file.write(scene);
        scene.reload();
        scene.ask_around()
    });
}

#[test]
fn state_forgotten_puts_a_server_back_at_a_reload() {
    maintenance_outlives_a_reload(Rule::StateForgotten, &StateFile::new(), two_servers());
}

#[test]
fn state_file_that_nothing_names_puts_a_server_back_at_a_reload() {
    maintenance_outlives_a_reload(Rule::StateFile, &StateFile::new(), two_servers().defaults(LOAD));
}

#[test]
fn state_stale_takes_a_server_out_again_that_is_back() {
    let file = StateFile::new();
    let only_server = || web(&[], &[main_entry('A')]);
    let bad = only_server().global(&file.config()).defaults(LOAD);
    Harm::of(Rule::StateStale).shows((bad, Fate::Failed(503)), (only_server(), by("webA")), |scene| {
        scene.haproxy.set_state("srvs/webA", "maint");
        file.write(scene);
        scene.haproxy.set_state("srvs/webA", "ready");
        assert_eq!(scene.ask(None), by("webA"));
        scene.reload();
        scene.ask(None)
    });
}

#[test]
fn state_stale_sends_clients_to_the_address_of_before() {
    let file = StateFile::new();
    let only_server = || web(&[], &[Server::new("webA", at(1001)).word("check")]);
    let bad = only_server().global(&file.config()).defaults(LOAD);
    Harm::of(Rule::StateStale).shows((bad, by("webA")), (only_server(), by("webC")), |scene| {
        file.write(scene);
        let text = std::fs::read_to_string(scene.haproxy.config_file()).unwrap();
        std::fs::write(scene.haproxy.config_file(), text.replace("127.0.0.1:1001", "127.0.0.1:1003")).unwrap();
        scene.reload();
        scene.ask(None)
    });
}
