//! What pitstop.toml tells of the files that are looked at.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use haproxy_cfg::lint::Context;

use crate::cli::printer::{self, escape};
use crate::config;
use crate::engine::advice;

/// What the apps of every balancer whose `config` names one of these files have to do with them. Nothing where there is no pitstop.toml;
/// one that can't be read is named, and is no reason not to look.
pub(super) fn known(path: &Path, files: &[PathBuf]) -> Context {
    if matches!(fs::metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Context::default();
    }
    let settings = match config::load(path) {
        Ok(settings) => settings,
        Err(error) => {
            let what = escape(&error.what);
            printer::err(&format!("note: what {} says is left out: {what}", escape(&path.display().to_string())));
            return Context::default();
        }
    };
    let files: Vec<_> = files.iter().filter_map(|file| fs::canonicalize(file).ok()).collect();
    let is_looked_at = |file: &PathBuf| fs::canonicalize(file).is_ok_and(|file| files.contains(&file));
    let mut context = Context::default();
    for app in settings.apps.values() {
        for balancer in app.balancers.iter().filter(|balancer| balancer.config.iter().any(is_looked_at)) {
            let one = advice::context(app, balancer);
            context.redirects.extend(one.redirects);
            context.ramps.extend(one.ramps);
            let masters = [context.master_socket, one.master_socket].into_iter().flatten();
            context.master_socket = masters.reduce(|one, other| one && other);
        }
    }
    context
}
