//! `add` and `remove`: directories to watch, until the daemon ends.

use crate::control::reply::Order;
use crate::daemon::http::change::{master_only, target};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::router::{Desk, Refused, ask};
use crate::daemon::http::target::{off_thread, same};
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::describe::DescribeSearch;
use crate::daemon::watcher::{AddRoot, List, RemoveRoot, Searches};
use actix::{ActorContext, Addr, Handler, Message};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Serve this directory no longer; refused while anything of it is under way.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), Stay>")]
pub struct Leave;

/// Why a search cannot be left now.
#[derive(Debug)]
pub enum Stay {
    /// A job has just begun.
    Job(String),
    /// A look or a write is under way, which is soon over.
    Moment(String),
}

/// How often a search is asked to be left while something short is under way, and how long between.
const ASKED: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(50);

impl Handler<Leave> for Sampler {
    type Result = Result<(), Stay>;

    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) -> Self::Result {
        let path = self.launch.path().display();
        if !self.trainers.is_empty() {
            return Err(Stay::Job(format!("a job of {path} has just begun; pause the search first")));
        }
        if self.at_work {
            return Err(Stay::Moment(format!("{path} is being looked at or written to at this moment; ask again")));
        }
        self.closed = true;
        self.tell_gone(ctx);
        ctx.stop();
        Ok(())
    }
}

/// Adds the directory, or removes it.
pub async fn obey(desk: &Desk, peer: &Peer, verb: &str, order: &Order) -> Result<Vec<String>, Refused> {
    let directory = target(order)?.to_path_buf();
    master_only(peer)?;
    if verb == "remove" {
        return remove(desk, directory).await;
    }
    let looked = directory.clone();
    if !off_thread(move || looked.is_dir()).await? {
        return Err(Refused::not_found(format!("{} is not a directory that the daemon can see", directory.display())));
    }
    let known = ask(&desk.watcher, List).await?.roots;
    let directory = same(known, &directory).await?.unwrap_or(directory);
    let new = ask(&desk.watcher, AddRoot(directory.clone())).await?;
    let now = if new { "is watched now" } else { "was watched already" };
    let mut done = vec![format!("{} {now}", directory.display())];
    done.push(format!("to keep it after a restart, add {directory:?} to watch in the configuration"));
    done.extend(off_thread(move || how_to_write(&directory)).await?);
    Ok(done)
}

/// Leaves every search below the directory that no other watched directory holds; none where one of them has running jobs.
pub(super) async fn remove(desk: &Desk, directory: PathBuf) -> Result<Vec<String>, Refused> {
    let Searches { samplers, roots, .. } = ask(&desk.watcher, List).await?;
    let Some(directory) = same(roots.clone(), &directory).await? else {
        let watched: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        return Err(Refused::not_found(format!("{} is not watched; watched: {}", directory.display(), watched.join(", "))));
    };
    let below = |launch: &Path, root: &Path| launch == root || launch.parent() == Some(root);
    let others: Vec<&PathBuf> = roots.iter().filter(|root| **root != directory).collect();
    let mut leaving = Vec::new();
    for (launch, sampler) in &samplers {
        let path = launch.path();
        if below(path, &directory) && !others.iter().any(|root| below(path, root)) {
            let running = ask(sampler, DescribeSearch).await?.running.len();
            if running > 0 {
                let jobs = if running == 1 { "1 job runs".to_string() } else { format!("{running} jobs run") };
                let sentence = format!("{jobs} in {}; pause or cancel first", path.display());
                return Err(Refused::conflict(sentence));
            }
            leaving.push(sampler);
        }
    }
    ask(&desk.watcher, RemoveRoot(directory.clone())).await?;
    for sampler in leaving {
        if let Err(sentence) = left(sampler).await? {
            // A job began just now: all of it is served as before.
            ask(&desk.watcher, AddRoot(directory)).await?;
            return Err(Refused::conflict(sentence));
        }
    }
    let said = format!("{} is no longer watched", directory.display());
    Ok(vec![said, format!("to leave it out after a restart too, take {directory:?} out of watch in the configuration")])
}

/// Asks the search to be left, again for as long as what is under way is soon over.
async fn left(sampler: &Addr<Sampler>) -> Result<Result<(), String>, Refused> {
    for _ in 1..ASKED {
        match ask(sampler, Leave).await? {
            Err(Stay::Moment(_)) => tokio::time::sleep(BETWEEN).await,
            Err(Stay::Job(sentence)) => return Ok(Err(sentence)),
            Ok(()) => return Ok(Ok(())),
        }
    }
    Ok(ask(sampler, Leave).await?.map_err(|(Stay::Moment(sentence) | Stay::Job(sentence))| sentence))
}

/// What to do where the daemon may not write into the directory.
pub fn how_to_write(directory: &Path) -> Vec<String> {
    use rustix::fs::{Access, access};
    match access(directory, Access::WRITE_OK) {
        Ok(()) => Vec::new(),
        Err(rustix::io::Errno::ROFS) => vec![
            "the service may not write there yet; as root, put these two lines into \
             /etc/systemd/system/neurosearchd.service.d/launch.conf, then `systemctl daemon-reload && systemctl restart neurosearchd`:"
                .to_string(),
            "[Service]".to_string(),
            read_write_paths(directory),
        ],
        Err(_) => {
            let path = shell_word(directory);
            vec![format!("the daemon may not write there yet; `chgrp neurosearch {path} && chmod g+ws {path}` lets the service")]
        }
    }
}

/// What to do where the daemon may not look into the directory: it, or one above it, is closed.
pub fn how_to_read(directory: &Path) -> String {
    use rustix::fs::{Access, access};
    let closed = |directory: &&Path| access(*directory, Access::EXEC_OK) == Err(rustix::io::Errno::ACCESS);
    let outermost = directory.ancestors().filter(closed).last().unwrap_or(directory);
    let path = shell_word(outermost);
    let cure = if outermost == directory {
        format!("`chgrp neurosearch {path} && chmod g+rwxs {path}` lets the service")
    } else {
        format!("{path} is closed to it, and `chmod o+x {path}` opens the way")
    };
    format!("{}: the daemon may not look into it, so that no search there is seen; {cure}", directory.display())
}

/// The directory as a shell reads it, quoted where it holds more than plain characters.
fn shell_word(directory: &Path) -> String {
    let path = directory.display().to_string();
    let plain = path.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c));
    if plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// The directory as systemd reads it: `%` begins a specifier and stands double, and within quotes a space parts nothing.
fn read_write_paths(directory: &Path) -> String {
    let path = directory.display().to_string();
    let quoted = path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("ReadWritePaths=\"{quoted}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cure_names_any_directory_as_a_shell_reads_it() {
        assert_eq!(shell_word(Path::new("/data/searches-1")), "/data/searches-1");
        assert_eq!(shell_word(Path::new("/it's here")), r"'/it'\''s here'");
    }

    #[test]
    fn the_drop_in_names_any_directory_as_systemd_reads_it() {
        let cases = [
            ("/data/searches", r#"ReadWritePaths="/data/searches""#),
            ("/data/my searches/50%", r#"ReadWritePaths="/data/my searches/50%%""#),
            (r#"/a"b\c"#, r#"ReadWritePaths="/a\"b\\c""#),
        ];
        for (directory, line) in cases {
            assert_eq!(read_write_paths(Path::new(directory)), line);
        }
    }
}
