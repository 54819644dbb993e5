//! What somebody who uses a job asks of the operator: links to its results, and a quote before it runs.

use blockgrid_job::quote::Estimate;
use blockgrid_job::status::{JobStatus, Links, Phase};

use super::sentences;
use crate::plan::{Act, plan};
use crate::world::{Asked, Planned, Planning, World};

fn world(status: JobStatus, planning: Planning) -> World {
    let now = "2026-01-01T00:00:10Z".parse().unwrap();
    World {
        now,
        generation: 1,
        created: now,
        status,
        asked: Ok(Asked {
            suspend: false,
            cancel: false,
            deadline_seconds: 3600,
            start_seconds: 600,
            rest_seconds: 500_000,
            max_workers: 4,
            slots: 1,
            memory: 4 << 30,
            offered: sentences::offered(),
            max_cost: None,
        }),
        planning,
        ..sentences::world(sentences::big())
    }
}

fn suspended(planning: Planning) -> World {
    let mut world = world(JobStatus::default(), planning);
    world.asked.as_mut().unwrap().suspend = true;
    world
}

#[test]
fn links_are_made_for_each_request_and_go_with_it() {
    let links = Links { request: "a".to_owned(), ..Links::default() };
    let ended = |links: Option<Links>, wants: Option<&str>| {
        let status = JobStatus {
            phase: Phase::Succeeded,
            completion_time: Some("2026-01-01T00:00:00Z".to_owned()),
            links,
            ..JobStatus::default()
        };
        World { wants_links: wants.map(str::to_owned), ..world(status, Planning::Unknown) }
    };
    let signs = |request: &str| vec![Act::Sign { request: request.to_owned() }];
    assert_eq!(plan(&ended(None, Some("a"))).acts, signs("a"));
    assert_eq!(plan(&ended(Some(links.clone()), Some("b"))).acts, signs("b"));
    let answered = plan(&ended(Some(links.clone()), Some("a")));
    assert_eq!((answered.acts, answered.status.links), (vec![], Some(links.clone())));
    let done = plan(&ended(Some(links), None));
    assert_eq!((done.acts, done.status.links), (vec![], None));
}

#[test]
fn a_job_that_rests_from_the_start_gets_a_quote_and_nothing_else() {
    assert_eq!(plan(&suspended(Planning::Unknown)).acts, [Act::Plan]);
    let micros = Estimate { low: 900_000_000, mid: 1_000_000_000, high: 1_100_000_000 };
    let planned = Planned {
        shards: 7,
        trials: 9,
        cached: 0,
        micros,
        trace_units: 0,
        price: None,
        memory: 200 << 20,
        is_small: false,
        engine: "e".to_owned(),
        is_ours: true,
    };
    let rests = plan(&suspended(Planning::Done(planned)));
    assert_eq!((rests.acts, rests.status.phase), (vec![], Phase::Suspended));
    let quote = rests.status.quote.unwrap();
    assert_eq!(quote.vcpu_micros, 1_000_000_000);
    assert!(quote.low_micro_usd < quote.high_micro_usd, "{quote:?}");
}
