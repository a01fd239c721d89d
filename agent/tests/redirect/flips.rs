//! Setting and removing the redirect: again and again, several apps at once, after a flush.

use std::net::SocketAddrV6;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn6, sockopt};
use pitstop::config::settings::Label;
use pitstop::rotation::error::RulesError;
use pitstop::rotation::gate::Gate;
use pitstop::rotation::iptables::Variant;
use pitstop::rotation::redirect::Redirect;
use pitstop::rotation::refusals::Refusals;

use crate::world::{CHECK, VARIANTS, alone, answers, app, count, redirect, sh};

#[test]
fn adding_twice_and_removing_twice_is_the_same_as_once() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let redirect = redirect("127.0.0.1:1000", variant);
            redirect.remove().await.unwrap();
            assert!(!redirect.present().await.unwrap());
            for _ in 0..2 {
                redirect.add().await.unwrap();
                assert!(redirect.present().await.unwrap());
                assert!(answers("127.0.0.1:2000"));
                assert_eq!(count(program, "--dport 2000"), 1);
                assert_eq!(count(program, "-j PITSTOP"), 2);
            }
            for _ in 0..2 {
                redirect.remove().await.unwrap();
                assert!(!redirect.present().await.unwrap());
                assert!(!answers("127.0.0.1:2000"));
                assert_eq!(count(program, "-j PITSTOP"), 2);
            }
        });
    }
}

#[test]
fn the_commands_shown_are_the_commands_that_work() {
    for listen in ["127.0.0.1:1000", "[::]:1000", "0.0.0.0:1000"] {
        alone(move || async move {
            app(listen);
            let redirect = redirect(listen, Variant::Host);
            sh(&redirect.acts_in().join("\n"));
            assert!(redirect.present().await.unwrap());
            redirect.add().await.unwrap();
            sh(&redirect.acts_out().join("\n"));
            assert!(!redirect.present().await.unwrap());
            let gate = Gate::new(listen.parse().unwrap());
            sh(&gate.acts_close().join("\n"));
            assert!(gate.is_closed().await.unwrap());
            sh(&gate.acts_open().join("\n"));
            assert!(!gate.is_closed().await.unwrap());
            let refusals = Refusals::new(CHECK, &[], redirect.families());
            sh(&refusals.acts_start().join("\n"));
            assert_eq!(refusals.counts().await.unwrap().len(), redirect.families().len());
            sh(&refusals.acts_stop().join("\n"));
            assert!(refusals.counts().await.is_err());
        });
    }
}

#[test]
fn an_app_on_every_address_is_redirected_in_both_families_and_one_on_ipv6_in_that_alone() {
    for (variant, v4, v6) in VARIANTS {
        alone(move || async move {
            app("[::]:1000");
            let both = redirect("[::]:1000", variant);
            both.add().await.unwrap();
            assert!(answers("127.0.0.1:2000") && answers("[::1]:2000"));
            sh(&format!("{v6} -t nat -F PITSTOP"));
            assert!(!both.present().await.unwrap());
            both.remove().await.unwrap();
            assert!(!answers("127.0.0.1:2000") && !answers("[::1]:2000"));
        });
        alone(move || async move {
            app("[::1]:1000");
            let only = redirect("[::1]:1000", variant);
            only.add().await.unwrap();
            assert!(!answers("127.0.0.1:2000") && answers("[::1]:2000"));
            assert_eq!((count(v4, "--dport 2000"), count(v6, "--dport 2000")), (0, 1));
            only.remove().await.unwrap();
            assert!(!answers("[::1]:2000"));
        });
    }
}

#[test]
fn an_app_that_wants_no_ipv4_is_proved_by_ipv6() {
    alone(|| async {
        let listener = socket::socket(AddressFamily::Inet6, SockType::Stream, SockFlag::empty(), None).unwrap();
        socket::setsockopt(&listener, sockopt::Ipv6V6Only, &true).unwrap();
        let address: SocketAddrV6 = "[::]:1000".parse().unwrap();
        socket::bind(listener.as_raw_fd(), &SockaddrIn6::from(address)).unwrap();
        socket::listen(&listener, socket::Backlog::new(9).unwrap()).unwrap();
        redirect("[::]:1000", Variant::Host).add().await.unwrap();
        assert!(answers("[::1]:2000") && !answers("127.0.0.1:2000"));
    });
}

#[test]
fn the_redirect_flips_within_a_fraction_of_a_check_interval() {
    for (variant, _, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let redirect = redirect("127.0.0.1:1000", variant);
            redirect.add().await.unwrap();
            let mut times: Vec<Duration> = Vec::new();
            for _ in 0..20 {
                let started = Instant::now();
                redirect.remove().await.unwrap();
                redirect.add().await.unwrap();
                times.push(started.elapsed());
            }
            times.sort();
            println!("{variant:?}: out and in again, median {:?}", times[10]);
            assert!(times[10] < Duration::from_millis(500));
        });
    }
}

#[test]
fn apps_share_the_chain_and_do_not_touch_each_other() {
    alone(|| async {
        app("127.0.0.1:1000");
        app("127.0.0.1:1001");
        let one = redirect("127.0.0.1:1000", Variant::Host);
        let name: Label = "other".parse().unwrap();
        let two = Redirect::new(name, "127.0.0.1:1001".parse().unwrap(), 2001);
        one.add().await.unwrap();
        two.add().await.unwrap();
        one.remove().await.unwrap();
        assert!(two.present().await.unwrap() && answers("127.0.0.1:2001"));
        one.add().await.unwrap();
        two.remove().await.unwrap();
        assert!(one.present().await.unwrap() && answers("127.0.0.1:2000"));
    });
}

#[test]
fn without_the_app_adding_fails_and_says_that_the_rule_is_there() {
    alone(|| async {
        let redirect = redirect("127.0.0.1:1000", Variant::Host);
        match redirect.add().await {
            Err(RulesError::NotOpen { rule: true, check, .. }) => assert_eq!(check.port(), CHECK),
            other => panic!("{other:?}"),
        }
        assert!(redirect.present().await.unwrap());
        redirect.remove().await.unwrap();
    });
}

#[test]
fn duplicates_of_ours_go_and_so_does_a_rule_from_before_the_app_moved() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let redirect = redirect("127.0.0.1:1000", variant);
            redirect.add().await.unwrap();
            let append = format!("{program} -t nat -A PITSTOP -p tcp --dport 2000 -m comment --comment pitstop -j");
            sh(&format!("{append} REDIRECT --to-ports 1000; {append} REDIRECT --to-ports 999"));
            sh(&format!(
                "{append} DNAT --to-destination 127.0.0.9:1000; {program} -t nat -I OUTPUT \
                 -m addrtype --dst-type LOCAL -m comment --comment pitstop -j PITSTOP"
            ));
            assert!(!redirect.present().await.unwrap());
            redirect.add().await.unwrap();
            assert_eq!(count(program, "--dport 2000"), 1);
            assert_eq!(count(program, "-j PITSTOP"), 2);
            sh(&format!("{append} REDIRECT --to-ports 1000; {append} REDIRECT --to-ports 999"));
            redirect.remove().await.unwrap();
            assert_eq!(count(program, "--dport 2000"), 0);
        });
    }
}

#[test]
fn whatever_part_was_flushed_is_noticed_and_healed() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let redirect = redirect("127.0.0.1:1000", variant);
            let nat = format!("{program} -t nat");
            let mut harms = vec![
                format!("{nat} -F OUTPUT"),
                format!("{nat} -F PREROUTING"),
                format!("{nat} -F PITSTOP"),
                format!("{nat} -F; {nat} -X"),
            ];
            if variant == Variant::Nft {
                harms.push("nft flush ruleset".into());
            }
            for harm in harms {
                redirect.add().await.unwrap();
                sh(&harm);
                assert!(!redirect.present().await.unwrap(), "{harm}");
                redirect.add().await.unwrap();
                assert!(redirect.present().await.unwrap(), "{harm}");
                assert_eq!(count(program, "-j PITSTOP"), 2, "{harm}");
                sh(&harm);
                redirect.remove().await.unwrap();
            }
        });
    }
}

#[test]
fn many_at_once_leave_one_rule_and_none_fails() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let redirect = redirect("127.0.0.1:1000", variant);
            let adds = (0..20).map(|_| redirect.add());
            futures::future::try_join_all(adds).await.unwrap();
            assert_eq!(count(program, "--dport 2000"), 1);
            assert_eq!(count(program, "-j PITSTOP"), 2);
            let removes = (0..20).map(|_| redirect.remove());
            futures::future::try_join_all(removes).await.unwrap();
            assert_eq!(count(program, "--dport 2000"), 0);
        });
    }
}

#[test]
fn looking_changes_nothing() {
    alone(|| async {
        let state = "nft list ruleset; cat /proc/thread-self/net/ip_tables_names";
        let before = sh(state);
        redirect("[::]:1000", Variant::Host).check().await;
        assert_eq!(before, sh(state));
    });
}
