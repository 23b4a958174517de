//! The boxes of a record on its page: `box_2d` as the model gives it, `[y0, x0, y1, x1]` on a grid of 0 to 1000 over the
//! whole picture, becomes fractions of its width and height.
//!
//! A picture reaches the model whole: it is resized, each side on its own, but never cropped or padded, so that its own
//! shares are those of the page as displayed. A picture that a ladder has turned is turned back; boxes on tiles or on several
//! pages cannot be told apart, and there are none.

use serde_json::Value;

use super::pointer;
use crate::base::{
    PageBox, Part, Shape,
    ladder::Rung,
    shape::{Field, Form, Integer, Node, Union},
};

/// The name that Gemma gives to boxes.
const NAME: &str = "box_2d";

/// Steps of the grid along each side.
const GRID: i64 = 1000;

/// A pointer, and a box on the picture as shown.
type Found = (String, [f32; 4]);

/// All boxes of the record of a part, in order, on the page as it was before the rung changed it.
pub fn of(fields: &[Field], record: &Value, rung: &Rung, part: Part) -> Vec<PageBox> {
    let mut found = Vec::new();
    if rung.tiles.is_none() && !matches!(part, Part::Pages { .. }) {
        in_fields(fields, record, "", &mut found);
    }
    let degrees = rung.rotate.unwrap_or(0);
    found.into_iter().map(|(path, bounds)| PageBox { path, part, bounds: turned_back(bounds, degrees) }).collect()
}

/// True when records of this shape have boxes.
pub fn asks_for_boxes(shape: &Shape) -> bool {
    shape.fields().iter().any(holds_box)
}

fn holds_box(field: &Field) -> bool {
    (field.name == NAME && is_box(&field.node)) || has_box_inside(&field.node)
}

fn has_box_inside(node: &Node) -> bool {
    match &node.form {
        Form::Object(fields) | Form::Union(Union { columns: fields, .. }) => fields.iter().any(holds_box),
        Form::List(list) => has_box_inside(&list.item),
        Form::Map(map) => has_box_inside(&map.value),
        _ => false,
    }
}

/// `[left, top, right, bottom]` of a picture that was turned clockwise, on the picture as it was.
fn turned_back([left, top, right, bottom]: [f32; 4], degrees: u32) -> [f32; 4] {
    match degrees {
        90 => [top, 1.0 - right, bottom, 1.0 - left],
        180 => [1.0 - right, 1.0 - bottom, 1.0 - left, 1.0 - top],
        270 => [1.0 - bottom, left, 1.0 - top, right],
        _ => [left, top, right, bottom],
    }
}

fn in_fields(fields: &[Field], record: &Value, at: &str, found: &mut Vec<Found>) {
    for field in fields {
        let Some(value) = record.get(&field.name) else { continue };
        let path = pointer::below(at, &field.name);
        if field.name == NAME && is_box(&field.node) {
            found.extend(bounds(value).map(|bounds| (path, bounds)));
        } else {
            in_node(&field.node, value, &path, found);
        }
    }
}

fn in_node(node: &Node, value: &Value, at: &str, found: &mut Vec<Found>) {
    match (&node.form, value) {
        (Form::Object(fields) | Form::Union(Union { columns: fields, .. }), Value::Object(_)) => {
            in_fields(fields, value, at, found);
        }
        (Form::Map(map), Value::Object(entries)) => {
            entries.iter().for_each(|(name, entry)| in_node(&map.value, entry, &pointer::below(at, name), found));
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn grid() -> Value {
        let corners = json!({ "type": "integer", "minimum": 0, "maximum": 1000 });
        json!({ "type": "array", "items": corners, "minItems": 4, "maxItems": 4 })
    }

    fn boxes(rung: &Rung) -> Vec<PageBox> {
        let schema = json!({ "type": "object", "properties": { "box_2d": grid() } });
        let shape = Shape::compile(&schema).unwrap();
        assert!(asks_for_boxes(&shape));
        of(shape.fields(), &json!({ "box_2d": [100, 200, 300, 600] }), rung, Part::Whole)
    }

    #[test]
    fn boxes_of_a_turned_picture_are_turned_back() {
        let on = |rotate| boxes(&Rung { rotate, ..Rung::default() })[0].bounds;
        let close = |found: [f32; 4], wanted: [f32; 4]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(on(None), [0.2, 0.1, 0.6, 0.3]));
        // What is at the top of a picture turned clockwise by 90 degrees was at its left.
        assert!(close(on(Some(90)), [0.1, 0.4, 0.3, 0.8]), "{:?}", on(Some(90)));
        assert!(close(on(Some(180)), [0.4, 0.7, 0.8, 0.9]), "{:?}", on(Some(180)));
        assert!(close(on(Some(270)), [0.7, 0.2, 0.9, 0.6]), "{:?}", on(Some(270)));
    }

    #[test]
    fn boxes_of_variants_and_in_maps_are_found() {
        let variant = |kind: &str, name: &str, value: Value| {
            let properties = json!({ "kind": { "const": kind }, name: value });
            json!({ "type": "object", "properties": properties, "required": ["kind", name] })
        };
        let (seal, note) = (variant("seal", "box_2d", grid()), variant("note", "text", json!({ "type": "string" })));
        let one = json!({ "oneOf": [seal, note] });
        let map = json!({ "type": "object", "additionalProperties": one });
        let schema = |name: &str, node: &Value| json!({ "type": "object", "properties": { name: node } });
        let seal = json!({ "kind": "seal", "box_2d": [100, 200, 300, 600], "text": null });
        let note = json!({ "kind": "note", "box_2d": null, "text": "paid" });
        for (name, node, record, path) in [
            ("mark", &one, json!({ "mark": seal }), "/mark/box_2d"),
            ("marks", &map, json!({ "marks": { "a/b~": seal, "c": note } }), "/marks/a~1b~0/box_2d"),
        ] {
            let shape = Shape::compile(&schema(name, node)).unwrap();
            assert!(asks_for_boxes(&shape), "{name}");
            let found = of(shape.fields(), &record, &Rung::default(), Part::Whole);
            let bounds = [0.2, 0.1, 0.6, 0.3];
            assert_eq!(found, [PageBox { path: path.to_owned(), part: Part::Whole, bounds }], "{name}");
        }
    }

    #[test]
    fn boxes_on_tiles_have_no_place_on_the_page() {
        assert_eq!(boxes(&Rung { tiles: Some(2), ..Rung::default() }), []);
    }
}
