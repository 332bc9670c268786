//! A network namespace with a way out on which nobody answers, where the kernel counts what is sent.

use std::process::{Command, Output};

/// Set in the process that runs inside.
const INSIDE: &str = "INHOUSE_TEST_NAMESPACE";

/// Runs `inside` in a namespace of its own: the test of this name is begun once more there. Says so and does nothing
/// where this machine lets nobody make one.
pub fn run(test: &str, inside: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        make_a_way_out();
        return inside();
    }
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
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", errors(&output));
    assert!(text.contains("1 passed"), "it did not run inside: {text}");
}

/// Packets that were sent by the way out, as the kernel counts them.
pub fn packets_out() -> u64 {
    packets("out")
}

/// Packets that this machine sent itself, where a name server or a proxy may be.
pub fn packets_to_itself() -> u64 {
    packets("lo")
}

fn packets(interface: &str) -> u64 {
    let table = std::fs::read_to_string("/proc/net/dev").expect("the kernel's counters");
    let line = table.lines().find_map(|line| {
        let (name, counters) = line.trim().split_once(':')?;
        (name == interface).then_some(counters)
    });
    let count = line.and_then(|line| line.split_whitespace().nth(8)?.parse().ok());
    count.expect("the counter of packets sent")
}

fn unshare(arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(arguments);
    command
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An interface with a default route, on which nobody answers; neighbours are known, so that the first packet of a
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
    let made = Command::new("sh")
        .args(["-c", script])
        .output()
        .expect("sh runs");
    assert!(made.status.success(), "{}", errors(&made));
}
