//! What a call asks of IAM: an action on each resource that it names, with the condition keys that
//! go with it, and what AWS demands along with it.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys" of each
//! service: resource types, condition keys and dependent actions.

mod rds;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::network::named::Named;
use crate::wire::{Request, json};
use crate::world::World;

/// One action on one resource. A call is allowed when all that it asks is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked {
    /// `rds:DeleteDBCluster`.
    pub action: String,
    /// An ARN; `*` where AWS knows no narrower one. Empty when this sandbox does not know what
    /// the call names: then nobody may be taken to be allowed it.
    pub resource: String,
    /// Values of condition keys.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Why AWS asks for it although the call has another name; empty for the call itself.
    pub because: &'static str,
}

impl Asked {
    fn new(action: &str, resource: impl Into<String>) -> Self {
        Self { action: action.to_owned(), resource: resource.into(), ..Self::default() }
    }

    fn key(mut self, name: &str, values: impl IntoIterator<Item = String>) -> Self {
        self.keys.insert(name.to_owned(), values.into_iter().collect());
        self
    }

    fn because(mut self, reason: &'static str) -> Self {
        self.because = reason;
        self
    }
}

/// What a call asks, of the world as it is before the call is carried out.
pub(crate) fn asked(world: &World, request: &Request) -> Vec<Asked> {
    let operation = request.operation();
    let service = crate::world::service_name(&request.service);
    let action = format!("{service}:{operation}");
    match service {
        "rds" => rds::asked(world, request, &operation),
        "ec2" => ec2(world, request, &operation),
        "route53" => vec![route53(request, &action)],
        "cloudwatch" => vec![Asked::new(&action, "*")],
        "sns" => vec![Asked::new(&action, request.params().get("TopicArn").unwrap_or_default())],
        _ => in_json(world, request, &action),
    }
}

fn ec2(world: &World, request: &Request, operation: &str) -> Vec<Asked> {
    let action = format!("ec2:{operation}");
    if operation.starts_with("Describe") {
        // No EC2 listing knows a resource.
        return vec![Asked::new(&action, "*")];
    }
    let arn = |kind: &str, id: &str| {
        format!("arn:aws:ec2:{}:{}:{kind}/{id}", request.region, world.account)
    };
    let named = world.network.named(&request.region, &request.params());
    if named.is_empty() {
        return vec![Asked::new(&action, "")];
    }
    let asked = |named: Named| {
        let asked = Asked::new(&action, arn(named.kind, &named.id));
        match named.vpc_id {
            Some(vpc) => asked.key("ec2:Vpc", [arn("vpc", &vpc)]),
            None => asked,
        }
    };
    named.into_iter().map(asked).collect()
}

fn route53(request: &Request, action: &str) -> Asked {
    let path = request.path.trim_start_matches("/2013-04-01/");
    let mut parts = path.split('/');
    let (kind, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if id.is_empty() {
        return Asked::new(action, "*");
    }
    let asked = Asked::new(action, format!("arn:aws:route53:::{kind}/{id}"));
    if !action.ends_with(":ChangeResourceRecordSets") {
        return asked;
    }
    let body = String::from_utf8_lossy(&request.body);
    let normal = |name: String| name.trim_end_matches('.').to_ascii_lowercase();
    let key = |name: &str| format!("route53:ChangeResourceRecordSets{name}");
    asked
        .key(&key("Actions"), elements(&body, "Action"))
        .key(&key("RecordTypes"), elements(&body, "Type"))
        .key(&key("NormalizedRecordNames"), elements(&body, "Name").into_iter().map(normal))
}

/// A secret's key is used by who reads or writes its value.
fn secret_asked(world: &World, request: &Request, action: &str, id: &str) -> Vec<Asked> {
    let (region, account) = (&request.region, &world.account);
    let known = world.secrets.identity(region, id);
    let unknown = || match id {
        id if id.starts_with("arn:") => id.to_owned(),
        name => crate::secret::arn(account, region, name),
    };
    let arn = known.map_or_else(unknown, |(arn, _)| arn.to_owned());
    let mut asked = vec![Asked::new(action, &arn)];
    let uses: &[&str] = match request.operation().as_str() {
        "GetSecretValue" => &["kms:Decrypt"],
        "PutSecretValue" => &["kms:Decrypt", "kms:GenerateDataKey"],
        _ => &[],
    };
    for (action, key) in uses.iter().zip(known.and_then(|(_, key)| key).into_iter().cycle()) {
        let along = Asked::new(action, key)
            .key("kms:ViaService", [format!("secretsmanager.{region}.amazonaws.com")])
            .key("kms:EncryptionContext:SecretARN", [arn.clone()]);
        asked.push(along.because("Secrets Manager uses the secret's key in its caller's name"));
    }
    asked
}

/// The texts of all elements of a name.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let behind = xml.split(open.as_str()).skip(1);
    behind.filter_map(|rest| Some(rest.split_once(close.as_str())?.0.to_owned())).collect()
}

/// The services whose requests are JSON: DynamoDB, Step Functions, the Data API, Secrets Manager.
fn in_json(world: &World, request: &Request, action: &str) -> Vec<Asked> {
    let members = json::read(&request.body).unwrap_or_default();
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let arn = |service: &str, rest: String| {
        format!("arn:aws:{service}:{}:{}:{rest}", request.region, world.account)
    };
    let whole = |service: &str, kind: &str, name: &str| match name {
        name if name.starts_with("arn:") => name.to_owned(),
        name => arn(service, format!("{kind}{name}")),
    };
    match request.service.as_str() {
        "dynamodb" => {
            let table = whole("dynamodb", "table/", text("TableName").unwrap_or_default());
            let key = ["Key", "Item"].iter().find_map(|n| members.get(*n)?["id"]["S"].as_str());
            let leading = key.map(str::to_owned);
            vec![Asked::new(action, table).key("dynamodb:LeadingKeys", leading)]
        }
        "states" => {
            // A token names the machine that waits for it; only the engine knows which.
            let waiting = text("taskToken").map(|_| arn("states", "stateMachine:*".to_owned()));
            let named = ["executionArn", "stateMachineArn"].iter().find_map(|name| text(name));
            vec![Asked::new(action, named.map(str::to_owned).or(waiting).unwrap_or_default())]
        }
        "rds-data" => {
            let mut asked = vec![Asked::new(action, text("resourceArn").unwrap_or_default())];
            if let Some(secret) = text("secretArn") {
                let read = Asked::new("secretsmanager:GetSecretValue", secret);
                asked.push(read.because("the Data API reads the secret in its caller's name"));
            }
            asked
        }
        "secretsmanager" => {
            let secret = text("SecretId").or(text("Name")).unwrap_or_default();
            secret_asked(world, request, action, secret)
        }
        _ => vec![Asked::new(action, "")],
    }
}
