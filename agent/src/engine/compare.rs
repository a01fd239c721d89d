//! Whether `pitstop.toml`, the balancer's files and the HAProxy that runs mean the same by the app's entries.

use std::fmt;
use std::net::SocketAddr;

use haproxy_cfg::{Config, Effective, Place, Server};

use super::Engine;
use super::configs::Configs;
use super::fault::chain;
use super::preflight::Finding;
use crate::config::settings::App;
use crate::haproxy::{ServerState, StatRow};
use crate::rotation::RotationError;
use crate::rotation::admin::Admin;

impl Engine<'_> {
    /// Compares all three on every balancer that was reached.
    pub(super) async fn compare(&mut self, configs: &Configs) -> Vec<Finding> {
        let mut findings = Vec::new();
        for mut balancer in std::mem::take(&mut self.balancers) {
            match look(&mut balancer).await {
                Ok(entries) => {
                    let live = Live { balancer: balancer.name(), app: self.app, entries };
                    findings.extend(live.against_settings());
                    if let Some(config) = configs.of(balancer.name()) {
                        findings.extend(live.against_files(config));
                    }
                }
                Err(error) => findings.push(Finding::warning(chain(&error), error.hint().unwrap_or_default())),
            }
            self.balancers.push(balancer);
        }
        findings
    }
}

/// Each of the app's entries as it runs.
async fn look(balancer: &mut Admin) -> Result<Vec<(ServerState, StatRow)>, RotationError> {
    let states = balancer.states().await?;
    let rows = balancer.rows_of_backends(&states).await?.concat();
    let row = |state: ServerState| {
        let row = rows.iter().find(|row| row.is(&state.id))?.clone();
        Some((state, row))
    };
    Ok(states.into_iter().filter_map(row).collect())
}

/// The app's entries on one balancer, as they run.
struct Live<'a> {
    balancer: &'a str,
    app: &'a App,
    entries: Vec<(ServerState, StatRow)>,
}

impl Live<'_> {
    /// What `pitstop.toml` says of them.
    fn against_settings(&self) -> Vec<Finding> {
        let all = self
            .entries
            .iter()
            .flat_map(|(state, row)| [self.role(state, row), self.port(state), self.check_port(state)]);
        all.flatten().collect()
    }

    /// A main entry is taken out first, and a backup entry serves those who stick meanwhile.
    fn role(&self, state: &ServerState, row: &StatRow) -> Option<Finding> {
        let is_backup = row.bck > 0;
        let (is, list, other) = match (is_backup, self.app.backups.contains(&state.id)) {
            (true, false) => ("a backup entry", "servers", "backups"),
            (false, true) => ("no backup entry", "backups", "servers"),
            _ => return None,
        };
        let what = format!("balancer {}: {} is {is}, and listed as one of `{list}`", self.balancer, state.id);
        Some(Finding::warning(what, format!("list it as one of `{other}` of [apps.{}]", self.app.name)))
    }

    /// The kernel is asked about connections to `listen`: another port would always be quiet.
    fn port(&self, state: &ServerState) -> Option<Finding> {
        let (port, listen) = (state.port?, self.app.listen);
        if port == listen.port() {
            return None;
        }
        let what = format!(
            "balancer {}: {} sends to port {port}, and {} listens on {listen}",
            self.balancer, state.id, self.app.name
        );
        let hint = format!(
            "correct `listen` of [apps.{}], or its `servers`; where something on this host maps one port to the other, leave it",
            self.app.name
        );
        Some(Finding::warning(what, hint))
    }

    fn check_port(&self, state: &ServerState) -> Option<Finding> {
        let redirected = self.app.redirect.as_ref()?.check_port;
        let checked = state.check_port.filter(|_| state.check.configured())?;
        if checked == redirected || !self.app.servers.contains(&state.id) {
            return None;
        }
        let what = format!(
            "balancer {}: {} is checked on port {checked}, and the redirect is of port {redirected}: removing it takes nobody out",
            self.balancer, state.id
        );
        let hint =
            format!("set `redirect.check_port = {checked}`, or write `port {redirected}` in haproxy.cfg and reload it");
        Some(Finding::warning(what, hint))
    }

    /// What the files say of them: another answer means that HAProxy runs with something else.
    fn against_files(&self, config: &Config) -> Vec<Finding> {
        let mut differences = Vec::new();
        for (state, row) in &self.entries {
            let id = &state.id;
            match config.server(id.backend.as_str(), id.server.as_str()) {
                Some(server) => differences.extend(Entry { config, server, state, row }.differences()),
                None => {
                    let files: Vec<_> = config.document().files().iter().map(haproxy_cfg::File::name).collect();
                    differences.push(format!("{id} runs, and is not in {}", files.join(", ")));
                }
            }
        }
        let hint = format!(
            "reload HAProxy if the file was changed; else name as `config` in [balancers.{}] all files that it is started with",
            self.balancer
        );
        let finding = |what| Finding::warning(format!("balancer {}: {what}", self.balancer), hint.as_str());
        differences.into_iter().map(finding).collect()
    }
}

/// One entry as it is written, and as it runs.
struct Entry<'a> {
    config: &'a Config,
    server: Server,
    state: &'a ServerState,
    row: &'a StatRow,
}

/// What a file says, and where.
type Written<T> = Option<(T, Option<Place>)>;

impl Entry<'_> {
    /// One sentence for each setting that runs otherwise than it is written.
    fn differences(&self) -> Vec<String> {
        let (server, state) = (&self.server, self.state);
        let settings = &server.settings;
        let address = written(&server.address).and_then(|(address, place)| Some((address.parse().ok()?, place)));
        let runs_at = state.address.zip(state.port).map(SocketAddr::from);
        let is_checked = settings.check.is(&true);
        let check_port = written(&server.check_port).filter(|_| is_checked);
        let check_port = check_port.and_then(|(port, place)| Some((port?, place)));
        let cookie = written(&settings.cookie).and_then(|(cookie, place)| Some((cookie?, place)));
        let all = [
            self.differs("address", address, runs_at),
            self.differs("check port", check_port, state.check_port),
            self.differs("weight", written(&settings.weight), Some(state.initial_weight)),
            self.differs("cookie", cookie, self.row.cookie.clone()),
            self.differs("`backup`", written(&settings.backup), Some(self.row.bck > 0)),
        ];
        all.into_iter().flatten().collect()
    }

    fn differs<T: PartialEq + fmt::Display>(&self, of: &str, written: Written<T>, runs: Option<T>) -> Option<String> {
        let ((written, place), runs) = (written?, runs?);
        if written == runs {
            return None;
        }
        let place = self.config.document().describe(place.unwrap_or(self.server.place));
        Some(format!("{} runs with {of} {runs}, and {place} says {written}", self.state.id))
    }
}

fn written<T: Clone>(setting: &Effective<T>) -> Written<T> {
    Some((setting.known()?.clone(), setting.place()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config;

    const STATES: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
        srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id \
        srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";

    fn live<'a>(app: &'a App, check_port: u16, port: u16, bck: u8) -> Live<'a> {
        let states =
            format!("{STATES}3 srvs 1 webA 127.0.0.1 2 0 5 5 9 15 3 4 6 0 0 0 - {port} - 0 {check_port} - - 0\n");
        let rows = format!(
            "# pxname,svname,iid,sid,type,scur,qcur,status,weight,act,bck,cookie\nsrvs,webA,3,1,2,0,0,UP,5,{},{bck},A\n",
            1 - bck
        );
        let state = ServerState::parse_all(&states).unwrap().remove(0);
        let row = StatRow::parse_all(&rows).unwrap().remove(0);
        Live { balancer: "lb1", app, entries: vec![(state, row)] }
    }

    fn app() -> App {
        let text = r#"
            [balancers.lb1]
            socket = "/run/haproxy/admin.sock"
            [apps.web]
            servers = ["srvs/webA"]
            listen = "127.0.0.1:1000"
            redirect.check_port = 2000
            service = { systemd = "web.service" }
            ready = [{ tcp = "127.0.0.1:1000" }]
        "#;
        config::parse("pitstop.toml".as_ref(), text).unwrap().app("web").unwrap().clone()
    }

    fn whats(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn what_means_the_same_everywhere_is_passed_in_silence() {
        let app = app();
        let live = live(&app, 2000, 1000, 0);
        assert_eq!(live.against_settings(), []);
        let unknown = " server webA \"$HOST:1000\" weight \"$W\" cookie A check port \"$PORT\"\n";
        for line in [" server webA 127.0.0.1:1000 weight 5 cookie A check port 2000\n", unknown] {
            let config = Config::parse("haproxy.cfg", &format!("backend srvs\n{line}")).unwrap();
            assert_eq!(live.against_files(&config), []);
        }
    }

    #[test]
    fn each_setting_that_runs_otherwise_than_written_is_named_with_its_line() {
        let app = app();
        let live = live(&app, 2000, 1000, 0);
        let text =
            "backend srvs\n default-server weight 6\n server webA 127.0.0.2:1000 cookie B check port 2001 backup\n";
        let found = whats(live.against_files(&Config::parse("haproxy.cfg", text).unwrap()));
        assert_eq!(
            found,
            [
                "balancer lb1: srvs/webA runs with address 127.0.0.1:1000, and haproxy.cfg:3 says 127.0.0.2:1000",
                "balancer lb1: srvs/webA runs with check port 2000, and haproxy.cfg:3 says 2001",
                "balancer lb1: srvs/webA runs with weight 5, and haproxy.cfg:2 says 6",
                "balancer lb1: srvs/webA runs with cookie A, and haproxy.cfg:3 says B",
                "balancer lb1: srvs/webA runs with `backup` false, and haproxy.cfg:3 says true",
            ]
        );
        let found = whats(live.against_files(&Config::parse("haproxy.cfg", "backend srvs\n").unwrap()));
        assert_eq!(found, ["balancer lb1: srvs/webA runs, and is not in haproxy.cfg"]);
    }

    #[test]
    fn settings_that_mean_another_port_or_another_kind_of_entry_are_named() {
        let app = app();
        let found = whats(live(&app, 0, 1001, 1).against_settings());
        assert_eq!(
            found,
            [
                "balancer lb1: srvs/webA is a backup entry, and listed as one of `servers`",
                "balancer lb1: srvs/webA sends to port 1001, and web listens on 127.0.0.1:1000",
                "balancer lb1: srvs/webA is checked on port 1001, and the redirect is of port 2000: removing it takes nobody out",
            ]
        );
    }
}
