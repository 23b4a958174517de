//! Strings, numbers, and values out of a list.

use serde_json::Value;

use super::{
    super::{
        below, decimal,
        node::{Choice, Form, Integer, Node, Number, Text, Untyped},
        numeric, string,
    },
    Compiler, Schema, whole,
};

/// Integers beyond this are not all doubles, which the grammar reckons with.
const EXACT: u64 = 1 << 53;

/// Values of one `enum`: so many compile in seconds, and more are no choice but a table to look things up in.
const MOST_OPTIONS: usize = 20_000;

impl<'a> Compiler<'a> {
    pub(super) fn choice(&mut self, schema: &'a Schema, at: &str) -> Option<Node> {
        self.allow_only(schema, at, &["enum", "const"], "a choice");
        if schema.contains_key("enum") && schema.contains_key("const") {
            self.problem(&below(at, "const"), "`const` and `enum` both say what the value is; keep one of them");
        }
        let keyword = if schema.contains_key("enum") { "enum" } else { "const" };
        let at = below(at, keyword);
        let values = match &schema[keyword] {
            Value::Array(values) if keyword == "enum" => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        if values.len() > MOST_OPTIONS {
            let advice = "use a string and look it up in a query";
            self.problem(&at, format!("{} values are more than {MOST_OPTIONS}; {advice}", values.len()));
            return None;
        }
        let (nullable, types) = self.types(schema, "");
        let of_type = |value: &&Value| types.is_empty() || types.iter().any(|name| is_of_type(value, name));
        let nullable = values.contains(&Value::Null) && (nullable || !schema.contains_key("type"));
        let options: Vec<&Value> = values.iter().filter(|value| !value.is_null()).filter(of_type).collect();
        if options.is_empty() {
            self.problem(&at, "no value of it can be a column's; name strings, numbers or booleans of the `type`");
            return None;
        }
        self.can_be_written(&options, &at);
        Some(self.options(&options, nullable, &at))
    }

    fn can_be_written(&mut self, options: &[&Value], at: &str) {
        let is_odd = |one: char| one.is_control() && !['\n', '\r', '\t', '\u{8}', '\u{c}'].contains(&one);
        let odd = |value: &&&Value| {
            value.to_string().chars().any(is_odd) || value.as_str().is_some_and(|text| text.contains(is_odd))
        };
        if let Some(option) = options.iter().find(odd) {
            self.problem(at, format!("{option} has a control character, which answers cannot hold; remove it"));
        }
        let beyond =
            |value: &&&Value| value.is_number() && value.as_f64().is_none_or(|number| number.abs() > EXACT as f64);
        if let Some(option) = options.iter().find(beyond) {
            self.problem(at, format!("{option} has too many digits for a number of a list; write a string"));
        }
    }

    fn options(&mut self, options: &[&Value], nullable: bool, at: &str) -> Node {
        let of_one_kind = texts(options).or_else(|| booleans(options)).or_else(|| integers(options));
        if let Some(form) = of_one_kind.or_else(|| numbers(options)) {
            return Node::new(form, nullable);
        }
        let values = options.iter().map(|value| (*value).clone()).collect();
        self.as_text("a list of values of several kinds".to_owned(), Untyped::Values(values), nullable, at)
    }

    pub(super) fn text(&mut self, schema: &Schema, at: &str) -> Option<Form> {
        let format = schema.get("format").and_then(Value::as_str);
        if let Some(date @ ("date" | "date-time")) = format {
            self.allow_only(schema, at, &["format"], &format!("a {date}"));
            return Some(if date == "date" { Form::Date } else { Form::DateTime });
        }
        let bound = format.map_or(Some(self.bounds.longest_string), string::longest_of);
        let Some(bound) = bound else {
            let known = string::known_formats();
            self.problem(
                &below(at, "format"),
                format!("this format is not supported; use one of {known}, or `pattern`"),
            );
            return None;
        };
        let shortest = whole(schema, "minLength").unwrap_or(0);
        let longest = whole(schema, "maxLength").unwrap_or(bound.max(shortest));
        if format.is_none() && !schema.contains_key("maxLength") {
            self.added(at, "maxLength", longest, "characters", "longest_string");
        }
        self.ordered(shortest, longest, at, "minLength", "maxLength");
        let pattern = schema.get("pattern").and_then(Value::as_str).map(str::to_owned);
        Some(Form::Text(Text { shortest, longest, pattern, format: format.map(str::to_owned) }))
    }

    pub(super) fn numeric(&mut self, schema: &Schema, name: &str, at: &str) -> Option<Form> {
        let digits = self.bounds.most_digits;
        let made = if name == "integer" { numeric::integer(schema, digits) } else { numeric::number(schema, digits) };
        let form = made.map_err(|problem| self.problem(at, problem)).ok()?;
        let stated = |names: [&str; 2]| names.iter().any(|name| schema.contains_key(*name));
        if !stated(["minimum", "exclusiveMinimum"]) || !stated(["maximum", "exclusiveMaximum"]) {
            self.remark(
                at,
                format!("not bounded on both sides: at most {} (`most_digits` under `[parse]`)", digits_of(&form)),
            );
        }
        Some(form)
    }

    /// A number within the default bounds.
    pub(super) fn any_number(&self) -> Form {
        let units = 10_i128.pow(self.bounds.most_digits.min(decimal::SAFE_DIGITS) + numeric::MOST_DECIMALS);
        Form::Number(Number { least: -units, most: units, step: 1, decimals: numeric::MOST_DECIMALS, among: None })
    }
}

/// All values of a list, where all are of one kind.
fn all<T>(options: &[&Value], read: fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    options.iter().map(|option| read(option)).collect()
}

fn texts(options: &[&Value]) -> Option<Form> {
    let options = all(options, |option| option.as_str().map(str::to_owned))?;
    Some(Form::Choice(Choice { options }))
}

fn booleans(options: &[&Value]) -> Option<Form> {
    let options = all(options, Value::as_bool)?;
    let both = options.contains(&true) && options.contains(&false);
    Some(Form::Boolean(options.first().copied().filter(|_| !both)))
}

fn integers(options: &[&Value]) -> Option<Form> {
    let among = all(options, Value::as_i64)?;
    let (least, most) = (*among.iter().min()?, *among.iter().max()?);
    Some(Form::Integer(Integer { least, most, step: None, among: Some(among) }))
}

fn numbers(options: &[&Value]) -> Option<Form> {
    let among = all(options, |option| option.as_number().cloned())?;
    let decimals = numeric::MOST_DECIMALS;
    let least = among.iter().filter_map(|number| decimal::most_units(number, false, decimals)).min()?;
    let most = among.iter().filter_map(|number| decimal::least_units(number, false, decimals)).max()?;
    Some(Form::Number(Number { least, most, step: 1, decimals, among: Some(among) }))
}

fn digits_of(form: &Form) -> String {
    match form {
        Form::Integer(range) => {
            let longest = range.least.unsigned_abs().max(range.most.unsigned_abs());
            format!("{longest} either way")
        }
        Form::Number(number) | Form::Decimal(number) => {
            format!("{} digits before the point and {} after it", number.digits() - number.decimals, number.decimals)
        }
        _ => String::new(),
    }
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
