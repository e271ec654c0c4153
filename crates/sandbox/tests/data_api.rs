//! The Data API of RDS through the unchanged SDK: how far each Region has got.

mod network_support;

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_rdsdata::types::{Field, RecordsFormatType};
use failback_sandbox::{Behaviour, Fault, Verb};
use network_support::{AWAY, AWAY_FENCE, AWAY_SUBNETS, HOME, Lab, sdk, world};
use serde_json::{Value, json};

const ARN: &str = "arn:aws:rds:us-west-2:123456789012:cluster:gdb2";
const SQL: &str = "SELECT AWS_REGION, HIGHEST_LSN_WRITTEN, RPO_LAG_IN_MILLISECONDS \
                   FROM information_schema.aurora_global_db_status";

/// A world in which away's cluster answers the Data API, and the secret for it.
async fn lab(spec: Value) -> (Lab, Client, String) {
    let lab = Lab::new(spec);
    let secret = lab.sandbox.create_secret(AWAY, "database");
    enable(&lab, AWAY, ARN).await;
    let client = sdk!(aws_sdk_rdsdata, lab, AWAY);
    (lab, client, secret)
}

async fn enable(lab: &Lab, region: &'static str, arn: &str) {
    let rds = sdk!(aws_sdk_rds, lab, region);
    rds.enable_http_endpoint().resource_arn(arn).send().await.unwrap();
}

type Executed = Result<ExecuteStatementOutput, (String, u16)>;

async fn execute(client: &Client, arn: &str, secret: &str, sql: &str) -> Executed {
    let call = client.execute_statement().resource_arn(arn).secret_arn(secret).sql(sql);
    call.database("orders").send().await.map_err(|error| {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        (error.code().unwrap_or("no code").to_owned(), status)
    })
}

/// Region, position and lag of every row.
fn rows(answer: &ExecuteStatementOutput) -> Vec<(String, i64, i64)> {
    let row = |row: &Vec<Field>| {
        let [Field::StringValue(region), Field::LongValue(lsn), Field::LongValue(lag)] = &row[..]
        else {
            panic!("{row:?}")
        };
        (region.clone(), *lsn, *lag)
    };
    answer.records().iter().map(row).collect()
}

fn write(lab: &Lab, count: usize) {
    let at_ms = lab.now_ms();
    lab.sandbox.change_world(|world| {
        for _ in 0..count {
            world.write_row(AWAY, "gdb2", "test", at_ms).unwrap();
        }
    });
}

#[tokio::test]
async fn writer_tells_what_it_wrote_and_how_far_the_readers_have_got() {
    let (lab, client, secret) = lab(world()).await;
    let asked = async || rows(&execute(&client, ARN, &secret, SQL).await.unwrap());
    lab.sandbox.change_world(|world| world.set_replication_lag(HOME, "gdb1", 10_000));
    lab.wait_s(60);
    let before = asked().await;
    write(&lab, 5);

    let at_once = asked().await;
    lab.wait_s(60);
    let later = asked().await;

    let [(writer, written, 0), (reader, received, lag_ms)] = &before[..] else {
        panic!("{before:?}")
    };
    assert_eq!((writer.as_str(), reader.as_str()), (AWAY, HOME));
    assert_eq!(written, received);
    assert!((7_500..=12_600).contains(lag_ms), "{lag_ms}");
    assert_eq!((at_once[0].1, at_once[1].1), (written + 5, *received));
    assert_eq!((later[0].1, later[1].1), (written + 5, written + 5));
}

#[tokio::test]
async fn postgresql_has_a_function_and_says_minus_one_of_the_writer() {
    let mut spec = world();
    for region in spec["regions"].as_array_mut().unwrap() {
        region["cluster_parameter_groups"][0]["family"] = json!("aurora-postgresql15");
        region["parameter_groups"][0]["family"] = json!("aurora-postgresql15");
        region["clusters"][0]["engine"] = json!("aurora-postgresql");
        region["clusters"][0]["engine_version"] = json!("15.4");
    }
    let (_lab, client, secret) = lab(spec).await;
    let sql =
        "select aws_region, highest_lsn_written, rpo_lag_in_msec\n from aurora_global_db_status();";

    let answer = rows(&execute(&client, ARN, &secret, sql).await.unwrap());
    let mysql = execute(&client, ARN, &secret, SQL).await.unwrap_err();

    assert_eq!((answer[0].0.as_str(), answer[0].2), (AWAY, -1));
    assert_eq!(answer[1].1, answer[0].1);
    assert_eq!(mysql.0, "BadRequestException");
}

#[tokio::test]
async fn records_come_as_json_and_with_their_columns_when_asked_for() {
    let (_lab, client, secret) = lab(world()).await;
    let all = "SELECT * FROM information_schema.aurora_global_db_status";
    let call = || client.execute_statement().resource_arn(ARN).secret_arn(&secret).sql(all);

    let formatted = call().format_records_as(RecordsFormatType::Json).send().await.unwrap();
    let plain = call().include_result_metadata(true).send().await.unwrap();

    let read: Value = serde_json::from_str(formatted.formatted_records().unwrap()).unwrap();
    assert_eq!(read[0]["AWS_REGION"], AWAY);
    assert_eq!(read[0]["LAST_LAG_CALCULATION_TIMESTAMP"], "2026-01-01 00:00:00");
    let names: Vec<_> = plain.column_metadata().iter().filter_map(|c| c.name()).collect();
    assert_eq!(names.len(), plain.records()[0].len());
    assert_eq!(names[..2], ["AWS_REGION", "HIGHEST_LSN_WRITTEN"]);
}

#[tokio::test]
async fn cluster_that_stands_alone_has_no_rows() {
    let mut spec = world();
    spec["global_clusters"] = json!([]);
    let (_lab, client, secret) = lab(spec).await;

    assert!(execute(&client, ARN, &secret, SQL).await.unwrap().records().is_empty());
}

#[tokio::test]
async fn data_api_refuses_by_its_own_names() {
    let (lab, client, secret) = lab(world()).await;
    let home = sdk!(aws_sdk_rdsdata, lab, HOME);
    let reader = "arn:aws:rds:us-east-1:123456789012:cluster:gdb1";
    let unknown = ARN.replace("gdb2", "gdb9");

    let disabled = execute(&home, reader, &secret, SQL).await.unwrap_err();
    enable(&lab, HOME, reader).await;
    for (client, arn, secret, sql, code, status) in [
        (&home, reader, secret.as_str(), SQL, "DatabaseUnavailableException", 504),
        (&home, ARN, &secret, SQL, "BadRequestException", 400),
        (&client, &unknown, &secret, SQL, "BadRequestException", 400),
        (
            &client,
            ARN,
            "arn:aws:secretsmanager:us-west-2:123456789012:secret:other",
            SQL,
            "ForbiddenException",
            403,
        ),
        (&client, ARN, &secret, "SELECT 1", "BadRequestException", 400),
        (&client, ARN, &secret, "DROP TABLE orders", "BadRequestException", 400),
        (&client, ARN, &secret, &SQL.replace("AWS_REGION", "REGION"), "BadRequestException", 400),
    ] {
        let refused = execute(client, arn, secret, sql).await.unwrap_err();
        assert_eq!(refused, (code.to_owned(), status), "{arn} {secret} {sql}");
    }
    assert_eq!(disabled, ("HttpEndpointNotEnabledException".to_owned(), 400));
    let begin = client.begin_transaction().resource_arn(ARN).secret_arn(&secret).send().await;
    assert_eq!(begin.unwrap_err().code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn fence_keeps_the_data_api_out_or_not_as_chosen() {
    let (lab, client, secret) = lab(world()).await;
    lab.fence(AWAY, AWAY_SUBNETS, AWAY_FENCE);

    assert!(execute(&client, ARN, &secret, SQL).await.is_ok());
    lab.sandbox.set_behaviour(Behaviour { data_api_is_fenced: true, ..Behaviour::default() });
    let refused = execute(&client, ARN, &secret, SQL).await.unwrap_err();

    assert_eq!(refused.0, "StatementTimeoutException");
}

#[tokio::test]
async fn faults_meet_statements_and_calls_are_recorded() {
    let (lab, client, secret) = lab(world()).await;
    drop(lab.sandbox.take_calls());
    for (skip, verb) in (0..).zip([Verb::Throttle, Verb::Stuck, Verb::LoseReply]) {
        lab.sandbox.inject(Fault::next(verb, "ExecuteStatement").after(skip));
    }
    let execute = async || execute(&client, ARN, &secret, SQL).await.unwrap_err().0;

    assert_eq!(execute().await, "ThrottlingException");
    assert_eq!(execute().await, "StatementTimeoutException");
    let lost = client.execute_statement().resource_arn(ARN).secret_arn(&secret).sql(SQL).send();
    assert!(matches!(lost.await.unwrap_err(), SdkError::DispatchFailure(_)));

    for call in lab.sandbox.take_calls() {
        assert_eq!(
            (call.service.as_str(), call.operation.as_str()),
            ("rds-data", "ExecuteStatement")
        );
        assert_eq!((call.region.as_str(), call.resource.as_str()), (AWAY, ARN));
        assert!(!call.mutating);
    }
}
