use super::super::*;
use super::*;

fn table(text: &str) -> &str {
    text.strip_suffix('\n').unwrap()
}

#[test]
fn info_tells_version_process_and_whether_it_stops() {
    for (version, text) in INFO {
        let info = Info::parse(text).unwrap();
        let (major, minor) = version.split_once('.').unwrap();
        assert_eq!(info.release, Some((major.parse().unwrap(), minor.parse().unwrap())));
        assert!(info.version.starts_with(version));
        assert!(info.pid > 1);
        assert!((1..=3).contains(&info.uptime_sec));
        assert!(!info.stopping);
        assert_eq!(info.node.as_deref(), Some("lb1"));
        assert_eq!(info.start_time_sec.is_some(), *version != "2.2");
    }
}

#[test]
fn info_needs_no_more_than_a_pid() {
    let info = Info::parse("Pid: 7\nStopping: 1\nNew_in_9.9: x: y\nUptime_sec: -\n").unwrap();
    assert_eq!((info.pid, info.stopping, info.uptime_sec), (7, true, 0));
    assert_eq!((info.release, info.version.as_str()), (None, ""));
    assert_eq!(Info::parse("Version: 2.6.1\n"), None);
    assert_eq!(Info::parse("Pid: x\n"), None);
}

#[test]
fn a_version_is_free_text_after_major_and_minor() {
    let release = |version: &str| Info::parse(&format!("Pid: 1\nVersion: {version}\n")).unwrap().release;
    assert_eq!(release("2.6.12-1+deb12u4"), Some((2, 6)));
    assert_eq!(release("3.3-dev8-67df65-3"), Some((3, 3)));
    assert_eq!(release("4.10"), Some((4, 10)));
    assert_eq!(release("next"), None);
}

#[test]
fn counters_and_status_are_found_by_name_in_every_version() {
    for (version, text) in STAT {
        let rows = StatRow::parse_all(table(text)).unwrap();
        let names: Vec<_> = rows.iter().map(|row| row.server.as_str()).collect();
        let expected = ["FRONTEND", "webA", "webB", "bkpA", "webC", "webT", "webG", "BACKEND", "BACKEND"];
        assert_eq!(names, expected, "{version}");
        let row = |name: &str| rows.iter().find(|row| row.server == name).unwrap();

        let web = row("webA");
        assert!(web.is(&server("srvs/webA")));
        assert_eq!((web.iid, web.sid, web.kind), (3, 1, StatKind::Server));
        assert_eq!((web.scur, web.qcur, web.stot), (0, 0, 1));
        assert_eq!((web.status.clone(), web.weight), (Status::Up(None), Some(10)));
        assert_eq!(web.uweight, (*version != "2.2").then_some(10));
        assert_eq!((web.act, web.bck), (1, 0));
        assert_eq!((web.addr.as_deref(), web.cookie.as_deref()), (Some("127.0.0.1:1000"), Some("a")));
        assert_eq!((web.check_health, web.check_rise, web.check_fall), (Some(4), Some(2), Some(3)));
        assert!(web.check_status.ends_with("L7OK"), "{}", web.check_status);

        assert!(matches!(row("webB").status, Status::Drain(None)));
        assert_eq!((row("bkpA").status.clone(), row("bkpA").bck), (Status::Maint, 1));
        assert_eq!(row("bkpA").check_status, "");
        assert_eq!(row("webT").tracked.as_deref(), Some("srvs/webA"));
        assert!(row("webG").agent_status.contains("L7"));

        let frontend = row("FRONTEND");
        assert_eq!((frontend.kind, frontend.status.clone()), (StatKind::Frontend, Status::Open));
        assert!(!frontend.is(&server("srvs/FRONTEND")));
        let backend = row("BACKEND");
        assert_eq!((backend.kind, backend.act, backend.bck), (StatKind::Backend, 2, 0));
        assert_eq!(backend.algo.as_deref(), Some("roundrobin"));
        assert_eq!((backend.mode.as_deref(), backend.cookie.as_deref()), (Some("http"), Some("SRV")));
    }
}

#[test]
fn a_cell_may_hold_commas_quotes_and_lines() {
    let text = "# pxname,svname,scur,status,iid,sid,type,last_chk,\n\
                be,s1,4,UP,3,1,2,\"via \"\"x\"\", then\n\nmore\",\n\
                be,s2,5,DOWN,3,2,2,,\n";
    let rows = StatRow::parse_all(text).unwrap();
    assert_eq!(rows[0].last_check.as_deref(), Some("via \"x\", then\n\nmore"));
    assert_eq!((rows[0].scur, rows[1].scur), (4, 5));
    assert_eq!(rows[1].last_check, None);
}

#[test]
fn what_is_in_flight_is_never_guessed() {
    let row = |scur: &str, qcur: &str| {
        StatRow::parse_all(&format!("# pxname,svname,qcur,scur,iid,sid,type,\nbe,s1,{qcur},{scur},3,1,2,\n"))
    };
    assert_eq!(row("4", "1").unwrap()[0].qcur, 1);
    assert_eq!(row("", "1"), None);
    assert_eq!(row("many", "1"), None);
    assert_eq!(row("4", "many"), None);
    assert_eq!(StatRow::parse_all("# pxname,svname,iid,sid,type,\nbe,s1,3,1,2,\n"), None);
}

#[test]
fn servers_state_tells_what_was_asked_and_what_is() {
    for (version, text) in SERVERS_STATE {
        let states = ServerState::parse_all(table(text)).unwrap();
        let state = |id: &str| states.iter().find(|state| state.id == server(id)).unwrap();

        let web = state("srvs/webA");
        assert_eq!((web.backend_id, web.server_id), (3, 1));
        assert_eq!((web.address, web.port), (Some([127, 0, 0, 1].into()), Some(1000)));
        assert_eq!((web.weight, web.initial_weight), (10, 10));
        assert_eq!(web.operational, OperationalState::Running);
        assert!(web.admin.ready());
        assert!(web.check.configured() && web.check.enabled() && !web.check.paused());
        assert!(!web.agent.enabled());
        assert_eq!(web.check_port, (*version != "2.2").then_some(1000), "{version}");
        assert_eq!((web.fqdn.as_deref(), web.srv_record.as_deref()), (None, None));

        let drained = state("srvs/webB");
        assert!(drained.admin.draining() && drained.admin.forced_drain());
        assert!(!drained.admin.in_maintenance());
        assert_eq!(drained.operational, OperationalState::Running);

        let backup = state("srvs/bkpA");
        assert!(backup.admin.in_maintenance() && backup.admin.forced_maintenance());
        assert!(backup.check.paused());

        let disabled = state("srvs/webC");
        assert!(disabled.admin.in_maintenance() && disabled.admin.configured_disabled());
        assert!(!disabled.check.configured());

        assert!(state("srvs/webG").agent.enabled());
        assert_eq!(state("srvs/webG").operational, OperationalState::Stopped);
    }
}

#[test]
fn disabled_in_the_configuration_is_no_maintenance_once_it_was_made_ready() {
    assert!(AdminState(5).in_maintenance());
    assert!(AdminState(4).ready());
    assert!(AdminState(12).draining() && !AdminState(12).in_maintenance());
    assert!(AdminState(0x40).ready());
    assert!(AdminState(0x20).in_maintenance() && AdminState(0x20).unresolved());
    assert!(AdminState(0x02).in_maintenance() && AdminState(0x02).inherited_maintenance());
    assert!(AdminState(0x10).draining() && AdminState(0x10).inherited_drain());
}

#[test]
fn a_servers_state_row_that_lacks_its_admin_state_is_no_answer() {
    let header = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n";
    assert_eq!(ServerState::parse_all(&format!("{header}3 srvs 1 webA 127.0.0.1 2\n")), None);
    assert_eq!(ServerState::parse_all("2\n# be_id\n"), None);
    assert_eq!(ServerState::parse_all(header), Some(vec![]));
}

#[test]
fn haproxys_internal_servers_are_left_out() {
    let header = SERVERS_STATE[0].1.lines().nth(1).unwrap();
    let row = "3 <HTTPCLIENT> 1 <HTTPSCLIENT> - 2 0 1 1 0 1 0 0 0 0 0 0 - 0 -";
    assert_eq!(ServerState::parse_all(&format!("1\n{header}\n{row}\n")), Some(vec![]));
}

#[test]
fn kept_connections_are_counted() {
    for (version, text) in SERVERS_CONN {
        let rows = ServerConnections::parse_all(table(text)).unwrap();
        let web = rows.iter().find(|row| row.id == server("srvs/webA")).unwrap();
        assert_eq!((web.used, web.idle_safe, web.served), (0, 0, None), "{version}");
    }
    let newer = "# bkname/svname bkid/svid addr port - purge_delay served used_cur used_max need_est unsafe_nb safe_nb \
                 idle_lim idle_cur idle_sess idle_per_thr[2]\nbe/s 3/1 127.0.0.1 80 - 5000 2 3 4 5 6 7 -1 8 9 1 1\n";
    let row = &ServerConnections::parse_all(newer).unwrap()[0];
    assert_eq!((row.used, row.idle_unsafe, row.idle_safe, row.idle), (3, 6, 7, 8));
    assert_eq!(row.served, Some(2));
}

#[test]
fn the_master_lists_itself_its_worker_and_the_old_ones() {
    for (version, text) in PROCESSES {
        let processes = Process::parse_all(text).unwrap();
        let kinds: Vec<_> = processes.iter().map(|process| process.kind).collect();
        let expected = [ProcessKind::Master, ProcessKind::Worker, ProcessKind::OldWorker];
        assert_eq!(kinds, expected, "{version}");
        let reloads: Vec<_> = processes.iter().map(|process| process.reloads).collect();
        assert_eq!(reloads, [1, 0, 1], "{version}");
        assert_eq!(processes[1].uptime, "0d00h00m01s");
        assert!(processes.iter().all(|process| process.version.starts_with(version)));
    }
}

#[test]
fn an_old_workers_sessions_are_seen_in_one_way_or_the_other() {
    for ((version, stat), (_, sessions)) in OLD_STAT.iter().zip(OLD_SESSIONS) {
        let in_rows: u64 = StatRow::parse_all(table(stat)).unwrap().iter().map(|row| row.scur).sum();
        assert_eq!(in_rows, u64::from(*version != "2.2"), "{version}");
        let on_web =
            Session::parse_all(sessions).iter().filter(|session| session.server == Some(server("srvs/webA"))).count();
        assert_eq!(on_web, 1, "{version}");
    }
}

#[test]
fn every_status_text_is_known_and_comes_back_as_it_was() {
    for text in [
        "UP",
        "UP 1/3",
        "UP -1/3",
        "DOWN",
        "DOWN 1/2",
        "DOWN (agent)",
        "NOLB",
        "NOLB 2/3",
        "DRAIN",
        "DRAIN 0/3",
        "DRAIN (agent)",
        "no check",
        "MAINT",
        "MAINT (via be/srv)",
        "MAINT (resolution)",
        "OPEN",
        "FULL",
        "STOP",
    ] {
        let status = Status::from(text);
        assert!(!matches!(status, Status::Unknown(_)), "{text}");
        assert_eq!(status.to_string(), text);
    }
    assert_eq!(Status::from("UP 1/3"), Status::Up(Some(Progress { at: 1, of: 3 })));
    assert_eq!(Status::from("MAINT (via be/srv)"), Status::MaintVia(server("be/srv")));
}

#[test]
fn an_unknown_status_is_kept_as_it_came() {
    for text in ["", "UP ", "UP +1/3", "UP 1/", "up", "MAINT (via )", "MAINT (via a;b)", "FULL 1/2"] {
        assert_eq!(Status::from(text), Status::Unknown(text.to_owned()));
        assert_eq!(Status::from(text).to_string(), text);
    }
}
