//! Polls executions in a fixed order, inside whichever future drives the engine.
//!
//! `spawn_local` would need every caller to be inside a `LocalSet`, and would interleave
//! executions with the caller's own tasks in an order that is tokio's business. Here the order
//! is ours: first woken, first polled.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

type Job = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
pub(crate) struct Executor {
    /// `None` while the job is being polled, so that the job may start and stop others.
    jobs: RefCell<BTreeMap<u64, Slot>>,
    next_id: Cell<u64>,
    polling: Cell<bool>,
    shared: Arc<Shared>,
}

struct Slot {
    job: Option<Job>,
    waker: Arc<JobWaker>,
}

#[derive(Default)]
struct Shared {
    ready: Mutex<VecDeque<u64>>,
    drivers: Mutex<Vec<Waker>>,
}

struct JobWaker {
    id: u64,
    queued: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for JobWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            locked(&self.shared.ready).push_back(self.id);
        }
        self.shared.wake_drivers();
    }
}

impl Shared {
    fn wake_drivers(&self) {
        let drivers = std::mem::take(&mut *locked(&self.drivers));
        drivers.into_iter().for_each(Waker::wake);
    }
}

/// Everything happens on one thread: a poisoned lock only means that a job panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// Takes a job in; it is polled for the first time by the next driver. Answers its id.
    pub(crate) fn spawn(&self, job: impl Future<Output = ()> + 'static) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        let shared = Arc::clone(&self.shared);
        let waker = Arc::new(JobWaker { id, queued: AtomicBool::new(false), shared });
        let slot = Slot { job: Some(Box::pin(job)), waker: Arc::clone(&waker) };
        self.jobs.borrow_mut().insert(id, slot);
        waker.wake();
        id
    }

    /// Drops a job; one that is being polled is dropped when its poll returns.
    pub(crate) fn cancel(&self, id: u64) {
        // Out of the borrow first: dropping a job may cancel others.
        let removed = self.jobs.borrow_mut().remove(&id);
        drop(removed);
        self.shared.wake_drivers();
    }

    /// Lets every driver look again whether it is done.
    pub(crate) fn wake(&self) {
        self.shared.wake_drivers();
    }

    /// Drops every job.
    pub(crate) fn clear(&self) {
        let jobs = std::mem::take(&mut *self.jobs.borrow_mut());
        drop(jobs);
    }

    /// Polls jobs until `done` answers; this is what makes executions progress.
    pub(crate) async fn drive_until<T>(&self, mut done: impl FnMut() -> Option<T>) -> T {
        std::future::poll_fn(|context| {
            locked(&self.shared.drivers).push(context.waker().clone());
            self.poll_ready();
            match done() {
                Some(value) => Poll::Ready(value),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn poll_ready(&self) {
        // A task runner may itself wait for an execution: the outer loop goes on polling.
        if self.polling.replace(true) {
            return;
        }
        let _polling = Polling(&self.polling);
        while let Some(id) = { locked(&self.shared.ready).pop_front() } {
            self.poll_job(id);
        }
    }

    fn poll_job(&self, id: u64) {
        let taken = self.jobs.borrow_mut().get_mut(&id).map(|slot| {
            slot.waker.queued.store(false, Ordering::Relaxed);
            (slot.job.take(), Arc::clone(&slot.waker))
        });
        let Some((Some(mut job), waker)) = taken else { return };
        let waker = Waker::from(waker);
        let finished = job.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let mut jobs = self.jobs.borrow_mut();
        if finished {
            jobs.remove(&id);
        } else if let Some(slot) = jobs.get_mut(&id) {
            slot.job = Some(job);
            return;
        }
        drop(jobs);
        drop(job);
    }
}

/// Clears the mark even when a job panics, so that a test that catches it can go on.
struct Polling<'a>(&'a Cell<bool>);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A future that is boxed because states nest without bound.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Waits for the first of `slots` to finish, polling them in order, and empties its slot.
///
/// Pends for ever when every slot is empty.
pub(crate) async fn first_finished<T>(slots: &mut [Option<Boxed<'_, T>>]) -> (usize, T) {
    std::future::poll_fn(|context| {
        for (index, slot) in slots.iter_mut().enumerate() {
            if let Some(future) = slot
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *slot = None;
                return Poll::Ready((index, value));
            }
        }
        Poll::Pending
    })
    .await
}
