//! Holds the source against the house's rules: layers, opening sentences, lengths, words, the README's map.

use super::imports::{circles, imports};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// No file is longer.
const LONGEST: usize = 500;

/// What a layer may import, beside itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("check", &["domain", "store"]),
    ("executor", &["domain", "store"]),
    ("engine", &["domain"]),
    ("analysis", &["domain", "store", "executor"]),
    ("control", &["domain"]),
    ("daemon", &["domain", "store", "check", "executor", "engine", "analysis", "control"]),
    ("cli", &["domain", "store", "check", "executor", "analysis", "control"]),
    ("trainer", &["domain", "store", "check", "executor"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` of the checkout, without the fixtures, as paths relative to the checkout.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if !path.ends_with("tests/fixtures") {
                    folders.push(path);
                }
            } else {
                found.push(path.strip_prefix(root()).expect("below the checkout").to_path_buf());
            }
        }
    }
    found.sort();
    found
}

fn rust_files() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = ["src", "tests", "benches", "fuzz"].iter().flat_map(|folder| files(folder)).collect();
    all.push(PathBuf::from("build.rs"));
    all.retain(|path| path.extension().is_some_and(|e| e == "rs") && !path.components().any(|c| c.as_os_str() == "target"));
    assert!(all.len() > 50, "the source is not where it should be");
    all
}

fn text(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Code without its line comments.
fn code(path: &Path) -> String {
    text(path).lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The identifiers that follow `prefix` in `code`, where `prefix` begins a path; a brace opens several.
fn names_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(word) || code[..at].ends_with("::") {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.insert(std::mem::take(&mut name));
                    }
                    c if depth == 0 => name.push(c),
                    _ => {}
                }
            }
            names.insert(name);
        } else {
            names.insert(rest.to_string());
        }
    }
    names
        .into_iter()
        .map(|name| name.trim().chars().take_while(|&c| word(c)).collect::<String>())
        .filter(|n| !n.is_empty())
        .collect()
}

/// The layer a file belongs to; none for `lib.rs` and the programs.
fn layer(path: &Path) -> Option<&'static (&'static str, &'static [&'static str])> {
    let folder = path.strip_prefix("src").ok()?.components().next()?.as_os_str().to_str()?;
    LAYERS.iter().find(|(name, _)| *name == folder)
}

#[test]
fn a_file_imports_only_from_the_layers_above_its_own() {
    let mut faults = Vec::new();
    for path in rust_files() {
        let Some((own, allowed)) = layer(&path) else { continue };
        let code = code(&path);
        let mut names = names_after(&code, "neurosearch::");
        // The trainer is a crate of its own, in which `crate` is its own modules; far enough up, `super` is the crate.
        if *own != "trainer" {
            let depth = path.components().count() - 2;
            names.extend(names_after(&code, "crate::"));
            names.extend(names_after(&code, &"super::".repeat(depth + 1)));
        }
        for name in names {
            let is_layer = LAYERS.iter().any(|(layer, _)| *layer == name);
            if is_layer && name != **own && !allowed.contains(&name.as_str()) {
                faults.push(format!("{} imports {name}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources: Vec<_> = rust_files().into_iter().map(|path| (path.clone(), code(&path))).collect();
    let imports = imports(&sources);
    let circles = circles(&imports);
    let arrows = |circle: &BTreeSet<PathBuf>| -> Vec<String> {
        let inside = |from: &PathBuf| imports[from].iter().filter(|to| circle.contains(*to)).cloned().collect::<Vec<_>>();
        let arrow = |from: &PathBuf| {
            inside(from).into_iter().map(|to| format!("{} imports {}", from.display(), to.display())).collect::<Vec<_>>()
        };
        circle.iter().flat_map(arrow).collect()
    };
    let arrows: Vec<Vec<String>> = circles.iter().map(arrows).collect();
    assert!(arrows.is_empty(), "{} circles of imports: {arrows:#?}", arrows.len());
}

#[test]
fn only_the_trainer_names_tch() {
    for path in rust_files().into_iter().filter(|path| path.starts_with("src")) {
        let tch = names_after(&code(&path), "tch::");
        assert!(tch.is_empty() || path.starts_with("src/trainer"), "{} names tch::{tch:?}", path.display());
    }
}

#[test]
fn the_programs_call_their_own_layer_and_no_other_program() {
    for (program, allowed) in [("src/bin/neurosearch.rs", ["cli", ""]), ("src/bin/neurosearchd.rs", ["daemon", "store"])] {
        let names = names_after(&code(Path::new(program)), "neurosearch::");
        assert!(names.contains(allowed[0]), "{program} calls {names:?}");
        assert!(names.iter().all(|name| allowed.contains(&name.as_str())), "{program} calls {names:?}");
    }
}

#[test]
fn every_file_opens_with_a_sentence_that_says_what_it_is_for() {
    let mut faults = Vec::new();
    for path in rust_files() {
        let text = text(&path);
        let opening: Vec<&str> =
            text.lines().take_while(|line| line.starts_with("//!")).map(|line| line.trim_start_matches("//!").trim()).collect();
        let paragraph = opening.split(|line| line.is_empty()).next().unwrap_or_default().join(" ");
        let begins = paragraph.chars().next().is_some_and(|c| c.is_uppercase() || c == '`');
        if !begins || !paragraph.ends_with(['.', ':']) {
            faults.push(format!("{}: {paragraph:?}", path.display()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let mut all = rust_files();
    all.extend(files("scripts").into_iter().chain(files(".ci")).chain(files("systemd")));
    all.extend(files("src").into_iter().filter(|path| path.extension().is_some_and(|e| e != "rs")));
    all.push(PathBuf::from("Makefile"));
    let long: Vec<String> = all
        .iter()
        .filter_map(|path| Some((path, fs::read_to_string(root().join(path)).ok()?.lines().count())))
        .filter(|(_, lines)| *lines > LONGEST)
        .map(|(path, lines)| format!("{}: {lines}", path.display()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn nothing_is_unfinished_ignored_or_allowed() {
    // Put together here, so that this file is not its own fault.
    let words = [["to", "do!"], ["unimple", "mented!"], ["#[ig", "nore"], ["#[al", "low("], ["#![al", "low("], ["dbg", "!("]];
    let mut faults = Vec::new();
    for path in rust_files() {
        let text = text(&path);
        let quiet = path.starts_with("src/daemon") || path.starts_with("src/trainer");
        for word in words.map(|parts| parts.concat()) {
            if text.contains(&word) {
                faults.push(format!("{}: {word}", path.display()));
            }
        }
        if quiet && text.contains(&["print", "ln!("].concat()) {
            faults.push(format!("{}: prints", path.display()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Files that may open others by a path alone, and why; beside them, only the kernel's own are opened so.
const OPENERS: [(&str, &str); 9] = [
    ("src/store/fs/failpoint.rs", "the tests' own switches"),
    ("src/store/fs/disk_fault.rs", "lists the folders of inputs"),
    ("src/store/records/list_jobs.rs", "lists watched directories, which may be given by a link"),
    ("src/cli/verbs/retrain.rs", "looks whether a folder that was given is empty"),
    ("src/trainer/bench.rs", "reads options that were given"),
    ("src/trainer/records.rs", "reads the version beside libtorch's libraries"),
    ("src/executor/local/memory.rs", "reads control groups"),
    ("src/executor/local/process_identity.rs", "reads /proc"),
    ("src/executor/local/trainer_evidence.rs", "reads /proc"),
];

/// Links, pipes and devices where a file should be are dealt with in one place.
#[test]
fn files_are_opened_by_the_one_opener() {
    let opens = ["File::open(", "File::create(", "File::options(", "OpenOptions::new(", "fs::read(", "fs::write(", "fs::copy("];
    let opens = opens.into_iter().chain(["fs::read_to_string(", "fs::read_dir("]);
    let opens: Vec<&str> = opens.collect();
    for path in rust_files().into_iter().filter(|path| path.starts_with("src") && !is_for_tests(path)) {
        let code = code(&path);
        let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let strange = code.lines().find(|line| {
            let argument = opens.iter().find_map(|open| line.split_once(open)).map(|(_, argument)| argument);
            argument.is_some_and(|argument| !["\"/proc/", "\"/sys/", "\"/dev/"].iter().any(|root| argument.starts_with(root)))
        });
        let exempt = OPENERS.iter().any(|(file, _)| path == Path::new(file));
        assert_eq!(strange.is_some(), exempt, "{}: {}", path.display(), strange.unwrap_or("needs no exemption any more").trim());
    }
}

fn is_for_tests(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with("tests.rs") || name == "testing.rs" || path.iter().any(|part| part == "tests")
}

#[test]
fn every_dependency_is_used() {
    let manifest: toml::Table = text(Path::new("Cargo.toml")).parse().expect("TOML");
    let sources: String = rust_files().iter().map(|path| code(path)).collect();
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
        for name in dependencies.keys() {
            let name = name.replace('-', "_");
            let used = [format!("{name}::"), format!("use {name};")].iter().any(|path| sources.contains(path));
            assert!(used, "nothing uses {name}");
        }
    }
}

#[test]
fn the_readmes_map_names_only_what_exists() {
    let readme = text(Path::new("README.md"));
    let (_, map) = readme.split_once("## Map of the code").expect("the README has a map of the code");
    let map = map.split("\n## ").next().unwrap_or(map);
    let names: Vec<&str> = map.split('`').skip(1).step_by(2).filter(|name| name.contains('/') || name.contains('.')).collect();
    assert!(names.len() > 20, "the map is too small: {names:?}");
    for name in &names {
        assert!(root().join(name).exists(), "README.md names {name}, which is not there");
    }
    for (layer, _) in LAYERS {
        assert!(names.iter().any(|name| name.starts_with(&format!("src/{layer}"))), "the map leaves out src/{layer}");
    }
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    pages.extend(files("docs").into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")));
    pages
}

#[test]
fn files_that_the_documentation_names_are_there() {
    let mut named = 0;
    for page in pages() {
        let text = text(&page);
        let prose = text.split("```").step_by(2);
        for name in prose.flat_map(|prose| prose.split('`').skip(1).step_by(2)) {
            let (folder, _) = name.split_once('/').unwrap_or_default();
            let ours = ["src", "tests", "benches", "scripts", "fuzz", "config"].contains(&folder);
            if ours && !name.contains(|c: char| c.is_whitespace() || c == '*') {
                assert!(root().join(name).exists(), "{} names {name}, which is not there", page.display());
                named += 1;
            }
        }
    }
    assert!(named > 40, "only {named} names were found");
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    for page in pages() {
        for link in text(&page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or("");
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let folder = root().join(page.parent().unwrap_or(Path::new("")));
            assert!(folder.join(target).exists(), "{} links to {target}, which is not there", page.display());
        }
    }
}
