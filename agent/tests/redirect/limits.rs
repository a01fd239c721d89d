//! What ends in a clear error: a held lock, a tool that hangs, a table that can't be read, no rights.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use pitstop::rotation::error::RulesError;
use pitstop::rotation::iptables::Variant;
use pitstop::rotation::mark::connect_marked;

use crate::world::{VARIANTS, alone, answers, app, block_on, redirect, sh};

#[test]
fn a_table_that_iptables_can_not_read_is_an_error_and_not_an_absent_rule() {
    alone(|| async {
        app("127.0.0.1:1000");
        let theirs = "tcp dport { 2000, 2001 } redirect to :1000";
        sh(&format!("nft 'table ip nat {{ chain OUTPUT {{ type nat hook output priority -100; {theirs}; }}; }}'"));
        let ours = redirect("127.0.0.1:1000", Variant::Nft);
        let error = ours.present().await.unwrap_err();
        assert!(matches!(error, RulesError::Mixed { .. }), "{error:?}");
        match redirect("127.0.0.1:1000", Variant::Legacy).remove().await {
            Err(RulesError::StillOpen { culprits, .. }) => {
                assert_eq!(culprits, [format!("nft: table ip nat chain OUTPUT: {theirs}")]);
            }
            other => panic!("{other:?}"),
        }
    });
}

/// What is dropped in the middle, as by Ctrl-C twice, is not done later.
#[test]
fn a_removal_that_is_given_up_does_not_happen_afterwards() {
    alone(|| async {
        app("127.0.0.1:1000");
        let redirect = redirect("127.0.0.1:1000", Variant::Legacy);
        redirect.add().await.unwrap();
        let lock = std::fs::File::open("/run/xtables.lock").unwrap();
        lock.lock().unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(300), redirect.remove()).await;
        assert!(given_up.is_err(), "{given_up:?}");
        let waiting = sh("pgrep -x iptables-legacy -P $PPID || true");
        assert_eq!(waiting, "", "still waits for the lock");
        drop(lock);
        assert!(redirect.present().await.unwrap() && answers("127.0.0.1:2000"));
    });
}

#[test]
fn a_held_xtables_lock_ends_in_a_clear_error_within_the_bound() {
    alone(|| async {
        app("127.0.0.1:1000");
        let redirect = redirect("127.0.0.1:1000", Variant::Legacy);
        redirect.add().await.unwrap();
        let lock = std::fs::File::open("/run/xtables.lock").unwrap();
        lock.lock().unwrap();
        let started = Instant::now();
        let error = redirect.remove().await.unwrap_err();
        println!("{error} ({:?})", started.elapsed());
        assert!(matches!(error, RulesError::LockHeld { .. }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(7));
        drop(lock);
        assert!(redirect.present().await.unwrap());
        redirect.remove().await.unwrap();
    });
}

#[test]
fn a_run_of_ours_that_hangs_does_not_make_others_wait_for_ever() {
    alone(|| async {
        app("127.0.0.1:1000");
        let redirect = redirect("127.0.0.1:1000", Variant::Host);
        redirect.add().await.unwrap();
        let lock = std::fs::File::open("/run/pitstop/rules.lock").unwrap();
        lock.lock().unwrap();
        let started = Instant::now();
        let error = redirect.remove().await.unwrap_err();
        assert!(matches!(error, RulesError::LockHeld { .. }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(6));
        assert!(redirect.present().await.unwrap());
    });
}

const UNPRIVILEGED: &str = "limits::without_rights_the_error_says_so_and_nothing_is_called_absent";

#[test]
fn without_rights_the_error_says_so_and_nothing_is_called_absent() {
    const CHILD: &str = "PITSTOP_TEST_UNPRIVILEGED";
    if std::env::var_os(CHILD).is_none() {
        alone(|| async {
            let output = Command::new("setpriv")
                .args(["--inh-caps=-net_admin", "--bounding-set=-net_admin"])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", UNPRIVILEGED, "--nocapture"])
                .env(CHILD, "yes")
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
        });
        return;
    }
    block_on(async {
        for (variant, program, _) in VARIANTS {
            let redirect = redirect("127.0.0.1:1000", variant);
            let error = redirect.present().await.unwrap_err();
            assert!(matches!(error, RulesError::NoRights { .. }), "{error:?}");
            assert!(redirect.add().await.is_err() && redirect.remove().await.is_err());
            let findings = redirect.check().await;
            let says = format!("`{program}` says that we may not");
            assert!(findings.iter().any(|one| one.what.starts_with(&says)), "{findings:#?}");
        }
        // A connect without the right to set a mark is made without one.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        connect_marked(listener.local_addr().unwrap(), deadline).await.unwrap();
    });
}
