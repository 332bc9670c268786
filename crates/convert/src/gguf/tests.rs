use super::*;
use crate::ConvertErrorKind;

/// Writes GGUF bytes that may be wrong in any way.
#[derive(Clone, Default)]
struct File {
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: usize,
}

const STRING: u32 = 8;
const ARRAY: u32 = 9;
const U32: u32 = 4;

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

impl File {
    fn key(mut self, key: &str, value_type: u32, value: &[u8]) -> File {
        self.keys.extend(string(key));
        self.keys.extend(value_type.to_le_bytes());
        self.keys.extend(value);
        self.key_count += 1;
        self
    }

    fn tensor(mut self, name: &str, dims: &[u64], tensor_type: u32, offset: u64) -> File {
        self.tensors.extend(string(name));
        self.tensors.extend((dims.len() as u32).to_le_bytes());
        self.tensors
            .extend(dims.iter().flat_map(|dim| dim.to_le_bytes()));
        self.tensors.extend(tensor_type.to_le_bytes());
        self.tensors.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    fn data(mut self, len: usize) -> File {
        self.data = len;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.key_count.to_le_bytes());
        bytes.extend(&self.keys);
        bytes.extend(&self.tensors);
        bytes.resize(bytes.len().next_multiple_of(32) + self.data, 0);
        bytes
    }
}

fn check_error(bytes: Vec<u8>, kind: ConvertErrorKind, expected: &str) {
    let error = Gguf::from_bytes(bytes).expect_err(expected);
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    assert!(text.contains(expected), "{text:?} lacks {expected:?}");
}

fn damaged(file: File, expected: &str) {
    check_error(file.bytes(), ConvertErrorKind::Damaged, expected);
}

fn array(element: u32, len: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes = element.to_le_bytes().to_vec();
    bytes.extend(len.to_le_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn a_good_file_is_read() {
    let strings = [string("one"), string("")].concat();
    let file = File::default()
        .key("general.name", STRING, &string("tiny"))
        .key("n", U32, &7u32.to_le_bytes())
        .key("less", 5, &(-7i32).to_le_bytes())
        .key("words", ARRAY, &array(STRING, 2, &strings))
        .key(
            "numbers",
            ARRAY,
            &array(6, 2, &[1f32, -2.5].map(f32::to_le_bytes).concat()),
        )
        .tensor("w", &[32, 2], 8, 0)
        .tensor("v", &[3], 0, 96)
        .data(108);
    for version in [2, 3] {
        let mut bytes = file.bytes();
        bytes[4] = version;
        let gguf = Gguf::from_bytes(bytes).unwrap();
        assert_eq!(gguf.string("general.name").unwrap(), Some("tiny"));
        assert_eq!(gguf.uint("n").unwrap(), Some(7));
        assert_eq!(gguf.float("less").unwrap(), Some(-7.0));
        let words: Vec<&[u8]> = gguf
            .array("words")
            .unwrap()
            .unwrap()
            .strings()
            .unwrap()
            .collect();
        assert_eq!(words, [b"one".as_slice(), b""]);
        let numbers = gguf.array("numbers").unwrap().unwrap().numbers().unwrap();
        assert_eq!(numbers.collect::<Vec<_>>(), [1.0, -2.5]);
        let tensor = gguf.tensor("w").unwrap();
        assert_eq!((tensor.dims(), tensor.byte_len()), (&[32, 2][..], 68));
        assert_eq!(gguf.tensor_data(gguf.tensor("v").unwrap()).len(), 12);
        let wrong = gguf.uint("general.name").unwrap_err().to_string();
        assert!(wrong.contains("general.name"), "{wrong}");
    }
}

#[test]
fn headers_are_checked() {
    check_error(b"".to_vec(), ConvertErrorKind::Damaged, "not a gguf file");
    check_error(
        b"GGML\x03\0\0\0".to_vec(),
        ConvertErrorKind::Damaged,
        "not a gguf file",
    );
    let version = |version: [u8; 4]| [&b"GGUF"[..], &version, &[0; 16]].concat();
    let unsupported = ConvertErrorKind::Unsupported;
    check_error(version([1, 0, 0, 0]), unsupported, "version 1");
    check_error(version([4, 0, 0, 0]), unsupported, "version 4");
    check_error(version([0, 0, 0, 3]), unsupported, "big endian");
    let absurd = File {
        tensor_count: u64::MAX,
        ..File::default()
    };
    damaged(absurd, "promises 18446744073709551615 tensors");
    let absurd = File {
        key_count: 1 << 40,
        ..File::default()
    };
    damaged(absurd, "metadata keys");
    let short = File {
        key_count: 3,
        ..File::default()
    };
    damaged(short, "name of 0 bytes");
}

#[test]
fn keys_are_checked() {
    let file = File::default;
    let number = 1u32.to_le_bytes();
    damaged(
        file().key("a", U32, &number).key("a", U32, &number),
        "`a` appears twice",
    );
    damaged(file().key("a", 13, &number), "unknown value type 13");
    damaged(file().key("a", 7, &[2]), "impossible value");
    damaged(file().key("a", STRING, &u64::MAX.to_le_bytes()), "cut off");
    damaged(
        file().key(
            "a",
            STRING,
            &[&2u64.to_le_bytes()[..], &[0xff, 0xfe]].concat(),
        ),
        "`a` is not utf-8",
    );
    damaged(
        file().key("a", ARRAY, &array(U32, u64::MAX, &[])),
        "promises",
    );
    damaged(file().key("a", ARRAY, &array(U32, 1 << 40, &[])), "cut off");
    damaged(
        file().key("a", ARRAY, &array(STRING, u64::MAX, &[])),
        "cut off",
    );
    damaged(
        file().key("a", ARRAY, &array(99, 1, &[])),
        "unknown value type 99",
    );
    let mut nested = array(U32, 1, &number);
    for _ in 0..6 {
        nested = array(ARRAY, 1, &nested);
    }
    damaged(file().key("a", ARRAY, &nested), "nests arrays");
    for alignment in [0u32, 3, 1 << 31] {
        let file = file().key("general.alignment", U32, &alignment.to_le_bytes());
        damaged(file, "general.alignment");
    }
}

#[test]
fn tensors_are_checked() {
    let file = || File::default().data(256);
    damaged(
        file().tensor("t", &[4], 0, 0).tensor("t", &[4], 0, 32),
        "`t` appears twice",
    );
    damaged(file().tensor("t", &[], 0, 0), "0 dimensions");
    damaged(file().tensor("t", &[1; 5], 0, 0), "5 dimensions");
    damaged(
        file().tensor("t", &[0, 4], 0, 0),
        "empty or absurd dimension",
    );
    damaged(file().tensor("t", &[33], 8, 0), "no multiple of the 32");
    damaged(
        file().tensor("t", &[u64::MAX, u64::MAX], 0, 0),
        "more values than any file",
    );
    damaged(
        file().tensor("t", &[1 << 62, 4], 1, 0),
        "more values than any file",
    );
    damaged(file().tensor("t", &[65], 0, 0), "cut off");
    damaged(file().tensor("t", &[4], 0, 256), "cut off");
    damaged(file().tensor("t", &[4], 0, u64::MAX - 31), "cut off");
    damaged(
        file().tensor("t", &[4], 0, 8),
        "no multiple of the alignment 32",
    );
    damaged(
        file().tensor("t", &[16], 0, 0).tensor("u", &[4], 0, 32),
        "share bytes",
    );
    let kind = ConvertErrorKind::Unsupported;
    check_error(file().tensor("t", &[256], 10, 0).bytes(), kind, "type Q2_K");
    check_error(
        file().tensor("t", &[256], 77, 0).bytes(),
        kind,
        "type number 77",
    );
    check_error(
        file().tensor("t", &[256], 4, 0).bytes(),
        kind,
        "type number 4",
    );
}

#[test]
fn no_prefix_of_a_file_and_no_flipped_bit_panics() {
    let good = include_bytes!("../../tests/data/tiny-qwen2.gguf");
    let metadata = 12_000;
    for len in (0..metadata).step_by(7).chain(good.len() - 40..good.len()) {
        assert!(
            Gguf::from_bytes(good[..len].to_vec()).is_err(),
            "{len} bytes"
        );
    }
    for bit in (0..metadata * 8).step_by(61) {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = Gguf::from_bytes(bytes);
    }
}
