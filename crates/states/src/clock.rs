//! The clock that executions live on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Wall-clock time for executions, derived from tokio's clock.
///
/// With tokio's time paused the clock is virtual: it stands still while anything can run and
/// jumps to the next timer when nothing can, so an execution of hours takes milliseconds and
/// every time stamp in it is exact. Start the runtime paused for that (`start_paused`): pausing
/// it later leaves the clock between two ticks of tokio's timers, and waits a millisecond long.
///
/// A clock that is faster than tokio's can be [held][Clock::hold] while something works that lives
/// in real time.
#[derive(Debug, Clone)]
pub struct Clock {
    epoch_ms: i64,
    base: Instant,
    speed: f64,
    held: Arc<Held>,
}

/// For how long a clock went at tokio's pace, and whether it does.
#[derive(Debug, Default)]
struct Held {
    state: Mutex<HeldState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct HeldState {
    /// How many hold it now.
    holders: u32,
    /// Since when, if anybody does.
    since: Option<Instant>,
    /// How long it was held before.
    before: Duration,
}

impl Held {
    /// A panic elsewhere leaves nothing half changed here.
    fn state(&self) -> MutexGuard<'_, HeldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds a clock until it is dropped.
#[derive(Debug)]
pub struct Hold(Arc<Held>);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.holders -= 1;
        if state.holders == 0
            && let Some(since) = state.since.take()
        {
            state.before += since.elapsed();
            self.0.changed.notify_waiters();
        }
    }
}

impl Clock {
    /// A clock that shows `epoch_ms` (milliseconds since the Unix epoch) now and keeps pace with
    /// tokio's clock.
    ///
    /// Must be called inside a tokio runtime when time is paused.
    pub fn new(epoch_ms: i64) -> Self {
        Self::at_speed(epoch_ms, 1.0)
    }

    /// A clock that shows `epoch_ms` now and runs `speed` times as fast as tokio's clock.
    ///
    /// # Panics
    ///
    /// If `speed` is not a positive finite number.
    pub fn at_speed(epoch_ms: i64, speed: f64) -> Self {
        assert!(speed.is_finite() && speed > 0.0, "a clock runs forward, not at {speed}");
        Self { epoch_ms, base: Instant::now(), speed, held: Arc::default() }
    }

    /// Lets a clock that is faster than tokio's keep pace with it until the hold is dropped: what
    /// works meanwhile has the time that it really takes. Without effect on a slower one.
    pub fn hold(&self) -> Hold {
        let mut state = self.held.state();
        state.holders += 1;
        if state.since.is_none() {
            state.since = Some(Instant::now());
            self.held.changed.notify_waiters();
        }
        drop(state);
        Hold(self.held.clone())
    }

    /// The time shown, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        let elapsed = self.base.elapsed();
        // The exact path matters: a float would make equal instants differ by a millisecond.
        let elapsed_ms = if self.speed <= 1.0 {
            if self.speed == 1.0 {
                i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
            } else {
                (elapsed.as_secs_f64() * 1000.0 * self.speed) as i64
            }
        } else {
            let held = self.was_held();
            let free = elapsed.saturating_sub(held).as_secs_f64();
            ((held.as_secs_f64() + free * self.speed) * 1000.0) as i64
        };
        self.epoch_ms.saturating_add(elapsed_ms)
    }

    /// How long it went at tokio's pace.
    fn was_held(&self) -> Duration {
        let state = self.held.state();
        state.before + state.since.map(|since| since.elapsed()).unwrap_or_default()
    }

    fn is_held(&self) -> bool {
        self.held.state().since.is_some()
    }

    /// Returns when the clock shows `ms` milliseconds more than now; at once when `ms` is not
    /// positive.
    pub async fn sleep_ms(&self, ms: i64) {
        self.sleep_until_ms(self.now_ms().saturating_add(ms.max(0))).await;
    }

    /// Returns when the clock shows `at_ms` (milliseconds since the Unix epoch) or later.
    pub async fn sleep_until_ms(&self, at_ms: i64) {
        if self.speed > 1.0 {
            return self.sleep_fast_until_ms(at_ms).await;
        }
        while self.now_ms() < at_ms {
            let simulated_ms = at_ms.saturating_sub(self.epoch_ms).max(0);
            let real = if self.speed == 1.0 {
                Duration::from_millis(simulated_ms.unsigned_abs())
            } else {
                Duration::from_secs_f64((simulated_ms as f64 / self.speed / 1000.0).min(1e11))
            };
            let target = self.base + real;
            // Rounding of a scaled clock may leave the last fraction of a millisecond over.
            tokio::time::sleep_until(target.max(Instant::now() + Duration::from_micros(1))).await;
        }
    }

    /// By what is left at the pace of the moment: it changes when the clock is held or let go.
    async fn sleep_fast_until_ms(&self, at_ms: i64) {
        loop {
            // Before looking, so that no change in between goes unnoticed.
            let changed = self.held.changed.notified();
            let left_ms = at_ms.saturating_sub(self.now_ms());
            if left_ms <= 0 {
                return;
            }
            let pace = if self.is_held() { 1.0 } else { self.speed };
            let real = Duration::from_secs_f64((left_ms as f64 / pace / 1000.0).min(1e9));
            // Rounding may leave the last fraction of a millisecond over.
            let real = real.max(Duration::from_micros(1));
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(Instant::now() + real) => {}
            }
        }
    }
}

/// `at_ms` as AWS writes time stamps: RFC 3339, UTC, milliseconds.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    let stamp = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::MAX);
    format!("{stamp:.3}")
}

/// Milliseconds since the epoch of an RFC 3339 time stamp as the Amazon States Language wants
/// it: with an upper-case `T` and, without an offset, an upper-case `Z`.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    let separated = text.as_bytes().get(10) == Some(&b'T');
    let well_formed = separated && !text.contains('z');
    well_formed.then(|| text.parse::<jiff::Timestamp>().ok()).flatten().map(|t| t.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fast_clock_keeps_pace_with_real_time_while_it_is_held() {
        let clock = Clock::at_speed(0, 60.0);

        let (first, second) = (clock.hold(), clock.hold());
        tokio::time::advance(Duration::from_secs(10)).await;
        drop(first);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(clock.now_ms(), 20_000);

        drop(second);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(clock.now_ms(), 620_000);
    }

    #[tokio::test(start_paused = true)]
    async fn sleeper_notices_that_the_clock_is_held_and_let_go() {
        let clock = Clock::at_speed(0, 60.0);
        let began = Instant::now();
        let sleeper = clock.clone();
        let sleeping = async move {
            sleeper.sleep_until_ms(600_000).await;
            (began.elapsed(), sleeper.now_ms())
        };
        let holding = async {
            tokio::time::advance(Duration::from_secs(5)).await;
            let hold = clock.hold();
            tokio::time::advance(Duration::from_secs(30)).await;
            drop(hold);
        };

        let ((real, shown), ()) = tokio::join!(sleeping, holding);

        // 5 s at sixtyfold speed, 30 s held, and 270 s at sixtyfold speed.
        assert_eq!(real.as_millis().div_euclid(100), 395);
        assert!((600_000..600_100).contains(&shown), "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn clock_that_is_not_faster_than_real_time_cannot_be_held_up() {
        for (speed, shown) in [(1.0, 10_000), (0.5, 5_000)] {
            let clock = Clock::at_speed(0, speed);
            let _hold = clock.hold();
            tokio::time::advance(Duration::from_secs(10)).await;
            assert_eq!(clock.now_ms(), shown);
        }
    }
}
