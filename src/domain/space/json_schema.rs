//! The JSON Schema of `random_search.json`, made from the table of keys, so that editors complete and check it.

use super::TABLES;
use crate::domain::input::keys::{self, Fallback, Key, Kind, Sampling};
use crate::domain::job::JobName;
use crate::domain::plain_name;
use serde_json::{Map, Value, json};

/// The schema, as JSON Schema draft 2020-12.
///
/// It says of each key what the table says; what only several keys together say (as that multicnn does not go with
/// images) is left to the program.
pub fn schema() -> Value {
    let mut schema = object(TABLES);
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "random_search.json",
        "description": "The space of hyperparameters of a random search.",
    });
    let mut whole = Map::new();
    whole.extend(head.as_object().cloned().unwrap_or_default());
    whole.append(&mut schema);
    Value::Object(whole)
}

fn object(tables: &[&[Key]]) -> Map<String, Value> {
    let keys = || tables.iter().flat_map(|table| table.iter());
    let properties: Map<String, Value> = keys().map(|key| (key.name.to_string(), property(key))).collect();
    let required: Vec<&str> = keys().filter(|key| key.default == Fallback::Mandatory).map(|key| key.name).collect();
    let mut object = Map::new();
    object.insert("type".to_string(), "object".into());
    object.insert("properties".to_string(), properties.into());
    if !required.is_empty() {
        object.insert("required".to_string(), required.into());
    }
    object.insert("additionalProperties".to_string(), false.into());
    object
}

fn property(key: &Key) -> Value {
    let single = if *key == keys::NEUROSEARCH { Value::Object(object(&[keys::OWN])) } else { value(&key.kind) };
    let mut allowed = vec![single.clone()];
    match key.sampling {
        Sampling::Fixed => {}
        Sampling::Choice => allowed.push(json!({"type": "array", "items": single, "minItems": 1})),
        Sampling::Uniform | Sampling::Exponent | Sampling::Randint => {
            allowed.push(json!({"type": "array", "items": single, "minItems": 2, "maxItems": 2}));
        }
    }
    if key.default != Fallback::Mandatory && !key.kind.takes_null() {
        allowed.push(json!({"type": "null"}));
    }
    let mut property = json!({"description": format!("{} {}", key.about, sampled(key.sampling)).trim_end(), "anyOf": allowed});
    if let Fallback::By(text) = key.default
        && let Ok(default) = serde_json::from_str::<Value>(text)
    {
        property["default"] = default;
    }
    property
}

const fn sampled(sampling: Sampling) -> &'static str {
    match sampling {
        Sampling::Fixed => "",
        Sampling::Choice => "Of a list, one element is chosen.",
        Sampling::Uniform => "Of a pair [min, max], a number between them is drawn.",
        Sampling::Exponent => "Of a pair [min, max], x is drawn between them and gives 10^-x.",
        Sampling::Randint => "Of a pair [min, max], a whole number is drawn, both included.",
    }
}

fn value(kind: &Kind) -> Value {
    let name = plain_name::pattern(plain_name::LONGEST);
    let list = |items: Value| json!({"type": "array", "items": items, "minItems": 1, "uniqueItems": true});
    match kind {
        Kind::Word(words) => json!({"enum": words}),
        Kind::WordOrNull(words) => {
            let mut all: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
            all.extend([Value::from("None"), Value::Null]);
            json!({"enum": all})
        }
        Kind::Whole { least, most } => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Real { least, most } if *most == f64::MAX => json!({"type": "number", "minimum": least}),
        Kind::Real { least, most } => json!({"type": "number", "minimum": least, "maximum": most}),
        Kind::Rate => json!({"type": "number", "minimum": 0, "exclusiveMaximum": 1}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Path => json!({"type": "string", "minLength": 1}),
        Kind::PathOrNull => json!({"type": ["string", "null"], "minLength": 1}),
        Kind::Name => json!({"type": "string", "pattern": name}),
        Kind::Prefix => json!({"type": "string", "pattern": plain_name::pattern(JobName::LONGEST_PREFIX)}),
        Kind::Words(words) => list(json!({"enum": words})),
        Kind::WordsOrFalse(words) => {
            let items: Vec<Value> = words.iter().map(|word| Value::from(*word)).chain([Value::Null]).collect();
            json!({"anyOf": [{"const": false}, {"type": "array", "items": {"enum": items}}]})
        }
        Kind::Wholes { most } => list(json!({"type": "integer", "minimum": 0, "maximum": most})),
        Kind::Names => list(json!({"type": "string", "pattern": name})),
        Kind::Ends { most } => {
            let count = json!({"type": "integer", "minimum": 0, "maximum": most});
            json!({"anyOf": [count, {"type": "array", "items": count, "minItems": 1, "maxItems": 2}]})
        }
        Kind::Only(texts) => {
            let values: Vec<Value> =
                texts.iter().filter_map(|text| serde_json::from_str(text).ok()).chain([Value::Null]).collect();
            json!({"enum": values})
        }
        Kind::Object => json!({"type": "object"}),
    }
}
