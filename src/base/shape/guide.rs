//! The JSON Schema that guides decoding: closed, bounded, and only with keywords that the grammar enforces.

use serde_json::{Map as JsonMap, Value, json};

use super::{
    decimal,
    node::{Field, Form, Integer, Json, List, Map, Node, Number, Text, Tuple, Untyped},
    string,
};

/// Longest string that a grammar is asked to count, in characters.
const COUNTABLE: u64 = 1_000_000;

/// Values of a number that are listed rather than described, because the grammar reckons ranges in doubles.
const FEW: i128 = 32;

/// The guide of a record: all properties required, those that may be absent with `null`, nothing else allowed.
pub fn object(fields: &[Field]) -> Value {
    Style::Record.object(fields)
}

/// How objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// With all their properties: what is absent is said to be null, and dropped when the answer is settled.
    Record,
    /// As the schema says it: what is kept as text is not settled.
    Text,
}

impl Style {
    fn object(self, fields: &[Field]) -> Value {
        let possible = |field: &&Field| field.node.form != Form::Nothing || field.node.nullable || self == Self::Record;
        let fields: Vec<&Field> = fields.iter().filter(possible).collect();
        let properties: JsonMap<String, Value> =
            fields.iter().map(|field| (field.name.clone(), self.field(field))).collect();
        let is_required = |field: &&&Field| field.required || self == Self::Record;
        let required: Vec<&str> = fields.iter().filter(is_required).map(|field| field.name.as_str()).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    fn field(self, field: &Field) -> Value {
        let nullable = if self == Self::Record { field.may_be_null() } else { field.node.nullable };
        or_null(self.form(&field.node.form), nullable)
    }

    fn place(self, node: &Node) -> Value {
        or_null(self.form(&node.form), node.nullable)
    }

    /// `Null` for what cannot be.
    fn form(self, form: &Form) -> Value {
        match form {
            Form::Object(fields) => self.object(fields),
            Form::Map(map) => self.map(map),
            Form::Union(union) => any_of(union.variants.iter().map(|variant| self.object(&variant.fields)).collect()),
            Form::List(list) => self.list(list),
            Form::Text(text) => string(text),
            Form::Choice(choice) => json!({"enum": choice.options}),
            Form::Date => json!({"type": "string", "pattern": string::DATE}),
            Form::DateTime => json!({"type": "string", "pattern": string::DATE_TIME}),
            Form::Integer(range) => integer(range),
            Form::Number(range) | Form::Decimal(range) => number(range),
            Form::Boolean(None) => json!({"type": "boolean"}),
            Form::Boolean(Some(only)) => json!({"enum": [only]}),
            Form::Json(json) => untyped(json),
            Form::Nothing => Value::Null,
        }
    }

    /// The names of a map are bounded by a pattern, the one way that the grammar has to bound them. Where its values
    /// cannot be, it is empty.
    fn map(self, map: &Map) -> Value {
        let names = format!("^.{{1,{}}}$", map.longest_key);
        match self.place(&map.value) {
            Value::Null => json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
            value => json!({
                "type": "object", "patternProperties": {names: value}, "additionalProperties": false,
                "minProperties": map.least, "maxProperties": map.most,
            }),
        }
    }

    fn list(self, list: &List) -> Value {
        match self.place(&list.item) {
            Value::Null => json!({"type": "array", "items": {"type": "null"}, "minItems": 0, "maxItems": 0}),
            item => json!({"type": "array", "items": item, "minItems": list.least, "maxItems": list.most}),
        }
    }
}

fn untyped(json: &Json) -> Value {
    match &json.untyped {
        Untyped::Either(nodes) => any_of(nodes.iter().map(|node| Style::Text.place(node)).collect()),
        Untyped::Values(values) => json!({"enum": values}),
        Untyped::Tuple(tuple) => self::tuple(tuple),
        Untyped::Whole(node) => Style::Text.place(node),
    }
}

fn tuple(tuple: &Tuple) -> Value {
    let first: Vec<Value> = tuple.first.iter().map(|node| Style::Text.place(node)).collect();
    let rest = tuple.rest.as_ref().map_or(Value::Bool(false), |node| Style::Text.place(node));
    json!({"type": "array", "prefixItems": first, "items": rest, "minItems": tuple.least, "maxItems": tuple.most})
}

fn any_of(mut guides: Vec<Value>) -> Value {
    guides.retain(|guide| !guide.is_null());
    match guides.len() {
        0 => Value::Null,
        1 => guides.remove(0),
        _ => json!({"anyOf": guides}),
    }
}

fn or_null(guide: Value, nullable: bool) -> Value {
    if nullable { any_of(vec![guide, json!({"type": "null"})]) } else { guide }
}

fn string(text: &Text) -> Value {
    let longest = text.longest.min(COUNTABLE);
    let format = text.format.as_deref();
    let stated = text.pattern.as_deref().filter(|pattern| string::is_guidable(pattern));
    let expression = if stated.is_some() { string::pattern_beside_another } else { string::pattern_of };
    let of_format = format.and_then(expression);
    let mut guide = json!({"type": "string"});
    let has_end = stated.is_some() && of_format.is_some();
    if !has_end || text.longest < format.and_then(string::longest_of).unwrap_or(0) {
        guide["maxLength"] = json!(longest);
    }
    if text.shortest > 0 {
        guide["minLength"] = json!(text.shortest.min(longest));
    }
    if let Some(pattern) = stated.or(of_format) {
        guide["pattern"] = json!(pattern);
    }
    if let (Some(_), Some(pattern)) = (stated, of_format) {
        guide["allOf"] = json!([{"type": "string", "pattern": pattern}]);
    }
    if let Some(format) = format.filter(|_| of_format.is_none()) {
        guide["format"] = json!(format);
    }
    guide
}

fn integer(range: &Integer) -> Value {
    if let Some(values) = &range.among {
        return json!({"enum": values});
    }
    let mut guide = json!({"type": "integer", "minimum": exact(range.least, 1), "maximum": exact(range.most, -1)});
    if let Some(step) = range.step {
        guide["multipleOf"] = json!(step);
    }
    guide
}

/// The nearest integer in a direction that is a double, since the grammar reads bounds as doubles.
fn exact(bound: i64, direction: i64) -> i64 {
    let mut bound = i128::from(bound);
    while (bound as f64) as i128 != bound {
        bound += i128::from(direction);
    }
    bound as i64
}

/// The range bounds the digits before the point, `multipleOf` those after it, and neither allows an exponent.
fn number(range: &Number) -> Value {
    if let Some(values) = &range.among {
        return json!({"enum": values});
    }
    let step = i128::from(range.step);
    if (range.most - range.least) / step < FEW {
        let values = (0..=(range.most - range.least) / step).map(|count| range.least + count * step);
        let values: Vec<Value> = values.map(|units| decimal::number(units, range.decimals)).collect();
        return json!({"enum": values});
    }
    let [least, most, step] = [range.least, range.most, step].map(|units| decimal::number(units, range.decimals));
    json!({"type": "number", "minimum": least, "maximum": most, "multipleOf": step})
}
