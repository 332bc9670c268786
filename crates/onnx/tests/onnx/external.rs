//! External data: found inside the model's folder, and nowhere else.

use std::fs;
use std::path::{Path, PathBuf};

use inhouse_onnx::{LoadError, LoadErrorKind, Model, Tensor};
use tempfile::TempDir;

use crate::wire::{external, initializer, model};

/// A folder `model` with `model.onnx`, whose one tensor of two f32 is where `entries` say, and `w.data` of 16 bytes.
struct Fixture {
    dir: TempDir,
}

impl Fixture {
    fn new(entries: &[(&str, &str)]) -> Fixture {
        let fixture = Fixture {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(fixture.folder()).unwrap();
        fs::write(
            fixture.folder().join("w.data"),
            0x1234_5678_u32.to_le_bytes().repeat(4),
        )
        .unwrap();
        fixture.point(entries);
        fixture
    }

    fn point(&self, entries: &[(&str, &str)]) {
        let file = model(&[initializer(1, &[2], &[external(entries)])]);
        fs::write(self.folder().join("model.onnx"), file).unwrap();
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("model")
    }

    fn load(&self) -> Result<Tensor, LoadError> {
        let model = Model::load(&self.folder().join("model.onnx"))?;
        Ok(model.graph.initializers[0].clone())
    }
}

#[test]
fn offsets_and_lengths() {
    let fixture = Fixture::new(&[]);
    let check = |entries: &[(&str, &str)], at: usize| {
        fixture.point(&[&[("location", "w.data")], entries].concat());
        let tensor = fixture.load().unwrap();
        assert_eq!(
            tensor.bytes()[..],
            fs::read(fixture.folder().join("w.data")).unwrap()[at..at + 8]
        );
    };
    check(&[("offset", "4"), ("length", "8")], 4);
    check(&[("length", "8"), ("checksum", "ignored")], 0);
    check(&[("offset", "8")], 8);

    let refuse = |entries: &[(&str, &str)], message: &str| {
        fixture.point(&[&[("location", "w.data")], entries].concat());
        let error = fixture.load().unwrap_err().to_string();
        assert!(error.ends_with(message), "{error}");
    };
    refuse(
        &[("offset", "12"), ("length", "8")],
        "has 16 bytes, but 8 from 12 are asked for; fetch the file again",
    );
    refuse(
        &[("offset", "17")],
        "has 16 bytes, but those from 17 are asked for; fetch the file again",
    );
    refuse(
        &[("offset", "18446744073709551615"), ("length", "8")],
        "are asked for; fetch the file again",
    );
    refuse(
        &[("offset", "-4")],
        "external data has the offset \"-4\", which is no number",
    );
    refuse(&[("length", "99999999999999999999")], "which is no number");
    refuse(
        &[("length", "12")],
        "tensor \"w\" of f32 [2] needs 8 bytes of data but has 12",
    );
    refuse(
        &[],
        "tensor \"w\" of f32 [2] needs 8 bytes of data but has 16",
    );
}

#[test]
fn only_plain_locations() {
    let fixture = Fixture::new(&[]);
    let outside = fixture.dir.path().join("secret");
    fs::write(&outside, [0; 8]).unwrap();
    let absolute = outside.to_str().unwrap();
    for location in [
        "../secret",
        "a/../../secret",
        "/etc/hostname",
        absolute,
        "..\\secret",
        "C:\\secret",
        "C:secret",
        "",
        ".",
        "./w.data",
        "w\0.data",
    ] {
        fixture.point(&[("location", location)]);
        let error = fixture.load().unwrap_err();
        assert_eq!(error.kind(), LoadErrorKind::ExternalData);
        assert!(
            error
                .to_string()
                .ends_with("is not a plain path inside the model's folder"),
            "{location}: {error}"
        );
    }
    fixture.point(&[]);
    assert!(
        fixture
            .load()
            .unwrap_err()
            .to_string()
            .ends_with("external data has no location")
    );
}

#[test]
fn missing_empty_and_odd_files() {
    let fixture = Fixture::new(&[("location", "none.data")]);
    let error = fixture.load().unwrap_err().to_string();
    assert!(
        error.contains("external data \"none.data\" is not in the model's folder"),
        "{error}"
    );

    fs::write(fixture.folder().join("empty"), []).unwrap();
    fixture.point(&[("location", "empty"), ("length", "8")]);
    assert!(
        fixture
            .load()
            .unwrap_err()
            .to_string()
            .contains("has 0 bytes, but 8 from 0 are asked for")
    );

    fs::create_dir(fixture.folder().join("sub")).unwrap();
    fixture.point(&[("location", "sub")]);
    assert!(
        fixture
            .load()
            .unwrap_err()
            .to_string()
            .contains("is not a regular file")
    );

    fs::write(fixture.folder().join("sub/w"), [0; 8]).unwrap();
    fixture.point(&[("location", "sub/w")]);
    fixture.load().unwrap();
}

#[test]
fn model_file_that_is_not_there() {
    let error = Model::load(Path::new("/nowhere/model.onnx")).unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::Io);
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/model.onnx: cannot be read"),
        "{error}"
    );
    assert_eq!(error.path(), Some(Path::new("/nowhere/model.onnx")));
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn inside_the_folder_are_followed() {
        let fixture = Fixture::new(&[("location", "link.data"), ("length", "8")]);
        symlink("w.data", fixture.folder().join("link.data")).unwrap();
        fixture.load().unwrap();
    }

    #[test]
    fn to_outside_are_refused() {
        let fixture = Fixture::new(&[("location", "link.data")]);
        let secret = fixture.dir.path().join("secret");
        fs::write(&secret, [0; 8]).unwrap();
        symlink(&secret, fixture.folder().join("link.data")).unwrap();
        let check = || {
            let error = fixture.load().unwrap_err().to_string();
            assert!(
                error.ends_with("\"link.data\" is a link to outside the model's folder"),
                "{error}"
            );
        };
        check();
        // A folder whose name begins like the model's is not the model's.
        fs::create_dir(fixture.dir.path().join("model2")).unwrap();
        fs::rename(&secret, fixture.dir.path().join("model2/secret")).unwrap();
        fs::remove_file(fixture.folder().join("link.data")).unwrap();
        symlink("../model2/secret", fixture.folder().join("link.data")).unwrap();
        check();
    }

    #[test]
    fn through_a_linked_folder_are_refused() {
        let fixture = Fixture::new(&[("location", "sub/secret")]);
        fs::write(fixture.dir.path().join("secret"), [0; 8]).unwrap();
        symlink(fixture.dir.path(), fixture.folder().join("sub")).unwrap();
        assert!(
            fixture
                .load()
                .unwrap_err()
                .to_string()
                .ends_with("is a link to outside the model's folder")
        );
    }

    #[test]
    fn of_the_hugging_face_cache_are_followed_to_its_blobs() {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = |repository: &str| dir.path().join(repository).join("snapshots/0123abc/cpu");
        let load = |repository: &str| {
            let folder = snapshot(repository);
            fs::create_dir_all(&folder).unwrap();
            for (name, blob) in [("model.onnx", "m"), ("w.data", "w")] {
                let target = Path::new("../../../../models--a--b/blobs").join(blob);
                symlink(target, folder.join(name)).unwrap();
            }
            Model::load(&folder.join("model.onnx"))
        };
        let blobs = dir.path().join("models--a--b/blobs");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(
            blobs.join("m"),
            model(&[initializer(1, &[2], &[external(&[("location", "w.data")])])]),
        )
        .unwrap();
        fs::write(blobs.join("w"), [0; 8]).unwrap();

        load("models--a--b").unwrap();
        // They are named as the folder has them, not as the blobs are.
        let graph = snapshot("models--a--b").join("model.onnx");
        let (loaded, sources) = Model::load_with_sources(&graph).unwrap();
        let data = snapshot("models--a--b")
            .canonicalize()
            .unwrap()
            .join("w.data");
        assert_eq!(sources.paths().collect::<Vec<_>>(), [&graph, &data]);
        sources.release_pages();
        assert_eq!(loaded.graph.initializers[0].bytes(), &[0; 8][..]);
        // Another repository's blobs, and a folder that is no repository.
        fs::create_dir_all(dir.path().join("models--c--d/blobs")).unwrap();
        for other in ["models--c--d", "datasets--a--b", "plain"] {
            let error = load(other).unwrap_err().to_string();
            assert!(
                error.ends_with("is a link to outside the model's folder"),
                "{other}: {error}"
            );
        }
    }

    #[test]
    fn in_place_of_the_blobs_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("models--a--b/snapshots/1");
        fs::create_dir_all(&folder).unwrap();
        fs::write(dir.path().join("secret"), [0; 8]).unwrap();
        symlink(dir.path(), dir.path().join("models--a--b/blobs")).unwrap();
        symlink(dir.path().join("secret"), folder.join("w.data")).unwrap();
        fs::write(
            folder.join("model.onnx"),
            model(&[initializer(1, &[2], &[external(&[("location", "w.data")])])]),
        )
        .unwrap();
        let error = Model::load(&folder.join("model.onnx"))
            .unwrap_err()
            .to_string();
        assert!(
            error.ends_with("is a link to outside the model's folder"),
            "{error}"
        );
    }
}
