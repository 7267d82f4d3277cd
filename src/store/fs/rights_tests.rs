//! Tests of reading for another user: what is found is what the kernel lets that user open, whoever runs the test.

use super::*;
use crate::store::fs::open;
use crate::testing::tempdir;
use rustix::fs::{OFlags, XattrFlags, setxattr};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

/// Numbers of users and groups that nobody has.
const ALICE: u32 = 61_001;
const BOB: u32 = 61_002;
const GROUP: u32 = 61_004;

fn user(uid: u32, groups: &[u32]) -> User {
    User { uid, gid: groups[0], groups: groups.to_vec() }
}

/// Whether this test can become another user; says so where it cannot.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root, who alone can become another user");
    }
    root
}

fn own(path: &Path, uid: u32, gid: u32, mode: u32) {
    chown(path, Some(uid), Some(gid)).expect("given away");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

/// An access list in the form of Linux: tag, rights, number.
fn set_list(path: &Path, entries: &[(u16, u16, u32)]) -> bool {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    setxattr(path, "system.posix_acl_access", &bytes, XattrFlags::empty()).is_ok()
}

/// A tree of everything that decides about a way, with the paths to try in it.
fn tree(root: &Path) -> Vec<PathBuf> {
    own(root, 0, 0, 0o755);
    let mut paths = vec![PathBuf::from("/"), root.to_path_buf(), root.join("absent"), root.join("absent/x")];
    let owners = [(0, 0), (ALICE, 0), (0, GROUP), (BOB, GROUP)];
    for (place, (uid, gid)) in owners.iter().enumerate() {
        for mode in [0o700, 0o710, 0o750, 0o705, 0o701, 0o070, 0o007, 0o077, 0o000] {
            let folder = root.join(format!("{place}-{mode:03o}"));
            fs::create_dir(&folder).expect("made");
            fs::write(folder.join("file"), "x").expect("written");
            own(&folder.join("file"), *uid, *gid, mode);
            fs::write(folder.join("open"), "x").expect("written");
            own(&folder, *uid, *gid, mode);
            let link = root.join(format!("link-{place}-{mode:03o}"));
            symlink(folder.join("open"), &link).expect("linked");
            let inside = ["", "file", "open", "absent", "open/x", "../0-705/open", "./file"];
            paths.extend(inside.map(|name| folder.join(name)));
            paths.push(link);
        }
    }
    for (name, target) in [("up", "0-705/../0-705/open"), ("round", "round"), ("nowhere", "absent"), ("etc", "/etc/hostname")] {
        symlink(target, root.join(name)).expect("linked");
        paths.push(root.join(name));
    }
    paths
}

#[test]
fn a_way_is_open_to_a_user_where_the_kernel_says_so() {
    if !is_root() {
        return;
    }
    let dir = tempdir();
    let mut paths = tree(dir.path());
    let lists: [&[(u16, u16, u32)]; 4] = [
        &[(1, 6, 0), (2, 4, ALICE), (4, 0, 0), (0x10, 4, 0), (0x20, 0, 0)],
        &[(1, 6, 0), (2, 4, ALICE), (4, 4, 0), (0x10, 0, 0), (0x20, 4, 0)],
        &[(1, 6, 0), (4, 0, 0), (8, 4, GROUP), (0x10, 4, 0), (0x20, 0, 0)],
        &[(1, 0, 0), (2, 0, BOB), (4, 0, 0), (8, 0, GROUP), (0x10, 7, 0), (0x20, 4, 0)],
    ];
    for (at, list) in lists.into_iter().enumerate() {
        let path = dir.path().join(format!("list-{at}"));
        fs::write(&path, "x").expect("written");
        own(&path, if at == 3 { ALICE } else { 0 }, 0, 0o640);
        if !set_list(&path, list) {
            eprintln!("skipped: the file system of {} keeps no access lists", dir.path().display());
            break;
        }
        paths.push(path);
    }
    let (mut open, mut closed) = (0, 0);
    for user in [user(ALICE, &[ALICE]), user(ALICE, &[ALICE, GROUP]), user(BOB, &[BOB]), user(BOB, &[GROUP])] {
        for path in &paths {
            let became = Become::user(&user).expect("root can");
            let kernel = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty()).map(drop);
            let looked = rustix::fs::stat(path).map(drop);
            drop(became);
            assert_eq!(walk::find(&user, path, Some(Wanted::Read)).map(drop), kernel, "{} for {user:?}", path.display());
            assert_eq!(walk::find(&user, path, None).map(drop), looked, "a look at {} for {user:?}", path.display());
            if kernel.is_ok() { open += 1 } else { closed += 1 }
        }
    }
    assert!(open > 100 && closed > 100, "{open} open, {closed} closed");
}

/// Reads for `user`, by the kernel or by the walk.
fn reading<T>(user: &User, by_walk: bool, work: impl FnOnce() -> T) -> T {
    if !by_walk {
        return Rights(Some(Arc::new(user.clone()))).read(work);
    }
    let _reading = Scope::begin(Reading { user: Arc::new(user.clone()), by_walk });
    work()
}

#[test]
fn what_the_user_may_not_read_is_refused_with_their_number_and_what_is_not_there_is_told_only_where_they_may_look() {
    if !is_root() {
        return;
    }
    let dir = tempdir();
    own(dir.path(), 0, 0, 0o755);
    let [closed, secret, shown] = ["closed", "secret", "shown"].map(|name| dir.path().join(name));
    fs::create_dir(&closed).expect("made");
    own(&closed, 0, 0, 0o700);
    for path in [&closed.join("there"), &secret, &shown] {
        fs::write(path, "x").expect("written");
    }
    own(&secret, 0, 0, 0o600);
    for by_walk in [false, true] {
        let said =
            |path: &Path| reading(&user(ALICE, &[ALICE]), by_walk, || open::read(path).map(drop).map_err(|e| e.to_string()));
        assert_eq!(said(&shown), Ok(()));
        let refused = said(&secret).expect_err("refused");
        assert!(refused.contains("user 61001, to whom the launch directory belongs, may not read it"), "{refused}");
        let [there, absent] = ["there", "absent"].map(|name| said(&closed.join(name)).expect_err("refused").replace(name, "x"));
        assert_eq!(there, absent, "nothing tells them apart");
        let look = |path: &Path| reading(&user(ALICE, &[ALICE]), by_walk, || open::look(path).map(drop).map_err(|e| e.kind()));
        assert_eq!(look(&closed.join("there")), look(&closed.join("absent")));
        assert_eq!(look(&dir.path().join("absent")), Err(io::ErrorKind::NotFound));
        assert_eq!(look(&secret), Ok(()), "to see a file is not to read it");
    }
    assert_eq!(open::bytes(&*secret, 10, "larger").expect("ours again"), b"x");
}

#[test]
fn a_thread_has_its_own_rights_again_after_the_reading_even_where_it_panics() {
    if !is_root() {
        return;
    }
    let before = (rustix::process::geteuid(), rustix::process::getegid(), rustix::process::getgroups().expect("asked"));
    let rights = Rights(Some(Arc::new(user(ALICE, &[BOB, GROUP]))));
    let inside = rights.read(|| {
        let elsewhere = std::thread::spawn(|| 0);
        assert_eq!(elsewhere.join().expect("no panic"), 0);
        (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
            rustix::process::getgroups().expect("asked").len(),
        )
    });
    assert_eq!(inside, (ALICE, BOB, 2));
    std::panic::catch_unwind(|| rights.read(|| panic!("as planned"))).expect_err("a panic");
    let after = (rustix::process::geteuid(), rustix::process::getegid(), rustix::process::getgroups().expect("asked"));
    assert_eq!(before, after);
    assert!(READING.with_borrow(Option::is_none));
}

#[test]
fn the_rights_are_the_owners_and_those_of_whoever_can_exchange_the_directory() {
    let dir = tempdir();
    assert_eq!(Rights::of_owner(dir.path()).expect("looked"), Rights::default(), "one's own need no look");
    assert!(Rights::of_owner(&dir.path().join("absent")).expect_err("gone").is_missing());
    if !is_root() {
        return;
    }
    let launch = dir.path().join("searches/launch");
    fs::create_dir_all(&launch).expect("made");
    let uid = || Rights::of_owner(&launch).map(|rights| rights.uid());
    own(&launch, ALICE, ALICE, 0o755);
    assert_eq!(uid().expect("looked"), Some(ALICE));
    own(&launch, ALICE, ALICE, 0o777);
    assert!(uid().expect_err("refused").to_string().contains("chmod o-w"));
    own(&launch, 0, 0, 0o755);
    assert_eq!(uid().expect("looked"), None);
    own(&dir.path().join("searches"), BOB, BOB, 0o755);
    assert_eq!(uid().expect("looked"), Some(BOB), "root's, in a directory of another's");
    let link = dir.path().join("link");
    symlink("/etc", &link).expect("linked");
    rustix::fs::chownat(
        rustix::fs::CWD,
        &link,
        Some(rustix::fs::Uid::from_raw(ALICE)),
        None,
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    )
    .expect("given away");
    assert_eq!(Rights::of_owner(&link).expect("looked").uid(), Some(ALICE), "a link of another's to root's");
}
