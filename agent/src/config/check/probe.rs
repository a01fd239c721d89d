//! What proves that the app is healthy: at least one probe, each of exactly one kind.

use std::ops::Range;

use toml::Spanned;

use super::{Result, place, refuse, required};
use crate::config::error::Fault;
use crate::config::file;
use crate::config::settings::{HttpProbe, Label, Probe, ProbeKind};
use crate::config::value::{Status, Text, Url};

pub(super) fn all(app: &Label, at: Range<usize>, written: Vec<Spanned<file::Probe>>) -> Result<Vec<Probe>> {
    if written.is_empty() {
        return Err(Fault::new(
            at,
            format!("nothing proves that app `{app}` is healthy after a restart"),
        )
        .hint(format!(
            "add at least one probe, for example:\n  [[apps.{app}.ready]]\n  http = \"http://127.0.0.1:1000/health\""
        )));
    }
    written.into_iter().map(probe).collect()
}

fn probe(written: Spanned<file::Probe>) -> Result<Probe> {
    let at = written.span();
    let mut written = written.into_inner();
    let (rise, interval, timeout) = (written.rise, written.interval.0, written.timeout.0);
    let kind = match (written.http.take(), written.tcp.take(), written.command.take()) {
        (None, None, None) => {
            return Err(Fault::new(at, "this probe asks nothing").hint(
                "add one of:\n  http = \"http://127.0.0.1:1000/health\"\n  tcp = \"127.0.0.1:1000\"\n  command = [\"/usr/local/bin/web-healthy\"]",
            ));
        }
        (Some(_), Some(other), _) => return Err(second(other.span(), "tcp", "http")),
        (Some(_), None, Some(other)) => return Err(second(other.span(), "command", "http")),
        (None, Some(_), Some(other)) => return Err(second(other.span(), "command", "tcp")),
        (Some(url), None, None) => ProbeKind::Http(http(url.into_inner().0, written)?),
        (None, Some(address), None) => {
            refuse_http_options(&written, "tcp")?;
            ProbeKind::Tcp(address.into_inner().0.0)
        }
        (None, None, Some(command)) => {
            refuse_http_options(&written, "command")?;
            ProbeKind::Command(required(command, "command")?)
        }
    };
    Ok(Probe { kind, rise: rise.get().into(), interval: interval.get(), timeout: timeout.get() })
}

fn second(at: Range<usize>, key: &str, beside: &str) -> Fault {
    Fault::new(at, format!("`{key}` beside `{beside}`: a probe asks one thing"))
        .hint("put it into a [[apps.X.ready]] table of its own; all of them must pass")
}

/// Refuses keys that would silently mean nothing.
fn refuse_http_options(written: &file::Probe, kind: &str) -> Result<()> {
    let given = [
        ("status", place(&written.status)),
        ("request_headers", place(&written.request_headers)),
        ("headers", place(&written.headers)),
        ("contains", place(&written.contains)),
        ("ca", place(&written.ca)),
        ("server_name", place(&written.server_name)),
        ("insecure", place(&written.insecure)),
    ];
    refuse(given, |key| format!("`{key}` means nothing to a {kind} probe, only to http"))
}

fn http(url: Url, written: file::Probe) -> Result<HttpProbe> {
    if !url.tls {
        let given = [
            ("ca", place(&written.ca)),
            ("server_name", place(&written.server_name)),
            ("insecure", place(&written.insecure)),
        ];
        refuse(given, |key| format!("`{key}` means nothing to http://, only to https://"))?;
    }
    let insecure = written.insecure.is_some_and(Spanned::into_inner);
    if insecure && let Some(ca) = &written.ca {
        return Err(Fault::new(
            ca.span(),
            "`ca` beside `insecure`: either one authority is trusted, or any certificate accepted",
        )
        .hint("remove `insecure`"));
    }
    let status = match written.status {
        None => vec![200],
        Some(status) if status.get_ref().is_empty() => {
            return Err(Fault::new(status.span(), "no status would pass").hint("for example: status = [200]"));
        }
        Some(status) => status.into_inner().into_iter().map(Status::get).collect(),
    };
    Ok(HttpProbe {
        tls: url.tls,
        host: url.host,
        port: url.port,
        path: url.path,
        status,
        request_headers: pairs(written.request_headers),
        headers: pairs(written.headers),
        contains: written.contains.map(Spanned::into_inner),
        ca: written.ca.map(|path| path.into_inner().0.0),
        server_name: written.server_name.map(|name| name.into_inner().0.0),
        insecure,
    })
}

fn pairs(written: Option<Spanned<file::Headers>>) -> Vec<(String, String)> {
    written
        .map(Spanned::into_inner)
        .unwrap_or_default()
        .into_iter()
        .map(|(Text(name), Text(value))| (name.0, value.0))
        .collect()
}
