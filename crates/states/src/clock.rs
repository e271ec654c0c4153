//! The clock that executions live on.

use std::time::Duration;

use tokio::time::Instant;

/// Wall-clock time for executions, derived from tokio's clock.
///
/// With tokio's time paused the clock is virtual: it stands still while anything can run and
/// jumps to the next timer when nothing can, so an execution of hours takes milliseconds and
/// every time stamp in it is exact. Start the runtime paused for that (`start_paused`): pausing
/// it later leaves the clock between two ticks of tokio's timers, and waits a millisecond long.
#[derive(Debug, Clone)]
pub struct Clock {
    epoch_ms: i64,
    base: Instant,
    speed: f64,
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
        Self { epoch_ms, base: Instant::now(), speed }
    }

    /// The time shown, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        let elapsed = self.base.elapsed();
        // The exact path matters: a float would make equal instants differ by a millisecond.
        let elapsed_ms = if self.speed == 1.0 {
            i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
        } else {
            (elapsed.as_secs_f64() * 1000.0 * self.speed) as i64
        };
        self.epoch_ms.saturating_add(elapsed_ms)
    }

    /// Returns when the clock shows `ms` milliseconds more than now; at once when `ms` is not
    /// positive.
    pub async fn sleep_ms(&self, ms: i64) {
        self.sleep_until_ms(self.now_ms().saturating_add(ms.max(0))).await;
    }

    /// Returns when the clock shows `at_ms` (milliseconds since the Unix epoch) or later.
    pub async fn sleep_until_ms(&self, at_ms: i64) {
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
