use proptest::prelude::*;
use proptest::sample::select;

use super::super::answer::Answer;
use super::super::codec::line;
use super::super::*;
use super::*;

/// Reads the text in every way there is; none may panic.
fn read_in_every_way(text: &str) {
    let _ = Info::parse(text);
    let _ = StatRow::parse_all(text);
    let _ = ServerState::parse_all(text);
    let _ = ServerConnections::parse_all(text);
    let _ = Process::parse_all(text);
    let _ = Session::parse_all(text);
    let _ = Text::from(text).to_string();
    let command = Command::ShowServersState(Some(name("be")));
    let act = Act::ShutdownSessions(server("be/s1"));
    let mut answer = Answer::new(text);
    let _ = answer.info();
    let _ = answer.stat(&command);
    let _ = answer.servers_state(&command);
    let _ = answer.acts(std::slice::from_ref(&act));
    let _ = Answer::new(text).stat(&command);
    let _ = Answer::new(text).servers_state(&command);
    let _ = Answer::new(text).servers_conn(&command);
    let _ = Answer::new(text).sessions(&command);
    let _ = Answer::new(text).processes();
    let _ = Answer::new(text).acts(&[act]);
}

fn a_recorded_answer() -> impl Strategy<Value = &'static str> {
    let all = [INFO, STAT, SERVERS_STATE, SERVERS_CONN, LINE, PROCESSES, OLD_STAT, OLD_SESSIONS];
    select(all.concat()).prop_map(|(_, text)| text)
}

fn a_name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9_.:-]{1,40}".prop_map(|text| text.parse().unwrap())
}

fn a_server() -> impl Strategy<Value = ServerId> {
    (a_name(), a_name()).prop_map(|(backend, server)| ServerId { backend, server })
}

fn a_command() -> impl Strategy<Value = Command> {
    let kinds = select(vec![Kinds::FRONTENDS, Kinds::BACKENDS, Kinds::SERVERS]);
    let state = select(vec![AdminAction::Ready, AdminAction::Drain, AdminAction::Maint]);
    let health = select(vec![Health::Up, Health::Stopping, Health::Down]);
    prop_oneof![
        Just(Command::ShowInfo),
        Just(Command::ShowSessions),
        proptest::option::of(a_name()).prop_map(Command::ShowServersState),
        proptest::option::of(a_name()).prop_map(Command::ShowServersConn),
        (any::<u32>(), kinds, any::<Option<u32>>())
            .prop_map(|(iid, kinds, server)| { Command::ShowStat { proxy: StatScope::Proxy(iid), kinds, server } }),
        (a_server(), state).prop_map(|(server, state)| Act::SetState { server, state }.into()),
        (a_server(), health).prop_map(|(server, health)| Act::SetHealth { server, health }.into()),
        (a_server(), 0..=256_u32)
            .prop_map(|(server, weight)| { Act::SetWeight { server, weight: weight.try_into().unwrap() }.into() }),
        a_server().prop_map(|server| Act::ShutdownSessions(server).into()),
    ]
}

proptest! {
    #[test]
    fn noise_is_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_in_every_way(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_damaged_answer_is_never_a_panic(
        text in a_recorded_answer(),
        cut in any::<proptest::sample::Index>(),
        length in 0..40_usize,
        patch in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut bytes = text.as_bytes().to_vec();
        let at = cut.index(bytes.len());
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, patch);
        read_in_every_way(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn an_answer_that_ended_early_is_never_success(
        text in select(LINE.to_vec()).prop_map(|(_, text)| text),
        cut in any::<proptest::sample::Index>(),
    ) {
        let text = &text[..cut.index(text.len())];
        let row = Command::ShowStat {
            proxy: StatScope::Proxy(3),
            kinds: Kinds::SERVERS,
            server: Some(1),
        };
        let mut answer = Answer::new(text);
        let result = answer
            .info()
            .and_then(|_| answer.stat(&row))
            .and_then(|_| answer.stat(&row))
            .and_then(|_| answer.servers_state(&row))
            .and_then(|_| answer.acts(&[Act::ShutdownSessions(server("be/s1"))]));
        prop_assert!(result.is_err());
    }

    #[test]
    fn a_line_holds_as_many_commands_as_were_meant(
        commands in proptest::collection::vec(a_command(), 1..8),
    ) {
        let line = line(&commands);
        prop_assert_eq!(line.matches(';').count(), commands.len() - 1);
        let printable = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        prop_assert!(printable);
        for danger in ["\\", "<<", "#", "@", "!"] {
            prop_assert!(!line.contains(danger));
        }
    }

    #[test]
    fn a_status_comes_back_as_it_was(text in ".*") {
        prop_assert_eq!(Status::from(text.as_str()).to_string(), text);
    }

    #[test]
    fn progress_comes_back_as_it_was(
        word in select(vec!["UP", "DOWN", "NOLB", "DRAIN"]),
        at in any::<i64>(),
        of in any::<i64>(),
    ) {
        let text = format!("{word} {at}/{of}");
        let status = Status::from(text.as_str());
        prop_assert!(!matches!(&status, Status::Unknown(_)));
        prop_assert_eq!(status.to_string(), text);
    }
}
