//! Checks from this host and from another, and where the app listens.

use std::net::{IpAddr, SocketAddr};

use pitstop::rotation::findings::Severity;
use pitstop::rotation::iptables::Variant;

use crate::world::{CHECK, Neighbour, VARIANTS, alone, answers, app, redirect, sh};

#[test]
fn checks_from_another_host_arrive_at_whatever_address_the_app_is_bound_to_and_at_no_other() {
    for (variant, _, _) in VARIANTS {
        for listen in
            ["0.0.0.0:1000", "10.9.0.1:1000", "10.9.0.7:1000", "[fd09::1]:1000", "[fd09::7]:1000", "[::]:1000"]
        {
            alone(move || async move {
                let neighbour = Neighbour::new();
                app(listen);
                let redirect = redirect(listen, variant);
                redirect.add().await.unwrap();
                let ip = listen.parse::<SocketAddr>().unwrap().ip();
                for host in ["10.9.0.1", "10.9.0.7", "fd09::1", "fd09::7"] {
                    let host: IpAddr = host.parse().unwrap();
                    // The same port of an address that the app is not bound to may be another app's.
                    let meant = ip == host || ip.is_unspecified() && (ip.is_ipv6() || host.is_ipv4());
                    assert_eq!(neighbour.reaches(&host.to_string(), CHECK), meant, "{listen} by {host}");
                }
                redirect.remove().await.unwrap();
                for host in ["10.9.0.1", "10.9.0.7", "fd09::1", "fd09::7"] {
                    assert!(!neighbour.reaches(host, CHECK), "{listen} by {host}");
                }
            });
        }
    }
}

#[test]
fn traffic_to_the_same_port_of_another_host_goes_there() {
    alone(|| async {
        let _neighbour = Neighbour::new();
        app("0.0.0.0:1000");
        let redirect = redirect("0.0.0.0:1000", Variant::Host);
        redirect.add().await.unwrap();
        // Nothing listens there: an answer would be ours.
        assert!(!answers("10.9.0.2:2000"));
    });
}

#[test]
fn an_app_on_loopback_is_warned_about_and_an_address_of_another_host_is_an_error() {
    alone(|| async {
        let findings = redirect("127.0.0.1:1000", Variant::Host).check().await;
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].severity, Severity::Warning);
        let findings = redirect("192.0.2.1:1000", Variant::Host).check().await;
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0].severity, Severity::Error);
    });
}

#[test]
fn a_firewall_that_lets_nobody_in_to_the_app_is_warned_about() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            let redirect = redirect("0.0.0.0:1000", variant);
            sh(&format!(
                "{program} -A INPUT -i lo -j ACCEPT; {program} -A INPUT -p tcp --dport 2000 -j ACCEPT
                 {program} -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                 {program} -P INPUT DROP"
            ));
            let findings = redirect.check().await;
            assert_eq!(findings.len(), 1, "{findings:#?}");
            assert!(findings[0].what.contains("port 1000"), "{findings:#?}");
            sh(&format!("{program} -A INPUT -p tcp -m multiport --dports 22,1000 -j ACCEPT"));
            assert_eq!(redirect.check().await, []);
        });
    }
}
