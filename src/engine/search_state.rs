//! Which of its states `status` shows a search in.

use super::state::{Search, Space};
use crate::domain::search_state::{Counts, SearchState};

/// The state of a search whose jobs stand as counted. `served`: its directory's lock is ours, or nothing has kept us from it
/// yet.
///
/// What is wrong comes before what somebody asked for, and both before what the jobs are doing.
pub fn of(search: &Search, counts: &Counts, served: bool) -> SearchState {
    let terms = search.terms.as_ref();
    match &search.space {
        Space::Refused(_) => SearchState::Refused,
        _ if search.held().is_some() || !served => SearchState::Held,
        _ if terms.is_some_and(|terms| terms.paused) => SearchState::Paused,
        _ if terms.is_some() && counts.is_over() => SearchState::Finished,
        _ if search.time_over => SearchState::Held,
        Space::Unsettled => SearchState::Settling,
        Space::Missing if counts.queued == 0 && counts.undrawn > 0 => SearchState::Held,
        Space::Missing | Space::Accepted => SearchState::Active,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::search_terms::Terms;
    use crate::engine::state::Hold;
    use crate::testing::terms;

    /// A search with terms, whose file is accepted.
    fn accepted() -> Search {
        Search { terms: Some(terms(3)), space: Space::Accepted, ..Search::default() }
    }

    fn held() -> Search {
        Search { holds: [(Hold::Surroundings, "the disk is full".to_string())].into(), ..accepted() }
    }

    fn paused() -> Search {
        Search { terms: Some(Terms { paused: true, ..terms(3) }), ..accepted() }
    }

    #[test]
    fn a_search_is_shown_in_the_first_state_that_holds_of_it() {
        let over = Counts { done: 3, ..Counts::default() };
        let undrawn = Counts { undrawn: 1, done: 2, ..Counts::default() };
        let queued = Counts { queued: 1, ..undrawn };
        let running = Counts { running: 1, done: 2, ..Counts::default() };
        let with = |space: Space, search: Search| Search { space, ..search };
        let refused = || Space::Refused("a fault".to_string());
        let late = || Search { time_over: true, ..accepted() };
        for (what, search, counts, expected) in [
            ("new", Search::default(), Counts::default(), SearchState::Settling),
            ("gone before it was accepted", with(Space::Missing, Search::default()), Counts::default(), SearchState::Active),
            ("accepted", accepted(), undrawn, SearchState::Active),
            ("running", accepted(), running, SearchState::Active),
            ("over", accepted(), over, SearchState::Finished),
            ("over, its file gone", with(Space::Missing, accepted()), over, SearchState::Finished),
            ("over, its file edited", with(Space::Unsettled, accepted()), over, SearchState::Finished),
            ("edited", with(Space::Unsettled, accepted()), running, SearchState::Settling),
            ("paused jobs alone are not over", accepted(), Counts { paused: 1, ..over }, SearchState::Active),
            ("its file gone, nothing drawn waits", with(Space::Missing, accepted()), undrawn, SearchState::Held),
            ("its file gone, a drawn job waits", with(Space::Missing, accepted()), queued, SearchState::Active),
            ("its file gone, the last job runs", with(Space::Missing, accepted()), running, SearchState::Active),
            ("time over", late(), undrawn, SearchState::Held),
            ("time over, but so are its jobs", late(), over, SearchState::Finished),
            ("time over while its file is edited", with(Space::Unsettled, late()), undrawn, SearchState::Held),
            ("paused", paused(), undrawn, SearchState::Paused),
            ("paused and over", paused(), over, SearchState::Paused),
            ("paused and time over", Search { time_over: true, ..paused() }, undrawn, SearchState::Paused),
            ("held", held(), undrawn, SearchState::Held),
            ("held and paused", Search { holds: held().holds, ..paused() }, undrawn, SearchState::Held),
            ("held and over", held(), over, SearchState::Held),
            ("refused", with(refused(), accepted()), undrawn, SearchState::Refused),
            ("refused and held", with(refused(), held()), undrawn, SearchState::Refused),
            ("refused and over", with(refused(), accepted()), over, SearchState::Refused),
        ] {
            assert_eq!(of(&search, &counts, true), expected, "{what}");
            // Without its lock, nothing but a faulty file is known better.
            let unserved = if expected == SearchState::Refused { expected } else { SearchState::Held };
            assert_eq!(of(&search, &counts, false), unserved, "{what}, and not served");
        }
    }
}
