//! I36: foreign names, foreign sites, and what the page may load.

use srwan_portal::CSRF_HEADER;

use crate::desk::Desk;

#[tokio::test]
async fn a_foreign_name_is_misdirected() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let port = desk.address.port();
    let check = async |host: &str, status: u16| {
        for path in ["/health", "/login", "/", "/api/v1/overview"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{}", browser.cookie);
            assert_eq!(desk.raw(&head).await.status, status, "{host} {path}");
        }
    };
    check(&format!("127.0.0.1:{port}"), 200).await;
    check(&format!("localhost:{port}"), 200).await;
    check(&format!("Router.example:{port}"), 200).await;
    check(&format!("evil.example:{port}"), 421).await;
    check("127.0.0.1", 421).await;
    check("localhost:1", 421).await;
}

#[tokio::test]
async fn two_names_in_one_request_are_misdirected() {
    let desk = Desk::open().await;
    let own = desk.address;
    let twice = format!("GET /health HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n");
    let absolute = format!("GET http://evil.example/health HTTP/1.1\r\nHost: {own}\r\n");
    for head in [twice, absolute] {
        let status = desk.raw(&head).await.status;
        assert!(matches!(status, 400 | 421), "{status}");
    }
    let none = desk.raw("GET /health HTTP/1.1\r\n").await.status;
    assert!(matches!(none, 400 | 421), "{none}");
}

#[tokio::test]
async fn another_sites_request_is_refused() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let check = async |line: &str, status: u16| {
        let extra = format!("{}{line}\r\n", browser.cookie);
        assert_eq!(desk.get("/api/v1/overview", &extra).await.status, status, "{line}");
    };
    check(&format!("Origin: http://{}", desk.address), 200).await;
    check("Origin: http://evil.example", 403).await;
    check("Origin: null", 403).await;
    check(&format!("Origin: http://localhost:{}", desk.address.port()), 403).await;
    check("Sec-Fetch-Site: same-origin", 200).await;
    check("Sec-Fetch-Site: none", 200).await;
    check("Sec-Fetch-Site: same-site", 403).await;
    check("Sec-Fetch-Site: cross-site", 403).await;
    let preflight = format!("OPTIONS /logout HTTP/1.1\r\nHost: {}\r\n", desk.address);
    let preflight = desk.raw(&format!("{preflight}Origin: http://evil.example\r\n")).await;
    assert_eq!(preflight.status, 403);
    assert_eq!(preflight.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_link_on_another_site_opens_no_session_and_costs_no_token() {
    let desk = Desk::open().await;
    let token = desk.token();
    let extra = "Accept: text/html\r\nSec-Fetch-Site: cross-site\r\n";
    let reply = desk.get(&format!("/login?token={token}"), extra).await;
    assert_eq!((reply.status, reply.header("set-cookie")), (403, None));
    assert!(reply.body.contains("<form"), "the page offers to paste the token");
    assert_eq!(desk.token(), token);
}

#[tokio::test]
async fn a_post_needs_the_token_of_its_own_session() {
    let desk = Desk::open().await;
    let (one, other) = (desk.login().await, desk.login().await);
    let check = async |csrf: Option<&str>, status: u16| {
        let line = csrf.map(|csrf| format!("{CSRF_HEADER}: {csrf}\r\n")).unwrap_or_default();
        let reply = desk.post("/logout", &format!("{}{line}", one.cookie)).await;
        assert_eq!(reply.status, status, "{csrf:?}");
    };
    check(None, 403).await;
    check(Some(""), 403).await;
    check(Some(&other.csrf), 403).await;
    check(Some(&one.csrf), 204).await;
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    for path in ["/", "/assets/app.js", "/api/v1/overview", "/nowhere", "/health", "/login"] {
        let reply = desk.get(path, &browser.cookie).await;
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self'") || path == "/login", "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
    }
    let refused = desk.raw("GET / HTTP/1.1\r\nHost: evil.example\r\n").await;
    assert!(refused.header("content-security-policy").is_some());
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let desk = Desk::open().await;
    let browser = desk.login().await;
    let head = format!(
        "POST /logout HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n{}",
        desk.address, browser.cookie
    );
    assert_eq!(desk.raw(&head).await.status, 413);
}
