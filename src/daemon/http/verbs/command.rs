//! Sends commands to a search, after checking the user's rights.

use crate::daemon::http::app::ask;
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::may_change_there;
use crate::daemon::http::target::Target;
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::commands::ChangeSearch;
use crate::engine::command::Command;

/// Answers with one sentence for each thing done.
pub async fn give(peer: &Peer, target: &Target, commands: Vec<Command>) -> Result<Vec<String>, Refused> {
    may_change_there(peer, &target.launch).await?;
    ask::<Sampler, _>(&target.sampler, ChangeSearch(commands)).await?.map_err(Refused::conflict)
}
