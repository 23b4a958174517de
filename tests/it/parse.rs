//! `base::shape` and `parse`: schemas are understood or refused, answers settle into records.

mod catalogue;
mod checks;
mod evidence;
pub mod guide;
pub mod parser;
mod schemas;
mod shape;
