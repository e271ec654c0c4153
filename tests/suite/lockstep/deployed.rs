//! What the template deploys is what definitions, functions and environments name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::definition::machines;
use super::source::{self, pascal};
use super::{BY_EVENT, BY_HAND, resource_of, template};

/// Permissions that AWS asks for along with a function's calls: to pass roles and keys on, to tag,
/// to take the final snapshot, to read the secret that the Data API logs in with, to use the key of a
/// secret. Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon
/// RDS", "… for Amazon RDS Data API" and "… for AWS Secrets Manager", dependent actions.
const ALONG_WITH_CALLS: [(&str, &[&str]); 10] = [
    ("create_cluster", &["rds:AddTagsToResource", PASS_ROLE, KMS[0], KMS[1], KMS[2], KMS[3]]),
    ("create_instances", &["rds:AddTagsToResource", PASS_ROLE, KMS[0], KMS[1], KMS[2], KMS[3]]),
    ("configure_cluster", &["rds:ModifyDBInstance", PASS_ROLE, KMS[0], KMS[1], KMS[2], KMS[3]]),
    ("delete_cluster", &["rds:CreateDBClusterSnapshot", "rds:AddTagsToResource"]),
    ("check_replication", &["secretsmanager:GetSecretValue"]),
    ("plan_failback", &[KMS[1]]),
    ("check_drift", &[KMS[1]]),
    ("cut_over_secret", &[KMS[1], KMS[3]]),
    ("cut_over_superset", &[KMS[1]]),
    ("remove_superset_source", &[KMS[1]]),
];
const PASS_ROLE: &str = "iam:PassRole";
const KMS: [&str; 4] = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"];

#[test]
fn template_deploys_every_machine_with_exactly_what_it_names() {
    let deployed = template::resources("AWS::Serverless::StateMachine");
    let machines = machines();
    let ids: BTreeSet<String> = machines.iter().map(|m| resource_of(m) + "StateMachine").collect();
    assert_eq!(ids, deployed.keys().cloned().collect(), "definitions and the template's machines");

    for machine in &machines {
        let resource = &deployed[&(resource_of(machine) + "StateMachine")];
        let properties = &resource["Properties"];
        let uri = format!("statemachine/{}.asl.json", machine.name);
        assert_eq!(properties["DefinitionUri"], uri, "{}", machine.name);

        let substitutions = properties["DefinitionSubstitutions"].as_object().expect("a mapping");
        let names: BTreeSet<String> = substitutions.keys().cloned().collect();
        assert_eq!(machine.placeholders(), names, "{}: substitutions", machine.name);

        let started = machine.children().into_iter().filter_map(|(_, task)| {
            let arn = task["Arguments"]["StateMachineArn"].as_str()?;
            Some(arn.strip_prefix("${")?.strip_suffix("Arn}")?.to_owned())
        });
        let children: BTreeSet<String> = started.collect();
        let mut functions = BTreeSet::new();
        for (name, value) in substitutions {
            if let Some(function) = name.strip_suffix("FunctionArn") {
                let attribute = format!("{function}Function.Arn");
                assert_eq!(value["!GetAtt"], attribute, "{}: {name}", machine.name);
                functions.insert(attribute);
            } else {
                let child = name.strip_suffix("Arn").expect("an ARN").to_owned();
                assert_eq!(value["!Ref"], child, "{}: {name}", machine.name);
            }
        }
        let allowed = |action| -> BTreeSet<String> {
            template::allowed_on(resource, action).into_iter().map(str::to_owned).collect()
        };
        // Its ARN is told to the person who is asked; no machine invokes it.
        functions.remove(&format!("{}Function.Arn", pascal(BY_HAND)));
        assert_eq!(allowed("lambda:InvokeFunction"), functions, "{}: may invoke", machine.name);
        assert_eq!(allowed("states:StartExecution"), children, "{}: may start", machine.name);
    }
}

/// An event that is lost is a failback that nobody starts.
#[test]
fn every_rule_tries_again_and_keeps_what_it_could_not_deliver() {
    let rules = template::resources("AWS::Events::Rule");
    let functions = template::resources("AWS::Serverless::Function");
    let function = &functions[&(pascal(BY_EVENT) + "Function")]["Properties"];
    let queue =
        function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Destination"]["!GetAtt"]
            .as_str()
            .expect("what the function fails of is kept");
    let policies = template::resources("AWS::SQS::QueuePolicy");
    let policy = policies.values().next().expect("EventBridge may write to the queue");
    let statement = &policy["Properties"]["PolicyDocument"]["Statement"][0];
    let permissions = template::resources("AWS::Lambda::Permission");
    let (mut senders, mut invokers) = (BTreeSet::new(), BTreeSet::new());
    for (id, rule) in &rules {
        let targets = rule["Properties"]["Targets"].as_array().expect("targets");
        for target in targets {
            assert_eq!(target["Arn"]["!GetAtt"], pascal(BY_EVENT) + "Function.Arn", "{id}");
            assert_eq!(target["DeadLetterConfig"]["Arn"]["!GetAtt"], queue, "{id}");
            for limit in ["MaximumEventAgeInSeconds", "MaximumRetryAttempts"] {
                assert!(target["RetryPolicy"][limit].as_u64() > Some(0), "{id}: {limit}");
            }
        }
        senders.insert(format!("{id}.Arn"));
    }
    assert_eq!(rules.len(), 2, "AWS Health and alarms");
    for permission in permissions.values() {
        let properties = &permission["Properties"];
        assert_eq!(properties["FunctionName"]["!Ref"], pascal(BY_EVENT) + "Function");
        invokers.extend(properties["SourceArn"]["!GetAtt"].as_str().map(str::to_owned));
    }
    assert_eq!(invokers, senders, "rules that may invoke the function");
    let allowed = statement["Condition"]["ArnEquals"]["aws:SourceArn"].as_array();
    let allowed = allowed.into_iter().flatten().filter_map(|arn| arn["!GetAtt"].as_str());
    assert_eq!(allowed.map(str::to_owned).collect::<BTreeSet<_>>(), senders, "may send");
    let alarms = template::load("infra/watch.yaml");
    let dimension = &alarms["Resources"]["EventsUnheard"]["Properties"]["Dimensions"][0]["Value"];
    assert_eq!(dimension["!Ref"], "UnheardEventsName", "somebody is told");
}

#[test]
fn every_role_allows_exactly_the_calls_of_its_functions_header() {
    let along_with = BTreeMap::from(ALONG_WITH_CALLS);
    for (id, resource) in template::resources("AWS::Serverless::Function") {
        let function = resource["Properties"]["Handler"].as_str().expect("a handler");
        let mut wanted = source::calls(function);
        // An application lets its own logins in, and no role.
        wanted.retain(|call| !call.starts_with("superset:"));
        let more = along_with.get(function).copied().unwrap_or_default();
        wanted.extend(more.iter().map(|action| (*action).to_owned()));
        assert_eq!(wanted, template::allowed(&resource), "{id}: header (left) and role (right)");
    }
}

#[test]
fn request_of_every_environment_is_readable_and_prod_only_plans() {
    let samconfig = source::read("samconfig.toml");
    let environments = source::files("infra/environments", ".yaml");
    assert!(environments.contains("prod"), "{environments:?}");
    for environment in environments {
        let parameters = template::load(&format!("infra/environments/{environment}.yaml"));
        let text = parameters["Request"].as_str().expect("a request");
        let request: Value = serde_json::from_str(text).expect("the request is JSON");
        let request = failback_plan::Request::parse(&request).expect("the request is accepted");
        assert_eq!(parameters["HomeRegion"], request.home.region, "{environment}");
        assert_eq!(parameters["AwayRegion"], request.away.region, "{environment}");
        let dry_run = parameters["DryRun"].as_str().map_or(request.dry_run, |text| text == "true");
        assert_eq!(dry_run, environment == "prod", "{environment}");
        for command in ["build", "deploy"] {
            let section = format!("[{environment}.{command}.parameters]");
            let (_, rest) = samconfig.split_once(&section).unwrap_or_else(|| panic!("{section}"));
            let section_text = rest.split("\n[").next().unwrap_or_default();
            let file = format!("file://infra/environments/{environment}.yaml");
            assert!(section_text.contains(&file), "{section} does not name {file}");
        }
    }
}
