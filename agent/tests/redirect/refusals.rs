//! Counting refused checks.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use pitstop::rotation::error::RulesError;
use pitstop::rotation::iptables::Family;
use pitstop::rotation::refusals::Refusals;

use crate::world::{CHECK, Neighbour, VARIANTS, alone, answers, app, count, redirect, sh};

#[test]
fn refused_checks_are_counted_by_source_and_at_once_also_under_a_firewall_that_drops() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            let neighbour = Neighbour::new();
            app("0.0.0.0:1000");
            sh(&format!(
                "{program} -A INPUT -p tcp --dport 1000 -j ACCEPT
                 {program} -A INPUT -i lo -j ACCEPT; {program} -P INPUT DROP"
            ));
            let redirect = redirect("0.0.0.0:1000", variant);
            let near: IpAddr = [127, 0, 0, 1].into();
            let far: IpAddr = [10, 9, 0, 2].into();
            let refusals = Refusals::with_variant(CHECK, &[near, far], &[Family::V4], variant);
            let not_counting = async || {
                let counts = refusals.counts().await;
                assert!(matches!(counts, Err(RulesError::NotCounting)), "{counts:?}");
            };
            redirect.add().await.unwrap();
            not_counting().await;
            redirect.remove().await.unwrap();
            refusals.start().await.unwrap();
            assert_eq!(refusals.counts().await.unwrap(), [(near, 0), (far, 0)]);
            for _ in 0..3 {
                let started = Instant::now();
                assert!(!neighbour.reaches("10.9.0.1", CHECK));
                assert!(started.elapsed() < Duration::from_millis(900));
            }
            assert!(!answers("127.0.0.1:2000"));
            assert_eq!(refusals.counts().await.unwrap(), [(near, 1), (far, 3)]);
            // Our own proof is no check.
            redirect.remove().await.unwrap();
            assert_eq!(refusals.counts().await.unwrap(), [(near, 1), (far, 3)]);
            refusals.start().await.unwrap();
            assert_eq!(refusals.counts().await.unwrap(), [(near, 0), (far, 0)]);
            sh(&format!("{program} -F INPUT"));
            not_counting().await;
            refusals.stop().await.unwrap();
            refusals.stop().await.unwrap();
            assert_eq!(count(program, "--dport 2000"), 0);
        });
    }
}

#[test]
fn without_addresses_the_checks_of_everybody_are_counted() {
    for (variant, _, _) in VARIANTS {
        alone(move || async move {
            let families = [Family::V4, Family::V6];
            let refusals = Refusals::with_variant(CHECK, &[], &families, variant);
            refusals.start().await.unwrap();
            assert!(!answers("127.0.0.1:2000") && !answers("[::1]:2000"));
            let counts = refusals.counts().await.unwrap();
            let counts: Vec<u64> = counts.iter().map(|(_, count)| *count).collect();
            assert_eq!(counts, [1, 1]);
            refusals.stop().await.unwrap();
        });
    }
}
