//! Reads a CBOR body into a value to pick from.

use aws_smithy_cbor::Decoder;
use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use serde_json::{Map, Value};

/// How deep a request may nest: the deepest of CloudWatch's, and some. Reading recurses, so that
/// without a bound a body of nothing but beginnings of lists would exhaust the stack.
const DEPTH_MAX: usize = 32;

/// Reads a body; moments become epoch milliseconds, an empty body an empty map.
///
/// # Errors
/// What the decoder says of a body that is no CBOR, or holds what no request holds.
pub(super) fn read(body: &[u8]) -> Result<Value, DeserializeError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    value(&mut Decoder::new(body), DEPTH_MAX)
}

fn value(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, DeserializeError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(DeserializeError::custom("nested too deeply", decoder.position()));
    };
    Ok(match decoder.datatype()? {
        Type::Map | Type::MapIndef => {
            let mut map = Map::new();
            let length = decoder.map()?;
            each(decoder, length, |decoder| {
                let key = decoder.string()?;
                let value = value(decoder, depth)?;
                map.insert(key, value);
                Ok(())
            })?;
            Value::Object(map)
        }
        Type::Array | Type::ArrayIndef => {
            let mut list = Vec::new();
            let length = decoder.list()?;
            each(decoder, length, |decoder| {
                list.push(value(decoder, depth)?);
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
