//! Proof by a GET over HTTP/1.1.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::failure::chain;
use super::limit::Limit;
use super::tls::Tls;
use super::{Failure, Probe, ProbeError, tcp};
use crate::config::settings::HttpProbe;

/// How much of a body is searched, in bytes.
const SEARCHED: usize = 1 << 20;

const AGENT: &str = concat!("pitstop/", env!("CARGO_PKG_VERSION"));

/// Passes when the answer has one of the wanted status codes, every wanted header and the wanted text in the first MiB
/// of its body. Every try is a connection of its own and takes at most 5 s; redirects are answers like any other.
pub(super) struct Http {
    probe: HttpProbe,
    request: Request<Empty<Bytes>>,
    tls: Option<Tls>,
}

impl Http {
    pub(super) fn new(probe: HttpProbe) -> Result<Self, ProbeError> {
        let describe = describe(&probe);
        let request = request(&probe).map_err(|error| {
            ProbeError::new(&describe, "it is no valid HTTP request")
                .hint("look at its path and headers")
                .because(error)
        })?;
        let tls = match probe.tls {
            true => Some(Tls::new(&probe, &describe)?),
            false => None,
        };
        Ok(Self { probe, request, tls })
    }

    /// The host's addresses, in the resolver's order.
    async fn addresses(&self, limit: Limit) -> Result<Vec<SocketAddr>, Failure> {
        let host = without_brackets(&self.probe.host);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.probe.port)]);
        }
        let what = format!("resolve {host}");
        let found = tokio::net::lookup_host((host, self.probe.port));
        let found = limit.run(&format!("{what}: no answer"), found).await?;
        match found {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(Failure::io(&what, &error)),
        }
    }

    /// A connection to the first address that takes one; each may use its part of the time.
    async fn connect(&self, limit: Limit) -> Result<TcpStream, Failure> {
        let addresses = self.addresses(limit).await?;
        let mut failures = Vec::new();
        for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
            let share = limit.share(u32::try_from(left).unwrap_or(u32::MAX));
            match tcp::connect(*address, share).await {
                Ok(stream) => return Ok(stream),
                Err(failure) => failures.push((address, failure)),
            }
        }
        Err(match failures.as_slice() {
            [] => Failure::new(&format!("{} has no address", self.probe.host)),
            [(_, failure)] => failure.clone(),
            several => {
                let each = several.iter().map(|(to, failure)| format!("{to}: {failure}"));
                Failure::new(&each.collect::<Vec<_>>().join("; "))
            }
        })
    }

    /// Sends the request and looks at the answer.
    async fn ask<S>(&self, stream: S, limit: Limit) -> Result<(), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let conversation = async {
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| Failure::new(&in_words(&error)))?;
            let answer = async {
                let sent = sender.send_request(self.request.clone());
                let response = limit.run("no answer", sent).await?;
                let response = response.map_err(|error| Failure::new(&in_words(&error)))?;
                self.judge(response, limit).await
            };
            // The connection's own end says nothing that the answer does not say better, and it may come first.
            let driven = async {
                let _ = connection.await;
                std::future::pending().await
            };
            tokio::select! { verdict = answer => verdict, never = driven => never }
        };
        conversation.await
    }

    async fn judge(&self, response: Response<Incoming>, limit: Limit) -> Result<(), Failure> {
        let status = response.status().as_u16();
        if !self.probe.status.contains(&status) {
            let wanted = any_of(&self.probe.status);
            return Err(Failure::new(&format!("status {status}, wanted {wanted}")));
        }
        for (name, wanted) in &self.probe.headers {
            let seen = response.headers().get_all(name.as_str());
            if seen.iter().any(|value| value.as_bytes() == wanted.as_bytes()) {
                continue;
            }
            return Err(match seen.iter().next() {
                Some(value) => Failure::new(&format!(
                    "header {name} is \"{}\", wanted \"{wanted}\"",
                    String::from_utf8_lossy(value.as_bytes())
                )),
                None => Failure::new(&format!("no header {name}, wanted \"{wanted}\"")),
            });
        }
        match &self.probe.contains {
            Some(text) => search(response.into_body(), text, limit).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Probe for Http {
    fn describe(&self) -> String {
        describe(&self.probe)
    }

    async fn once(&self, deadline: Instant) -> Result<(), Failure> {
        let limit = Limit::of_a_try(deadline);
        let stream = self.connect(limit).await?;
        let Some(tls) = &self.tls else {
            return self.ask(stream, limit).await;
        };
        let handshake = tls.connector.connect(tls.name.clone(), stream);
        match limit.run("TLS: no answer", handshake).await? {
            Ok(stream) => self.ask(stream, limit).await,
            Err(error) => Err(Failure::io("TLS", &error)),
        }
    }
}

/// Reads until the text is found, the body ends, or a MiB is read.
async fn search(mut body: Incoming, text: &str, limit: Limit) -> Result<(), Failure> {
    let mut seen: Vec<u8> = Vec::new();
    let missing = format!("body does not contain \"{text}\"");
    while seen.len() < SEARCHED {
        let frame = match limit.run(&missing, body.frame()).await? {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let error = in_words(&error);
                return Err(Failure::new(&format!("{missing}, it broke off: {error}")));
            }
            None if text.is_empty() => return Ok(()),
            None => return Err(Failure::new(&missing)),
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        // The text may have begun in what was there before.
        let from = seen.len().saturating_sub(text.len());
        let room = SEARCHED - seen.len();
        seen.extend(data.iter().take(room));
        if contains(seen.get(from..).unwrap_or_default(), text.as_bytes()) {
            return Ok(());
        }
    }
    Err(Failure::new(&format!("{missing} in its first MiB")))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn request(probe: &HttpProbe) -> Result<Request<Empty<Bytes>>, hyper::http::Error> {
    let mut request = Request::get(&probe.path).body(Empty::new())?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::try_from(authority(probe))?);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let mut replaced = Vec::new();
    for (name, value) in &probe.request_headers {
        let (name, value) = (HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        // The first takes the place of ours; more of the same name are sent as well.
        if replaced.contains(&name) {
            headers.append(name, value);
        } else {
            headers.insert(name.clone(), value);
            replaced.push(name);
        }
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

fn describe(probe: &HttpProbe) -> String {
    let scheme = if probe.tls { "https" } else { "http" };
    let mut text = format!("GET {scheme}://{}{} → {}", authority(probe), probe.path, any_of(&probe.status));
    for (name, value) in &probe.headers {
        text.push_str(&format!(", {name}: {value}"));
    }
    if let Some(contains) = &probe.contains {
        text.push_str(&format!(", \"{contains}\""));
    }
    super::failure::printable(&text, Failure::LONGEST)
}

/// `host:port`, without the port where it is the scheme's own (RFC 9110, 4.2).
fn authority(probe: &HttpProbe) -> String {
    let host = without_brackets(&probe.host);
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    match (probe.tls, probe.port) {
        (false, 80) | (true, 443) => host,
        (_, port) => format!("{host}:{port}"),
    }
}

/// The host of a URL, with or without the brackets of an IPv6 address.
pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn any_of(status: &[u16]) -> String {
    let codes: Vec<_> = status.iter().map(u16::to_string).collect();
    codes.join(" or ")
}

fn in_words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        "closed before the answer was complete".to_owned()
    } else if error.is_parse() {
        format!("not HTTP: {}", chain(error))
    } else {
        chain(error)
    }
}
