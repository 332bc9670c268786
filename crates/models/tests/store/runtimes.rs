//! Runtimes, from a made-up catalogue through a pip and an npm that the tests write.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

use flate2::{Compression, write::GzEncoder};
use inhouse_models::{
    Cancel, Event, Flavour, InstalledRuntime, Platform, RuntimeCatalog, RuntimeChange,
    RuntimeSetup, Runtimes, State, StoreError, StoreErrorKind,
};
use serde_json::{Value, json};

use super::address::zip;
use super::fixture::{Fixture, expect_error, listing, write};
use super::hub::{noise, sha256};

const LIBRARY: &[u8] = b"the library";
const COMPANION: &[u8] = b"its companion";
const OF_NPM: &[u8] = b"the library as npm has it";
const PLUGIN: &[u8] = b"the plugin";

/// Does what the client is asked for; `$ARCHIVE` is what it fetches.
const FETCH: &str =
    "cp \"$ARCHIVE\" \"$TMPDIR/part\" && mv \"$TMPDIR/part\" \"$TO/$(basename \"$ARCHIVE\")\"";

fn wheel() -> Vec<u8> {
    zip(&[
        ("ort/capi/libort.so.1", LIBRARY),
        ("ort/capi/libort_shared.so", COMPANION),
        ("ort/capi/python.so", &noise(7, 40_000)),
        ("ort-1.dist-info/METADATA", b"Name: ort"),
    ])
}

fn plugin_wheel() -> Vec<u8> {
    zip(&[("plugin/libplugin.so", PLUGIN)])
}

fn tgz() -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, bytes) in [
        ("package/index.js", b"x".as_slice()),
        ("package/bin/libort.so", OF_NPM),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn file(path: &str, bytes: &[u8]) -> Value {
    json!({"path": path, "size": bytes.len(), "sha256": sha256(bytes)})
}

fn package(
    flavour: &str,
    client: &str,
    name: &str,
    archive: (&str, &[u8]),
    files: &[Value],
) -> Value {
    json!({
        "flavour": flavour, "os": "tests", "arch": "any", "client": client,
        "package": name, "version": "1", "requires": [],
        "archive": {"file": archive.0, "size": archive.1.len(), "sha256": sha256(archive.1)},
        "files": files,
    })
}

/// A runtime from pip or else npm, one from pip alone, and a plugin of the first.
fn packages() -> Vec<Value> {
    let files = [
        file("ort/capi/libort.so.1", LIBRARY),
        file("ort/capi/libort_shared.so", COMPANION),
    ];
    let wheel = ("ort-1-cp312-cp312-linux_any.whl", &*wheel());
    let mut cuda = package("cuda", "pip", "ort", wheel, &files);
    cuda["requires"] = json!(["cublas"]);
    let npm = [file("package/bin/libort.so", OF_NPM)];
    let plugin = ("plugin-1-py3-none-linux_any.whl", &*plugin_wheel());
    let mut webgpu = package(
        "webgpu",
        "pip",
        "plugin",
        plugin,
        &[file("plugin/libplugin.so", PLUGIN)],
    );
    webgpu["beside"] = json!("cpu");
    vec![
        package("cpu", "pip", "ort", wheel, &files),
        package("cpu", "npm", "ort-node", ("ort-node-1.tgz", &tgz()), &npm),
        cuda,
        webgpu,
    ]
}

fn platform() -> Platform {
    Platform {
        os: "tests".into(),
        arch: "any".into(),
    }
}

fn runtimes_of(fixture: &Fixture, packages: &[Value]) -> Runtimes {
    let catalog = json!({"about": [], "packages": packages, "others": []});
    let catalog = RuntimeCatalog::parse(&catalog.to_string()).unwrap();
    Runtimes::with_catalog(fixture.options.clone(), catalog, platform()).unwrap()
}

fn runtimes(fixture: &Fixture) -> Runtimes {
    runtimes_of(fixture, &packages())
}

fn install(fixture: &Fixture, flavour: Flavour) -> Result<Vec<RuntimeSetup>, StoreError> {
    runtimes(fixture).install(flavour, &fixture.events)
}

fn installed(fixture: &Fixture, flavour: Flavour) -> RuntimeSetup {
    let mut setups = install(fixture, flavour).unwrap();
    assert_eq!(setups.len(), 1);
    setups.remove(0)
}

fn here(fixture: &Fixture) -> Vec<InstalledRuntime> {
    runtimes(fixture).list().unwrap()
}

/// What is below the folder of runtimes, but for the locks.
fn files(fixture: &Fixture) -> Vec<String> {
    let mut files = listing(&fixture.path("home/runtimes"));
    files.retain(|file| !file.starts_with(".locks"));
    files
}

/// A client that writes down what it was asked and runs this script.
fn client(
    fixture: &Fixture,
    name: &str,
    to: &str,
    archives: &[(&str, &[u8])],
    script: &str,
) -> Vec<std::ffi::OsString> {
    let path = fixture.path(name);
    for (file, bytes) in archives {
        write(&fixture.path("stored").join(file), bytes);
    }
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {0}.log\ncat \"$TMPDIR/requirements.txt\" >> {0}.log 2>/dev/null\n\
         TO={to}\nARCHIVE={1}/{2}\ncase \"$(cat \"$TMPDIR/requirements.txt\" 2>/dev/null)\" in plugin*) \
         ARCHIVE={1}/plugin-1-py3-none-linux_any.whl;; esac\n{script}\n",
        path.display(),
        fixture.path("stored").display(),
        archives[0].0,
    );
    write(&path, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    vec![path.into()]
}

fn pip(fixture: &Fixture, wheel: &[u8], script: &str) -> Vec<std::ffi::OsString> {
    let archives = [
        ("ort-1-cp312-cp312-linux_any.whl", wheel),
        ("plugin-1-py3-none-linux_any.whl", &*plugin_wheel()),
    ];
    // It runs where the wheel belongs.
    client(fixture, "pip", "$PWD", &archives, script)
}

fn npm(fixture: &Fixture, script: &str) -> Vec<std::ffi::OsString> {
    client(
        fixture,
        "npm",
        "$PWD",
        &[("ort-node-1.tgz", &tgz())],
        script,
    )
}

/// A machine with a pip that works.
fn with_pip() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.options.pip = vec![pip(&fixture, &wheel(), FETCH)];
    fixture
}

fn log(fixture: &Fixture, client: &str) -> String {
    fs::read_to_string(fixture.path(&format!("{client}.log"))).unwrap_or_default()
}

/// How often a client was run.
fn runs(fixture: &Fixture, client: &str) -> usize {
    let commands = ["download ", "pack "];
    let log = log(fixture, client);
    log.lines()
        .filter(|line| commands.iter().any(|command| line.starts_with(command)))
        .count()
}

#[test]
fn a_runtime_is_installed_from_a_wheel_once() {
    let fixture = with_pip();
    let setup = installed(&fixture, Flavour::Cpu);
    assert_eq!(setup.change, RuntimeChange::Installed);
    let runtime = &setup.runtime;
    let folder = fixture.path("home/runtimes/cpu");
    assert_eq!((&runtime.folder, &runtime.state), (&folder, &State::Ready));
    assert_eq!(fs::read(&runtime.library).unwrap(), LIBRARY);
    assert_eq!(runtime.size, (LIBRARY.len() + COMPANION.len()) as u64);
    let record: Value =
        serde_json::from_slice(&fs::read(folder.join("record.json")).unwrap()).unwrap();
    assert_eq!(
        record,
        json!({
            "format": 1, "flavour": "cpu", "package": "ort", "version": "1", "client": "pip",
            "installed_at": "2026-01-02T03:04:05Z", "library": "libort.so.1",
            "files": [file("libort.so.1", LIBRARY), file("libort_shared.so", COMPANION)],
        })
    );
    let names: Vec<_> = files(&fixture)
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        ["cpu/libort.so.1", "cpu/libort_shared.so", "cpu/record.json"]
    );

    let asked = log(&fixture, "pip");
    for part in [
        "download --no-deps ",
        " --only-binary :all: ",
        " --python-version 3.12 --implementation cp --abi cp312 --platform linux_any ",
        " --require-hashes -r ",
        &format!("ort==1 --hash=sha256:{}\n", sha256(&wheel())),
    ] {
        assert!(asked.contains(part), "{part:?} is not in {asked}");
    }

    assert_eq!(here(&fixture), std::slice::from_ref(runtime));
    let library = runtimes(&fixture).library(Flavour::Cpu).unwrap();
    assert_eq!(library.as_ref(), Some(&runtime.library));
    let again = installed(&fixture, Flavour::Cpu);
    assert_eq!(
        (again.change, &again.runtime),
        (RuntimeChange::None, runtime)
    );
    assert_eq!(runs(&fixture, "pip"), 1);
}

#[test]
fn what_is_damaged_is_told_and_mended() {
    let fixture = with_pip();
    let runtime = installed(&fixture, Flavour::Cpu).runtime;
    let library = || runtimes(&fixture).library(Flavour::Cpu).unwrap();
    let record = runtime.folder.join("record.json");
    let text = fs::read_to_string(&record).unwrap();
    let harm = |path: &std::path::Path, bytes: &[u8]| fs::write(path, bytes).unwrap();
    let cases: [(&dyn Fn(), &str, bool); 6] = [
        // Only a look at every byte tells this one.
        (
            &|| harm(&runtime.library, b"THE LIBRARY"),
            "libort.so.1 was changed",
            true,
        ),
        (
            &|| harm(&runtime.library, b"lib"),
            "libort.so.1 has 3 bytes instead of 11",
            false,
        ),
        (
            &|| fs::remove_file(&runtime.library).unwrap(),
            "libort.so.1 is missing",
            false,
        ),
        (
            &|| fs::remove_file(&record).unwrap(),
            "record.json is missing",
            false,
        ),
        (&|| harm(&record, b"{"), "record.json cannot be read", false),
        (
            &|| {
                harm(
                    &record,
                    text.replace("library\": \"", "library\": \"../").as_bytes(),
                )
            },
            "names no library of its own",
            false,
        ),
    ];
    for (harm, said, sizes_fit) in cases {
        harm();
        let found = here(&fixture);
        let State::Damaged(why) = &found[0].state else {
            panic!("{said}: {found:?}");
        };
        assert!(why.contains(said), "{why}");
        assert_eq!(library().is_some(), sizes_fit, "{said}");
        let mended = installed(&fixture, Flavour::Cpu);
        assert_eq!(mended.change, RuntimeChange::Mended);
        assert_eq!(here(&fixture), std::slice::from_ref(&runtime));
    }
}

#[test]
fn another_version_is_replaced() {
    let fixture = with_pip();
    installed(&fixture, Flavour::Cpu);
    let mut newer = packages();
    newer[0]["version"] = json!("2");
    let setups = runtimes_of(&fixture, &newer)
        .install(Flavour::Cpu, &fixture.events)
        .unwrap();
    assert_eq!(setups[0].change, RuntimeChange::Replaced);
    assert_eq!(setups[0].runtime.version, "2");
}

#[test]
fn what_can_be_installed_is_what_is_not_here_or_in_another_version() {
    let fixture = with_pip();
    let check = |packages: &[Value], expected: &[&str]| {
        let runtimes = runtimes_of(&fixture, packages);
        let here = runtimes.list().unwrap();
        let available = runtimes.available(&here).into_iter();
        let found: Vec<_> = available
            .map(|package| format!("{} {}", package.flavour, package.version))
            .collect();
        assert_eq!(found, expected);
    };
    check(&packages(), &["cpu 1", "cuda 1", "webgpu 1"]);
    installed(&fixture, Flavour::Cpu);
    check(&packages(), &["cuda 1", "webgpu 1"]);
    let mut newer = packages();
    newer[0]["version"] = json!("2");
    check(&newer, &["cpu 2", "cuda 1", "webgpu 1"]);
}

#[test]
fn what_is_not_the_known_bytes_leaves_nothing() {
    // The archive is another.
    let mut fixture = Fixture::new();
    fixture.options.pip = vec![pip(&fixture, b"a wheel of someone else", FETCH)];
    let expected = sha256(&wheel());
    expect_error(
        install(&fixture, Flavour::Cpu),
        StoreErrorKind::Corrupt,
        &["ort==1", &expected, "nothing of it was used"],
    );
    assert!(files(&fixture).is_empty(), "{:?}", files(&fixture));

    // The archive is the one, and what it holds is not.
    let fixture = with_pip();
    let check = |pointer: &str, wrong: Value, kind, text: &str| {
        let mut packages = packages();
        *packages[0].pointer_mut(pointer).unwrap() = wrong;
        let runtimes = runtimes_of(&fixture, &packages);
        expect_error(
            runtimes.install(Flavour::Cpu, &fixture.events),
            kind,
            &[text],
        );
        assert!(files(&fixture).is_empty(), "{:?}", files(&fixture));
    };
    let wrong = json!("0".repeat(64));
    check(
        "/files/1/sha256",
        wrong,
        StoreErrorKind::Corrupt,
        "libort_shared.so",
    );
    check(
        "/files/1/size",
        json!(5),
        StoreErrorKind::Corrupt,
        "expected 5 bytes",
    );
    check(
        "/files/1/path",
        json!("ort/x.so"),
        StoreErrorKind::NotFound,
        "ort/x.so",
    );
}

#[test]
fn npm_is_asked_where_there_is_no_pip() {
    let mut fixture = Fixture::new();
    let missing = "echo 'python3: No module named pip' >&2; exit 1";
    let no_python = "echo 'env: python3: No such file' >&2; exit 127";
    fixture.options.pip = vec![
        vec!["/nonexistent/pip".into()],
        client(&fixture, "pip3", "$PWD", &[("x.whl", b"")], no_python),
        pip(&fixture, &wheel(), missing),
    ];
    fixture.options.npm = vec![npm(&fixture, FETCH)];
    let setup = installed(&fixture, Flavour::Cpu);
    assert_eq!(setup.runtime.package, "ort-node");
    assert_eq!(fs::read(&setup.runtime.library).unwrap(), OF_NPM);
    assert!(log(&fixture, "npm").starts_with("pack ort-node@1 --ignore-scripts "));
    // Only what comes is shown as coming.
    assert_eq!(fixture.events.count("FileStarted"), 1);
    assert_eq!(fixture.events.count("FileDone"), 1);
    // That is current, whatever pip would have.
    fixture.options.pip = vec![pip(&fixture, &wheel(), FETCH)];
    assert_eq!(
        installed(&fixture, Flavour::Cpu).change,
        RuntimeChange::None
    );

    expect_error(
        install(&Fixture::new(), Flavour::Cpu),
        StoreErrorKind::Pip,
        &[
            "ort==1 comes through pip: install Python 3",
            "ort-node@1 comes through npm: install Node.js",
        ],
    );
}

#[test]
fn what_a_client_says_is_said() {
    let mut fixture = Fixture::new();
    fixture.options.pip = vec![pip(
        &fixture,
        &wheel(),
        "echo 'ERROR: no such thing' >&2; exit 1",
    )];
    // It is there, so nobody else is asked.
    fixture.options.npm = vec![npm(&fixture, FETCH)];
    expect_error(
        install(&fixture, Flavour::Cpu),
        StoreErrorKind::Pip,
        &["pip could not fetch ort==1: ERROR: no such thing"],
    );
    assert_eq!(runs(&fixture, "npm"), 0);
    assert!(files(&fixture).is_empty());

    fixture.options.pip.clear();
    fixture.options.npm = vec![npm(
        &fixture,
        "printf 'npm error code ENOTFOUND\\nnpm error network request failed\\nlog\\n' >&2; exit 1",
    )];
    expect_error(
        install(&fixture, Flavour::Cpu),
        StoreErrorKind::Npm,
        &[
            "npm could not fetch ort-node@1: it could not connect",
            "request failed",
        ],
    );
}

#[test]
fn offline_nothing_is_fetched_and_the_way_by_hand_is_said() {
    let fixture = with_pip().offline();
    expect_error(
        install(&fixture, Flavour::Cpu),
        StoreErrorKind::Offline,
        &[
            "inhouse runtime install cpu",
            "--offline",
            "libort.so.1, libort_shared.so of ort==1",
            "ORT_DYLIB_PATH",
        ],
    );
    assert_eq!(runs(&fixture, "pip"), 0);
    assert!(files(&fixture).is_empty());

    // What is here is here.
    let mut fixture = with_pip();
    installed(&fixture, Flavour::Cpu);
    fixture.options.offline = true;
    assert_eq!(
        installed(&fixture, Flavour::Cpu).change,
        RuntimeChange::None
    );
}

#[test]
fn room_is_asked_for_before_anything_is_fetched() {
    let fixture = with_pip();
    fixture.machine.free.store(1000, Ordering::SeqCst);
    expect_error(
        install(&fixture, Flavour::Cpu),
        StoreErrorKind::NoSpace,
        &["the cpu runtime", "1.00 kB free"],
    );
    assert_eq!(runs(&fixture, "pip"), 0);
    assert!(files(&fixture).is_empty());
}

#[test]
fn a_whole_archive_is_kept_where_the_disk_becomes_full() {
    let fixture = with_pip();
    fixture.machine.room.store(5, Ordering::SeqCst);
    expect_error(
        install(&fixture, Flavour::Cpu),
        StoreErrorKind::NoSpace,
        &["the disk is full"],
    );
    assert!(here(&fixture).is_empty());
    fixture.machine.room.store(u64::MAX / 4, Ordering::SeqCst);
    installed(&fixture, Flavour::Cpu);
    assert_eq!(runs(&fixture, "pip"), 1);
    assert_eq!(files(&fixture).len(), 3);
}

#[test]
fn a_client_is_ended_when_its_installation_is_cancelled() {
    let mut fixture = Fixture::new();
    let script = "head -c 1000 \"$ARCHIVE\" > \"$TMPDIR/part\"; exec sleep 60";
    fixture.options.pip = vec![pip(&fixture, &wheel(), script)];
    let cancel = Cancel::new();
    fixture.options.cancel = cancel.clone();
    let sink = |event: &Event<'_>| {
        if matches!(event, Event::Bytes { count: 1000, .. }) {
            cancel.cancel();
        }
    };
    expect_error(
        runtimes(&fixture).install(Flavour::Cpu, &sink),
        StoreErrorKind::Cancelled,
        &["cancelled; the cpu runtime was not installed"],
    );
    assert!(files(&fixture).is_empty());
}

#[test]
fn a_plugin_brings_what_it_is_loaded_into() {
    let fixture = with_pip();
    let flavours = |setups: &[RuntimeSetup]| -> Vec<_> {
        setups.iter().map(|setup| setup.runtime.flavour).collect()
    };
    let setups = install(&fixture, Flavour::WebGpu).unwrap();
    assert_eq!(flavours(&setups), [Flavour::Cpu, Flavour::WebGpu]);
    assert_eq!(fs::read(&setups[1].runtime.library).unwrap(), PLUGIN);
    assert_eq!(here(&fixture).len(), 2);
    let again = install(&fixture, Flavour::WebGpu).unwrap();
    assert_eq!(flavours(&again), [Flavour::WebGpu]);
    assert_eq!(again[0].change, RuntimeChange::None);
}

#[test]
fn what_the_machine_needs_besides_is_told() {
    let fixture = with_pip();
    for _ in 0..2 {
        assert_eq!(installed(&fixture, Flavour::Cuda).requires, ["cublas"]);
    }
}

#[test]
fn what_is_not_for_this_platform_names_what_is() {
    expect_error(
        install(&with_pip(), Flavour::DirectMl),
        StoreErrorKind::Unsupported,
        &[
            "no directml runtime for tests any",
            "there are: cpu, cuda, webgpu",
        ],
    );
}

#[test]
fn a_runtime_is_removed_by_its_name() {
    let fixture = with_pip();
    let remove = |name| runtimes(&fixture).remove(name, &fixture.events);
    expect_error(
        remove("cpu"),
        StoreErrorKind::UnknownRuntime,
        &["\"cpu\"", "here: none"],
    );
    install(&fixture, Flavour::WebGpu).unwrap();
    for name in ["cuda", "../cpu", ""] {
        expect_error(
            remove(name),
            StoreErrorKind::UnknownRuntime,
            &["here: cpu, webgpu"],
        );
    }
    let removed = remove("CPU").unwrap();
    assert_eq!(removed.stranded, [Flavour::WebGpu]);
    assert!(removed.freed > 24);
    assert_eq!(remove("webgpu").unwrap().stranded, []);
    assert!(files(&fixture).is_empty());
}

#[test]
fn two_at_once_fetch_it_once() {
    let fixture = with_pip();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| installed(&fixture, Flavour::Cpu));
        }
    });
    assert_eq!(runs(&fixture, "pip"), 1);
    assert_eq!(here(&fixture).len(), 1);
}
