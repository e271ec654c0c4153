//! The one statement that each engine answers.

use serde_json::{Map, Value, json};

use super::{Position, bad_request, field};
use crate::wire::{AwsError, iso8601};

/// Columns of `information_schema.aurora_global_db_status`.
/// Source: Aurora user guide, "Monitoring Aurora MySQL-based global databases".
const MYSQL: [&str; 6] = [
    "AWS_REGION",
    "HIGHEST_LSN_WRITTEN",
    "DURABILITY_LAG_IN_MILLISECONDS",
    "RPO_LAG_IN_MILLISECONDS",
    "LAST_LAG_CALCULATION_TIMESTAMP",
    "OLDEST_READ_VIEW_TRX_ID",
];
/// Columns of `aurora_global_db_status()`.
/// Source: Aurora user guide, `aurora_global_db_status`.
const POSTGRESQL: [&str; 7] = [
    "aws_region",
    "highest_lsn_written",
    "durability_lag_in_msec",
    "rpo_lag_in_msec",
    "last_lag_calculation_time",
    "feedback_epoch",
    "feedback_xmin",
];

/// `SELECT columns FROM` the table of positions.
pub(super) struct Statement {
    postgresql: bool,
    columns: Vec<&'static str>,
}

impl Statement {
    /// Reads a statement in an engine's own words.
    pub(super) fn parse(sql: &str, engine: &str) -> Result<Self, AwsError> {
        let unknown = || bad_request(format!("The statement is not modelled: {sql}"));
        let postgresql = engine == "aurora-postgresql";
        let (known, table): (&[&'static str], _) = if postgresql {
            (&POSTGRESQL, "aurora_global_db_status()")
        } else {
            (&MYSQL, "information_schema.aurora_global_db_status")
        };
        let words = sql.trim().trim_end_matches(';').to_ascii_lowercase();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let selected = words.strip_prefix("select ").ok_or_else(unknown)?;
        let (columns, from) = selected.split_once(" from ").ok_or_else(unknown)?;
        if from != table {
            return Err(unknown());
        }
        if columns.trim() == "*" {
            return Ok(Self { postgresql, columns: known.to_vec() });
        }
        let find = |name: &str| {
            let name = name.trim();
            let found = known.iter().find(|column| column.eq_ignore_ascii_case(name));
            found.copied().ok_or_else(|| {
                bad_request(if postgresql {
                    format!("ERROR: column \"{name}\" does not exist; SQLState: 42703")
                } else {
                    format!(
                        "Database error code: 1054. Message: Unknown column '{name}' in 'field \
                         list'"
                    )
                })
            })
        };
        let columns = columns.split(',').map(find).collect::<Result<_, _>>()?;
        Ok(Self { postgresql, columns })
    }

    /// The answer to it, in the form that the call asks for.
    pub(super) fn answer(
        &self,
        positions: &[Position],
        now_ms: i64,
        members: &Map<String, Value>,
    ) -> Result<Value, AwsError> {
        let value = |position, column: &&str| self.value(position, column, now_ms);
        let rows = positions.iter().map(|position| {
            self.columns.iter().map(|column| value(position, column)).collect::<Vec<Value>>()
        });
        let mut answer = json!({ "numberOfRecordsUpdated": 0 });
        match members.get("formatRecordsAs").and_then(Value::as_str) {
            Some("JSON") => {
                let named = |row: Vec<Value>| -> Map<String, Value> {
                    self.columns.iter().map(|column| (*column).to_owned()).zip(row).collect()
                };
                let rows: Vec<_> = rows.map(named).collect();
                answer["formattedRecords"] = json!(rows).to_string().into();
            }
            None | Some("NONE") => {
                let fields = |row: Vec<Value>| row.iter().map(field).collect::<Vec<Value>>();
                answer["records"] = rows.map(fields).collect();
                if members.get("includeResultMetadata") == Some(&Value::Bool(true)) {
                    answer["columnMetadata"] = self.columns.iter().map(|c| metadata(c)).collect();
                }
            }
            Some(other) => return Err(bad_request(format!("Invalid formatRecordsAs {other}"))),
        }
        Ok(answer)
    }

    /// The writer is not behind: Aurora MySQL says 0, Aurora PostgreSQL -1 and the epoch.
    fn value(&self, position: &Position, column: &str, now_ms: i64) -> Value {
        let Position { region, rows, lag_ms } = position;
        let behind = lag_ms.unwrap_or(if self.postgresql { -1 } else { 0 });
        let calculated_ms = if self.postgresql && lag_ms.is_none() { 0 } else { now_ms };
        match column.to_ascii_lowercase().as_str() {
            "aws_region" => region.as_str().into(),
            "highest_lsn_written" => (*rows).into(),
            "durability_lag_in_milliseconds"
            | "rpo_lag_in_milliseconds"
            | "durability_lag_in_msec"
            | "rpo_lag_in_msec" => behind.into(),
            "last_lag_calculation_timestamp" | "last_lag_calculation_time" => {
                iso8601(calculated_ms).replace('T', " ").trim_end_matches('Z').into()
            }
            // What readers still look at: nothing here reads that long.
            _ => 0.into(),
        }
    }
}

fn metadata(column: &str) -> Value {
    let text = column.eq_ignore_ascii_case("aws_region");
    let time = column.to_ascii_lowercase().starts_with("last_lag_calculation");
    let kind = match (text, time) {
        (true, _) => "VARCHAR",
        (_, true) => "TIMESTAMP",
        _ => "BIGINT",
    };
    json!({ "name": column, "label": column, "typeName": kind })
}
