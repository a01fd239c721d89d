//! The ways to restart an app, each as one command.

use std::path::{Path, PathBuf};
use std::process::Command;

use integration::binaries;

use crate::app::NotedApp;
use crate::scene::{BACKEND, CHECKS, LONGEST, Scene, redirects};

/// A way to restart an app behind HAProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Method {
    /// Stop, start.
    Plain,
    /// The recipe of 2008 as a script, with the waits that an operator works out from `haproxy.cfg`.
    Recipe,
    /// A playbook with Ansible's haproxy module and its default wait.
    Ansible,
    /// `pitstop restart`.
    Pitstop,
}

impl Method {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Recipe, Self::Ansible, Self::Pitstop];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "stop, start",
            Self::Recipe => "redirect and sleep",
            Self::Ansible => "Ansible",
            Self::Pitstop => "pitstop",
        }
    }

    /// The command that restarts this app.
    pub(crate) fn command(self, scene: &Scene, app: &NotedApp) -> Command {
        let folder = scene.folder.path();
        let restart = write(folder, &format!("restart-{}.sh", app.name()), &restart_script(app));
        match self {
            Self::Plain => shell(&restart),
            Self::Recipe => shell(&write(folder, &format!("recipe-{}.sh", app.name()), &recipe_script(app, &restart))),
            Self::Ansible => {
                let playbook = playbook(app, &scene.haproxy.socket(), &restart);
                let playbook = write(folder, &format!("restart-{}.yml", app.name()), &playbook);
                let mut command = Command::new(ansible("ansible-playbook"));
                command
                    .args(["--inventory", "localhost,", "--connection", "local"])
                    .arg("--extra-vars")
                    .arg(format!("ansible_python_interpreter={}", ansible("python").display()))
                    .arg(playbook)
                    .env("ANSIBLE_HOME", folder.join("ansible"))
                    .env("ANSIBLE_LOCALHOST_WARNING", "false")
                    .env("LC_ALL", "C.UTF-8");
                command
            }
            Self::Pitstop => pitstop(scene, app),
        }
    }
}

/// `pitstop restart`, which tells its steps on standard output.
pub(crate) fn pitstop(scene: &Scene, app: &NotedApp) -> Command {
    let mut command = Command::new(binaries::ours("pitstop"));
    command.arg("--config").arg(scene.pitstop.config()).arg("--state-dir").arg(scene.state.path());
    command.args(["restart", app.name(), "--output", "json"]);
    command
}

/// A program of the test bed's virtual environment. Panics when it is missing.
pub(crate) fn ansible(program: &str) -> PathBuf {
    let bed = std::env::var("PITSTOP_TESTBED").unwrap_or_else(|_| "/var/cache/pitstop-testbed".to_owned());
    let path = Path::new(&bed).join("ansible/bin").join(program);
    assert!(path.exists(), "{} is missing: scripts/setup bench", path.display());
    path
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("write a script");
    path
}

fn shell(script: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg(script);
    command
}

/// What all but pitstop do in the middle: a graceful stop, and a start that is waited for.
fn restart_script(app: &NotedApp) -> String {
    format!(
        "set -eu
pid=$(cat {pidfile})
kill -TERM \"$pid\"
while kill -0 \"$pid\" 2>/dev/null; do sleep 0.1; done
{start}
until curl -fs -o /dev/null http://{listen}/health; do sleep 0.1; done
",
        pidfile = app.pidfile().display(),
        start = app.start_command().join(" "),
        listen = app.listen(),
    )
}

/// The seconds that the recipe's operator sleeps after deleting the redirect, and after adding it.
pub(crate) fn recipe_sleeps() -> (u64, u64) {
    let (inter, fall, rise) = CHECKS;
    (inter.as_secs() * u64::from(fall) + LONGEST.as_secs(), inter.as_secs() * u64::from(rise) + 1)
}

fn recipe_script(app: &NotedApp, restart: &Path) -> String {
    let (out, back) = recipe_sleeps();
    format!(
        "set -eu
{}
sleep {out} # fall x inter, and the longest request
sh {}
{}
sleep {back} # rise x inter, and one more second
",
        redirects(app, "-D").join("\n"),
        restart.display(),
        redirects(app, "-A").join("\n"),
    )
}

/// As in the examples of the module's documentation, with its default `wait_interval` and `wait_retries`.
fn playbook(app: &NotedApp, socket: &Path, restart: &Path) -> String {
    let module = |state: &str, more: &str| {
        format!(
            "    - community.general.haproxy:
        state: {state}
        backend: {BACKEND}
        host: {}
        socket: {}
        wait: true
{more}",
            app.name(),
            socket.display()
        )
    };
    format!(
        "- hosts: all
  gather_facts: false
  tasks:
{}    - ansible.builtin.command: sh {}
{}",
        module("disabled", "        drain: true\n"),
        restart.display(),
        module("enabled", ""),
    )
}

/// What the machine has, for the report.
pub(crate) fn versions() -> String {
    let first = |program: &Path, argument: &str| {
        let output = Command::new(program).arg(argument).output().expect("ask for a version");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    let haproxy = first(&binaries::tool("haproxy", "bench"), "-v");
    let haproxy = haproxy.split_whitespace().nth(2).unwrap_or("?").split('-').next().unwrap_or("?").to_owned();
    let gunicorn = first(&binaries::tool("gunicorn", "bench"), "--version");
    let gunicorn = gunicorn.split(' ').nth(2).map(|word| word.trim_end_matches(')').to_owned());
    let ansible = first(&ansible("ansible"), "--version");
    let ansible = ansible.trim_start_matches("ansible [").trim_end_matches(']').to_owned();
    format!("HAProxy {haproxy}, gunicorn {}, ansible-{ansible}", gunicorn.unwrap_or_else(|| "?".to_owned()))
}
