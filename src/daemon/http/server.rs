//! The actor that serves the control socket until it is told to stop.

use super::app::App;
use super::peer::Peer;
use super::router::router;
use super::socket::{LimitedListener, Socket};
use crate::daemon::messages::AreYouThere;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use tokio::sync::oneshot;
use tracing::{error, info};

/// The daemon's ear.
pub struct ControlServer {
    app: App,
    socket: Socket,
    stop: Option<oneshot::Sender<()>>,
    /// Signalled when the last answer has been sent.
    closed: Option<oneshot::Sender<()>>,
}

/// Accept no more requests. Answered once all accepted requests are answered.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Close;

impl ControlServer {
    pub fn new(app: App, socket: Socket) -> Self {
        ControlServer { app, socket, stop: None, closed: None }
    }
}

impl Actor for ControlServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let limited = match LimitedListener::new(&self.socket) {
            Ok(limited) => limited,
            Err(e) => {
                error!(error = e.to_string(), "the control socket cannot be served");
                end();
            }
        };
        let (stop, stopped) = oneshot::channel::<()>();
        self.stop = Some(stop);
        let service = router(self.app.clone()).into_make_service_with_connect_info::<Peer>();
        let server = axum::serve(limited, service).with_graceful_shutdown(async {
            // Whether a value was sent or the sender dropped: both mean stop.
            let _ = stopped.await;
        });
        let serving = async move {
            if let Err(e) = server.await {
                error!(error = e.to_string(), "the control socket is no longer served");
                end();
            }
        };
        ctx.spawn(serving.into_actor(self).map(|(), this, ctx| {
            if let Some(closed) = this.closed.take() {
                // The caller may have stopped waiting.
                let _ = closed.send(());
            }
            // The socket's file is removed with this actor.
            ctx.stop();
        }));
        info!("listening");
    }
}

/// A daemon that nobody can reach must not live on. The service manager starts another, and trainers continue meanwhile.
fn end() -> ! {
    std::process::exit(1)
}

impl Handler<AreYouThere> for ControlServer {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}

impl Handler<Close> for ControlServer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Close, _: &mut Self::Context) -> Self::Result {
        let (closed, wait) = oneshot::channel();
        self.closed = Some(closed);
        drop(self.stop.take());
        Box::pin(async {
            // If the actor drops the sender, it is closed too.
            let _ = wait.await;
        })
    }
}
