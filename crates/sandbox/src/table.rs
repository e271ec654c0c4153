//! DynamoDB: tables with one text as their key, and conditions on what an item says.
//!
//! A write takes effect at once and a consistent read sees it; any other read sees what was true a
//! while ago. Items whose time to live is over are still there: DynamoDB deletes them days later.

mod api;
mod attribute;
mod condition;
mod expression;
mod number;
mod update;

use std::collections::BTreeMap;

pub use attribute::{Attribute, Item, to_wire};
pub use number::Number;

pub(crate) use api::handle;

use crate::wire::AwsError;

/// The attribute that every table here has as its key.
pub const KEY: &str = "id";
/// How many states of an item are kept for reads that see an earlier one.
const VERSIONS_MAX: usize = 32;
/// How long it is remembered that an item was there.
const FORGET_MS: i64 = 3_600_000;

/// The tables of all Regions.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    tables: BTreeMap<(String, String), Table>,
    /// How far a fault lets the call in hand look back.
    stale_ms: i64,
}

/// A table.
#[derive(Debug, Clone)]
struct Table {
    name: String,
    arn: String,
    created_at_ms: i64,
    items: BTreeMap<String, Versions>,
}

/// What an item was, and since when; nothing where it was not there.
#[derive(Debug, Clone, Default)]
struct Versions(Vec<(i64, Option<Item>)>);

impl Versions {
    fn current(&self) -> Option<&Item> {
        self.0.last().and_then(|(_, item)| item.as_ref())
    }

    fn at(&self, at_ms: i64) -> Option<&Item> {
        let version = self.0.iter().rev().find(|(since_ms, _)| *since_ms <= at_ms);
        version.and_then(|(_, item)| item.as_ref())
    }

    fn push(&mut self, now_ms: i64, item: Option<Item>) {
        self.0.push((now_ms, item));
        if self.0.len() > VERSIONS_MAX {
            self.0.remove(0);
            // The oldest that is left stands for all before it.
            self.0[0].0 = i64::MIN;
        }
    }

    fn gone_for_long(&self, now_ms: i64) -> bool {
        matches!(self.0.last(), Some((since_ms, None)) if now_ms - since_ms > FORGET_MS)
    }
}

impl Table {
    fn current(&self, id: &str) -> Option<&Item> {
        self.items.get(id).and_then(Versions::current)
    }

    fn write(&mut self, id: &str, item: Option<Item>, now_ms: i64) {
        self.items.entry(id.to_owned()).or_default().push(now_ms, item);
        self.items.retain(|_, versions| !versions.gone_for_long(now_ms));
    }
}

impl Tables {
    /// Makes a table, unless there is one of this name, and answers its ARN.
    pub fn create(&mut self, account: &str, region: &str, name: &str, now_ms: i64) -> String {
        let arn = format!("arn:aws:dynamodb:{region}:{account}:table/{name}");
        let table = || Table {
            name: name.to_owned(),
            arn: arn.clone(),
            created_at_ms: now_ms,
            items: BTreeMap::new(),
        };
        self.tables.entry((region.to_owned(), name.to_owned())).or_insert_with(table);
        arn
    }

    /// The items of a table as they are now, by key; none when there is no such table.
    pub fn items(&self, region: &str, name: &str) -> impl Iterator<Item = (&str, &Item)> {
        let table = self.tables.get(&(region.to_owned(), name.to_owned()));
        let items = table.into_iter().flat_map(|table| &table.items);
        items.filter_map(|(id, versions)| Some((id.as_str(), versions.current()?)))
    }

    /// An item as it is now.
    #[must_use]
    pub fn item(&self, region: &str, name: &str, id: &str) -> Option<&Item> {
        self.tables.get(&(region.to_owned(), name.to_owned()))?.current(id)
    }

    /// All items as they are now: equal exactly when none was changed.
    #[must_use]
    pub(crate) fn contents(&self) -> Vec<(&str, &Item)> {
        let items = self.tables.values().flat_map(|table| &table.items);
        items.filter_map(|(id, versions)| Some((id.as_str(), versions.current()?))).collect()
    }

    /// Lets the reads that follow see no more than what was true so long ago, unless they are
    /// consistent.
    pub(crate) fn look_back(&mut self, stale_ms: i64) {
        self.stale_ms = stale_ms;
    }
}

/// What DynamoDB says to a request that it can read and will not carry out.
fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ValidationException", message)
}
