//! What the verbs share that ask the daemon for a change.

use super::args::Socket;
use super::exit::{Exit, Failure, Outcome};
use super::out::Out;
use super::render;
use crate::control::client::Client;
use crate::control::types::{Changed, Order};
use std::path::Path;

/// Where the daemon is, and how its answer is shown.
#[derive(Debug, clap::Args)]
pub struct Ask {
    #[command(flatten)]
    pub socket: Socket,
    /// The daemon's own answer, as JSON
    #[arg(long)]
    pub json: bool,
}

impl Ask {
    pub fn client(&self) -> Client {
        Client::new(&self.socket.socket)
    }

    /// Posts the order, and shows what it did.
    pub fn order(&self, verb: &str, order: &Order, out: &mut Out) -> Outcome {
        let changed: Changed = self.client().post(&format!("/v1/{verb}"), order)?;
        if self.json {
            return render::json(&changed, out);
        }
        for done in &changed.done {
            out.line(done)?;
        }
        Ok(Exit::Done)
    }
}

/// The path as the daemon knows it: absolute, without a slash at its end.
///
/// # Errors
/// When it is not UTF-8, which JSON could not hold.
pub fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", path.display())))?;
    let plain: std::path::PathBuf = absolute.components().collect();
    plain.to_str().map(str::to_string).ok_or_else(|| Failure::new(Exit::Usage, format!("{}: not UTF-8", path.display())))
}

/// An order about a path.
pub fn about(path: &Path) -> Result<Order, Failure> {
    Ok(Order { target: Some(absolute(path)?), ..Order::default() })
}
