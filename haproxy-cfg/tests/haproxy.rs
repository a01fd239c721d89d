//! The examples, read by a real HAProxy: `$HAPROXY`, or `haproxy` on the path. What it does with every other configuration is in
//! `integration/tests/haproxy_cfg`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

use haproxy_cfg::Config;

fn haproxy() -> String {
    let path = std::env::var("HAPROXY").unwrap_or_else(|_| "haproxy".to_owned());
    if let Err(error) = Command::new(&path).arg("-v").output() {
        panic!("this test needs HAProxy 2.4 or later: {path}: {error}; install it or set HAPROXY");
    }
    path
}

#[test]
fn every_example_is_valid_without_a_warning() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let output = Command::new(haproxy()).args(["-dW", "-c", "-f"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", path.display());
        Config::parse("example", &std::fs::read_to_string(&path).unwrap()).unwrap();
        count += 1;
    }
    assert!(count >= 2);
}

#[test]
fn the_recipe_of_main_and_backup_is_read_as_it_is_meant() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/r1-main-and-backup.cfg");
    let config = Config::parse("r1", &std::fs::read_to_string(path).unwrap()).unwrap();
    let main = config.server("srvs", "webA").unwrap();
    let backup = config.server("srvs", "bkpA").unwrap();
    assert_eq!(main.check_port.known(), Some(&Some(2000)));
    assert_eq!(backup.check_port.known(), Some(&Some(1000)));
    assert_eq!(main.address.known(), backup.address.known());
    assert_eq!(main.settings.cookie.known(), backup.settings.cookie.known());
    assert_eq!(main.settings.backup.known(), Some(&false));
    assert_eq!(backup.settings.backup.known(), Some(&true));
    assert_eq!(config.kills_on_down("srvs", "webA"), Some(false));
    let settings = &config.backend("srvs").unwrap().settings;
    assert_eq!(settings.redispatch.known(), Some(&true));
    assert_eq!(settings.retries.known(), Some(&3));
}
