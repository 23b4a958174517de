//! The words of a shape: what a value may be, and how far it may go.

use serde_json::{Number as JsonNumber, Value};

/// A named value of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The property's name.
    pub name: String,
    /// False for a property that the schema does not require: the guide asks for it all the same, and allows `null`.
    pub required: bool,
    /// What its value may be.
    pub node: Node,
}

impl Field {
    /// True when a row may hold nothing here.
    pub fn may_be_null(&self) -> bool {
        self.node.nullable || !self.required
    }
}

/// A place in the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What the value is.
    pub form: Form,
    /// True when the schema itself allows `null`.
    pub nullable: bool,
    /// The schema's `description`, else its `title`.
    pub description: Option<String>,
}

impl Node {
    /// A place without a description.
    pub fn new(form: Form, nullable: bool) -> Self {
        Self { form, nullable, description: None }
    }

    /// Places in the tree from here on, this one among them.
    pub fn places(&self) -> usize {
        1 + match &self.form {
            Form::Object(fields) => places_of(fields),
            Form::Union(union) => {
                let variants = union.variants.iter().map(|variant| places_of(&variant.fields));
                variants.sum::<usize>() + places_of(&union.columns)
            }
            Form::Map(map) => map.value.places(),
            Form::List(list) => list.item.places(),
            Form::Json(json) => json.untyped.places(),
            _ => 0,
        }
    }
}

fn places_of(fields: &[Field]) -> usize {
    fields.iter().map(|field| field.node.places()).sum()
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// An object with these fields, in order.
    Object(Vec<Field>),
    /// An object of any names, whose values are alike.
    Map(Map),
    /// One of several objects, told apart by a tag.
    Union(Union),
    /// An array.
    List(List),
    /// A string of any content.
    Text(Text),
    /// One of some strings.
    Choice(Choice),
    /// A string `2026-11-21`.
    Date,
    /// A string `2026-11-21T09:30:00Z`.
    DateTime,
    /// A whole number that fits 64 bits.
    Integer(Integer),
    /// A number.
    Number(Number),
    /// A number whose schema states its decimals: kept as a decimal, not as the nearest double.
    Decimal(Number),
    /// True or false; only the one that the schema lists, where it lists one.
    Boolean(Option<bool>),
    /// What no column type can hold: kept as compact JSON text.
    Json(Json),
    /// No value at all: what is left of a schema that contains itself where its levels end.
    Nothing,
}

/// An object of any names, with its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// What each value is.
    pub value: Box<Node>,
    /// `minProperties`.
    pub least: u64,
    /// `maxProperties`, or the bound for arrays.
    pub most: u64,
    /// Characters of a name.
    pub longest_key: u64,
}

/// One of several objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Union {
    /// The property whose string says which variant an object is.
    pub tag: String,
    /// The variants, in the order of the schema.
    pub variants: Vec<Variant>,
    /// The fields of all variants, the tag first: what a column of such objects holds.
    pub columns: Vec<Field>,
}

impl Union {
    /// The variant whose tag may be `value`.
    pub fn variant(&self, value: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.names.iter().any(|name| name == value))
    }
}

/// One of the objects of a [`Union`].
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// The strings that its tag may be.
    pub names: Vec<String>,
    /// Its fields, the tag among them.
    pub fields: Vec<Field>,
}

/// A value that is kept as JSON text.
#[derive(Debug, Clone, PartialEq)]
pub struct Json {
    /// Why no column type holds it, for the column's note.
    pub why: String,
    /// What it may be.
    pub untyped: Untyped,
}

/// What a value that is kept as JSON text may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Untyped {
    /// Any of these.
    Either(Vec<Node>),
    /// One of these values.
    Values(Vec<Value>),
    /// An array whose first items are each of their own kind.
    Tuple(Tuple),
    /// What this place says.
    Whole(Box<Node>),
}

impl Untyped {
    fn places(&self) -> usize {
        match self {
            Self::Either(nodes) => nodes.iter().map(Node::places).sum(),
            Self::Values(_) => 0,
            Self::Tuple(tuple) => tuple.first.iter().chain(tuple.rest.as_deref()).map(Node::places).sum(),
            Self::Whole(node) => node.places(),
        }
    }
}

/// An array whose first items are each of their own kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuple {
    /// `prefixItems`.
    pub first: Vec<Node>,
    /// `items`: what may follow.
    pub rest: Option<Box<Node>>,
    /// `minItems`.
    pub least: u64,
    /// `maxItems`, or as many as there are kinds.
    pub most: u64,
}

/// An array with its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// What each item is.
    pub item: Box<Node>,
    /// `minItems`.
    pub least: u64,
    /// `maxItems`, or the bound for arrays without it.
    pub most: u64,
    /// `uniqueItems`.
    pub unique: bool,
}

/// A string with its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// `minLength` in characters.
    pub shortest: u64,
    /// `maxLength` in characters, or the bound for strings without it.
    pub longest: u64,
    /// `pattern`, unanchored as in JSON Schema.
    pub pattern: Option<String>,
    /// A `format` other than `date` and `date-time`.
    pub format: Option<String>,
}

/// One of some strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The strings of `enum`, or the one of `const`.
    pub options: Vec<String>,
}

/// A whole number with its bounds, both inclusive.
#[derive(Debug, Clone, PartialEq)]
pub struct Integer {
    /// Smallest value.
    pub least: i64,
    /// Largest value.
    pub most: i64,
    /// `multipleOf`.
    pub step: Option<u32>,
    /// The only values, where the schema lists them.
    pub among: Option<Vec<i64>>,
}

/// A number between two bounds, both inclusive, in steps. All three are counted in units of the last decimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Smallest value.
    pub least: i128,
    /// Largest value.
    pub most: i128,
    /// Values are multiples of this.
    pub step: u32,
    /// Digits after the point.
    pub decimals: u32,
    /// The only values, where the schema lists them; then the bounds lie around them, and they may have more decimals.
    pub among: Option<Vec<JsonNumber>>,
}

impl Number {
    /// Digits of the longest value, before and after the point.
    pub fn digits(&self) -> u32 {
        let longest = self.least.unsigned_abs().max(self.most.unsigned_abs());
        longest.checked_ilog10().map_or(1, |power| power + 1).max(self.decimals)
    }
}
