//! The golden networks' widths and numbers of parameters, from their `commandline.json` files.

use neurosearch::domain::network::architecture::{Architecture, FcLayer};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a whole number")).expect("it fits")
}

#[test]
fn every_golden_network_has_the_references_widths_and_number_of_parameters() {
    let networks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/networks");
    for k in 0..12 {
        let folder = networks.join(format!("net-{k}"));
        let text = fs::read_to_string(folder.join("commandline.json")).expect("options");
        let expected = fs::read_to_string(folder.join("expected.json")).expect("expected values");
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        let shape: Vec<usize> = expected["input_shape"].as_array().expect("a shape").iter().map(number).collect();
        let architecture = Architecture::from_commandline(&text, "commandline.json", &shape).expect("readable");
        let fc = expected["fc"].as_object().expect("layers");
        let layers: Vec<FcLayer> = (0..fc.len())
            .map(|i| &fc[&format!("FC{i}")])
            .map(|l| FcLayer { in_features: number(&l["in_features"]), out_features: number(&l["out_features"]) })
            .collect();
        assert_eq!(architecture.fc, layers, "net-{k}");
        assert_eq!(architecture.parameters(), expected["parameters"].as_u64().expect("a number"), "net-{k}");
    }
}
