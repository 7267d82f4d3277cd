//! Arguments that several verbs share.

use super::exit::{Exit, Failure};
use crate::domain::precision::Precision;
use crate::process::cache;
use crate::store::cache::Place;
use crate::store::settings::SOCKET;
use std::path::PathBuf;

/// Where the daemon listens.
#[derive(Debug, Clone, clap::Args)]
pub struct Socket {
    /// The daemon's socket [env: NEUROSEARCH_SOCKET] [default: /run/neurosearch/neurosearchd.sock]
    // clap's own way to read a variable would show the flag as if it had to be given, wherever the variable is set.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Socket {
    /// Where it is: the flag wins over the variable.
    pub fn path(&self) -> PathBuf {
        let named = || std::env::var_os("NEUROSEARCH_SOCKET").filter(|named| !named.is_empty()).map(PathBuf::from);
        self.socket.clone().or_else(named).unwrap_or_else(|| PathBuf::from(SOCKET))
    }
}

/// How a job's trainer works, here and now.
#[derive(Debug, Clone, clap::Args)]
pub struct Training {
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

impl Training {
    /// Where decoded images are shared; none: nowhere. NEUROSEARCH_CACHE_DIR holds where no flag was given.
    pub fn cache(&self) -> Result<Option<Place>, Failure> {
        if self.no_cache {
            return Ok(None);
        }
        let usual = cache::of_environment(|name| std::env::var_os(name)).map_err(|e| Failure::new(Exit::Usage, e))?;
        let Some(named) = &self.cache_dir else { return Ok(usual) };
        let folder =
            std::path::absolute(named).map_err(|e| Failure::new(Exit::Usage, format!("--cache-dir {}: {e}", named.display())))?;
        let limit = usual.map_or(crate::store::cache::USUAL_LIMIT, |place| place.limit);
        Ok(Some(Place { folder, limit }))
    }
}
