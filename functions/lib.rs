//! The functions of the failback: one file is one Lambda function is the target of the `Task`
//! states named after it.
//!
//! Every function looks, decides with [`failback_plan`], makes at most one kind of change, and
//! answers. None of them waits: that is a `Wait` state's work.

pub mod aws;
pub mod dns;
pub mod error;
mod fence;
mod guard;
mod lock;
pub mod network;
pub mod notice;
pub mod observe;
mod position;
mod register;
mod reply;
mod request;
mod secret;
mod settings;
mod start;
mod superset;
mod table;
pub mod web;

use std::future::Future;
use std::pin::Pin;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument;

pub use aws::{Aws, Stack};
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
                    answer($name::$name(aws, input).await?)
                }),
            }),*
        ];
    };
}

functions! {
    acquire_lock,
    answer_approval,
    check_deletion,
    check_detachment,
    check_dns,
    check_drift,
    check_global_cluster,
    check_lock,
    check_member,
    check_replication,
    check_switchover,
    configure_cluster,
    create_cluster,
    create_global_cluster,
    create_instances,
    cut_over_dns,
    cut_over_secret,
    cut_over_superset,
    delete_cluster,
    delete_global_cluster,
    delete_instances,
    detach_member,
    fence_writes,
    hear_event,
    lift_fence,
    lift_left_fence,
    plan_failback,
    release_lock,
    remember,
    remove_superset_source,
    request_approval,
    restart_instances,
    restore_network,
    set_deletion_protection,
    start_failback,
    switch_over,
    verify_topology,
    write_report,
}

/// Runs one function in this process, exactly as its Lambda would.
///
/// # Errors
/// [`FailbackError::NoSuchFunction`], and whatever the function refuses or could not do.
pub async fn call(name: &str, aws: &Aws, mut payload: Value) -> Result<Value, FailbackError> {
    let function = FUNCTIONS
        .iter()
        .find(|f| f.name == name)
        .ok_or_else(|| FailbackError::NoSuchFunction { name: name.to_owned() })?;
    // Who calls is for the log and nobody else: no function decides by it.
    let context = payload.as_object_mut().and_then(|fields| fields.remove(CONTEXT));
    let said = |field: &str| context.as_ref().and_then(|c| c[field].as_str()).unwrap_or_default();
    let span = tracing::info_span!(
        "invocation",
        function = name,
        execution = said("execution"),
        phase = said("state"),
    );
    let answer = (function.run)(aws, payload).instrument(span.clone()).await;
    span.in_scope(|| match &answer {
        Ok(value) => {
            let said = |field: &str| value[field].as_str().unwrap_or_default();
            tracing::info!(decision = said("state"), detail = said("detail"), "answered");
        }
        Err(error) => tracing::error!(decision = error.name(), detail = error.message(), "failed"),
    });
    answer
}

/// The field of a payload by which a state says which execution and which state it is.
pub const CONTEXT: &str = "context";

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

fn answer<T: serde::Serialize>(output: T) -> Result<Value, FailbackError> {
    serde_json::to_value(output).map_err(|e| FailbackError::AwsAnswerUnreadable {
        call: "serialization of the answer",
        what: e.to_string(),
    })
}
