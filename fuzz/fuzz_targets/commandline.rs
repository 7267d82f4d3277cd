//! `commandline.json`, ours or the reference's: options, an outline and an architecture, or their faults.
#![no_main]

use libfuzzer_sys::fuzz_target;
use neurosearch::domain::network::architecture::Architecture;
use neurosearch::domain::network::footprint::Footprint;
use neurosearch::domain::options::JobOptions;
use neurosearch::domain::options::read::Outline;
use std::path::Path;

fuzz_target!(|text: &str| {
    let options = JobOptions::from_json(text, "commandline.json", Path::new("/launch"));
    // Each of the others reads a part of the same file.
    let _ = Outline::from_json(text, "commandline.json");
    let built = Architecture::from_commandline(text, "commandline.json", &[1, 42, 52, 45]);
    if let (Ok((options, _)), Ok(architecture)) = (&options, &built) {
        let _ = Footprint::of(architecture, options.network_type, 2);
    }
    if let Ok((options, _)) = options {
        let again = options.to_json().to_string();
        assert!(JobOptions::from_json(&again, "commandline.json", Path::new("/launch")).is_ok(), "{again}");
    }
});
