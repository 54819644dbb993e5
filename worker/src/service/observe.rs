//! What is looked up when somebody asks for the metrics.

use blockgrid_grid::{Queue, Stream};

use super::Worker;

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
}
