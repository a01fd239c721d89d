use super::super::answer::Answer;
use super::super::*;
use super::*;

fn row(iid: u32, sid: u32) -> Command {
    Command::ShowStat { proxy: StatScope::Proxy(iid), kinds: Kinds::SERVERS, server: Some(sid) }
}

fn drain(id: &str) -> Act {
    Act::SetState { server: server(id), state: AdminAction::Drain }
}

const HEAD: &str = "Version: 3.0.1\nPid: 7\nStopping: 0\n\n";

/// What `show info;set server be/s1 state drain` gives when this follows the info.
fn acted(words: &str) -> Result<(), ErrorKind> {
    let text = format!("{HEAD}{words}");
    let mut answer = Answer::new(&text);
    answer.info()?;
    answer.acts(&[drain("be/s1")])
}

#[test]
fn a_line_of_several_commands_is_taken_apart_front_to_back() {
    for (version, text) in LINE {
        let mut answer = Answer::new(text);
        assert!(answer.info().unwrap().version.starts_with(version));
        let web = answer.stat(&row(3, 1)).unwrap();
        assert!(web.len() == 1 && web[0].is(&server("srvs/webA")));
        let backup = answer.stat(&row(3, 3)).unwrap();
        assert!(backup.len() == 1 && backup[0].is(&server("srvs/bkpA")));
        let states = answer.servers_state(&Command::ShowServersState(Some(name("srvs")))).unwrap();
        assert_eq!(states.len(), 6);
        answer.acts(&[drain("srvs/webB")]).unwrap();
    }
}

#[test]
fn an_empty_line_inside_a_cell_does_not_end_the_table() {
    let table = "# pxname,svname,scur,iid,sid,type,last_chk,\nbe,s1,0,3,1,2,\"a\n\nb \"\"c\"\"\",\n\n";
    let text = format!("{HEAD}{table}{table}\n");
    let mut answer = Answer::new(&text);
    answer.info().unwrap();
    assert_eq!(answer.stat(&row(3, 1)).unwrap()[0].last_check.as_deref(), Some("a\n\nb \"c\""));
    assert_eq!(answer.stat(&row(3, 1)).unwrap().len(), 1);
    answer.acts(&[drain("be/s1")]).unwrap();
}

#[test]
fn only_silence_is_success() {
    assert!(acted("\n").is_ok());
    assert!(matches!(acted(""), Err(ErrorKind::Truncated)));
    assert!(matches!(acted("\n\n"), Err(ErrorKind::Truncated)));
    assert!(matches!(acted("Done.\n\n"), Err(ErrorKind::Rejected { .. })));
}

#[test]
fn two_acts_are_silent_twice() {
    let acts = [drain("be/s1"), drain("be/s1")];
    let after = |words: &'static str| Answer::new(words).acts(&acts);
    assert!(after("\n\n").is_ok());
    assert!(matches!(after("\n"), Err(ErrorKind::Truncated)));
    let second = after("\ncannot change health on a tracking server.\n\n").unwrap_err();
    assert!(matches!(&second, ErrorKind::Rejected { answer, .. }
        if answer.raw() == "cannot change health on a tracking server."));
}

#[test]
fn every_refusal_is_recognised() {
    assert!(matches!(acted("No such server.\n\n"), Err(ErrorKind::NoSuchServer(id)) if id == server("be/s1")));
    assert!(matches!(acted("No such backend.\n\n"), Err(ErrorKind::NoSuchBackend(be)) if be == "be"));
    assert!(matches!(acted("Proxy is disabled.\n\n"), Err(ErrorKind::ProxyDisabled)));
    assert!(matches!(acted("Permission denied\n\n"), Err(ErrorKind::PermissionDenied { .. })));
    for unknown in [
        "Unknown command. Please enter one of the following commands only :\n  help\n\n",
        "Unknown command, but maybe one of the following ones is a better match:\n  help\n\n",
        "Unknown command: 'set', but maybe one of the following ones is a better match:\n  help\n\n",
    ] {
        assert!(matches!(acted(unknown), Err(ErrorKind::UnknownCommand { .. })));
    }
    // 2.8 and before swallow the empty line after some messages.
    for (words, shown) in [
        ("Empty weight string empty or preceded by garbage\n", "Empty weight string empty or preceded by garbage"),
        ("health checks are not enabled on this server\n", "health checks are not enabled on this server"),
    ] {
        assert!(matches!(acted(words), Err(ErrorKind::Rejected { answer, .. }) if answer.raw() == shown));
    }
}

#[test]
fn a_refusal_is_recognised_behind_its_severity() {
    assert!(matches!(acted("[3]: No such server.\n\n"), Err(ErrorKind::NoSuchServer(_))));
    assert!(matches!(acted("[3]: Permission denied\n\n"), Err(ErrorKind::PermissionDenied { .. })));
    assert!(matches!(acted("[info]: Unknown command, but\n\n"), Err(ErrorKind::UnknownCommand { .. })));
}

#[test]
fn a_table_that_was_refused_says_why() {
    let states = |text: &str| Answer::new(text).servers_state(&Command::ShowServersState(Some(name("srvs"))));
    assert!(matches!(states("Can't find backend.\n\n"), Err(ErrorKind::NoSuchBackend(be)) if be == "srvs"));
    assert!(matches!(states("Permission denied\n\n"), Err(ErrorKind::PermissionDenied { .. })));
    assert!(matches!(states("1\n# be_id"), Err(ErrorKind::Truncated)));
    assert!(matches!(states(""), Err(ErrorKind::Truncated)));
    assert!(matches!(states("1\nx\n\n"), Err(ErrorKind::Malformed { .. })));
}

#[test]
fn a_worker_that_ended_is_named() {
    let command = MasterCommand::Worker { pid: 99, command: Command::ShowSessions };
    let text = "Can't find the target PID matching the prefix '@!99'\n";
    let error = Answer::new(text).sessions(&command).unwrap_err();
    assert!(matches!(error, ErrorKind::NoSuchWorker(99)));
}

#[test]
fn an_answer_from_a_stopping_process_is_no_answer() {
    let text = HEAD.replace("Stopping: 0", "Stopping: 1");
    assert!(matches!(Answer::new(&text).info(), Err(ErrorKind::Stopping { pid: 7 })));
}
