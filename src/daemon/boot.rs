//! Starts the daemon and shuts it down, in order.

use super::configuration::Configuration;
use super::context::Services;
use super::devices::Devices;
use super::health;
use super::http::app::App;
use super::http::server::{Close, ControlServer};
use super::http::socket;
use super::http::verbs::reload;
use super::watcher::{ListSearches, Watcher};
use super::{logging, systemd};
use crate::executor::{Executor, Processes};
use crate::store::system;
use actix::{Actor, Addr, System};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

/// Most threads for blocking work: scans, tables, records. Threads exist only while there is work. The workshop keeps one
/// directory's work from taking them all.
const BLOCKING_THREADS: usize = 512;

/// After a stop is requested, the time that pending answers have, and then the records. Records are replaced whole, so an
/// unfinished write changes nothing. Together the two waits stay below two seconds.
const ANSWERS: Duration = Duration::from_millis(500);
const RECORDS: Duration = Duration::from_millis(1000);

/// How often the executor updates its knowledge of its trainers.
const REFRESH: Duration = Duration::from_secs(10);

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// One sentence on why it could not start.
pub fn run(configuration: Configuration) -> Result<(), String> {
    system::stay_open_to_owner();
    let log = logging::start(&configuration.settings().log)?;
    logging::abort_on_panic();
    warn_root();
    let executor = Arc::new(Processes::with_warm_trainers());
    let services =
        Services::new(configuration, log, executor).map_err(|e| format!("cannot find out who this process is: {e}"))?;
    let socket = socket::bind(&services.settings().socket, &services.holder)?;
    let signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP]);
    let signals = signals.map_err(|e| format!("cannot wait for signals: {e}"))?;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    // Built once before, so that a failure gives a sentence. The closure below could only panic.
    let runtime = runtime().map_err(|e| format!("cannot start: {e}"))?;
    let system = System::with_tokio_rt(move || runtime);
    let served = system.block_on(async move {
        let (devices, watcher) = start_searching(&services);
        let app = App { services: services.clone(), watcher: watcher.clone(), devices: devices.clone() };
        let control = ControlServer::new(app.clone(), socket).start();
        info!(pid = services.daemon.pid, socket = ?services.settings().socket, "neurosearchd is up");
        systemd::tell(&[NotifyState::Ready]);
        actix::spawn(health::watchdog(watcher.clone(), devices, control.clone()));
        wait_for_stop(signals, &app).await?;
        systemd::tell(&[NotifyState::Stopping]);
        farewell(&control, &watcher).await;
        Ok(())
    });
    System::current().stop();
    // Threads that a dead file system holds must not hold the exit: the process ends when its caller returns.
    std::mem::forget(system);
    served
}

/// Root needs no rights that the daemon lacks, and a fault in it would then be root's.
fn warn_root() {
    if rustix::process::geteuid().is_root() {
        warn!(
            cure = "start it as a user of its own, as the packaged unit does: User=neurosearch in [Service], or `setpriv --reuid \
                    neurosearch --regid neurosearch --init-groups neurosearchd`",
            "the daemon runs as root and should not; it reads inputs with the rights of each launch directory's owner"
        );
    }
}

/// Starts the actors that find searches and get their jobs trained. All other actors only show or change what these do.
pub fn start_searching(services: &Services) -> (Addr<Devices>, Addr<Watcher>) {
    let devices = Devices::new(services.clone()).start();
    let watcher = Watcher::new(services.clone(), devices.clone()).start();
    actix::spawn(refresh(services.executor.clone()));
    (devices, watcher)
}

/// Has the executor look after its trainers for as long as the daemon lives.
async fn refresh(executor: Arc<dyn Executor>) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let executor = executor.clone();
        // A panic there ends the process.
        if let Ok(Err(reason)) = spawn_blocking(move || executor.refresh()).await {
            warn!(reason, "nothing new is known of the trainers");
        }
    }
}

/// Waits for SIGTERM or SIGINT; SIGHUP means: reload.
async fn wait_for_stop(mut signals: signal_hook::iterator::Signals, app: &App) -> Result<(), String> {
    let (told, mut heard) = mpsc::channel(16);
    std::thread::Builder::new()
        .name("signals".to_string())
        .spawn(move || {
            for signal in signals.forever() {
                // If the channel is full, one more signal adds nothing.
                let _ = told.try_send(signal);
            }
        })
        .map_err(|e| format!("cannot wait for signals: {e}"))?;
    while let Some(signal) = heard.recv().await {
        if signal != SIGHUP {
            info!(signal, "stopping; trainers go on");
            return Ok(());
        }
        match reload::reload(app).await {
            Ok(done) => done.iter().for_each(|sentence| info!(done = sentence.as_str(), "reloaded")),
            Err(refused) => warn!(reason = refused.sentence(), "not reloaded"),
        }
    }
    Ok(())
}

/// No more requests, then a moment for what is on its way to the disk.
async fn farewell(control: &Addr<ControlServer>, watcher: &Addr<Watcher>) {
    // Each may be gone already, or too slow: the end comes either way.
    let _ = control.send(Close).timeout(ANSWERS).await;
    let finished = async {
        if let Ok(searches) = watcher.send(ListSearches).await {
            // All at once: a slow one must not take the others' time.
            let asked: Vec<_> = searches.samplers.values().map(|sampler| sampler.send(super::sampler::Finish)).collect();
            for finished in asked {
                let _ = finished.await;
            }
        }
    };
    if tokio::time::timeout(RECORDS, finished).await.is_err() {
        warn!("not every record could be finished in time; the next start looks at everything again");
    }
}
