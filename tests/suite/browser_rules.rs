//! What the socket refuses so that no page in a browser can use it, asked in raw bytes, and what every answer says to a browser.

use crate::harness::{Daemon, Setup, tempdir};
use crate::needs::needs;
use crate::stand_in::{checkout, said};
use serde_json::Value;
use std::fs;
use std::process::Command;

fn daemon(dir: &tempfile::TempDir, config: &str) -> Daemon {
    let setup = Setup::default();
    Daemon::start(dir.path(), &Setup { config: format!("{config}\n{}", setup.config), ..setup })
}

/// A request from its first line and its headers, the last on its connection.
fn request(first: &str, headers: &[&str], body: &str) -> String {
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{first}\r\n{lines}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// Whether the daemon has obeyed anything.
fn has_changed(daemon: &Daemon) -> bool {
    daemon.log().contains("changed verb=")
}

#[test]
fn a_request_for_a_foreign_name_is_refused_with_the_cure_and_one_for_this_machine_is_answered() {
    let dir = tempdir();
    let daemon = daemon(&dir, "allowed_hosts = [\"Lab.example\", \"192.0.2.7\"]");
    let get = |host: &str| daemon.answer(request("GET /v1/ping HTTP/1.1", &[&format!("Host: {host}")], ""));
    let good = ["localhost", "LocalHost:8899", "127.0.0.1:8899", "[::1]", "[::1]:8899", "lab.example:443", "192.0.2.7"];
    for host in good {
        assert_eq!(status(&get(host)), "200", "{host}: {}", get(host));
    }
    let foreign = [
        "",
        "evil.example",
        "evil.example:8899",
        "localhost.evil.example",
        "localhost.",
        "lab.example.",
        "sub.lab.example",
        "localhost@evil.example",
        "localhost, evil.example",
        "localhost:80:evil",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "neurosearchd",
        "d\u{f6}main",
        &"a".repeat(5000),
    ];
    for host in foreign {
        let answer = get(host);
        assert_eq!(status(&answer), "403", "{host}: {answer}");
        assert!(answer.contains("allowed_hosts") && answer.len() < 1000, "{host}: {answer}");
    }
    let whole = |address: &str, host: &str| daemon.answer(request(&format!("GET {address} HTTP/1.1"), &[host], ""));
    assert_eq!(status(&whole("http://localhost:80/v1/ping", "Host: localhost")), "200");
    let good = "Host: localhost";
    let cases = [
        ("403", whole("http://evil.example/v1/ping", good)),
        ("403", whole("http://localhost/v1/ping", "Host: evil.example")),
        ("403", whole("http://localhost@evil.example/v1/ping", good)),
        ("403", daemon.answer(request("CONNECT evil.example:80 HTTP/1.1", &[good], ""))),
        ("403", daemon.answer(request("OPTIONS * HTTP/1.1", &["HOST: evil.example"], ""))),
        ("403", daemon.answer(request("HEAD /v1/ping HTTP/1.1", &["hOST: evil.example"], ""))),
        ("403", daemon.answer(request("GET /no/such/path HTTP/1.1", &["Host: evil.example"], ""))),
        ("403", daemon.answer(request("GET /v1/ping HTTP/1.0", &["Host: evil.example"], ""))),
        ("400", daemon.answer(request("GET /v1/ping HTTP/1.0", &[], ""))),
        ("400", daemon.answer(request("GET /v1/ping HTTP/1.1", &[], ""))),
        ("400", daemon.answer(request("GET /v1/ping HTTP/1.1", &[good, "Host: evil.example"], ""))),
        ("400", daemon.answer(request("GET /v1/ping HTTP/1.1", &["Host: evil.example", good], ""))),
        ("400", daemon.answer(request("GET /v1/ping HTTP/1.1", &[good, good], ""))),
        ("400", daemon.answer(request("GET /v1/ping HTTP/1.1", &["Host : localhost"], ""))),
        ("400", daemon.answer(request("GET /v1/ping HTTP/1.1", &[good, " evil.example"], ""))),
        ("403", daemon.answer(request("GET /v1/ping HTTP/1.1", &["X-Forwarded-Host: localhost", "Host: evil.example"], ""))),
    ];
    for (index, (wanted, answer)) in cases.iter().enumerate() {
        assert_eq!(status(answer), *wanted, "case {index}: {answer}");
        assert!(!answer.contains("\"pid\""), "case {index}: {answer}");
    }
}

#[test]
fn a_change_is_refused_when_a_page_sends_it_or_its_body_does_not_say_that_it_is_json() {
    let dir = tempdir();
    let daemon = daemon(&dir, "");
    let good = ["Host: localhost", "Content-Type: application/json"];
    for header in [
        "Origin: http://evil.example",
        "Origin: http://localhost",
        "origin: null",
        "Origin:",
        "Sec-Fetch-Site: cross-site",
        "sec-fetch-mode: no-cors",
        "SEC-FETCH-DEST: empty",
        "Sec-Fetch-Storage-Access: none",
    ] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "post", "QUERY"] {
            let first = format!("{method} /v1/drain HTTP/1.1");
            let answer = daemon.answer(request(&first, &[good[0], good[1], header], "{}"));
            assert_eq!(status(&answer), "403", "{method} {header}: {answer}");
            assert!(answer.contains("a page may look and change nothing"), "{method} {header}: {answer}");
        }
        let look = daemon.answer(request("GET /v1/ping HTTP/1.1", &[good[0], header], ""));
        assert_eq!(status(&look), "200", "{header}: {look}");
    }
    let types: [&[&str]; 6] = [
        &[],
        &["Content-Type: text/plain"],
        &["Content-Type: application/x-www-form-urlencoded"],
        &["Content-Type: text/plain; application/json"],
        &["Content-Type: application/jsonp"],
        &["Content-Type: application/json", "Content-Type: text/plain"],
    ];
    for kind in types {
        let answer = daemon.answer(request("POST /v1/drain HTTP/1.1", &[&[good[0]], kind].concat(), "{}"));
        assert_eq!(status(&answer), "415", "{kind:?}: {answer}");
        assert!(answer.contains("Content-Type: application/json"), "{kind:?}: {answer}");
    }
    let looks = daemon.answer(request("GET /v1/drain HTTP/1.1", &[good[0]], "{}"));
    assert_eq!(status(&looks), "404", "{looks}");
    assert!(!has_changed(&daemon), "{}", daemon.log());
    let kind = "content-type: Application/JSON; charset=utf-8";
    let answer = daemon.answer(request("POST /v1/drain HTTP/1.1", &[good[0], kind], "{}"));
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(has_changed(&daemon), "what would have been seen above: {}", daemon.log());
}

#[test]
fn no_request_hides_behind_another_one_on_its_connection() {
    let dir = tempdir();
    let daemon = daemon(&dir, "");
    let good = "Host: localhost\r\nContent-Type: application/json\r\n";
    let page = request("POST /v1/drain HTTP/1.1", &[good.trim_end(), "Origin: http://evil.example"], "{}");
    let change = request("POST /v1/drain HTTP/1.1", &[good.trim_end()], "{}");
    let look = format!("GET /v1/ping HTTP/1.1\r\n{good}\r\n");
    let statuses = |bytes: String| -> Vec<String> {
        let answer = daemon.answer(&bytes);
        answer.split("HTTP/1.1 ").skip(1).map(|answer| answer.chars().take(3).collect()).collect()
    };
    let foreign = request("GET /v1/ping HTTP/1.1", &["Host: evil.example"], "");
    assert_eq!(statuses(format!("{look}{foreign}")), ["200", "403"]);
    assert_eq!(statuses(format!("{look}{page}")), ["200", "403"]);
    let length = change.len();
    // The whole change is the body of another request.
    let inside = format!("GET /v1/ping HTTP/1.1\r\n{good}Content-Length: {length}\r\n\r\n{change}{foreign}");
    assert_eq!(statuses(inside), ["200", "403"]);
    let chunks =
        format!("PUT /v1/ping HTTP/1.1\r\n{good}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{change}");
    // The length and the chunks say different things. So nothing that follows is answered.
    assert_eq!(statuses(chunks), ["404"]);
    let lengths = format!("POST /v1/ping HTTP/1.1\r\n{good}Content-Length: 2\r\nContent-Length: {length}\r\n\r\n{{}}{change}");
    assert_eq!(statuses(lengths), ["400"]);
    let flood: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    assert_eq!(statuses(format!("GET /v1/ping HTTP/1.1\r\n{flood}{good}\r\n{change}")), ["431"]);
    assert!(!has_changed(&daemon), "{}", daemon.log());
    assert_eq!(statuses(change), ["200"]);
    assert!(has_changed(&daemon), "what would have been seen above: {}", daemon.log());
}

#[test]
fn every_answer_keeps_itself_from_other_origins_and_out_of_stores() {
    let dir = tempdir();
    let daemon = daemon(&dir, "");
    let (host, json) = ("Host: localhost", "Content-Type: application/json");
    let origin = "Origin: http://evil.example";
    let asks = "Access-Control-Request-Method: POST";
    let large = " ".repeat((1 << 20) + 1);
    let cases = [
        ("200", request("GET /v1/ping HTTP/1.1", &[host, origin], "")),
        ("200", request("HEAD /v1/status HTTP/1.1", &[host], "")),
        ("200", request("POST /v1/reload HTTP/1.1", &[host, json], "{}")),
        ("400", request("GET /v1/jobs HTTP/1.1", &[host], "")),
        ("400", request("POST /v1/reload HTTP/1.1", &[host, json], "{")),
        ("400", request("GET /v1/ping HTTP/1.1", &[], "")),
        ("403", request("GET /v1/ping HTTP/1.1", &["Host: evil.example"], "")),
        ("403", request("OPTIONS /v1/reload HTTP/1.1", &[host, origin, asks], "")),
        ("404", request("GET / HTTP/1.1", &[host], "")),
        ("404", request("PUT /v1/ping HTTP/1.1", &[host, json], "{}")),
        ("404", request("GET /v1/jobs?launch=/none HTTP/1.1", &[host], "")),
        ("413", request("POST /v1/reload HTTP/1.1", &[host, json], &large)),
        ("415", request("POST /v1/reload HTTP/1.1", &[host], "{}")),
    ];
    for (wanted, request) in cases {
        let answer = daemon.answer(&request).to_lowercase();
        let first = request.lines().next().unwrap_or_default();
        assert_eq!(status(&answer), wanted, "{first}: {answer}");
        for header in [
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
        ] {
            assert_eq!(answer.matches(&format!("\r\n{header}\r\n")).count(), 1, "{first}: {header} in {answer}");
        }
        assert!(!answer.contains("access-control-"), "{first}: {answer}");
    }
}

#[test]
fn the_curl_commands_of_the_documentation_are_answered() {
    let Some(curl) = needs("curl") else { return };
    let dir = tempdir();
    let daemon = daemon(&dir, "");
    let socket = dir.path().join("d.sock");
    let page = fs::read_to_string(checkout("docs/control.md")).expect("read");
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() >= 2, "{lines:?}");
    for line in lines {
        let typed = line.replace("/run/neurosearch/neurosearchd.sock", socket.to_str().expect("UTF-8"));
        let typed = typed.replacen("curl", curl.to_str().expect("UTF-8"), 1);
        let output = Command::new("sh").args(["-c", &typed]).output().expect("it runs");
        let reply: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{line}: {e}: {}", said(&output)));
        // There is no such job. Who says so has read the request.
        let error = reply["error"].as_str();
        assert!(error.is_none_or(|error| error.contains("/data/search/job-3")), "{line}: {reply}");
    }
    assert!(!has_changed(&daemon));
}
