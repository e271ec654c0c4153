//! What can go wrong on purpose: a closed list of verbs.

use serde::{Deserialize, Serialize};

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// The service says `Throttling`, in its own words; nothing is done.
    Throttle,
    /// The service says `InternalFailure`, in its own words; nothing is done.
    InternalError,
    /// The call is never carried out: the connection breaks first.
    LoseRequest,
    /// The call is carried out and the connection breaks before the answer arrives.
    LoseReply,
    /// A read is answered with what was true a while ago.
    StaleRead {
        /// How long ago, in milliseconds.
        age_ms: i64,
    },
    /// The call is accepted, and what it began never ends.
    Stuck,
    /// The call is accepted, and what it began takes longer.
    Slow {
        /// How many times longer.
        factor: f64,
    },
    /// The call is accepted, and the object ends in a terminal status.
    Fail {
        /// `failed`, `incompatible-network`, `insufficient-capacity`, …
        status: String,
    },
    /// The call is accepted, and the instance ends in a status that clears by itself.
    FailForAWhile {
        /// `insufficient-capacity`.
        status: String,
        /// For how long, in milliseconds.
        for_ms: i64,
    },
    /// The cluster of the call begins to back up just before the call is carried out.
    BackUpFirst,
    /// The service refuses with this code.
    Refuse {
        /// The wire code.
        code: String,
        /// The message.
        message: String,
    },
}

/// A verb and the calls it meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub verb: Verb,
    /// `rds`, `rds-data`, `ec2`, `route53`, `cloudwatch`, `dynamodb`, `sns`, `states`,
    /// `superset`; any when absent.
    #[serde(default)]
    pub service: Option<String>,
    /// The operation; any when absent.
    #[serde(default)]
    pub operation: Option<String>,
    /// The Region; any when absent.
    #[serde(default)]
    pub region: Option<String>,
    /// How many matching calls pass first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls are met.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that meets the next call of one operation.
    #[must_use]
    pub fn next(verb: Verb, operation: &str) -> Self {
        let operation = Some(operation.to_owned());
        Self { verb, service: None, operation, region: None, skip: 0, times: 1 }
    }

    /// The same fault, after `skip` matching calls have passed.
    #[must_use]
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// The same fault, for `times` calls.
    #[must_use]
    pub fn repeated(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn matches(&self, service: &str, operation: &str, region: &str) -> bool {
        let fits = |wanted: &Option<String>, given: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == given)
        };
        fits(&self.service, service)
            && fits(&self.operation, operation)
            && fits(&self.region, region)
    }
}

/// A fault that met a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Struck {
    /// What happened to the call.
    pub verb: Verb,
    /// The operation it met.
    pub operation: String,
    /// The Region of the call.
    pub region: String,
    /// It was armed for all operations of a Region or a service, and not for this one.
    pub wide: bool,
}

/// The faults that are armed, and those that struck.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    armed: Vec<Fault>,
    struck: Vec<Struck>,
}

impl Faults {
    /// Arms a fault.
    pub fn arm(&mut self, fault: Fault) {
        self.armed.push(fault);
    }

    /// Withdraws the faults that are not to be kept.
    pub fn retain(&mut self, keep: impl FnMut(&Fault) -> bool) {
        self.armed.retain(keep);
    }

    /// What struck so far, in its order.
    #[must_use]
    pub fn struck(&self) -> &[Struck] {
        &self.struck
    }

    /// The verb that meets this call, if one does. Every matching fault counts the call.
    pub fn meet(&mut self, service: &str, operation: &str, region: &str) -> Option<Verb> {
        let mut met = None;
        for fault in self.armed.iter_mut().filter(|f| f.matches(service, operation, region)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 && met.is_none() {
                fault.times -= 1;
                met = Some((fault.verb.clone(), fault.operation.is_none()));
            }
        }
        let (verb, wide) = met?;
        self.armed.retain(|fault| fault.times > 0);
        self.struck.push(Struck {
            verb: verb.clone(),
            operation: operation.to_owned(),
            region: region.to_owned(),
            wide,
        });
        Some(verb)
    }
}
