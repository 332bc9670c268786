use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, SystemTime};

use inhouse_kernels::Pool;
use proptest::prelude::*;
use tempfile::TempDir;

use super::format::{ALIGN, PIECE};
use super::*;

static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(2));

/// A model folder with two files, and a folder for packs.
struct Fixture {
    model: PathBuf,
    packs: PackFolder,
    _temp: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let model = temp.path().join("Phi 4 (mini)");
        fs::create_dir(&model).unwrap();
        fs::write(model.join("model.onnx"), "graph").unwrap();
        fs::write(model.join("model.onnx.data"), "weights").unwrap();
        let packs = PackFolder::new(temp.path().join("home/packed"));
        Self {
            model,
            packs,
            _temp: temp,
        }
    }

    fn path(&self) -> PathBuf {
        self.packs.path_of(&self.model).unwrap()
    }

    fn source(&self) -> Fingerprint {
        let files = ["model.onnx.data", "model.onnx"].map(|name| self.model.join(name));
        Fingerprint::of(&self.model, files).unwrap()
    }

    fn writer(&self) -> PackWriter {
        PackWriter::create(&self.path(), &self.source(), 5 << 20).unwrap()
    }

    fn write(&self, entries: &[(&str, &[u8])]) {
        let mut writer = self.writer();
        for (name, bytes) in entries {
            writer.begin(name, "rows", bytes.len()).unwrap();
            // In uneven pieces, as packing makes them.
            bytes
                .chunks(700_001)
                .for_each(|piece| writer.write(piece).unwrap());
        }
        writer.finish().unwrap();
    }

    fn open(&self) -> Result<PackFile, Unusable> {
        PackFile::open(&self.path(), &self.source(), &POOL)
    }

    /// What is in the folder for packs.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.packs.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        entries.map(|entry| name(entry).unwrap()).collect()
    }

    fn state(&self) -> PackState {
        let [pack] = <[_; 1]>::try_from(self.packs.list(&POOL).unwrap()).unwrap();
        pack.state
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A pack of three entries, the second longer than two pieces.
fn sample() -> &'static [(&'static str, Vec<u8>)] {
    static SAMPLE: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let lengths = [("first", 5000), ("second", 2 * PIECE + 77), ("third", 4096)];
        lengths.map(|(name, len)| (name, noise(len))).into()
    })
}

fn write_sample(fixture: &Fixture) {
    let entries: Vec<_> = sample()
        .iter()
        .map(|(name, bytes)| (*name, &bytes[..]))
        .collect();
    fixture.write(&entries);
}

#[test]
fn what_was_written_is_read_in_place() {
    let fixture = Fixture::new();
    assert_eq!(fixture.open().unwrap_err(), Unusable::Absent);
    write_sample(&fixture);
    let pack = fixture.open().unwrap();
    for (name, bytes) in sample() {
        let read = pack.entry(name, "rows", bytes.len()).unwrap();
        assert_eq!(read, bytes[..], "{name}");
        assert_eq!(read.as_ptr() as usize % ALIGN as usize, 0, "{name}");
    }
    let held = pack.entry("third", "rows", 4096).unwrap();
    assert_eq!(pack.source(), &fixture.source());
    assert_eq!(pack.bytes(), fixture.path().metadata().unwrap().len());
    drop(pack);
    // A pack that is replaced or removed stays with those who have it.
    fixture.write(&[("third", &[1])]);
    PackFolder::remove(&fixture.path()).unwrap();
    assert_eq!(held, sample()[2].1[..]);
}

#[test]
fn entries_of_another_layout_or_length_are_not_there() {
    let fixture = Fixture::new();
    fixture.write(&[("a", &[1, 2, 3]), ("none", &[])]);
    let pack = fixture.open().unwrap();
    assert_eq!(pack.entry("a", "rows", 3).unwrap(), [1, 2, 3][..]);
    assert_eq!(pack.entry("none", "rows", 0).unwrap(), [][..]);
    for (name, layout, len) in [("b", "rows", 3), ("a", "columns", 3), ("a", "rows", 2)] {
        assert!(
            pack.entry(name, layout, len).is_none(),
            "{name} {layout} {len}"
        );
    }
    assert_eq!(pack.entries(), 2);
    fixture.write(&[]);
    assert_eq!(fixture.open().unwrap().entries(), 0);
}

#[test]
fn names_are_made_safe_and_differ_by_place() {
    let fixture = Fixture::new();
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let ours = name(fixture.path());
    assert!(
        ours.starts_with("Phi-4--mini--") && ours.ends_with(".pack"),
        "{ours}"
    );
    let elsewhere = fixture.model.join("Phi 4 (mini)");
    fs::create_dir(&elsewhere).unwrap();
    let other = name(fixture.packs.path_of(&elsewhere).unwrap());
    assert_eq!(other.len(), ours.len());
    assert_ne!(other, ours);
    let same = name(fixture.packs.path_of(&elsewhere.join("..")).unwrap());
    assert_eq!(same, ours);
    let error = fixture.packs.path_of(Path::new("not/there")).unwrap_err();
    assert_eq!(error.kind(), PackErrorKind::Source);
}

#[test]
fn changed_files_make_a_pack_stale() {
    let check = |change: &dyn Fn(&Path), why: &str| {
        let fixture = Fixture::new();
        fixture.write(&[("a", &[1])]);
        assert_eq!(fixture.state(), PackState::Ready);
        change(&fixture.model.join("model.onnx.data"));
        let stale = Unusable::Stale(why.into());
        assert_eq!(fixture.state(), PackState::Unusable(stale.clone()));
        if fixture.model.join("model.onnx.data").exists() {
            assert_eq!(fixture.open().unwrap_err(), stale);
            fixture.write(&[("a", &[2])]);
            assert_eq!(
                fixture.open().unwrap().entry("a", "rows", 1).unwrap(),
                [2][..]
            );
        }
    };
    check(
        &|data| fs::write(data, "more weights").unwrap(),
        "model.onnx.data has 12 bytes and had 7",
    );
    check(
        &|data| {
            let file = fs::File::options().write(true).open(data).unwrap();
            let later = SystemTime::now() + Duration::from_nanos(1_000_000_100);
            file.set_modified(later).unwrap();
        },
        "model.onnx.data was written since",
    );
    check(
        &|data| fs::remove_file(data).unwrap(),
        "model.onnx.data is gone",
    );
}

#[test]
fn other_files_make_a_pack_stale() {
    let fixture = Fixture::new();
    fixture.write(&[("a", &[1])]);
    let open = |folder: &Path, files: &[PathBuf]| {
        let source = Fingerprint::of(folder, files).unwrap();
        PackFile::open(&fixture.path(), &source, &POOL).map(drop)
    };
    let stale = |why: &str| Err(Unusable::Stale(why.into()));
    let [graph, data] = ["model.onnx", "model.onnx.data"].map(|name| fixture.model.join(name));
    let outside = fixture.packs.path().join("outside");
    fs::write(&outside, "x").unwrap();

    assert_eq!(
        open(&fixture.model, &[graph.clone(), data.clone(), data.clone()]),
        Ok(())
    );
    let without = open(&fixture.model, std::slice::from_ref(&graph));
    assert_eq!(without, stale("model.onnx.data is no longer used"));
    let with = open(
        &fixture.model,
        &[graph.clone(), data.clone(), outside.clone()],
    );
    let outside = outside.canonicalize().unwrap();
    assert_eq!(with, stale(&format!("{} is new", outside.display())));
    let parent = fixture.model.parent().unwrap();
    let model = fixture.model.canonicalize().unwrap();
    let elsewhere = open(parent, &[graph, data]);
    assert_eq!(
        elsewhere,
        stale(&format!("it was made for {}", model.display()))
    );
    let error = Fingerprint::of(&fixture.model, [fixture.model.join("nothing")]).unwrap_err();
    assert_eq!(error.kind(), PackErrorKind::Source);
}

/// Where a pull puts another file in place of one that is mapped, the weights at hand are still those of the first.
#[cfg(unix)]
#[test]
fn a_model_that_was_replaced_meanwhile_is_not_taken_for_the_new_one() {
    let fixture = Fixture::new();
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/zoo/llama-fp32");
    let [graph, data] = ["model.onnx", "model.onnx.data"].map(|name| {
        fs::copy(zoo.join(name), fixture.model.join(name)).unwrap();
        fixture.model.join(name)
    });
    let read = || inhouse_onnx::Model::load_with_sources(&graph).unwrap().1;
    let (sources, before) = (read(), fixture.source());
    let print = |sources: &inhouse_onnx::SourceFiles| {
        Fingerprint::of_model(&fixture.model, sources, [&data; 0]).unwrap()
    };
    assert_eq!(print(&sources), before);

    let other = fixture.model.join("other");
    let mut bytes = fs::read(&data).unwrap();
    bytes.push(0);
    fs::write(&other, bytes).unwrap();
    fs::rename(&other, &data).unwrap();
    assert_eq!(print(&sources), before);
    let changed = "model.onnx.data has 4314369 bytes and had 4314368";
    assert_eq!(before.state(), SourceState::Changed(changed.into()));
    assert_eq!(before.change(&print(&read())), Some(changed.into()));
    assert_eq!(print(&read()).state(), SourceState::Current);
}

#[cfg(unix)]
#[test]
fn files_of_a_snapshot_are_named_by_their_links_and_told_apart_by_their_targets() {
    let fixture = Fixture::new();
    let blob = fixture.packs.path().with_file_name("blob");
    fs::create_dir_all(fixture.packs.path()).unwrap();
    fs::write(&blob, "weights").unwrap();
    fs::remove_file(fixture.model.join("model.onnx.data")).unwrap();
    std::os::unix::fs::symlink(&blob, fixture.model.join("model.onnx.data")).unwrap();
    fixture.write(&[("a", &[1])]);
    fixture.open().unwrap();
    fs::write(&blob, "other weights").unwrap();
    let stale = Unusable::Stale("model.onnx.data has 13 bytes and had 7".into());
    assert_eq!(fixture.open().unwrap_err(), stale);
}

#[test]
fn without_its_folder_a_pack_has_no_source() {
    let fixture = Fixture::new();
    fixture.write(&[("a", &[1])]);
    let model = fixture.model.canonicalize().unwrap();
    fs::remove_dir_all(&model).unwrap();
    let [pack] = <[_; 1]>::try_from(fixture.packs.list(&POOL).unwrap()).unwrap();
    assert_eq!(pack.state, PackState::SourceGone);
    assert_eq!(pack.model, Some(model));
    assert_eq!(PackFolder::remove(&pack.path).unwrap(), pack.bytes);
    assert_eq!(PackFolder::remove(&pack.path).unwrap(), 0);
    assert!(fixture.packs.list(&POOL).unwrap().is_empty());
}

/// What `open` says after `change` has been done to the bytes of the sample.
fn after(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Unusable> {
    static FIXTURE: OnceLock<(Fixture, Vec<u8>)> = OnceLock::new();
    let (fixture, bytes) = FIXTURE.get_or_init(|| {
        let fixture = Fixture::new();
        write_sample(&fixture);
        let bytes = fs::read(fixture.path()).unwrap();
        (fixture, bytes)
    });
    let mut bytes = bytes.clone();
    change(&mut bytes);
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("x.pack");
    fs::write(&path, bytes).unwrap();
    PackFile::open(&path, &fixture.source(), &POOL).map(drop)
}

#[test]
fn every_part_is_guarded() {
    let damaged = |what: &str| Err(Unusable::Damaged(what.into()));
    let flip = |at: usize| after(|bytes| bytes[at] ^= 0x10);
    let page = ALIGN as usize;
    let third = page * 3 + (2 * PIECE + 77).next_multiple_of(page);
    assert_eq!(after(|_| {}), Ok(()));
    assert_eq!(flip(0), Err(Unusable::Foreign));
    assert_eq!(flip(7), Err(Unusable::Foreign));
    assert_eq!(flip(8), Err(Unusable::Version("format 17".into())));
    for header in [12, 16, 24, 32, 40, 48, 55, 56, page - 1] {
        assert_eq!(flip(header), damaged("its header"), "{header}");
    }
    assert_eq!(flip(page), damaged("\"first\""));
    assert_eq!(
        flip(page + 1_000_000),
        damaged("\"first\""),
        "its piece has both"
    );
    assert_eq!(flip(page + PIECE), damaged("\"second\""));
    assert_eq!(
        flip(third - 1),
        damaged("\"second\""),
        "between two entries"
    );
    assert_eq!(flip(third), damaged("\"second\""), "its piece has both");
    assert_eq!(flip(third + page), damaged("its table"));
    assert_eq!(
        after(|bytes| *bytes.last_mut().unwrap() = 0),
        damaged("its table")
    );
    assert_eq!(after(|bytes| bytes.push(0)), damaged("its end"));
    assert_eq!(
        after(|bytes| bytes.truncate(0)),
        Err(Unusable::CutShort {
            bytes: 0,
            wanted: 4096
        })
    );
    assert_eq!(
        after(|bytes| *bytes = b"GGUF\x03\0\0\0".into()),
        Err(Unusable::Foreign)
    );
    // As a crash leaves what never reached the disk.
    assert_eq!(
        after(|bytes| bytes[page * 9..].fill(0)),
        damaged("its table")
    );
    assert_eq!(after(|bytes| bytes.fill(0)), Err(Unusable::Foreign));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cut_at_any_length(part in 0.0..1.0_f64) {
        let mut lengths = (0, 0);
        let result = after(|bytes| {
            lengths = ((bytes.len() as f64 * part) as usize, bytes.len());
            bytes.truncate(lengths.0);
        });
        let wanted = if lengths.0 < ALIGN as usize { ALIGN } else { lengths.1 as u64 };
        prop_assert_eq!(result, Err(Unusable::CutShort { bytes: lengths.0 as u64, wanted }));
    }

    #[test]
    fn any_change_is_found(part in 0.0..1.0_f64, with in 1..=u8::MAX) {
        let result = after(|bytes| {
            let at = (bytes.len() as f64 * part) as usize;
            bytes[at] ^= with;
        });
        prop_assert!(result.is_err());
    }

    #[test]
    fn a_table_with_sound_checksums_may_say_anything(
        entries in prop::collection::vec(
            (
                prop_oneof![Just("a".to_owned()), ".{0,8}"],
                prop_oneof![Just(4096), Just(8192), any::<u64>()],
                prop_oneof![Just(0), Just(1), any::<u64>(), Just(u64::MAX - 4095)],
            ),
            0..4,
        ),
        table in prop_oneof![Just(8192), Just(4096), Just(4097)],
        pieces in prop::collection::vec(any::<u64>(), 0..3),
    ) {
        let fixture = Fixture::new();
        let entries: Vec<_> = entries.into_iter().map(|(name, offset, len)| {
            format::Entry { name, layout: "rows".into(), offset, len }
        }).collect();
        let content = format::Table {
            program: format::PROGRAM.into(),
            source: fixture.source(),
            entries: entries.clone(),
            pieces,
        };
        let file = forged(table, &serde_json::to_vec(&content).unwrap());
        fs::create_dir_all(fixture.packs.path()).unwrap();
        fs::write(fixture.path(), file).unwrap();
        if let Ok(pack) = fixture.open() {
            for entry in entries {
                let read = pack.entry(&entry.name, "rows", entry.len as usize).unwrap();
                prop_assert_eq!(read.len() as u64, entry.len);
            }
        }
    }
}

/// A file whose header fits, with this table at `at` and zeros before it.
fn forged(at: u64, table: &[u8]) -> Vec<u8> {
    let header = format::Header {
        table: at,
        table_len: table.len() as u64,
        table_sum: format::checksum(table),
    };
    let mut file = header.encode();
    file.resize(at as usize, 0);
    file.extend(table);
    file
}

#[test]
fn tables_that_are_none_are_damage() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.packs.path()).unwrap();
    let nested = "[".repeat(1_000_000);
    for table in ["", "{}", "[]", "\u{fffd}", &nested] {
        fs::write(fixture.path(), forged(4096, table.as_bytes())).unwrap();
        assert_eq!(
            fixture.open().unwrap_err(),
            Unusable::Damaged("its table".into())
        );
    }
    // Two entries of one name.
    let entry = |offset| format::Entry {
        name: "a".into(),
        layout: String::new(),
        offset,
        len: 0,
    };
    let table = format::Table {
        program: format::PROGRAM.into(),
        source: fixture.source(),
        entries: vec![entry(4096), entry(4096)],
        pieces: Vec::new(),
    };
    let table = serde_json::to_vec(&table).unwrap();
    fs::write(fixture.path(), forged(4096, &table)).unwrap();
    assert_eq!(
        fixture.open().unwrap_err(),
        Unusable::Damaged("its table".into())
    );
    // Lengths whose sum wraps.
    let mut file = format::Header {
        table: u64::MAX - 1,
        table_len: 3,
        table_sum: 0,
    }
    .encode();
    file.extend([0; 64]);
    fs::write(fixture.path(), file).unwrap();
    assert_eq!(
        fixture.open().unwrap_err(),
        Unusable::Damaged("its header".into())
    );
}

#[test]
fn another_programs_pack_is_another_version() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.packs.path()).unwrap();
    let table = format::Table {
        program: "inhouse 99.0".into(),
        source: fixture.source(),
        entries: Vec::new(),
        pieces: Vec::new(),
    };
    let table = serde_json::to_vec(&table).unwrap();
    fs::write(fixture.path(), forged(4096, &table)).unwrap();
    let version = Unusable::Version("inhouse 99.0".into());
    assert_eq!(fixture.open().unwrap_err(), version);
    assert_eq!(fixture.state(), PackState::Unusable(version));
}

#[test]
fn what_is_no_file_is_unreadable() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path()).unwrap();
    let error = fixture.open().unwrap_err();
    assert_eq!(error, Unusable::Unreadable("is not a regular file".into()));
    assert!(fixture.packs.list(&POOL).unwrap().is_empty());
}

#[test]
fn writers_at_the_same_time_all_succeed() {
    let fixture = Fixture::new();
    let barrier = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for content in 0..4 {
            let (fixture, barrier) = (&fixture, &barrier);
            scope.spawn(move || {
                for _ in 0..8 {
                    barrier.wait();
                    fixture.write(&[("a", &[content; 3 << 18]), ("b", &[content])]);
                    let pack = fixture.open().unwrap();
                    let a = pack.entry("a", "rows", 3 << 18).unwrap();
                    let b = pack.entry("b", "rows", 1).unwrap();
                    assert!(a.iter().all(|byte| *byte == b[0]));
                }
            });
        }
    });
    assert_eq!(fixture.names().len(), 1);
}

#[test]
fn a_writer_that_gives_up_leaves_nothing() {
    let fixture = Fixture::new();
    fixture.write(&[("a", &[1])]);
    let mut writer = fixture.writer();
    writer.begin("a", "rows", 10).unwrap();
    writer.write(&[2; 5]).unwrap();
    assert_eq!(fixture.names().len(), 2);
    let listed = fixture.packs.list(&POOL).unwrap();
    let states: Vec<_> = listed.into_iter().map(|pack| pack.state).collect();
    assert_eq!(states, [PackState::Ready, PackState::Unfinished]);
    drop(writer);
    assert_eq!(fixture.names().len(), 1);
    assert_eq!(
        fixture.open().unwrap().entry("a", "rows", 1).unwrap(),
        [1][..]
    );
}

#[test]
fn what_killed_writers_left_is_removed_and_what_others_write_is_not() {
    let fixture = Fixture::new();
    let at_work = fixture.writer();
    let left = |pack: &Path| {
        let mut name = pack.file_name().unwrap().to_owned();
        name.push(".1-0.tmp");
        let path = pack.with_file_name(name);
        fs::write(&path, "half a pack").unwrap();
        path
    };
    let (ours, others) = (
        left(&fixture.path()),
        left(&fixture.packs.path().join("b-0.pack")),
    );
    let foreign = fixture.packs.path().join("notes.tmp");
    fs::write(&foreign, "mine").unwrap();
    fixture.write(&[("a", &[1])]);
    assert!(!ours.exists() && others.exists());
    assert_eq!(fixture.packs.remove_unfinished(), 11);
    assert!(!others.exists() && foreign.exists());
    at_work.finish().unwrap();
    assert_eq!(fixture.open().unwrap().entries(), 0);
}

#[test]
#[should_panic(expected = "\"a\" lacks 2 bytes")]
fn an_entry_gets_all_its_bytes() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer();
    writer.begin("a", "rows", 3).unwrap();
    writer.write(&[1]).unwrap();
    let _ = writer.finish();
}

#[test]
fn where_nothing_can_be_written_it_says_so() {
    let fixture = Fixture::new();
    let in_the_way = fixture.packs.path().parent().unwrap();
    fs::write(in_the_way, "a file").unwrap();
    let error = PackWriter::create(&fixture.path(), &fixture.source(), 0).unwrap_err();
    assert_eq!(error.kind(), PackErrorKind::NotWritable);
    let text = error.to_string();
    assert!(
        text.starts_with("cannot make the folder ") && text.ends_with("packed"),
        "{text}"
    );
}

#[test]
fn room_is_asked_for_first() {
    let fixture = Fixture::new();
    let error = PackWriter::create(&fixture.path(), &fixture.source(), 1 << 60).unwrap_err();
    assert_eq!(error.kind(), PackErrorKind::NoRoom);
    let text = error.to_string();
    assert!(
        text.starts_with("packed weights need 1152921504608 MB and "),
        "{text}"
    );
    assert!(fixture.names().is_empty());
}

/// `/dev/full` is a disk that is always full.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_no_room() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut pieces = writer::Pieces::new(full);
    let cause = pieces.write(&[1; 10]).unwrap_err();
    assert_eq!(
        PackError::writing("cannot write", cause).kind(),
        PackErrorKind::NoRoom
    );
}
