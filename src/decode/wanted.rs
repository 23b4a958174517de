//! What is wanted of a document on one attempt.

use std::sync::Arc;

use crate::base::{
    Budget, Document, Item, Part, Source, Unit,
    ladder::{Rung, Rungs},
};

use super::order::Order;

/// A document, the rung that it stands on, and the part of it that is wanted.
pub struct Wanted<'a> {
    /// The document.
    pub source: &'a Arc<Source>,
    /// How often it was tried before.
    pub attempt: u8,
    rung: Rung,
    /// The one part that is wanted; all of them where the item is the document as a whole.
    pub only: Option<Part>,
}

impl<'a> Wanted<'a> {
    /// What an item asks for.
    pub fn of(item: &'a Item<Document>, rungs: &Rungs) -> Self {
        let Item { origin, attempt, .. } = item;
        let only = (origin.part != Part::Whole).then_some(origin.part);
        Self { source: &origin.source, attempt: *attempt, rung: rungs.at(*attempt), only }
    }

    /// The order as the rung has it.
    pub fn ordered(&self, mut order: Order) -> Order {
        order.render.page_budget = self.rung.budget.map_or(order.render.page_budget, Budget::Tokens);
        order.tiles = self.rung.tiles.unwrap_or(1);
        order.ahead = self.rung.shift.unwrap_or(0.0);
        order
    }

    /// Pages and pictures as the rung turns them; their text layer keeps its places.
    pub fn turned(&self, unit: Unit) -> Unit {
        let Some(degrees) = self.rung.rotate else { return unit };
        unit.turned(degrees)
    }
}
