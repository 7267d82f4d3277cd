//! The pool's decisions as tables.

use super::*;
use crate::testing::device;

const GPU: &str = "GPU-1";

fn seen(id: &str, need: Need, slots: u32) -> Seen {
    Seen { id: device(id), need, slots, occupied: None }
}

fn pool(seen: &[Seen]) -> Pool<u32> {
    let mut pool = Pool::default();
    pool.set_no_gpu(Some("there is none".into()));
    assert_eq!(on_devices(&mut pool, seen), []);
    assert_eq!(on_open(&mut pool), []);
    pool
}

fn wants(cpu: u64, gpu: u64) -> Demand {
    Demand { cpu, gpu, ..Demand::default() }
}

fn granted(effects: &[PoolEffect<u32>]) -> Vec<(u32, &str, u64)> {
    let mut grants = Vec::new();
    for effect in effects {
        if let PoolEffect::Grant { search, lease } = effect {
            grants.push((*search, lease.device.as_str(), lease.id));
        }
    }
    grants
}

#[test]
fn a_device_never_has_more_jobs_than_slots_and_searches_take_turns() {
    let mut pool = pool(&[seen("cpu", Need::Cpu, 2)]);
    assert_eq!(granted(&on_demand(&mut pool, 1, wants(5, 0))), [(1, "cpu", 1), (1, "cpu", 2)]);
    assert_eq!(granted(&on_demand(&mut pool, 2, wants(5, 0))), []);
    assert_eq!(granted(&on_release(&mut pool, 1, None, false)), [(2, "cpu", 3)]);
    assert_eq!(granted(&on_release(&mut pool, 2, None, false)), [(1, "cpu", 4)]);
    assert_eq!(pool.busy(&device("cpu")), 2);
}

#[test]
fn nothing_is_lent_before_the_live_trainers_have_their_slots() {
    let mut pool = Pool::default();
    on_devices(&mut pool, &[seen("cpu", Need::Cpu, 1)]);
    assert_eq!(on_demand(&mut pool, 1, wants(1, 0)), []);
    let claimed = on_claim(&mut pool, 2, &device("cpu"), Need::Cpu);
    assert_eq!(on_open(&mut pool), []);
    assert_eq!(granted(&on_release(&mut pool, claimed.id, None, false)), [(1, "cpu", 2)]);
}

#[test]
fn where_there_is_no_device_of_the_kind_the_search_is_told_once() {
    let mut pool = pool(&[seen("cpu", Need::Cpu, 1)]);
    let effects = on_demand(&mut pool, 1, wants(0, 3));
    let sentence = "the job needs a GPU (use_cpu is false), and there is none".to_string();
    assert_eq!(effects, [PoolEffect::NoDevice { search: 1, need: Need::Gpu, sentence }]);
    assert_eq!(on_open(&mut pool), []);
}

#[test]
fn a_search_waits_until_it_is_known_whether_there_are_gpus() {
    let mut pool = pool(&[seen("cpu", Need::Cpu, 1)]);
    pool.set_no_gpu(None);
    assert_eq!(on_demand(&mut pool, 1, wants(0, 2)), [], "unknown is not none");
    assert_eq!(granted(&on_devices(&mut pool, &[seen("cpu", Need::Cpu, 1), seen(GPU, Need::Gpu, 1)])), [(1, GPU, 1)]);
    assert_eq!(on_demand(&mut pool, 2, wants(0, 1)), [], "one that is busy is no reason to refuse");
}

#[test]
fn a_search_that_is_gone_gives_back_every_slot_and_nobody_elses() {
    let mut pool = pool(&[seen("cpu", Need::Cpu, 2)]);
    on_demand(&mut pool, 1, wants(1, 0));
    assert_eq!(granted(&on_demand(&mut pool, 2, wants(5, 0))), [(2, "cpu", 2)]);
    assert_eq!(granted(&on_search_gone(&mut pool, &1)), [(2, "cpu", 3)], "its slot goes to the next at once");
    assert_eq!(on_release(&mut pool, 1, None, false), [], "and cannot be given back once more");
    assert_eq!(pool.busy(&device("cpu")), 2);
}

#[test]
fn a_gpu_is_drained_after_three_jobs_failed_on_it_and_the_cpu_never_is() {
    let mut pool = pool(&[seen("cpu", Need::Cpu, 1), seen(GPU, Need::Gpu, 1)]);
    let mut fail = |id, job: &str| on_release(&mut pool, id, Some(job.into()), true);
    assert_eq!(fail(0, "unknown"), []);
    for (name, need, jobs) in [("cpu", Need::Cpu, ["a", "b", "c"]), (GPU, Need::Gpu, ["a", "a", "b"])] {
        for job in jobs {
            let lease = on_claim(&mut pool, 1, &device(name), need);
            on_release(&mut pool, lease.id, Some(job.into()), true);
        }
    }
    assert_eq!((&pool.devices[&device("cpu")].drained, &pool.devices[&device(GPU)].drained), (&None, &None));
    let lease = on_claim(&mut pool, 1, &device(GPU), Need::Gpu);
    assert!(matches!(on_release(&mut pool, lease.id, Some("c".into()), true)[..], [PoolEffect::Say(_)]));
    assert_eq!(on_demand(&mut pool, 1, wants(0, 1)), [], "a drained device takes nothing, and its jobs wait");
    let (known, effects) = on_drain(&mut pool, &device(GPU), false);
    assert_eq!(known.as_deref(), Some("GPU-1 takes jobs again"));
    assert_eq!(granted(&effects).len(), 1, "restored, it does");
}

#[test]
fn a_gpu_that_others_occupy_is_left_alone_until_it_is_free() {
    let busy = Seen { occupied: Some("busy".into()), ..seen(GPU, Need::Gpu, 1) };
    let mut pool = pool(&[busy]);
    assert_eq!(on_demand(&mut pool, 1, wants(0, 1)), []);
    assert_eq!(granted(&on_devices(&mut pool, &[seen(GPU, Need::Gpu, 1)])), [(1, GPU, 1)]);
    assert!(matches!(on_devices(&mut pool, &[])[..], [PoolEffect::Say(_)]), "one that is gone is kept, out of use");
}

#[test]
fn restoring_a_device_that_is_gone_or_occupied_does_not_put_it_into_use() {
    let busy = Seen { occupied: Some("somebody computes on it".into()), ..seen(GPU, Need::Gpu, 1) };
    let mut pool = pool(std::slice::from_ref(&busy));
    let restored = |pool: &mut Pool<u32>| on_drain(pool, &device(GPU), false).0.expect("known");
    assert!(restored(&mut pool).ends_with("when this is over: somebody computes on it"));
    assert!(matches!(on_devices(&mut pool, &[])[..], [PoolEffect::Say(_)]));
    assert_eq!(on_devices(&mut pool, &[]), [], "that it is gone is said once");
    assert!(restored(&mut pool).contains("no longer found"));
    // Drained while it is away, it stays so when it comes back.
    on_drain(&mut pool, &device(GPU), true);
    on_devices(&mut pool, &[seen(GPU, Need::Gpu, 1)]);
    assert!(pool.devices[&device(GPU)].out_of_use().is_some_and(|why| why.contains("by hand")));
    assert_eq!(restored(&mut pool), "GPU-1 takes jobs again");
}

#[test]
fn jobs_spread_over_the_devices_with_most_free_slots_and_stop_when_no_more_are_wanted() {
    let mut pool = pool(&[seen(GPU, Need::Gpu, 2), seen("GPU-2", Need::Gpu, 2)]);
    assert_eq!(granted(&on_demand(&mut pool, 1, wants(0, 3))), [(1, GPU, 1), (1, "GPU-2", 2), (1, GPU, 3)]);
    assert_eq!(on_open(&mut pool), [], "the demand is met, and one slot is left");
    assert_eq!((pool.busy(&device(GPU)), pool.busy(&device("GPU-2"))), (2, 1));
}

#[test]
fn a_machine_that_is_drained_starts_nothing_until_it_is_restored() {
    let mut pool = pool(&[seen("cpu", Need::Cpu, 1)]);
    assert_eq!(on_drain_all(&mut pool, true), []);
    assert_eq!(on_demand(&mut pool, 1, wants(1, 0)), []);
    assert_eq!(granted(&on_drain_all(&mut pool, false)), [(1, "cpu", 1)]);
    assert_eq!(on_drain(&mut pool, &device("GPU-9"), true), (None, vec![]), "there is no such device");
}

#[test]
fn a_job_that_needs_the_cpu_is_refused_where_the_devices_leave_it_out() {
    let mut pool = pool(&[seen(GPU, Need::Gpu, 1)]);
    for _ in 0..2 {
        let effects = on_demand(&mut pool, 1, wants(2, 0));
        let refused = |effect: &PoolEffect<u32>| matches!(effect, PoolEffect::NoDevice { search: 1, need: Need::Cpu, sentence } if sentence.contains("leave the CPU out"));
        assert!(effects.len() == 1 && refused(&effects[0]), "each time that it asks: {effects:?}");
    }
    assert_eq!((called(Need::Cpu), called(Need::Gpu)), ("the CPU", "a GPU"));
}

#[test]
fn a_success_between_them_or_a_drain_by_hand_ends_the_count_of_failures() {
    let mut pool = pool(&[seen(GPU, Need::Gpu, 1)]);
    let end = |pool: &mut Pool<u32>, job: &str, failed| {
        let lease = on_claim(pool, 1, &device(GPU), Need::Gpu);
        on_release(pool, lease.id, Some(job.into()), failed)
    };
    for (job, failed) in [("a", true), ("b", true), ("c", false), ("d", true), ("e", true)] {
        assert_eq!(end(&mut pool, job, failed), []);
    }
    assert_eq!(pool.devices[&device(GPU)].drained, None);
    let (said, _) = on_drain(&mut pool, &device(GPU), true);
    assert_eq!(said.as_deref(), Some("GPU-1 takes no new job; what runs there goes on"));
    for job in ["f", "g", "h", "i"] {
        assert_eq!(end(&mut pool, job, true), [], "it is drained already");
    }
    assert!(pool.devices[&device(GPU)].drained.as_deref().is_some_and(|why| why.contains("by hand")));
}

#[test]
fn only_a_device_that_is_not_found_any_more_is_said_to_be_gone() {
    let mut pool = pool(&[seen("cpu", Need::Cpu, 1), seen(GPU, Need::Gpu, 1)]);
    let say = PoolEffect::Say("device GPU-1: it is no longer found on this machine".into());
    assert_eq!(on_devices(&mut pool, &[seen("cpu", Need::Cpu, 1)]), [say]);
    assert!(!pool.devices[&device("cpu")].gone && pool.devices[&device(GPU)].gone);
}

#[test]
fn of_searches_with_as_many_slots_the_one_served_longest_ago_is_next() {
    let mut pool = pool(&[seen("cpu", Need::Cpu, 1)]);
    on_demand(&mut pool, 1, wants(5, 0));
    on_demand(&mut pool, 2, wants(5, 0));
    let next: Vec<u32> = (1..=4).map(|lease| granted(&on_release(&mut pool, lease, None, false))[0].0).collect();
    assert_eq!(next, [2, 1, 2, 1]);
}
