//! Positions of the members of a global cluster, read by SQL from its writer.

use aws_sdk_rdsdata::types::Field;
use failback_plan::replication::Positions;
use failback_plan::task::ClusterRef;

use crate::aws::Aws;
use crate::error::{FailbackError, classify};

/// One row for each Region: its name and the highest log sequence number written there.
/// Source: Aurora User Guide, "Monitoring an Amazon Aurora global database".
const MYSQL: &str =
    "select aws_region, highest_lsn_written from information_schema.aurora_global_db_status";
const POSTGRESQL: &str = "select aws_region, highest_lsn_written from aurora_global_db_status()";

/// The database to connect to where the engine wants one.
const POSTGRESQL_DATABASE: &str = "postgres";

/// Asks the writer, through the Data API: no network ACL stands in front of it.
pub(crate) async fn of_members(
    aws: &Aws,
    (writer, reader_region): (&ClusterRef, &str),
    secret_arn: &str,
    engine: &str,
) -> Result<Positions, FailbackError> {
    const CALL: &str = "rds-data:ExecuteStatement";
    let is_postgresql = engine == "aurora-postgresql";
    let answer = aws
        .rdsdata(&writer.region)
        .execute_statement()
        .resource_arn(&writer.arn)
        .secret_arn(secret_arn)
        .sql(if is_postgresql { POSTGRESQL } else { MYSQL })
        .set_database(is_postgresql.then(|| POSTGRESQL_DATABASE.to_owned()))
        .send()
        .await
        .map_err(|e| classify(CALL, e))?;
    let position = |region: &str| {
        let rows = answer.records().iter();
        rows.filter_map(|row| match &row[..] {
            [Field::StringValue(name), position, ..] if name == region => number(position),
            _ => None,
        })
        .next()
    };
    Ok(Positions { writer: position(&writer.region), reader: position(reader_region) })
}

/// A position that cannot be read is one that was not had.
fn number(field: &Field) -> Option<i64> {
    match field {
        Field::LongValue(number) => Some(*number),
        Field::StringValue(text) => text.parse().ok(),
        _ => None,
    }
}
