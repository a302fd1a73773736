//! The client against a socket that says exactly what the test wants.

use std::time::Duration;

use srwan_api::http::{ApiError, BlockingClient, Call, HttpClient, code, escape};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

/// Reads one request and writes these octets; returns what was asked.
async fn serve_once<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &str) -> String {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    String::from_utf8(asked).unwrap()
}

/// What a client makes of an answer, and what it asked.
async fn check(answer: &str) -> (Result<serde_json::Value, ApiError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base/", listener.local_addr().unwrap());
    let client = HttpClient::new(&url).unwrap().with_bearer("secret");
    let client = client.with_answer_octets_max(64);
    let serving = async { serve_once(listener.accept().await.unwrap().0, answer).await };
    tokio::join!(client.get("/x"), serving)
}

#[tokio::test]
async fn a_json_answer_is_read_and_the_request_says_who_asks() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\":1}";
    let (result, asked) = check(answer).await;
    assert_eq!(result, Ok(serde_json::json!({ "a": 1 })));
    assert!(asked.starts_with("GET /base/x HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer secret\r\n"), "{asked}");
}

#[tokio::test]
async fn a_problem_document_keeps_its_code_and_any_other_refusal_gets_one() {
    let body = "{\"code\":\"SRW-C1\",\"what\":\"w\",\"status\":1}";
    let head = |status, body: &str| {
        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let (result, _) = check(&head(409, body)).await;
    assert_eq!(result, Err(ApiError::new(409, "SRW-C1", "w")));
    let error = check(&head(502, "<html>\n")).await.0.unwrap_err();
    assert_eq!((&*error.code, error.status, &*error.why), (code::BAD_ANSWER, 502, "<html>\\n"));
    let error = check(&head(200, "no json")).await.0.unwrap_err();
    assert_eq!(error.code, code::BAD_ANSWER);
}

#[tokio::test]
async fn answers_that_are_too_long_or_cut_short_are_errors() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 65\r\n\r\n{}", "1".repeat(65));
    assert_eq!(check(&long).await.0.unwrap_err().code, code::BROKEN);
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123";
    assert_eq!(check(cut).await.0.unwrap_err().code, code::BROKEN);
    assert_eq!(check("SSH-2.0-x\r\n").await.0.unwrap_err().code, code::BROKEN);
}

#[tokio::test]
async fn a_silent_daemon_and_an_absent_one_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = HttpClient::new(&url).unwrap();
    let call = Call::get("/").timeout(Duration::from_millis(20));
    assert!(client.call(call).await.unwrap_err().is_timeout());
    drop(listener);
    assert!(client.call(Call::get("/")).await.unwrap_err().is_unreachable());
}

#[tokio::test]
async fn a_unix_socket_is_spoken_to_as_well() {
    let path = std::env::temp_dir().join(format!("srwan-api-{}.sock", std::process::id()));
    // A socket file of an earlier process with this number.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let client = HttpClient::new(&format!("unix:{}", path.display())).unwrap();
    let answer = "HTTP/1.1 204 No Content\r\netag: \"7\"\r\n\r\n";
    let serving = async { serve_once(listener.accept().await.unwrap().0, answer).await };
    let (result, asked) = tokio::join!(client.call(Call::delete("/y")), serving);
    std::fs::remove_file(&path).unwrap();
    let result = result.unwrap();
    assert_eq!((result.status, result.etag.as_deref()), (204, Some("\"7\"")));
    assert_eq!(result.json::<()>(), Ok(()));
    assert!(asked.starts_with("DELETE /y HTTP/1.1\r\nhost: localhost\r\n"), "{asked}");
}

#[test]
fn a_blocking_caller_needs_no_runtime() {
    let client = HttpClient::unix("/nonexistent/router.sock");
    let error = BlockingClient::new(client).unwrap().get::<()>("/").unwrap_err();
    assert!(error.is_unreachable());
    assert!(error.to_string().starts_with("error[SRW-D101]: cannot connect to unix:/non"));
}

#[test]
fn addresses_are_read_or_refused_with_a_remedy() {
    for good in ["http://h", "http://10.0.0.1:80/", "http://[::1]:7080/a", "unix:/x"] {
        assert!(HttpClient::new(good).is_ok(), "{good}");
    }
    for bad in ["", "h:80", "https://h", "http://", "ftp://h", "http://h h"] {
        let error = HttpClient::new(bad).unwrap_err();
        assert_eq!(error.code, code::BAD_URL, "{bad}");
        assert!(!error.fix.is_empty());
    }
    let v6 = HttpClient::new("http://[::1]:7080/a").unwrap();
    assert_eq!(v6.to_string(), "http://[::1]:7080/a");
}

#[test]
fn names_are_escaped() {
    assert_eq!(escape("São Paulo/1"), "S%C3%A3o%20Paulo%2F1");
}
