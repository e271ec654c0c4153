//! awsQuery: the flattened form of the two calls, and answers in XML.

use aws_smithy_types::date_time::{DateTime, Format};
use failback_sandbox::wire::{AwsError, Params, Request, Xml};
use serde_json::{Map, Value, json};

const NAMESPACE: &str = "http://monitoring.amazonaws.com/doc/2010-08-01/";

/// The operation and its input as the other protocols have it.
pub(super) fn read(request: &Request) -> (String, Result<Value, AwsError>) {
    let params = request.params();
    let operation = params.get("Action").unwrap_or_default().to_owned();
    let input = match operation.as_str() {
        "GetMetricData" => get_metric_data(&params),
        "ListMetrics" => {
            let mut input =
                texts(&params, &["Namespace", "MetricName", "RecentlyActive", "NextToken"]);
            input.insert("Dimensions".to_owned(), dimensions(&params, "Dimensions.member"));
            Ok(Value::Object(input))
        }
        _ => Err(AwsError::unknown_operation(&operation)),
    };
    (operation, input)
}

fn get_metric_data(params: &Params) -> Result<Value, AwsError> {
    let mut input = texts(params, &["ScanBy", "NextToken"]);
    for name in ["StartTime", "EndTime"] {
        if let Some(text) = params.get(name) {
            let at = DateTime::from_str(text, Format::DateTimeWithOffset).map_err(|_| {
                let message = format!("{name} is not a moment");
                AwsError::bad_request("MalformedInput", message)
            })?;
            input.insert(name.to_owned(), json!(at.as_secs_f64()));
        }
    }
    if let Some(points) = params.int("MaxDatapoints")? {
        input.insert("MaxDatapoints".to_owned(), points.into());
    }
    let queries = params.structures("MetricDataQueries.member");
    let queries: Vec<Value> = queries.iter().map(query).collect::<Result<_, _>>()?;
    input.insert("MetricDataQueries".to_owned(), queries.into());
    Ok(Value::Object(input))
}

fn query(params: &Params) -> Result<Value, AwsError> {
    let mut query = texts(params, &["Id", "Label", "Expression"]);
    if let Some(returned) = params.bool("ReturnData")? {
        query.insert("ReturnData".to_owned(), returned.into());
    }
    if params.has("MetricStat") {
        let mut stat = texts(&params.below("MetricStat"), &["Stat", "Unit"]);
        if let Some(period) = params.int("MetricStat.Period")? {
            stat.insert("Period".to_owned(), period.into());
        }
        let mut metric = texts(&params.below("MetricStat.Metric"), &["Namespace", "MetricName"]);
        let listed = dimensions(params, "MetricStat.Metric.Dimensions.member");
        metric.insert("Dimensions".to_owned(), listed);
        stat.insert("Metric".to_owned(), Value::Object(metric));
        query.insert("MetricStat".to_owned(), Value::Object(stat));
    }
    Ok(Value::Object(query))
}

/// Those of the parameters that were sent.
fn texts(params: &Params, names: &[&str]) -> Map<String, Value> {
    let sent = |name: &&str| Some(((*name).to_owned(), params.get(name)?.into()));
    names.iter().filter_map(sent).collect()
}

fn dimensions(params: &Params, prefix: &str) -> Value {
    let listed = params.structures(prefix);
    listed.iter().map(|one| Value::Object(texts(one, &["Name", "Value"]))).collect()
}

/// An answer: lists have an element `member` for each of their entries.
pub(super) fn write(operation: &str, value: &Value, request_id: &str) -> String {
    let mut xml = Xml::new();
    xml.root(&format!("{operation}Response"), NAMESPACE, |xml| {
        element(xml, &format!("{operation}Result"), value);
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    });
    xml.finish()
}

fn element(xml: &mut Xml, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(map) => xml.element(name, |xml| {
            map.iter().for_each(|(key, member)| element(xml, key, member));
        }),
        Value::Array(list) => xml.element(name, |xml| {
            list.iter().for_each(|entry| element(xml, "member", entry));
        }),
        Value::String(text) => xml.text(name, text),
        other => xml.text(name, other),
    }
}
