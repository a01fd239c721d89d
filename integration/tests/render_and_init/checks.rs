//! Checks of HAProxy's that can't all be led to a port of their own.

use integration::haproxy::{Backend, Config, Mode, Server, Version};

use crate::scene::Scene;

/// A scene in which `webA` stands in backend `srvs`, and once more in another backend with these words.
fn scene_with(words: &str) -> Scene {
    let listen = ([127, 0, 0, 1], 1001).into();
    let main = Server::new("webA", listen).word("check");
    let config = Config::new(Mode::Http)
        .backend(Backend::new("srvs").server(main))
        .backend(Backend::new("api").server(Server::new("a1", listen).word(words)));
    Scene::start(Version::Bed("3.0"), config)
}

#[test]
fn where_an_entry_of_an_app_is_left_alone_no_other_is_led_to_a_port_that_nothing_answers_on() {
    for words in ["track srvs/webA", "check addr 127.0.0.9", "check port 2001 addr 127.0.0.9"] {
        let scene = scene_with(words);
        let before = scene.file();
        let outcome = scene.init(&["--write", "--output", "json"]);
        outcome.assert_code(0);
        assert_eq!(String::from_utf8(scene.file()).unwrap(), String::from_utf8(before).unwrap(), "{words}");
        let written = std::fs::read_to_string(scene.pitstop.config()).unwrap();
        assert!(!written.contains("redirect]") && !written.contains("backups"), "{words}: {written}");
        let events = outcome.events();
        let left = events.iter().find(|event| event["event"] == "left_alone").expect("what is left alone");
        assert!(left["why"].as_str().unwrap().contains("the admin socket alone takes srvs out"), "{left}");
    }
}

/// What is written and said for a database whose state is asked on another port, with these words on its line.
fn asked(words: &str, lines: &[&str]) -> (String, String) {
    let server = Server::new("p1", ([127, 0, 0, 1], 1001).into()).word(words);
    let backend = lines.iter().fold(Backend::new("srvs"), |backend, line| backend.line(line)).server(server);
    let scene = Scene::start(Version::Bed("3.0"), Config::new(Mode::Tcp).backend(backend));
    let outcome = scene.init(&[]);
    outcome.assert_code(0);
    (std::fs::read_to_string(scene.pitstop.config()).unwrap(), outcome.stdout.clone())
}

#[test]
fn where_something_answers_on_the_check_port_the_probe_asks_there() {
    let (written, _) = asked("check port 1002", &["option httpchk GET /primary"]);
    assert!(written.contains("http = \"http://127.0.0.1:1002/primary\""), "{written}");
    let (written, _) = asked("check port 1002 check-ssl verify none", &["option httpchk GET /primary"]);
    assert!(written.contains("http = \"https://127.0.0.1:1002/primary\""), "{written}");
    // The server speaks TLS, and what answers for it does not.
    let (written, _) = asked("ssl verify none check port 1002", &["option httpchk GET /primary"]);
    assert!(written.contains("http = \"http://127.0.0.1:1002/primary\""), "{written}");
}

#[test]
fn where_nothing_answers_on_the_check_port_that_is_to_be_confirmed() {
    let (written, said) = asked("check port 8008", &["option httpchk GET /primary"]);
    assert!(written.contains("check_port = 8008"), "{written}");
    assert!(written.contains("http = \"http://127.0.0.1:1001/primary\""), "{written}");
    assert!(said.contains("to confirm: srvs/p1 is checked on port 8008 already"), "{said}");
    let (_, said) = asked("check", &[]);
    assert!(!said.contains("to confirm"), "{said}");
}

#[test]
fn checks_that_connect_as_a_rule_says_are_neither_moved_nor_taken_over() {
    let lines =
        ["option httpchk GET /primary", "http-check connect port 8008", "http-check send meth GET uri /primary"];
    let (written, said) = asked("check", &lines);
    assert!(!written.contains("redirect]"), "{written}");
    assert!(
        written.contains("tcp = \"127.0.0.1:1001\"") && written.contains("HAProxy asks more than that"),
        "{written}"
    );
    assert!(said.contains("left alone"), "{said}");
}
