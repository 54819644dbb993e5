//! A job with workers of its own: how many it has, what they cost, and when they are given up.

use blockgrid_job::names::OUT_OF_BUDGET;
use blockgrid_job::quote::dollars;
use blockgrid_job::status::Phase;
use jiff::Timestamp;

use super::say::Say;
use super::{Act, Decision, act, quote, seconds_since, stop, time};
use crate::pool::active_seconds;
use crate::terms::Rates;
use crate::world::{Asked, Planned, Pool, Purpose, Trouble, World};

/// Shards that a slot should have of a job, so that starting it was worth while and the last ones end together.
const SHARDS_A_SLOT: u64 = 2;

/// Seconds of work that are worth starting a worker, which reads candles first.
const WORTH_A_START: u64 = 60;

/// What keeps the workers of a job within what it may cost and what is held for it, if they come near it.
pub(super) fn within_what_is_held(
    world: &World,
    asked: &Asked,
    planned: &Planned,
    pool: &Pool,
) -> Option<Decision> {
    let spent = spent(world);
    // They are told to rest elsewhere.
    let is_to_rest = asked.suspend || world.held.as_ref().is_some_and(|held| held.drain);
    let within_its_most = |most| within_its_most(world, pool, spent, most, is_to_rest);
    if let Some(decision) = asked.max_cost.and_then(within_its_most) {
        return Some(decision);
    }
    // What is held is the limit: before workers could pass it, more is held, or they stop.
    let held = world.status.reserved_micro_usd?;
    // Pods that wait for a node cost nothing.
    let costs = !pool.is_suspended && !pool.is_deleted && pool.micros > 0;
    let most = asked.max_cost.unwrap_or(u64::MAX);
    let ahead = spent.saturating_add(to_go_on(&world.rates, pool)).min(most);
    if !costs || is_to_rest || are_told(pool) && spent < held || held >= ahead {
        return None;
    }
    // It may have been refused more than this, to have more workers.
    let Some(why) = world.held.as_ref().filter(|why| why.asked_micro_usd <= ahead) else {
        let wish = ahead.saturating_mul(2).min(most);
        return Some(act(world, [Act::Reserve { purpose: Purpose::GoOn, micro_usd: ahead, wish }]));
    };
    // No more can be.
    let go_on = going_on(world, pool, spent, held);
    if go_on == 0 {
        let message = format!(
            "it has cost about {}, its end may cost {} (workers until they have stopped, and requests to the store), and no more than {} can be held for it: {}; what is left of it may cost some {} more",
            dollars(spent),
            dollars(until_stopped(&world.rates, pool)),
            dollars(held),
            why.numbers,
            dollars(rest_may_cost(world, planned, spent))
        );
        return Some(stop(world, Phase::BudgetExceeded, OUT_OF_BUDGET, &message));
    }
    (go_on < at_work(pool)).then(|| act(world, [Act::ScalePool { workers: go_on }]))
}

/// What the shards that are left may cost: as much each as those that are done, or as was quoted.
fn rest_may_cost(world: &World, planned: &Planned, spent: u64) -> u64 {
    let left = left(world, planned);
    let (cost, shards) = match planned.shards - left {
        0 => (quote(&world.rates, planned).high.max(spent), planned.shards),
        done => (spent, done),
    };
    u64::try_from(u128::from(cost) * u128::from(left) / u128::from(shards.max(1))).unwrap_or(u64::MAX)
}

/// What keeps a job within `compute.maxCostUsd`: as many workers go on as it pays for to their end, those included that are on
/// their way out, and when that is none it ends.
fn within_its_most(world: &World, pool: &Pool, spent: u64, most: u64, is_to_rest: bool) -> Option<Decision> {
    // One that rests costs nothing more, and is not woken by this.
    if pool.is_suspended || pool.is_deleted {
        return None;
    }
    // What is reached only by stopping was never reached by running.
    let few = going_on(world, pool, spent, most).max((spent * 2 < most).into());
    if few >= at_work(pool) {
        return None;
    }
    if few == 0 || pool.is_kueues {
        return Some(reached(world, pool, spent, most));
    }
    // All of them go where it is to rest; scaled, it would be woken.
    (!is_to_rest).then(|| act(world, [Act::ScalePool { workers: few }]))
}

/// How many workers go on within a limit. All that are there are paid until they have stopped, those on their way out included,
/// so that the limit is not passed however long that takes; who goes on has half as much again to work with. So there are
/// fewer the nearer the limit is, and with the last one it is reached. Those of a Kueue queue go on all or none: one that
/// changes waits there again, with what is held for it.
fn going_on(world: &World, pool: &Pool, spent: u64, limit: u64) -> u32 {
    let (there_are, each) = (at_work(pool), a_worker_stops(&world.rates));
    match limit.checked_sub(spent.saturating_add(until_stopped(&world.rates, pool))) {
        // They have not gone for as long as they may take: nothing else ends them.
        _ if are_told(pool) => {
            if spent < limit {
                there_are
            } else {
                0
            }
        }
        Some(_) if pool.is_kueues => there_are,
        Some(rest) => u32::try_from(rest / (each / 2).max(1)).unwrap_or(u32::MAX).max(1).min(there_are),
        // Nobody looked for too long. Most stop sooner than they may: one goes on until that is known.
        None => (!pool.is_kueues && there_are > 1 && spent.saturating_add(each) <= limit).into(),
    }
}

/// What a limit has to leave so that all go on: see [`going_on`]. The last one, and those of Kueue, go on with less, until
/// their way to their end takes the rest: who may give them more is told before.
fn to_go_on(rates: &Rates, pool: &Pool) -> u64 {
    let more = (a_worker_stops(rates) / 2).max(1).saturating_mul(at_work(pool).into());
    until_stopped(rates, pool).saturating_add(more)
}

/// Whether some have just been told to go: nobody knows yet how many are on their way.
fn are_told(pool: &Pool) -> bool {
    active(pool) > pool.wanted
}

/// Workers that are there, beside those that are on their way out.
fn active(pool: &Pool) -> u32 {
    u32::try_from(pool.active).unwrap_or(0)
}

/// Workers that are on their way out.
fn going(pool: &Pool) -> u64 {
    // Those of a pool that was made to rest a moment ago may be counted as at work.
    let resting = if pool.is_suspended { active(pool) } else { 0 };
    u64::from(resting) + u64::from(pool.going)
}

/// Workers that cost, and are to stay.
fn at_work(pool: &Pool) -> u32 {
    pool.wanted.min(active(pool))
}

/// What a limit leaves for workers: at the end the store is asked for what is no shard's.
fn left_for_workers(rates: &Rates, limit: u64) -> u64 {
    limit.saturating_sub(rates.costs.requests_of_a_job(0))
}

/// A job that has cost what it may.
fn reached(world: &World, pool: &Pool, spent: u64, most: u64) -> Decision {
    let message = format!(
        "it has cost about {}, and its end may cost {} (workers until they have stopped, and requests to the store); compute.maxCostUsd is {}",
        dollars(spent),
        dollars(until_stopped(&world.rates, pool)),
        dollars(most)
    );
    stop(world, Phase::BudgetExceeded, "MaxCostReached", &message)
}

/// With how many workers a job comes to the low end of its quote before they have to stop for `compute.maxCostUsd`, each
/// with as much time to work as it takes to stop.
fn paid_by_its_most(world: &World, asked: &Asked, planned: &Planned, spent: u64) -> u32 {
    let (most, each) = (asked.max_cost.unwrap_or(u64::MAX), a_worker_stops(&world.rates));
    let left = left_for_workers(&world.rates, most);
    let low = quote(&world.rates, planned).low;
    affordable(left, spent, a_worker_works(&world.rates)).min(affordable(left, low.max(spent), each))
}

/// More workers where there are fewer than its shards are worth: money was short, or `maxWorkers` is higher now. What they
/// cost is held first, for as long as they take to stop and once that to work.
fn grown(world: &World, asked: &Asked, planned: &Planned, pool: &Pool) -> Option<Decision> {
    let wanted = workers(left(world, planned), asked);
    // A job that changes leaves its Kueue queue and waits again; who was refused more is told when there is more.
    if wanted <= pool.wanted || pool.is_kueues || world.held.is_some() {
        return None;
    }
    // Near its most nobody comes while others are on their way out.
    if asked.max_cost.is_some() && (pool.going > 0 || are_told(pool)) {
        return None;
    }
    let wanted = wanted.min(paid_by_its_most(world, asked, planned, spent(world)));
    let paid = wanted.min(paid_by_what_is_held(world));
    if paid > pool.wanted {
        return Some(act(world, [Act::ScalePool { workers: paid }]));
    }
    (wanted > pool.wanted).then(|| {
        let (micro_usd, wish) = (held_for(world, pool.wanted + 1), held_for(world, wanted));
        act(world, [Act::Reserve { purpose: Purpose::Grow, micro_usd, wish }])
    })
}

/// How many workers what is held pays for, each for as long as it takes to stop and once that to work.
fn paid_by_what_is_held(world: &World) -> u32 {
    let held = world.status.reserved_micro_usd.unwrap_or(0);
    affordable(held, held_for(world, 0), a_worker_works(&world.rates))
}

/// What has to be held for so many, beside those that are on their way out.
fn held_for(world: &World, workers: u32) -> u64 {
    let going = world.pool.as_ref().map_or(0, going);
    let going = a_worker_stops(&world.rates).saturating_mul(going);
    let requests = world.rates.costs.requests_of_a_job(0);
    let workers = a_worker_works(&world.rates).saturating_mul(workers.into());
    spent(world).saturating_add(going).saturating_add(workers).saturating_add(requests)
}

/// Whether a job has less than one worker takes to stop and half of that to work, and its budgets no more: it would be ended a
/// moment after it goes on, and who waits loses nothing.
pub(super) fn waits_for_one(world: &World, asked: &Asked) -> bool {
    world.held.is_some() && !pays_for_one(world, asked)
}

fn pays_for_one(world: &World, asked: &Asked) -> bool {
    let stops = a_worker_stops(&world.rates);
    let one = held_for(world, 0).saturating_add(stops).saturating_add(stops / 2);
    world.status.reserved_micro_usd.unwrap_or(0) >= one.min(asked.max_cost.unwrap_or(u64::MAX))
}

/// What a pool does that begins, or goes on after a rest, with as many workers as are wanted, or as what is held pays for:
/// were more at work, their stopping alone could cost more than there is. More is held first, if it can be.
fn begun(world: &World, asked: &Asked, wanted: u32, with: impl FnOnce(u32) -> Vec<Act>) -> Decision {
    let (paid, most) = (paid_by_what_is_held(world), asked.max_cost.unwrap_or(u64::MAX));
    let more = held_for(world, paid.max(1).saturating_add(1)).min(most);
    match &world.held {
        Some(held) if waits_for_one(world, asked) => Say::new(world).held(held),
        None if !pays_for_one(world, asked) => {
            let one = held_for(world, 1).min(most);
            act(world, [Act::Reserve { purpose: Purpose::Begin, micro_usd: one, wish: one }])
        }
        // With those that are on their way out all that it may ever cost can be held for fewer.
        None if paid.max(1) < wanted && world.status.reserved_micro_usd.is_some_and(|held| held < more) => {
            let wish = held_for(world, wanted).min(most);
            act(world, [Act::Reserve { purpose: Purpose::Grow, micro_usd: more, wish }])
        }
        _ => act(world, with(wanted.min(paid).max(1))),
    }
}

/// Workers that cost so much each, for what is held and not spent.
fn affordable(held: u64, spent: u64, each: u64) -> u32 {
    u32::try_from(held.saturating_sub(spent) / each.max(1)).unwrap_or(u32::MAX)
}

/// What a job has cost: its pods, those that are gone, and about what its requests to the store have cost by now; those
/// are known when it has ended.
fn spent(world: &World) -> u64 {
    let micros = world.pool.as_ref().map_or(0, |pool| pool.micros);
    let pods = world.rates.price.micro_usd(micros.into()).max(world.status.spent_micro_usd.unwrap_or(0));
    pods.saturating_add(world.rates.costs.requests_of_shards(world.done.unwrap_or(0)))
}

/// What its workers cost until they have stopped, if they were told to now, and at most what is asked of the store beside
/// shards.
fn until_stopped(rates: &Rates, pool: &Pool) -> u64 {
    let workers = u64::from(active(pool)) + u64::from(pool.going);
    workers.saturating_mul(a_worker_stops(rates)).saturating_add(rates.costs.requests_of_a_job(0))
}

/// What one of them costs until then.
fn a_worker_stops(rates: &Rates) -> u64 {
    a_worker_costs(rates, rates.stopping_seconds)
}

/// What one of them costs that works for as long as it takes to stop, which is worth its start at least, and then stops.
fn a_worker_works(rates: &Rates) -> u64 {
    let works = rates.stopping_seconds.max(WORTH_A_START);
    a_worker_costs(rates, rates.stopping_seconds.saturating_add(works))
}

/// What one of them costs in so many seconds.
fn a_worker_costs(rates: &Rates, seconds: u64) -> u64 {
    rates.price.micro_usd((rates.millicpus * 1000).saturating_mul(seconds).into())
}

/// What is held at least before a job gets workers of its own: a pool of which not one worker had as much time to work as
/// it takes to stop would be ended as soon as it runs.
pub(super) fn least(rates: &Rates) -> u64 {
    a_worker_works(rates).saturating_add(rates.costs.requests_of_a_job(0))
}

/// The lowest `compute.maxCostUsd` with which a job that costs `low` comes to its end by one worker, and is not stopped just
/// before: see [`within_what_is_held`].
pub(super) fn least_to_end(rates: &Rates, low: u64) -> u64 {
    let stopping = a_worker_stops(rates).saturating_add(rates.costs.requests_of_a_job(0));
    low.saturating_add(stopping.min(low)).saturating_add(1)
}

/// A job with workers of its own that may run.
pub(super) fn running(world: &World, asked: &Asked, planned: &Planned) -> Decision {
    let Some(pool) = &world.pool else {
        if let Some(trouble) = &world.pool_refused {
            // One that has computed something has its deadline to wait.
            let is_new = left(world, planned) == planned.shards;
            let since = world.pool_refused_since.unwrap_or(world.now);
            if is_new && seconds_since(world.now, since) >= asked.start_seconds {
                let message = format!("its workers could not be made: {}", trouble.told());
                return stop(world, Phase::Failed, "WorkersNotStarted", &message);
            }
            return Say::new(world).refused(trouble);
        }
        let paid = paid_by_its_most(world, asked, planned, spent(world));
        let wanted = workers(left(world, planned), asked).min(paid.max(1));
        let with = |workers| vec![Act::Enqueue { in_lane: false }, Act::CreatePool { workers }];
        return begun(world, asked, wanted, with);
    };
    if pool.is_deleted {
        // It was deleted by somebody else; it is made anew when it is gone.
        return Say::new(world).running(planned);
    }
    if pool.is_misconfigured {
        let message = "workers exited with code 78: their configuration is bad, or the job is another engine's; see the logs of its pods";
        return stop(world, Phase::Failed, "WorkersMisconfigured", message);
    }
    // Workers that cannot ask for work cost money, and compute nothing.
    if let Some(trouble) = world.queue_fails.as_ref().filter(|_| pool.ready == 0 && !pool.is_kueues) {
        return rested(world).unwrap_or_else(|| Say::new(world).waits_for(trouble));
    }
    // All of them, and nothing came of it.
    let all_failed = u32::try_from(pool.failed).is_ok_and(|failed| failed > 0 && failed >= pool.wanted);
    if all_failed && pool.active == 0 && !world.has_progressed {
        let why = pool.trouble.as_ref().map_or_else(|| "see the logs of its pods".to_owned(), Trouble::told);
        let message = format!("its workers ({}) failed again and again: {why}", pool.failed);
        return stop(world, Phase::Failed, "WorkersFailed", &message);
    }
    // It works no more, whatever is left: another takes its place when it is gone.
    if pool.is_given_up {
        return act(world, [Act::DeletePool]);
    }
    if pool.is_suspended && pool.is_kueues {
        return Say::new(world).waits();
    }
    // From when they could: one that rested, or waited in a queue, has its whole time afterwards.
    let is_late = pool.since.is_some_and(|since| {
        let since = since.max(ready_until(world).unwrap_or(since));
        seconds_since(world.now, since) >= asked.start_seconds
    });
    if is_late && pool.ready == 0 && world.done.unwrap_or(0) == 0 && !pool.is_suspended {
        let why = pool.trouble.as_ref().map_or_else(|| "no pod became ready".to_owned(), Trouble::told);
        let message = format!("no worker started within {} s: {why}", asked.start_seconds);
        return stop(world, Phase::Failed, "WorkersNotStarted", &message);
    }
    let left = left(world, planned);
    // What Kueue has let in waits in its queue again when it changes.
    // Of fewer those stay whose indexes come first, and an index that failed for good is made by nobody any more.
    let stays = pool.is_kueues || pool.failed > 0;
    let enough = if stays { pool.wanted } else { shrunk(pool, left, asked) };
    if pool.is_suspended {
        // As many as what is left of its most pays for.
        let spent = spent(world);
        let paid = paid_by_its_most(world, asked, planned, spent);
        if let Some(most) = asked.max_cost {
            let stops = a_worker_stops(&world.rates);
            if spent.saturating_add(stops) >= most && spent * 2 >= most {
                return reached(world, pool, spent, most);
            }
            // Those that are on their way out may take the rest of it: what they took is known when they are gone.
            if going(pool) > 0 && held_for(world, 0).saturating_add(stops) >= most {
                return Say::new(world).waits_for_others_to_stop(most);
            }
        }
        return begun(world, asked, enough.min(paid.max(1)), |workers| vec![Act::ScalePool { workers }]);
    }
    // Its deadline was raised.
    let is_short = pool.active_seconds.is_some_and(|ends| ends < active_seconds(asked.deadline_seconds));
    if enough < pool.wanted || is_short {
        return act(world, [Act::ScalePool { workers: enough }]);
    }
    if let Some(decision) = grown(world, asked, planned, pool) {
        return decision;
    }
    Say::new(world).running(planned)
}

/// Until when a worker of it was ready, if one ever was: probes may fail for a moment.
fn ready_until(world: &World) -> Option<Timestamp> {
    let ready = world.status.condition("WorkersReady")?;
    if ready.status == "True" { Some(world.now) } else { time(Some(&ready.last_transition_time)) }
}

/// Shards that are not done. They are counted where there are workers: of a job that had some before, what was said last.
fn left(world: &World, planned: &Planned) -> u64 {
    let done = world.done.unwrap_or(world.status.shards.unwrap_or_default().done);
    planned.shards - done.min(planned.shards)
}

/// Lets the workers of a job rest, if they do not yet. Those of a Kueue queue are removed: Kueue wakes what it has let in, and
/// keeps its place in the queue taken. They wait there again when the job goes on.
pub(super) fn rested(world: &World) -> Option<Decision> {
    let pool = world.pool.as_ref().filter(|pool| !pool.is_deleted)?;
    if pool.is_kueues {
        return Some(act(world, [Act::DeletePool]));
    }
    (!pool.is_suspended).then(|| act(world, [Act::SuspendPool]))
}

/// Workers for so many shards.
fn workers(shards: u64, asked: &Asked) -> u32 {
    let slots = u64::from(asked.slots).max(1);
    let wanted = shards.div_ceil(slots * SHARDS_A_SLOT).max(1);
    u32::try_from(wanted).unwrap_or(u32::MAX).min(asked.max_workers).max(1)
}

/// How many workers are enough for what is left: fewer only where half of them have nothing to do, because those that go
/// may be at work and hand it back.
fn shrunk(pool: &Pool, left: u64, asked: &Asked) -> u32 {
    let busy = u32::try_from(left.div_ceil(u64::from(asked.slots).max(1))).unwrap_or(u32::MAX).max(1);
    let most = pool.wanted.min(asked.max_workers);
    if busy <= most / 2 { busy } else { most }
}
