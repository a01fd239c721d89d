//! The systemd unit of an app that runs on this host.

use std::net::SocketAddr;

use crate::drain::sockets::Sockets;

/// The unit that all processes belong to that listen there; `None` where nobody listens, or not as one unit's main processes.
pub(super) async fn unit_at(listen: SocketAddr) -> Option<String> {
    let holders = Sockets::new(listen, Vec::new()).holders().await.ok()?;
    let mut units = holders.iter().map(|process| {
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok()?;
        unit_of(&groups).map(str::to_owned)
    });
    let first = units.next()??;
    units.all(|unit| unit.as_ref() == Some(&first)).then_some(first)
}

/// The service whose control group this is (`/proc/PID/cgroup`, cgroups(7)), in the hierarchy that systemd uses: of version 2, or of
/// version 1 by its name.
fn unit_of(groups: &str) -> Option<&str> {
    let is_systemds = |line: &&str| line.starts_with("0::") || line.contains(":name=systemd:");
    groups.lines().filter(is_systemds).find_map(|line| service(line.splitn(3, ':').nth(2)?))
}

/// A group below a service's may be a container's, and a user's services are not the system's: to restart the service would be another
/// thing.
fn service(path: &str) -> Option<&str> {
    let (above, unit) = path.rsplit_once('/')?;
    let is_plain = unit.ends_with(".service") && !above.split('/').any(|group| group.ends_with(".service"));
    is_plain.then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_of_the_system_is_told_from_a_users_a_container_and_a_login() {
        assert_eq!(unit_of("0::/system.slice/web.service\n"), Some("web.service"));
        assert_eq!(unit_of("0::/system.slice/system-web.slice/web@1.service\n"), Some("web@1.service"));
        assert_eq!(unit_of("4:cpu:/\n1:name=systemd:/system.slice/web.service\n"), Some("web.service"));
        assert_eq!(unit_of("9:name=systemd:/\n0::/system.slice/web.service\n"), Some("web.service"));
        assert_eq!(unit_of("0::/user.slice/user-1.slice/user@1.service/app.slice/web.service\n"), None);
        assert_eq!(unit_of("0::/system.slice/docker.service/payload\n"), None);
        assert_eq!(unit_of("0::/user.slice/user-0.slice/session-1.scope\n"), None);
        assert_eq!(unit_of("0::/\n"), None);
    }
}
