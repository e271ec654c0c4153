//! Parallel and Map: several lines of states at once.

use std::rc::Rc;

use serde_json::Value;

use crate::definition::{Machine, MapState};
use crate::executor::{Boxed, first_finished};
use crate::failure::Failure;
use crate::history::{Details, EventType};
use crate::payload::Payload;
use crate::run::{Line, Run, Visit};
use crate::template::Template;

impl Run {
    /// Runs every branch on the same input; the results in the order of the branches.
    pub(crate) async fn parallel(
        &self,
        visit: &Visit<'_>,
        branches: &[Machine],
        arguments: Option<&Template>,
    ) -> Result<Payload, Failure> {
        let line = visit.line;
        let result = self.branches(visit, branches, arguments).await;
        match &result {
            Ok(_) => {
                // The exit hangs on the last branch, not on this event.
                let (event_type, last) = (EventType::ParallelStateSucceeded, line.last.get());
                self.parts.record(&self.execution, event_type, last, Details::new())?;
            }
            Err(_) => _ = self.record(line, EventType::ParallelStateFailed, Details::new())?,
        }
        result
    }

    async fn branches(
        &self,
        visit: &Visit<'_>,
        branches: &[Machine],
        arguments: Option<&Template>,
    ) -> Result<Payload, Failure> {
        let input = match arguments {
            Some(template) => Payload::new(self.fill(visit, template, "Arguments", None)?),
            None => visit.input.clone(),
        };
        let started = self.record(visit.line, EventType::ParallelStateStarted, Details::new())?;
        let variables = Rc::clone(&visit.line.variables.borrow());
        let lines: Vec<Line> = (branches.iter())
            .map(|_| Line {
                item: visit.line.item.clone(),
                ..Line::new(started, Rc::clone(&variables))
            })
            .collect();
        let mut walks: Vec<Option<Boxed<'_, _>>> = (branches.iter().zip(&lines))
            .map(|(branch, line)| Some(self.walk(branch, input.clone(), line)))
            .collect();
        let mut results = vec![Value::Null; branches.len()];
        for _ in branches {
            let (index, result) = first_finished(&mut walks).await;
            visit.line.last.set(lines[index].last.get());
            match result {
                Ok(output) => results[index] = output.into_value(),
                Err(failure) => {
                    drop(walks);
                    self.abort_others(&lines, index)?;
                    return Err(failure);
                }
            }
        }
        within_result_limit(visit, results)
    }

    /// Runs the processor on every item; the results in the order of the items.
    pub(crate) async fn map(&self, visit: &Visit<'_>, map: &MapState) -> Result<Payload, Failure> {
        let line = visit.line;
        let result = self.iterations(visit, map).await;
        match &result {
            Ok(_) => {
                let (event_type, last) = (EventType::MapStateSucceeded, line.last.get());
                self.parts.record(&self.execution, event_type, last, Details::new())?;
            }
            Err(_) => _ = self.record(line, EventType::MapStateFailed, Details::new())?,
        }
        result
    }

    async fn iterations(&self, visit: &Visit<'_>, map: &MapState) -> Result<Payload, Failure> {
        let items = match &map.items {
            Some(template) => self.fill(visit, template, "Items", None)?,
            None => visit.input.value().clone(),
        };
        let Value::Array(items) = items else {
            return Err(self.not_an_array(visit, map.items.as_ref(), &items)?);
        };
        let concurrency = match &map.max_concurrency {
            Some(template) => self.whole_number(visit, template, "MaxConcurrency", 0)?,
            None => 0,
        };
        // 0 is AWS's word for no limit.
        let concurrency = if concurrency == 0 { items.len() } else { concurrency as usize };
        let details = Details::new().with("length", items.len());
        let event_type = EventType::MapStateStarted;
        let started = self.record(visit.line, event_type, details)?;

        let variables = Rc::clone(&visit.line.variables.borrow());
        let count = items.len();
        let lines: Vec<Line> = (items.into_iter().enumerate())
            .map(|(index, item)| Line {
                item: Some((index, Payload::new(item))),
                ..Line::new(started, Rc::clone(&variables))
            })
            .collect();
        let mut walks: Vec<Option<Boxed<'_, _>>> = Vec::new();
        let mut results = vec![Value::Null; count];
        while walks.len() < count.min(concurrency) {
            let index = walks.len();
            walks.push(Some(self.iteration(visit, map, &lines[index], index)));
        }
        for _ in 0..count {
            let (index, result) = first_finished(&mut walks).await;
            let line = &lines[index];
            let before_end = line.last.get();
            let details = self.iteration_details(visit, index);
            match result {
                Ok(output) => {
                    results[index] = output.into_value();
                    self.record(line, EventType::MapIterationSucceeded, details)?;
                    visit.line.last.set(line.last.get());
                }
                Err(failure) => {
                    drop(walks);
                    self.record(line, EventType::MapIterationFailed, details)?;
                    visit.line.last.set(line.last.get());
                    self.abort_iterations(visit, &lines, index)?;
                    return Err(failure);
                }
            }
            let next = walks.len();
            if next < count {
                // AWS hangs the next iteration on what ended the one that made room for it.
                lines[next].last.set(before_end);
                walks.push(Some(self.iteration(visit, map, &lines[next], next)));
            }
        }
        within_result_limit(visit, results)
    }

    fn iteration<'a>(
        &'a self,
        visit: &'a Visit<'_>,
        map: &'a MapState,
        line: &'a Line,
        index: usize,
    ) -> Boxed<'a, Result<Payload, Failure>> {
        Box::pin(async move {
            let details = self.iteration_details(visit, index);
            self.record(line, EventType::MapIterationStarted, details)?;
            let item = line.item.as_ref();
            let input = match &map.selector {
                Some(template) => {
                    Payload::new(self.fill_for_item(visit, template, "ItemSelector", None, item)?)
                }
                None => item.map_or_else(|| visit.input.clone(), |(_, item)| item.clone()),
            };
            self.walk(&map.processor, input, line).await
        })
    }

    fn iteration_details(&self, visit: &Visit<'_>, index: usize) -> Details {
        Details::new().with("name", visit.state.name.as_str()).with("index", index)
    }

    /// Says of every line that was cut off what it was doing.
    fn abort_others(&self, lines: &[Line], failed: usize) -> Result<(), Failure> {
        for (index, line) in lines.iter().enumerate() {
            if index != failed
                && let Some(event_type) = line.abort_event.take()
            {
                self.record(line, event_type, Details::new())?;
            }
        }
        Ok(())
    }

    fn abort_iterations(
        &self,
        visit: &Visit<'_>,
        lines: &[Line],
        failed: usize,
    ) -> Result<(), Failure> {
        for (index, line) in lines.iter().enumerate() {
            if index != failed
                && let Some(event_type) = line.abort_event.take()
            {
                self.record(line, event_type, Details::new())?;
                let details = self.iteration_details(visit, index);
                self.record(line, EventType::MapIterationAborted, details)?;
            }
        }
        Ok(())
    }
}

fn within_result_limit(visit: &Visit<'_>, results: Vec<Value>) -> Result<Payload, Failure> {
    Payload::new(results.into())
        .within_limit(|| format!("The state '{}' returned a result", visit.state.name))
}
