//! I35: who gets a session.

use std::os::unix::fs::PermissionsExt;

use srwan_portal::{ATTEMPTS_MAX, SESSIONS_MAX, TokenError, portal_url};

use crate::desk::Desk;

#[tokio::test]
async fn every_route_but_health_and_login_needs_a_session() {
    let desk = Desk::open().await;
    for path in ["/", "/assets/app.js", "/api/v1/session", "/api/v1/overview", "/ws", "/nowhere"] {
        let reply = desk.get(path, "").await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "SRW-W001"), "{path}");
    }
    assert_eq!(desk.post("/logout", "").await.status, 401);
    assert_eq!(desk.get("/health", "").await.body, "ok\n");
    assert_eq!(desk.get("/login", "").await.status, 200);
    let guessed = format!("Cookie: srwan-{}={}\r\n", desk.address.port(), "0".repeat(64));
    assert_eq!(desk.get("/", &guessed).await.status, 401);
}

#[tokio::test]
async fn a_browser_without_session_is_told_how_to_log_in() {
    let desk = Desk::open().await;
    let reply = desk.get("/", "Accept: text/html,*/*\r\n").await;
    assert_eq!(reply.status, 401);
    assert!(reply.body.contains("srwan portal url"));
    assert!(reply.body.contains("<form"));
}

#[tokio::test]
async fn a_token_opens_exactly_one_session() {
    let desk = Desk::open().await;
    let token = desk.token();
    let url = format!("/login?token={token}");
    let first = desk.get(&url, "").await;
    assert_eq!(first.status, 200);
    let cookie = first.header("set-cookie").unwrap();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    assert!(cookie.contains("path=/") && !cookie.contains("domain"), "{cookie}");
    assert_eq!(desk.get(&url, "").await.status, 403);
    assert_ne!(desk.token(), token, "a fresh token is in the file");
    desk.login().await;
}

#[tokio::test]
async fn of_many_concurrent_uses_of_a_token_one_wins() {
    let desk = std::sync::Arc::new(Desk::open().await);
    let url = format!("/login?token={}", desk.token());
    let uses: Vec<_> = (0..100)
        .map(|_| {
            let (desk, url) = (std::sync::Arc::clone(&desk), url.clone());
            tokio::spawn(async move { desk.get(&url, "").await.status })
        })
        .collect();
    let mut sessions = 0;
    for one in uses {
        sessions += u32::from(one.await.unwrap() == 200);
    }
    assert_eq!(sessions, 1);
}

#[tokio::test]
async fn five_wrong_tokens_a_minute_and_then_none() {
    let desk = Desk::open().await;
    let right = desk.token();
    let wrong = ["", "x", &right[1..], &"0".repeat(64), &format!("{right}0")].map(str::to_owned);
    assert_eq!(wrong.len(), ATTEMPTS_MAX);
    for token in wrong {
        assert_eq!(desk.get(&format!("/login?token={token}"), "").await.status, 403, "{token}");
    }
    let reply = desk.get(&format!("/login?token={right}"), "").await;
    assert_eq!(reply.status, 429, "the right one has to wait too");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(desk.token(), right, "a refused login consumes nothing");
}

#[tokio::test]
async fn right_tokens_are_not_limited() {
    let desk = Desk::open().await;
    for _ in 0..3 * ATTEMPTS_MAX {
        desk.login().await;
    }
}

#[tokio::test]
async fn a_preview_of_the_link_does_not_consume_the_token() {
    let desk = Desk::open().await;
    let token = desk.token();
    let head = format!("HEAD /login?token={token} HTTP/1.1\r\nHost: {}\r\n", desk.address);
    assert_eq!(desk.raw(&head).await.header("set-cookie"), None);
    assert_eq!(desk.token(), token);
}

#[tokio::test]
async fn a_login_is_refused_when_the_next_token_cannot_be_written() {
    let desk = Desk::open().await;
    let url = format!("/login?token={}", desk.token());
    // A folder at the place of the draft stops the write also for root, whom no permission stops.
    let draft = desk.token_file.with_extension("token-draft");
    std::fs::create_dir(&draft).unwrap();
    let reply = desk.get(&url, "").await;
    assert_eq!((reply.status, reply.header("set-cookie")), (500, None));
    std::fs::remove_dir(&draft).unwrap();
    assert_eq!(desk.get(&url, "").await.status, 200);
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_is_closed() {
    let desk = Desk::open().await;
    let first = desk.login().await;
    for _ in 0..SESSIONS_MAX {
        desk.login().await;
    }
    assert_eq!(desk.get("/", &first.cookie).await.status, 401);
}

#[tokio::test]
async fn the_token_file_is_private_and_checked() {
    let desk = Desk::open().await;
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&desk.token_file, permissions).unwrap();
    };
    let about = std::fs::metadata(&desk.token_file).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    mode(0o640);
    let refused = portal_url(desk.address, &desk.token_file);
    assert!(matches!(refused, Err(TokenError::Exposed { mode: 0o640, .. })), "{refused:?}");
    mode(0o600);
    assert!(portal_url(desk.address, &desk.token_file).is_ok());

    std::fs::write(&desk.token_file, "short\n").unwrap();
    let refused = portal_url(desk.address, &desk.token_file);
    assert!(matches!(refused, Err(TokenError::Malformed { .. })), "{refused:?}");
    let missing = portal_url(desk.address, &desk.folder.path().join("none"));
    assert!(matches!(missing, Err(TokenError::Io { .. })), "{missing:?}");
}

#[tokio::test]
async fn an_address_for_everywhere_is_printed_as_loopback() {
    let desk = Desk::open().await;
    let url = |listen: &str| portal_url(listen.parse().unwrap(), &desk.token_file).unwrap();
    assert!(url("0.0.0.0:7443").starts_with("http://127.0.0.1:7443/login?token="));
    assert!(url("[::]:7443").starts_with("http://[::1]:7443/login?token="));
    assert!(url("192.0.2.1:7443").starts_with("http://192.0.2.1:7443/login?token="));
}

#[tokio::test]
async fn logout_ends_the_session() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let token = format!("{}x-srwan-csrf: {}\r\n", browser.cookie, browser.csrf);
    assert_eq!(desk.post("/logout", &token).await.status, 204);
    assert_eq!(desk.get("/", &browser.cookie).await.status, 401);
}
