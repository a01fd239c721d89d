//! What the rules find, and what they do not: `tests/lint/RULE/{fails,passes}.cfg` for every rule, and whole configurations of all
//! kinds in `tests/lint/configurations` and `examples`.
//!
//! Carets in a comment below a line mark what is found there (`#` takes the place of a first caret in the first column):
//!
//! ```text
//! server s2 10.0.0.2:8080
//! #      ^^ no-check [SEVERITY]
//! ```
//!
//! What pitstop.toml would tell stands in lines such as `#! redirect BACKEND/SERVER PORT`, `#! ramp BACKEND/SERVER` and `#! master
//! known|unknown`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use haproxy_cfg::Config;
use haproxy_cfg::lint::worst_case::worst_cases;
use haproxy_cfg::lint::{Context, Finding, Redirected, Rule, Severity, lint};

/// What is found where: rule, severity, line, first byte and the byte behind the last.
type Mark = (Rule, Severity, u32, usize, usize);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "cfg"));
    files.sort();
    files
}

fn marks(text: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut above = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let Some((indent, names)) = line.strip_prefix('#').and_then(|rest| {
            let carets = rest.trim_start();
            carets.starts_with('^').then(|| (rest.len() - carets.len(), carets))
        }) else {
            above = number;
            continue;
        };
        let length = names.bytes().take_while(|byte| *byte == b'^').count();
        let words: Vec<_> = names[length..].split_whitespace().collect();
        let rule: Rule = words[0].parse().unwrap();
        let severity = match words.get(1) {
            None => rule.severity(),
            Some(&"note") => Severity::Note,
            Some(&"warning") => Severity::Warning,
            Some(&"error") => Severity::Error,
            Some(other) => panic!("{other} is no severity"),
        };
        // The `#` itself is the first caret of what begins in the first column.
        let begin = if indent == 0 { 0 } else { indent + 1 };
        marks.push((rule, severity, above, begin, 1 + indent + length));
    }
    marks
}

fn context(text: &str) -> Context {
    let mut context = Context::default();
    let pair = |name: &str| name.split_once('/').map(|(one, other)| (one.to_owned(), other.to_owned())).unwrap();
    for words in text.lines().filter_map(|line| line.strip_prefix("#! ")) {
        match words.split_whitespace().collect::<Vec<_>>()[..] {
            ["redirect", name, port] => {
                let (backend, server) = pair(name);
                context.redirects.push(Redirected { backend, server, check_port: port.parse().unwrap() });
            }
            ["ramp", name] => context.ramps.push(pair(name)),
            ["master", known] => context.master_socket = Some(known == "known"),
            _ => panic!("{words}"),
        }
    }
    context
}

fn found(name: &str, text: &str) -> Vec<Finding> {
    let config = Config::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
    lint(&config, &context(text))
}

fn marked(findings: &[Finding]) -> Vec<Mark> {
    let mark = |finding: &Finding| {
        let bytes = &finding.span.bytes;
        (finding.rule, finding.severity, finding.span.place.line, bytes.start, bytes.end)
    };
    findings.iter().map(mark).collect()
}

#[test]
fn every_rule_has_an_example_that_fails_at_the_marked_place_and_by_no_other_rule() {
    for rule in Rule::ALL {
        let path = folder("tests/lint").join(rule.name()).join("fails.cfg");
        let text = read(&path);
        let wanted = marks(&text);
        assert!(wanted.iter().any(|mark| mark.0 == *rule && mark.1 == rule.severity()), "{rule} is not marked");
        assert_eq!(marked(&found(rule.name(), &text)), wanted, "{}", path.display());
    }
}

#[test]
fn every_rule_has_an_example_that_passes_every_rule() {
    for rule in Rule::ALL {
        let path = folder("tests/lint").join(rule.name()).join("passes.cfg");
        let text = read(&path);
        assert_eq!(found(rule.name(), &text), [], "{}", path.display());
    }
}

#[test]
fn every_folder_of_examples_is_that_of_a_rule() {
    for entry in std::fs::read_dir(folder("tests/lint")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "configurations" || name.parse::<Rule>().is_ok(), "{name} is no rule");
    }
}

#[test]
fn the_published_examples_give_no_finding_at_all() {
    let paths = files(&folder("examples"));
    assert!(paths.len() >= 6);
    for path in paths {
        assert_eq!(found("example", &read(&path)), [], "{}", path.display());
    }
}

#[test]
fn whole_configurations_give_what_is_marked_and_nothing_else() {
    let paths = files(&folder("tests/lint/configurations"));
    assert!(paths.len() >= 12);
    for path in paths {
        let text = read(&path);
        let findings = found("configuration", &text);
        assert_eq!(marked(&findings), marks(&text), "{}: {findings:#?}", path.display());
    }
}

#[test]
fn what_is_not_known_is_never_reported() {
    let texts: Vec<_> =
        Rule::ALL.iter().map(|rule| read(&folder("tests/lint").join(rule.name()).join("fails.cfg"))).collect();
    for text in texts {
        let conditional = format!(".if defined(NOBODY_KNOWS)\n{text}.endif\n");
        let findings = found("conditional", &conditional);
        // What HAProxy is never told in any case may still be named.
        let sure: Vec<_> = findings.iter().map(|finding| finding.rule).collect();
        assert!(sure.iter().all(|rule| *rule == Rule::UnknownAllow), "{sure:?}\n{conditional}");
    }
}

#[test]
fn an_allowed_rule_is_not_found_on_that_line_and_on_no_other_is_it_missed() {
    let text = "backend b\n option redispatch\n server a 10.0.0.1:1 # pitstop: allow no-check\n \
                # pitstop: allow no-check, persist nobody goes there\n\n # more\n server b 10.0.0.2:1\n server c 10.0.0.3:1\n";
    let lines: Vec<_> = found("allowed", text).iter().map(|finding| (finding.rule, finding.span.place.line)).collect();
    assert_eq!(lines, [(Rule::NoCheck, 8)]);
}

#[test]
fn a_name_in_an_allow_comment_that_no_rule_has_is_found_with_what_is_meant() {
    let text = "backend b\n option redispatch\n server a 10.0.0.1:1 check # pitstop: allow same-adress\n \
                server b 10.0.0.2:1 check # pitstop: allow everything\n";
    let findings = found("allowed", text);
    let fixes: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.fix.as_str())).collect();
    assert_eq!(
        fixes,
        [
            (Rule::UnknownAllow, "write `same-address`, if that is meant"),
            (Rule::UnknownAllow, "write the name that a finding shows in brackets"),
        ]
    );
}

#[test]
fn what_stands_in_defaults_is_said_once_and_only_where_it_takes_effect() {
    let text = "defaults\n mode http\n option redispatch\n option httpchk GET /up\n timeout tunnel 5h\n http-reuse always\n \
                default-server check on-marked-down shutdown-sessions\n";
    let backends = |lines: &str| -> String {
        let server = |number: u32| {
            format!("backend b{number}\n{lines} server s 10.0.{number}.1:1\n server t 10.0.{number}.2:1\n")
        };
        (1..=3).map(server).collect()
    };
    let rules = |text: &str| found("defaults", text).iter().map(|finding| finding.rule).collect::<Vec<_>>();
    let inherited = format!("{text}{}", backends(""));
    assert_eq!(rules(&inherited), [Rule::LongTimeout, Rule::ReuseAlways, Rule::KillsSessions]);
    let overridden = " timeout tunnel 5m\n http-reuse safe\n";
    let without = text.replace(" on-marked-down shutdown-sessions", "");
    assert_eq!(rules(&format!("{without}{}", backends(overridden))), []);
}

#[test]
fn a_server_that_is_called_like_a_word_of_its_line_is_not_taken_for_it() {
    let text = "backend backend\n server check app check agent-check\n server app app:80 cookie app\n";
    let config = Config::parse("names", text).unwrap();
    let findings = lint(&config, &Context::default());
    let spans: Vec<_> =
        findings.iter().map(|finding| (finding.rule, finding.span.place.line, finding.span.bytes.clone())).collect();
    assert_eq!(
        spans,
        [
            (Rule::NoRedispatch, 1, 8..15),
            (Rule::AgentPort, 2, 24..35),
            (Rule::InitAddr, 2, 14..17),
            (Rule::NoCheck, 3, 8..11),
            (Rule::InitAddr, 3, 12..18),
        ]
    );
}

#[test]
fn backends_that_serve_no_clients_are_left_alone() {
    let servers = "\n server a udp@10.0.0.1:514\n server b udp@10.0.0.2:514\n";
    assert_eq!(found("log", &format!("backend logs\n mode log{servers}")), []);
    assert_eq!(found("disabled", &format!("backend old\n disabled{servers}")), []);
    assert_ne!(found("tcp", &format!("backend app\n mode tcp{servers}")), []);
}

#[test]
fn the_line_that_another_one_contradicts_is_shown_with_it() {
    let text = read(&folder("tests/lint/twin-cookie/fails.cfg"));
    let findings = found("twin", &text);
    let see = findings[0].see.clone().unwrap();
    let line = text.lines().nth(see.place.line as usize - 1).unwrap();
    assert!(line.contains("main2"), "{line}");
    assert_eq!(&line[see.bytes], "cookie");
}

#[test]
fn what_pitstop_knows_makes_a_finding_worse() {
    let text = "defaults\n mode http\n option redispatch\nbackend b\n option httpchk GET /up\n balance source\n \
                server a 10.0.0.1:80\n server b 10.0.0.2:80 check\n";
    let severities = |context: &Context| {
        let config = Config::parse("b", text).unwrap();
        lint(&config, context).iter().map(|finding| (finding.rule, finding.severity)).collect::<Vec<_>>()
    };
    assert_eq!(
        severities(&Context::default()),
        [(Rule::FixedWeights, Severity::Note), (Rule::NoCheck, Severity::Warning)]
    );
    let redirects = vec![Redirected { backend: "b".to_owned(), server: "a".to_owned(), check_port: 2000 }];
    let ramps = vec![("b".to_owned(), "a".to_owned())];
    assert_eq!(
        severities(&Context { redirects, ramps, ..Context::default() }),
        [(Rule::FixedWeights, Severity::Error), (Rule::NoCheck, Severity::Error)]
    );
}

#[test]
fn what_is_said_once_is_as_bad_as_the_worst_of_it() {
    let backend = |name: &str, host: u8| {
        format!("backend {name}\n server s1 10.0.{host}.1:1 check\n server s2 10.0.{host}.2:1 check\n")
    };
    let text = format!("defaults\n option redispatch\n balance source\n{}{}", backend("a", 1), backend("b", 2));
    for ramped in ["a", "b"] {
        let context = Context { ramps: vec![(ramped.to_owned(), "s1".to_owned())], ..Context::default() };
        let findings = lint(&Config::parse("once", &text).unwrap(), &context);
        let severities: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.severity)).collect();
        assert_eq!(severities, [(Rule::FixedWeights, Severity::Error)], "{findings:?}");
        assert!(findings[0].what.starts_with(&format!("{ramped}: ")), "{findings:?}");
    }
}

/// A pair whose main entry and whose checks break three rules, and one that is like it.
fn crooked_pairs(lines: &str, words: &str) -> Vec<Rule> {
    let pair = |number: u8| {
        format!(
            " server main{number} 10.0.0.{number}:80 ssl verify none check port 81 cookie {number} {words}\n \
             server backup{number} 10.0.0.{number}:80 ssl verify none check port 81 cookie {number} backup {words}\n"
        )
    };
    let text = format!(
        "#! redirect b/main1 2000\n#! redirect b/main2 2000\nbackend b\n mode http\n option redispatch\n \
         cookie C insert\n{lines}{}{}",
        pair(1),
        pair(2)
    );
    let rules: std::collections::BTreeSet<_> = found("pairs", &text).iter().map(|finding| finding.rule).collect();
    rules.into_iter().collect()
}

#[test]
fn nothing_is_told_of_where_checks_go_when_other_lines_than_the_servers_own_decide() {
    let by_its_line = [Rule::CheckPort, Rule::TwinCheckPort, Rule::PlainCheck];
    for lines in
        [" option httpchk GET /up\n", " option tcp-check\n", " option external-check\n option httpchk GET /up\n"]
    {
        assert_eq!(crooked_pairs(lines, ""), by_its_line, "{lines}");
    }
    for lines in [
        " option tcp-check\n tcp-check connect port 2000\n",
        " option httpchk\n http-check connect port 2000 ssl\n http-check send uri /up\n",
        " option external-check\n external-check command /bin/true\n",
        " option httpchk GET /up\n option external-check\n external-check command /bin/true\n",
    ] {
        assert_eq!(crooked_pairs(lines, ""), [], "{lines}");
    }
    assert_eq!(crooked_pairs(" option httpchk GET /\n", "healthcheck elsewhere"), []);
}

#[test]
fn whoever_is_checked_otherwise_than_by_a_connect_is_not_told_to_be() {
    let rules = |lines: &str, words: &str| {
        let servers = format!(" server s1 10.0.0.1:80 check {words}\n server s2 10.0.0.2:80 check {words}\n");
        let text = format!("backend b\n mode http\n option redispatch\n{lines}{servers}");
        found("checks", &text).iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    assert_eq!(rules("", ""), [Rule::CheckByConnect]);
    assert_eq!(rules(" option external-check\n external-check command /bin/true\n", ""), []);
    assert_eq!(rules("", "healthcheck elsewhere"), []);
}

#[test]
fn all_that_a_plain_check_lacks_is_told_at_once() {
    let text = "#! redirect b/s 2000\nbackend b\n server s 10.0.0.1:80 ssl verify none send-proxy-v2 check port 2000\n";
    let findings = found("plain", text);
    let fixes: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.fix.as_str())).collect();
    assert_eq!(fixes, [(Rule::PlainCheck, "add `check-ssl check-send-proxy`")]);
    // Another host answers there.
    assert_eq!(found("elsewhere", &text.replace("port", "addr 10.0.0.9 port")), []);
}

#[test]
fn a_finding_names_the_servers_whose_lines_it_is_about() {
    let named = |rule: Rule, file: &str| {
        let text = read(&folder("tests/lint").join(rule.name()).join(file));
        let finding = found("named", &text).into_iter().find(|finding| finding.rule == rule).unwrap();
        let names = finding.servers.into_iter().map(|(backend, server)| format!("{backend}/{server}"));
        names.collect::<Vec<_>>()
    };
    assert_eq!(named(Rule::CookieWithoutTwin, "fails.cfg"), ["app/main2"]);
    assert_eq!(named(Rule::NoCheck, "fails.cfg"), ["app/s2"]);
    assert_eq!(named(Rule::TwinCookie, "fails.cfg"), ["app/backup2", "app/main2"]);
    assert_eq!(named(Rule::UnknownAllow, "fails.cfg"), ["app/s2"]);
    // It stands in a `default-server`, and in a backend's own line.
    assert_eq!(named(Rule::KillsSessions, "fails.cfg"), [""; 0]);
    assert_eq!(named(Rule::FixedWeights, "fails.cfg"), [""; 0]);
    let template = "backend b\n option redispatch\n server-template s 1-3 app:80 init-addr none\n";
    assert_eq!(found("template", template)[0].servers, []);
}

#[test]
fn an_address_is_one_whatever_its_family_is_called() {
    let rules = |one: &str, other: &str| {
        let text = format!("backend b\n option redispatch\n server s1 {one} check\n server s2 {other} check\n");
        found("addresses", &text).iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    for address in ["uxdg@/run/a", "stream+unix@/run/a", "tcp4@10.0.0.1:80"] {
        assert_eq!(rules(address, address), [Rule::SameAddress], "{address}");
    }
    for address in ["ipv4@*:80", "ipv6@[::]:80", "fd@3", "rhttp@"] {
        assert_eq!(rules(address, address), [], "{address}");
    }
    assert_eq!(rules("uxdg@/run/a", "quic4@app:80"), [Rule::InitAddr]);
}

#[test]
fn the_longest_times_that_haproxy_takes_are_counted_and_no_longer_ones() {
    let worst = |words: &str| {
        let config = Config::parse("times", &format!("backend b\n server s 10.0.0.1:80 check {words}\n")).unwrap();
        worst_cases(&config).first().map(|worst| (worst.out.as_millis(), worst.back.as_millis()))
    };
    let longest: u128 = 2_147_483_647;
    assert_eq!(worst("inter 2147483647 fall 2147483647 rise 1"), Some((longest * longest, longest)));
    assert_eq!(worst("inter 18446744073709551615 fall 4294967295"), None);
    assert_eq!(worst("inter 1s downinter 18446744073709551615ms rise 4294967295"), None);
}

/// The rules that are found in a backend of HTTP with these lines.
fn found_in(lines: &str) -> Vec<Rule> {
    let text = format!("backend b\n mode http\n option redispatch\n option httpchk GET /up\n{lines}");
    found("backend", &text).iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_variable_in_an_address_is_no_host_name_and_no_address_that_is_open() {
    let text = "global\n stats socket ${SOCK} level admin\n stats socket '$SOCK' level admin\nbackend b\n mode tcp\n \
                option redispatch\n server a ${IP}:80 check\n server b '$IP' check\n server-template c 3 $IP check\n";
    assert_eq!(found("variables", text), []);
    let set = text.replacen("global\n", "global\n setenv IP app:80\n setenv SOCK *:99\n", 1);
    let rules: Vec<_> = found("set", &set).iter().map(|finding| finding.rule).collect();
    assert_eq!(
        rules,
        [Rule::SocketOpen, Rule::SocketOpen, Rule::InitAddr, Rule::InitAddr, Rule::InitAddr, Rule::SameAddress,]
    );
}

#[test]
fn a_socket_that_other_users_may_write_to_is_open() {
    let rules = |words: &str| {
        let text = format!("global\n stats socket /run/a.sock {words} level admin\n");
        found("mode", &text).iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    for mode in ["666", "777", "0666", "602", "0o2 mode 662", "666x"] {
        assert_eq!(rules(&format!("mode {mode}")), [Rule::SocketOpen], "{mode}");
    }
    for mode in ["660", "600", "664", "775", "644", "0"] {
        assert_eq!(rules(&format!("mode {mode}")), [], "{mode}");
    }
    assert_eq!(rules("mode 666 level operator user root").len(), 1);
    assert_eq!(
        found("operator", "global\n stats socket /a mode 666 level operator\n stats socket /b mode 600 level admin\n"),
        []
    );
}

#[test]
fn main_entries_that_share_a_cookie_value_are_told_and_a_main_and_its_backup_entry_are_not() {
    let pair = |words: &str, other: &str| {
        found_in(&format!(
            " cookie C insert\n server a 10.0.0.1:80 cookie a check\n server {words} 10.0.0.{other} check\n"
        ))
    };
    assert_eq!(pair("b", "2:80 cookie a"), [Rule::SameCookie]);
    assert_eq!(pair("b", "2:80 cookie b"), []);
    assert_eq!(pair("b", "2:80"), []);
    assert_eq!(pair("b", "2:80 cookie a disabled"), []);
    assert_eq!(pair("b", "1:80 cookie a backup port 81"), []);
    assert_eq!(pair("b", "1:80 cookie a"), [Rule::SameAddress]);
}

#[test]
fn cookies_count_for_nothing_where_haproxy_does_not_read_them() {
    for file in ["same-cookie", "twin-cookie", "twin-address", "cookie-without-twin"] {
        let text = read(&folder("tests/lint").join(file).join("fails.cfg"));
        assert_ne!(found(file, &text), [], "{file}");
        let tcp = text.replace("mode http", "mode tcp");
        assert_eq!(found(file, &tcp), [], "{file}");
    }
}

#[test]
fn the_last_resort_needs_no_check_and_any_other_backup_entry_does() {
    let backup = |lines: &str| {
        found_in(&format!(" cookie C insert\n server a 10.0.0.1:80 check\n server b 10.0.0.2:80 check\n{lines}"))
    };
    assert_eq!(backup(" server sorry 127.0.0.1:81 backup\n"), []);
    assert_eq!(backup(" server sorry 127.0.0.1:81 backup cookie s\n"), [Rule::NoCheck]);
    assert_eq!(backup(" server twin 10.0.0.1:80 backup\n"), [Rule::NoCheck]);
    assert_eq!(backup(" server sorry 127.0.0.1:81 backup\n server c 127.0.0.1:82 backup check\n"), [Rule::NoCheck]);
    assert_eq!(backup(" server-template sorry 3 127.0.0.1:81 backup\n"), [Rule::NoCheck]);
}

#[test]
fn a_comment_at_either_of_two_places_allows_what_is_between_them() {
    let canary = " server canary 10.0.0.1:80\n";
    let allow = " # pitstop: allow no-check, same-address\n";
    let other = " server a 10.0.0.1:80 check\n";
    assert_eq!(found_in(&format!("{canary}{other}")), [Rule::NoCheck, Rule::SameAddress]);
    assert_eq!(found_in(&format!("{allow}{canary}{other}")), []);
    assert_eq!(found_in(&format!("{other}{allow}{canary}")), []);
    assert_eq!(found_in(&format!("{allow}{other}{canary}")), [Rule::NoCheck]);
}

#[test]
fn a_comment_that_nearly_allows_something_is_found_with_how_to_write_it() {
    let text = "backend b\n option redispatch\n server a 10.0.0.1:1 # Pitstop: allow no-check\n # pitstop takes these out\n \
                server b 10.0.0.2:1 check\n";
    let findings = found("nearly", text);
    let said: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.span.bytes.clone())).collect();
    assert_eq!(said, [(Rule::NoCheck, 8..9), (Rule::UnknownAllow, 23..37)]);
    assert_eq!(findings[1].fix, "write `# pitstop: allow no-check`, if that is meant");
}

#[test]
fn weights_that_are_fixed_by_a_line_are_freed_by_changing_it() {
    let fix = |line: &str| {
        let text = format!(
            "backend b\n option redispatch\n balance source\n{line} server a 10.0.0.1:1 check\n server b 10.0.0.2:1 check\n"
        );
        found("fixed", &text).remove(0).fix
    };
    assert_eq!(fix(""), "add `hash-type consistent`");
    assert_eq!(fix(" hash-type map-based\n"), "write `hash-type consistent` instead of `hash-type map-based`");
}
