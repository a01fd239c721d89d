//! What HAProxy's files lack for the host's apps, decided for each app as a whole.

use std::path::PathBuf;

use haproxy_cfg::render::{Adoption, Wanted, adopt, edit};
use haproxy_cfg::{Config, Place};

use super::host::{HostApp, Listed};
use super::ports::CheckPort;
use super::write::Change;

/// What the apps' lines lack. Where a main entry can't be checked on the app's check port, the app gets no redirect: so none of its lines
/// may be led to that port, for nothing would answer there.
pub(super) fn adopted(config: &Config, apps: &[HostApp], check_ports: &mut [CheckPort], socket: &str) -> Adoption {
    let mut left = adopt(config, &wanted(apps, check_ports), socket).left;
    for (app, check_port) in apps.iter().zip(check_ports.iter_mut()) {
        let CheckPort::Own(port) = *check_port else { continue };
        let missing = |main: &&Listed| !is_checked_at(config, main, port);
        let places: Vec<_> = app.mains.iter().filter(missing).map(|main| main.server.place).collect();
        let of_app = left.iter_mut().filter(|left| places.contains(&left.place));
        for left in of_app {
            left.why += &format!(": so the admin socket alone takes {} out", app.name);
            *check_port = CheckPort::Traffic;
        }
    }
    let mut adoption = adopt(config, &wanted(apps, check_ports), socket);
    let places: Vec<_> = adoption.left.iter().map(|left| left.place).collect();
    adoption.left.extend(left.into_iter().filter(|left| !places.contains(&left.place)));
    adoption
}

/// Whether a redirect of this port takes the entry out as it stands.
fn is_checked_at(config: &Config, main: &Listed, port: u16) -> bool {
    let (server, settings) = (&main.server, &main.server.settings);
    let backend = config.backend(main.id.backend.as_str());
    let follows_port = backend.is_some_and(|backend| backend.settings.check_connect.is(&false));
    follows_port && server.check_port.is(&Some(port)) && settings.addr.is(&None) && settings.track.is(&None)
}

fn wanted(apps: &[HostApp], ports: &[CheckPort]) -> Vec<Wanted> {
    let all = apps.iter().zip(ports).flat_map(|(app, port)| {
        app.mains.iter().map(|main| Wanted {
            backend: main.id.backend.to_string(),
            server: main.id.server.to_string(),
            check_port: match port {
                CheckPort::Own(port) => Some(*port),
                CheckPort::Answered(_) | CheckPort::Traffic => None,
            },
        })
    });
    all.collect()
}

pub(super) fn answered(app: &HostApp, port: CheckPort) -> Option<(Place, String)> {
    let (CheckPort::Answered(port), Some(main)) = (port, app.mains.first()) else { return None };
    let why = format!(
        "{} is checked on port {port}, on which something answers here: so it stays, and the admin socket alone takes it out",
        main.id
    );
    Some((main.server.place, why))
}

/// A check port that was there, and on which nothing answers now: whatever did there would be taken out of sight by the redirect.
pub(super) fn silent(app: &HostApp, port: CheckPort) -> Option<String> {
    let CheckPort::Own(port) = port else { return None };
    let main = app.mains.iter().find(|main| main.server.check_port.is(&Some(port)))?;
    Some(format!(
        "{} is checked on port {port} already, on which nothing answers here now. The redirect rests on that: if something is to answer there (a page for checks that is down now), leave the redirect out: --socket-only",
        main.id
    ))
}

/// The files that lack something.
pub(super) fn changes(config: &Config, adoption: &Adoption) -> Vec<Change> {
    let files = config.document().files().iter().zip(0..);
    let changes = files.map(|(file, number)| Change {
        path: PathBuf::from(file.name()),
        old: file.bytes().to_vec(),
        new: edit::edited(config.document(), number, &adoption.edits),
    });
    changes.filter(|change| change.old != change.new).collect()
}
