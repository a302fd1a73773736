//! A small HTTP/1.1 client for JSON over TCP and unix sockets: what every srwan client speaks.
//!
//! One connection per call: calls are rare (a poll a second), so a pool would only add states. Each
//! call has one deadline that covers connecting, sending and reading, and a cap on the answer's
//! octets. An answer outside 2xx becomes an [`ApiError`], also when it is not a problem document.
//! It deliberately follows no redirect and speaks no TLS: daemons listen on loopback, on a
//! unix socket, or behind something that ends TLS for them.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Uri, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Deadline of a call that names none: a loaded two-core host answers far sooner.
pub const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Largest answer that a client reads: a 100 by 100 matrix as JSON is about 3 MB.
pub const ANSWER_OCTETS_MAX_DEFAULT: usize = 16 * 1024 * 1024;

/// Media type of an error answer; RFC 9457 section 3.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One failed call, in the form that every srwan program shows errors in.
///
/// The same object is the body of an error answer (RFC 9457 problem JSON).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiError {
    /// `SRW-` and a letter and number that never change meaning.
    pub code: String,
    /// What went wrong, in one clause.
    pub what: String,
    /// Why it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What the user can do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// HTTP status; 0 if no answer came.
    #[serde(default)]
    pub status: u16,
    /// Facts for programs, by name; an RFC 9457 extension member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<Box<serde_json::Value>>,
}

impl ApiError {
    /// An error with this code, cause and remedy; `status` is the HTTP status it is answered with.
    #[must_use]
    pub fn new(status: u16, code: &str, what: impl Into<String>) -> Self {
        let (code, what) = (code.to_owned(), what.into());
        Self { code, what, why: String::new(), fix: String::new(), status, data: None }
    }

    /// Adds why it happened.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Adds facts for programs.
    #[must_use]
    pub fn data(mut self, data: serde_json::Value) -> Self {
        self.data = Some(Box::new(data));
        self
    }

    /// Says whether no daemon answered at that address (exit code 3 of the CLI).
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.code == code::UNREACHABLE
    }

    /// Says whether the deadline passed (exit code 8 of the CLI).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.code == code::TIMEOUT
    }

    /// Says whether asking again later can help: nobody answered, or the daemon is busy or failing.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.is_unreachable() || self.is_timeout() || self.status == 429 || self.status >= 500
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.what)?;
        if !self.why.is_empty() {
            write!(f, "\n  why: {}", self.why)?;
        }
        if !self.fix.is_empty() {
            write!(f, "\n  fix: {}", self.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for ApiError {}

/// Codes of errors that the client itself finds.
pub mod code {
    /// Nothing listens at the address.
    pub const UNREACHABLE: &str = "SRW-D101";
    /// The deadline passed.
    pub const TIMEOUT: &str = "SRW-D102";
    /// The answer is not what the API says it is.
    pub const BAD_ANSWER: &str = "SRW-D103";
    /// The address cannot be understood.
    pub const BAD_URL: &str = "SRW-D104";
    /// The connection broke before the answer was complete.
    pub const BROKEN: &str = "SRW-D105";
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// What to ask: method, path with query, and what goes along.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    if_none_match: Option<String>,
    timeout: Option<Duration>,
}

impl Call {
    /// Reads `path`.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Deletes `path`.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Sends `body` as JSON to `path`.
    ///
    /// # Panics
    /// If `body` has map keys that are not strings; the API's types have none.
    #[must_use]
    pub fn post(path: impl Into<String>, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("API types have string keys only");
        Self { body: Some(body), ..Self::new(Method::POST, path) }
    }

    /// Asks for the answer only if its entity tag differs.
    #[must_use]
    pub fn if_none_match(mut self, tag: impl Into<String>) -> Self {
        self.if_none_match = Some(tag.into());
        self
    }

    /// Sets this call's own deadline, as a long poll needs.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, if_none_match: None, timeout: None }
    }
}

/// A 2xx or 304 answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Entity tag, if the answer had one.
    pub etag: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`code::BAD_ANSWER`] if it is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        // An answer without content (204) is JSON null, so that `T` can be `()`.
        let body = if self.body.is_empty() { b"null".as_slice() } else { &self.body };
        serde_json::from_slice(body).map_err(|error| {
            ApiError::new(self.status, code::BAD_ANSWER, "the answer is not what was asked for")
                .why(error.to_string())
                .fix("check that the address is a srwan daemon of the same version")
        })
    }

    /// Says whether the answer is "not modified".
    #[must_use]
    pub fn is_not_modified(&self) -> bool {
        self.status == 304
    }
}

/// A client of one daemon.
#[derive(Clone, Debug)]
pub struct HttpClient {
    target: Target,
    base: String,
    bearer: Option<String>,
    timeout: Duration,
    answer_octets_max: usize,
}

impl HttpClient {
    /// A client of `http://HOST:PORT[/base]` or `unix:/path/to.sock`.
    ///
    /// # Errors
    /// [`code::BAD_URL`].
    pub fn new(url: &str) -> Result<Self, ApiError> {
        let (target, base) = match url.strip_prefix("unix:") {
            Some(path) => (Target::Unix(PathBuf::from(path)), String::new()),
            None => parse_url(url)?,
        };
        let (timeout, answer_octets_max) = (CALL_TIMEOUT_DEFAULT, ANSWER_OCTETS_MAX_DEFAULT);
        Ok(Self { target, base, bearer: None, timeout, answer_octets_max })
    }

    /// A client of a unix socket.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self {
            target: Target::Unix(path.into()),
            base: String::new(),
            bearer: None,
            timeout: CALL_TIMEOUT_DEFAULT,
            answer_octets_max: ANSWER_OCTETS_MAX_DEFAULT,
        }
    }

    /// Sends `Authorization: Bearer` with every call.
    #[must_use]
    pub fn with_bearer(mut self, token: impl Into<String>) -> Self {
        self.bearer = Some(token.into());
        self
    }

    /// Sets the deadline of calls that name none.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the largest answer that is read.
    #[must_use]
    pub fn with_answer_octets_max(mut self, octets: usize) -> Self {
        self.answer_octets_max = octets;
        self
    }

    /// Reads `path` as JSON.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(Call::get(path)).await?.json()
    }

    /// Posts JSON to `path` and reads JSON.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub async fn post<Q: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> Result<T, ApiError> {
        self.call(Call::post(path, body)).await?.json()
    }

    /// Makes one call within its deadline.
    ///
    /// # Errors
    /// What the daemon answered outside 2xx and 304, or one of [`code`].
    pub async fn call(&self, call: Call) -> Result<Answer, ApiError> {
        let timeout = call.timeout.unwrap_or(self.timeout);
        match tokio::time::timeout(timeout, self.exchange(call)).await {
            Ok(result) => result,
            Err(_) => Err(ApiError::new(0, code::TIMEOUT, format!("no answer from {self}"))
                .why(format!("{} ms passed", timeout.as_millis()))
                .fix("check that the daemon is running and not overloaded")),
        }
    }

    async fn exchange(&self, call: Call) -> Result<Answer, ApiError> {
        let request = self.request(call)?;
        match &self.target {
            Target::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|error| self.unreachable(&error))?;
                // A request is one small segment: waiting for more to send only adds delay.
                stream.set_nodelay(true).map_err(|error| self.unreachable(&error))?;
                self.exchange_on(stream, request).await
            }
            Target::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| self.unreachable(&error))?;
                self.exchange_on(stream, request).await
            }
        }
    }

    async fn exchange_on<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, ApiError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            http1::handshake(io).await.map_err(|error| self.broken(&error))?;
        // Ends by itself once the sender and the body are dropped.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
        let status = response.status().as_u16();
        let etag = response.headers().get(header::ETAG);
        let etag = etag.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), self.answer_octets_max).collect().await;
        let body = body.map_err(|error| self.broken(error.as_ref()))?.to_bytes().to_vec();
        if (200..300).contains(&status) || status == 304 {
            Ok(Answer { status, etag, body })
        } else {
            Err(self.problem(status, &body))
        }
    }

    fn request(&self, call: Call) -> Result<Request<Full<Bytes>>, ApiError> {
        let mut builder = Request::builder()
            .method(call.method)
            .uri(format!("{}{}", self.base, call.path))
            .header(header::HOST, self.authority())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("srwan/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.bearer {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(tag) = &call.if_none_match {
            builder = builder.header(header::IF_NONE_MATCH, tag);
        }
        if call.body.is_some() {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(call.body.unwrap_or_default()));
        builder.body(body).map_err(|error| {
            ApiError::new(0, code::BAD_URL, "the request cannot be written").why(error.to_string())
        })
    }

    fn authority(&self) -> String {
        match &self.target {
            Target::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Target::Tcp { host, port } => format!("{host}:{port}"),
            Target::Unix(_) => "localhost".to_owned(),
        }
    }

    fn problem(&self, status: u16, body: &[u8]) -> ApiError {
        if let Ok(error) = serde_json::from_slice::<ApiError>(body) {
            return ApiError { status, ..error };
        }
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        ApiError::new(status, code::BAD_ANSWER, format!("{self} answered with status {status}"))
            .why(text.escape_debug().to_string())
            .fix("check that the address is a srwan daemon of the same version")
    }

    fn unreachable(&self, error: &std::io::Error) -> ApiError {
        ApiError::new(0, code::UNREACHABLE, format!("cannot connect to {self}"))
            .why(error.to_string())
            .fix("check the address, and that the daemon is running")
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> ApiError {
        let why = error.source().map_or_else(|| error.to_string(), |s| format!("{error}: {s}"));
        ApiError::new(0, code::BROKEN, format!("the connection to {self} broke")).why(why)
    }
}

impl std::fmt::Display for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            Target::Tcp { .. } => write!(f, "http://{}{}", self.authority(), self.base),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The same client for callers that have no async runtime.
///
/// Must not be called from inside one: a runtime cannot wait for another.
#[derive(Debug)]
pub struct BlockingClient {
    client: HttpClient,
    runtime: tokio::runtime::Runtime,
}

impl BlockingClient {
    /// Wraps a client.
    ///
    /// # Errors
    /// The operating system refuses the descriptors that a runtime needs.
    pub fn new(client: HttpClient) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client, runtime })
    }

    /// Reads `path` as JSON.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.runtime.block_on(self.client.get(path))
    }

    /// Posts JSON to `path` and reads JSON.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub fn post<Q: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> Result<T, ApiError> {
        self.runtime.block_on(self.client.post(path, body))
    }

    /// Makes one call within its deadline.
    ///
    /// # Errors
    /// As [`HttpClient::call`].
    pub fn call(&self, call: Call) -> Result<Answer, ApiError> {
        self.runtime.block_on(self.client.call(call))
    }
}

/// Escapes a path segment or query value; RFC 3986 section 2.3 keeps the unreserved characters.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn parse_url(url: &str) -> Result<(Target, String), ApiError> {
    let bad = |why: &str| {
        ApiError::new(0, code::BAD_URL, format!("`{url}` is not an address of a daemon"))
            .why(why)
            .fix("write http://HOST:PORT or unix:/path/to.sock")
    };
    let uri: Uri = url.parse().map_err(|_| bad("it is not a URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(bad("only http is spoken; end TLS in front of the daemon"));
    }
    let host = uri.host().ok_or_else(|| bad("it names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(80);
    Ok((Target::Tcp { host, port }, uri.path().trim_end_matches('/').to_owned()))
}
