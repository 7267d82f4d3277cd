//! What is posted to the control socket: the first line is the verb, the rest the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use neurosearch::control::request::Request;

fuzz_target!(|text: &str| {
    let (verb, body) = text.split_once('\n').unwrap_or((text, "{}"));
    match Request::parse(verb, body.as_bytes()) {
        Ok(request) => assert_eq!(request.verb(), verb),
        Err(sentence) => assert!(!sentence.is_empty()),
    }
});
