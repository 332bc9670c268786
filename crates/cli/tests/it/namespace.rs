//! ONNX Runtime's official builds report home by default. That they do not from here has the kernel as its witness: in a
//! network namespace of its own, with a way out that counts packets, what computes with it sends none.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use inhouse_testing::namespace::{self, packets_out, packets_to_itself};

use crate::runtime::runtime_home;
use crate::support::{User, zoo};

#[test]
fn onnx_runtime_sends_no_packet() {
    let home = runtime_home(); // before, as it may have to be fetched
    namespace::run("namespace::onnx_runtime_sends_no_packet", || inside(home));
}

fn inside(home: &Path) {
    let user = User::new();
    let run = |args: &[&str], said: &str| {
        let mut command = user.command(args);
        command
            .env("INHOUSE_HOME", home)
            .env("INHOUSE_PACKED", "off");
        command.env_remove("INHOUSE_OFFLINE"); // that is not what keeps it from sending
        command.env("ORT_DISABLE_TELEMETRY", "0"); // nor is it the user's choice
        command.env("TMPDIR", user.folder.path());
        let shown = user.shown(&command.output().unwrap());
        assert!(
            shown.starts_with("status: 0\n") && shown.contains(said),
            "{shown}"
        );
    };
    let folder = zoo("llama-fp32");
    let folder = folder.to_str().unwrap();
    let before = packets_sent();
    run(
        &["verify", folder, "--backend", "onnxruntime"],
        "computed by ONNX Runtime 1.",
    );
    run(
        &[
            "chat",
            "hello",
            "--raw",
            "-m",
            folder,
            "--backend",
            "onnxruntime",
            "--json",
        ],
        "\"onnxruntime\"",
    );
    run(&["doctor"], "execution provider");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(packets_sent() - before, 0, "packets were sent");
    let left: Vec<_> = std::fs::read_dir(user.folder.path()).unwrap().collect();
    assert!(
        left.is_empty(),
        "something was kept to be sent later: {left:?}"
    );

    // That the counter counts.
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    for (address, sent) in [("203.0.113.5:53", 1), ("127.0.0.1:53", 2)] {
        socket.send_to(b"hello", address).unwrap();
        assert!(
            packets_sent() - before >= sent,
            "the counter does not count {address}"
        );
    }
}

/// By the way out, and to this machine itself.
fn packets_sent() -> u64 {
    packets_out() + packets_to_itself()
}
