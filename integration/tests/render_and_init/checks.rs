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
