//! Real time spent in parts of a rehearsal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// The CPU time that this thread has used, where the system tells it: what else the machine does is
/// not in it. Linux does, to a few milliseconds.
pub fn thread_cpu_time() -> Option<Duration> {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = counts.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// What this thread has used of the CPU since [`thread_cpu_time`] said `then`.
pub fn thread_cpu_time_since(then: Option<Duration>) -> Option<Duration> {
    thread_cpu_time().zip(then).map(|(now, then)| now.saturating_sub(then))
}

/// Adds up the real time of pieces of work; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stopwatch(Arc<AtomicU64>);

impl Stopwatch {
    /// Adds the time since then.
    pub fn add_since(&self, began: Instant) {
        let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// A client that does what `client` does, and adds up how long it takes to answer.
    pub fn timing(&self, client: SharedHttpClient) -> SharedHttpClient {
        let stopwatch = self.clone();
        http_client_fn(move |settings: &HttpConnectorSettings, components: &RuntimeComponents| {
            let inner = client.http_connector(settings, components);
            SharedHttpConnector::new(Timed { inner, stopwatch: stopwatch.clone() })
        })
    }
}

#[derive(Debug)]
struct Timed {
    inner: SharedHttpConnector,
    stopwatch: Stopwatch,
}

impl HttpConnector for Timed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // The sandbox answers before it returns: the future is ready.
        let began = Instant::now();
        let answer = self.inner.call(request);
        self.stopwatch.add_since(began);
        answer
    }
}
