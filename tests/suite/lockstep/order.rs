//! What comes before what, on every path through the machines.

use super::definition::Machine;

#[test]
fn every_failure_before_the_promotion_lifts_the_fence() {
    let machine = Machine::named("promote-home");
    let fails = machine.of_type("Fail");

    // `LimitDetachment` is entered only when the promotion was accepted, or was begun before.
    let kept_up = machine.reachable("FenceWrites", &["LiftFence", "LimitDetachment"]);

    let early: Vec<_> = kept_up.into_iter().filter(|s| fails.contains_key(s)).collect();
    assert!(early.is_empty(), "the fence is left up on the way to {early:?}");
}

#[test]
fn nothing_is_proven_or_promoted_while_a_session_may_be_older_than_the_fence() {
    let machine = Machine::named("promote-home");
    let unended = machine.reachable("FenceWrites", &["RestartInstancesDone?"]);
    assert!(!unended.contains("NoteFence") && !unended.contains("DetachMember"), "{unended:?}");
    let phases = Machine::named("bring-home");
    let unended = phases.reachable("FenceWritesHome", &["RestartInstancesHomeDone?"]);
    assert!(!unended.contains("RetireHome"), "{unended:?}");
}

#[test]
fn nothing_lifts_the_fence_after_the_promotion() {
    let machine = Machine::named("promote-home");
    let after = machine.reachable("LimitDetachment", &[]);
    assert!(!after.contains("LiftFence"), "{after:?}");

    let lift = machine.states()["LiftFence"];
    assert!(lift["Arguments"]["Payload"]["unless_promoted"].is_object(), "LiftFence looks first");
    let phases = Machine::named("bring-home");
    let before_away_is_rebuilt = phases.reachable("BringWriterHome", &["Finish?"]);
    assert!(!before_away_is_rebuilt.contains("LiftFence"), "only Finish lifts the fence");
    let lift = phases.states()["LiftFenceOfStoppedChild"];
    assert!(lift["Arguments"]["Payload"]["unless_promoted"].is_object(), "it looks first");
}

#[test]
fn lock_is_held_before_anything_and_released_on_every_path_after_it() {
    let machine = Machine::named("failback");
    let start = machine.definition["StartAt"].as_str().expect("a start");
    let without_lock = machine.reachable(start, &["AcquireLockDone?"]);
    assert!(!without_lock.contains("LiftLeftFence") && !without_lock.contains("BringHome"));

    let releases = ["ReleaseLock", "ReleaseLockAfterFailure"];
    let unreleased = machine.reachable("LiftLeftFence", &releases);
    let ends: Vec<_> = unreleased
        .into_iter()
        .filter(|s| {
            let state = machine.states()[s];
            state["End"] == true
                || ["Succeed", "Fail"].contains(&state["Type"].as_str().unwrap_or(""))
        })
        .collect();
    assert!(ends.is_empty(), "the lock is kept on the way to {ends:?}");
}

#[test]
fn nothing_is_deleted_or_promoted_by_a_run_that_has_lost_its_lock() {
    for (name, dangerous) in [
        ("retire-cluster", "DeleteInstances"),
        ("promote-home", "FenceWrites"),
        ("switch-over", "SwitchOver"),
    ] {
        let machine = Machine::named(name);
        let start = machine.definition["StartAt"].as_str().expect("a start");
        let unchecked = machine.reachable(start, &["CheckLock"]);
        assert!(!unchecked.contains(dangerous), "{name}: {dangerous} without a look at the lock");
    }
}

#[test]
fn what_cannot_be_seen_later_is_remembered_before() {
    for (name, start, remember, change) in [
        ("bring-home", "TakeInput", "RememberSettings", "RetireHome"),
        ("promote-home", "TakeInput", "RememberFence", "FenceWrites"),
        ("promote-home", "TakeInput", "RememberProof", "DetachMember"),
    ] {
        let machine = Machine::named(name);
        let unremembered = machine.reachable(start, &[remember]);
        assert!(!unremembered.contains(change), "{name}: {change} without {remember}");
    }
}

#[test]
fn waits_are_short_while_writes_are_refused() {
    let promote = Machine::named("promote-home");
    let switch_over = Machine::named("switch-over");
    let cut_over = Machine::named("cut-over");
    let phases = Machine::named("bring-home");
    // Behind `WaitForStragglers` the promotion is called off or unclear, and haste would be wrong.
    let windows = [
        (&promote, promote.reachable("FenceWrites", &["WaitForStragglers"])),
        (&switch_over, switch_over.reachable("LimitSwitchover", &[])),
        (&cut_over, cut_over.reachable("TakeInput", &[])),
        (&phases, phases.reachable("LimitSwitchedOver", &["CutOverWriter"])),
        (&phases, phases.reachable("LimitHomePromoted", &["CutOverWriter"])),
    ];
    for (machine, window) in windows {
        for (state, wait) in machine.of_type("Wait") {
            let long = wait["Seconds"].as_u64().is_none_or(|seconds| seconds > 2);
            assert!(!(long && window.contains(state)), "{}: {state}", machine.name);
        }
    }
}
