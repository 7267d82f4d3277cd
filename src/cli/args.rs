//! Arguments that several verbs share.

use std::path::PathBuf;

/// Where the daemon listens.
#[derive(Debug, Clone, clap::Args)]
pub struct Socket {
    /// The daemon's socket
    #[arg(long, env = "NEUROSEARCH_SOCKET", value_name = "PATH", default_value = "/run/neurosearch/neurosearchd.sock")]
    pub socket: PathBuf,
}
