//! `random_search.json`: any text is a space or a list of faults, and what is accepted can be drawn from and measured.
#![no_main]

use libfuzzer_sys::fuzz_target;
use neurosearch::domain::space::SearchSpace;
use neurosearch::domain::space::draw::draw;
use std::path::Path;

fuzz_target!(|text: &str| {
    match SearchSpace::parse(text, "random_search.json", Path::new("/launch")) {
        Ok(parsed) => {
            for index in 0..2 {
                // A draw may be refused, with a reason.
                let _ = draw(&parsed.space, 7, index);
            }
        }
        Err(faults) => assert!(!faults.to_string().chars().any(|c| c.is_control() && c != '\n'), "{faults}"),
    }
});
