//! What to type next.

use std::path::Path;

use super::Initiated;
use super::shell::word;
use crate::cli::args::{ADMIN_SOCKET, Arguments, HAPROXY, HAPROXY_CFG, InitOptions, STATE_DIR};
use crate::config::DEFAULT_PATH;

/// Something to type or to do.
pub(super) struct Step {
    /// The command, or what to do.
    pub(super) act: String,
    pub(super) why: String,
}

/// In their order. The redirect comes before the reload: a check port that nothing answers on takes the main entry down.
pub(super) fn steps(initiated: &Initiated, arguments: &Arguments, options: &InitOptions) -> Vec<Step> {
    let pitstop = pitstop(arguments);
    let mut steps = Vec::new();
    let mut step = |act: String, why: &str| steps.push(Step { act, why: why.to_owned() });
    for gap in &initiated.gaps {
        let line = gap.line.map(|line| format!(":{line}")).unwrap_or_default();
        step(format!("fill in {}{line}", arguments.config.display()), &gap.what);
    }
    for unlisted in &initiated.unlisted {
        let names: Vec<_> = unlisted.names.iter().map(|name| format!("\"{name}\"")).collect();
        step(
            format!(
                "add {} to `{}` of [apps.{}] in {}",
                names.join(", "),
                unlisted.key,
                unlisted.app,
                arguments.config.display()
            ),
            "or requests come to the app by it while it is out",
        );
    }
    let is_written = initiated.copies.is_some();
    if !initiated.changes.is_empty() && !is_written {
        step(
            format!("{pitstop} init{} --write", given(options)),
            "makes the changes above once `haproxy -c` accepts them, and keeps a copy; or make them by hand",
        );
    }
    for (number, app) in initiated.apps.iter().enumerate() {
        if let Some(port) = initiated.check_port(number) {
            let why = format!(
                "proves the app healthy, and sets the redirect of port {port} to {}; before the reload, or HAProxy takes it down",
                app.listen.port()
            );
            step(format!("{pitstop} in {}", app.name), &why);
        }
    }
    step(
        "systemctl reload haproxy".to_owned(),
        match initiated.changes.is_empty() {
            true => "if that has not been done since its files were changed, for HAProxy goes by what it has read",
            false => {
                "or however it is reloaded here; where clients keep their connections, `option idle-close-on-response` (after 2.2) \
                 keeps any reload from closing one on which a request is just coming"
            }
        },
    );
    step(format!("{pitstop} check"), "says whether anything stands in the way of a restart, and touches nothing");
    if let Some(app) = initiated.apps.first() {
        step(format!("{pitstop} restart {}", app.name), "the first pit stop");
    }
    steps
}

/// The options that are not what they are by themselves. Of those for a new `pitstop.toml` none counts any more.
fn given(options: &InitOptions) -> String {
    let mut given = String::new();
    if options.from != [Path::new(HAPROXY_CFG)] {
        let from: Vec<_> = options.from.iter().map(word).collect();
        given += &format!(" --from {}", from.join(" "));
    }
    given.extend(options.host.iter().map(|host| format!(" --host {}", word(host))));
    if options.socket != ADMIN_SOCKET {
        given += &format!(" --socket {}", word(&options.socket));
    }
    if options.haproxy != Path::new(HAPROXY) {
        given += &format!(" --haproxy {}", word(&options.haproxy));
    }
    given
}

fn pitstop(arguments: &Arguments) -> String {
    let mut pitstop = "pitstop".to_owned();
    if arguments.config != Path::new(DEFAULT_PATH) {
        pitstop += &format!(" --config {}", word(&arguments.config));
    }
    if arguments.state_dir != Path::new(STATE_DIR) {
        pitstop += &format!(" --state-dir {}", word(&arguments.state_dir));
    }
    pitstop
}
