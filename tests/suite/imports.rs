//! Which source file imports which: read from `use` lines and paths, and the circles among them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A source file: its crate and module path, and the paths that its code names.
struct Module {
    file: PathBuf,
    /// `crate` for the library, `trainer` for the trainer's program, and then its modules.
    path: Vec<String>,
    named: Vec<Vec<String>>,
}

/// What each file imports of the other files. Tests do not count, nor does `mod name;`.
pub fn imports(sources: &[(PathBuf, String)]) -> BTreeMap<PathBuf, BTreeSet<PathBuf>> {
    let modules: Vec<Module> = sources.iter().filter_map(|(file, code)| Module::read(file, code)).collect();
    let files: BTreeMap<&[String], &PathBuf> = modules.iter().map(|module| (module.path.as_slice(), &module.file)).collect();
    modules.iter().map(|module| (module.file.clone(), module.imported(&files))).collect()
}

/// The groups of files that import each other in a circle.
pub fn circles(imports: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> Vec<BTreeSet<PathBuf>> {
    let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = imports.keys().map(|file| (file, reach(imports, file))).collect();
    let in_circle = |a: &PathBuf, b: &PathBuf| reached[a].contains(b) && reached[b].contains(a);
    let circles: BTreeSet<BTreeSet<PathBuf>> = imports
        .keys()
        .filter(|file| in_circle(file, file))
        .map(|file| imports.keys().filter(|other| in_circle(file, other)).cloned().collect())
        .collect();
    circles.into_iter().collect()
}

/// Every file that can be reached from this one by imports.
fn reach<'a>(imports: &'a BTreeMap<PathBuf, BTreeSet<PathBuf>>, file: &PathBuf) -> BTreeSet<&'a PathBuf> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&PathBuf> = imports[file].iter().collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(imports.get(next).into_iter().flatten());
        }
    }
    reached
}

impl Module {
    /// None for a file that belongs to neither the library nor the trainer, or only to tests.
    fn read(file: &Path, code: &str) -> Option<Self> {
        let below = file.strip_prefix("src").ok()?.with_extension("");
        let mut path: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if path.first()? == "bin" || path.iter().any(|name| name == "tests" || name.ends_with("_tests") || name == "testing") {
            return None;
        }
        match path.first()?.as_str() {
            "trainer" => {}
            _ => path.insert(0, "crate".to_string()),
        }
        if path.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
            path.pop();
        }
        Some(Module { file: file.to_path_buf(), path, named: paths(&without_tests(code)) })
    }

    fn imported(&self, files: &BTreeMap<&[String], &PathBuf>) -> BTreeSet<PathBuf> {
        let absolute = self.named.iter().filter_map(|named| self.absolute(named, files));
        let owner = |path: Vec<String>| (1..=path.len()).rev().find_map(|length| files.get(&path[..length]).copied().cloned());
        absolute.filter_map(owner).filter(|file| *file != self.file).collect()
    }

    /// A path as seen from the crate; none for a path into another crate.
    fn absolute(&self, named: &[String], files: &BTreeMap<&[String], &PathBuf>) -> Option<Vec<String>> {
        let (first, rest) = named.split_first()?;
        let trainer = self.path[0] == "trainer";
        let mut base = match first.as_str() {
            "crate" => vec![self.path[0].clone()],
            "neurosearch" if trainer => vec!["crate".to_string()],
            "self" => self.path.clone(),
            "super" => self.path[..self.path.len().checked_sub(1)?].to_vec(),
            child => {
                let path = [self.path.as_slice(), &[child.to_string()]].concat();
                files.contains_key(path.as_slice()).then_some(path)?
            }
        };
        for name in rest {
            match name.as_str() {
                "super" => drop(base.pop()?),
                _ => base.push(name.clone()),
            }
        }
        Some(base)
    }
}

/// Every path of two or more names in the code, with the trees of `use` taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (tree, next) = tree(&tokens, at);
        found.extend(tree.into_iter().filter(|path| path.len() > 1));
        at = next.max(at + 1);
    }
    found
}

/// Names, `::`, and every other character that is no blank.
fn tokens(code: &str) -> Vec<&str> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("::") {
            2
        } else if word(first) {
            rest.find(|c| !word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// The paths that begin at this token, and where the code goes on.
fn tree(tokens: &[&str], mut at: usize) -> (Vec<Vec<String>>, usize) {
    let is_name = |token: &str| token.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let mut path = Vec::new();
    while let Some(name) = tokens.get(at).filter(|token| is_name(token)) {
        path.push((*name).to_string());
        at += 1;
        if tokens.get(at) != Some(&"::") {
            return (vec![path], at);
        }
        at += 1;
    }
    if path.is_empty() || tokens.get(at) != Some(&"{") {
        return (vec![path], at);
    }
    let mut found = Vec::new();
    while tokens.get(at).is_some_and(|token| *token != "}") {
        let (inner, next) = tree(tokens, at + 1);
        found.extend(inner.into_iter().map(|rest| [path.clone(), rest].concat()));
        at = next;
        while tokens.get(at).is_some_and(|token| ![",", "}"].contains(token)) {
            at += 1;
        }
    }
    (found, at + 1)
}

/// The code before its own tests, which stand at the end of a file, without `#[cfg(test)]` items before them.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let end = after.find([';', '{']).unwrap_or(after.len());
        if after[end..].starts_with('{') {
            rest = &after[end + block(&after[end..])..];
        } else {
            rest = after.get(end + 1..).unwrap_or_default();
        }
    }
    kept + rest
}

/// The length of the block that begins with the first brace.
fn block(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

#[test]
fn a_circle_is_found_through_use_trees_paths_and_reexports() {
    let source = |file: &str, code: &str| (PathBuf::from(file), code.to_string());
    let sources = [
        source("src/a/mod.rs", "pub mod one; pub mod two; pub mod three; pub use one::One;"),
        source("src/a/one.rs", "use super::{two::Two, three::{self}}; #[cfg(test)] mod tests { use super::super::three; }"),
        source("src/a/two.rs", "fn f() { crate::a::three::g() }"),
        source("src/a/three.rs", "use crate::a::one::One;"),
        source("src/b.rs", "use crate::a::One;"),
        source("src/trainer/main.rs", "mod x; mod y;"),
        source("src/trainer/x.rs", "use super::y; use neurosearch::b;"),
        source("src/trainer/y.rs", "#[cfg(test)]\nuse super::x; fn f() {}"),
    ];
    let imports = imports(&sources);
    let of = |file: &str| imports[Path::new(file)].iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(of("src/a/one.rs"), ["src/a/three.rs", "src/a/two.rs"]);
    assert_eq!(of("src/b.rs"), ["src/a/mod.rs"]);
    assert_eq!(of("src/trainer/x.rs"), ["src/b.rs", "src/trainer/y.rs"]);
    assert!(of("src/trainer/y.rs").is_empty());
    let circles = circles(&imports);
    let expected = ["src/a/one.rs", "src/a/three.rs", "src/a/two.rs"].map(PathBuf::from);
    assert_eq!(circles, [BTreeSet::from(expected)]);
}
