//! Chooses the folder in which trainers share decoded volumes: the named one, none, or the usual one.

use super::assignment::variable;
use crate::store::data::volume_cache::{CachePlace, USUAL_LIMIT};
use crate::store::settings::Settings;
use std::ffi::OsString;
use std::path::PathBuf;

/// The folder of this user or of the service: systemd's `CACHE_DIRECTORY`, else `neurosearch` in `XDG_CACHE_HOME` or in
/// `~/.cache`. `None` if there is no home either.
pub fn usual_folder(get: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd joins several with colons. The unit's first folder comes first.
    let of_unit = get("CACHE_DIRECTORY").and_then(|list| std::env::split_paths(&list).next()).filter(|path| path.is_absolute());
    let of_user = || absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    of_unit.or_else(|| of_user().map(|folder| folder.join("neurosearch")))
}

/// The place that the trainer's own variables name, else the usual one. An empty folder means none.
///
/// # Errors
/// One clause that names the variable which is no number.
pub fn of_environment(get: impl Fn(&str) -> Option<OsString>) -> Result<Option<CachePlace>, String> {
    let limit = match get(variable::CACHE_GIGABYTES).filter(|value| !value.is_empty()) {
        None => USUAL_LIMIT,
        Some(value) => {
            let number = value.to_str().and_then(|text| text.parse::<u32>().ok()).filter(|number| *number > 0);
            let number = number.ok_or_else(|| format!("{} is {value:?}, expected a number from 1", variable::CACHE_GIGABYTES))?;
            gigabytes(number)
        }
    };
    let folder = match get(variable::CACHE_DIR) {
        Some(folder) if folder.is_empty() => None,
        Some(folder) => Some(PathBuf::from(folder)),
        None => usual_folder(get),
    };
    Ok(folder.map(|folder| CachePlace { folder, limit }))
}

/// The place that the daemon's settings name for its trainers.
pub fn of_settings(settings: &Settings) -> Option<CachePlace> {
    let folder = settings.cache_dir.clone().or_else(|| usual_folder(|name| std::env::var_os(name)));
    folder.filter(|_| settings.cache).map(|folder| CachePlace { folder, limit: gigabytes(settings.cache_gigabytes) })
}

/// Bytes.
pub fn gigabytes(number: u32) -> u64 {
    u64::from(number) * 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(set: &[(&str, &str)]) -> Option<String> {
        let get = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        of_environment(get).expect("a place or none").map(|place| place.folder.display().to_string())
    }

    #[test]
    fn a_named_folder_comes_first_then_the_units_then_the_users() {
        let home = ("HOME", "/home/a");
        assert_eq!(folder(&[home]).as_deref(), Some("/home/a/.cache/neurosearch"));
        assert_eq!(folder(&[home, ("XDG_CACHE_HOME", "/big")]).as_deref(), Some("/big/neurosearch"));
        assert_eq!(folder(&[home, ("XDG_CACHE_HOME", "not/absolute")]).as_deref(), Some("/home/a/.cache/neurosearch"));
        let unit = ("CACHE_DIRECTORY", "/var/cache/neurosearch:/var/cache/more");
        assert_eq!(folder(&[home, unit]).as_deref(), Some("/var/cache/neurosearch"));
        assert_eq!(folder(&[home, unit, ("NEUROSEARCH_CACHE_DIR", "/fast")]).as_deref(), Some("/fast"));
        assert_eq!(folder(&[]), None, "without a home there is no usual folder");
    }

    #[test]
    fn an_empty_folder_turns_the_cache_off() {
        assert_eq!(folder(&[("HOME", "/home/a"), ("NEUROSEARCH_CACHE_DIR", "")]), None);
    }

    #[test]
    fn one_key_of_the_settings_turns_the_cache_off_wherever_it_lies() {
        let named = Settings { cache_dir: Some("/fast".into()), cache_gigabytes: 2, ..Settings::default() };
        let place = CachePlace { folder: "/fast".into(), limit: 2_000_000_000 };
        assert_eq!(of_settings(&named), Some(place));
        assert_eq!(of_settings(&Settings { cache: false, ..named }), None);
    }

    #[test]
    fn the_bound_is_a_number_of_gigabytes() {
        let with = |value: &'static str| {
            of_environment(move |name| match name {
                "HOME" => Some("/home/a".into()),
                "NEUROSEARCH_CACHE_GIGABYTES" => Some(value.into()),
                _ => None,
            })
        };
        assert_eq!(with("3").expect("a number").expect("a place").limit, 3_000_000_000);
        assert_eq!(with("").expect("as if it were absent").expect("a place").limit, USUAL_LIMIT);
        assert!(with("0").expect_err("no bound").contains("NEUROSEARCH_CACHE_GIGABYTES"));
    }
}
