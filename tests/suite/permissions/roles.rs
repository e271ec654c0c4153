//! The roles that the template gives functions and machines, with its references resolved.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::policy::Statement;
use crate::lockstep::template;

const ACCOUNT: &str = "123456789012";
/// The Region of the stack in the drill: away's.
const REGION: &str = "us-west-2";
pub const STACK: &str = "failback";

/// Statements by the handler's or the machine's name.
pub type Roles = BTreeMap<String, Vec<Statement>>;

/// The stack that the template makes of an environment's parameters.
pub struct Rendered {
    template: Value,
    parameters: Map<String, Value>,
}

impl Rendered {
    /// With the parameters of `infra/environments`, or their defaults.
    pub fn of(environment: &str) -> Self {
        let parameters = template::load(&format!("infra/environments/{environment}.yaml"));
        let parameters = parameters.as_object().expect("parameters").clone();
        Self { template: template::load("template.yaml"), parameters }
    }

    pub fn with(mut self, parameter: &str, value: &str) -> Self {
        self.parameters.insert(parameter.to_owned(), value.into());
        self
    }

    /// Of every function, by its handler.
    pub fn functions(&self) -> Roles {
        let functions = self.of_type("AWS::Serverless::Function");
        functions.map(|(id, resource)| (self.handler(id).to_owned(), self.role(resource))).collect()
    }

    /// Of every machine, by its name without the stack's.
    pub fn machines(&self) -> Roles {
        let machines = self.of_type("AWS::Serverless::StateMachine");
        let name = |resource: &Value| {
            let name = self.text(&resource["Properties"]["Name"]);
            name.strip_prefix(&format!("{STACK}-")).expect("named after the stack").to_owned()
        };
        machines.map(|(_, resource)| (name(resource), self.role(resource))).collect()
    }

    fn of_type(&self, kind: &'static str) -> impl Iterator<Item = (&str, &Value)> {
        let all = self.template["Resources"].as_object().expect("resources").iter();
        all.filter(move |(_, r)| r["Type"] == kind).map(|(id, resource)| (id.as_str(), resource))
    }

    fn handler(&self, id: &str) -> &str {
        let handler = self.template["Resources"][id]["Properties"]["Handler"].as_str();
        handler.unwrap_or_else(|| panic!("{id} is no function"))
    }

    fn role(&self, resource: &Value) -> Vec<Statement> {
        let policies = resource["Properties"]["Policies"].as_array().into_iter().flatten();
        let documents = policies.map(|policy| match policy["!Ref"].as_str() {
            Some(id) => &self.template["Resources"][id]["Properties"]["PolicyDocument"],
            None => policy,
        });
        let mut statements = Vec::new();
        for document in documents {
            let all = document["Statement"].as_array().expect("a policy has statements");
            for statement in all {
                let resolved = self.resolve(statement);
                let parsed = Statement::parse(&resolved);
                statements.push(parsed.unwrap_or_else(|e| panic!("{resolved}: {e}")));
            }
        }
        statements
    }

    fn text(&self, value: &Value) -> String {
        match self.resolve(value) {
            Value::String(text) => text,
            other => panic!("{other} is no text"),
        }
    }

    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            Value::Object(members) => {
                let mut all = members.iter();
                if let (Some((name, argument)), None) = (all.next(), all.next())
                    && let Some(function) = name.strip_prefix('!')
                {
                    let argument = argument.as_str().unwrap_or_else(|| panic!("{value}"));
                    return match function {
                        "Ref" => self.reference(argument),
                        "GetAtt" => self.attribute(argument),
                        "Sub" => self.substitute(argument),
                        other => panic!("!{other} in a policy is not known"),
                    }
                    .into();
                }
                members
                    .iter()
                    .map(|(k, v)| (k.clone(), self.resolve(v)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            other => other.clone(),
        }
    }

    fn substitute(&self, text: &str) -> String {
        let mut parts = text.split("${");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or_else(|| panic!("{text}"));
            out += &match name.contains('.') {
                true => self.attribute(name),
                false => self.reference(name),
            };
            out += rest;
        }
        out
    }

    fn reference(&self, name: &str) -> String {
        match name {
            "AWS::Partition" => return "aws".to_owned(),
            "AWS::Region" => return REGION.to_owned(),
            "AWS::AccountId" => return ACCOUNT.to_owned(),
            "AWS::StackName" => return STACK.to_owned(),
            "AWS::URLSuffix" => return "amazonaws.com".to_owned(),
            _ => {}
        }
        if let Some(parameter) = self.template["Parameters"].get(name) {
            let value = self.parameters.get(name).unwrap_or(&parameter["Default"]);
            return value.as_str().unwrap_or_else(|| panic!("{name} has no value")).to_owned();
        }
        // The Ref of a topic and of a machine is its ARN.
        self.attribute(&format!("{name}.Arn"))
    }

    fn attribute(&self, text: &str) -> String {
        let (id, attribute) = text.split_once('.').unwrap_or_else(|| panic!("{text}"));
        let resource = &self.template["Resources"][id];
        let arn =
            |service: &str, rest: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
        let machine = || self.text(&resource["Properties"]["Name"]);
        match (resource["Type"].as_str().unwrap_or_default(), attribute) {
            ("AWS::Serverless::Function", "Arn") => {
                arn("lambda", &format!("function:{}", self.handler(id)))
            }
            ("AWS::Serverless::StateMachine", "Name") => machine(),
            ("AWS::Serverless::StateMachine", "Arn") => {
                arn("states", &format!("stateMachine:{}", machine()))
            }
            ("AWS::DynamoDB::Table", "Arn") => arn("dynamodb", "table/failback"),
            ("AWS::SNS::Topic", "Arn" | "TopicArn") => arn("sns", "failback"),
            (kind, _) => panic!("{text} of {kind:?} in a policy is not known"),
        }
    }
}
