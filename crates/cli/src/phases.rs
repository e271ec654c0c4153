//! The phases of a run as an operator counts them, recognized by the states of `bring-home`.

/// A phase: its title and the states of the machine that begin it.
pub struct Phase {
    /// What the progress line says.
    pub title: &'static str,
    /// States whose entry begins the phase.
    pub begins_with: &'static [&'static str],
}

/// All phases in their order. A test holds the state names to the definition.
pub const PHASES: [Phase; 9] = [
    Phase { title: "plan", begins_with: &["PlanFailback"] },
    Phase { title: "retire the stale home cluster", begins_with: &["FenceWritesHome"] },
    Phase { title: "restore the network", begins_with: &["RestoreNetwork"] },
    Phase { title: "rebuild home", begins_with: &["RebuildHome"] },
    Phase { title: "bring the writer home", begins_with: &["BringWriterHome", "SwitchOverHome"] },
    Phase { title: "cut over the writer", begins_with: &["CutOverWriter"] },
    Phase { title: "retire away", begins_with: &["LimitAwayDetachment", "RetireAway"] },
    Phase { title: "rebuild away", begins_with: &["RebuildAway"] },
    Phase { title: "finish", begins_with: &["LiftFence"] },
];

/// The machine whose states are the phases.
pub const MACHINE: &str = "bring-home";

/// The phase that this state of [`MACHINE`] begins.
pub fn begun_by(state: &str) -> Option<usize> {
    PHASES.iter().position(|p| p.begins_with.contains(&state))
}

/// A table of the runbook: what it says and which clusters it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// The section of the runbook that it ends.
    pub title: &'static str,
    /// The verification after which it is shown.
    pub after: &'static str,
    /// Home's row is the rebuilt cluster, not the stale one.
    pub home_restored: bool,
    /// Away's row is the rebuilt cluster, not the former writer.
    pub away_restored: bool,
}

/// The runbook's tables in their order.
pub const TABLES: [Table; 5] = [
    Table {
        title: "Restore Network Connections and End the Simulated Failure",
        after: "VerifyTopologyNetworkRestored",
        home_restored: false,
        away_restored: false,
    },
    Table {
        title: "Rebuild a new Global Database - Restore Data to Primary Region",
        after: "VerifyTopologyHomeRebuilt",
        home_restored: true,
        away_restored: false,
    },
    Table {
        title: "Breaking Global Database one more time",
        after: "VerifyTopologyAwayDetached",
        home_restored: true,
        away_restored: false,
    },
    Table {
        title: "Delete Secondary Region DB Cluster",
        after: "VerifyTopologyAwayRetired",
        home_restored: true,
        away_restored: false,
    },
    Table {
        title: "Rebuild the final Global Database - Restore Data to Secondary Region",
        after: "VerifyTopologyFinished",
        home_restored: true,
        away_restored: true,
    },
];

/// The table of a run that switches over, which the runbook does not know.
pub const SWITCHED: Table = Table {
    title: "Switch the writer over to home",
    after: "VerifyTopologySwitchedOver",
    home_restored: true,
    away_restored: false,
};

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::definitions::MACHINES;

    #[test]
    fn phases_and_tables_name_states_of_the_definition() {
        let text = MACHINES.iter().find(|(name, _)| *name == MACHINE).expect("it is one of them").1;
        let parent: Value = serde_json::from_str(text).expect("the definition is JSON");
        let tables = TABLES.iter().chain([&SWITCHED]).map(|t| t.after);
        let beginnings = PHASES.iter().flat_map(|p| p.begins_with.iter().copied());
        for state in beginnings.chain(tables) {
            assert!(parent["States"][state].is_object(), "{MACHINE} has no state {state}");
        }
    }
}
