//! `.pt` and `.pth.tar` files: after a first byte of 0 a whole archive, after any other a pickle, put into one, with a storage.
#![no_main]

use libfuzzer_sys::fuzz_target;
use neurosearch::store::formats::torch_file;
use std::io::{Cursor, Write};
use zip::{CompressionMethod, ZipWriter};
use zip::write::SimpleFileOptions;

fn packed(pickle: &[u8]) -> Option<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in [("t/data.pkl", pickle), ("t/byteorder", b"little"), ("t/data/0", &[0; 64])] {
        writer.start_file(name, stored).ok()?;
        writer.write_all(content).ok()?;
    }
    writer.finish().ok().map(Cursor::into_inner)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let archive = if first == 0 { Some(rest.to_vec()) } else { packed(rest) };
    if let Some(archive) = archive {
        let length = archive.len() as u64;
        // A value or a clause; neither may take more memory than the file has reason for.
        let _ = torch_file::read_from(Cursor::new(archive), length);
    }
});
