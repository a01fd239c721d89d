//! `kills-sessions`, `kills-backup-sessions`

use haproxy_cfg::lint::Rule;

use crate::config::{main_entry, redirected, twin, web};
use crate::harm::Harm;
use crate::scene::{Fate, SOON, by};

const DOWN_KILLS: &str = "default-server on-marked-down shutdown-sessions";

#[test]
fn kills_sessions_cuts_a_request_when_its_server_goes_into_maintenance() {
    let config = |lines: &[&str]| web(lines, &[main_entry('A'), main_entry('B')]);
    Harm::of(Rule::KillsSessions).shows((config(&[DOWN_KILLS]), Fate::Cut), (config(&[]), by("webA")), |scene| {
        scene.during_request("srvs/webA", 'A', || scene.haproxy.set_state("srvs/webA", "maint"))
    });
}

#[test]
fn kills_sessions_cuts_a_request_when_checks_take_its_server_down() {
    let config = |lines: &[&str]| web(lines, &[redirected('A'), main_entry('B')]);
    Harm::of(Rule::KillsSessions).shows((config(&[DOWN_KILLS]), Fate::Cut), (config(&[]), by("webA")), |scene| {
        scene.during_request("srvs/webA", 'A', || scene.close(2001))
    });
}

#[test]
fn kills_backup_sessions_cuts_what_the_backup_serves_when_the_server_is_put_back() {
    let config = |words: &str| web(&[], &[redirected('A').word(words), redirected('B'), twin('A'), twin('B')]);
    let bad = config("on-marked-up shutdown-backup-sessions");
    Harm::of(Rule::KillsBackupSessions).shows((bad, Fate::Cut), (config(""), by("webA")), |scene| {
        scene.haproxy.set_state("srvs/webA", "maint");
        scene.haproxy.wait_for_status("srvs/webA", "MAINT", SOON);
        scene.during_request("srvs/bkpA", 'A', || scene.haproxy.set_state("srvs/webA", "ready"))
    });
}
