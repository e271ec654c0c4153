//! CBOR and JSON values, in both directions.

use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use aws_smithy_cbor::{Decoder, Encoder};
use aws_smithy_types::DateTime;
use failback_sandbox::wire::iso8601;
use serde_json::{Map, Value};

/// Members that are moments: JSON cannot tell them from numbers.
const MOMENTS: [&str; 2] = ["StartTime", "EndTime"];

/// How a moment is written outside CBOR.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// Seconds since the epoch.
    Seconds,
    /// ISO 8601.
    Text,
}

/// Writes a request.
pub(super) fn write(input: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    write_value(&mut encoder, input);
    encoder.into_writer()
}

fn write_value(encoder: &mut Encoder, value: &Value) {
    match value {
        Value::Null => drop(encoder.null()),
        Value::Bool(flag) => drop(encoder.boolean(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => drop(encoder.long(whole)),
            None => drop(encoder.double(number.as_f64().unwrap_or_default())),
        },
        Value::String(text) => drop(encoder.str(text)),
        Value::Array(list) => {
            encoder.begin_array();
            list.iter().for_each(|element| write_value(encoder, element));
            encoder.end();
        }
        Value::Object(map) => {
            encoder.begin_map();
            for (key, member) in map {
                encoder.str(key);
                match member.as_f64().filter(|_| MOMENTS.contains(&key.as_str())) {
                    Some(seconds) => drop(encoder.timestamp(&DateTime::from_secs_f64(seconds))),
                    None => write_value(encoder, member),
                }
            }
            encoder.end();
        }
    }
}

/// Reads an answer of the sandbox; nothing of one that cannot be read.
pub(super) fn read(body: &[u8], moment: Moment) -> Value {
    read_value(&mut Decoder::new(body), moment).unwrap_or_default()
}

fn read_value(decoder: &mut Decoder<'_>, moment: Moment) -> Result<Value, DeserializeError> {
    Ok(match decoder.datatype()? {
        Type::Map | Type::MapIndef => {
            let mut left = decoder.map()?;
            let mut map = Map::new();
            while goes_on(decoder, &mut left)? {
                let key = decoder.string()?;
                map.insert(key, read_value(decoder, moment)?);
            }
            Value::Object(map)
        }
        Type::Array | Type::ArrayIndef => {
            let mut left = decoder.list()?;
            let mut list = Vec::new();
            while goes_on(decoder, &mut left)? {
                list.push(read_value(decoder, moment)?);
            }
            Value::Array(list)
        }
        Type::String | Type::StringIndef => Value::from(decoder.string()?),
        Type::Bool => Value::from(decoder.boolean()?),
        Type::F16 | Type::F32 | Type::F64 => Value::from(decoder.double()?),
        Type::Tag => {
            let at = decoder.timestamp()?;
            match moment {
                Moment::Seconds => Value::from(at.as_secs_f64()),
                Moment::Text => Value::from(iso8601(at.to_millis().unwrap_or_default())),
            }
        }
        Type::Null | Type::Undefined => {
            decoder.skip()?;
            Value::Null
        }
        _ => Value::from(decoder.long()?),
    })
}

/// Whether a list or a map has another element; takes the mark at the end of one without length.
fn goes_on(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, DeserializeError> {
    match left {
        Some(0) => Ok(false),
        Some(n) => {
            *n -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}
