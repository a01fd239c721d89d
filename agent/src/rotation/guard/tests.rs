#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

/// One server of a backend: its name, and what HAProxy shows of it.
#[derive(Debug, Clone)]
struct Shown {
    name: &'static str,
    status: &'static str,
    weight: u32,
    backup: bool,
}

fn main(name: &'static str, status: &'static str, weight: u32) -> Shown {
    Shown { name, status, weight, backup: false }
}

fn backup(name: &'static str, status: &'static str, weight: u32) -> Shown {
    Shown { backup: true, ..main(name, status, weight) }
}

/// As `show stat` has them; webA and bkpA are the app's own.
fn count(servers: &[Shown]) -> Count {
    let mut table = "# pxname,svname,iid,sid,type,scur,status,weight,bck,uweight,\n".to_owned();
    for (index, Shown { name, status, weight, backup }) in servers.iter().enumerate() {
        // HAProxy's `weight` is what `slowstart` leaves of `uweight`.
        let in_force = weight / 2;
        table += &format!("srvs,{name},3,{},2,0,{status},{in_force},{},{weight},\n", index + 1, u8::from(*backup));
    }
    let own = ["srvs/webA", "srvs/bkpA"].map(|server| server.parse().unwrap());
    Count::of(&StatRow::parse_all(&table).unwrap(), &own)
}

fn min_up(min_up: MinUp) -> Guard {
    Guard { min_up, ..Guard::NONE }
}

fn min_weight(min_weight: u8) -> Guard {
    Guard { min_weight, ..Guard::NONE }
}

#[test]
fn a_percentage_is_of_the_configured_entries_and_rounded_up() {
    let others = |second| count(&[main("webA", "UP", 1), main("webB", "UP", 1), main("webC", second, 1)]);
    assert!(others("UP").check(min_up(MinUp::Percent(50))).is_ok());
    let few = others("DOWN").check(min_up(MinUp::Percent(50))).unwrap_err();
    assert_eq!(few, TooFew::Servers { backend: "srvs".to_owned(), others: 1, entries: 3, wanted: 2 });
}

#[test]
fn a_single_server_may_go_only_where_the_guard_asks_for_none() {
    let single = count(&[main("webA", "UP", 1)]);
    assert!(single.check(Guard::default()).is_err());
    assert!(single.check(Guard::NONE).is_ok());
}

#[test]
fn the_share_of_weight_is_of_all_main_entries_with_our_own() {
    let servers = [main("webA", "UP", 30), main("webB", "UP 1/3", 20), main("webC", "no check", 10)];
    assert!(count(&servers).check(min_weight(50)).is_ok());
    let few = count(&servers).check(min_weight(51)).unwrap_err();
    assert_eq!(few, TooFew::Weight { backend: "srvs".to_owned(), others: 30, all: 60, percent: 51 });
    assert_eq!(
        few.to_string(),
        "without this app 30 of the weight 60 of backend srvs would be up, and the guard asks for 51% of it"
    );
}

#[test]
fn who_drains_or_is_in_maintenance_or_down_has_weight_and_gives_none() {
    for status in ["DRAIN", "MAINT", "DOWN", "DOWN 1/2", "NOLB", "MAINT (resolution)", "DOWN (agent)"] {
        let tally = count(&[main("webA", "UP", 10), main("webB", status, 30)]).check(Guard::NONE).unwrap();
        assert_eq!(tally, Tally { others: 0, entries: 2, others_weight: 0, weight: 40 }, "{status}");
    }
}

#[test]
fn a_server_of_weight_0_is_no_server_that_is_up() {
    let tally = count(&[main("webA", "UP", 10), main("webB", "UP", 0)]).check(Guard::NONE).unwrap();
    assert_eq!(tally, Tally { others: 0, entries: 2, others_weight: 0, weight: 10 });
}

#[test]
fn both_demands_must_be_met() {
    let guard = Guard { min_weight: 50, ..Guard::default() };
    let heavy_down = count(&[main("webA", "UP", 10), main("webB", "UP", 1), main("webC", "DOWN", 100)]);
    assert!(matches!(heavy_down.check(guard), Err(TooFew::Weight { .. })));
    let guard = Guard { min_up: MinUp::Servers(2), min_weight: 50, ..Guard::NONE };
    let one_heavy = count(&[main("webA", "UP", 10), main("webB", "UP", 100), main("webC", "DOWN", 1)]);
    assert!(matches!(one_heavy.check(guard), Err(TooFew::Servers { .. })));
}

#[test]
fn backups_of_others_count_only_where_asked() {
    let servers = [main("webA", "UP", 10), backup("bkpA", "UP", 10), backup("spare", "UP", 20)];
    assert!(count(&servers).check(Guard::default()).is_err());
    let tally = count(&servers).check(Guard { count_backups: true, ..Guard::default() }).unwrap();
    assert_eq!(tally, Tally { others: 1, entries: 3, others_weight: 20, weight: 40 });
}

#[test]
fn an_app_of_backups_alone_may_leave_to_another_backup() {
    let servers = [backup("bkpA", "UP", 1), main("webB", "DOWN", 1), backup("bkpB", "UP", 1)];
    let count = count(&servers);
    assert!(count.own_up);
    assert!(count.check(Guard::default()).is_ok());
}

fn servers() -> impl Strategy<Value = Vec<Shown>> {
    let name = prop::sample::select(vec!["webA", "bkpA", "webB", "webC", "spare"]);
    let status = prop::sample::select(vec!["UP", "UP 1/3", "no check", "DOWN", "DRAIN", "MAINT", "NOLB"]);
    let shown = (name, status, 0..=256_u32, any::<bool>());
    let shown = shown.prop_map(|(name, status, weight, backup)| Shown { name, status, weight, backup });
    prop::collection::vec(shown, 0..12)
}

fn guards() -> impl Strategy<Value = Guard> {
    let min_up = prop_oneof![(0..6_u32).prop_map(MinUp::Servers), (0..=100_u8).prop_map(MinUp::Percent)];
    (min_up, 0..=100_u8, any::<bool>()).prop_map(|(min_up, min_weight, count_backups)| Guard {
        min_up,
        min_weight,
        count_backups,
    })
}

proptest! {
    #[test]
    fn a_guard_that_asks_for_nothing_lets_everything_pass(servers in servers()) {
        prop_assert!(count(&servers).check(Guard::NONE).is_ok());
    }

    /// The second look comes when the app is out: the first must have seen the same.
    #[test]
    fn the_apps_own_state_changes_nothing(servers in servers(), guard in guards()) {
        let mut out = servers.clone();
        out.iter_mut().filter(|shown| ["webA", "bkpA"].contains(&shown.name)).for_each(|shown| shown.status = "MAINT");
        prop_assert_eq!(count(&servers).check(guard), count(&out).check(guard));
    }

    #[test]
    fn one_more_server_that_is_up_never_makes_it_refuse(
        servers in servers(), guard in guards(), weight in 1..=256_u32,
    ) {
        let mut more = servers.clone();
        more.push(main("webD", "UP", weight));
        if count(&servers).check(guard).is_ok() {
            prop_assert!(count(&more).check(guard).is_ok());
        }
    }

    #[test]
    fn a_server_that_goes_down_never_makes_it_pass(servers in servers(), guard in guards(), which in any::<prop::sample::Index>()) {
        prop_assume!(!servers.is_empty());
        let mut fewer = servers.clone();
        let index = which.index(fewer.len());
        fewer[index].status = "DOWN";
        if count(&servers).check(guard).is_err() {
            prop_assert!(count(&fewer).check(guard).is_err());
        }
    }

    #[test]
    fn what_passes_is_what_was_asked(servers in servers(), guard in guards()) {
        if let Ok(kept) = count(&servers).check(guard) {
            let enough = match guard.min_up {
                MinUp::Servers(wanted) => kept.others >= wanted,
                MinUp::Percent(percent) => f64::from(kept.others) >= f64::from(kept.entries) * f64::from(percent) / 100.0 - 1e-9,
            };
            prop_assert!(enough && kept.others <= kept.entries && kept.others_weight <= kept.weight);
            prop_assert!(kept.others_weight * 100 >= kept.weight * u64::from(guard.min_weight));
        }
    }
}
