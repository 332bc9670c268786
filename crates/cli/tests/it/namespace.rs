//! ONNX Runtime's official builds report home by default. That they do not from here has the kernel as its witness: in a
//! network namespace of its own, with a way out that counts packets, what computes with it sends none.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::runtime::runtime_home;
use crate::support::{User, zoo};

/// Set in the process that runs inside, to the home with the library.
const INSIDE: &str = "INHOUSE_TEST_NAMESPACE";
const NAME: &str = "namespace::onnx_runtime_sends_no_packet";

#[test]
fn onnx_runtime_sends_no_packet() {
    if let Some(home) = std::env::var_os(INSIDE) {
        return inside(Path::new(&home));
    }
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(arguments);
        command
    };
    // As a user where the kernel lets users have namespaces, else as root.
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user", "--net"], &["--net"]];
    // The way out is made with `ip`, of the package iproute2.
    let works = |way: &&&[&str]| {
        let tried = unshare(way)
            .args(["ip", "link", "set", "lo", "up"])
            .output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let Some(way) = ways.iter().find(works) else {
        eprintln!("no network namespace can be made here: not tested");
        return;
    };
    let output = unshare(way)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(INSIDE, runtime_home())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "it did not run inside: {text}");
}

fn inside(home: &Path) {
    make_a_way_out();
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

/// An interface with a default route, on which nobody answers; the neighbour is known, so that the first packet of a
/// connection leaves. Version 6 is off there: the kernel talks to its neighbours on its own.
fn make_a_way_out() {
    let script = "set -e
        ip link set lo up
        ip link add out type veth peer name nobody
        echo 1 > /proc/sys/net/ipv6/conf/out/disable_ipv6
        echo 1 > /proc/sys/net/ipv6/conf/nobody/disable_ipv6
        ip address add 203.0.113.1/24 dev out
        ip link set out up
        ip link set nobody up
        ip neighbour add 203.0.113.2 lladdr 02:00:00:00:00:02 dev out
        ip neighbour add 203.0.113.5 lladdr 02:00:00:00:00:05 dev out
        ip route add default via 203.0.113.2 dev out";
    let made = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// Packets that were sent, as the kernel counts them: by the way out, and to this machine, where a name server may be.
fn packets_sent() -> u64 {
    let table = std::fs::read_to_string("/proc/net/dev").unwrap();
    let count = |name: &str| {
        let line = table
            .lines()
            .find_map(|line| line.trim().strip_prefix(name));
        line.and_then(|line| line.split_whitespace().nth(9)?.parse::<u64>().ok())
    };
    count("out:").unwrap() + count("lo:").unwrap()
}
