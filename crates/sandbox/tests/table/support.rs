//! A table, and items for it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::network_support::{AWAY, Lab, sdk, world};

pub const TABLE: &str = "failback";

pub type Item = HashMap<String, AttributeValue>;

pub fn lab() -> (Lab, Client) {
    let lab = Lab::new(world());
    let arn = lab.sandbox.create_table(AWAY, TABLE);
    assert_eq!(arn, "arn:aws:dynamodb:us-west-2:123456789012:table/failback");
    let client = sdk!(aws_sdk_dynamodb, lab, AWAY);
    (lab, client)
}

pub fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub fn item<const N: usize>(members: [(&str, AttributeValue); N]) -> Item {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub async fn put(client: &Client, item: Item) {
    client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}

pub async fn get(client: &Client, id: &str) -> Option<Item> {
    let get = client.get_item().table_name(TABLE).key("id", s(id)).consistent_read(true);
    get.send().await.unwrap().item
}
