//! Arguments that several verbs share.

use super::exit::{Exit, Failure};
use crate::domain::input::keys::MANY;
use crate::domain::network::precision::Precision;
use crate::executor::cache_folder;
use crate::store::data::volume_cache::CachePlace;
use crate::store::settings::keys::SOCKET;
use std::path::PathBuf;

/// Where the daemon listens.
#[derive(Debug, Clone, clap::Args)]
pub struct SocketArgument {
    /// The daemon's socket [env: NEUROSEARCH_SOCKET] [default: /run/neurosearch/neurosearchd.sock]
    // clap's own way to read a variable would show the flag as if it had to be given, wherever the variable is set.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl SocketArgument {
    /// Where it is: the flag wins over the variable.
    pub fn path(&self) -> PathBuf {
        let named = || std::env::var_os("NEUROSEARCH_SOCKET").filter(|named| !named.is_empty()).map(PathBuf::from);
        self.socket.clone().or_else(named).unwrap_or_else(|| PathBuf::from(SOCKET))
    }
}

/// How a job's trainer works, here and now.
#[derive(Debug, Clone, clap::Args)]
pub struct TrainingArguments {
    /// How to compute: fp32, tf32 or bf16; a job keeps what it began with [default: fp32]
    #[arg(long, value_name = "PRECISION")]
    pub precision: Option<Precision>,
    /// Share decoded images with other trainers in this folder [default: neurosearch in your cache folder]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    cache_dir: Option<PathBuf>,
    /// Decode images for this job alone
    #[arg(long)]
    no_cache: bool,
}

impl TrainingArguments {
    /// Where decoded images are shared; none: nowhere. NEUROSEARCH_CACHE_DIR holds where no flag was given.
    pub fn cache(&self) -> Result<Option<CachePlace>, Failure> {
        if self.no_cache {
            return Ok(None);
        }
        let usual = cache_folder::of_environment(|name| std::env::var_os(name)).map_err(|e| Failure::new(Exit::Usage, e))?;
        let Some(named) = &self.cache_dir else { return Ok(usual) };
        let folder =
            std::path::absolute(named).map_err(|e| Failure::new(Exit::Usage, format!("--cache-dir {}: {e}", named.display())))?;
        let limit = usual.map_or(crate::store::data::volume_cache::USUAL_LIMIT, |place| place.limit);
        Ok(Some(CachePlace { folder, limit }))
    }
}

/// A whole number, for clap, whose own words of what is none are a programmer's.
///
/// # Errors
/// A clause to follow the flag's name and what it was given.
pub fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let number: u64 = text.parse().map_err(|_| "not a whole number from 0".to_string())?;
    T::try_from(number).map_err(|_| "larger than any that makes sense".to_string())
}

/// As [`whole`], the index of one of a search's jobs.
///
/// # Errors
/// As [`whole`], and of one that no search is large enough for.
pub fn index(text: &str) -> Result<u64, String> {
    match whole(text)? {
        index if index < MANY => Ok(index),
        _ => Err(format!("a search has at most {MANY} jobs, which are counted from 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_is_refused_in_plain_words() {
        assert_eq!(whole::<u32>("7"), Ok(7));
        for text in ["x", "", "-1", "1.5", "1e3"] {
            assert!(whole::<u64>(text).is_err_and(|why| why == "not a whole number from 0"), "{text}");
        }
        assert!(whole::<u32>("4294967296").is_err_and(|why| why.contains("larger")));
        assert_eq!((index("0"), index("999999")), (Ok(0), Ok(999_999)));
        assert!(index("1000000").is_err_and(|why| why.contains("at most 1000000")));
    }
}
