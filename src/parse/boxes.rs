//! The boxes of a record on its page: `box_2d` as the model gives it, `[y0, x0, y1, x1]` on a grid of 0 to 1000 over the
//! whole picture, becomes fractions of its width and height.
//!
//! A picture reaches the model whole: it is resized, each side on its own, but never cropped, padded or turned, so that
//! its own shares are those of the page as displayed.

use serde_json::Value;

use crate::base::{
    PageBox,
    shape::{Field, Form, Integer, Node},
};

/// The name that Gemma gives to boxes.
const NAME: &str = "box_2d";

/// Steps of the grid along each side.
const GRID: i64 = 1000;

/// All boxes of a record, in order.
pub fn of(fields: &[Field], record: &Value) -> Vec<PageBox> {
    let mut found = Vec::new();
    in_fields(fields, record, "", &mut found);
    found
}

fn in_fields(fields: &[Field], record: &Value, at: &str, found: &mut Vec<PageBox>) {
    for field in fields {
        let Some(value) = record.get(&field.name) else { continue };
        let path = format!("{at}/{}", field.name.replace('~', "~0").replace('/', "~1"));
        if field.name == NAME && is_box(&field.node) {
            found.extend(bounds(value).map(|bounds| PageBox { path, bounds }));
        } else {
            in_node(&field.node, value, &path, found);
        }
    }
}

fn in_node(node: &Node, value: &Value, at: &str, found: &mut Vec<PageBox>) {
    match (&node.form, value) {
        (Form::Object(fields), Value::Object(_)) => in_fields(fields, value, at, found),
        (Form::List(list), Value::Array(items)) => {
            items
                .iter()
                .enumerate()
                .for_each(|(place, item)| in_node(&list.item, item, &format!("{at}/{place}"), found));
        }
        _ => {}
    }
}

/// Four whole numbers from 0 to 1000; whatever else has the name is a value like others.
fn is_box(node: &Node) -> bool {
    let Form::List(list) = &node.form else { return false };
    let on_grid = |range: &Integer| range.least >= 0 && range.most <= GRID;
    let grid = matches!(&list.item.form, Form::Integer(range) if on_grid(range));
    grid && !list.item.nullable && (list.least, list.most) == (4, 4)
}

/// Corners that come in the wrong order are put right.
fn bounds(value: &Value) -> Option<[f32; 4]> {
    let sides: Option<Vec<f32>> =
        value.as_array()?.iter().map(|side| side.as_i64().map(|side| side as f32 / GRID as f32)).collect();
    let &[y0, x0, y1, x1] = sides?.as_slice() else { return None };
    Some([x0.min(x1), y0.min(y1), x0.max(x1), y0.max(y1)])
}
