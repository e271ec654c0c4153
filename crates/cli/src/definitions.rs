//! The state machines of the repository, as they are deployed.

use std::collections::BTreeMap;

use failback::FUNCTIONS;
use failback_states::Definition;
use serde_json::Value;

/// Account, Region and partition in which the sandbox pretends that the stack is deployed.
const STACK: &str = "us-west-2:123456789012";

/// Every machine: its name and its definition. The first is the one an operator starts.
pub const MACHINES: [(&str, &str); 9] = [
    ("failback", include_str!("../../../statemachine/failback.asl.json")),
    ("bring-home", include_str!("../../../statemachine/bring-home.asl.json")),
    ("retire-cluster", include_str!("../../../statemachine/retire-cluster.asl.json")),
    ("rebuild-cluster", include_str!("../../../statemachine/rebuild-cluster.asl.json")),
    ("promote-home", include_str!("../../../statemachine/promote-home.asl.json")),
    ("switch-over", include_str!("../../../statemachine/switch-over.asl.json")),
    ("cut-over", include_str!("../../../statemachine/cut-over.asl.json")),
    ("cut-over-applications", include_str!("../../../statemachine/cut-over-applications.asl.json")),
    ("await-recovery", include_str!("../../../statemachine/await-recovery.asl.json")),
];

/// A definition of the repository that does not load: a defect of this build.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the state machine `{machine}` cannot be loaded: {problem}")]
pub struct BadDefinition {
    /// The machine.
    pub machine: String,
    /// What the loader says, with the state and the field.
    pub problem: String,
}

/// The ARN of a machine in the pretended stack.
pub fn machine_arn(name: &str) -> String {
    format!("arn:aws:states:{STACK}:stateMachine:{name}")
}

/// The ARN of a function in the pretended stack.
pub fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{STACK}:function:{name}")
}

/// The machine that its own ARN, or that of an execution of it, names.
pub fn machine_name(arn: &str) -> &str {
    arn.split(':').nth(6).unwrap_or(arn)
}

/// The function an ARN of [`function_arn`] names.
pub fn function_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// What the template puts in place of `${…}`: functions and machines by their camel-case names.
pub fn substitutions() -> BTreeMap<String, String> {
    let functions = FUNCTIONS
        .iter()
        .map(|f| (format!("{}FunctionArn", camel(f.name, '_')), function_arn(f.name)));
    let machines = MACHINES
        .iter()
        .map(|(name, _)| (format!("{}StateMachineArn", camel(name, '-')), machine_arn(name)));
    functions.chain(machines).collect()
}

/// All machines, loaded and checked: once by each thread, for they are part of the binary.
///
/// # Errors
/// The first that the interpreter refuses.
pub fn load() -> Result<Vec<(String, Definition)>, BadDefinition> {
    thread_local! {
        static LOADED: Result<Vec<(String, Definition)>, BadDefinition> = {
            let all = substitutions();
            MACHINES.iter().map(|(name, text)| load_one(name, text, &all)).collect()
        };
    }
    LOADED.with(Clone::clone)
}

/// All machines, as they are after `rewrite` was given each of them: what would be without a part.
///
/// # Errors
/// The first that the interpreter refuses.
pub fn load_rewritten(
    rewrite: impl Fn(&str, &mut Value),
) -> Result<Vec<(String, Definition)>, BadDefinition> {
    let all = substitutions();
    let rewritten = |name: &str, text: &str| {
        let bad = |e: serde_json::Error| BadDefinition {
            machine: name.to_owned(),
            problem: e.to_string(),
        };
        let mut definition: Value = serde_json::from_str(text).map_err(bad)?;
        rewrite(name, &mut definition);
        load_one(name, &definition.to_string(), &all)
    };
    MACHINES.iter().map(|(name, text)| rewritten(name, text)).collect()
}

fn load_one(
    name: &str,
    text: &str,
    all: &BTreeMap<String, String>,
) -> Result<(String, Definition), BadDefinition> {
    let bad = |problem: String| BadDefinition { machine: name.to_owned(), problem };
    let text = Definition::substitute(text, all).map_err(|e| bad(e.to_string()))?;
    let definition = Definition::load(name, &text).map_err(|e| bad(e.to_string()))?;
    Ok((machine_arn(name), definition))
}

/// `check_dns` becomes `CheckDns`.
fn camel(name: &str, separator: char) -> String {
    let capitalize = |word: &str| {
        let mut chars = word.chars();
        chars
            .next()
            .map_or_else(String::new, |c| c.to_ascii_uppercase().to_string() + chars.as_str())
    };
    name.split(separator).map(capitalize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_of_the_repository_loads() {
        assert_eq!(load().expect("they load").len(), MACHINES.len());
    }

    #[test]
    fn machines_are_read_once_by_a_thread() {
        let (first, again) = (load().expect("they load"), load().expect("they load"));
        let mut pairs = first.iter().zip(&again);
        assert!(pairs.all(|((_, a), (_, b))| std::ptr::eq(a.source(), b.source())));
    }

    #[test]
    fn names_are_written_as_the_template_writes_them() {
        assert_eq!(camel("check_dns", '_'), "CheckDns");
        assert_eq!(camel("retire-cluster", '-'), "RetireCluster");
    }
}
