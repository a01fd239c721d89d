//! The page's host: app `web`, one HAProxy or two, everything where the page has it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration::haproxy::Haproxy;
use integration::netns;
use integration::pitstop::{Outcome, Run};
use integration::wait;
use integration::world::{Builder, Redirects, World};
use integration::{app::App, binaries};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The scene; its app is the first of the world.
pub(crate) struct Scene {
    pub(crate) world: World,
}

impl Scene {
    /// One balancer, whose admin socket alone takes the app out.
    pub(crate) fn new() -> Self {
        Self::with(World::builder(), "")
    }

    /// As `builder` has it; `more` is added to `[apps.web]`.
    pub(crate) fn with(builder: Builder, more: &str) -> Self {
        own_mounts();
        let world = builder.start();
        for (number, haproxy) in balancers(&world).enumerate() {
            let suffix = if number == 0 { String::new() } else { format!("-lb{}", number + 1) };
            symlink(haproxy.folder(), format!("/run/haproxy{suffix}")).unwrap();
        }
        symlink(world.apps[0].pidfile(), "/run/web.pid").unwrap();
        symlink(binaries::ours("pitstop"), "/usr/local/bin/pitstop").unwrap();
        let quoted: Vec<String> = world.apps[0].start_command().iter().map(|word| format!("'{word}'")).collect();
        fs::write("/usr/local/bin/start-web", format!("#!/bin/sh\nexec {}\n", quoted.join(" "))).unwrap();
        fs::set_permissions("/usr/local/bin/start-web", Permissions::from_mode(0o755)).unwrap();
        fs::write("/run/pitstop.toml", configuration(&world, more)).unwrap();
        Self { world }
    }

    /// With the redirects that an operator made by hand.
    pub(crate) fn with_foreign_redirects() -> Self {
        Self::with(World::builder().redirects(Redirects::ByHand), "redirect.check_port = 2001")
    }

    /// Starts a line of the page in a shell.
    pub(crate) fn start(&self, line: &str) -> Run {
        let mut command = Command::new("bash");
        // The shell replaces itself by its last command, so that a signal to it reaches that.
        let line = if line.contains(['|', ';', '&']) { line.to_owned() } else { format!("exec {line}") };
        command.args(["-c", &format!("exec 2>&1\n{line}")]).stdin(Stdio::null());
        command.env("PITSTOP_CONFIG", "/run/pitstop.toml").env_remove("PITSTOP_STATE_DIR");
        command.env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Run::start(command)
    }

    /// The same, where the page's `4711` stands for this process.
    pub(crate) fn start_about(&self, line: &str, pid: i32) -> Run {
        self.start(&line.replace("4711", &pid.to_string()))
    }

    /// Runs one that is not on the page.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        self.start(line).wait()
    }

    pub(crate) fn app(&self) -> &App {
        &self.world.apps[0]
    }

    /// The page's HAProxy.
    pub(crate) fn haproxy(&self) -> &Haproxy {
        &self.world.haproxy
    }

    /// Starts a command, and returns when it has begun this step.
    pub(crate) fn start_until(&self, line: &str, step: &str) -> Run {
        let mut run = self.start(line);
        self.wait_for_step(&mut run, step);
        run
    }

    /// Waits until a run, which must not end before, has begun this step.
    pub(crate) fn wait_for_step(&self, run: &mut Run, step: &str) {
        let intent = format!("\"record\":\"step_intent\",\"step\":\"{step}\"");
        let begun = || fs::read_to_string("/var/lib/pitstop/apps/web/journal").is_ok_and(|text| text.contains(&intent));
        let begun = wait::within(SOON, || (begun() || run.has_ended()).then(begun));
        assert_eq!(begun, Some(true), "{step} has not begun");
    }

    /// Starts a restart whose new process takes its time, and does `act` while it does.
    pub(crate) fn restart_with(&self, line: &str, act: impl FnOnce()) -> Run {
        let old = self.app().pid();
        self.app().at_next_start(&["--start-delay=2000"]);
        let run = self.start(line);
        wait::until("the new process", SOON, || (self.app().pid() != old).then_some(()));
        self.app().at_next_start(&[]);
        act();
        run
    }

    /// Waits until `pitstop status web` says this.
    pub(crate) fn wait_for_status(&self, wanted: impl Fn(&str) -> bool) {
        wait::until("the status", SOON, || wanted(&self.run("pitstop status web").stdout).then_some(()));
    }

    /// Changes `haproxy.cfg` of a balancer and reloads it, as somebody does.
    pub(crate) fn reconfigure(&self, haproxy: &Haproxy, old: &str, new: &str) {
        let file = haproxy.config_file();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(old), "{old:?} is not in\n{text}");
        fs::write(&file, text.replace(old, new)).unwrap();
        haproxy.reload();
    }

    /// The process of the app is ended and one is started that is well: it was mended.
    pub(crate) fn mend_app(&self) {
        self.app().at_next_start(&[]);
        self.app().restart_plainly();
    }

    /// Panics unless every balancer has both entries up, and they stay so with a healthy app.
    pub(crate) fn assert_in(&self) {
        self.app().wait_until_healthy();
        for (haproxy, server) in self.entries() {
            haproxy.wait_for_status(&server, "UP", SOON);
        }
    }

    /// Panics unless every balancer has both entries in maintenance.
    pub(crate) fn assert_out(&self) {
        for (haproxy, server) in self.entries() {
            assert_eq!(haproxy.status(&server), "MAINT", "{server}");
        }
    }

    fn entries(&self) -> impl Iterator<Item = (&Haproxy, String)> {
        balancers(&self.world).flat_map(|haproxy| self.world.servers(0).map(|server| (haproxy, server)))
    }
}

fn balancers(world: &World) -> impl Iterator<Item = &Haproxy> {
    std::iter::once(&world.haproxy).chain(&world.others)
}

/// Gives the calling thread, and what it starts from now on, folders of its own where the page has its files.
fn own_mounts() {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    for folder in ["/run", "/var/lib", "/usr/local/bin"] {
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
    }
    fs::create_dir("/var/lib/pitstop").unwrap();
}

/// Gives the state directory a file system of its own, with hardly any room.
pub(crate) fn small_disk() {
    netns::run(&["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/var/lib/pitstop"]);
}

/// Pretends that the host was booted: the kernel names another boot.
pub(crate) fn pretend_a_boot() {
    fs::write("/run/boot_id", "11111111-2222-3333-4444-555555555555\n").unwrap();
    mount(
        Some(Path::new("/run/boot_id")),
        "/proc/sys/kernel/random/boot_id",
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .unwrap();
}

fn configuration(world: &World, more: &str) -> String {
    let balancer = |number: usize| {
        let folder = if number == 1 { "/run/haproxy".to_owned() } else { format!("/run/haproxy-lb{number}") };
        format!(
            "[balancers.lb{number}]\nsocket = \"{folder}/admin.sock\"\nmaster = \"{folder}/master.sock\"\n\
             config = \"{folder}/haproxy.cfg\"\n"
        )
    };
    let balancers: String = (1..=1 + world.others.len()).map(balancer).collect();
    let listen = world.apps[0].listen();
    format!(
        "{balancers}
[apps.web]
servers = [\"srvs/webA\"]
backups = [\"srvs/bkpA\"]
listen = \"{listen}\"
hold = \"0s\"
on_alert = []
service = {{ pidfile = \"/run/web.pid\", start = [\"/usr/local/bin/start-web\"] }}
ready = [{{ http = \"http://{listen}/health\", timeout = \"4s\" }}]
{more}
"
    )
}
