//! What the daemon and the command line load: neither may need libtorch or CUDA, so their dynamic sections name neither.

use std::fs;

/// Little-endian numbers of a 64-bit ELF file.
struct Elf(Vec<u8>);

impl Elf {
    fn number(&self, at: usize, bytes: usize) -> usize {
        self.0[at..at + bytes].iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }

    /// Kind, offset in the file, address in memory and size of each segment.
    fn segments(&self) -> Vec<[usize; 4]> {
        let (table, size, count) = (self.number(32, 8), self.number(54, 2), self.number(56, 2));
        let segment = |at: usize| [self.number(at, 4), self.number(at + 8, 8), self.number(at + 16, 8), self.number(at + 32, 8)];
        (0..count).map(|index| segment(table + index * size)).collect()
    }

    /// The libraries that the loader is told to load, and the paths it is told to search.
    fn dynamic_names(&self) -> Vec<String> {
        const LOAD: usize = 1;
        const DYNAMIC: usize = 2;
        let segments = self.segments();
        let [_, start, _, size] = *segments.iter().find(|s| s[0] == DYNAMIC).expect("a dynamic section");
        let entries: Vec<(usize, usize)> =
            (start..start + size).step_by(16).map(|at| (self.number(at, 8), self.number(at + 8, 8))).collect();
        let (_, strings) = *entries.iter().find(|(tag, _)| *tag == 5).expect("a string table");
        let [_, offset, address, _] = *segments
            .iter()
            .find(|s| s[0] == LOAD && (s[2]..s[2] + s[3]).contains(&strings))
            .expect("the string table's segment");
        let text = |at: usize| {
            let bytes = &self.0[strings - address + offset + at..];
            String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
        };
        // DT_NEEDED, DT_RPATH, DT_RUNPATH.
        entries.iter().filter(|(tag, _)| matches!(tag, 1 | 15 | 29)).map(|&(_, at)| text(at)).collect()
    }
}

#[test]
fn the_daemon_and_the_command_line_name_no_library_of_libtorch_or_cuda() {
    for program in [env!("CARGO_BIN_EXE_neurosearch"), env!("CARGO_BIN_EXE_neurosearchd")] {
        let names = Elf(fs::read(program).expect("the program")).dynamic_names();
        assert!(names.iter().any(|name| name.starts_with("libc.so")), "{program}: {names:?} cannot be all");
        for word in ["torch", "c10", "cuda", "cupti", "nvidia", "nvrtc", "gomp", "stdc++"] {
            assert!(names.iter().all(|name| !name.contains(word)), "{program} needs {names:?}");
        }
    }
}
