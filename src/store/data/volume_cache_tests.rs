//! Tests of the cache: shared, bounded, and never a stale or damaged volume.

use super::*;
use crate::testing::tempdir;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicUsize;

struct Setting {
    dir: tempfile::TempDir,
    decodes: AtomicUsize,
}

impl Setting {
    fn new() -> Self {
        let setting = Setting { dir: tempdir(), decodes: AtomicUsize::new(0) };
        fs::write(setting.source(), "one").expect("written");
        setting
    }

    fn source(&self) -> PathBuf {
        self.dir.path().join("source.nii.gz")
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn cache(&self, limit: u64) -> Cache {
        Cache::open(CachePlace { folder: self.folder(), limit }).expect("opened")
    }

    /// Decodes `source` to voxels that tell its content.
    fn get(&self, cache: &Cache, source: &Path) -> Cached {
        let decode = || {
            self.decodes.fetch_add(1, Ordering::SeqCst);
            let bytes = fs::read(source).map_err(|e| StoreError::io("read", source, e))?;
            Ok(Decoded { shape: [1, 1, bytes.len()], voxels: bytes.iter().map(|b| f32::from(*b)).collect() })
        };
        cache.get(source, &Rights::default(), decode).expect("decoded")
    }

    fn decodes(&self) -> usize {
        self.decodes.load(Ordering::SeqCst)
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.folder()).expect("listed").map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn mapped(cached: Cached) -> Vec<f32> {
    match cached {
        Cached::Mapped(mapped) => {
            assert_eq!(mapped.shape().iter().product::<usize>(), mapped.voxels().len());
            mapped.voxels().to_vec()
        }
        Cached::Decoded(_) => panic!("it should stand in the cache"),
    }
}

fn bytes(text: &str) -> Vec<f32> {
    text.bytes().map(f32::from).collect()
}

#[test]
fn a_source_is_decoded_once_for_all_caches_on_the_folder() {
    let setting = Setting::new();
    for _ in 0..3 {
        let cache = setting.cache(1 << 20);
        assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("one"));
    }
    assert_eq!(setting.decodes(), 1);
    assert_eq!(setting.files().len(), 1, "no partial file stays: {:?}", setting.files());
}

#[test]
fn a_changed_source_is_decoded_anew() {
    let setting = Setting::new();
    let cache = setting.cache(1 << 20);
    assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("one"));
    fs::remove_file(setting.source()).expect("removed");
    fs::write(setting.source(), "two").expect("written");
    assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("two"));
    let time = fs::metadata(setting.source()).and_then(|m| m.modified()).expect("a time");
    // In place, of the same length, and with the old time put back, as rsync does.
    fs::write(setting.source(), "six").expect("written");
    File::options().write(true).open(setting.source()).and_then(|f| f.set_modified(time)).expect("set");
    assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("six"));
}

#[test]
fn a_damaged_or_cut_entry_is_made_again() {
    let setting = Setting::new();
    let cache = setting.cache(1 << 20);
    mapped(setting.get(&cache, &setting.source()));
    let entry = setting.files().remove(0);
    let good = fs::read(&entry).expect("read");
    for place in [0, 17, 21, 25, 50, 127, 128, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(&entry, bad).expect("written");
        assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("one"), "byte {place}");
    }
    for length in [0, 100, 128, good.len() - 1] {
        fs::write(&entry, &good[..length]).expect("written");
        assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("one"), "length {length}");
    }
    assert_eq!(setting.decodes(), 13);
}

#[test]
fn what_is_no_file_in_the_cache_is_made_anew_and_keeps_nobody_waiting() {
    let setting = Setting::new();
    let cache = setting.cache(1 << 20);
    let key = key_of(&setting.source()).expect("a key");
    mapped(setting.get(&cache, &setting.source()));
    let aside = setting.dir.path().join("aside");
    for (round, kind) in ["pipe", "folder", "link"].into_iter().enumerate() {
        let entry = cache.path(&key, ENTRY);
        fs::rename(&entry, &aside).expect("moved");
        put(kind, &entry, &aside);
        assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("one"), "{kind}");
        assert_eq!(setting.decodes(), round + 2, "{kind}");
        assert!(fs::symlink_metadata(&entry).expect("there").is_file() && aside.exists(), "{kind}");
        // A half-written one of that kind belongs to nobody: the image is read without the cache.
        fs::remove_file(&entry).expect("removed");
        let partial = cache.path(&key, PARTIAL);
        put(kind, &partial, &aside);
        assert!(
            matches!(cache.get(&setting.source(), &Rights::default(), || Err(StoreError::content(&aside, "read"))), Err(e) if e.path() == aside)
        );
        assert!(fs::symlink_metadata(&partial).is_ok_and(|meta| !meta.is_file()), "{kind}");
        Spot::of(&partial).and_then(|spot| spot.remove()).expect("removed");
        mapped(
            cache
                .get(&setting.source(), &Rights::default(), || Ok(Decoded { shape: [1, 1, 1], voxels: vec![1.0] }))
                .expect("decoded"),
        );
    }
}

/// A pipe, a folder with something in it or a link to `target` at `path`.
fn put(kind: &str, path: &Path, target: &Path) {
    match kind {
        "pipe" => {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("a pipe");
        }
        "folder" => fs::create_dir_all(path.join("below")).expect("made"),
        _ => std::os::unix::fs::symlink(target, path).expect("linked"),
    }
}

#[test]
fn many_at_once_decode_once() {
    let setting = Setting::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(mapped(setting.get(&setting.cache(1 << 20), &setting.source())), bytes("one")));
        }
    });
    assert_eq!(setting.decodes(), 1);
    assert_eq!(setting.files().len(), 1, "{:?}", setting.files());
}

#[test]
fn the_entries_not_used_for_longest_go_when_the_cache_is_full() {
    let setting = Setting::new();
    let one = entry::length(3);
    let cache = setting.cache(3 * one);
    let source = |name: &str| setting.dir.path().join(name);
    for (age, name) in [(9, "a"), (8, "b"), (7, "c")] {
        fs::write(source(name), "abc").expect("written");
        let before = setting.files();
        mapped(setting.get(&cache, &source(name)));
        let new = setting.files().into_iter().find(|path| !before.contains(path)).expect("an entry");
        let used = SystemTime::now() - Duration::from_secs(age * 1000);
        File::options().write(true).open(new).and_then(|f| f.set_modified(used)).expect("set");
    }
    mapped(setting.get(&cache, &source("a")));
    assert_eq!(setting.decodes(), 3, "a was still there, and is now the last one used");
    mapped(setting.get(&cache, &setting.source()));
    assert_eq!(setting.files().len(), 3);
    mapped(setting.get(&cache, &source("a")));
    mapped(setting.get(&cache, &source("c")));
    assert_eq!(setting.decodes(), 4, "a and c stayed");
    mapped(setting.get(&cache, &source("b")));
    assert_eq!(setting.decodes(), 5, "b went");
}

#[test]
fn the_volume_is_given_where_the_cache_is_too_small_or_not_writable() {
    let setting = Setting::new();
    let small = setting.cache(10);
    assert!(matches!(setting.get(&small, &setting.source()), Cached::Decoded(decoded) if decoded.voxels == bytes("one")));
    assert!(setting.files().is_empty(), "{:?}", setting.files());
    let cache = setting.cache(1 << 20);
    fs::remove_dir(setting.folder()).expect("removed");
    assert!(matches!(setting.get(&cache, &setting.source()), Cached::Decoded(decoded) if decoded.voxels == bytes("one")));
}

#[test]
fn what_dead_writers_left_is_taken_over_or_swept() {
    let setting = Setting::new();
    let cache = setting.cache(1 << 20);
    let key = key_of(&setting.source()).expect("a key");
    fs::write(cache.path(&key, PARTIAL), "half a volume").expect("written");
    let other = setting.folder().join("dead.part");
    fs::write(&other, "half").expect("written");
    let long_ago = SystemTime::now() - 2 * ABANDONED;
    File::options().write(true).open(&other).and_then(|f| f.set_modified(long_ago)).expect("set");
    assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("one"));
    assert_eq!(setting.files(), [PathBuf::from(cache.path(&key, ENTRY))]);
}

#[test]
fn a_source_that_is_not_there_or_cannot_be_decoded_is_its_own_error() {
    let setting = Setting::new();
    let cache = setting.cache(1 << 20);
    let missing = setting.dir.path().join("missing");
    assert!(cache.get(&missing, &Rights::default(), || panic!("not asked")).expect_err("missing").is_missing());
    let fails = || Err(StoreError::content(&setting.source(), "damaged"));
    assert!(cache.get(&setting.source(), &Rights::default(), fails).expect_err("damaged").to_string().contains("damaged"));
    assert!(setting.files().is_empty(), "a failed decoding leaves nothing: {:?}", setting.files());
    assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("one"));
}

#[test]
fn an_entry_is_given_to_nobody_who_may_not_read_its_source() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root, who alone can become another user");
        return;
    }
    let setting = Setting::new();
    let cache = setting.cache(1 << 20);
    assert_eq!(mapped(setting.get(&cache, &setting.source())), bytes("one"));
    let stranger = Rights::of_user(61_001).expect("asked");
    fs::set_permissions(setting.dir.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    for (mode, may) in [(0o600, false), (0o644, true)] {
        fs::set_permissions(setting.source(), fs::Permissions::from_mode(mode)).expect("set");
        setting.get(&cache, &setting.source());
        let given = cache.get(&setting.source(), &stranger, || panic!("it stands in the cache"));
        assert_eq!(given.is_ok(), may, "{mode:o}");
        assert!(may || given.expect_err("refused").to_string().contains("may not read it"));
    }
}
