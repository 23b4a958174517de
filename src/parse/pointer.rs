//! JSON Pointers (RFC 6901) into records and into their shape.

pub use crate::base::shape::below;
use crate::base::{
    Shape,
    shape::{Field, Form, Node},
};

/// The steps of a pointer, unescaped; the empty pointer has none.
pub fn steps(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"))
}

/// What the shape says of the value at a pointer. Any step will do as the place in an array.
pub fn node<'a>(shape: &'a Shape, pointer: &str) -> Option<&'a Node> {
    let mut steps = steps(pointer);
    let first = field(shape.fields(), &steps.next()?)?;
    steps.try_fold(first, |node, step| match &node.form {
        Form::Object(fields) => field(fields, &step),
        Form::List(list) => Some(&*list.item),
        Form::Map(map) => Some(&*map.value),
        Form::Union(union) => field(&union.columns, &step),
        _ => None,
    })
}

fn field<'a>(fields: &'a [Field], name: &str) -> Option<&'a Node> {
    fields.iter().find(|field| field.name == name).map(|field| &field.node)
}
