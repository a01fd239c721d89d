//! Names with `;`, newline, blanks and control characters: refused where the configuration is read, before HAProxy or
//! iptables hear of anything; and what may hold any text is never a part of a command line.

use std::path::Path;
use std::sync::{Arc, Mutex};

use integration::relay::Relay;
use integration::world::{Redirects, World};

use crate::scene::{Scene, Touchables};

/// Each really ran a second command, changed its arguments, or reached something else, where it was sent as it is.
const HOSTILE: [&str; 12] = [
    ";disable server srvs/webB",
    "; disable server srvs/webB;",
    "\ndisable server srvs/webB",
    "\r\ndisable server srvs/webB\r\n",
    " state maint",
    "\tweight 0",
    " <<",
    "\\",
    "\0",
    "\u{1b}[2J",
    "\u{202e}",
    "$(touch /tmp/pitstop-test-injected)",
];

/// All values that name something of HAProxy, of the host, or of ours, as the scene's file has them, and the same with the place
/// of the hostile text.
fn places(scene: &Scene, recorder: &Recorder) -> Vec<(String, String)> {
    let service =
        format!("pidfile = {:?}\nstart = {:?}", scene.world.apps[0].pidfile(), scene.world.apps[0].start_command());
    let socket = format!("socket = {:?}", recorder.relay.path());
    let places = [
        ("\"srvs/webA\"", "\"srvs/webA@\""),
        ("\"srvs/webA\"", "\"srvs@/webA\""),
        ("\"srvs/webA\"", "\"@srvs/webA\""),
        ("\"srvs/bkpA\"", "\"srvs/bkpA@\""),
        ("apps.webA", "apps.\"webA@\""),
        ("balancers.lb1", "balancers.\"lb1@\""),
        ("[balancers.lb1]", "[balancers.lb1]\naddresses = [\"127.0.0.1@\"]"),
        (&socket, "socket = \"tcp:127.0.0.1:9@\""),
        ("\"127.0.0.1:1001\"", "\"127.0.0.1:1001@\""),
        ("check_port = 2001", "check_port = 2001\ndriver = \"iptables@\""),
        (&service, "systemd = \"web@.service\""),
        ("[apps.webA.service]", "[apps.webA.service]\nstop_signal = \"TERM@\""),
        ("[apps.webA.service]", "[apps.webA.service]\naction = \"restart@\""),
        ("[apps.webA.drain]\n", "[apps.webA.drain]\non_timeout = \"abort@\"\n"),
        ("[apps.webA.guard]\n", "[apps.webA.guard]\nmin_up = \"50%@\"\n"),
    ];
    places.map(|(written, place)| (written.to_owned(), place.to_owned())).into()
}

fn scene() -> Scene {
    let builder = World::builder().redirects(Redirects::ByPitstop).pitstop_line("hold = \"0s\"");
    Scene::new(builder.drain_line("timeout = \"30s\"").table_line("guard", "# as it is"))
}

/// A string of TOML holds what its escapes stand for, so this reaches the reader as it is meant.
fn in_toml(text: &str) -> String {
    text.chars().map(|character| format!("\\U{:08X}", u32::from(character))).collect()
}

/// What is said to HAProxy.
struct Recorder {
    lines: Arc<Mutex<Vec<String>>>,
    relay: Relay,
}

impl Recorder {
    fn before_haproxy(scene: &Scene) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&lines);
        let relay = Relay::before_haproxy(&scene.world, move |line| noted.lock().unwrap().push(line.to_owned()));
        Self { lines, relay }
    }

    fn commands(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().flat_map(|line| line.trim_end().split(';')).map(|command| command.trim().to_owned()).collect()
    }
}

#[test]
fn row_24_hostile_names_in_the_configuration_reach_neither_haproxy_nor_iptables() {
    let scene = scene();
    let recorder = Recorder::before_haproxy(&scene);
    let before = Touchables::of(&scene.world);
    let config = std::fs::read_to_string(scene.world.pitstop.config()).unwrap();
    for (written, place) in places(&scene, &recorder) {
        assert!(config.contains(&written), "{written} is not in\n{config}");
        let with = |text: &str| scene.world.pitstop.configure(&config.replace(&written, &place.replace('@', text)));
        // Harmless, it is taken: what is refused below is refused for the text.
        with("");
        scene.run(&["restart", "webZ"]).assert_code(2).assert_says(&["there is no app \"webZ\""]);
        // systemd-escape(1) writes units with it, and they are no part of a line.
        let harmless = |hostile: &&str| *hostile == "\\" && place.starts_with("systemd");
        for hostile in HOSTILE.iter().filter(|hostile| !harmless(hostile)) {
            with(&in_toml(hostile));
            for command in ["restart", "check"] {
                let outcome = scene.run(&[command, "webA"]);
                assert_eq!(outcome.code, Some(2), "{hostile:?} in {place}: {outcome:?}");
                assert_is_fit_for_a_terminal(&outcome.stderr);
            }
        }
    }
    assert_eq!(recorder.commands(), Vec::<String>::new(), "nobody has spoken to {}", recorder.relay.path().display());
    before.assert_untouched(&scene.world);
    assert!(!Path::new("/tmp/pitstop-test-injected").exists());
    scene.assert_nothing_failed();
}

fn assert_is_fit_for_a_terminal(text: &str) {
    let hostile = |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
    assert!(!text.contains(hostile), "{text:?}");
}

/// What is said to HAProxy in a whole restart, but for numbers and states.
fn is_expected(command: &str) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    match words.as_slice() {
        ["show", ..] | ["set", "severity-output", _] | [""] => true,
        ["set", "server", entry, "state" | "weight" | "health", value] => {
            ["srvs/webA", "srvs/bkpA"].contains(entry) && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '%')
        }
        _ => false,
    }
}

/// A reason, a path and a command's words may be any text.
#[test]
fn row_24_text_that_may_be_anything_is_no_part_of_a_command() {
    let scene = scene();
    let recorder = Recorder::before_haproxy(&scene);
    let before = Touchables::of(&scene.world);
    let folder = scene.world.pitstop.state().join("a; touch injected\n$(touch injected) `touch injected`");
    std::fs::create_dir(&folder).unwrap();
    let heard = folder.join("heard");
    // `$0` and what follows are the words as they came.
    let words =
        HOSTILE.iter().filter(|hostile| !hostile.contains('\0')).map(|hostile| format!("\"{}\"", in_toml(hostile)));
    let words = words.collect::<Vec<_>>().join(", ");
    let revert = format!(
        "revert = ['sh', '-c', 'printf \"<%s>\" \"$@\" >\"$0\"; : >\"$1\"', {}, {}, {words}]",
        quoted(&heard),
        quoted(&scene.world.apps[0].more())
    );
    scene.world.pitstop.replace("[apps.webA.service]", &format!("[apps.webA.service]\n{revert}\ntimeout = \"2s\""));
    scene.world.apps[0].at_next_start(&["--crash-at-start"]);
    for hostile in HOSTILE.iter().filter(|hostile| !hostile.contains('\0')) {
        let outcome = scene.run(&["restart", &format!("webA{hostile}")]);
        outcome.assert_code(2);
        assert_is_fit_for_a_terminal(&outcome.stderr);
    }
    let reason = HOSTILE.concat().replace('\0', "");
    scene.run(&["restart", "webA", "--reason", &reason]).assert_code(0);
    let heard = std::fs::read_to_string(&heard).unwrap();
    for hostile in HOSTILE.iter().filter(|hostile| !hostile.contains('\0')) {
        assert!(heard.contains(&format!("<{hostile}>")), "{hostile:?} came as {heard:?}");
    }
    let commands = recorder.commands();
    assert!(commands.iter().any(|command| command == "set server srvs/webA state maint"), "{commands:#?}");
    let unexpected: Vec<_> = commands.iter().filter(|command| !is_expected(command)).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert_eq!(Touchables::of(&scene.world).settings(), before.settings());
    // Whoever is told of it later reads it, and it does nothing to the terminal.
    let status = scene.run(&["status", "webA"]);
    status.assert_code(0);
    assert_is_fit_for_a_terminal(&status.stdout);
    assert!(!Path::new("/tmp/pitstop-test-injected").exists());
    scene.assert_in();
    scene.assert_nothing_failed();
}

/// A path as a string of TOML.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", in_toml(path.to_str().unwrap()))
}
