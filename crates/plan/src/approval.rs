//! What a person is asked before a step that cannot be undone, and what may be answered.

use serde::{Deserialize, Serialize};

use crate::task::ClusterRef;

/// The steps that may be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Gate {
    /// Delete the stale home cluster.
    RetireHome,
    /// Fence away and promote home.
    PromoteHome,
    /// Switch the writer over to home.
    SwitchOver,
    /// Delete the former away cluster.
    RetireAway,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Approve,
    /// Stop here.
    Reject,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    /// The step.
    pub gate: Gate,
    /// The cluster it is done to.
    pub cluster: &'a ClusterRef,
    /// Under what the answer is given.
    pub approval_id: &'a str,
    /// The execution that asks.
    pub execution: &'a str,
    /// Hash of what the plan rests on.
    pub basis_hash: &'a str,
    /// The function that takes the answer.
    pub answer_with: &'a str,
    /// Until when, in words.
    pub until: &'a str,
}

impl Question<'_> {
    /// One line of at most 100 ASCII characters, as SNS wants a subject.
    pub fn subject(&self) -> String {
        let what = match self.gate {
            Gate::RetireHome => "delete the stale home cluster",
            Gate::PromoteHome => "promote home",
            Gate::SwitchOver => "switch over to home",
            Gate::RetireAway => "delete the former away cluster",
        };
        let mut subject = format!("Failback asks: {what} {}?", self.cluster.cluster_id);
        subject.truncate(100);
        subject
    }

    /// What is about to happen, what becomes of it, and how to answer.
    pub fn message(&self) -> String {
        let ClusterRef { region, cluster_id, arn } = self.cluster;
        let what = match self.gate {
            Gate::RetireHome => format!(
                "The stale cluster {cluster_id} in {region} will be deleted, with its instances and \
                 a final snapshot. Clients cannot reach it; away serves all the while.\n\
                 Rows that only this cluster holds will be in the final snapshot and nowhere else."
            ),
            Gate::PromoteHome => format!(
                "Away will stop taking writes, and {cluster_id} in {region} will become the writer \
                 as soon as it is proven to hold every committed write. Writes are refused for \
                 minutes.\nThis is the point of no return."
            ),
            Gate::SwitchOver => format!(
                "Aurora will move the writer to {cluster_id} in {region} by a switchover, which loses \
                 nothing. Writes are refused for a minute or two.\nA switchover back undoes it."
            ),
            Gate::RetireAway => format!(
                "The former writer {cluster_id} in {region} will be deleted, with its instances and \
                 a final snapshot. It is fenced, and home is the writer."
            ),
        };
        let answer = |decision: &str| {
            let payload = serde_json::json!({
                "approval_id": self.approval_id,
                "decision": decision,
                "who": "your name",
                "why": "your reason",
            });
            format!(
                "aws lambda invoke --function-name {} --cli-binary-format raw-in-base64-out \
                 --payload '{payload}' /dev/stdout",
                self.answer_with
            )
        };
        format!(
            "{what}\n\nCluster: {arn}\nExecution: {}\nPlan: {}\n\nTo go on:\n  {}\n\nTo stop \
             here:\n  {}\n\nWithout an answer until {} the run ends. What has been done by then \
             stays, away serves or home serves as before, and starting again continues.\n",
            self.execution,
            self.basis_hash,
            answer("approve"),
            answer("reject"),
            self.until
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_says_what_happens_and_how_to_answer() {
        let id = "a".repeat(63);
        let cluster = ClusterRef { region: "r".into(), cluster_id: id, arn: "arn:c".into() };
        let question = |gate| Question {
            gate,
            cluster: &cluster,
            approval_id: "run-1-retire-home",
            execution: "arn:e",
            basis_hash: "ab12",
            answer_with: "arn:answer",
            until: "04:00 UTC",
        };
        for gate in [Gate::RetireHome, Gate::PromoteHome, Gate::SwitchOver, Gate::RetireAway] {
            let subject = question(gate).subject();
            assert!(subject.len() <= 100 && subject.is_ascii(), "{subject}");
            let message = question(gate).message();
            for part in ["arn:c", "arn:e", "ab12", "run-1-retire-home", "approve", "04:00 UTC"] {
                assert!(message.contains(part), "{part} is missing in:\n{message}");
            }
        }
        assert!(question(Gate::PromoteHome).message().contains("point of no return"));
        assert!(question(Gate::SwitchOver).message().contains("A switchover back undoes it"));
    }
}
