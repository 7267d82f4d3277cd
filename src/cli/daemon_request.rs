//! What the verbs share that ask the daemon for a change.

use super::args::SocketArgument;
use super::exit::{Exit, Failure, VerbResult};
use super::output::out::Out;
use super::output::{listing, render};
use super::path_kind;
use crate::control::client::Client;
use crate::control::reply::Status;
use crate::control::request::Request;
use std::path::{Component, Path};

/// Where the daemon is, and how its answer is shown.
#[derive(Debug, clap::Args)]
pub struct Ask {
    #[command(flatten)]
    pub socket: SocketArgument,
    /// The daemon's own answer, as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

impl Ask {
    pub fn client(&self) -> Client {
        Client::new(self.socket.path())
    }

    /// The path of the search or job that somebody names: a path of their own, or else what `status` calls it.
    ///
    /// # Errors
    /// As [`absolute`], for a file, and where it takes the daemon to know and none answers.
    pub fn place(&self, named: &Path) -> Result<String, Failure> {
        path_kind::folder(named)?;
        let path = absolute(named)?;
        match named.components().next() {
            Some(Component::Normal(first)) if !Path::new(first).exists() => {
                let status: Status = self.client().get("/v1/status", &[])?;
                Ok(listing::meant(&status.searches, named).unwrap_or(path))
            }
            _ => Ok(path),
        }
    }

    /// Sends the request, and shows what it did.
    pub fn send(&self, request: impl Into<Request>, out: &mut Out) -> VerbResult {
        let changed = self.client().change(&request.into())?;
        if self.json {
            return render::json(&changed, out);
        }
        for done in &changed.done {
            out.line(done)?;
        }
        Ok(Exit::Done)
    }
}

/// The path as the daemon knows it: absolute, without links and dots as far as it exists, without a slash at its end.
///
/// # Errors
/// When it is not UTF-8, which JSON could not hold.
pub fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", path.display())))?;
    // What is below the longest part that exists is still to come, as a job that is not drawn yet.
    let exists = absolute.ancestors().find_map(|above| Some((above.canonicalize().ok()?, absolute.strip_prefix(above).ok()?)));
    let plain = exists.map_or_else(|| absolute.clone(), |(real, below)| real.join(below));
    let plain: std::path::PathBuf = plain.components().collect();
    plain.to_str().map(str::to_string).ok_or_else(|| Failure::new(Exit::Usage, format!("{}: not UTF-8", path.display())))
}

/// The path of a directory that no search need be in yet.
///
/// # Errors
/// As [`absolute`], and for a file.
pub fn directory(path: &Path) -> Result<String, Failure> {
    path_kind::folder(path)?;
    absolute(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    #[test]
    fn a_path_is_said_without_links_and_dots_as_far_as_it_exists() {
        let dir = tempdir();
        let dir = dir.path().canonicalize().expect("there");
        std::fs::create_dir_all(dir.join("real/job-0")).expect("made");
        std::os::unix::fs::symlink(dir.join("real"), dir.join("link")).expect("linked");
        let said = |below: &str| absolute(&dir.join(below)).expect("UTF-8");
        let real = |below: &str| dir.join(below).display().to_string();
        assert_eq!(said("link/job-0/"), real("real/job-0"));
        assert_eq!(said("real/../link/./job-9"), real("real/job-9"), "which is not drawn yet");
        assert_eq!(said("nothing/here"), real("nothing/here"));
    }
}
