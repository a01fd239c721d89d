//! The promises of the configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accepted;
mod never_panics;
mod refused;
mod trusted;

use std::path::Path;

use super::{ConfigError, Settings};

/// Every table and every kind of key, with the defaults where there are any.
const FULL: &str = r#"[balancers.lb1]
socket = "/run/haproxy/admin.sock"
master = "/run/haproxy/master.sock"
config = "/etc/haproxy/haproxy.cfg"
addresses = ["10.0.0.5"]
[balancers.lb2]
socket = "tcp:10.0.0.6:9999"

[apps.web]
servers = ["srvs/webA"]
backups = ["srvs/bkpA"]
listen = "127.0.0.1:1000"
unreachable = "abort"
unlisted = "refuse"
put_back = "probed"
hold = "2s"
on_alert = ["logger", "-p", "user.alert", "-t", "pitstop"]

[apps.web.redirect]
check_port = 2000
driver = "auto"
inter = "2s"
fall = 3
rise = 2
check_timeout = "2s"

[apps.web.drain]
timeout = "60s"
on_timeout = "abort"
sticky_grace = "0s"
idle_after = "10s"

[apps.web.service]
systemd = "web.service"
action = "restart"
attempts = 1
timeout = "60s"

[[apps.web.ready]]
http = "http://127.0.0.1:1000/health"
status = [200]
rise = 2
interval = "10ms"
timeout = "60s"

[apps.web.guard]
min_up = 1
min_weight = "0%"
count_backups = false

[apps.web.ramp]
from = "10%"
over = "30s"
"#;

fn parse(text: &str) -> Result<Settings, ConfigError> {
    super::parse(Path::new("/etc/pitstop/pitstop.toml"), text)
}
