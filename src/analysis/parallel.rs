//! One piece of work for each of many items, spread over threads, and its results in the order of the items.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What `one` gives for each of `items`. At most so many `threads`, the caller's among them, take `share` items at a time: who is
/// done early takes more of them. Fewer do where the system gives no more. A panic of `one` goes on in the caller.
pub fn spread<I: Sync, T: Send>(items: &[I], share: usize, threads: usize, one: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let shares: Vec<&[I]> = items.chunks(share).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mine = std::iter::from_fn(|| {
            let index = next.fetch_add(1, Ordering::Relaxed);
            shares.get(index).map(|share| (index, share.iter().map(&one).collect::<Vec<_>>()))
        });
        mine.collect::<Vec<_>>()
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let others = 1..threads.min(shares.len());
        let workers: Vec<_> = others.map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
        let mine = work();
        let theirs = workers.into_iter().flat_map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        mine.into_iter().chain(theirs).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items_however_many_threads_there_are() {
        for (count, share, threads) in [(0, 1, 4), (1, 4, 4), (9, 4, 2), (100, 3, 8), (5, 1, 5)] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|item| 2 * item).collect();
            assert_eq!(spread(&items, share, threads, |item| 2 * item), doubled, "{count}, {share}, {threads}");
        }
    }
}
