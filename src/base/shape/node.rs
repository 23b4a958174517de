//! The words of a shape: what a value may be, and how far it may go.

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

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// An object with these fields, in order.
    Object(Vec<Field>),
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
    /// True or false.
    Boolean,
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
}

/// A number with its bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// Lower bound.
    pub least: f64,
    /// True for `exclusiveMinimum`.
    pub above: bool,
    /// Upper bound.
    pub most: f64,
    /// True for `exclusiveMaximum`.
    pub below: bool,
    /// `multipleOf`.
    pub step: Option<f64>,
}
