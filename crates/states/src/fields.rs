//! Evaluates the fields of a state.

use std::rc::Rc;

use rand::Rng;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::engine::ROLE_ARN;
use crate::eval::Scope;
use crate::failure::{Failure, QUERY_EVALUATION_ERROR};
use crate::history::{Details, EventType};
use crate::payload::Payload;
use crate::run::{Run, Visit};
use crate::template::Template;

/// What `$states` holds besides the input and the context.
pub(crate) type Extra<'a> = Option<(&'a str, &'a Value)>;

/// What an `Assign` came to, in its order.
pub(crate) type Assigned = Vec<(String, Payload)>;

impl Run {
    /// Evaluates a field to text.
    pub(crate) fn text(
        &self,
        visit: &Visit<'_>,
        template: &Template,
        place: &str,
    ) -> Result<String, Failure> {
        match self.fill(visit, template, place, None)? {
            Value::String(text) => Ok(text),
            other => Err(self.wrong_type(visit, template, place, "string", &other)?),
        }
    }

    /// Evaluates a field to a whole number of at least `least`; AWS has no fractions of seconds.
    pub(crate) fn whole_number(
        &self,
        visit: &Visit<'_>,
        template: &Template,
        place: &str,
        least: u64,
    ) -> Result<u64, Failure> {
        const MOST: f64 = 99_999_999.0;
        let value = self.fill(visit, template, place, None)?;
        match value.as_f64() {
            Some(number) if number.fract() == 0.0 && (least as f64..=MOST).contains(&number) => {
                Ok(number as u64)
            }
            Some(_) => {
                let cause = format!(
                    "{} The value {value} of the field '{place}' must be an integer from {least} \
                     to {MOST}.",
                    in_state(visit)
                );
                Err(self.evaluation_failed(visit, Some(place), cause)?)
            }
            None => Err(self.wrong_type(visit, template, place, "number", &value)?),
        }
    }

    /// Evaluates a field.
    pub(crate) fn fill(
        &self,
        visit: &Visit<'_>,
        template: &Template,
        place: &str,
        extra: Extra<'_>,
    ) -> Result<Value, Failure> {
        self.fill_for_item(visit, template, place, extra, visit.line.item.as_ref())
    }

    /// Evaluates a field for an item that is not (yet) the line's own.
    pub(crate) fn fill_for_item(
        &self,
        visit: &Visit<'_>,
        template: &Template,
        place: &str,
        extra: Extra<'_>,
        item: Option<&(usize, Payload)>,
    ) -> Result<Value, Failure> {
        if let Template::Literal(value) = template {
            return Ok(value.clone());
        }
        let context = |with_input| self.context(visit, item, with_input);
        let variables = Rc::clone(&visit.line.variables.borrow());
        let scope = Scope {
            input: visit.input.value(),
            context: &context,
            extra,
            variables: &|name| variables.get(name).map(Payload::value),
            now_ms: self.parts.clock.now_ms(),
        };
        template.fill(&|| place.to_owned(), &mut |source, place| {
            let mut seed = || self.parts.random(|random| random.random());
            let expression = || {
                let place = place();
                format!("The JSONata expression '{source}' specified for the field '{place}'")
            };
            let cause = match self.parts.evaluator.evaluate(source, scope, &mut seed) {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => format!("{} returned nothing (undefined).", expression()),
                Err(error) => format!("{} threw an error during evaluation. {error}", expression()),
            };
            let cause = format!("{} {cause}", in_state(visit));
            Err(self.evaluation_failed(visit, Some(&place()), cause)?)
        })
    }

    /// Evaluates an `Assign`.
    pub(crate) fn assigned(
        &self,
        visit: &Visit<'_>,
        assign: Option<&Template>,
        place: &str,
        extra: Extra<'_>,
    ) -> Result<Assigned, Failure> {
        let Some(template) = assign else { return Ok(Assigned::new()) };
        let Value::Object(values) = self.fill(visit, template, place, extra)? else {
            return Ok(Assigned::new());
        };
        let checked = |(name, value): (String, Value)| {
            let what = || format!("The variable '{name}' was assigned a value");
            Payload::new(value).within_limit(what).map(|value| (name.clone(), value))
        };
        values.into_iter().map(checked).collect()
    }

    /// The value of `$states.context`.
    fn context(
        &self,
        visit: &Visit<'_>,
        item: Option<&(usize, Payload)>,
        with_input: bool,
    ) -> Value {
        let execution = &self.execution;
        let input = with_input.then(|| execution.input.value().clone());
        let mut context = json!({
            "Execution": {
                "Id": execution.arn,
                "Input": input,
                "Name": execution.name,
                "RoleArn": ROLE_ARN,
                "StartTime": rfc3339(execution.started_ms),
                "RedriveCount": 0,
            },
            "State": {
                "EnteredTime": rfc3339(visit.entered_ms),
                "Name": visit.state.name,
                "RetryCount": visit.retries.get(),
            },
            "StateMachine": { "Id": execution.machine_arn, "Name": execution.definition.name },
        });
        if let Some(token) = visit.token.borrow().as_deref() {
            context["Task"] = json!({ "Token": token });
        }
        if let Some((index, item)) = item {
            context["Map"] = json!({ "Item": { "Index": index, "Value": item.value() } });
        }
        context
    }

    /// Records that a field has a value of the wrong type, and answers the failure that this is.
    pub(crate) fn wrong_type(
        &self,
        visit: &Visit<'_>,
        template: &Template,
        place: &str,
        expected: &str,
        value: &Value,
    ) -> Result<Failure, Failure> {
        let what = match template {
            Template::Expression(source) => format!("The JSONata expression '{source}'"),
            _ => "The value".to_owned(),
        };
        let cause = format!(
            "{} {what} specified for the field '{place}' returned an unexpected result type. \
             Expected '{expected}', but was '{}' for value: {value}",
            in_state(visit),
            type_name(value)
        );
        self.evaluation_failed(visit, Some(place), cause)
    }

    /// The failure of a Map whose items are none.
    pub(crate) fn not_an_array(
        &self,
        visit: &Visit<'_>,
        items: Option<&Template>,
        value: &Value,
    ) -> Result<Failure, Failure> {
        match items {
            Some(template) => self.wrong_type(visit, template, "Items", "array", value),
            None => {
                let cause = format!(
                    "{} Map state input must be an array but was: {value}",
                    in_state(visit)
                );
                self.evaluation_failed(visit, None, cause)
            }
        }
    }

    /// Records that an expression has no usable value, and answers the failure that this is.
    fn evaluation_failed(
        &self,
        visit: &Visit<'_>,
        place: Option<&str>,
        cause: String,
    ) -> Result<Failure, Failure> {
        let line = visit.line;
        let last = line.last.get();
        let previous = if last == visit.entered_id { visit.before_id } else { last };
        let details = Details::new()
            .with("error", QUERY_EVALUATION_ERROR)
            .with("cause", cause.as_str())
            .maybe("location", place)
            .with("state", visit.state.name.as_str());
        let event_type = EventType::EvaluationFailed;
        let id = self.parts.record(&self.execution, event_type, previous, details)?;
        line.last.set(id);
        Ok(Failure::new(QUERY_EVALUATION_ERROR, cause))
    }
}

/// The beginning of AWS's sentences about an evaluation.
fn in_state(visit: &Visit<'_>) -> String {
    format!(
        "An error occurred while executing the state '{}' (entered at the event id #{}).",
        visit.state.name, visit.entered_id
    )
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
