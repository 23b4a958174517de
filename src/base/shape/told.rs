//! What a place may hold, in words: its bounds as they are enforced, for people who read a schema's review.

use super::{
    decimal,
    node::{Form, Integer, Number, Text},
};

/// Options that are named before only their number is told.
const NAMED: usize = 6;

/// The bounds of a place; empty where there is nothing to tell.
pub fn bounds(form: &Form) -> String {
    match form {
        Form::Text(text) => of_text(text),
        Form::Choice(choice) => one_of(&choice.options),
        Form::List(list) => between(list.least, list.most, "items"),
        Form::Map(map) => {
            format!("{}, names of up to {} characters", between(map.least, map.most, "entries"), map.longest_key)
        }
        Form::Union(union) => {
            let names: Vec<&String> = union.variants.iter().flat_map(|variant| &variant.names).collect();
            format!("told apart by `{}`: {}", union.tag, one_of(&names))
        }
        Form::Integer(range) => of_integer(range),
        Form::Number(range) | Form::Decimal(range) => of_number(range),
        Form::Json(json) => format!("JSON text: {}", json.why),
        Form::Boolean(only) => only.map_or_else(String::new, |only| only.to_string()),
        Form::Object(_) | Form::Date | Form::DateTime | Form::Nothing => String::new(),
    }
}

fn of_text(text: &Text) -> String {
    let format = text.format.iter().map(|format| format!("format `{format}`"));
    let pattern = text.pattern.iter().map(|pattern| format!("pattern `{pattern}`"));
    let all = [between(text.shortest, text.longest, "characters")].into_iter().chain(format).chain(pattern);
    all.collect::<Vec<_>>().join(", ")
}

fn between(least: u64, most: u64, what: &str) -> String {
    match least {
        0 => format!("at most {most} {what}"),
        _ if least == most => format!("exactly {most} {what}"),
        _ => format!("{least} to {most} {what}"),
    }
}

fn one_of<T: std::fmt::Display>(options: &[T]) -> String {
    match options.len() {
        count if count > NAMED => format!("one of {count} values"),
        _ => options.iter().map(T::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn of_integer(range: &Integer) -> String {
    if let Some(values) = &range.among {
        return one_of(values);
    }
    let step = range.step.map(|step| format!(", in steps of {step}")).unwrap_or_default();
    format!("{} to {}{step}", range.least, range.most)
}

fn of_number(range: &Number) -> String {
    if let Some(values) = &range.among {
        return one_of(values);
    }
    let [least, most, step] =
        [range.least, range.most, i128::from(range.step)].map(|units| decimal::text(units, range.decimals));
    format!("{least} to {most}, in steps of {step}")
}
