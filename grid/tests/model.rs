//! A model of how a shard comes to its outcome, checked in every state that it can reach: claims, heartbeats, thefts,
//! acknowledgements and audits, while workers crash, stop and wake, answers are lost, and the server is emptied or restored
//! from an old snapshot.
//!
//! Two things are freer than in truth, so that no clock matters: any lease may count as silent at any time, and audits
//! take no lock. Steps that are one script on the server are one step here; an audit is two, a shard is two.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::num::NonZeroUsize;

use stateright::{Checker, HasDiscoveries, Model, Property};

const ONCE: &str = "an outcome is written once";
const AFTER: &str = "an entry is acknowledged only after the outcome of its shard";
const OWN: &str = "nobody keeps, frees or ends the lease of another";
const RECOVERS: &str = "any one live worker can finish all alone";

/// What keeps workers from each other's leases.
#[derive(Clone, Copy, PartialEq)]
enum Check {
    /// The incarnation that took the entry last: what the scripts do.
    Nonce,
    /// The name of the consumer, which the server knows by itself.
    Name,
    /// Nothing: bare XCLAIM and XACK.
    Nothing,
}

#[derive(Clone)]
struct Grid {
    shards: u8,
    /// How often something may go wrong.
    faults: u8,
    /// Two workers take one slot by mistake.
    one_name: bool,
    check: Check,
    /// PUT with `If-None-Match: *`.
    puts_if_absent: bool,
    /// The outcome before the acknowledgement.
    puts_first: bool,
    audits: bool,
    /// The server may come back as it once was.
    snapshots: bool,
}

const SOUND: Grid = Grid {
    shards: 1,
    faults: 2,
    one_name: false,
    check: Check::Nonce,
    puts_if_absent: true,
    puts_first: true,
    audits: true,
    snapshots: true,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// How often the outcome of each shard was written: the object store.
    written: Vec<u8>,
    /// `None`: the server was emptied.
    queue: Option<Queue>,
    /// What a snapshot remembers.
    saved: Option<Queue>,
    workers: [Worker; 2],
    faults: u8,
    next_nonce: u8,
    /// Names of entries are never used again, not even after the server was emptied: they are times.
    next_id: u8,
    acknowledged_too_early: bool,
    touched_another: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Queue {
    queued: Vec<(u8, u8)>,
    pending: Vec<Pending>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending {
    id: u8,
    shard: u8,
    /// Name and nonce; none after a release.
    holder: Option<(u8, u8)>,
    is_silent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Worker {
    life: Life,
    nonce: u8,
    task: Option<Task>,
    /// Shards that an audit in progress found without outcome.
    missing: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    Up,
    Stopped,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Task {
    id: u8,
    shard: u8,
    half: Half,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Half {
    Neither,
    Written,
    /// Only where the order is wrong.
    Acknowledged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Claim(usize),
    Reclaim(usize),
    Heartbeat(usize),
    Release(usize),
    Put(usize),
    Acknowledge(usize),
    List(usize),
    Add(usize),
    /// Time passes without a word about an entry.
    Silence(u8),
    Save,
    Start(usize),
    Wake(usize),
    // Faults
    ClaimUnheard(usize),
    Crash(usize),
    Stop(usize),
    Flush,
    Restore,
}

impl Grid {
    fn name(&self, worker: usize) -> u8 {
        if self.one_name { 0 } else { worker as u8 }
    }

    fn may(&self, state: &State, worker: usize, pending: &Pending) -> bool {
        let holder = pending.holder;
        match self.check {
            Check::Nonce => holder.is_some_and(|(_, nonce)| nonce == state.workers[worker].nonce),
            Check::Name => holder.is_some_and(|(name, _)| name == self.name(worker)),
            Check::Nothing => true,
        }
    }

    /// The pending entry that a worker acts on, if the check lets it; notes when it should not have.
    fn own(&self, state: &mut State, worker: usize, id: u8) -> Option<usize> {
        let queue = state.queue.as_ref()?;
        let at = queue.pending.iter().position(|pending| pending.id == id)?;
        let pending = &queue.pending[at];
        if !self.may(state, worker, pending) {
            return None;
        }
        state.touched_another |=
            pending.holder.is_some_and(|(_, nonce)| nonce != state.workers[worker].nonce);
        Some(at)
    }

    fn is_short(&self, state: &State) -> bool {
        let is_idle =
            state.queue.as_ref().is_none_or(|queue| queue.queued.is_empty() && queue.pending.is_empty());
        is_idle && state.written.contains(&0)
    }

    /// Whether `worker`, left alone with what there is and given time, brings every shard to its outcome.
    fn finishes_alone(&self, state: &State, worker: usize) -> bool {
        let mut state = state.clone();
        for _ in 0..100 {
            if !state.written.contains(&0) {
                return true;
            }
            let mut actions = Vec::new();
            self.actions(&state, &mut actions);
            let rank = |action: &Action| match *action {
                Action::Add(who) if who == worker => Some(0),
                Action::Put(who) if who == worker => Some(1),
                Action::Acknowledge(who) if who == worker => Some(2),
                Action::Reclaim(who) if who == worker => Some(3),
                Action::Claim(who) if who == worker => Some(4),
                Action::List(who) if who == worker => Some(5),
                Action::Silence(_) => Some(6),
                _ => None,
            };
            let next = actions.into_iter().filter(|action| rank(action).is_some()).min_by_key(rank);
            match next.and_then(|action| self.next_state(&state, action)) {
                Some(next) => state = next,
                None => return false,
            }
        }
        false
    }
}

impl Model for Grid {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let worker = |nonce| Worker { life: Life::Up, nonce, task: None, missing: None };
        let queued = (0..self.shards).map(|shard| (shard, shard)).collect();
        vec![State {
            written: vec![0; usize::from(self.shards)],
            queue: Some(Queue { queued, pending: Vec::new() }),
            saved: None,
            workers: [worker(0), worker(1)],
            faults: self.faults,
            next_nonce: 2,
            next_id: self.shards,
            acknowledged_too_early: false,
            touched_another: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (who, worker) in state.workers.iter().enumerate() {
            match worker.life {
                Life::Up => {}
                Life::Stopped => actions.push(Action::Wake(who)),
                Life::Dead => actions.push(Action::Start(who)),
            }
            if worker.life != Life::Up {
                continue;
            }
            if state.faults > 0 {
                actions.extend([Action::Crash(who), Action::Stop(who)]);
            }
            match (&worker.missing, worker.task.map(|task| task.half)) {
                (Some(_), _) => actions.push(Action::Add(who)),
                (None, None) => {
                    if let Some(queue) = &state.queue {
                        if !queue.queued.is_empty() {
                            actions.push(Action::Claim(who));
                            if state.faults > 0 {
                                actions.push(Action::ClaimUnheard(who));
                            }
                        }
                        if queue.pending.iter().any(|pending| pending.is_silent) {
                            actions.push(Action::Reclaim(who));
                        }
                    }
                    if self.audits && self.is_short(state) {
                        actions.push(Action::List(who));
                    }
                }
                (None, Some(Half::Neither)) => {
                    actions.extend([Action::Heartbeat(who), Action::Release(who)]);
                    actions.push(if self.puts_first { Action::Put(who) } else { Action::Acknowledge(who) });
                }
                (None, Some(Half::Written)) => {
                    actions.extend([Action::Heartbeat(who), Action::Acknowledge(who)]);
                }
                (None, Some(Half::Acknowledged)) => actions.push(Action::Put(who)),
            }
        }
        if let Some(queue) = &state.queue {
            let heard = queue.pending.iter().filter(|pending| !pending.is_silent);
            actions.extend(heard.map(|pending| Action::Silence(pending.id)));
            if state.faults > 0 {
                actions.push(Action::Flush);
                if self.snapshots && state.saved.is_none() {
                    actions.push(Action::Save);
                }
            }
        }
        if state.faults > 0 && state.saved.is_some() {
            actions.push(Action::Restore);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Claim(who) | Action::ClaimUnheard(who) => {
                let holder = Some((self.name(who), state.workers[who].nonce));
                let queue = state.queue.as_mut()?;
                let (id, shard) = queue.queued.remove(0);
                queue.pending.push(Pending { id, shard, holder, is_silent: false });
                match action {
                    Action::Claim(_) => {
                        state.workers[who].task = Some(Task { id, shard, half: Half::Neither });
                    }
                    _ => state.faults -= 1,
                }
            }
            Action::Reclaim(who) => {
                let holder = Some((self.name(who), state.workers[who].nonce));
                let pending = state.queue.as_mut()?.pending.iter_mut().find(|pending| pending.is_silent)?;
                (pending.holder, pending.is_silent) = (holder, false);
                let (id, shard) = (pending.id, pending.shard);
                state.workers[who].task = Some(Task { id, shard, half: Half::Neither });
            }
            Action::Heartbeat(who) => {
                let task = state.workers[who].task?;
                match self.own(&mut state, who, task.id) {
                    Some(at) => state.queue.as_mut()?.pending[at].is_silent = false,
                    None => state.workers[who].task = None,
                }
            }
            Action::Release(who) => {
                let task = state.workers[who].task.take()?;
                if let Some(at) = self.own(&mut state, who, task.id) {
                    let pending = &mut state.queue.as_mut()?.pending[at];
                    (pending.holder, pending.is_silent) = (None, true);
                }
            }
            // Not asked of the queue: a worker that lost its lease and does not know writes as well.
            Action::Put(who) => {
                let task = state.workers[who].task?;
                let written = &mut state.written[usize::from(task.shard)];
                if *written == 0 || !self.puts_if_absent {
                    *written += 1;
                }
                let next = Task { half: Half::Written, ..task };
                state.workers[who].task = (task.half == Half::Neither).then_some(next);
            }
            Action::Acknowledge(who) => {
                let task = state.workers[who].task?;
                if let Some(at) = self.own(&mut state, who, task.id) {
                    state.queue.as_mut()?.pending.remove(at);
                    state.acknowledged_too_early |= state.written[usize::from(task.shard)] == 0;
                }
                let next = Task { half: Half::Acknowledged, ..task };
                state.workers[who].task = (task.half == Half::Neither).then_some(next);
            }
            Action::List(who) => {
                let missing = (0..self.shards).filter(|shard| state.written[usize::from(*shard)] == 0);
                state.workers[who].missing = Some(missing.collect());
            }
            Action::Add(who) => {
                let missing = state.workers[who].missing.take()?;
                let queue = state.queue.get_or_insert_default();
                for shard in missing {
                    queue.queued.push((state.next_id, shard));
                    state.next_id += 1;
                }
            }
            Action::Silence(id) => {
                let mut pending = state.queue.as_mut()?.pending.iter_mut();
                pending.find(|pending| pending.id == id)?.is_silent = true;
            }
            Action::Save => state.saved = state.queue.clone(),
            Action::Start(who) => {
                state.workers[who].life = Life::Up;
                state.workers[who].nonce = state.next_nonce;
                state.next_nonce += 1;
            }
            Action::Wake(who) => state.workers[who].life = Life::Up,
            Action::Crash(who) => {
                state.faults -= 1;
                let nonce = state.workers[who].nonce;
                state.workers[who] = Worker { life: Life::Dead, nonce, task: None, missing: None };
            }
            Action::Stop(who) => {
                state.faults -= 1;
                state.workers[who].life = Life::Stopped;
            }
            Action::Flush => {
                state.faults -= 1;
                state.queue = None;
            }
            Action::Restore => {
                state.faults -= 1;
                state.queue = state.saved.clone();
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, state: &State| state.written.iter().all(|times| *times <= 1)),
            Property::always(AFTER, |_, state: &State| !state.acknowledged_too_early),
            Property::always(OWN, |_, state: &State| !state.touched_another),
            Property::always(RECOVERS, |grid: &Grid, state: &State| {
                let live = (0..2).filter(|who| state.workers[*who].life == Life::Up);
                live.into_iter().all(|who| grid.finishes_alone(state, who))
            }),
            // The model says something only if all this happens in it.
            Property::sometimes("all is done and the queue is empty", |_, state: &State| {
                let is_empty = state.queue.as_ref().is_some_and(|queue| *queue == Queue::default());
                is_empty && !state.written.contains(&0) && state.workers.iter().all(|it| it.task.is_none())
            }),
            Property::sometimes("two work on one shard", |_, state: &State| {
                let shards = state.workers.each_ref().map(|worker| worker.task.map(|task| task.shard));
                shards[0].is_some() && shards[0] == shards[1]
            }),
            Property::sometimes("one works on what another has taken over", |_, state: &State| {
                let [a, b] = state.workers.each_ref().map(|worker| worker.task.map(|task| task.id));
                a.is_some() && a == b
            }),
            Property::sometimes("an entry of a finished shard comes back", |_, state: &State| {
                let queued = state.queue.iter().flat_map(|queue| &queue.queued);
                queued.into_iter().any(|(_, shard)| state.written[usize::from(*shard)] > 0)
            }),
        ]
    }
}

fn holds(grid: Grid) {
    let shards = grid.shards;
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let checker = grid.checker().threads(threads).spawn_bfs().join();
    assert!(checker.is_done());
    println!(
        "{shards} shards: {} states, at most {} steps deep",
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

/// That breaking `grid` breaks the property, by a way to there, which is printed.
fn breaks(grid: Grid, property: &'static str) {
    let found = HasDiscoveries::AnyOf([property].into());
    let checker = grid.checker().finish_when(found).spawn_bfs().join();
    let path = checker.discovery(property).unwrap_or_else(|| panic!("no way to break: {property}"));
    println!("{property}, broken by {:?}", path.into_actions());
}

#[test]
fn one_shard_comes_to_its_outcome_whatever_happens() {
    holds(SOUND);
}

#[test]
fn one_shard_survives_three_faults() {
    holds(Grid { faults: 3, snapshots: false, ..SOUND });
}

#[test]
fn two_shards_come_to_their_outcomes_whatever_happens() {
    holds(Grid { shards: 2, snapshots: false, ..SOUND });
}

#[test]
fn without_a_check_a_woken_worker_touches_the_lease_of_another() {
    breaks(Grid { check: Check::Nothing, ..SOUND }, OWN);
}

#[test]
fn a_check_of_the_name_is_not_enough() {
    breaks(Grid { check: Check::Name, one_name: true, ..SOUND }, OWN);
}

#[test]
fn a_put_that_overwrites_writes_twice() {
    breaks(Grid { puts_if_absent: false, ..SOUND }, ONCE);
}

#[test]
fn acknowledging_first_is_too_early() {
    breaks(Grid { puts_first: false, ..SOUND }, AFTER);
}

#[test]
fn without_audits_an_emptied_server_loses_shards() {
    breaks(Grid { audits: false, ..SOUND }, RECOVERS);
}
