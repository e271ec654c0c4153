//! The input's JSON Schema and the examples are what the code reads.

use failback_plan::Request;
use failback_plan::request::schema;
use serde_json::Value;

fn json(path: &str) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn schema_of_the_input_is_generated_from_the_code() {
    assert_eq!(
        json("statemachine/failback.schema.json"),
        schema(),
        "write it anew: cargo run --profile rehearse -p failback-cli -- schema \
         > statemachine/failback.schema.json"
    );
}

#[test]
fn every_example_is_a_request() {
    let examples = std::fs::read_dir("statemachine/examples").expect("the examples");
    let mut read = 0;
    for example in examples {
        let path = example.expect("an example").path();
        let path = path.to_str().expect("a name");
        Request::parse(&json(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        read += 1;
    }
    assert!(read > 0, "there are no examples");
}
