//! What is proven before home is promoted.

use failback_sandbox::{Behaviour, Fault, Verb};
use failback_states::Status;
use serde_json::json;

use crate::support::given::Given;
use crate::support::{AWAY, rehearse};

/// Away's position is read through the Data API.
pub fn with_data_api() -> Given {
    let mut given = Given::workshop();
    let arn = failback_sandbox::secret::arn("123456789012", AWAY, "failback-reader");
    given.input["away"]["data_api"] = json!({ "secret_arn": arn });
    given.accident(move |world| {
        let (account, now_ms) = (world.account.clone(), world.now_ms);
        drop(world.secrets.create(&account, AWAY, "failback-reader", "{}", now_ms));
        let region = world.rds.regions.get_mut(AWAY).expect("away");
        region.clusters.get_mut("gdb2-cluster").expect("its writer").settings.http_endpoint = true;
    });
    given
}

#[tokio::test(start_paused = true)]
async fn position_is_the_stronger_proof_and_the_shorter_outage() {
    let (_, by_lag) = rehearse(&Given::workshop()).await;
    let (drill, by_position) = rehearse(&with_data_api()).await;

    let outcome = &by_position.outcome;
    assert_eq!(outcome.status, Status::Succeeded, "{:?}", outcome.cause);
    let proof = &outcome.output.as_ref().expect("a report")["proof"];
    assert_eq!(proof["kind"], "position", "{proof}");
    assert_eq!(by_lag.outcome.output.expect("a report")["proof"]["kind"], "lag_samples");
    let measured = drill.sandbox.measured();
    assert_eq!(measured.rows_lost, 0);
    assert!(measured.seconds_without_writes < 150.0, "{}", measured.seconds_without_writes);
}

#[tokio::test(start_paused = true)]
async fn position_that_cannot_be_read_is_a_refusal_and_away_serves_again() {
    for fenced in [false, true] {
        let given = with_data_api();
        let drill = given.drill();
        if fenced {
            let behaviour = Behaviour { data_api_is_fenced: true, ..Behaviour::default() };
            drill.sandbox.set_behaviour(behaviour);
        } else {
            let refused = Verb::Refuse {
                code: "AccessDeniedException".to_owned(),
                message: "not allowed".to_owned(),
            };
            drill.sandbox.inject(Fault::next(refused, "ExecuteStatement").repeated(100));
        }
        let ended = drill.run("blind", given.input.clone()).await.expect("it starts");

        let error = ended.outcome.error.as_deref();
        assert_eq!(error, Some("PromotionCalledOff"), "{:?}", ended.outcome.cause);
        let writer = drill.sandbox.measured().writer.expect("a writer");
        assert_eq!(writer.cluster_id, "gdb2-cluster");
        assert_eq!(drill.sandbox.with_world(|w| w.writable_clusters()).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn data_api_that_is_off_is_refused_before_anything_is_touched() {
    let mut given = Given::workshop();
    given.input["away"]["data_api"] = with_data_api().input["away"]["data_api"].clone();

    let (_, ended) = rehearse(&given).await;

    assert_eq!(ended.outcome.error.as_deref(), Some("FailbackRefused"));
    assert!(ended.outcome.cause.unwrap_or_default().contains("away.data_api"));
}
