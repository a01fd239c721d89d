//! What is written reads back as what was meant, and what is not meant stays as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use haproxy_cfg::render::edit::{Edit, edited};
use haproxy_cfg::render::{AdminSocket, Backend, Entry, HttpCheck, Recipe, Wanted, adopt, quote};
use haproxy_cfg::{Config, Environment, Level, Mode, Place, Source};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_.:-]{0,8}"
}

/// Any text of one line or several, but for the end of all texts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,6}", "[^\u{0}]{1,12}", "['\"\\\\ #$%{}\\t\\n\\r]{1,6}"]
}

prop_compose! {
    fn entry()(
        address in prop_oneof![Just("10.0.0.2:80"), Just("[::1]:8080"), Just("127.0.0.1:65535")],
        check_port in prop::option::of(1_u16..),
        cookie in prop::option::of(text()),
        (tls, backup) in any::<(bool, bool)>(),
        inter in 1_u64..100_000,
        fall in 1_u32..100,
        rise in 1_u32..100,
    ) -> Entry {
        let inter = Duration::from_millis(inter);
        Entry { name: String::new(), address: address.to_owned(), check_port, cookie, tls, backup, inter, fall, rise }
    }
}

prop_compose! {
    fn backend()(
        http: bool,
        cookie in prop::option::of(text()),
        check in prop::option::of(("/[!-~]{0,10}", prop::option::of(text()), prop::collection::vec(100_u16..600, 0..3))),
        check_timeout in prop::option::of(1_u64..100_000),
        entries in prop::collection::vec(entry(), 0..4),
    ) -> Backend {
        let check = check.map(|(uri, host, status)| HttpCheck { uri, host, status });
        let numbered = entries.into_iter().enumerate();
        let entries = numbered.map(|(number, entry)| Entry { name: format!("s{number}"), ..entry }).collect();
        Backend { name: String::new(), http, cookie, check, check_timeout: check_timeout.map(Duration::from_millis), entries }
    }
}

prop_compose! {
    fn recipe()(
        socket in prop::option::of(prop_oneof![
            // HAProxy has no way to write a `$` in an address.
            "/[ -#%-~]{1,12}".prop_map(AdminSocket::Unix),
            Just(AdminSocket::Tcp("10.0.0.5:9999".parse().unwrap())),
            Just(AdminSocket::Tcp("[::1]:9999".parse().unwrap())),
        ]),
        bind in prop::option::of(Just(":80".to_owned())),
        backends in prop::collection::vec(backend(), 0..4),
    ) -> Recipe {
        let numbered = backends.into_iter().enumerate();
        let backends = numbered.map(|(number, backend)| Backend { name: format!("be{number}"), ..backend }).collect();
        Recipe { socket, master: None, bind, backends }
    }
}

/// Panics unless a backend reads as it was meant.
fn assert_reads_back(config: &Config, wanted: &Backend) {
    let read = config.backend(&wanted.name).expect("the backend");
    let settings = &read.settings;
    assert!(settings.mode.is(&if wanted.http { Mode::Http } else { Mode::Tcp }));
    assert!(settings.redispatch.is(&true) && settings.retries.is(&3));
    assert_eq!(settings.cookie.known(), Some(&wanted.cookie));
    assert_eq!(settings.timeout_check.known(), Some(&Some(wanted.check_timeout.unwrap_or(Duration::from_secs(2)))));
    assert_eq!(settings.httpchk.known().map(Option::is_some), Some(wanted.check.is_some()));
    let uri = wanted.check.as_ref().map(|check| check.uri.clone());
    assert_eq!(settings.http_check_uri.known(), Some(&uri));
    let expects = wanted.check.as_ref().is_some_and(|check| !check.status.is_empty());
    assert!(settings.http_check_expect.is(&expects));
    assert_eq!(read.servers().count(), wanted.entries.len());
    for entry in &wanted.entries {
        let server = read.server(&entry.name).expect("the entry");
        let settings = &server.settings;
        assert!(server.address.is(entry.address.as_str()) && settings.check.is(&true));
        assert!(settings.port.is(&entry.check_port) && settings.cookie.is(&entry.cookie));
        assert!(settings.backup.is(&entry.backup) && settings.ssl.is(&entry.tls));
        assert!(settings.inter.is(&entry.inter) && settings.fall.is(&entry.fall) && settings.rise.is(&entry.rise));
        // Where checks have a port of their own they do not follow the server's `ssl`.
        assert!(!entry.tls || entry.check_port.is_none() || settings.check_ssl.is(&true));
    }
}

proptest! {
    #[test]
    fn what_is_rendered_reads_back_with_the_same_values(recipe in recipe()) {
        let config = Config::parse("haproxy.cfg", &recipe.to_string()).unwrap();
        recipe.backends.iter().for_each(|backend| assert_reads_back(&config, backend));
        let sockets: Vec<_> = config.global().sockets.iter().map(|socket| (socket.address.known().cloned(), socket.level.known().copied())).collect();
        let wanted = recipe.socket.iter().map(|socket| match socket {
            AdminSocket::Unix(path) => path.clone(),
            AdminSocket::Tcp(address) if address.is_ipv4() => format!("ipv4@{address}"),
            AdminSocket::Tcp(address) => format!("ipv6@{address}"),
        });
        prop_assert_eq!(sockets, wanted.map(|address| (Some(address), Some(Level::Admin))).collect::<Vec<_>>());
    }

    #[test]
    fn a_quoted_word_is_read_as_one_word_that_says_the_same(word in text()) {
        let config = Config::parse("haproxy.cfg", &format!("global\n x {} y", quote(&word))).unwrap();
        let words: Vec<_> = config.words(Place { file: 0, line: 2 }).into_iter().map(|word| word.text).collect();
        prop_assert_eq!(words, ["x".to_owned(), word, "y".to_owned()]);
    }

    #[test]
    fn lines_that_are_not_changed_stay_byte_for_byte(
        lines in prop::collection::vec(("[ a-z#é\"']{0,12}", prop_oneof![Just("\n"), Just("\r\n")]), 0..12),
        ends_bare: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), "[a-z]{1,5}", any::<bool>(), 0_usize..6, 0_usize..6), 0..5),
    ) {
        let mut bytes: Vec<u8> = lines.iter().flat_map(|(text, end)| [text.as_bytes(), end.as_bytes()].concat()).collect();
        if ends_bare {
            bytes.truncate(bytes.trim_ascii_end().len());
        }
        // No section's lines are read, so that any text is a configuration.
        let source = [b"peers p\n".to_vec(), bytes.iter().map(|byte| if b"\"'".contains(byte) { b'x' } else { *byte }).collect()].concat();
        let Ok(config) = Config::read(vec![Source::new("a", source.clone())], &Environment::default()) else { return Ok(()) };
        let count = config.document().files()[0].lines();
        let edits: Vec<_> = changes.iter().map(|(index, with, adds, from, length)| {
            let place = Place { file: 0, line: u32::try_from(index.index(usize::try_from(count).unwrap())).unwrap() + 1 };
            match adds {
                true => Edit::After(place, with.clone()),
                false => Edit::Replace(place, *from..from + length, with.clone()),
            }
        }).collect();
        let new = edited(config.document(), 0, &edits);
        let changed: Vec<_> = edits.iter().filter_map(|edit| match edit {
            Edit::Replace(place, ..) => Some(place.line),
            Edit::After(..) => None,
        }).collect();
        // Every line that is not changed is still there, in the same order.
        let mut rest: Vec<&[u8]> = new.split_inclusive(|byte| *byte == b'\n').collect();
        for (line, number) in source.split_inclusive(|byte| *byte == b'\n').zip(1..) {
            if changed.contains(&number) {
                continue;
            }
            let is_it = |there: &&[u8]| *there == line || (number == count && !line.ends_with(b"\n") && there.trim_ascii_end() == line.trim_ascii_end());
            let at = rest.iter().position(is_it);
            prop_assert!(at.is_some(), "line {} is gone from {:?}", number, String::from_utf8_lossy(&new));
            rest.drain(..=at.unwrap());
        }
        if edits.is_empty() {
            prop_assert_eq!(new, source);
        }
    }

    #[test]
    fn what_is_adopted_lacks_nothing_any_more(
        words in prop::collection::vec(prop::sample::select(vec![
            "check", "cookie A", "weight 5", "port 9", "inter 1s", "ssl verify none", "send-proxy", "id 7", "cookie port",
            "maxconn 9", "# note", "slowstart 9s", "disabled", "source 10.0.0.1 usesrc client", "no-check", "port 1080",
        ]), 0..6),
        defaults in prop::sample::select(vec!["", " default-server check port 77 inter 3s\n", " default-server ssl verify none send-proxy\n", " no option redispatch\n", " retries 0\n option redispatch\n"]),
        global in prop::sample::select(vec!["", "global\n", "global\n\tstats socket /s level operator\n", "global\n stats socket /other\n"]),
        // Two servers of one name are none of HAProxy's: it refuses them.
        name in name().prop_filter("the other server's name", |name| name != "z"),
    ) {
        let text = format!("{global}backend be\n{defaults} server {name} 10.0.0.2:80 {}\n server z 10.0.0.3:80 check\n", words.join(" "));
        let config = Config::parse("haproxy.cfg", &text).unwrap();
        let wanted = [Wanted { backend: "be".to_owned(), server: name.clone(), check_port: Some(1080) }];
        let adoption = adopt(&config, &wanted, "/s");
        prop_assert!(adoption.left.is_empty(), "{:?}", adoption.left);
        let new = String::from_utf8(edited(config.document(), 0, &adoption.edits)).unwrap();
        let config = Config::parse("haproxy.cfg", &new).unwrap();
        prop_assert_eq!(adopt(&config, &wanted, "/s").edits, [], "{}", new);
        let main = config.server("be", &name).unwrap();
        prop_assert!(main.check_port.is(&Some(1080)) && main.settings.check.is(&true), "{}", new);
        let [_, _, twin] = &adoption.twins[0];
        let twin = config.server("be", twin).unwrap();
        prop_assert!(twin.check_port.is(&Some(80)) && twin.settings.backup.is(&true), "{}", new);
        prop_assert!(twin.settings.check.is(&true), "{}", new);
        prop_assert_eq!(twin.settings.cookie.known(), main.settings.cookie.known(), "{}", new);
        prop_assert_eq!(twin.address.known(), main.address.known());
        prop_assert_eq!(twin.settings.disabled.known(), main.settings.disabled.known(), "{}", new);
        for entry in [&main, &twin] {
            let (settings, follows) = (&entry.settings, entry.settings.port.is(&None));
            prop_assert!(!settings.ssl.is(&true) || follows || settings.check_ssl.is(&true), "{}", new);
            prop_assert!(!settings.send_proxy.is(&true) || follows || settings.check_send_proxy.is(&true), "{}", new);
        }
        let backend = config.backend("be").unwrap();
        prop_assert!(backend.settings.redispatch.is(&true) && !backend.settings.retries.is(&0), "{}", new);
        prop_assert!(config.global().sockets.iter().any(|socket| socket.level.is(&Level::Admin)), "{}", new);
        prop_assert!(backend.server("z").unwrap().settings.port.known() == Some(&None) || defaults.contains("port"));
    }
}

#[test]
fn a_backup_entry_that_is_there_is_mended_and_no_other_is_added() {
    let text = "global\n stats socket /s level admin\nbackend be\n option redispatch\n default-server port 1080\n \
                server a 10.0.0.2:80 cookie A check\n server b 10.0.0.2:80 cookie B backup # theirs\n";
    let config = Config::parse("haproxy.cfg", text).unwrap();
    let wanted = [Wanted { backend: "be".to_owned(), server: "a".to_owned(), check_port: Some(1080) }];
    let adoption = adopt(&config, &wanted, "/s");
    assert!(adoption.twins.is_empty());
    let new = String::from_utf8(edited(config.document(), 0, &adoption.edits)).unwrap();
    assert!(new.ends_with(" server b 10.0.0.2:80 cookie A backup check port 80 # theirs\n"), "{new}");
}

#[test]
fn checks_that_end_up_with_a_port_speak_as_the_server_is_spoken_to() {
    let begin = "global\n stats socket /s level admin\nbackend be\n option redispatch\n";
    let adopted = |lines: &str, check_port| {
        let config = Config::parse("haproxy.cfg", &format!("{begin}{lines}")).unwrap();
        let wanted = [Wanted { backend: "be".to_owned(), server: "a".to_owned(), check_port }];
        let new = String::from_utf8(edited(config.document(), 0, &adopt(&config, &wanted, "/s").edits)).unwrap();
        new.strip_prefix(begin).unwrap().to_owned()
    };
    assert_eq!(
        adopted(" server a 10.0.0.2:443 ssl check port 1080\n", Some(1080)),
        " server a 10.0.0.2:443 ssl check port 1080 check-ssl\n server a-backup 10.0.0.2:443 ssl check port 443 check-ssl backup\n"
    );
    assert_eq!(
        adopted(
            " default-server send-proxy check port 1\n server a 10.0.0.2:80\n server b 10.0.0.2:80 port 80 backup\n",
            Some(1080)
        ),
        " default-server send-proxy check port 1\n server a 10.0.0.2:80 port 1080 check-send-proxy\n \
         server b 10.0.0.2:80 port 80 backup check-send-proxy\n"
    );
    assert_eq!(
        adopted(" default-server ssl port 1\n server a 10.0.0.2:443\n", None),
        " default-server ssl port 1\n server a 10.0.0.2:443 check check-ssl\n"
    );
}

#[test]
fn a_server_that_is_disabled_gets_no_backup_that_serves() {
    let text =
        "global\n stats socket /s level admin\nbackend be\n option redispatch\n server a 10.0.0.2:80 check disabled\n";
    let config = Config::parse("haproxy.cfg", text).unwrap();
    let wanted = [Wanted { backend: "be".to_owned(), server: "a".to_owned(), check_port: Some(1080) }];
    let new = String::from_utf8(edited(config.document(), 0, &adopt(&config, &wanted, "/s").edits)).unwrap();
    assert!(new.ends_with(" server a-backup 10.0.0.2:80 check disabled backup\n"), "{new}");
}

#[test]
fn what_depends_on_a_variable_or_is_checked_elsewhere_is_left_alone_and_named() {
    let text = "global\n stats socket /s level admin\nbackend be\n option redispatch\n server a 10.0.0.2:80 cookie \"$A\" check\n \
                server b 10.0.0.2:81 check addr 10.0.0.9\n server c 10.0.0.2:82 track be/a\n";
    let config = Config::parse("haproxy.cfg", text).unwrap();
    let wanted = ["a", "b", "c"].map(|server| Wanted {
        backend: "be".to_owned(),
        server: server.to_owned(),
        check_port: Some(1080),
    });
    let adoption = adopt(&config, &wanted, "/s");
    assert_eq!(adoption.edits, []);
    assert_eq!(adoption.left.iter().map(|left| left.place.line).collect::<Vec<_>>(), [5, 6, 7]);
}

/// The second section, as it is with what it lacked.
fn adopted(backend: &str, servers: &[&str]) -> String {
    let begin = "global\n stats socket /s level admin\nbackend be\n option redispatch\n";
    let config = Config::parse("haproxy.cfg", &format!("{begin}{backend}")).unwrap();
    let wanted =
        |server: &&str| Wanted { backend: "be".to_owned(), server: (*server).to_owned(), check_port: Some(1080) };
    let wanted: Vec<_> = servers.iter().map(wanted).collect();
    let new = String::from_utf8(edited(config.document(), 0, &adopt(&config, &wanted, "/s").edits)).unwrap();
    let again = Config::parse("haproxy.cfg", &new).unwrap();
    assert_eq!(adopt(&again, &wanted, "/s").edits, [], "{new}");
    new.strip_prefix(begin).unwrap().to_owned()
}

#[test]
fn of_two_main_entries_that_clients_stick_to_each_has_a_backup_of_its_cookie() {
    let text = " server a 10.0.0.2:80 cookie a check port 1080\n server b 10.0.0.2:80 cookie b check port 1080\n";
    let twin_of_b = " server b-backup 10.0.0.2:80 cookie b check port 80 backup\n";
    for (written, wanted) in [("x", "a"), ("a", "a")] {
        let backup = |cookie: &str| format!(" server c 10.0.0.2:80 cookie {cookie} check backup\n");
        let new = adopted(&format!("{text}{}", backup(written)), &["a", "b"]);
        assert_eq!(new, format!("{text}{twin_of_b}{}", backup(wanted)));
    }
    // The other's is not taken from it.
    let new = adopted(&format!("{text} server c 10.0.0.2:80 cookie b check backup\n"), &["a", "b"]);
    assert!(new.contains(" server a-backup 10.0.0.2:80 cookie a check port 80 backup\n"), "{new}");
    assert!(new.ends_with(" server c 10.0.0.2:80 cookie b check backup\n"), "{new}");
}

#[test]
fn a_backup_entry_is_known_by_its_address_however_that_is_written() {
    for (main, backup) in
        [("ipv4@10.0.0.2:80", "10.0.0.2:80"), ("[::1]:80", "ipv6@0:0::1:80"), ("app:80", "ipv4@app:80")]
    {
        let text = format!(" server a {main} check port 1080\n server b {backup} check backup\n");
        assert_eq!(adopted(&text, &["a"]), text);
    }
}

#[test]
fn checks_that_connect_as_a_rule_says_are_left_alone() {
    for rule in ["http-check connect port 8008", "tcp-check connect port 8008 ssl"] {
        let text = format!(" {rule}\n server a 10.0.0.2:80 check\n");
        assert_eq!(adopted(&text, &["a"]), text);
    }
}
