//! Jobs that one version of the grid begins with and another ends.

use blockgrid_job::status::{LaneKind, Phase};

use super::sentences::{begun, big, said, small, world};
use crate::plan::{Act, plan};
use crate::world::{Planned, Planning, Pool, World};

/// The same, as the version before has planned it.
fn theirs(planned: Planned) -> Planned {
    Planned { is_ours: false, ..planned }
}

fn next(mut world: World) -> World {
    world.image = "grid:2".to_owned();
    world
}

fn image(world: &World) -> Option<String> {
    plan(world).status.image
}

#[test]
fn another_engines_small_job_gets_workers_of_that_engines_image() {
    let mut world = next(begun(theirs(small()), 0));
    world.status.image = Some("grid:1".to_owned());
    world.status.lane = Some(LaneKind::Interactive);
    assert_eq!(plan(&world).acts, [Act::Enqueue { in_lane: false }, Act::CreatePool { workers: 1 }]);
    world.pool = Some(Pool { wanted: 1, ..Pool::default() });
    let status = plan(&world).status;
    assert_eq!((status.lane, status.image.as_deref()), (Some(LaneKind::Pool), Some("grid:1")));
}

#[test]
fn another_engines_workers_stay() {
    let mut world = next(begun(theirs(big()), 60));
    world.status.image = Some("grid:1".to_owned());
    let since = Some(world.now);
    world.pool = Some(Pool { wanted: 8, ready: 8, active: 8, since, ..Pool::default() });
    world.done = Some(10);
    assert_eq!(said(&world).0, Phase::Running);
    assert_eq!(image(&world).as_deref(), Some("grid:1"));
}

#[test]
fn a_job_that_is_planned_at_an_upgrade_keeps_to_whoever_made_the_plan() {
    for planning in [Planning::Working, Planning::Outside] {
        let mut world = world(big());
        world.planning = planning;
        world.planner = Some(crate::world::PlannerPod::default());
        assert_eq!(image(&world).as_deref(), Some("grid:1"), "it is said before there is a plan");
        world.status = plan(&world).status;
        let mut world = next(world);
        assert_eq!(image(&world).as_deref(), Some("grid:1"), "it may be there already");
        world.planning = Planning::Done(theirs(big()));
        world.status.reserved_micro_usd = Some(1);
        world.pool = Some(Pool { wanted: 8, ..Pool::default() });
        assert_eq!(image(&world).as_deref(), Some("grid:1"));
        world.planning = Planning::Done(big());
        assert_eq!(image(&world).as_deref(), Some("grid:2"));
        world.status = plan(&world).status;
        world.planning = Planning::Done(theirs(big()));
        world.image = "grid:3".to_owned();
        assert_eq!(image(&world).as_deref(), Some("grid:2"));
    }
}
