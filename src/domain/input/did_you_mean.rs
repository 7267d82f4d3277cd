//! What is said of a key that nobody knows.

/// From here on two names may be one, mistyped.
const NEAR: f64 = 0.8;

/// What is said of a key that is none of `names`: the one that is most like it, and whether it can have been meant.
pub fn sentence<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> String {
    let lower = key.to_lowercase();
    let likeness = names.map(|name| (strsim::jaro_winkler(&lower, name), name));
    match likeness.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((near, name)) if near >= NEAR => format!("unknown key; the nearest known one is {name:?}"),
        Some((_, name)) => format!("unknown key, like none that is known; {name:?} is the nearest"),
        None => "unknown key".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_taken_for_a_known_one_only_where_it_is_near() {
        let known = ["learning_rate", "dropout", "n_convblocks", "batch_size"];
        for (key, near) in [
            ("lerning_rate", Some("learning_rate")),
            ("n_convblock", Some("n_convblocks")),
            ("batchsize", Some("batch_size")),
            ("Dropout", Some("dropout")),
            ("foo", None),
            ("", None),
        ] {
            let said = sentence(key, known.into_iter());
            match near {
                Some(near) => assert_eq!(said, format!("unknown key; the nearest known one is {near:?}")),
                None => assert!(said.contains("like none that is known"), "{key}: {said}"),
            }
        }
    }
}
