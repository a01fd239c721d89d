//! What an existing configuration lacks of the recipe.

use std::collections::HashSet;

use super::edit::Edit;
use super::line::Line;
use super::text::quote;
use crate::address::Address;
use crate::config::Config;
use crate::document::Place;
use crate::global::Level;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::server_settings::ServerSettings;

/// A main entry that is to be taken out and put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// The port of its own that it is to be checked on; `None` where the socket alone takes it out, and it needs no backup entry.
    pub check_port: Option<u16>,
}

/// What has to be changed, and nothing more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adoption {
    /// The changes; none where nothing is lacking.
    pub edits: Vec<Edit>,
    /// The backup entries that are added: backend, main entry, its backup.
    pub twins: Vec<[String; 3]>,
    /// What could not be changed.
    pub left: Vec<LeftAlone>,
}

/// Something that somebody else has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAlone {
    /// The line.
    pub place: Place,
    /// Why, in one sentence.
    pub why: String,
}

/// Finds what is lacking: checks on the wanted ports, backup entries with the same cookie, `retries` and `option redispatch` in their
/// backends, and an admin socket, which is added with this path. Whatever depends on a condition or a variable is left alone.
pub fn adopt(config: &Config, wanted: &[Wanted], socket: &str) -> Adoption {
    let mut adoption = Adoption::default();
    admin_socket(config, socket, &mut adoption);
    let (mut seen, mut claimed) = (HashSet::new(), HashSet::new());
    for wanted in wanted {
        let Some(proxy) = config.backend(&wanted.backend) else { continue };
        let Some(server) = proxy.server(&wanted.server) else { continue };
        let Some(line) = Line::read(config, server.place) else {
            let why = format!(
                "{}/{} can't be changed by itself: it is no plain `server` line",
                wanted.backend, wanted.server
            );
            adoption.left.push(LeftAlone { place: server.place, why });
            continue;
        };
        if seen.insert(&wanted.backend) {
            retries(config, proxy, &line, &mut adoption);
        }
        let adopted = match wanted.check_port {
            None => check(&server, &line).map(|check| adoption.edits.extend(check)),
            Some(port) => main_and_backup(config, proxy, &server, &line, port, &mut claimed, &mut adoption),
        };
        if adopted.is_none() {
            let why = format!(
                "{}/{} can't be changed by itself: its checks go to another address, or depend on a condition or a variable",
                wanted.backend, wanted.server
            );
            adoption.left.push(LeftAlone { place: server.place, why });
        }
    }
    adoption
}

/// A socket of level admin. One of a lower level may be open to many, so it stays as it is unless it has the very path.
fn admin_socket(config: &Config, path: &str, adoption: &mut Adoption) {
    let sockets = &config.global().sockets;
    if sockets
        .iter()
        .any(|socket| socket.conditional || socket.level.known().is_none_or(|level| *level == Level::Admin))
    {
        return;
    }
    let path_of = |address: &str| address.trim_start_matches("unix@").to_owned();
    let same = sockets.iter().find(|socket| socket.address.known().is_some_and(|address| path_of(address) == path));
    if let Some(place) = same.and_then(|socket| socket.address.place()) {
        let words = config.words(place);
        let level = words.iter().skip_while(|word| word.text != "level").nth(1);
        let end = words.last().map_or(0, |word| word.bytes.end);
        adoption.edits.push(match level {
            Some(level) => Edit::Replace(place, level.bytes.clone(), "admin".to_owned()),
            None => Edit::Replace(place, end..end, " level admin".to_owned()),
        });
        return;
    }
    let line = format!("stats socket {} mode 660 level admin expose-fd listeners", quote(path));
    let global = config.sections().iter().find(|section| section.keyword == "global" && !section.conditional);
    let last = || {
        let lines = config.document().file(0).map_or(0, |file| file.lines());
        (lines > 0).then_some(Place { file: 0, line: lines })
    };
    match (global, last()) {
        (Some(global), _) => {
            let next = Place { line: global.place.line + 1, ..global.place };
            adoption.edits.push(Edit::After(global.place, format!("{}{line}", indent_of(config, next))));
        }
        (None, Some(last)) => {
            adoption.edits.push(Edit::After(last, String::new()));
            adoption.edits.push(Edit::After(last, "global".to_owned()));
            adoption.edits.push(Edit::After(last, format!("    {line}")));
        }
        (None, None) => {}
    }
}

/// How far in a line begins; as usual where it says nothing.
fn indent_of(config: &Config, place: Place) -> String {
    let line = config.document().line(place);
    let indent = line.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    match line.get(..indent).and_then(|indent| std::str::from_utf8(indent).ok()) {
        Some(indent) if !indent.is_empty() && indent.len() < line.len() => indent.to_owned(),
        _ => "    ".to_owned(),
    }
}

/// A request whose server is gone is tried again, in the end on another one.
fn retries(config: &Config, proxy: &Proxy, line: &Line<'_>, adoption: &mut Adoption) {
    let settings = &proxy.settings;
    let mut edit = |says: Option<Place>, text: &str| {
        let indent = if line.indent().is_empty() { "    " } else { line.indent() };
        adoption.edits.push(match says.filter(|place| is_within(config, proxy, *place)) {
            Some(place) => {
                let words = config.words(place);
                let whole = words.first().zip(words.last()).map(|(first, last)| first.bytes.start..last.bytes.end);
                Edit::Replace(place, whole.unwrap_or(0..0), text.to_owned())
            }
            None => Edit::After(proxy.place, format!("{indent}{text}")),
        });
    };
    if settings.retries.is(&0) {
        edit(settings.retries.place(), "retries 3");
    }
    if settings.redispatch.is(&false) {
        edit(settings.redispatch.place(), "option redispatch");
    }
}

/// Whether a line stands in this section, and not in the `defaults` that it starts from.
fn is_within(config: &Config, proxy: &Proxy, place: Place) -> bool {
    let begun = |section: &&crate::section::Section| section.place <= place && section.place.file == place.file;
    config.sections().iter().rfind(begun).is_some_and(|section| section.place == proxy.place)
}

/// A check where there is none; `None` where that can't be known.
fn check(server: &Server, line: &Line<'_>) -> Option<Vec<Edit>> {
    let settings = &server.settings;
    if *settings.check.known()? || settings.track.known()?.is_some() {
        return Some(Vec::new());
    }
    // A `default-server` may give a port.
    let as_spoken = if settings.port.known()?.is_some() { checks_as_spoken(settings) } else { Vec::new() };
    Some(std::iter::once("check").chain(as_spoken).map(|words| line.append(words)).collect())
}

/// The check port of the main entry, and its backup entry; `None` where something is not known, or not its own.
fn main_and_backup(
    config: &Config,
    proxy: &Proxy,
    server: &Server,
    line: &Line<'_>,
    port: u16,
    claimed: &mut HashSet<Place>,
    adoption: &mut Adoption,
) -> Option<()> {
    let settings = &server.settings;
    // Checks that connect as a rule of the backend says do not follow `port`.
    let follows_port = proxy.settings.check_connect.is(&false);
    let is_own = follows_port && settings.addr.known()?.is_none() && settings.track.known()?.is_none();
    let traffic = server.port.known().copied().flatten().filter(|_| is_own)?;
    let (has_port, cookie) = (*settings.port.known()?, settings.cookie.known()?);
    let is_checked = *settings.check.known()?;
    let mut edits = Vec::new();
    if !is_checked {
        edits.push(line.append("check"));
    }
    if has_port != Some(port) {
        edits.push(line.set("port", &port.to_string(), "check"));
    }
    let as_spoken = checks_as_spoken(settings);
    edits.extend(as_spoken.iter().map(|keyword| line.append(keyword)));
    match twin_of(proxy, server, claimed) {
        Some(twin) => edits.extend(mended(config, &twin, cookie.as_deref(), traffic)?),
        None => {
            let mut more = Vec::new();
            more.extend((!is_checked).then(|| "check".to_owned()));
            // A `default-server` may give a port, too.
            if has_port.is_some() {
                more.push(format!("port {traffic}"));
                more.extend(as_spoken.into_iter().map(str::to_owned));
            }
            let name = free_name(proxy, line.name())?;
            edits.push(Edit::After(server.place, line.twin(&name, &more)));
            adoption.twins.push([proxy.name.clone()?, server.name.clone(), name]);
        }
    }
    adoption.edits.extend(edits);
    Some(())
}

/// The backup entry of a main entry. Those who stick to it by a cookie need one of that cookie, so that a backup entry of another cookie
/// can become that of one main entry only, and not where it is another's already.
fn twin_of(proxy: &Proxy, server: &Server, claimed: &mut HashSet<Place>) -> Option<Server> {
    let there = |is_backup: bool| {
        proxy
            .server_lines()
            .filter(move |other| other.settings.backup.is(&is_backup) && is_same_address(other, server))
            .collect::<Vec<_>>()
    };
    let (mains, backups) = (there(false), there(true));
    let cookie_of = |entry: &Server| entry.settings.cookie.known().cloned().flatten();
    let Some(cookie) = cookie_of(server) else { return backups.into_iter().next() };
    let sticks = |entry: &Server, cookie: &str| entry.settings.cookie.is(&Some(cookie.to_owned()));
    let is_anothers = |backup: &Server| {
        claimed.contains(&backup.place)
            || mains
                .iter()
                .any(|main| main.place != server.place && cookie_of(main).is_some_and(|cookie| sticks(backup, &cookie)))
    };
    let twin = backups
        .iter()
        .find(|backup| sticks(backup, &cookie) && !claimed.contains(&backup.place))
        .or_else(|| backups.iter().find(|backup| !is_anothers(backup)))
        .cloned()?;
    if !sticks(&twin, &cookie) {
        claimed.insert(twin.place);
    }
    Some(twin)
}

/// Whether two entries reach the same, however their addresses are written.
fn is_same_address(one: &Server, other: &Server) -> bool {
    let (Some(one), Some(other)) = (one.address.known(), other.address.known()) else { return false };
    let (read, other_read) = (Address::read(one), Address::read(other));
    let same_ip = read.ip().is_some() && read.ip() == other_read.ip();
    one == other || read.port().is_some() && read.port() == other_read.port() && (same_ip || read == other_read)
}

/// What makes checks speak as the server is spoken to.
fn checks_as_spoken(settings: &ServerSettings) -> Vec<&'static str> {
    settings.plain_checks().map(|(_, of_checks)| of_checks).collect()
}

/// What a backup entry that is there lacks.
fn mended(config: &Config, twin: &Server, cookie: Option<&str>, traffic: u16) -> Option<Vec<Edit>> {
    let line = Line::read(config, twin.place)?;
    let mut edits = Vec::new();
    if let Some(cookie) =
        cookie.filter(|cookie| twin.settings.cookie.known().map(Option::as_deref) != Some(Some(*cookie)))
    {
        edits.push(line.set("cookie", &quote(cookie), "cookie"));
    }
    if twin.settings.check.is(&false) && twin.settings.track.is(&None) {
        edits.push(line.append("check"));
    }
    let is_elsewhere = twin.check_port.known()? != &Some(traffic);
    if is_elsewhere {
        edits.push(line.set("port", &traffic.to_string(), "check"));
    }
    if is_elsewhere || twin.settings.port.known()?.is_some() {
        edits.extend(checks_as_spoken(&twin.settings).into_iter().map(|keyword| line.append(keyword)));
    }
    Some(edits)
}

/// A name for the backup entry that no other server of the backend has.
fn free_name(proxy: &Proxy, main: &str) -> Option<String> {
    let numbered = (2..100).map(|number| format!("{main}-backup{number}"));
    std::iter::once(format!("{main}-backup")).chain(numbered).find(|name| proxy.server(name).is_none())
}
