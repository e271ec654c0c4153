//! Whether a reader has everything its writer acknowledged, judged from lag samples.

use crate::task::Answer;

/// One data point of a lag metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LagSample {
    /// Start of the minute it covers, epoch milliseconds.
    pub at_ms: i64,
    /// Lag in milliseconds.
    pub lag_ms: f64,
}

/// What the gate asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// Most lag that passes, in milliseconds.
    pub lag_ms_max: u32,
    /// Consecutive samples that must pass.
    pub samples: u32,
    /// Only samples whose minute began at or after this count: the moment writes were refused.
    pub newer_than_ms: Option<i64>,
}

/// Judges the newest samples. No data is "not yet", never zero lag: the caller's deadline turns
/// it into a refusal.
pub fn judge(samples: &[LagSample], gate: Gate) -> (Answer, Option<f64>) {
    let mut fresh: Vec<LagSample> = samples
        .iter()
        .copied()
        .filter(|s| s.lag_ms.is_finite() && s.lag_ms >= 0.0)
        .filter(|s| gate.newer_than_ms.is_none_or(|fence| s.at_ms >= fence))
        .collect();
    fresh.sort_by_key(|s| -s.at_ms);
    let wanted = gate.samples.max(1) as usize;
    let newest = &fresh[..wanted.min(fresh.len())];
    let worst = newest.iter().map(|s| s.lag_ms).reduce(f64::max);
    let Some(worst) = worst else {
        return (Answer::pending("CloudWatch has no lag sample that is new enough"), None);
    };
    let limit = f64::from(gate.lag_ms_max);
    let answer = if newest.len() < wanted {
        Answer::pending(format!("{} of {wanted} fresh lag samples are there", newest.len()))
    } else if worst > limit {
        Answer::pending(format!(
            "replication lag is {worst:.0} ms, above the limit of {limit:.0} ms"
        ))
    } else {
        Answer::done(format!("{wanted} samples in a row show at most {worst:.0} ms of lag"))
    };
    (answer, Some(worst))
}

/// How far writer and reader have come; `None` where the writer did not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// Of the writer.
    pub writer: Option<i64>,
    /// Of the reader.
    pub reader: Option<i64>,
}

/// Judges positions that were read while nobody could write. Answers the position to reach as well:
/// the writer's at the first look, so that its own housekeeping does not move the goal.
pub fn reached(seen: Positions, wanted: Option<i64>) -> (Answer, Option<i64>) {
    let Some(goal) = wanted.or(seen.writer) else {
        return (Answer::pending("the writer did not tell its position"), None);
    };
    let answer = match seen.reader {
        None => Answer::pending("the writer did not tell the reader's position"),
        Some(reader) if reader < goal => {
            Answer::pending(format!("the reader is at {reader}, the writer stopped at {goal}"))
        }
        Some(reader) => {
            Answer::done(format!("the reader is at {reader}; the writer stopped at {goal}"))
        }
    };
    (answer, Some(goal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Progress;

    const GATE: Gate = Gate { lag_ms_max: 1000, samples: 2, newer_than_ms: Some(60_000) };

    fn state(samples: &[(i64, f64)]) -> Progress {
        let samples: Vec<_> =
            samples.iter().map(|&(at_ms, lag_ms)| LagSample { at_ms, lag_ms }).collect();
        judge(&samples, GATE).0.state
    }

    #[test]
    fn no_data_is_never_good_news() {
        assert_eq!(state(&[]), Progress::Pending);
        assert_eq!(state(&[(60_000, f64::NAN), (120_000, -1.0)]), Progress::Pending);
    }

    #[test]
    fn samples_from_before_the_fence_do_not_count() {
        assert_eq!(state(&[(0, 5.0), (59_999, 5.0), (60_000, 5.0)]), Progress::Pending);
        assert_eq!(state(&[(60_000, 5.0), (120_000, 5.0)]), Progress::Done);
    }

    #[test]
    fn newest_samples_must_all_be_below_the_limit() {
        assert_eq!(state(&[(60_000, 5.0), (120_000, 5.0), (180_000, 1001.0)]), Progress::Pending);
        assert_eq!(state(&[(60_000, 5000.0), (120_000, 5.0), (180_000, 1000.0)]), Progress::Done);
    }

    #[test]
    fn position_is_reached_when_the_reader_has_what_the_writer_had_at_the_first_look() {
        let seen = |writer, reader| Positions { writer, reader };
        let (answer, goal) = reached(seen(Some(10), Some(9)), None);
        assert_eq!((answer.state, goal), (Progress::Pending, Some(10)));
        let (answer, goal) = reached(seen(Some(12), Some(10)), Some(10));
        assert_eq!((answer.state, goal), (Progress::Done, Some(10)));
    }

    #[test]
    fn position_that_is_not_told_is_no_good_news() {
        let unknown = Positions { writer: None, reader: None };
        assert_eq!(reached(unknown, None).0.state, Progress::Pending);
        assert_eq!(reached(unknown, Some(1)).0.state, Progress::Pending);
        let reader_only = Positions { writer: None, reader: Some(9) };
        assert_eq!(reached(reader_only, None).0.state, Progress::Pending);
    }
}
