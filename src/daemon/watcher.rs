//! The actor that finds launch directories: events become "look there", and a regular scan finds what no event told.

use super::devices::{Delist, Devices, Open};
use super::sampler::{LookNow, Sampler};
use super::services::Services;
use super::watches::{Hints, Watches};
use crate::engine::coalesce::Coalesce;
use crate::store::layout::LaunchDir;
use crate::store::scan::{self, Watched};
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult, WrapFuture};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use tracing::{debug, warn};

/// How long live trainers have to be claimed before slots are lent all the same: a dead network mount must not stop the rest.
const CLAIMS: Duration = Duration::from_secs(30);

/// The daemon's view of its watched directories.
pub struct Watcher {
    services: Services,
    devices: Addr<Devices>,
    roots: Vec<PathBuf>,
    samplers: BTreeMap<LaunchDir, Addr<Sampler>>,
    watches: Option<Arc<Mutex<Watches>>>,
    /// Hints that found the mailbox full: then everything is looked at.
    missed: Arc<AtomicBool>,
    looking: Coalesce,
    rested_at: Instant,
    /// Searches found by the first look that have not yet looked themselves; none before that look.
    awaited: Option<BTreeSet<LaunchDir>>,
    opened: bool,
    alarms: Vec<String>,
}

/// The file system told something.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Hint(pub Hints);

/// A search has looked once: its live trainers have claimed their slots.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ready(pub LaunchDir);

/// A search has ended with its directory.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Gone {
    pub launch: LaunchDir,
    pub sampler: Addr<Sampler>,
}

/// Look at everything now.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct LookAtAll;

/// Watch one more directory; false where it is watched already.
#[derive(Debug, Clone, Message)]
#[rtype(result = "bool")]
pub struct AddRoot(pub PathBuf);

/// Watch a directory no longer; false where it was not watched.
#[derive(Debug, Clone, Message)]
#[rtype(result = "bool")]
pub struct RemoveRoot(pub PathBuf);

/// The searches there are, and what is wrong with the watched directories.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Searches")]
pub struct List;

/// Answer to [`List`].
pub struct Searches {
    pub samplers: BTreeMap<LaunchDir, Addr<Sampler>>,
    pub alarms: Vec<String>,
    pub roots: Vec<PathBuf>,
}

impl Watcher {
    pub fn new(services: Services, devices: Addr<Devices>) -> Self {
        Watcher {
            roots: services.settings.watch.clone(),
            services,
            devices,
            samplers: BTreeMap::new(),
            watches: None,
            missed: Arc::default(),
            looking: Coalesce::default(),
            rested_at: Instant::now(),
            awaited: None,
            opened: false,
            alarms: Vec::new(),
        }
    }

    fn want_look(&mut self, ctx: &mut Context<Self>) {
        if self.looking.on_request() {
            self.look(ctx);
        }
    }

    fn look(&self, ctx: &mut Context<Self>) {
        let roots = self.roots.clone();
        let Some(watches) = self.watches.clone() else { return };
        let work = spawn_blocking(move || look_at_roots(&roots, &watches));
        ctx.spawn(work.into_actor(self).map(|looked, this, ctx| {
            match looked {
                Ok((found, alarms, took)) => {
                    this.rested_at = Instant::now() + took * 1000;
                    this.on_found(found, alarms, ctx);
                }
                Err(e) => warn!(error = e.to_string(), "the look at the watched directories was cut short"),
            }
            if this.looking.on_finished() {
                this.look(ctx);
            }
        }));
    }

    fn on_found(&mut self, found: Watched, alarms: Vec<String>, ctx: &mut Context<Self>) {
        for alarm in alarms.iter().filter(|alarm| !self.alarms.contains(alarm)) {
            warn!(alarm = alarm.as_str(), "watching");
        }
        self.alarms = alarms;
        let mut new = BTreeSet::new();
        for launch in found.launches {
            // A look that began before a directory was left must not bring its searches back.
            if !self.samplers.contains_key(&launch) && self.watches_over(launch.path()) {
                debug!(launch = ?launch.path(), "launch directory found");
                let sampler = Sampler::new(self.services.clone(), launch.clone(), self.devices.clone(), ctx.address());
                self.samplers.insert(launch.clone(), sampler.start());
                new.insert(launch);
            }
        }
        if self.awaited.is_none() {
            self.awaited = Some(new);
            self.open_if_ready();
        }
    }

    /// Whether a launch directory is a watched directory or lies directly below one.
    fn watches_over(&self, launch: &Path) -> bool {
        self.roots.iter().any(|root| launch == root || launch.parent() == Some(root))
    }

    fn open_if_ready(&mut self) {
        if !self.opened && self.awaited.as_ref().is_some_and(BTreeSet::is_empty) {
            self.opened = true;
            self.devices.do_send(Open);
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
        let root = |directory: &LaunchDir| self.roots.iter().any(|root| root == directory.path());
        sampler.is_none() || above.as_ref().is_some_and(root) || root(&own)
    }

    /// The regular scan.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        if Instant::now() >= self.rested_at {
            self.want_look(ctx);
        }
        for sampler in self.samplers.values() {
            hint(sampler, LookNow::Timer, &self.missed);
        }
    }
}

/// A hint that finds the mailbox full is not lost: the next one that is handled looks at everything.
fn hint(sampler: &Addr<Sampler>, look: LookNow, missed: &AtomicBool) {
    if sampler.try_send(look).is_err() {
        missed.store(true, Ordering::Relaxed);
    }
}

fn look_at_roots(roots: &[PathBuf], watches: &Mutex<Watches>) -> (Watched, Vec<String>, Duration) {
    let begun = Instant::now();
    let mut found = Watched::default();
    let mut alarms = Vec::new();
    for root in roots {
        match scan::watched(root) {
            Ok(more) => {
                found.directories.extend(more.directories);
                found.launches.extend(more.launches);
            }
            Err(e) => {
                alarms.push(format!("{e}; it is looked for again"));
                // Its parent tells when it comes back.
                found.directories.extend(root.parent().map(PathBuf::from));
            }
        }
    }
    let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
    watches.keep(&found.directories);
    alarms.extend(watches.problem.clone());
    (found, alarms, begun.elapsed())
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
        ctx.run_interval(Duration::from_secs(self.services.settings.rescan_seconds), |this, ctx| this.tick(ctx));
        ctx.run_later(CLAIMS, |this, _| {
            this.awaited = Some(BTreeSet::new());
            this.open_if_ready();
        });
    }
}

impl Handler<Hint> for Watcher {
    type Result = ();

    fn handle(&mut self, Hint(hints): Hint, ctx: &mut Self::Context) {
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
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(&launch);
        }
        self.open_if_ready();
    }
}

impl Handler<Gone> for Watcher {
    type Result = ();

    fn handle(&mut self, msg: Gone, ctx: &mut Self::Context) {
        if self.samplers.get(&msg.launch) == Some(&msg.sampler) {
            self.samplers.remove(&msg.launch);
            self.devices.do_send(Delist(msg.launch.clone()));
        }
        self.handle(Ready(msg.launch), ctx);
        // Another directory may have its name already.
        self.want_look(ctx);
    }
}

impl Handler<List> for Watcher {
    type Result = MessageResult<List>;

    fn handle(&mut self, _: List, _: &mut Self::Context) -> Self::Result {
        MessageResult(Searches { samplers: self.samplers.clone(), alarms: self.alarms.clone(), roots: self.roots.clone() })
    }
}

impl Handler<AddRoot> for Watcher {
    type Result = bool;

    fn handle(&mut self, AddRoot(root): AddRoot, ctx: &mut Self::Context) -> bool {
        let new = !self.roots.contains(&root);
        if new {
            self.roots.push(root);
            self.want_look(ctx);
        }
        new
    }
}

impl Handler<RemoveRoot> for Watcher {
    type Result = bool;

    fn handle(&mut self, RemoveRoot(root): RemoveRoot, ctx: &mut Self::Context) -> bool {
        let before = self.roots.len();
        self.roots.retain(|other| *other != root);
        self.want_look(ctx);
        self.roots.len() < before
    }
}
