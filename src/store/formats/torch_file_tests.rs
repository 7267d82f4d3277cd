//! Tests of the PyTorch format: the reference's files, ours in plain Python's eyes, and files made to do harm.

use super::*;
use crate::store::formats::torch_tensor::{Boolean, Tensor, TensorData};
use crate::testing::tempdir;
use std::fs::File;
use std::io::Cursor;
use std::path::PathBuf;

#[path = "../../../tests/suite/needs.rs"]
mod needs;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden").join(name)
}

/// An archive around a pickle of our choosing.
fn archive(pickled: &[u8], byteorder: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let storages = storages.iter().map(|(key, bytes)| (format!("data/{key}"), *bytes));
    for (name, bytes) in [("data.pkl".to_string(), pickled), ("byteorder".to_string(), byteorder)].into_iter().chain(storages) {
        writer.start_file(format!("a/{name}"), options).expect("started");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("finished").into_inner()
}

fn load(bytes: &[u8]) -> Result<Value, String> {
    read_from(Cursor::new(bytes), bytes.len() as u64)
}

/// A pickle of one tensor of floats on storage `0`; numbers below 2^31.
fn tensor_pickle(length: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let int = |value: i32| [&b"J"[..], &value.to_le_bytes()].concat();
    let tuple = |values: &[i32]| [b"(".to_vec(), values.iter().flat_map(|v| int(*v)).collect(), b"t".to_vec()].concat();
    let mut bytes = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n".to_vec();
    bytes.extend(b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu");
    bytes.extend(int(length));
    bytes.extend(b"tQ");
    bytes.extend(int(offset));
    bytes.extend(tuple(shape));
    bytes.extend(tuple(strides));
    bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR.");
    bytes
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn every_kind() -> Value {
    let tensor = |data: TensorData| Value::Tensor(Tensor { shape: vec![data.len()], data });
    let pair = |key: &str, value: Value| (Value::Str(key.to_string()), value);
    let numbers = [i64::MIN, -1, 0, 255, 256, 65535, 65536, i64::from(i32::MAX) + 1, i64::MAX];
    Value::Dict(vec![
        pair("none", Value::None),
        pair("flags", Value::Tuple(vec![Value::Bool(true), Value::Bool(false)])),
        pair("numbers", Value::List(numbers.map(Value::Int).to_vec())),
        pair("reals", Value::List(vec![Value::Float(1e-300), Value::Float(f64::INFINITY)])),
        pair("nothing", Value::List(vec![Value::Tuple(vec![]), Value::Dict(vec![]), Value::Str(String::new())])),
        (Value::Int(7), Value::Str("ünïcode\n".to_string())),
        pair("scalar", Value::Tensor(Tensor { shape: vec![], data: TensorData::I64(vec![5]) })),
        pair("empty", Value::Tensor(Tensor { shape: vec![2, 0, 3], data: TensorData::F32(vec![]) })),
        pair("f32", Value::Tensor(Tensor::f32(&[2, 3, 1], vec![0.5, -0.0, f32::MIN_POSITIVE, 3.0, 1e30, -1.0]))),
        pair("f64", tensor(TensorData::F64(vec![0.1, -2.5]))),
        pair("f16", tensor(TensorData::F16(vec![half::f16::from_f32(0.5)]))),
        pair("bf16", tensor(TensorData::Bf16(vec![half::bf16::from_f32(0.5)]))),
        pair("i32", tensor(TensorData::I32(vec![-70000, 1]))),
        pair("i16", tensor(TensorData::I16(vec![-700, 1]))),
        pair("i8", tensor(TensorData::I8(vec![-7, 1]))),
        pair("u8", tensor(TensorData::U8(vec![7; 200_000]))),
        pair("bool", tensor(TensorData::Bool(vec![Boolean(true), Boolean(false)]))),
    ])
}

#[test]
fn the_references_networks_are_read_with_their_numpy_scalars() {
    for k in 0..12 {
        let folder = golden(&format!("networks/net-{k}"));
        let expected: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).expect("read")).expect("JSON");
        let file = read(&folder.join("model_best.pth.tar")).expect("read");
        let Some(Value::Dict(weights)) = file.get("model") else { panic!("no state dictionary in net-{k}") };
        let parameter = |name: &Value| !matches!(name, Value::Str(n) if n.contains("running") || n.contains("num_batches"));
        let parameters: usize =
            weights.iter().filter(|(n, _)| parameter(n)).map(|(_, v)| v.as_tensor().expect("a tensor").elements()).sum();
        assert_eq!(Some(parameters as u64), expected["parameters"].as_u64(), "net-{k}");
        assert_eq!(file.get("epoch"), Some(&Value::Int(3)));
        assert_eq!(file.get("valid_acc"), Some(&Value::Float(0.75)));
        let input = read(&folder.join("input.pt")).expect("read");
        assert_eq!(shape(&folder.join("input.pt")).expect("a shape"), input.as_tensor().expect("a tensor").shape);
        let shape: Vec<u64> = input.as_tensor().expect("a tensor").shape.iter().map(|s| *s as u64).collect();
        let item: Vec<u64> = serde_json::from_value(expected["input_shape"].clone()).expect("a shape");
        assert_eq!(shape[1..], item[..], "net-{k}");
    }
}

#[test]
fn what_is_written_is_read_back_the_same() {
    let dir = tempdir();
    let path = dir.path().join("all.pth.tar");
    write(&path, "all", &every_kind()).expect("written");
    assert_eq!(read(&path).expect("read"), every_kind());
}

#[test]
fn plain_python_finds_only_opcodes_and_globals_that_weights_only_accepts() {
    let Some(python) = needs::needs("python3") else { return };
    let dir = tempdir();
    let ours = dir.path().join("model_best.pth.tar");
    write(&ours, "model_best", &every_kind()).expect("written");
    let checker = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/check_weights_only.py");
    let check = |file: &Path| {
        let output = std::process::Command::new(&python).arg(&checker).arg(file).output().expect("python3 runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(check(&ours), (true, String::new()));
    let (passed, words) = check(&golden("networks/net-0/model_best.pth.tar"));
    assert!(!passed && words.contains("global numpy.core.multiarray scalar"), "the checker must see a foreign global: {words}");
}

#[test]
fn a_cut_file_is_an_error_that_names_it() {
    let dir = tempdir();
    let path = dir.path().join("cut.pt");
    let whole = std::fs::read(golden("networks/net-1/input.pt")).expect("read");
    for length in (0..whole.len()).step_by(997) {
        std::fs::write(&path, &whole[..length]).expect("written");
        let error = read(&path).expect_err("cut short").to_string();
        assert!(error.contains("cut.pt"), "{error}");
    }
}

#[test]
fn a_flipped_bit_in_a_tensor_or_in_the_pickle_is_found() {
    let values: Vec<f32> = (0..64).map(|v| v as f32).collect();
    let mut good = Cursor::new(Vec::new());
    write_to(&mut good, "a", &Value::Tensor(Tensor::f32(&[64], values.clone()))).expect("written");
    let good = good.into_inner();
    let needle = floats(&values);
    let at = good.windows(needle.len()).position(|w| w == needle).expect("the tensor's bytes");
    for place in at..at + needle.len() {
        let mut bad = good.clone();
        bad[place] ^= 4;
        let error = load(&bad).expect_err("damaged");
        assert!(error.contains("damaged"), "{error}");
    }
    let pickle_at = good.windows(7).position(|w| w == b"storage").expect("the pickle");
    let mut bad = good;
    bad[pickle_at] ^= 1;
    assert!(load(&bad).expect_err("damaged").contains("damaged"));
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let mut good = Cursor::new(Vec::new());
    write_to(&mut good, "a", &Value::List(vec![Value::Tensor(Tensor::f32(&[2], vec![1.0, 2.0])), Value::Int(1)]))
        .expect("written");
    let good = good.into_inner();
    for place in 0..good.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[place] = byte;
            // Whatever comes of it is right, as long as it comes.
            let _ = load(&bad);
        }
    }
}

#[test]
fn no_pickle_in_a_sound_archive_makes_the_reader_panic_or_claim_memory_without_end() {
    use rand::Rng;
    let mut golden =
        ZipArchive::new(File::open(golden("networks/net-1/model_best.pth.tar")).expect("opened")).expect("an archive");
    let mut pickled = Vec::new();
    golden.by_name("model_best.pth/data.pkl").expect("the pickle").read_to_end(&mut pickled).expect("read");
    let mut chance = crate::domain::seed::stream(1, "test/pickle", &[]);
    for _ in 0..3000 {
        let mut bad = pickled.clone();
        for _ in 0..chance.random_range(1..4) {
            let place = chance.random_range(0..bad.len());
            bad[place] = chance.random();
        }
        // Whatever comes of it is right, as long as it comes.
        let _ = load(&archive(&bad, b"little", &[("0", &[0; 108]), ("1", &[0; 4])]));
    }
}

#[test]
fn views_with_strides_offsets_and_big_endian_storages_are_read() {
    let storage = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let file = archive(&tensor_pickle(6, 0, &[3, 2], &[1, 3]), b"little", &[("0", &storage)]);
    assert_eq!(load(&file), Ok(Value::Tensor(Tensor::f32(&[3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]))));
    let file = archive(&tensor_pickle(6, 2, &[2], &[2]), b"little", &[("0", &storage)]);
    assert_eq!(load(&file), Ok(Value::Tensor(Tensor::f32(&[2], vec![2.0, 4.0]))));
    let big: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    let file = archive(&tensor_pickle(2, 0, &[2], &[1]), b"big", &[("0", &big)]);
    assert_eq!(load(&file), Ok(Value::Tensor(Tensor::f32(&[2], vec![1.5, -2.0]))));
}

#[test]
fn sizes_that_the_file_does_not_hold_are_refused_before_memory_is_claimed() {
    let storage = floats(&[0.0; 4]);
    let cases = [
        (i32::MAX, 0, vec![4], vec![1], "bytes"),
        (4, 0, vec![5], vec![1], "beyond"),
        (4, 1, vec![4], vec![1], "beyond"),
        (4, 0, vec![2, 2], vec![3, 1], "beyond"),
        (4, 0, vec![i32::MAX, i32::MAX, i32::MAX], vec![1, 1, 1], "larger than any memory"),
        (4, 0, vec![i32::MAX, 4], vec![0, 1], "unfolds"),
        (4, -1, vec![4], vec![1], "-1"),
        (4, 0, vec![4], vec![-1], "-1"),
        (4, 0, vec![4, 1], vec![1], "2 sizes"),
        (4, 0, vec![1; 17], vec![1; 17], "17 axes"),
    ];
    for (length, offset, shape, strides, word) in cases {
        let file = archive(&tensor_pickle(length, offset, &shape, &strides), b"little", &[("0", &storage)]);
        let error = load(&file).expect_err(word);
        assert!(error.contains(word), "{error} does not say {word:?}");
    }
}

#[test]
fn objects_that_unfold_without_end_are_refused() {
    // Twenty-four lists, each of which holds the one before it ten times.
    let mut bytes = b"\x80\x02]q\x00".to_vec();
    for level in 0..24u8 {
        bytes.extend(b"](");
        (0..10).for_each(|_| bytes.extend([b'h', level]));
        bytes.extend([b'e', b'q', level + 1]);
    }
    bytes.push(b'.');
    assert!(load(&archive(&bytes, b"little", &[])).expect_err("unfolds").contains("unfolds"));
    // A list that holds itself.
    assert!(load(&archive(b"\x80\x02]q\x00h\x00a.", b"little", &[])).expect_err("nested").contains("nested"));
}

#[test]
fn foreign_globals_foreign_archives_and_foreign_byte_orders_are_named() {
    let error = load(&archive(b"\x80\x02cposix\nsystem\n(X\x02\x00\x00\x00idtR.", b"little", &[])).expect_err("refused");
    assert!(error.contains("\"posix.system\"") && error.contains("nothing of it was executed"), "{error}");
    assert!(load(b"not a zip file").expect_err("refused").contains("zip format"));
    assert!(load(&archive(b"N.", b"middle", &[])).expect_err("refused").contains("middle"));
    assert!(load(&archive(&tensor_pickle(1, 0, &[1], &[1]), b"little", &[])).expect_err("refused").contains("a/data/0"));
    assert!(
        shape(&golden("networks/net-0/model_best.pth.tar")).expect_err("a dictionary").to_string().contains("something else")
    );
    assert!(read(Path::new("/nonexistent.pt")).expect_err("missing").is_missing());
}
