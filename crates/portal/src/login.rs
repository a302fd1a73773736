//! `/login`: a token becomes a session. The only page that needs none.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use crate::Portal;
use crate::problem::Problem;
use crate::session::Session;

/// The page that asks for a token. Two marks are replaced: `{{what}}` and `{{fix}}`, with strings
/// of this program alone.
const PAGE: &str = include_str!("login.html");

/// The page behind a successful login.
///
/// A redirect would be followed as part of the navigation that led here; if that began at another
/// site, a
/// `SameSite=Strict` cookie would not be sent with it. A refresh is a navigation of our own.
const WELCOME: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <meta name=color-scheme content='light dark'><meta http-equiv=refresh content='0;url=/'>\
    <link rel=icon href=/assets/icon.svg>\
    <title>srwan</title><p><a href=/>Open the router's page</a>";

/// Policy of this page: its one inline style, named by its SHA-256 (a test compares), and a form
/// that leads back here.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-BLQCz1SLPHzivxBoGBoaJuN28V5jh7QZWt7+CHl5HCM='; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Query of `/login`.
#[derive(Deserialize)]
pub struct Login {
    token: Option<String>,
}

/// Exchanges the one-time token for a session cookie.
pub async fn login(
    State(portal): State<Arc<Portal>>,
    method: Method,
    Query(query): Query<Login>,
) -> Response {
    let Some(token) = query.token.filter(|_| method == Method::GET) else {
        return page(Problem { status: 200, ..Problem::LOGIN });
    };
    let now = Instant::now();
    if let Err(wait) = portal.attempts.begin(now) {
        let mut response = page(Problem::ATTEMPTS);
        let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        return response;
    }
    match portal.token.exchange(token.trim()) {
        Ok(true) => portal.attempts.forgive(),
        Ok(false) => return page(Problem::TOKEN),
        Err(error) => {
            tracing::error!(%error, "portal: login refused");
            return page(Problem::STORAGE);
        }
    }
    match portal.sessions.open(now) {
        Ok(session) => welcome(&portal.cookie, &session),
        Err(error) => {
            tracing::error!(%error, "portal: login refused");
            page(Problem::STORAGE)
        }
    }
}

/// Closes the session, and the sockets opened under it.
pub async fn logout(
    State(portal): State<Arc<Portal>>,
    Extension(session): Extension<Session>,
) -> Response {
    portal.sessions.close(&session.id);
    let cookie = format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", portal.cookie);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// The page that asks for a token and says why.
pub fn page(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNAUTHORIZED);
    let what = sentence(problem.what);
    let text = PAGE.replace("{{what}}", &what).replace("{{fix}}", &sentence(problem.fix));
    (status, [(header::CONTENT_SECURITY_POLICY, POLICY)], Html(text)).into_response()
}

/// Name of the session cookie. Cookies do not know ports, so each portal of a host needs a name of
/// its own.
pub fn cookie_name(port: u16) -> String {
    format!("srwan-{port}")
}

/// The values of all cookies called `name`.
pub fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(key, _)| *key == name).map(|(_, value)| value)
}

/// A clause with a capital letter and a full stop.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

fn welcome(cookie: &str, session: &Session) -> Response {
    let cookie = format!("{cookie}={}; Path=/; HttpOnly; SameSite=Strict", session.id);
    ([(header::SET_COOKIE, cookie)], Html(WELCOME)).into_response()
}
