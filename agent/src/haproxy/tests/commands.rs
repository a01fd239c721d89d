use super::super::*;
use super::{name, server};

fn stat(proxy: StatScope, kinds: Kinds, server: Option<u32>) -> Command {
    Command::ShowStat { proxy, kinds, server }
}

#[test]
fn every_command_has_the_text_of_the_management_guide() {
    let web = || server("srvs/webA");
    let weight = Weight::try_from(256).unwrap();
    let cases: Vec<(Command, &str)> = vec![
        (Command::ShowInfo, "show info"),
        (stat(StatScope::Proxy(3), Kinds::SERVERS, Some(1)), "show stat 3 4 1"),
        (stat(StatScope::All, Kinds::BACKENDS | Kinds::SERVERS, None), "show stat -1 6 -1"),
        (stat(StatScope::All, Kinds::FRONTENDS, None), "show stat -1 1 -1"),
        (Command::ShowServersState(None), "show servers state"),
        (Command::ShowServersState(Some(name("srvs"))), "show servers state srvs"),
        (Command::ShowServersConn(None), "show servers conn"),
        (Command::ShowServersConn(Some(name("srvs"))), "show servers conn srvs"),
        (Command::ShowSessions, "show sess"),
        (Act::SetState { server: web(), state: AdminAction::Ready }.into(), "set server srvs/webA state ready"),
        (Act::SetState { server: web(), state: AdminAction::Drain }.into(), "set server srvs/webA state drain"),
        (Act::SetState { server: web(), state: AdminAction::Maint }.into(), "set server srvs/webA state maint"),
        (Act::SetWeight { server: web(), weight }.into(), "set server srvs/webA weight 256"),
        (Act::SetHealth { server: web(), health: Health::Up }.into(), "set server srvs/webA health up"),
        (Act::SetHealth { server: web(), health: Health::Stopping }.into(), "set server srvs/webA health stopping"),
        (Act::SetHealth { server: web(), health: Health::Down }.into(), "set server srvs/webA health down"),
        (Act::ShutdownSessions(web()).into(), "shutdown sessions server srvs/webA"),
    ];
    for (command, text) in cases {
        assert_eq!(command.to_string(), text);
    }
}

#[test]
fn a_question_for_a_worker_names_its_pid() {
    let command = MasterCommand::Worker { pid: 4711, command: stat(StatScope::All, Kinds::SERVERS, None) };
    assert_eq!(command.to_string(), "@!4711 show stat -1 4 -1");
    assert_eq!(MasterCommand::ShowProcesses.to_string(), "show proc");
}

#[test]
fn a_weight_ends_at_256() {
    assert_eq!(Weight::try_from(256), Ok(Weight::MAX));
    assert_eq!(Weight::try_from(257), Err(WeightError(257)));
    assert_eq!(Weight::try_from(65_536 + 1), Err(WeightError(65_537)));
    assert_eq!(serde_json::from_str::<Weight>("7").unwrap().get(), 7);
    assert!(serde_json::from_str::<Weight>("300").is_err());
}

#[test]
fn a_second_command_does_not_fit_in_a_name() {
    for text in ["a;b", "a b", "a\nb", "#3", "@1", "a<<", "a\\", "", "é"] {
        assert!(text.parse::<Name>().is_err(), "{text:?}");
    }
    assert!("a/b/c".parse::<ServerId>().is_err());
    assert!("a".parse::<ServerId>().is_err());
}
