//! What is told of the work: metrics, when somebody asks for them, and a span of each unit.

use blockgrid_grid::telemetry::Done;
use blockgrid_grid::{Outcome, Queue, Stream};

use super::{InFlight, Worker};
use crate::unit::UnitError;

impl<Q: Queue> Worker<Q> {
    /// All metrics as text, with how much waits in the streams that this worker serves.
    pub async fn metrics(&self) -> String {
        let (hits, read) = self.candles.bytes();
        self.meters.candles(hits, read);
        for stream in self.streams().await.unwrap_or_default() {
            // A job's own stream is one of the pool: its uid would make a series a job.
            let name = match &stream {
                Stream::Lane(lane) => lane.as_str(),
                Stream::Job(_) => "pool",
            };
            if let Ok(depth) = self.queue.depth(&stream).await {
                self.meters.depth(name, &depth);
            }
        }
        self.meters.text()
    }

    /// Tells whoever collects spans what came of a unit, before others can know.
    pub(super) fn tell_span(&self, flight: &InFlight, came: &Result<Option<Outcome>, UnitError>) {
        let entry = &flight.lease.entry;
        let (result, error) = match came {
            Ok(Some(Outcome::Done { .. })) => ("done", None),
            Ok(Some(Outcome::Failed { reason, message, .. })) => {
                ("failed", Some(format!("{}: {message}", reason.id())))
            }
            // By a process of its own, or because other units come first.
            Ok(None) => ("elsewhere", None),
            Err(error) => ("error", Some(error.to_string())),
        };
        let mut attributes = vec![
            ("blockgrid.result", result.into()),
            ("blockgrid.worker", self.settings.name.clone().into()),
            ("blockgrid.class", self.settings.class.clone().into()),
        ];
        if let Ok(Some(outcome)) = came {
            let spent = &outcome.usage().spent;
            for (name, number) in [
                ("blockgrid.trials", spent.trials),
                ("blockgrid.evaluations", spent.evaluations),
                ("blockgrid.cpu_micros", spent.cpu_micros),
                ("blockgrid.bytes_read", spent.bytes_read),
            ] {
                attributes.push((name, i64::try_from(number).unwrap_or(i64::MAX).into()));
            }
        }
        let done = Done { job: &entry.job, took: flight.started.elapsed(), error, attributes };
        self.settings.telemetry.worked(entry.unit, flight.lease.deliveries, done);
    }
}
