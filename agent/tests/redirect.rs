//! The redirect, the gate and the counting of refused checks, in the real kernel's network namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::future::Future;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn6, sockopt};
use pitstop::config::settings::Label;
use pitstop::rotation::error::RulesError;
use pitstop::rotation::findings::Severity;
use pitstop::rotation::gate::Gate;
use pitstop::rotation::iptables::{Family, Variant};
use pitstop::rotation::mark::connect_marked;
use pitstop::rotation::redirect::Redirect;
use pitstop::rotation::refusals::Refusals;

const CHECK: u16 = 2000;

const VARIANTS: [(Variant, &str, &str); 2] =
    [(Variant::Nft, "iptables-nft", "ip6tables-nft"), (Variant::Legacy, "iptables-legacy", "ip6tables-legacy")];

/// Runs a test in a thread with a network and a `/run` (where the locks are) of its own; what it starts inherits both.
fn alone<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        mount(None::<&str>, "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        sh("ip link set lo up");
        block_on(test());
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-ec", command]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// An app that echoes.
fn app(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
}

fn redirect(listen: &str, variant: Variant) -> Redirect {
    let name: Label = "web".parse().unwrap();
    Redirect::with_variant(name, listen.parse().unwrap(), CHECK, variant)
}

fn answers(address: &str) -> bool {
    let address: SocketAddr = address.parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
}

fn count(program: &str, needle: &str) -> usize {
    let rules = sh(&format!("{program}-save"));
    rules.lines().filter(|line| line.contains(needle)).count()
}

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

/// A second host, joined by a veth; it has no routes but to ours.
struct Neighbour(Child);

impl Neighbour {
    fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ready = child.stdout.as_mut().unwrap();
        ready.read_exact(&mut [0]).unwrap();
        let neighbour = Self(child);
        sh(&format!(
            "ip link add near type veth peer name far netns {}
             ip addr add 10.9.0.1/24 dev near; ip addr add 10.9.0.7/24 dev near
             ip addr add fd09::1/64 dev near nodad; ip addr add fd09::7/64 dev near nodad
             ip link set near up",
            neighbour.0.id()
        ));
        neighbour.sh("ip link set lo up; ip addr add 10.9.0.2/24 dev far
             ip addr add fd09::2/64 dev far nodad; ip link set far up");
        // The kernel makes a new link and its addresses usable a moment later: ready is what a round trip shows.
        let _listener = TcpListener::bind("[::]:7").unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        for host in ["10.9.0.1", "10.9.0.7", "fd09::1", "fd09::7"] {
            let near = SocketAddr::new(host.parse().unwrap(), 7).to_string();
            while !neighbour.reaches(host, 7) || !answers(&near) {
                assert!(Instant::now() < deadline, "{host} can't be reached");
            }
        }
        neighbour
    }

    fn sh(&self, command: &str) -> String {
        sh(&format!("nsenter -t {} -n sh -ec '{command}'", self.0.id()))
    }

    fn reaches(&self, host: &str, port: u16) -> bool {
        let pid = self.0.id().to_string();
        let connect = format!("exec 3<>/dev/tcp/{host}/{port}");
        let output =
            Command::new("nsenter").args(["-t", &pid, "-n", "timeout", "1", "bash", "-c", &connect]).output().unwrap();
        output.status.success()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
fn looking_changes_nothing() {
    alone(|| async {
        let state = "nft list ruleset; cat /proc/thread-self/net/ip_tables_names";
        let before = sh(state);
        redirect("[::]:1000", Variant::Host).check().await;
        assert_eq!(before, sh(state));
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

#[test]
fn a_closed_gate_turns_away_new_connections_but_not_probes_nor_what_is_established() {
    for (variant, _, _) in VARIANTS {
        for (listen, near) in [
            ("127.0.0.1:1000", "127.0.0.1:1000"),
            ("[::1]:1000", "[::1]:1000"),
            ("[::]:1000", "[::1]:1000"),
            ("[::]:1000", "127.0.0.1:1000"),
        ] {
            alone(move || async move {
                app(listen);
                let address: SocketAddr = near.parse().unwrap();
                let gate = Gate::with_variant(listen.parse().unwrap(), variant);
                let mut established = TcpStream::connect(address).unwrap();
                let mut echo = |byte: u8| {
                    established.write_all(&[byte]).unwrap();
                    let mut back = [0];
                    established.read_exact(&mut back).unwrap();
                    assert_eq!(back, [byte]);
                };
                echo(1);
                gate.open().await.unwrap();
                for _ in 0..2 {
                    gate.close().await.unwrap();
                    assert!(gate.is_closed().await.unwrap());
                }
                let started = Instant::now();
                let refused = TcpStream::connect(address).unwrap_err();
                assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
                assert!(started.elapsed() < Duration::from_millis(200));
                let deadline = Instant::now() + Duration::from_secs(1);
                connect_marked(address, deadline).await.unwrap();
                echo(2);
                for _ in 0..2 {
                    gate.open().await.unwrap();
                    assert!(!gate.is_closed().await.unwrap());
                }
                assert!(answers(near));
                echo(3);
            });
        }
    }
}

#[test]
fn a_gate_is_closed_also_where_somebody_has_got_before_its_jump() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let gate = Gate::with_variant("127.0.0.1:1000".parse().unwrap(), variant);
            gate.close().await.unwrap();
            sh(&format!("{program} -I INPUT 1 -i lo -j ACCEPT"));
            assert!(answers("127.0.0.1:1000"));
            gate.close().await.unwrap();
            assert!(!answers("127.0.0.1:1000"));
            assert_eq!(count(program, "--dport 1000"), 1);
            gate.open().await.unwrap();
            assert!(answers("127.0.0.1:1000"));
        });
    }
}

#[test]
fn a_gate_that_lets_a_connection_through_is_not_called_closed() {
    for (variant, program, _) in VARIANTS {
        alone(move || async move {
            app("127.0.0.1:1000");
            let gate = Gate::with_variant("127.0.0.1:1000".parse().unwrap(), variant);
            // Whoever carries the mark passes.
            let mark = "-j MARK --set-mark 0x70697473";
            sh(&format!("{program} -t mangle -A INPUT {mark}"));
            let error = gate.close().await.unwrap_err();
            assert!(matches!(error, RulesError::GateOpen { .. }), "{error:?}");
        });
    }
}

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

const UNPRIVILEGED: &str = "without_rights_the_error_says_so_and_nothing_is_called_absent";

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
