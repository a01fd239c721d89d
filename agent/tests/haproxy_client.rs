//! The client against real HAProxy 2.2, 2.6, 3.0 and 3.2, each in a network namespace of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bed;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use pitstop::haproxy::{
    Act, Address, AdminAction, Client, ErrorKind, Kinds, Limits, MasterClient, Name, OperationalState, Process,
    ProcessKind, ServerId, ServerState, Stage, StatScope, Status, Weight,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixStream};

use bed::{Bed, eventually};

/// Makes each promise a test for each version.
macro_rules! on_every_version {
    ($($promise:ident),* $(,)?) => {
        on_every_version!(@ v2_2 "2.2" $($promise),*);
        on_every_version!(@ v2_6 "2.6" $($promise),*);
        on_every_version!(@ v3_0 "3.0" $($promise),*);
        on_every_version!(@ v3_2 "3.2" $($promise),*);
    };
    (@ $module:ident $version:literal $($promise:ident),*) => {
        mod $module {
            $(
                #[test]
                fn $promise() {
                    super::bed::run($version, super::$promise);
                }
            )*
        }
    };
}

on_every_version!(
    drain_maint_and_ready_stand_in_haproxys_own_record,
    a_weight_is_taken_and_shown,
    ready_then_down_leaves_the_word_to_haproxys_checks,
    a_poll_gives_the_rows_asked_for_and_says_which_is_missing,
    an_unknown_server_or_backend_is_named,
    what_the_socket_does_not_allow_is_said,
    refusals_are_recognised_where_the_socket_numbers_its_messages,
    a_tcp_socket_works_like_a_unix_socket,
    a_socket_that_can_not_be_opened_says_why,
    what_a_suspended_haproxy_was_told_still_runs_once_it_goes_on,
    the_opposite_is_not_sent_before_an_act_has_run,
    over_tcp_the_opposite_is_not_sent_before_an_act_has_run,
    an_act_whose_caller_gave_up_is_waited_for_as_well,
    an_act_that_ended_with_its_process_holds_up_nothing,
    a_socket_without_a_free_place_is_busy,
    a_reload_between_two_calls_shows_in_the_pid,
    an_old_workers_sessions_are_seen_through_the_master,
    a_worker_that_is_gone_is_said_to_be_gone_at_once,
    a_full_line_is_answered,
);

fn web() -> ServerId {
    "srvs/webA".parse().unwrap()
}

fn backend() -> Name {
    "srvs".parse().unwrap()
}

fn state(state: AdminAction) -> Act {
    Act::SetState { server: web(), state }
}

async fn record(client: &Client) -> ServerState {
    let (_, states) = client.servers_state(Some(&backend())).await.unwrap();
    states.into_iter().find(|state| state.id == web()).unwrap()
}

async fn drain_maint_and_ready_stand_in_haproxys_own_record(bed: &Bed) {
    let client = bed.client();
    let before = client.info().await.unwrap();
    assert!(record(&client).await.admin.ready());

    let info = client.act(state(AdminAction::Drain)).await.unwrap();
    assert!(info.same_process(&before));
    let drained = record(&client).await.admin;
    assert!(drained.forced_drain() && drained.draining() && !drained.in_maintenance());

    client.act(state(AdminAction::Maint)).await.unwrap();
    let maintained = record(&client).await;
    assert!(maintained.admin.forced_maintenance() && maintained.admin.in_maintenance());
    assert_eq!(maintained.operational, OperationalState::Stopped);
    let poll = client.poll(&[(maintained.backend_id, maintained.server_id)]).await.unwrap();
    assert!(poll.rows[0].is(&web()));
    assert_eq!(poll.rows[0].status, Status::Maint);

    client.act(state(AdminAction::Ready)).await.unwrap();
    let ready = record(&client).await;
    assert!(ready.admin.ready());
    assert_eq!(ready.operational, OperationalState::Running);
}

async fn a_weight_is_taken_and_shown(bed: &Bed) {
    let client = bed.client();
    for weight in [0, 1, 256] {
        let act = Act::SetWeight { server: web(), weight: Weight::try_from(weight).unwrap() };
        client.act(act).await.unwrap();
        let shown = record(&client).await;
        assert_eq!((shown.weight, shown.initial_weight), (weight, 10));
    }
}

async fn ready_then_down_leaves_the_word_to_haproxys_checks(bed: &Bed) {
    let client = bed.client();
    client.act(state(AdminAction::Maint)).await.unwrap();
    client.act_ready_then_down(&web()).await.unwrap();
    eventually("its checks passed", async || {
        let shown = record(&client).await;
        assert!(shown.admin.ready());
        shown.operational == OperationalState::Running
    })
    .await;

    let tracker: ServerId = "srvs/webT".parse().unwrap();
    let error = client.act_ready_then_down(&tracker).await.unwrap_err();
    assert!(
        matches!(&error.kind, ErrorKind::Rejected { answer, .. }
            if answer.raw() == "cannot change health on a tracking server."),
        "{error}"
    );
}

async fn a_poll_gives_the_rows_asked_for_and_says_which_is_missing(bed: &Bed) {
    let client = bed.client();
    // The frontend is called `srvs` as well.
    let (_, states) = client.servers_state(Some(&backend())).await.unwrap();
    let mut ids: Vec<_> = states.iter().map(|state| (state.backend_id, state.server_id)).collect();
    ids.reverse();
    let poll = client.poll(&ids).await.unwrap();
    assert_eq!(poll.rows.len(), states.len());
    for (row, state) in poll.rows.iter().zip(states.iter().rev()) {
        assert!(row.is(&state.id), "{row:?}");
    }
    let error = client.poll(&[ids[0], (ids[0].0, 99)]).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoSuchRow { sid: 99, .. }), "{error}");
    assert_eq!(client.poll(&[]).await.unwrap().rows, []);

    let (_, rows) = client.stats(StatScope::All, Kinds::FRONTENDS | Kinds::BACKENDS).await.unwrap();
    assert!(rows.iter().any(|row| row.server == "FRONTEND"));
    assert!(rows.iter().any(|row| row.server == "BACKEND"));
    let (_, kept) = client.servers_conn(Some(&backend())).await.unwrap();
    assert!(kept.iter().any(|row| row.id == web()));
}

async fn an_unknown_server_or_backend_is_named(bed: &Bed) {
    let client = bed.client();
    let drain = async |id: &str| {
        let act = Act::SetState { server: id.parse().unwrap(), state: AdminAction::Drain };
        client.act(act).await.unwrap_err()
    };
    let error = drain("srvs/none").await;
    assert!(matches!(&error.kind, ErrorKind::NoSuchServer(id) if id.to_string() == "srvs/none"), "{error}");
    let error = drain("none/webA").await;
    assert!(matches!(&error.kind, ErrorKind::NoSuchBackend(name) if name == "none"), "{error}");
    let none = "none".parse().unwrap();
    let error = client.servers_state(Some(&none)).await.unwrap_err();
    assert!(matches!(&error.kind, ErrorKind::NoSuchBackend(name) if name == "none"), "{error}");
    assert!(!error.is_transient() && !error.is_unreachable());
}

async fn what_the_socket_does_not_allow_is_said(bed: &Bed) {
    let client = Client::new(bed.socket("operator.sock"));
    assert!(record(&client).await.admin.ready());
    let error = client.act(state(AdminAction::Drain)).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::PermissionDenied { .. }), "{error}");
    assert!(error.hint().unwrap().contains("`level admin`"));
    assert!(record(&client).await.admin.ready());
}

async fn refusals_are_recognised_where_the_socket_numbers_its_messages(bed: &Bed) {
    let client = Client::new(bed.socket("numbered.sock"));
    client.act(state(AdminAction::Drain)).await.unwrap();
    assert!(record(&client).await.admin.draining());
    let unknown = Act::ShutdownSessions("srvs/none".parse().unwrap());
    let error = client.act(unknown).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoSuchServer(_)), "{error:?}");
}

async fn a_tcp_socket_works_like_a_unix_socket(bed: &Bed) {
    for address in ["tcp:127.0.0.1:9999", "tcp:[::1]:9999"] {
        let client = Client::new(address.parse().unwrap());
        client.act(state(AdminAction::Drain)).await.unwrap();
        assert!(record(&client).await.admin.draining());
        client.act(state(AdminAction::Ready)).await.unwrap();
        assert!(record(&bed.client()).await.admin.ready());
    }
    let nobody = Client::new("tcp:127.0.0.1:9998".parse().unwrap());
    let error = nobody.info().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Refused), "{error}");
}

async fn a_socket_that_can_not_be_opened_says_why(bed: &Bed) {
    let error = Client::new(bed.socket("none.sock")).info().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Missing), "{error}");
    assert!(error.is_unreachable() && !error.is_transient());

    // A listener that ended leaves its file.
    let orphan = bed.path("orphan.sock");
    drop(std::os::unix::net::UnixListener::bind(&orphan).unwrap());
    let error = Client::new(Address::Unix(orphan)).info().await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Refused), "{error}");

    // Of this thread alone, so that the other tests stay root.
    nix::unistd::setfsuid(65_534.into());
    let error = bed.client().act(state(AdminAction::Drain)).await;
    nix::unistd::setfsuid(0.into());
    let error = error.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Forbidden), "{error}");
    assert!(error.hint().unwrap().contains("`mode`"));
}

fn hurried() -> Limits {
    Limits {
        connect: Duration::from_millis(200),
        write: Duration::from_millis(200),
        read: Duration::from_millis(200),
        ..Limits::default()
    }
}

async fn what_a_suspended_haproxy_was_told_still_runs_once_it_goes_on(bed: &Bed) {
    let client = bed.client();
    let hurried = client.clone().with_limits(hurried());
    let worker = client.info().await.unwrap().pid;

    bed.suspend(worker).await;
    let read = hurried.info().await.unwrap_err();
    let act = hurried.act(state(AdminAction::Drain)).await.unwrap_err();
    bed.signal(worker, Signal::SIGCONT);

    assert!(matches!(read.kind, ErrorKind::Timeout(Stage::Read)), "{read}");
    assert!(read.is_transient() && read.is_unreachable());
    assert!(
        matches!(&act.kind, ErrorKind::OutcomeUnknown { line, source }
            if line == "show info;set server srvs/webA state drain"
                && matches!(**source, ErrorKind::Timeout(Stage::Read))),
        "{act}"
    );
    assert!(!act.is_transient());
    // 3.0 forgets the commands of those who have left; we have not.
    client.settle(Duration::from_secs(10)).await.unwrap();
    assert!(record(&client).await.admin.draining());
}

async fn the_opposite_is_not_sent_before_an_act_has_run(bed: &Bed) {
    the_last_word_counts(bed, &bed.client()).await;
}

async fn over_tcp_the_opposite_is_not_sent_before_an_act_has_run(bed: &Bed) {
    for address in ["tcp:127.0.0.1:9999", "tcp:[::1]:9999"] {
        the_last_word_counts(bed, &Client::new(address.parse().unwrap())).await;
    }
}

async fn the_last_word_counts(bed: &Bed, client: &Client) {
    let hurried = client.clone().with_limits(hurried());
    let worker = client.info().await.unwrap().pid;
    bed.suspend(worker).await;
    let unknown = hurried.act(state(AdminAction::Drain)).await.unwrap_err();
    let opposite = hurried.act(state(AdminAction::Ready)).await.unwrap_err();
    let again = hurried.act_ready_then_down(&web()).await.unwrap_err();
    let waited = hurried.settle(Duration::from_millis(1)).await.unwrap_err();
    bed.signal(worker, Signal::SIGCONT);

    assert!(matches!(unknown.kind, ErrorKind::OutcomeUnknown { .. }), "{unknown}");
    for error in [opposite, again, waited] {
        assert!(
            matches!(&error.kind, ErrorKind::Unsettled { line } if line == "show info;set server srvs/webA state drain"),
            "{error}"
        );
        assert!(error.is_unreachable() && !error.is_transient());
        assert!(error.hint().unwrap().contains("show servers state"));
    }
    // What was not sent did not run, and what runs now comes after what was.
    client.settle(Duration::from_secs(10)).await.unwrap();
    assert!(record(client).await.admin.draining());
    client.act(state(AdminAction::Ready)).await.unwrap();
    assert!(record(client).await.admin.ready());
    assert_eq!(client.info().await.unwrap().pid, worker);
}

async fn an_act_whose_caller_gave_up_is_waited_for_as_well(bed: &Bed) {
    let client = bed.client();
    let worker = client.info().await.unwrap().pid;
    bed.suspend(worker).await;
    let given_up = tokio::time::timeout(Duration::from_millis(100), client.act(state(AdminAction::Drain))).await;
    let opposite = client.clone().with_limits(hurried()).act(state(AdminAction::Ready)).await.unwrap_err();
    bed.signal(worker, Signal::SIGCONT);
    assert!(given_up.is_err());
    assert!(matches!(opposite.kind, ErrorKind::Unsettled { .. }), "{opposite}");
    // The act itself waits as well.
    client.act(state(AdminAction::Ready)).await.unwrap();
    assert!(record(&client).await.admin.ready());
}

async fn an_act_that_ended_with_its_process_holds_up_nothing(bed: &Bed) {
    let client = bed.client();
    let hurried = client.clone().with_limits(hurried());
    let worker = client.info().await.unwrap().pid;
    bed.suspend(worker).await;
    let unknown = hurried.act(state(AdminAction::Drain)).await.unwrap_err();
    assert!(matches!(unknown.kind, ErrorKind::OutcomeUnknown { .. }), "{unknown}");
    // The master ends with its worker.
    bed.signal(worker, Signal::SIGKILL);
    client.settle(Duration::from_secs(10)).await.unwrap();
    eventually("nobody listens", async || {
        let error = client.act(state(AdminAction::Ready)).await.unwrap_err();
        assert!(!matches!(error.kind, ErrorKind::Unsettled { .. }), "{error}");
        matches!(error.kind, ErrorKind::Refused)
    })
    .await;
}

#[test]
fn an_act_whose_host_went_away_without_a_word_holds_up_nothing() {
    bed::run("3.2", async |bed: &Bed| {
        let client = Client::new("tcp:127.0.0.1:9999".parse().unwrap()).with_limits(hurried());
        let worker = client.info().await.unwrap().pid;
        bed.suspend(worker).await;
        let unknown = client.act(state(AdminAction::Drain)).await.unwrap_err();
        assert!(matches!(unknown.kind, ErrorKind::OutcomeUnknown { .. }), "{unknown}");
        let drop = "iptables -w 5 -A INPUT -p tcp --dport 9999 -j DROP";
        let dropped = std::process::Command::new("sh").args(["-c", drop]).status().unwrap();
        assert!(dropped.success());
        client.settle(Duration::from_secs(60)).await.unwrap();
        bed.signal(worker, Signal::SIGCONT);
    });
}

async fn a_socket_without_a_free_place_is_busy(bed: &Bed) {
    let client = bed.client();
    let worker = client.info().await.unwrap().pid;
    bed.suspend(worker).await;
    let mut held = Vec::new();
    let full = loop {
        match UnixStream::connect(bed.path("admin.sock")).await {
            Ok(stream) if held.len() < 20_000 => held.push(stream),
            Ok(_) => break None,
            Err(error) => break Some(error),
        }
    };
    let started = Instant::now();
    let error = client.clone().with_limits(hurried()).info().await;
    let took = started.elapsed();
    bed.signal(worker, Signal::SIGCONT);

    assert!(full.is_some(), "{} connections fit", held.len());
    let error = error.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Busy), "{error}");
    assert!(error.is_transient());
    assert!(took < Duration::from_secs(1), "{took:?}");
    drop(held);
    // Retried within the deadline: a place becomes free in time.
    client.info().await.unwrap();
}

/// Reloads, and returns the pid of the new worker once the socket leads to it.
async fn reload(bed: &Bed, client: &Client, old: u32) -> u32 {
    bed.signal(bed.master(), Signal::SIGUSR2);
    let mut new = old;
    eventually("the new worker answers", async || {
        match client.info().await {
            Ok(info) => new = info.pid,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        new != old
    })
    .await;
    new
}

async fn a_reload_between_two_calls_shows_in_the_pid(bed: &Bed) {
    let client = bed.client();
    let before = client.act(state(AdminAction::Drain)).await.unwrap();
    let new = reload(bed, &client, before.pid).await;
    let (info, states) = client.servers_state(Some(&backend())).await.unwrap();
    assert_eq!(info.pid, new);
    assert!(!info.same_process(&before));
    let forgotten = states.iter().find(|state| state.id == web()).unwrap();
    assert!(forgotten.admin.ready());
}

/// Holds a request at `webA`, whose real app here takes connections and says nothing.
async fn held_request() -> (TcpListener, TcpStream) {
    let app = TcpListener::bind("127.0.0.1:1001").await.unwrap();
    let mut client = TcpStream::connect("127.0.0.1:8081").await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: held\r\n\r\n").await.unwrap();
    (app, client)
}

/// The master starts itself anew at a reload, and refuses connections for a moment.
async fn listed(master: &MasterClient) -> Vec<Process> {
    let mut processes = Vec::new();
    eventually("the master answers", async || {
        match master.show_proc().await {
            Ok(seen) => processes = seen,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        !processes.is_empty()
    })
    .await;
    processes
}

async fn an_old_workers_sessions_are_seen_through_the_master(bed: &Bed) {
    let client = bed.client();
    let master = MasterClient::new(bed.socket("master.sock"));
    let silent: ServerId = "held/silent".parse().unwrap();
    let held = held_request().await;
    eventually("the request is at the server", async || {
        let (_, rows) = client.stats(StatScope::All, Kinds::SERVERS).await.unwrap();
        rows.iter().any(|row| row.is(&silent) && row.scur == 1)
    })
    .await;
    let old = client.info().await.unwrap().pid;
    let new = reload(bed, &client, old).await;

    let processes = listed(&master).await;
    let kind = |pid| {
        let process = processes.iter().find(|process| process.pid == pid);
        process.map(|process| process.kind)
    };
    assert_eq!(kind(bed.master()), Some(ProcessKind::Master));
    assert_eq!(kind(new), Some(ProcessKind::Worker));
    assert_eq!(kind(old), Some(ProcessKind::OldWorker));

    let servers = master.worker_servers(old, &silent.backend).await.unwrap();
    assert_eq!(servers.iter().map(|server| &server.id).collect::<Vec<_>>(), [&silent]);
    let id = (servers[0].backend_id, servers[0].server_id);
    let rows = master.worker_rows(old, &[id, (id.0, 99), id]).await.unwrap();
    let in_rows: u64 = rows.iter().filter(|row| row.is(&silent)).map(|row| row.scur).sum::<u64>() / 2;
    assert_eq!(in_rows, u64::from(bed.version() != "2.2"));
    let sessions = master.worker_sessions(old).await.unwrap();
    let at_silent = sessions.iter().filter(|session| session.server.as_ref() == Some(&silent));
    assert_eq!(at_silent.count(), 1);

    let none = "none".parse().unwrap();
    let error = master.worker_servers(old, &none).await.unwrap_err();
    assert!(matches!(&error.kind, ErrorKind::NoSuchBackend(name) if name == "none"), "{error}");

    drop(held);
    eventually("the old worker ended", async || {
        let processes = listed(&master).await;
        processes.iter().all(|process| process.pid != old)
    })
    .await;
    let error = master.worker_sessions(old).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoSuchWorker(pid) if pid == old), "{error}");
}

async fn a_worker_that_is_gone_is_said_to_be_gone_at_once(bed: &Bed) {
    let master = MasterClient::new(bed.socket("master.sock"));
    let started = Instant::now();
    let error = master.worker_rows(999_999, &[(1, 1), (1, 2)]).await;
    assert!(started.elapsed() < Duration::from_secs(1));
    let error = error.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::NoSuchWorker(999_999)), "{error}");
}

async fn a_full_line_is_answered(bed: &Bed) {
    let client = bed.client();
    let web = record(&client).await;
    let id = (web.backend_id, web.server_id);
    let poll = client.poll(&[id; 900]).await.unwrap();
    assert_eq!(poll.rows.len(), 900);
    let error = client.poll(&[id; 2000]).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::LineTooLong { .. }), "{error}");
}
