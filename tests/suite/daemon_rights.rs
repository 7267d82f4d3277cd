//! Who may look and who may change, asked over the socket by other users; and clients that ask too much, too slowly or too often.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::needs::{needs, skip};
use crate::other_users::copy;
use crate::stand_in::{Ended, Signal, checkout, copied, said, signal, until};
use crate::verbs::path;
use neurosearch::control::client::Client;
use neurosearch::control::reply::Status;
use rustix::fs::Uid;
use rustix::process::{Resource, Rlimit};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Numbers of users and a group that nobody has.
const OWNER: u32 = 61_001;
const MEMBER: u32 = 61_002;
const STRANGER: u32 = 61_003;
const GROUP: u32 = 61_004;

/// The command line as user `user`, whose primary group is its own, and who is also in `groups`.
fn asked_by(setpriv: &Path, dir: &Path, user: u32, groups: &[u32], arguments: &[&str]) -> Output {
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    let mut command = Command::new(setpriv);
    command.args(["--reuid", &user.to_string(), "--regid", &user.to_string()]);
    match groups.as_slice() {
        [] => command.arg("--clear-groups"),
        groups => command.args(["--groups", &groups.join(",")]),
    };
    command.arg(env!("CARGO_BIN_EXE_neurosearch")).args(arguments).env("NEUROSEARCH_SOCKET", dir.join("d.sock"));
    command.output().expect("it runs")
}

#[test]
fn a_search_is_changed_by_its_owner_and_the_members_of_its_group_and_by_no_stranger() {
    let Some(setpriv) = needs("setpriv") else { return };
    if !rustix::process::geteuid().is_root() {
        return skip("root, who alone can become another user");
    }
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("shared");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    chown(&launch, Some(OWNER), Some(GROUP)).expect("given away");
    // Everybody reaches the socket here, so that it is the daemon who refuses.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    fs::set_permissions(dir.path().join("d.sock"), fs::Permissions::from_mode(0o666)).expect("opened");
    let path = launch.to_str().expect("UTF-8");
    let ask = |user, groups: &[u32], arguments: &[&str]| asked_by(&setpriv, dir.path(), user, groups, arguments);
    for (user, groups, may) in [
        (OWNER, vec![], true),
        (MEMBER, vec![GROUP], true),
        (MEMBER, vec![61_010, 61_011, GROUP, 61_012], true),
        (STRANGER, vec![], false),
        (STRANGER, vec![61_010], false),
    ] {
        let output = ask(user, &groups, &["pause", path]);
        assert_eq!(output.status.success(), may, "{user} in {groups:?}: {}", said(&output));
        assert!(may || said(&output).contains("only its owner"), "{}", said(&output));
        let looked = ask(user, &groups, &["status", "--json"]);
        assert!(looked.status.success() && said(&looked).contains("shared"), "everybody may look: {}", said(&looked));
        let machine = ask(user, &groups, &["shutdown"]);
        assert!(said(&machine).contains("only root"), "{}", said(&machine));
    }
    daemon.client().get::<Value>("/v1/ping", &[]).expect("still served");
}

#[test]
fn status_says_what_lets_the_daemon_where_it_may_not_write_or_look() {
    let Some(setpriv) = needs("setpriv") else { return };
    if !rustix::process::geteuid().is_root() {
        return skip("root, who alone can become another user");
    }
    let dir = tempdir();
    let launch = dir.path().join("watched/first");
    fs::create_dir_all(&launch).expect("made");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    drop_space(&launch, &space(1, 1, &json!({})));
    let (closed, beyond) = (dir.path().join("watched/closed"), dir.path().join("home/searches"));
    for (made, shut) in [(&closed, &closed), (&beyond, &dir.path().join("home"))] {
        fs::create_dir_all(made).expect("made");
        fs::set_permissions(shut, fs::Permissions::from_mode(0o700)).expect("closed");
    }
    let own = dir.path().join("own");
    fs::create_dir(&own).expect("made");
    chown(&own, Some(STRANGER), Some(STRANGER)).expect("given away");
    let user = STRANGER.to_string();
    let mut daemon = Command::new(&setpriv)
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", env!("CARGO_BIN_EXE_neurosearchd")])
        .arg("--watch")
        .arg(dir.path().join("watched"))
        .arg("--watch")
        .arg(&beyond)
        .arg("--socket")
        .arg(own.join("d.sock"))
        .env("HOME", &own)
        .env_remove("NEUROSEARCHD_CONFIG")
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    let client = Client::new(own.join("d.sock"));
    let cure = format!("chgrp neurosearch {0} && chmod g+ws {0}", launch.display());
    until("the search is held", || {
        let status = client.get::<Status>("/v1/status", &[]);
        status.is_ok_and(|status| status.searches.iter().flat_map(|search| &search.alarms).any(|alarm| alarm.contains(&cure)))
    });
    let cures = [
        format!(
            "{0}: the daemon may not look into it, so that no search there is seen; `chgrp neurosearch {0}",
            closed.display()
        ),
        format!("`chmod o+x {}` opens the way", dir.path().join("home").display()),
    ];
    for cure in cures {
        until(&format!("status says {cure}"), || {
            let status = client.get::<Status>("/v1/status", &[]);
            status.is_ok_and(|status| status.alarms.iter().any(|alarm| alarm.contains(&cure)))
        });
    }
    let held = asked_by(&setpriv, &own, STRANGER, &[], &["explain", path(&launch.join("job-0"))]);
    assert!(said(&held).contains("is held") && said(&held).contains(&cure), "{}", said(&held));
    signal(daemon.id(), Signal::TERM);
    assert!(daemon.wait().expect("reaped").success());
}

/// What below `folder` its owner may not read, or not enter.
fn shut(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("listed").flatten() {
        let (path, meta) = (entry.path(), entry.metadata().expect("looked"));
        let needed = if meta.is_dir() { 0o700 } else { 0o600 };
        if !meta.is_symlink() && meta.permissions().mode() & needed != needed {
            found.push(path);
        } else if meta.is_dir() {
            found.extend(shut(&path));
        }
    }
    found
}

#[test]
fn what_a_daemon_with_a_closed_umask_leaves_the_next_one_can_open() {
    let Some(setpriv) = needs("setpriv") else { return };
    let dir = tempdir();
    let launch = dir.path().join("own/watched/first");
    fs::create_dir_all(&launch).expect("made");
    // The checkout may be closed to the user.
    let data = dir.path().join("data");
    copy(&checkout("tests/fixtures/mni-quarter"), &data);
    drop_space(&launch, &space(1, 1, &json!({"caps_dir": data.join("caps"), "tsv_path": data.join("labels")})));
    let gpus = dir.path().join("own/no-gpus.json");
    fs::write(&gpus, "[]").expect("written");
    let trainer = copied(checkout("tests/programs/stand-in-trainer"), dir.path());
    let neurosearchd = copied(env!("CARGO_BIN_EXE_neurosearchd"), dir.path());
    let mut program = vec!["sh".to_string()];
    if rustix::process::geteuid().is_root() {
        // Root may open everything.
        let user = STRANGER.to_string();
        program = [path(&setpriv), "--reuid", &user, "--regid", &user, "--clear-groups", "sh"].map(String::from).to_vec();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("opened");
        let own = dir.path().join("own");
        for given in [&own, &own.join("watched"), &launch, &launch.join("random_search.json"), &gpus] {
            chown(given, Some(STRANGER), Some(STRANGER)).expect("given away");
        }
    }
    let socket = dir.path().join("own/d.sock");
    let client = Client::new(&socket);
    for umask in ["0777", "0022"] {
        let mut daemon = Command::new(&program[0])
            .args(&program[1..])
            .args(["-c", "umask $0 && exec \"$@\"", umask, path(&neurosearchd), "--devices", "cpu"])
            .arg("--watch")
            .arg(dir.path().join("own/watched"))
            .arg("--socket")
            .arg(&socket)
            .env("HOME", dir.path().join("own"))
            .env("NEUROSEARCH_TRAINER", &trainer)
            .env("NEUROSEARCH_GPU_LISTING", &gpus)
            .env_remove("XDG_CACHE_HOME")
            .env_remove("NEUROSEARCHD_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Ended)
            .expect("it runs");
        until(&format!("the job is done, with umask {umask}"), || {
            let ended = daemon.0.try_wait().expect("asked");
            assert_eq!(ended, None, "the daemon cannot open what an earlier one left: {:?}", shut(dir.path()));
            let status = client.get::<Status>("/v1/status", &[]);
            status.is_ok_and(|status| status.searches.iter().any(|search| search.counts.done == 1 && search.alarms.is_empty()))
        });
        signal(daemon.0.id(), Signal::TERM);
        assert!(daemon.0.wait().expect("reaped").success());
        assert_eq!(shut(dir.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn what_the_command_line_makes_is_open_to_its_user_whatever_the_umask() {
    let dir = tempdir();
    let made = dir.path().join("new");
    let typed = ["-c", "umask 0777 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_neurosearch"), "init", path(&made)];
    let output = Command::new("sh").args(typed).output().expect("it runs");
    assert!(output.status.success() && made.join("random_search.json").exists(), "{}", said(&output));
    assert_eq!(shut(dir.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_senseless_request_is_refused_and_the_next_one_is_answered() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let post = |body: &[u8]| {
        let head = "POST /v1/pause HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length:";
        [format!("{head} {}\r\n\r\n", body.len()).as_bytes(), body].concat()
    };
    let deep = format!("{{\"set\": {}", "[".repeat(100_000));
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("a body above 1 MiB", post(&vec![b' '; (1 << 20) + 1]), "413"),
        ("nested too deeply", post(deep.as_bytes()), "400"),
        ("not JSON", post(b"pause"), "400"),
        ("not UTF-8", post(&[b'{', 0xff, b'}']), "400"),
        ("an unknown key", post(b"{\"lauch\": \"/x\"}"), "400"),
        ("a number that is none", post(b"{\"set\": {\"n_jobs\": 1e999}}"), "400"),
        (
            "a head above what HTTP allows",
            [b"GET /v1/ping HTTP/1.1\r\n".as_slice(), &b"x: y\r\n".repeat(200_000)].concat(),
            "431",
        ),
        ("an address without end", [b"GET /".as_slice(), &vec![b'a'; 1 << 20], b" HTTP/1.1\r\n\r\n"].concat(), "4"),
        ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), ""),
    ];
    for (what, request, status) in cases {
        let answer = daemon.answer(&request);
        let first = answer.lines().next().unwrap_or_default();
        assert!(!first.contains(" 200 ") && (first.is_empty() || first.contains(status)), "{what}: {first:?}");
        assert!(!answer.chars().any(|c| c.is_control() && !c.is_whitespace()), "{what}: {answer:?}");
        daemon.client().get::<Value>("/v1/ping", &[]).unwrap_or_else(|e| panic!("after {what}: {e}"));
    }
}

#[test]
fn silent_clients_lose_their_places_and_others_are_answered() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let socket = dir.path().join("d.sock");
    // More than one user may have, and more than there are.
    let mut silent: Vec<UnixStream> = (0..100).map(|_| UnixStream::connect(&socket).expect("connected")).collect();
    for (index, stream) in silent.iter_mut().enumerate() {
        if index % 2 == 0 {
            let _ = stream.write_all(b"POST /v1/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{");
        }
    }
    until("another client is answered", || daemon.client().get::<Value>("/v1/ping", &[]).is_ok());
    for stream in &mut silent {
        let mut end = Vec::new();
        // The daemon ends each of them; nobody here does.
        stream.read_to_end(&mut end).unwrap_or_default();
    }
    daemon.client().get::<Value>("/v1/ping", &[]).expect("still served");
}

/// Lets this process open as many files as the system allows it. The usual limit, 1,024, is for all tests that run at once.
fn open_many_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("allowed");
}

/// Connections of another user.
fn connections_of(user: u32, count: usize, socket: &Path) -> Vec<UnixStream> {
    let connect = || -> Vec<UnixStream> {
        let user = Uid::from_raw(user);
        // Of this thread alone, which ends with it.
        rustix::thread::set_thread_res_uid(user, user, user).expect("become another user");
        (0..count).map(|_| UnixStream::connect(socket).expect("connected")).collect()
    };
    std::thread::scope(|scope| scope.spawn(connect).join().expect("no panic"))
}

#[test]
fn a_user_with_too_many_connections_is_told_so_while_others_are_answered() {
    if !rustix::process::geteuid().is_root() {
        return skip("root, who alone can become another user");
    }
    open_many_files();
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let socket = dir.path().join("d.sock");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("opened");
    let mut connections = connections_of(STRANGER, 33, &socket);
    let mut last = String::new();
    connections.pop().expect("the last one").read_to_string(&mut last).expect("ended");
    assert!(last.contains("503") && last.contains("you have too many connections open at once"), "{last:?}");
    // Half of a request each. The second user takes all places that the first one leaves.
    let half = b"POST /v1/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    let mut more = connections_of(MEMBER, 1000, &socket);
    for stream in &mut more {
        // All but the first are turned away.
        let _ = stream.write_all(half);
    }
    let mut last = String::new();
    connections_of(OWNER, 1, &socket).pop().expect("one").read_to_string(&mut last).expect("ended");
    assert!(last.contains("503") && last.contains("other users have too many"), "{last:?}");
    daemon.client().get::<Value>("/v1/ping", &[]).expect("root is answered");
    let request = b"GET /v1/ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for mut stream in connections {
        stream.write_all(request).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        assert!(answer.contains(" 200 "), "{answer:?}");
    }
}

#[test]
fn a_thousand_half_requests_of_the_daemons_own_user_leave_nobody_without_an_answer() {
    open_many_files();
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let socket = dir.path().join("d.sock");
    let connect = || UnixStream::connect(&socket).expect("connected");
    let mut half: Vec<UnixStream> = (0..1000).map(|_| connect()).collect();
    for stream in &mut half {
        let _ = stream.write_all(b"GET /v1/ping HTTP/1.1\r\nhost: local");
    }
    // An answer either way: most likely that there are too many, which is not kept waiting for a place.
    match daemon.client().get::<Value>("/v1/ping", &[]) {
        Ok(_) => {}
        Err(e) => assert!(e.to_string().contains("you have too many connections open"), "{e}"),
    }
    drop(half);
    until("there is a place again", || daemon.client().get::<Value>("/v1/ping", &[]).is_ok());
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                for _ in 0..20 {
                    daemon.client().get::<Value>("/v1/status", &[]).expect("answered");
                }
            });
        }
    });
}
