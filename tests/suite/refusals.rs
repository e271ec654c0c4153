//! What must not begin does not: every refusal names its reason, and nothing was changed.

mod clusters;
mod endpoints;
mod fences;
mod in_use;

use failback_sandbox::rds::Membership;
use failback_states::Status;
use serde_json::{Value, json};

use crate::support;
use crate::support::given::Given;
use crate::support::{AWAY, HOME, rehearse};

/// An error as the state machine sees it.
struct Refused {
    name: &'static str,
    message: String,
}

impl Refused {
    fn names(self, error: &str, words: &[&str]) {
        assert_eq!(self.name, error, "{}", self.message);
        for word in words {
            assert!(self.message.contains(word), "`{word}` is not named by: {}", self.message);
        }
    }

    /// The input is at fault.
    fn for_the_input(self, words: &[&str]) {
        self.names("InvalidRequest", words);
    }

    /// The topology is at fault.
    fn for_the_topology(self, words: &[&str]) {
        self.names("PlanRefused", words);
    }
}

/// Plans in the changed workshop; it must be refused and nothing may be different afterwards.
async fn refused(change: impl FnOnce(&mut Given)) -> Refused {
    let mut given = Given::workshop();
    change(&mut given);
    let drill = given.drill();
    let before = drill.sandbox.fingerprint();

    let payload = json!({ "request": given.input });
    let answer = support::call(&drill, "plan_failback", payload).await;

    let error = match answer {
        Ok(plan) => panic!("it was planned: {}", plan["reasons"]),
        Err(error) => error,
    };
    assert_eq!(drill.sandbox.fingerprint(), before, "{error}");
    let changes = drill.sandbox.calls().into_iter().filter(|call| call.mutating);
    assert_eq!(changes.collect::<Vec<_>>(), [], "{error}");
    Refused { name: error.name(), message: error.message() }
}

/// The same for a change of the input alone.
async fn refused_input(change: impl FnOnce(&mut Value)) -> Refused {
    refused(|given| change(&mut given.input)).await
}

#[tokio::test(start_paused = true)]
async fn unchanged_workshop_is_planned() {
    let given = Given::workshop();
    let drill = given.drill();

    let payload = json!({ "request": given.input });
    let plan = support::call(&drill, "plan_failback", payload).await.expect("it is safe");

    assert_eq!(plan["decision"], "PROCEED");
}

#[tokio::test(start_paused = true)]
async fn unknown_field_is_refused_wherever_it_is() {
    refused_input(|i| i["dryrun"] = json!(true)).await.for_the_input(&["`dryrun`"]);
    refused_input(|i| i["home"]["network"]["fence"] = json!("acl-1"))
        .await
        .for_the_input(&["`home.network.fence`"]);
    refused_input(|i| i["endpoints"]["dns"][1]["type"] = json!("CNAME"))
        .await
        .for_the_input(&["`endpoints.dns[1].type`"]);
}

#[tokio::test(start_paused = true)]
async fn home_and_away_in_one_region_are_refused() {
    refused_input(|i| i["away"]["region"] = json!(HOME))
        .await
        .for_the_input(&["`away.region`", "us-east-1"]);
}

#[tokio::test(start_paused = true)]
async fn environment_request_that_is_not_json_is_refused() {
    let given = Given::workshop();
    let drill = given.drill();
    let config = aws_config::SdkConfig::builder().build();
    let aws = failback::Aws::new(
        config,
        failback::Stack {
            environment_request: Some("home: us-east-1".to_owned()),
            ..failback::Stack::default()
        },
    );

    let payload = json!({ "request": given.input });
    let error = failback::call("plan_failback", &aws, payload).await.expect_err("it is no JSON");

    Refused { name: error.name(), message: error.message() }.for_the_input(&["`FAILBACK_REQUEST`"]);
    assert_eq!(drill.sandbox.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn refusal_ends_the_whole_execution_before_anything_is_changed() {
    type Change = fn(&mut Given);
    let unsafe_worlds: [(Change, &str); 3] = [
        (
            |given| given.add_former_member(AWAY, "gdb2-cluster"),
            "live global cluster `reinvent-dat348-gdb`",
        ),
        (|given| given.input["away"]["network"]["fence_acl_id"] = json!("acl-0123"), "`acl-0123`"),
        (|given| given.input["dryrun"] = json!(true), "`dryrun`"),
    ];
    for (change, reason) in unsafe_worlds {
        let mut given = Given::workshop();
        given.world.clients.clear();
        change(&mut given);
        let before = given.drill().sandbox.fingerprint();

        let (drill, ended) = rehearse(&given).await;

        assert_eq!(ended.outcome.status, Status::Failed);
        assert_eq!(ended.outcome.error.as_deref(), Some("FailbackRefused"));
        let cause = ended.outcome.cause.expect("a cause");
        assert!(cause.contains(reason), "{cause}");
        assert_eq!(drill.sandbox.fingerprint(), before);
        let changes = |call: &failback_sandbox::Call| call.mutating && call.service != "dynamodb";
        assert!(
            !drill.sandbox.calls().iter().any(changes),
            "only the lock was taken and given back"
        );
    }
}

/// A member that replicates and that no global cluster lists.
fn reader_of(source: &str) -> Membership {
    Membership::Reader { global: "orders".to_owned(), source: source.to_owned() }
}

fn add_global(given: &mut Given, id: &str, members: &[(&str, &str, bool)]) {
    let members = members.iter().map(|(region, cluster, writer)| {
        json!({ "region": region, "cluster": cluster, "writer": writer })
    });
    let spec = json!({ "id": id, "members": members.collect::<Vec<_>>() });
    given.world.global_clusters.push(serde_json::from_value(spec).expect("a global cluster"));
}
