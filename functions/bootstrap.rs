//! The Lambda entry point: `_HANDLER` names the function to serve.

use failback::{Aws, FUNCTIONS, FailbackError};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let handler = std::env::var("_HANDLER")?;
    // An unknown handler fails the first deployment test instead of the first disaster.
    if !FUNCTIONS.iter().any(|f| f.name == handler) {
        return Err(FailbackError::NoSuchFunction { name: handler }.into());
    }
    let aws = Aws::from_env().await;
    let (aws, handler) = (&aws, handler.as_str());
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        failback::call(handler, aws, event.payload).await
    }))
    .await
}
