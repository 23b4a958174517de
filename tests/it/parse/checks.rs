//! Checks across fields: what they say of records, and what is wrong with them before any record.

use lapidary::{
    base::Shape,
    parse::{Check, CheckSettings},
};
use serde_json::{Value, json};

fn shape() -> Shape {
    let line =
        json!({"type": "object", "properties": {"what": {"type": "string"}, "price": {"type": ["number", "null"]}}});
    let codes = json!({"type": "array", "items": {"type": "string"}});
    let schema = json!({"type": "object", "properties": {
        "vendor": {"type": ["string", "null"]},
        "number": {"type": "string"},
        "day": {"type": ["string", "null"], "format": "date"},
        "due": {"type": ["string", "null"], "format": "date"},
        "lines": {"type": "array", "items": line},
        "address": {"type": "object", "properties": {"city": {"type": ["string", "null"]}, "codes": codes}},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "total": {"type": ["number", "null"]}
    }});
    Shape::compile(&schema).unwrap()
}

fn settings(toml: &str) -> CheckSettings {
    toml::from_str(toml).unwrap()
}

fn judged(check: &str, record: &Value) -> Option<bool> {
    let checks = Check::all(&[settings(&format!("name = 'c'\n{check}"))], &shape()).unwrap();
    checks[0].judge(record).passed
}

fn problems(check: &str) -> String {
    Check::all(&[settings(check)], &shape()).unwrap_err().join("\n")
}

#[test]
fn sums_are_made_in_decimals_within_a_tolerance() {
    let exact = "sum = ['/lines/*/price']\nequals = '/total'";
    let record = |prices: &[f64], total: Value| json!({"lines": prices.iter().map(|price| json!({"price": price})).collect::<Vec<_>>(), "total": total});
    assert_eq!(judged(exact, &record(&[0.1, 0.2], json!(0.3))), Some(true));
    assert_eq!(judged(exact, &record(&[0.1, 0.2], json!(0.31))), Some(false));
    assert_eq!(judged(&format!("{exact}\ntolerance = 0.01"), &record(&[0.1, 0.2], json!(0.31))), Some(true));
    assert_eq!(judged(exact, &record(&[0.1], Value::Null)), None);
    assert_eq!(judged(exact, &record(&[], json!(0))), None);
    assert_eq!(judged(exact, &json!({"lines": [{"price": 1}, {"price": null}], "total": 1})), None);
}

#[test]
fn dates_come_in_order() {
    let check = "order = ['/day', '/due']";
    assert_eq!(judged(check, &json!({"day": "2026-01-31", "due": "2026-02-01"})), Some(true));
    assert_eq!(judged(check, &json!({"day": "2026-02-01", "due": "2026-02-01"})), Some(true));
    assert_eq!(judged(check, &json!({"day": "2026-02-02", "due": "2026-02-01"})), Some(false));
    assert_eq!(judged(check, &json!({"day": "2026-02-02", "due": null})), None);
    let rising = "order = ['/lines/*/price']";
    assert_eq!(judged(rising, &json!({"lines": [{"price": 9}, {"price": 10.5}, {"price": 2}]})), Some(false));
}

#[test]
fn strings_match_and_values_are_present() {
    let check = "matches = '/number'\npattern = '^R-[0-9]{4}$'";
    assert_eq!(judged(check, &json!({"number": "R-0417"})), Some(true));
    assert_eq!(judged(check, &json!({"number": "R-0417b"})), Some(false));
    assert_eq!(judged("present = '/vendor'", &json!({"vendor": " "})), Some(false));
    assert_eq!(judged("present = '/vendor'", &json!({"vendor": null})), Some(false));
    assert_eq!(judged("present = '/lines'", &json!({"lines": [{}]})), Some(true));
}

#[test]
fn what_holds_nothing_is_not_present() {
    for (path, record, is_present) in [
        ("/address", json!({"address": {"city": null, "codes": []}}), false),
        ("/address", json!({"address": {"city": " ", "codes": null}}), false),
        ("/address", json!({"address": {"city": "Ulm", "codes": []}}), true),
        ("/counts", json!({"counts": {}}), false),
        ("/counts", json!({"counts": {"a": 0}}), true),
        ("/lines", json!({"lines": []}), false),
        ("/lines/*", json!({"lines": [{"what": "tea"}, {"what": null, "price": null}]}), false),
        ("/lines/*", json!({"lines": [{"what": "tea"}, {"what": null, "price": 0}]}), true),
    ] {
        assert_eq!(judged(&format!("present = '{path}'"), &record), Some(is_present), "{path} in {record}");
    }
}

#[test]
fn every_problem_is_found_before_the_first_record() {
    for (check, problem) in [
        ("name = 'a'", "one of `sum`"),
        ("name = 'a'\npresent = '/no/such'", "`/no/such` leads nowhere"),
        ("name = 'a'\npresent = '/lines/0/what'", "`/lines/0/what` leads nowhere"),
        ("name = 'a'\npresent = 'vendor'", "leads nowhere"),
        ("name = 'a'\nsum = ['/vendor']\nequals = '/total'", "`/vendor` is no number"),
        ("name = 'a'\nsum = ['/total']", "needs `equals`"),
        ("name = 'a'\nsum = ['/total']\nequals = '/lines/*/price'", "the total is one value"),
        ("name = 'a'\nsum = ['/total']\nequals = '/total'\ntolerance = -1.0", "from 0 up"),
        ("name = 'a'\nsum = ['/total']\nequals = '/total'\ntolerance = nan", "from 0 up"),
        ("name = 'a'\nmatches = '/number'\npattern = '('", "unclosed group"),
        ("name = 'a'\nmatches = '/total'\npattern = 'x'", "`/total` is no string"),
        ("name = 'a'\norder = ['/day']", "two paths"),
        ("name = 'a'\norder = ['/day', '/total']", "several kinds"),
        ("name = 'a'\npresent = '/day'\ntolerance = 1.0", "no effect"),
        ("present = '/day'", "a name of its own"),
    ] {
        let found = problems(check);
        assert!(found.contains(problem), "{check}: {found}");
    }
}
