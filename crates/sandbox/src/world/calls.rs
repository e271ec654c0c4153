//! Calls: how they are met by faults, carried out, answered and recorded.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Pace, World};
use crate::asked::{Asked, asked};
use crate::fault::Verb;
use crate::wire::{AwsError, Request, Response, error_response, json};
use crate::{data_api, dns, metrics, network, rds, secret, table, topic};

/// How many earlier states are kept for stale reads.
const HISTORY_LEN: usize = 256;

/// One call, as CloudTrail would have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When, in epoch milliseconds.
    pub at_ms: i64,
    /// `rds`, `rds-data`, `ec2`, `route53`, `cloudwatch`, `dynamodb`, `sns`, `secretsmanager`,
    /// `states` or `superset`.
    pub service: String,
    /// Region it was signed for.
    pub region: String,
    /// The operation.
    pub operation: String,
    /// True unless it only reads.
    pub mutating: bool,
    /// What it was about, as far as the request says.
    pub resource: String,
    /// The code it was refused with; `LostReply` and `LostRequest` when the connection broke.
    pub error: Option<String>,
    /// What it asks of IAM.
    #[serde(skip)]
    pub asked: Arc<[Asked]>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An answer, good or bad.
    Answered(Response),
    /// The connection broke before one arrived.
    ConnectionBroken,
}

impl World {
    /// Carries out a call.
    pub fn handle(&mut self, request: &Request) -> Outcome {
        self.requests += 1;
        let request_id = self.request_id();
        let operation = request.operation();
        let service = service_name(&request.service);
        let verb = self.faults.meet(service, &operation, &request.region);
        let verb = verb.or_else(|| self.throttled_by_chance());
        // Before the call: it may take away what it names.
        let asked = asked(self, request).into();
        let (result, error) = self.carry_out(request, &operation, verb.as_ref());
        self.calls.push(Call {
            at_ms: self.now_ms,
            service: service.to_owned(),
            region: request.region.clone(),
            mutating: is_mutating(&operation),
            resource: resource(request),
            operation,
            error,
            asked,
        });
        match result {
            Some(Ok(mut response)) => {
                let header = ("x-amzn-requestid".to_owned(), request_id);
                response.headers.push(header);
                Outcome::Answered(response)
            }
            Some(Err(error)) => {
                Outcome::Answered(error_response(&request.service, &error, &request_id))
            }
            None => Outcome::ConnectionBroken,
        }
    }

    /// The answer, if one arrives, and the error to record.
    fn carry_out(
        &mut self,
        request: &Request,
        operation: &str,
        verb: Option<&Verb>,
    ) -> (Option<Result<Response, AwsError>>, Option<String>) {
        if matches!(verb, Some(Verb::LoseRequest)) {
            return (None, Some("LostRequest".to_owned()));
        }
        if let Some(error) = refusal(verb, &request.service) {
            let code = error.code.clone();
            return (Some(Err(error)), Some(code));
        }
        let result = match verb {
            Some(Verb::StaleRead { age_ms }) if !is_mutating(operation) => {
                self.tables.look_back(*age_ms);
                self.secrets.look_back(*age_ms);
                let result = self.as_it_was(*age_ms, |world| world.dispatch(request));
                self.tables.look_back(0);
                self.secrets.look_back(0);
                result
            }
            _ => {
                if is_mutating(operation) && !keeps_its_own_history(&request.service) {
                    self.remember();
                }
                if matches!(verb, Some(Verb::BackUpFirst))
                    && let Some(id) = request.params().get("DBClusterIdentifier")
                {
                    self.back_up_now(&request.region, id);
                }
                self.pace = match verb {
                    Some(Verb::Stuck) => Pace::Stuck,
                    Some(Verb::Slow { factor }) => Pace::Slow(*factor),
                    Some(Verb::Fail { status }) => Pace::Fail(status.clone(), None),
                    Some(Verb::FailForAWhile { status, for_ms }) => {
                        Pace::Fail(status.clone(), Some(*for_ms))
                    }
                    _ => Pace::Normal,
                };
                let result = self.dispatch(request);
                self.pace = Pace::Normal;
                self.note_globals(Some(&request.region));
                result
            }
        };
        self.observe();
        let code = result.as_ref().err().map(|error| error.code.clone());
        if matches!(verb, Some(Verb::LoseReply)) {
            return (None, Some(code.unwrap_or_else(|| "LostReply".to_owned())));
        }
        (Some(result), code)
    }

    /// Some calls are throttled without any other reason than that they are many.
    pub(super) fn throttled_by_chance(&self) -> Option<Verb> {
        let number = i64::try_from(self.requests).unwrap_or_default();
        let chance = crate::rows::mix(self.seed, number) % 100;
        (chance < u64::from(self.behaviour.throttled_percent)).then_some(Verb::Throttle)
    }

    fn dispatch(&mut self, request: &Request) -> Result<Response, AwsError> {
        match request.service.as_str() {
            "rds" => rds::handle(self, request),
            "ec2" => network::handle(self, request),
            "route53" => dns::handle(self, request),
            "monitoring" => metrics::handle(self, request),
            "dynamodb" => table::handle(self, request),
            "rds-data" => data_api::handle(self, request),
            "sns" => topic::handle(self, request),
            "secretsmanager" => secret::handle(self, request),
            other => Err(AwsError::bad_request(
                "InvalidAction",
                format!("The service {other} is not part of this world"),
            )),
        }
    }

    /// The id of the call in hand, the same in every run.
    #[must_use]
    pub fn request_id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.requests)
    }

    /// Answers a read from an earlier state of RDS.
    fn as_it_was<T>(&mut self, age_ms: i64, read: impl FnOnce(&mut World) -> T) -> T {
        let then_ms = self.now_ms - age_ms;
        // A remembered state was replaced at its moment: the first one replaced after `then` is the
        // one that held at `then`.
        let earlier = self.history.iter().find(|(until_ms, _)| *until_ms > then_ms);
        let Some((_, earlier)) = earlier.cloned() else {
            return read(self);
        };
        let present = std::mem::replace(&mut self.rds, earlier);
        self.rereading = true;
        let answer = read(self);
        self.rereading = false;
        self.rds = present;
        answer
    }

    /// Keeps the state that is about to be replaced, for stale reads.
    pub(super) fn remember(&mut self) {
        self.history.push_back((self.now_ms, self.rds.clone()));
        if self.history.len() > HISTORY_LEN {
            self.history.pop_front();
        }
    }
}

/// What a call is refused with, if a fault says so.
pub(super) fn refusal(verb: Option<&Verb>, service: &str) -> Option<AwsError> {
    match verb {
        Some(Verb::Throttle) => Some(AwsError::throttled(service)),
        Some(Verb::InternalError) => Some(AwsError::internal(service)),
        Some(Verb::Refuse { code, message }) => Some(AwsError::bad_request(code, message)),
        _ => None,
    }
}

pub(crate) fn service_name(signing_name: &str) -> &str {
    if signing_name == "monitoring" { "cloudwatch" } else { signing_name }
}

pub(super) fn is_mutating(operation: &str) -> bool {
    !["Describe", "List", "Get", "Scan", "ExecuteStatement", "TestDNSAnswer"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

/// True of services whose calls change nothing that a stale read of RDS would see.
fn keeps_its_own_history(signing_name: &str) -> bool {
    matches!(signing_name, "dynamodb" | "sns" | "secretsmanager")
}

/// What a call is about: the first of the parameters that name a thing.
pub(super) fn resource(request: &Request) -> String {
    if request.service == "route53" {
        return request.path.trim_start_matches("/2013-04-01/").to_owned();
    }
    let in_json = ["dynamodb", "rds-data", "secretsmanager", "states"];
    if in_json.contains(&request.service.as_str()) {
        return json::resource(request);
    }
    let params = request.params();
    [
        "DBClusterSnapshotIdentifier",
        "DBClusterEndpointIdentifier",
        "DBInstanceIdentifier",
        "TargetDbClusterIdentifier",
        "DbClusterIdentifier",
        "DBClusterIdentifier",
        "GlobalClusterIdentifier",
        "ResourceName",
        "ResourceArn",
        "AssociationId",
        "NetworkAclId",
        "TopicArn",
    ]
    .iter()
    .find_map(|name| params.get(name))
    .unwrap_or_default()
    .to_owned()
}
