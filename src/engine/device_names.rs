//! Which device a person means by a word: its name in full, its number, or the beginning of its UUID or model.

use crate::domain::device::Device;

/// A device as people may name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub id: Device,
    /// As `nvidia-smi` numbers it.
    pub index: Option<u32>,
    /// The model.
    pub name: String,
}

/// The id of the one device that the word names.
///
/// # Errors
/// One sentence, where it names none or several.
pub fn choose<'a>(devices: &'a [Named], word: &str) -> Result<&'a Device, String> {
    let lower = word.to_lowercase();
    let begins = |text: &str| !word.is_empty() && text.to_lowercase().starts_with(&lower);
    let rules: [&dyn Fn(&Named) -> bool; 4] = [
        &|device| device.id.as_str() == word,
        &|device| device.index.is_some_and(|index| index.to_string() == word),
        &|device| begins(device.id.as_str()),
        &|device| begins(&device.name),
    ];
    for rule in rules {
        let found: Vec<&Named> = devices.iter().filter(|device| rule(device)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(&one.id),
            several => {
                let ids: Vec<&str> = several.iter().map(|device| device.id.as_str()).collect();
                return Err(format!("{word:?} may be any of {}; write more of one of them", ids.join(", ")));
            }
        }
    }
    Err(format!("there is no device {word:?}; `neurosearch devices` lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::device;

    #[test]
    fn a_device_is_named_by_its_id_its_number_or_a_beginning_that_only_it_has() {
        let named = |id: &str, index, name: &str| Named { id: device(id), index, name: name.into() };
        let devices = [named("cpu", None, "CPU"), named("GPU-1a", Some(0), "NVIDIA H100"), named("GPU-1b", Some(1), "Tesla T4")];
        let cases = [
            ("cpu", Some("cpu")),
            ("CPU", Some("cpu")),
            ("0", Some("GPU-1a")),
            ("1", Some("GPU-1b")),
            ("GPU-1b", Some("GPU-1b")),
            ("gpu-1A", Some("GPU-1a")),
            ("tesla", Some("GPU-1b")),
            ("GPU-1", None),
            ("GPU", None),
            ("2", None),
            ("", None),
        ];
        for (word, id) in cases {
            assert_eq!(choose(&devices, word).ok().map(Device::as_str), id, "{word:?}");
        }
        assert!(choose(&devices, "GPU-1").expect_err("two").contains("GPU-1a, GPU-1b"));
    }
}
