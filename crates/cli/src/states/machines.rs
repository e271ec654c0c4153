//! State machines: created, described, listed.

use failback_states::Definition;
use serde_json::{Value, json};

use super::error::{ApiError, quoted};
use super::fields::page;
use super::{Answer, Call, StepFunctions, seconds};

/// The role that machines of this repository show: machines here need none.
const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/failback-states";

/// More machines than this are refused, so that the server's memory has a bound.
const MACHINES_MAX: usize = 1_000;
/// AWS's bound on a definition, in bytes.
const DEFINITION_BYTES_MAX: usize = 1024 * 1024;
/// AWS's bound on a name, in characters.
const NAME_CHARS_MAX: usize = 80;

/// A machine as it was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    name: String,
    definition: String,
    role_arn: String,
    created_ms: i64,
}

impl StepFunctions {
    /// Makes a machine known that is there from the start.
    pub fn install(&self, arn: &str, definition: Definition) {
        let machine = Machine {
            name: definition.name().to_owned(),
            definition: format!("{:#}", definition.source()),
            role_arn: ROLE_ARN.to_owned(),
            created_ms: self.clock.now_ms(),
        };
        self.machines.borrow_mut().insert(arn.to_owned(), machine);
        self.engine.create_state_machine(arn, definition);
    }

    pub(super) fn create_state_machine(&self, call: &Call<'_>) -> Answer {
        let fields = &call.fields;
        let (name, text) = (fields.text("name")?, fields.text("definition")?);
        let role_arn = fields.text("roleArn")?;
        check_name(name)?;
        if !role_arn.starts_with("arn:") {
            return Err(ApiError::invalid_arn("Invalid ARN prefix", role_arn));
        }
        if !matches!(fields.maybe_text("type")?, None | Some("STANDARD")) {
            let message = "State Machine Type is not supported: only STANDARD is served";
            return Err(ApiError::of_states("StateMachineTypeNotSupported", message));
        }
        let arn = format!("arn:aws:states:{}:{}:stateMachine:{name}", call.region, self.account);
        if let Some(known) = self.machines.borrow().get(&arn) {
            if known.definition != text || known.role_arn != role_arn {
                let message = format!("State Machine Already Exists: '{arn}'");
                return Err(ApiError::of_states("StateMachineAlreadyExists", message));
            }
            return Ok(created(&arn, known));
        }
        if self.machines.borrow().len() >= MACHINES_MAX {
            let message = format!("State Machine Limit Exceeded: '{MACHINES_MAX}'");
            return Err(ApiError::of_states("StateMachineLimitExceeded", message));
        }
        let definition = load(name, text)?;
        let machine = Machine {
            name: name.to_owned(),
            definition: text.to_owned(),
            role_arn: role_arn.to_owned(),
            created_ms: self.clock.now_ms(),
        };
        self.engine.create_state_machine(&arn, definition);
        let answer = created(&arn, &machine);
        self.machines.borrow_mut().insert(arn, machine);
        Ok(answer)
    }

    pub(super) fn describe_state_machine(&self, call: &Call<'_>) -> Answer {
        let arn = call.fields.machine_arn()?;
        let machines = self.machines.borrow();
        let machine = machines.get(arn).ok_or_else(|| ApiError::no_machine(arn))?;
        Ok(json!({
            "stateMachineArn": arn,
            "name": machine.name,
            "status": "ACTIVE",
            "definition": machine.definition,
            "roleArn": machine.role_arn,
            "type": "STANDARD",
            "creationDate": seconds(machine.created_ms),
            "loggingConfiguration": { "level": "OFF", "includeExecutionData": false },
            "tracingConfiguration": { "enabled": false },
        }))
    }

    /// The machines of the Region that was asked, by ARN.
    pub(super) fn list_state_machines(&self, call: &Call<'_>) -> Answer {
        let size = call.fields.page_size()?;
        let after = call.fields.maybe_text("nextToken")?;
        let machines = self.machines.borrow();
        if after.is_some_and(|arn| !machines.contains_key(arn)) {
            return Err(ApiError::invalid_token());
        }
        let here = format!("arn:aws:states:{}:", call.region);
        let left = machines
            .iter()
            .filter(|(arn, _)| arn.starts_with(&here))
            .filter(|(arn, _)| after.is_none_or(|after| arn.as_str() > after));
        let page = page(left, size);
        let listed: Vec<Value> = page
            .entries
            .iter()
            .map(|(arn, machine)| {
                json!({
                    "stateMachineArn": arn,
                    "name": machine.name,
                    "type": "STANDARD",
                    "creationDate": seconds(machine.created_ms),
                })
            })
            .collect();
        let mut answer = json!({ "stateMachines": listed });
        if let Some((last, _)) = page.entries.last().filter(|_| page.more) {
            answer["nextToken"] = Value::from(last.as_str());
        }
        Ok(answer)
    }
}

fn created(arn: &str, machine: &Machine) -> Value {
    json!({ "stateMachineArn": arn, "creationDate": seconds(machine.created_ms) })
}

fn load(name: &str, text: &str) -> Result<Definition, ApiError> {
    let refused = |problem: &str| {
        let message = format!("Invalid State Machine Definition: '{}'", quoted(problem));
        ApiError::of_states("InvalidDefinition", message)
    };
    if text.len() > DEFINITION_BYTES_MAX {
        return Err(refused("the definition is larger than 1 MiB"));
    }
    Definition::load(name, text).map_err(|e| refused(&e.to_string()))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    const REFUSED: &str = r##"<>{}[]?*"#%\^|~`$&,;:/"##;
    let allowed = |c: char| !c.is_control() && !c.is_whitespace() && !REFUSED.contains(c);
    let length_fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    if length_fits && name.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::of_states("InvalidName", format!("Invalid Name: '{}'", quoted(name))))
}
