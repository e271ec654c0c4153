//! Calls that something beside this world answers: faults meet them and they are recorded as all
//! others are.

use super::calls::{Call, is_mutating, refusal, resource, service_name};
use super::{Outcome, World};
use crate::asked::asked;
use crate::fault::Verb;
use crate::wire::{Request, Response, error_response};

/// A call on its way to whoever answers it.
#[derive(Debug)]
pub(crate) struct Admitted {
    verb: Option<Verb>,
    operation: String,
    request_id: String,
}

impl Admitted {
    /// How far a fault lets the answer look back, in milliseconds; zero when none does.
    pub(crate) fn stale_ms(&self) -> i64 {
        match &self.verb {
            Some(Verb::StaleRead { age_ms }) if !is_mutating(&self.operation) => *age_ms,
            _ => 0,
        }
    }

    /// Whether the call is carried out at all.
    pub(crate) fn is_carried_out(&self, request: &Request) -> bool {
        !matches!(self.verb, Some(Verb::LoseRequest))
            && refusal(self.verb.as_ref(), &request.service).is_none()
    }
}

impl World {
    /// Lets faults meet a call before it is carried out.
    pub(crate) fn admit(&mut self, request: &Request) -> Admitted {
        self.requests += 1;
        let operation = request.operation();
        let verb = self.faults.meet(service_name(&request.service), &operation, &request.region);
        let verb = verb.or_else(|| self.throttled_by_chance());
        Admitted { verb, operation, request_id: self.request_id() }
    }

    /// Records a call and says what arrives of its answer.
    pub(crate) fn settle(
        &mut self,
        request: &Request,
        admitted: Admitted,
        answer: Option<Response>,
    ) -> Outcome {
        let Admitted { verb, operation, request_id } = admitted;
        let refused = refusal(verb.as_ref(), &request.service);
        let answer = match &refused {
            Some(error) => Some(error_response(&request.service, error, &request_id)),
            None => answer,
        };
        let code = answer.as_ref().and_then(error_code);
        let lost = matches!(verb, Some(Verb::LoseReply));
        let error = match (&answer, code) {
            (None, _) => Some("LostRequest".to_owned()),
            (Some(_), None) if lost => Some("LostReply".to_owned()),
            (Some(_), code) => code,
        };
        self.calls.push(Call {
            at_ms: self.now_ms,
            service: service_name(&request.service).to_owned(),
            region: request.region.clone(),
            mutating: is_mutating(&operation),
            resource: resource(request),
            operation,
            error,
            asked: asked(self, request).into(),
        });
        match answer.filter(|_| !lost) {
            Some(mut answer) => {
                answer.headers.push(("x-amzn-requestid".to_owned(), request_id));
                Outcome::Answered(answer)
            }
            None => Outcome::ConnectionBroken,
        }
    }
}

/// The code of an error in awsJson.
fn error_code(answer: &Response) -> Option<String> {
    if answer.status < 400 {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let kind = body["__type"].as_str().unwrap_or_default();
    Some(kind.rsplit('#').next().unwrap_or_default().to_owned())
}
