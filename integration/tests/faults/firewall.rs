//! Firewall programs and locks of the test's own, and what somebody may do with them.

use std::fs::File;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use integration::netns;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const ALTERNATIVES: &str = "/etc/alternatives";

/// Gives the calling thread, and what it starts from now on, a `/run` of its own, where the locks are.
pub(crate) fn private_locks() {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
}

/// After [`private_locks`]: `iptables` and `ip6tables` are the legacy ones from now on, as `update-alternatives` would have it.
pub(crate) fn use_legacy() {
    for program in ["iptables", "ip6tables"] {
        use_instead(program, Path::new(&format!("/usr/sbin/{program}-legacy")));
    }
}

/// After [`private_locks`]: an `iptables` that waits for the xtables lock without limit, whatever limit it is given.
pub(crate) fn use_legacy_without_limit() {
    use_legacy();
    let script = Path::new("/run/iptables-without-limit");
    let legacy = "/usr/sbin/iptables-legacy";
    let text = format!(
        "#!/bin/sh\n[ \"$3\" = -w ] || exec {legacy} \"$@\"\nt=$2\nshift 4\nexec {legacy} -t \"$t\" -w \"$@\"\n"
    );
    std::fs::write(script, text).unwrap();
    std::fs::set_permissions(script, Permissions::from_mode(0o755)).unwrap();
    use_instead("iptables", script);
}

fn use_instead(name: &str, program: &Path) {
    let own = Path::new("/run/alternatives");
    if !own.exists() {
        netns::run(&["cp", "-a", ALTERNATIVES, "/run/alternatives"]);
        mount(Some(own), ALTERNATIVES, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    }
    std::fs::remove_file(own.join(name)).unwrap();
    symlink(program, own.join(name)).unwrap();
}

/// Holds the xtables lock, as a firewall program does that hangs, until it is dropped.
pub(crate) fn hold_the_xtables_lock() -> File {
    let lock = File::options().create(true).append(true).open("/run/xtables.lock").unwrap();
    lock.lock().unwrap();
    lock
}

/// Runs a line of words in the test's namespace.
pub(crate) fn run(line: &str) -> String {
    netns::run(&line.split(' ').collect::<Vec<_>>())
}

/// Whether the redirect to the first app is there and in use, as whoever is called `iptables` sees it.
pub(crate) fn first_redirect_is_there() -> bool {
    let rules = run("iptables -w 5 -t nat -S");
    let jumps = rules.matches("-j PITSTOP").count();
    jumps == 2 && rules.matches("-A PITSTOP -d 127.0.0.1/32 -p tcp -m tcp --dport 2001").count() == 1
}
