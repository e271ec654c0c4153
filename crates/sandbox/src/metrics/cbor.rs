//! Reads a CBOR body into a value to pick from.

use aws_smithy_cbor::Decoder;
use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use serde_json::{Map, Value};

/// Reads a body; moments become epoch milliseconds, an empty body an empty map.
///
/// # Errors
/// What the decoder says of a body that is no CBOR, or holds what no request holds.
pub(super) fn read(body: &[u8]) -> Result<Value, DeserializeError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    value(&mut Decoder::new(body))
}

fn value(decoder: &mut Decoder<'_>) -> Result<Value, DeserializeError> {
    Ok(match decoder.datatype()? {
        Type::Map | Type::MapIndef => {
            let mut map = Map::new();
            let length = decoder.map()?;
            each(decoder, length, |decoder| {
                let key = decoder.string()?;
                let value = value(decoder)?;
                map.insert(key, value);
                Ok(())
            })?;
            Value::Object(map)
        }
        Type::Array | Type::ArrayIndef => {
            let mut list = Vec::new();
            let length = decoder.list()?;
            each(decoder, length, |decoder| {
                list.push(value(decoder)?);
                Ok(())
            })?;
            Value::Array(list)
        }
        Type::String | Type::StringIndef => Value::from(decoder.string()?),
        Type::Bool => Value::from(decoder.boolean()?),
        Type::F16 | Type::F32 | Type::F64 => Value::from(decoder.double()?),
        Type::Null | Type::Undefined => {
            decoder.skip()?;
            Value::Null
        }
        Type::Tag => {
            let at = decoder.position();
            let moment = decoder.timestamp()?;
            let ms = moment.to_millis();
            Value::from(ms.map_err(|e| DeserializeError::custom(e.to_string(), at))?)
        }
        _ => Value::from(decoder.long()?),
    })
}

/// Reads the elements of a list or a map, whether its length was given or its end is marked.
fn each(
    decoder: &mut Decoder<'_>,
    length: Option<u64>,
    mut element: impl FnMut(&mut Decoder<'_>) -> Result<(), DeserializeError>,
) -> Result<(), DeserializeError> {
    let mut left = length;
    loop {
        match left {
            Some(0) => return Ok(()),
            Some(n) => left = Some(n - 1),
            None if decoder.datatype()? == Type::Break => return decoder.skip(),
            None => {}
        }
        element(decoder)?;
    }
}
