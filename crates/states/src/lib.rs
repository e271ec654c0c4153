//! An interpreter of the Amazon States Language in JSONata mode, on a virtual clock.
//!
//! It runs the same definitions that AWS Step Functions runs, in a process and in virtual time,
//! and records the history that AWS would record. What Task states ask is done by a
//! [`TaskRunner`] of the caller.
//!
//! ```
//! use std::rc::Rc;
//!
//! use failback_states::{Clock, Definition, Engine, Status, TaskCall, TaskFuture};
//! use serde_json::json;
//!
//! # let mut builder = tokio::runtime::Builder::new_current_thread();
//! # let runtime = builder.enable_time().start_paused(true).build().unwrap();
//! # runtime.block_on(async {
//! let definition = Definition::load("nap", r#"{
//!     "QueryLanguage": "JSONata", "TimeoutSeconds": 7200, "StartAt": "Nap",
//!     "States": {"Nap": {"Type": "Wait", "Seconds": 3600, "End": true}}
//! }"#).unwrap();
//! let nothing = |_: TaskCall| -> TaskFuture<'static> { Box::pin(async { Ok(json!({})) }) };
//! let engine = Engine::new(Clock::new(0), Rc::new(nothing), 1);
//! let machine = "arn:aws:states:eu-west-1:111122223333:stateMachine:nap";
//! engine.create_state_machine(machine, definition);
//!
//! let arn = engine.start_execution(machine, Some("first"), json!({"a": 1})).unwrap();
//! let outcome = engine.wait(&arn).await;
//!
//! assert_eq!(outcome.status, Status::Succeeded);
//! assert_eq!(outcome.stopped_ms, Some(3_600_000));
//! # });
//! ```
//!
//! The same seed and the same definitions give the same history, byte for byte.
//!
//! # What is simpler than AWS
//!
//! - A nested execution that ends wakes its parent at once; AWS takes seconds to notice.
//! - Steps between waits take no time; AWS takes tens of milliseconds for each.
//! - There is no redrive: an execution that has ended is never resumed, and `RedriveCount` is
//!   always 0, in the context object and in descriptions. What a definition does when AWS
//!   redrives it, after 14 days at most and with the states that were entered and never exited,
//!   cannot be tried here; start again with the same input instead.
//! - There are no Express workflows, activities, distributed maps, versions or aliases.
//! - `$hash` knows no MD5.
//! - A state is aborted in the history only when a branch beside it failed, and a Map or Parallel
//!   that is tried again records its failure each time. AWS's own recordings show neither case.

mod attempt;
mod clock;
mod definition;
mod engine;
mod eval;
mod execution;
mod executor;
mod failure;
mod fields;
mod functions;
mod history;
mod lines;
mod load;
mod parts;
mod payload;
mod reads;
mod run;
mod task;
mod template;

pub use clock::Clock;
pub use definition::Definition;
pub use engine::{Engine, ExecutionArn, Observer, StartError};
pub use eval::{Evaluator, Facts, Jlens, Scope};
pub use execution::{Description, Outcome, Status};
pub use history::{Details, EventType, HistoryEvent};
pub use load::{LoadError, LoadOptions};
pub use task::{TaskCall, TaskError, TaskFuture, TaskRunner, TokenError};
