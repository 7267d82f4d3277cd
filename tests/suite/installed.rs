//! What `scripts/install` puts where: programs, manual, completions, units.

use crate::harness::tempdir;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every file below `dir`, relative to it, sorted.
fn files(dir: &Path) -> Vec<String> {
    let (mut found, mut folders): (Vec<String>, Vec<PathBuf>) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(dir).expect("below it").to_str().expect("UTF-8").to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_installation_has_every_programs_manual_and_completions() {
    let dir = tempdir();
    let root = dir.path();
    let built = Path::new(env!("CARGO_BIN_EXE_neurosearch")).parent().expect("a program lies in a directory");
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install"))
        .env("DESTDIR", root)
        .env("PREFIX", "/usr")
        .env("BUILT", built)
        .env("LIBRARIES", "no")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = files(root);
    for (program, section) in [("neurosearch", 1), ("neurosearchd", 8), ("neurosearch-trainer", 1)] {
        for path in [
            format!("usr/bin/{program}"),
            format!("usr/share/man/man{section}/{program}.{section}.gz"),
            format!("usr/share/bash-completion/completions/{program}"),
            format!("usr/share/zsh/site-functions/_{program}"),
            format!("usr/share/fish/vendor_completions.d/{program}.fish"),
        ] {
            assert!(found.contains(&path), "{path} is missing among {found:#?}");
        }
    }
    assert!(found.contains(&"usr/share/man/man1/neurosearch-devices-drain.1.gz".to_string()), "{found:#?}");
    let units = found.iter().filter(|path| path.ends_with(".service")).count();
    assert_eq!(units, 3, "{found:#?}");
    let empty: Vec<&String> = found.iter().filter(|path| root.join(path).metadata().is_ok_and(|meta| meta.len() == 0)).collect();
    assert!(empty.is_empty(), "{empty:?}");
}
