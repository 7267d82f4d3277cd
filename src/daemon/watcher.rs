//! The actor that finds launch directories, through events and through a regular scan that finds what no event reported.

use super::context::Services;
use super::devices::{Delist, Devices, Open};
use super::fs_events::{Hints, WatchContext, Watches};
use super::messages::{Gone, LookNow, Ready};
use super::permissions::how_to_read;
use super::sampler::Sampler;
use crate::engine::coalesce::Coalesce;
use crate::engine::rescan_pause;
use crate::store::fs::error::StoreError;
use crate::store::fs::failpoint::{self, Point};
use crate::store::records::layout::LaunchDir;
use crate::store::records::list_jobs::{self, Watched};
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// How long slots wait for live trainers to claim theirs. A dead network mount must not stop the rest.
const CLAIMS: Duration = Duration::from_secs(30);

/// How long a scan may take before it is shown.
const SILENT: Duration = Duration::from_secs(5);

/// How long a scan waits for the watches of another.
const PATIENCE: Duration = Duration::from_secs(2);

/// The daemon's view of its watched directories.
pub struct Watcher {
    services: Services,
    devices: Addr<Devices>,
    /// What the configuration names, with what `add` added and without what `remove` removed.
    roots: BTreeMap<PathBuf, Root>,
    samplers: BTreeMap<LaunchDir, Addr<Sampler>>,
    watches: Option<Arc<Mutex<Watches>>>,
    /// Hints that found the mailbox full. Everything is scanned then.
    missed: Arc<AtomicBool>,
    /// Searches that were found before slots are granted and have not scanned yet.
    awaited: BTreeSet<LaunchDir>,
    opened: bool,
}

/// One watched directory. Each is scanned separately, so that a file system that does not answer delays no other.
#[derive(Debug, Default)]
struct Root {
    looking: Coalesce,
    /// When the running scan began. `None` if none runs.
    begun: Option<Instant>,
    /// Until then the timer need not scan again. `None` before the first scan.
    rested_at: Option<Instant>,
    alarms: Vec<String>,
    /// Watchable paths that were moved or removed since the last scan.
    dropped: BTreeSet<PathBuf>,
}

impl Root {
    fn alarms(&self, root: &Path) -> Vec<String> {
        let waits = self.begun.map(|begun| begun.elapsed()).filter(|waits| *waits >= SILENT);
        let silent = waits.map(|waits| {
            let seconds = waits.as_secs();
            format!("{}: its file system has not answered for {seconds} s; other directories go on", root.display())
        });
        self.alarms.iter().cloned().chain(silent).collect()
    }
}

/// The file system reported something.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Hint(pub Hints);

/// Look at everything now.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct LookAtAll;

/// Watch one more directory. The answer is false if it is watched already.
#[derive(Debug, Clone, Message)]
#[rtype(result = "bool")]
pub struct AddRoot(pub PathBuf);

/// Stop watching a directory. The answer is false if it was not watched.
#[derive(Debug, Clone, Message)]
#[rtype(result = "bool")]
pub struct RemoveRoot(pub PathBuf);

/// All searches, and the problems of the watched directories.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Searches")]
pub struct ListSearches;

/// Answer to [`ListSearches`].
pub struct Searches {
    pub samplers: BTreeMap<LaunchDir, Addr<Sampler>>,
    pub alarms: Vec<String>,
    pub roots: Vec<PathBuf>,
}

impl Watcher {
    pub fn new(services: Services, devices: Addr<Devices>) -> Self {
        Watcher {
            roots: services.settings().watch.iter().map(|root| (root.clone(), Root::default())).collect(),
            services,
            devices,
            samplers: BTreeMap::new(),
            watches: None,
            missed: Arc::default(),
            awaited: BTreeSet::new(),
            opened: false,
        }
    }

    fn want_look(&mut self, ctx: &mut Context<Self>) {
        let roots: Vec<PathBuf> = self.roots.keys().cloned().collect();
        for root in roots {
            if self.roots.get_mut(&root).is_some_and(|known| known.looking.on_request()) {
                self.look(root, ctx);
            }
        }
    }

    fn look(&mut self, root: PathBuf, ctx: &mut Context<Self>) {
        let roots = self.roots.keys().cloned().collect();
        let (Some(watches), Some(known)) = (self.watches.clone(), self.roots.get_mut(&root)) else { return };
        known.begun = Some(Instant::now());
        let changes = WatchContext { roots, dropped: std::mem::take(&mut known.dropped) };
        let place = root.clone();
        let work = self.services.workshop.run(&place, move || (look_at_root(&root, &watches, &changes), root));
        ctx.spawn(work.into_actor(self).map(move |looked, this, ctx| {
            match looked {
                Ok((looked, root)) => this.on_looked(&root, looked, ctx),
                Err(e) => warn!(error = e.to_string(), "the look at a watched directory was cut short"),
            }
            if this.roots.get_mut(&place).is_some_and(|known| known.looking.on_finished()) {
                this.look(place, ctx);
            }
        }));
    }

    fn on_looked(&mut self, root: &Path, looked: LookedAt, ctx: &mut Context<Self>) {
        let rescan = Duration::from_secs(self.services.settings().rescan_seconds);
        // Not watched any more, so the result does not count.
        let Some(known) = self.roots.get_mut(root) else { return };
        for alarm in looked.alarms.iter().filter(|alarm| !known.alarms.contains(alarm)) {
            warn!(alarm = alarm.as_str(), "watching");
        }
        known.alarms = looked.alarms;
        known.begun = None;
        if looked.placed {
            // This scan is not over yet, so the next one follows it.
            known.looking.on_request();
        }
        known.rested_at = Some(Instant::now() + rescan_pause::after(looked.took, rescan));
        for launch in looked.launches {
            // A scan that began before a directory was left must not bring its searches back.
            if !self.samplers.contains_key(&launch) && self.watches_over(launch.path()) {
                debug!(launch = ?launch.path(), "launch directory found");
                let sampler = Sampler::new(
                    self.services.clone(),
                    launch.clone(),
                    self.devices.clone(),
                    ctx.address().recipient(),
                    ctx.address().recipient(),
                );
                self.samplers.insert(launch.clone(), sampler.start());
                self.awaited.insert(launch);
            }
        }
        self.open_if_ready();
    }

    /// Whether a launch directory is a watched directory or lies directly below one.
    fn watches_over(&self, launch: &Path) -> bool {
        self.roots.keys().any(|root| launch == root || launch.parent() == Some(root))
    }

    fn open_if_ready(&mut self) {
        let all_seen = self.roots.values().all(|root| root.rested_at.is_some());
        if !self.opened && all_seen && self.awaited.is_empty() {
            self.opened = true;
            self.devices.do_send(Open);
        }
    }

    /// The path was moved or removed. It is watched again if it is back.
    fn on_dropped(&mut self, path: &Path) {
        for (root, known) in &mut self.roots {
            if path == root || path.parent() == Some(root) || root.parent() == Some(path) {
                known.dropped.insert(path.to_path_buf());
            }
        }
    }

    /// A hint names a file in a launch directory, the directory itself, or something that may become one.
    fn on_path(&mut self, path: &Path) -> bool {
        let own = LaunchDir::new(path);
        let above = path.parent().map(LaunchDir::new);
        let sampler = above.as_ref().and_then(|above| self.samplers.get(above)).or_else(|| self.samplers.get(&own));
        if let Some(sampler) = sampler {
            hint(sampler, LookNow::Hint, &self.missed);
        }
        // A file in a known launch directory that is no root cannot make a new launch directory.
        let root = |directory: &LaunchDir| self.roots.contains_key(directory.path());
        sampler.is_none() || above.as_ref().is_some_and(root) || root(&own)
    }

    /// The regular scan.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.missed.swap(false, Ordering::Relaxed) {
            return self.handle(LookAtAll, ctx);
        }
        let due = |root: &Root| root.rested_at.is_none_or(|rested_at| Instant::now() >= rested_at);
        let roots: Vec<PathBuf> = self.roots.iter().filter(|(_, root)| due(root)).map(|(root, _)| root.clone()).collect();
        for root in roots {
            if self.roots.get_mut(&root).is_some_and(|known| known.looking.on_request()) {
                self.look(root, ctx);
            }
        }
        for sampler in self.samplers.values() {
            hint(sampler, LookNow::Timer, &self.missed);
        }
    }
}

/// Sends a hint. If the mailbox is full it is not lost: the next hint that is handled scans everything.
fn hint(sampler: &Addr<Sampler>, look: LookNow, missed: &AtomicBool) {
    if sampler.try_send(look).is_err() {
        missed.store(true, Ordering::Relaxed);
    }
}

/// The result of scanning one watched directory.
struct LookedAt {
    launches: Vec<LaunchDir>,
    alarms: Vec<String>,
    took: Duration,
    /// A watch was placed after the listing. Only another scan sees what happened between the two.
    placed: bool,
}

fn look_at_root(root: &Path, watches: &Mutex<Watches>, changes: &WatchContext) -> LookedAt {
    let begun = Instant::now();
    let looked = failpoint::pass(Point::Look, root).map_err(|e| StoreError::io("look at", root, e));
    let (found, mut alarms) = match looked.and_then(|()| list_jobs::watched(root)) {
        Ok(found) => (found, Vec::new()),
        Err(e) => {
            // Its parent reports when it comes back.
            let directories = root.parent().map(PathBuf::from).into_iter().collect();
            let alarm = if e.is_denied() { how_to_read(root) } else { format!("{e}; it is looked for again") };
            (Watched { directories, ..Watched::default() }, vec![alarm])
        }
    };
    alarms.extend(found.closed.iter().map(|closed| how_to_read(closed)));
    let took = begun.elapsed();
    let mut placed = false;
    match soon(watches) {
        Some(mut watches) => {
            let kept = watches.keep(root, &found.directories, changes);
            placed = kept.placed;
            alarms.extend(kept.problem);
        }
        None => alarms.push(format!(
            "{}: it is not watched anew, for another file system does not answer; the regular scan finds new files, later than usual",
            root.display()
        )),
    }
    LookedAt { launches: found.launches, alarms, took, placed }
}

/// The watches, unless they stay taken for too long. A watch on a dead file system must not delay the others.
fn soon(watches: &Mutex<Watches>) -> Option<MutexGuard<'_, Watches>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match watches.try_lock() {
            Ok(watches) => return Some(watches),
            // A panic ends the process, so a poisoned lock is never seen; its content would still be whole.
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

impl Actor for Watcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (address, missed) = (ctx.address(), self.missed.clone());
        let watches = Watches::new(move |hints| {
            if address.try_send(Hint(hints)).is_err() {
                missed.store(true, Ordering::Relaxed);
            }
        });
        self.watches = Some(Arc::new(Mutex::new(watches)));
        self.want_look(ctx);
        ctx.run_interval(Duration::from_secs(self.services.settings().rescan_seconds), |this, ctx| this.tick(ctx));
        ctx.run_later(CLAIMS, |this, _| {
            if !std::mem::replace(&mut this.opened, true) {
                this.devices.do_send(Open);
            }
        });
    }
}

impl Handler<Hint> for Watcher {
    type Result = ();

    fn handle(&mut self, Hint(hints): Hint, ctx: &mut Self::Context) {
        for path in &hints.dropped {
            self.on_dropped(path);
        }
        if hints.all || self.missed.swap(false, Ordering::Relaxed) {
            return self.handle(LookAtAll, ctx);
        }
        let mut look = false;
        for path in &hints.paths {
            look |= self.on_path(path);
        }
        if look {
            self.want_look(ctx);
        }
    }
}

impl Handler<LookAtAll> for Watcher {
    type Result = ();

    fn handle(&mut self, _: LookAtAll, ctx: &mut Self::Context) {
        self.want_look(ctx);
        for sampler in self.samplers.values() {
            hint(sampler, LookNow::Hint, &self.missed);
        }
    }
}

impl Handler<Ready> for Watcher {
    type Result = ();

    fn handle(&mut self, Ready(launch): Ready, _: &mut Self::Context) {
        self.awaited.remove(&launch);
        self.open_if_ready();
    }
}

impl Handler<Gone> for Watcher {
    type Result = ();

    fn handle(&mut self, msg: Gone, ctx: &mut Self::Context) {
        let own = self.samplers.get(&msg.launch).map(|sampler| sampler.clone().recipient());
        if own.as_ref() == Some(&msg.sampler) {
            self.samplers.remove(&msg.launch);
            self.devices.do_send(Delist(msg.launch.clone()));
            // Its watch may have gone with it, whether or not an event has reported that yet.
            self.on_dropped(msg.launch.path());
        }
        self.handle(Ready(msg.launch), ctx);
        // Another directory may have its name already.
        self.want_look(ctx);
    }
}

impl Handler<ListSearches> for Watcher {
    type Result = MessageResult<ListSearches>;

    fn handle(&mut self, _: ListSearches, _: &mut Self::Context) -> Self::Result {
        let alarms = self.roots.iter().flat_map(|(path, root)| root.alarms(path)).collect();
        MessageResult(Searches { samplers: self.samplers.clone(), alarms, roots: self.roots.keys().cloned().collect() })
    }
}

impl Handler<AddRoot> for Watcher {
    type Result = bool;

    fn handle(&mut self, AddRoot(root): AddRoot, ctx: &mut Self::Context) -> bool {
        let new = !self.roots.contains_key(&root);
        if new {
            self.roots.insert(root, Root::default());
            self.want_look(ctx);
        }
        new
    }
}

impl Handler<RemoveRoot> for Watcher {
    type Result = bool;

    fn handle(&mut self, RemoveRoot(root): RemoveRoot, ctx: &mut Self::Context) -> bool {
        let known = self.roots.remove(&root).is_some();
        self.want_look(ctx);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{services, tempdir};

    #[actix::test]
    async fn slots_are_lent_once_every_directory_and_every_search_found_has_been_looked_at() {
        let dir = tempdir();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        let [slow, quick] = ["slow", "quick"].map(|name| LaunchDir::new(first.join(name)));
        let mut watcher = Watcher::new(services(), Context::<Devices>::new().address());
        watcher.roots = [&first, &second].map(|root| (root.clone(), Root::default())).into();
        let ctx = &mut Context::new();
        let looked = |launches: &[&LaunchDir]| LookedAt {
            launches: launches.iter().copied().cloned().collect(),
            alarms: Vec::new(),
            took: Duration::ZERO,
            placed: false,
        };
        watcher.on_looked(&first, looked(&[&slow, &quick]), ctx);
        watcher.handle(Ready(quick), ctx);
        assert!(!watcher.opened, "a directory and a search are still to be looked at");
        watcher.on_looked(&second, looked(&[]), ctx);
        assert!(!watcher.opened, "a search is still to be looked at");
        watcher.handle(Ready(slow), ctx);
        assert!(watcher.opened);
    }
}
