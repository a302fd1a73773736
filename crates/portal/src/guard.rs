//! What every request passes before a route sees it.
//!
//! ```text
//! headers -> Host (421) -> Origin, Sec-Fetch-Site (403) -> [ /health, /login ]
//!                                                       -> session (401) -> CSRF on POST (403) ->
//! route
//! ```

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Portal;
use crate::login;
use crate::problem::Problem;
use crate::session::Session;
use crate::token::equal;

/// The header in which a page repeats its session's token on every request that changes something.
pub const CSRF_HEADER: &str = "x-srwan-csrf";

/// Scripts, styles and connections from here alone, nothing inline, no frame around the page, and
/// no string becomes markup except through the one policy of the UI framework's templates.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'; \
     trusted-types svelte-trusted-html";

/// Headers of every response. `no-store` everywhere: the page is served over loopback and may
/// change with the binary.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Puts the security headers on every response; a route's own policy stays.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Refuses requests under a foreign name and requests that another site made the browser send.
pub async fn site(State(portal): State<Arc<Portal>>, request: Request, next: Next) -> Response {
    let Some(host) = portal.hosts.check(request.uri(), request.headers()) else {
        return Problem::HOST.into_response();
    };
    if is_foreign(host, request.headers()) {
        return refuse(&request, Problem::ORIGIN);
    }
    next.run(request).await
}

/// Lets a request with an open session through, and one that changes something only with the
/// session's token.
pub async fn session(
    State(portal): State<Arc<Portal>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(session) = find_session(&portal, request.headers()) else {
        return refuse(&request, Problem::LOGIN);
    };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !carries_token(&session, request.headers()) {
        return Problem::CSRF.into_response();
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

/// True if the request does not say who sent it; a browser always says so when it opens a
/// WebSocket.
pub fn lacks_origin(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::ORIGIN)
}

/// Browsers that send neither header are older than `Sec-Fetch-Site`; SameSite and the CSRF token
/// stop what they let by.
fn is_foreign(host: &str, headers: &HeaderMap) -> bool {
    let own = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        let rest = bytes.strip_prefix(b"http://").or_else(|| bytes.strip_prefix(b"https://"));
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()))
    };
    let near = |value: &HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
    headers.get_all(header::ORIGIN).iter().any(|value| !own(value))
        || headers.get_all("sec-fetch-site").iter().any(|value| !near(value))
}

fn find_session(portal: &Portal, headers: &HeaderMap) -> Option<Session> {
    let now = Instant::now();
    login::cookies(headers, &portal.cookie).find_map(|id| portal.sessions.find(id, now))
}

fn carries_token(session: &Session, headers: &HeaderMap) -> bool {
    let given = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes);
    given.is_some_and(|given| equal(given, session.csrf.as_bytes()))
}

/// A person gets the page that asks for a token, a program the problem itself.
fn refuse(request: &Request, problem: Problem) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        login::page(problem)
    } else {
        problem.into_response()
    }
}
