//! Applies a search's time limit: the engine has no clock.

use super::Sampler;
use crate::engine::command;
use crate::store::system::now;
use actix::{AsyncContext, Context};
use std::time::Duration;

impl Sampler {
    /// Applies the time limit now and again when it ends.
    pub(crate) fn keep_time(&mut self, ctx: &mut Context<Self>) {
        let limit = self.search.terms.as_ref().and_then(|terms| terms.time_limit);
        let left = limit.map(|limit| limit.ends.saturating_sub(now()));
        let effects = command::on_time(&mut self.search, left == Some(0));
        self.perform(effects, ctx);
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(left) = left.filter(|&left| left > 0) {
            self.timer = Some(ctx.run_later(Duration::from_secs(left), |this, ctx| this.keep_time(ctx)));
        }
    }
}
