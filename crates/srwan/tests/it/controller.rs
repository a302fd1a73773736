//! A controller as a process of the real binary.

use crate::run::{Daemon, srwan};

#[test]
fn a_controller_is_run_asked_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("controller.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\nstate_dir = \"state\"\n").unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    srwan(&["controller", "token", "--state-dir", state]).fails(1, "SRW-C205");
    let daemon = Daemon::start(&["controller", "run", "--config", config.to_str().unwrap()]);
    let key = srwan(&["controller", "key", "--state-dir", state]).answers().trim().to_owned();
    let told = srwan(&["controller", "key", "--state-dir", state, "--json"]).json();
    assert_eq!(told["controller_key"], key);
    let token = srwan(&["controller", "token", "--state-dir", state]).answers().to_owned();
    assert!(token.trim().len() >= 32, "{token}");
    for verb in ["status", "group", "list"] {
        let arguments = ["controller", verb, "--url", &daemon.url];
        srwan(&arguments).answers();
        srwan(&[&arguments[..], &["--json"]].concat()).json();
    }
    let status = srwan(&["controller", "status", "--url", &daemon.url, "--json"]).json();
    assert_eq!(status["controller_key"], key);
    let order = ["controller", "quarantine", "7", "--reason", "test", "--state-dir", state];
    srwan(&order).fails(4, "SRW-C141");
    srwan(&["controller", "release", "7", "--state-dir", state]).fails(4, "SRW-C141");
    let (status, log) = daemon.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
}
