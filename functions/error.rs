//! Every way a function can fail, and what the state machine does about it.

use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use lambda_runtime::Diagnostic;
use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

/// The SDK's error, boxed so that one type serves all operations.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why an action did not happen. The variant's name is the error name that `Retry` and `Catch`
/// match on: renaming one changes the state machines.
#[derive(Debug, thiserror::Error, EnumDiscriminants)]
#[strum_discriminants(
    name(ErrorName),
    derive(IntoStaticStr, EnumIter, Hash, PartialOrd, Ord),
    doc = "Names of [`FailbackError`]."
)]
pub enum FailbackError {
    /// AWS throttled, failed or dropped the call. Whether it changed anything is not known; the
    /// function looks again before it acts again.
    #[error("AWS did not answer {call}; it is not known whether anything changed")]
    AwsUnavailable {
        /// The API operation.
        call: &'static str,
        /// What the SDK said.
        source: Source,
    },
    /// Another change to the same resource is in flight.
    #[error("AWS is busy and did not begin {call} ({code}: {message})")]
    AwsBusy {
        /// The API operation.
        call: &'static str,
        /// The error code on the wire.
        code: String,
        /// AWS's own words.
        message: String,
    },
    /// AWS answered that the call may not be made: a missing permission or a wrong name.
    #[error("AWS rejected {call} ({code}: {message}). It changed nothing")]
    AwsRejected {
        /// The API operation.
        call: &'static str,
        /// The error code on the wire.
        code: String,
        /// AWS's own words.
        message: String,
    },
    /// AWS answered, but without something a decision needs. Missing data is never good news.
    #[error("AWS answered {call} without {what}. Nothing was changed")]
    AwsAnswerUnreadable {
        /// The API operation.
        call: &'static str,
        /// What is missing.
        what: String,
    },
    /// The input cannot be acted on.
    #[error(transparent)]
    InvalidRequest(#[from] failback_plan::InvalidRequest),
    /// The topology must not be touched.
    #[error("the failback was refused before anything was changed: {0}")]
    PlanRefused(#[from] failback_plan::Refusal),
    /// A thing is not what the plan was made for.
    #[error("the world is not as planned: {0}")]
    TargetChanged(#[from] failback_plan::steps::NotAsPlanned),
    /// A change met another cluster than the one that was looked at: RDS knows clusters by their names,
    /// and a description may be older than the moment at which a name was moved.
    #[error(
        "{call} met {found}, which is not the cluster that was looked at: it had just been given the \
         name `{cluster}` in {region}. {effect}"
    )]
    AnotherClusterMet {
        /// The API operation.
        call: &'static str,
        /// `DbClusterResourceId` of the cluster that was changed.
        found: String,
        /// The name.
        cluster: String,
        /// Its Region.
        region: String,
        /// What was done to it, and what is to be done now.
        effect: String,
    },
    /// The fence must stay.
    #[error(
        "the fence was not lifted, because the promotion of home has begun: {reason}. Away must not \
         take writes again"
    )]
    PromotionBegun {
        /// How it was recognized.
        reason: String,
    },
    /// The stack does not tell its functions what they need.
    #[error(
        "the stack does not say where its {variable} is. Nothing was changed. Deploy the stack as \
         template.yaml describes it"
    )]
    StackIncomplete {
        /// The environment variable.
        variable: &'static str,
    },
    /// Another execution works on the same global database.
    #[error(
        "the failback of {database} is in the hands of {owner}. This run changed nothing. Let that \
         one end, or stop it, and start again"
    )]
    AnotherRunInProgress {
        /// The global database.
        database: String,
        /// ARN of the execution that holds the lock.
        owner: String,
    },
    /// The world changed between the plan and its first step.
    #[error("the world has changed since the plan was made: {differences}. Nothing was changed")]
    TopologyDrifted {
        /// Each thing, as it was and as it is.
        differences: String,
    },
    /// An answer to a question that nobody asked, or that is no longer open.
    #[error("{problem}. The answer had no effect")]
    ApprovalNotOpen {
        /// What is wrong.
        problem: String,
    },
    /// `_HANDLER` or a test named a function that does not exist.
    #[error("no function is named `{name}`")]
    NoSuchFunction {
        /// The name.
        name: String,
    },
}

/// What the state machine does with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// `Retry`: the same call may succeed.
    Transient,
    /// `Catch`: stop, leave everything as it is, tell a person.
    Refused,
}

impl ErrorName {
    /// Which class the error belongs to. The definitions are held to it by a test.
    pub fn class(self) -> ErrorClass {
        match self {
            Self::AwsUnavailable | Self::AwsBusy => ErrorClass::Transient,
            Self::AwsRejected
            | Self::AwsAnswerUnreadable
            | Self::InvalidRequest
            | Self::PlanRefused
            | Self::TargetChanged
            | Self::AnotherClusterMet
            | Self::PromotionBegun
            | Self::StackIncomplete
            | Self::AnotherRunInProgress
            | Self::TopologyDrifted
            | Self::ApprovalNotOpen
            | Self::NoSuchFunction => ErrorClass::Refused,
        }
    }
}

impl FailbackError {
    /// The error to report of several: one that may pass, so that all is tried once more, before one
    /// that will not; none of none.
    pub fn worst(mut errors: Vec<Self>) -> Option<Self> {
        let transient =
            errors.iter().position(|error| ErrorName::from(error).class() == ErrorClass::Transient);
        let first = transient.or((!errors.is_empty()).then_some(0))?;
        Some(errors.swap_remove(first))
    }

    /// The name the state machine sees.
    pub fn name(&self) -> &'static str {
        ErrorName::from(self).into()
    }

    /// The message with all its causes, none repeated.
    pub fn message(&self) -> String {
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        message
    }
}

impl From<FailbackError> for Diagnostic {
    fn from(error: FailbackError) -> Self {
        Self { error_type: error.name().to_owned(), error_message: error.message() }
    }
}

/// Codes by which AWS says that a resource is in the middle of something else.
/// Source: RDS, EC2 and Route 53 API references, "Errors".
const BUSY: [&str; 5] = [
    "InvalidDBClusterStateFault",
    "InvalidGlobalClusterStateFault",
    "InvalidDBInstanceState",
    "InvalidDBInstanceStateFault",
    "PriorRequestNotComplete",
];

/// Codes by which AWS asks for the same call again.
const AGAIN: [&str; 14] = [
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerErrorException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ServiceUnavailableError",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "Unavailable",
];

/// Sorts an SDK error by whether the same call may yet succeed. Codes are compared as they are on
/// the wire: the SDK's type names differ from them.
pub fn classify<E>(
    call: &'static str,
    error: aws_sdk_rds::error::SdkError<E, aws_sdk_rds::config::http::HttpResponse>,
) -> FailbackError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    use aws_sdk_rds::error::SdkError;

    let SdkError::ServiceError(answer) = &error else {
        let source = error.into_source().unwrap_or_else(|e| Box::new(e));
        return FailbackError::AwsUnavailable { call, source };
    };
    let code = answer.err().code().unwrap_or_default().to_owned();
    let message = answer.err().message().unwrap_or_default().to_owned();
    if AGAIN.contains(&code.as_str()) || answer.raw().status().is_server_error() {
        let source = error.into_source().unwrap_or_else(|e| Box::new(e));
        return FailbackError::AwsUnavailable { call, source };
    }
    if BUSY.contains(&code.as_str()) {
        FailbackError::AwsBusy { call, code, message }
    } else {
        FailbackError::AwsRejected { call, code, message }
    }
}
