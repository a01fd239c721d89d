//! Rules and listeners that are not ours: seen, named, left alone, or adopted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pitstop::rotation::error::RulesError;
use pitstop::rotation::findings::Severity;
use pitstop::rotation::iptables::Variant;

use crate::world::{CHECK, Neighbour, VARIANTS, alone, answers, app, count, redirect, sh};

#[test]
fn three_identical_foreign_rules_are_named_one_by_one_and_not_touched() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let redirect = redirect("127.0.0.1:1000", variant);
            redirect.add().await.unwrap();
            assert_eq!(redirect.foreign_rules().await.unwrap(), [""; 0]);
            let rule = "-A OUTPUT -p tcp -m tcp --dport 2000 -j REDIRECT --to-ports 1000";
            for _ in 0..3 {
                sh(&format!("{program} -t nat {rule}"));
            }
            match redirect.remove().await {
                Err(RulesError::StillOpen { culprits, .. }) => {
                    assert_eq!(culprits, vec![format!("{program} -t nat {rule}"); 3]);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(count(program, "--dport 2000"), 3);
            let findings = redirect.check().await;
            let errors = findings.iter().filter(|one| one.severity == Severity::Error);
            assert_eq!(errors.count(), 3, "{findings:#?}");
        });
    }
}

#[test]
fn rules_of_the_other_variant_and_of_nft_are_seen_and_removal_does_not_pass_for_done() {
    for (ours, _, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let redirect = redirect("127.0.0.1:1000", ours);
            let (_, program, _) = VARIANTS.into_iter().find(|one| one.0 != ours).unwrap();
            redirect.add().await.unwrap();
            let rule = "OUTPUT -p tcp -m tcp --dport 2000 -j REDIRECT --to-ports 1000";
            sh(&format!("{program} -t nat -A {rule}"));
            let findings = redirect.check().await;
            let warned = |severity| findings.iter().any(|one| one.severity == severity && one.what.contains(program));
            assert!(warned(Severity::Warning) && warned(Severity::Error), "{findings:#?}");
            match redirect.remove().await {
                Err(RulesError::StillOpen { culprits, .. }) => {
                    assert_eq!(culprits, [format!("{program} -t nat -A {rule}")]);
                }
                other => panic!("{ours:?}: {other:?}"),
            }
            sh(&format!("{program} -t nat -D {rule}"));
            redirect.remove().await.unwrap();
            sh("nft 'table ip theirs { map m { type inet_service : inet_service; elements = { 2000 : 1000 }; }; \
                chain o { type nat hook output priority -100; meta l4proto tcp redirect to :tcp dport map @m; }; }'");
            match redirect.remove().await {
                Err(RulesError::StillOpen { culprits, .. }) => {
                    assert_eq!(culprits.len(), 1, "{culprits:?}");
                    assert!(culprits[0].starts_with("nft: table ip theirs chain o"), "{culprits:?}");
                }
                other => panic!("{other:?}"),
            }
        });
    }
}

#[test]
fn a_listener_on_the_check_port_is_named_before_and_after() {
    alone(|| async {
        app("127.0.0.1:1000");
        app("127.0.0.1:2000");
        let redirect = redirect("127.0.0.1:1000", Variant::Host);
        let findings = redirect.check().await;
        let named = |what: &str| what.contains("127.0.0.1:2000");
        assert!(findings.iter().any(|one| named(&one.what)), "{findings:#?}");
        match redirect.remove().await {
            Err(RulesError::StillOpen { culprits, .. }) => {
                assert_eq!(culprits, ["a process that listens on 127.0.0.1:2000"]);
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn foreign_rules_are_adopted_without_a_refused_check() {
    for (variant, _, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            for (_, program, _) in VARIANTS {
                let rule = "OUTPUT -p tcp --dport 2000 -j REDIRECT --to-ports 1000";
                sh(&format!("for n in 1 2 3; do {program} -t nat -A {rule}; done"));
            }
            let done = Arc::new(AtomicBool::new(false));
            let stop = Arc::clone(&done);
            let hammer = std::thread::spawn(move || {
                // An echo each time, so that the app's accept queue can't run over.
                let check = || {
                    let mut stream = TcpStream::connect("127.0.0.1:2000")?;
                    stream.write_all(&[1])?;
                    stream.read_exact(&mut [0])
                };
                let mut seen = [0, 0];
                while !stop.load(Ordering::Relaxed) {
                    seen[usize::from(check().is_ok())] += 1;
                }
                seen
            });
            let redirect = redirect("127.0.0.1:1000", variant);
            let adopted = redirect.adopt().await.unwrap();
            assert_eq!(adopted.len(), 6, "{adopted:?}");
            done.store(true, Ordering::Relaxed);
            let [refused, passed] = hammer.join().unwrap();
            println!("{variant:?}: {passed} checks passed, {refused} refused");
            assert!(passed > 10 && refused == 0);
            assert_eq!(redirect.foreign_rules().await.unwrap(), [""; 0]);
            redirect.remove().await.unwrap();
        });
    }
}

#[test]
fn rules_for_the_same_port_of_another_address_are_neither_ours_nor_foreign() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            app("127.0.0.2:1000");
            let (one, two) = (redirect("127.0.0.1:1000", variant), redirect("127.0.0.2:1000", variant));
            let theirs = "OUTPUT -d 127.0.0.3/32 -p tcp -m tcp --dport 2000 -j REDIRECT --to-ports 7";
            sh(&format!("{program} -t nat -A {theirs}; {program} -t nat -A OUTPUT -p udp --dport 2000 -j ACCEPT"));
            sh("nft 'table ip mine { chain o { type nat hook output priority -101; \
                ip daddr 127.0.0.4 tcp dport 2000 redirect to :7; }; }'");
            one.add().await.unwrap();
            two.add().await.unwrap();
            assert!(one.present().await.unwrap() && two.present().await.unwrap());
            assert_eq!(one.foreign_rules().await.unwrap(), [""; 0]);
            assert_eq!(one.adopt().await.unwrap(), [""; 0]);
            one.remove().await.unwrap();
            assert!(!answers("127.0.0.1:2000") && answers("127.0.0.2:2000"));
            assert!(sh(&format!("{program} -t nat -S")).contains(theirs));
            // To one who listens everywhere, each of them matters.
            let everywhere = redirect("0.0.0.0:1000", variant);
            assert_eq!(everywhere.foreign_rules().await.unwrap().len(), 2);
        });
    }
}

/// A rule that comes between: checks from other hosts never meet the connect that proves the port closed.
#[test]
fn a_rule_for_checks_of_other_hosts_alone_does_not_pass_for_closed() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            let neighbour = Neighbour::new();
            app("10.9.0.1:1000");
            let redirect = redirect("10.9.0.1:1000", variant);
            redirect.add().await.unwrap();
            let rule = "PREROUTING -p tcp -m tcp --dport 2000 -j REDIRECT --to-ports 1000";
            sh(&format!("{program} -t nat -A {rule}"));
            match redirect.remove().await {
                Err(RulesError::StillOpen { culprits, .. }) => {
                    assert_eq!(culprits, [format!("{program} -t nat -A {rule}")]);
                }
                other => panic!("{other:?}"),
            }
            assert!(!answers("10.9.0.1:2000") && neighbour.reaches("10.9.0.1", CHECK));
        });
    }
}

#[test]
fn a_rule_that_can_not_be_typed_again_is_not_adopted_and_nothing_is_changed() {
    alone(|| async {
        app("127.0.0.1:1000");
        let rule = r#"-p tcp --dport 2000 -m comment --comment 'a; b "c' -j REDIRECT --to-ports 1000"#;
        sh(&format!("iptables -t nat -A OUTPUT {rule}"));
        let before = sh("iptables -t nat -S");
        let redirect = redirect("127.0.0.1:1000", Variant::Host);
        match redirect.adopt().await {
            Err(RulesError::NotAdoptable { rules }) => assert_eq!(rules.len(), 1),
            other => panic!("{other:?}"),
        }
        assert_eq!(before, sh("iptables -t nat -S"));
    });
}
