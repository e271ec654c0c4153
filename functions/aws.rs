//! SDK clients, one for each service and Region that a payload names, and one for what is not AWS.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::web;
pub use crate::web::connector as web_connector;

/// Route 53 is global; its API is signed for this Region.
/// Source: Route 53 endpoints and quotas, AWS General Reference.
const ROUTE_53_REGION: &str = "us-east-1";

/// Everything a function may use of AWS.
///
/// A client is always made for the Region a payload names, never for the function's own: the
/// function's Region is an accident of where the stack was deployed.
#[derive(Clone)]
pub struct Aws {
    shared: Arc<Shared>,
}

struct Shared {
    config: SdkConfig,
    stack: Stack,
    cloudwatch: Mutex<BTreeMap<String, aws_sdk_cloudwatch::Client>>,
    dynamodb: Mutex<BTreeMap<String, aws_sdk_dynamodb::Client>>,
    ec2: Mutex<BTreeMap<String, aws_sdk_ec2::Client>>,
    rds: Mutex<BTreeMap<String, aws_sdk_rds::Client>>,
    rdsdata: Mutex<BTreeMap<String, aws_sdk_rdsdata::Client>>,
    route53: Mutex<BTreeMap<String, aws_sdk_route53::Client>>,
    secretsmanager: Mutex<BTreeMap<String, aws_sdk_secretsmanager::Client>>,
    sfn: Mutex<BTreeMap<String, aws_sdk_sfn::Client>>,
    sns: Mutex<BTreeMap<String, aws_sdk_sns::Client>>,
    /// Made when it is first used: it reads all certificates that the system trusts.
    web: OnceLock<SharedHttpConnector>,
}

/// What the stack tells its functions in their environment variables.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// `FAILBACK_REQUEST`: the environment's request as JSON text, which an execution's input
    /// overrides field by field.
    pub environment_request: Option<String>,
    /// `FAILBACK_DRY_RUN`: `true` or `false` in place of what the environment's request says. An
    /// execution's input still overrides it.
    pub dry_run: Option<String>,
    /// `FAILBACK_TABLE_ARN`: the DynamoDB table of locks, approvals and what runs must remember.
    pub table_arn: Option<String>,
    /// `FAILBACK_TOPIC_ARN`: the SNS topic that asks people.
    pub topic_arn: Option<String>,
    /// `FAILBACK_AWAIT_MACHINE_ARN`: the state machine that awaits home's recovery.
    pub await_machine_arn: Option<String>,
    /// `FAILBACK_EVENT_APPROVALS` is `as-requested`: a run that an event starts asks what the request
    /// wants asked. Whatever else it says, such a run asks before each step that cannot be undone.
    pub events_as_requested: bool,
}

impl Stack {
    /// Reads the environment; a variable that is empty counts as absent.
    pub fn from_env() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
        Self {
            environment_request: variable("FAILBACK_REQUEST"),
            dry_run: variable("FAILBACK_DRY_RUN"),
            table_arn: variable("FAILBACK_TABLE_ARN"),
            topic_arn: variable("FAILBACK_TOPIC_ARN"),
            await_machine_arn: variable("FAILBACK_AWAIT_MACHINE_ARN"),
            events_as_requested: variable("FAILBACK_EVENT_APPROVALS").as_deref()
                == Some("as-requested"),
        }
    }
}

macro_rules! client {
    ($(#[$doc:meta])* $name:ident, $sdk:ident) => {
        $(#[$doc])*
        pub fn $name(&self, region: &str) -> $sdk::Client {
            let mut clients = self.shared.$name.lock().unwrap_or_else(PoisonError::into_inner);
            let make = || {
                let config = $sdk::config::Builder::from(&self.shared.config)
                    .region(Region::new(region.to_owned()))
                    .build();
                $sdk::Client::from_conf(config)
            };
            clients.entry(region.to_owned()).or_insert_with(make).clone()
        }
    };
}

impl Aws {
    /// Clients on this configuration, for functions of this stack.
    pub fn new(config: SdkConfig, stack: Stack) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                stack,
                cloudwatch: Mutex::default(),
                dynamodb: Mutex::default(),
                ec2: Mutex::default(),
                rds: Mutex::default(),
                rdsdata: Mutex::default(),
                route53: Mutex::default(),
                secretsmanager: Mutex::default(),
                sfn: Mutex::default(),
                sns: Mutex::default(),
                web: OnceLock::new(),
            }),
        }
    }

    /// The same, with another way to what is not AWS. Without effect once that was used.
    #[must_use]
    pub fn with_web(self, connector: SharedHttpConnector) -> Self {
        // Who comes second finds the first one's.
        let _first_wins = self.shared.web.set(connector);
        self
    }

    /// Clients as a Lambda function has them: credentials, endpoints and [`Stack`] from the
    /// environment. Every call is bounded well below the function's time-out, so that a Region that
    /// does not answer is reported by name and not by a killed function.
    ///
    /// Lambda hands credentials over in environment variables and in no other way. To look where
    /// else there might be some, the SDK would make a client of STS at every start.
    /// Source: Lambda Developer Guide, "Defined runtime environment variables".
    pub async fn from_env() -> Self {
        // Goes through all certificates that the system trusts, half of a start; the Runtime API can
        // be asked for the event meanwhile. One for all clients: each would make its own.
        let certificates = std::thread::spawn(web::to_aws);
        let connector = LazyLock::new(move || certificates.join().expect("it does not panic"));
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(8))
            .operation_timeout(Duration::from_secs(20))
            .build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .credentials_provider(EnvironmentVariableCredentialsProvider::new())
            .region(EnvironmentVariableRegionProvider::new())
            .http_client(http_client_fn(move |_, _| LazyLock::force(&connector).clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(timeouts)
            .load()
            .await;
        Self::new(config, Stack::from_env())
    }

    client! {
        /// RDS in a Region.
        rds, aws_sdk_rds
    }
    client! {
        /// EC2 in a Region.
        ec2, aws_sdk_ec2
    }
    client! {
        /// CloudWatch in a Region.
        cloudwatch, aws_sdk_cloudwatch
    }
    client! {
        /// DynamoDB in a Region.
        dynamodb, aws_sdk_dynamodb
    }
    client! {
        /// The Data API of RDS in a Region.
        rdsdata, aws_sdk_rdsdata
    }
    client! {
        /// Secrets Manager in a Region.
        secretsmanager, aws_sdk_secretsmanager
    }
    client! {
        /// Step Functions in a Region.
        sfn, aws_sdk_sfn
    }
    client! {
        /// SNS in a Region.
        sns, aws_sdk_sns
    }
    client! {
        /// Route 53, signed for a Region; [`Aws::dns`] knows which.
        route53, aws_sdk_route53
    }

    /// Route 53.
    pub fn dns(&self) -> aws_sdk_route53::Client {
        self.route53(ROUTE_53_REGION)
    }

    /// The way to what is not AWS.
    pub(crate) fn web(&self) -> SharedHttpConnector {
        self.shared.web.get_or_init(web::connector).clone()
    }

    /// What the stack says.
    pub fn stack(&self) -> &Stack {
        &self.shared.stack
    }
}

/// The Region of an ARN; empty of one without.
pub(crate) fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_the_fourth_part_of_an_arn() {
        assert_eq!(region_of("arn:aws:states:us-west-2:1:execution:failback:run-7"), "us-west-2");
        assert_eq!(region_of("arn:aws:rds::1:global-cluster:g"), "");
    }
}
