//! The functions that the Amazon States Language adds to JSONata.

use std::sync::{Arc, Mutex, PoisonError};

use jlens_core::{Bindings, Error, HostFunction};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use sha1::Digest as _;

/// Names of the added functions, without `$`.
pub(crate) const ADDED: [&str; 6] = ["parse", "partition", "range", "uuid", "hash", "random"];

/// The functions whose value depends on random numbers.
pub(crate) const RANDOM: [&str; 3] = ["uuid", "random", "shuffle"];

/// AWS's bound on the length of what `$range` answers.
const RANGE_MAX: f64 = 1000.0;

type Answer = Result<Option<Value>, Error>;

/// The functions whose value depends on their arguments alone.
pub(crate) fn pure() -> Bindings {
    thread_local! {
        // Signatures are parsed once, not at each evaluation; a clone shares them.
        static PURE: Bindings = Bindings::new()
            .function("parse", function("<s:x>", |arguments| parse(text(arguments, 0))))
            .function("partition", function("<an:a>", |arguments| {
                partition(&arguments[0], number(arguments, 1))
            }))
            .function("range", function("<nnn:a>", range))
            .function("hash", function("<ss:s>", |arguments| {
                hash(text(arguments, 0), text(arguments, 1))
            }));
    }
    PURE.with(Bindings::clone)
}

/// Adds `$uuid` and `$random`, drawing from a generator that `seed` starts.
pub(crate) fn bind_random(bindings: Bindings, seed: u64) -> Bindings {
    let generator = Arc::new(Mutex::new(SmallRng::seed_from_u64(seed)));
    let for_uuid = Arc::clone(&generator);
    let uuid = function("<:s>", move |_| {
        let mut generator = for_uuid.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(uuid_from(generator.random()).into()))
    });
    let random = function("<n?:n>", move |arguments| {
        if let Some(seed) = arguments.first().and_then(Option::as_ref).and_then(Value::as_f64) {
            return Ok(Some(SmallRng::seed_from_u64(seed.to_bits()).random::<f64>().into()));
        }
        let mut generator = generator.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(generator.random::<f64>().into()))
    });
    bindings.function("uuid", uuid).function("random", random)
}

/// A version 4 UUID made of `bits`.
pub(crate) fn uuid_from(bits: u128) -> String {
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn function(
    signature: &str,
    body: impl Fn(&[Option<Value>]) -> Answer + Send + Sync + 'static,
) -> HostFunction {
    HostFunction::with_signature(signature, move |arguments, _| body(arguments))
        .expect("the signatures are literals above, and a test calls each function")
        .without_input()
}

fn text(arguments: &[Option<Value>], index: usize) -> &str {
    arguments.get(index).and_then(Option::as_ref).and_then(Value::as_str).unwrap_or_default()
}

fn number(arguments: &[Option<Value>], index: usize) -> f64 {
    arguments.get(index).and_then(Option::as_ref).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::new("States").with("message", message.into()))
}

fn parse(text: &str) -> Answer {
    match serde_json::from_str(text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => refuse(format!("$parse: the text is not JSON: {error}")),
    }
}

fn partition(array: &Option<Value>, size: f64) -> Answer {
    let Some(Value::Array(items)) = array else {
        return Ok(None);
    };
    if !(size >= 1.0 && size.fract() == 0.0) {
        return refuse(format!("$partition: the size must be a positive integer, not {size}"));
    }
    Ok(Some(items.chunks(size as usize).map(|chunk| Value::from(chunk.to_vec())).collect()))
}

fn range(arguments: &[Option<Value>]) -> Answer {
    let (start, end, step) = (number(arguments, 0), number(arguments, 1), number(arguments, 2));
    let integers = [start, end, step].iter().all(|number| number.fract() == 0.0);
    if !integers || step == 0.0 {
        return refuse("$range: start, end and step must be integers and the step not zero");
    }
    let length = ((end - start) / step).floor() + 1.0;
    if length > RANGE_MAX {
        return refuse(format!("$range: {length} items are more than {RANGE_MAX}"));
    }
    let count = length.max(0.0) as i64;
    let mut items: Vec<Value> =
        (0..count).map(|index| Value::from(start as i64 + index * step as i64)).collect();
    // AWS answers a sequence here, and a sequence of one is its only item.
    Ok(Some(if items.len() == 1 { items.remove(0) } else { items.into() }))
}

fn hash(data: &str, algorithm: &str) -> Answer {
    use sha2::Digest as _;
    let data = data.as_bytes();
    let digest = match algorithm {
        "SHA-1" => sha1::Sha1::digest(data).to_vec(),
        "SHA-256" => sha2::Sha256::digest(data).to_vec(),
        "SHA-384" => sha2::Sha384::digest(data).to_vec(),
        "SHA-512" => sha2::Sha512::digest(data).to_vec(),
        // MD5 is AWS's fifth; nothing should still ask for it.
        other => return refuse(format!("$hash: the algorithm `{other}` is not supported")),
    };
    Ok(Some(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()))
}
