//! How many connections may be open, and which one leaves when one more arrives.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

/// A bounded number of places for connections.
///
/// When all are taken, a new connection takes the place of another one instead of waiting: a
/// client that opens connections and says nothing must not keep out one that has something to ask.
pub(super) struct Seats {
    room: usize,
    taken: RefCell<BTreeMap<u64, Rc<Occupant>>>,
    next: Cell<u64>,
}

/// The connection on a seat.
#[derive(Default)]
struct Occupant {
    /// Counts arrivals and requests; zero until its first request is answered.
    last_answered: Cell<u64>,
    leave: Notify,
}

/// A place; free again when dropped.
pub(super) struct Seat {
    seats: Rc<Seats>,
    id: u64,
    occupant: Rc<Occupant>,
}

impl Seats {
    /// So many places.
    pub(super) fn new(room: usize) -> Rc<Self> {
        Rc::new(Self { room, taken: RefCell::default(), next: Cell::new(1) })
    }

    /// Takes a place, if need be from the connection that is the least likely to miss it.
    pub(super) fn take(self: &Rc<Self>) -> Seat {
        if self.taken.borrow().len() >= self.room {
            self.evict();
        }
        let id = self.count();
        let occupant = Rc::<Occupant>::default();
        self.taken.borrow_mut().insert(id, occupant.clone());
        Seat { seats: self.clone(), id, occupant }
    }

    /// Sends away the connection that has never asked anything, or else the one that has asked
    /// nothing for the longest time; the oldest of several.
    pub(super) fn evict(&self) {
        let mut taken = self.taken.borrow_mut();
        let first = taken.iter().min_by_key(|(id, o)| (o.last_answered.get(), **id));
        let Some(id) = first.map(|(id, _)| *id) else { return };
        if let Some(occupant) = taken.remove(&id) {
            occupant.leave.notify_one();
        }
    }

    fn count(&self) -> u64 {
        let count = self.next.get();
        self.next.set(count + 1);
        count
    }
}

impl Seat {
    /// Notes that a request of this connection was answered.
    pub(super) fn answered(&self) {
        self.occupant.last_answered.set(self.seats.count());
    }

    /// Returns when another connection needs the place.
    pub(super) async fn told_to_leave(&self) {
        self.occupant.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.borrow_mut().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_connection_makes_room_before_one_that_has_asked() {
        let seats = Seats::new(2);
        let (asks, silent) = (seats.take(), seats.take());
        asks.answered();
        let _third = seats.take();
        let still_there = |seat: &Seat| seats.taken.borrow().contains_key(&seat.id);
        assert!(still_there(&asks));
        assert!(!still_there(&silent));
    }

    #[test]
    fn a_connection_that_ends_frees_its_place() {
        let seats = Seats::new(1);
        drop(seats.take());
        assert!(seats.taken.borrow().is_empty());
    }
}
