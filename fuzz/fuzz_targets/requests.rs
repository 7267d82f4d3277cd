//! What is posted to the control socket: the first line is the verb, the rest the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use neurosearch::control::reply::Order;
use neurosearch::daemon::http::change::commands;

fuzz_target!(|text: &str| {
    let (verb, body) = text.split_once('\n').unwrap_or((text, "{}"));
    if let Ok(order) = serde_json::from_str::<Order>(body)
        && let Err(sentence) = commands(verb, &order)
    {
        assert!(!sentence.is_empty());
    }
});
