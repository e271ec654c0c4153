//! The checks of a call, each of a kind. In which order AWS makes them is not documented, so that
//! it is a choice: see [`Behaviour::check_order`](crate::Behaviour::check_order).

use crate::behaviour::Check;
use crate::wire::AwsError;
use crate::world::World;

/// Collects what a call breaks; nothing may be changed before [`Checks::end`].
pub(super) struct Checks {
    order: [Check; 7],
    /// The refusal that comes first so far, and its place.
    refusal: Option<(usize, AwsError)>,
}

impl Checks {
    pub(super) fn of(world: &World) -> Self {
        Self { order: world.behaviour.check_order, refusal: None }
    }

    /// Notes the result of a check; of one kind, the first refusal counts.
    pub(super) fn see<T>(&mut self, kind: Check, result: Result<T, AwsError>) -> Option<T> {
        match result {
            Ok(found) => Some(found),
            Err(error) => {
                // Looking for something begins with reading its name.
                let missing = error.code == "MissingParameter";
                let kind = if missing { Check::Malformed } else { kind };
                let place = self.order.iter().position(|k| *k == kind).unwrap_or(self.order.len());
                if self.refusal.as_ref().is_none_or(|(first, _)| place < *first) {
                    self.refusal = Some((place, error));
                }
                None
            }
        }
    }

    /// What the checks have found, if all have passed.
    ///
    /// # Errors
    /// The refusal that comes first.
    pub(super) fn end<T>(self, found: Option<T>) -> Result<T, AwsError> {
        match (self.refusal, found) {
            (Some((_, error)), _) => Err(error),
            (None, Some(found)) => Ok(found),
            (None, None) => {
                let message = "A check has found nothing and refused nothing";
                Err(AwsError::new(500, "InternalFailure", message))
            }
        }
    }
}
