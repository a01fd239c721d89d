//! One HTTP client with at most one connection, which never asks twice for what may have been received once.

use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::ANSWER;
use super::record::Wrong;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request that was never sent is tried again at most so often.
const TRIES: u32 = 3;
/// A slow body is sent in so many pieces.
const PIECES: usize = 8;

/// What to ask, and what must be answered.
pub(super) struct Question {
    pub(super) target: String,
    /// A body to POST; else it is a GET.
    pub(super) upload: Option<Bytes>,
    /// How long to take over sending it.
    pub(super) slowly: Duration,
    /// The exact body of the answer.
    pub(super) answer: Vec<u8>,
}

pub(super) struct Client {
    server: SocketAddr,
    connection: Option<SendRequest<Body>>,
    keeps_cookie: bool,
    cookie: Option<String>,
    /// Requests that had to be begun again because they had never left.
    pub(super) unsent: u64,
    /// Whether the last request used a connection that had been used before.
    pub(super) reused: bool,
}

impl Client {
    pub(super) fn new(server: SocketAddr, keeps_cookie: bool) -> Self {
        Self { server, connection: None, keeps_cookie, cookie: None, unsent: 0, reused: false }
    }

    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Asks, checks the answer, and says which app and process gave it.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<(String, String), Wrong> {
        let answer = timeout(Duration::from_secs(ANSWER), self.exchange(question)).await;
        let result = answer.unwrap_or_else(|_| Err(Wrong::new("timeout", format!("no answer in {ANSWER} s"))));
        if result.is_err() {
            self.close();
        }
        result
    }

    async fn exchange(&mut self, question: &Question) -> Result<(String, String), Wrong> {
        let response = self.send(question).await?;
        let (head, body) = response.into_parts();
        let text = |name: &str| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("-").to_owned()
        };
        let from = (text("x-app"), text("x-pid"));
        let body = body.collect().await;
        if !head.status.is_success() {
            let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            let detail = format!("from {from:?}: {}", String::from_utf8_lossy(&body));
            return Err(Wrong::new(format!("status {}", head.status.as_u16()), detail));
        }
        let body = body.map_err(|error| describe("cut within the answer", &error))?.to_bytes();
        if body != question.answer {
            let detail = format!("from {from:?}: {} bytes, {} expected", body.len(), question.answer.len());
            return Err(Wrong::new("wrong body", detail));
        }
        if self.keeps_cookie && head.headers.contains_key(header::SET_COOKIE) {
            let cookie = text(header::SET_COOKIE.as_str());
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        if text(header::CONNECTION.as_str()).eq_ignore_ascii_case("close") {
            self.close();
        }
        Ok(from)
    }

    async fn send(&mut self, question: &Question) -> Result<hyper::Response<hyper::body::Incoming>, Wrong> {
        for _ in 0..TRIES {
            let mut connection = match self.connection.take() {
                Some(connection) if !connection.is_closed() => {
                    self.reused = true;
                    connection
                }
                _ => {
                    self.reused = false;
                    self.connect().await?
                }
            };
            match connection.try_send_request(self.request(question)).await {
                Ok(response) => {
                    self.connection = Some(connection);
                    return Ok(response);
                }
                // The request comes back only when not a byte of it has left.
                Err(error) if error.message().is_some() => self.unsent += 1,
                Err(error) => return Err(describe("cut before the answer", error.error())),
            }
        }
        Err(Wrong::new("never sent", format!("{TRIES} connections in a row closed at once")))
    }

    async fn connect(&self) -> Result<SendRequest<Body>, Wrong> {
        let stream = TcpStream::connect(self.server).await.map_err(|error| Wrong::new("connect", error.to_string()))?;
        stream.set_nodelay(true).ok();
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| describe("handshake", &error))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn request(&self, question: &Question) -> Request<Body> {
        let mut request = Request::builder().uri(&question.target).header(header::HOST, self.server.to_string());
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let body = match &question.upload {
            Some(bytes) => {
                request = request.method(Method::POST).header(header::CONTENT_LENGTH, bytes.len());
                upload(bytes, question.slowly)
            }
            None => Full::default().boxed_unsync(),
        };
        request.body(body).expect("a request from checked parts")
    }
}

/// A body that takes its time.
fn upload(bytes: &Bytes, slowly: Duration) -> Body {
    if slowly.is_zero() {
        return Full::new(bytes.clone()).boxed_unsync();
    }
    let size = bytes.len().div_ceil(PIECES).max(1);
    let pause = slowly / u32::try_from(PIECES).unwrap_or(1);
    let pieces = stream::unfold(bytes.clone(), move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        sleep(pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok(Frame::data(piece)), rest))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn describe(kind: &str, error: &hyper::Error) -> Wrong {
    let cause = error.source();
    let reset = cause
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionReset);
    let kind = if reset { format!("{kind}, by a reset") } else { kind.to_owned() };
    let detail = match cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    Wrong::new(kind, detail)
}
