//! The functions of the failback: one file is one Lambda function is the target of the `Task`
//! states named after it.
//!
//! Every function looks, decides with [`failback_plan`], makes at most one kind of change, and
//! answers. None of them waits: that is a `Wait` state's work.

pub mod aws;
pub mod dns;
pub mod error;
pub mod network;
pub mod observe;
mod reply;
mod settings;

use std::future::Future;
use std::pin::Pin;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use aws::Aws;
pub use error::{ErrorClass, ErrorName, FailbackError};

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Value, FailbackError>> + Send + 'a>>;

/// One Lambda function.
pub struct Function {
    /// Its name: the handler, the file, and in camel case the template's resource.
    pub name: &'static str,
    run: for<'a> fn(&'a Aws, Value) -> Answering<'a>,
}

macro_rules! functions {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*

        /// Every function there is. The template, the definitions and the binary are held to it.
        pub const FUNCTIONS: &[Function] = &[
            $(Function {
                name: stringify!($name),
                run: |aws, payload| Box::pin(async move {
                    let input = parse(stringify!($name), payload)?;
                    answer(stringify!($name), $name::$name(aws, input).await?)
                }),
            }),*
        ];
    };
}

functions! {
    check_deletion,
    check_detachment,
    check_dns,
    check_global_cluster,
    check_member,
    check_replication,
    configure_cluster,
    create_cluster,
    create_global_cluster,
    create_instances,
    cut_over_dns,
    delete_cluster,
    delete_global_cluster,
    delete_instances,
    detach_member,
    fence_writes,
    lift_fence,
    plan_failback,
    restore_network,
    set_deletion_protection,
    verify_topology,
    write_report,
}

/// Runs one function in this process, exactly as its Lambda would.
///
/// # Errors
/// [`FailbackError::NoSuchFunction`], and whatever the function refuses or could not do.
pub async fn call(name: &str, aws: &Aws, payload: Value) -> Result<Value, FailbackError> {
    let function = FUNCTIONS
        .iter()
        .find(|f| f.name == name)
        .ok_or_else(|| FailbackError::NoSuchFunction { name: name.to_owned() })?;
    (function.run)(aws, payload).await
}

/// A payload that does not fit is a defect of the definition: it must fail by a name of ours, not
/// by the runtime's, so it is read here and not by `lambda_runtime`.
fn parse<T: DeserializeOwned>(name: &str, payload: Value) -> Result<T, FailbackError> {
    serde_path_to_error::deserialize(payload).map_err(|e| {
        FailbackError::InvalidRequest(failback_plan::InvalidRequest {
            field: format!("{name}: {}", e.path()),
            problem: format!("cannot be read: {}", e.inner()),
        })
    })
}

fn answer<T: serde::Serialize>(name: &str, output: T) -> Result<Value, FailbackError> {
    let value = serde_json::to_value(output).map_err(|e| FailbackError::AwsAnswerUnreadable {
        call: "serialization of the answer",
        what: e.to_string(),
    })?;
    tracing::info!(function = name, answer = %value["detail"], state = %value["state"], "answered");
    Ok(value)
}
