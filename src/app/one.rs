//! One item through one stage at a time, without a line.

use crate::base::{Emit, Fault, FaultKind, Item, Origin, Stage, StageName};

/// Takes the one item that comes, or why it does not.
pub struct One<T>(Option<Result<Item<T>, Fault>>);

impl<T> Default for One<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> One<T> {
    /// What `stage` makes of `item`.
    pub fn through<S: Stage<Out = T>>(stage: &mut S, item: Item<S::In>) -> Result<Item<T>, Fault> {
        let mut one = Self::default();
        stage.process(item, &mut one)?;
        one.settled()
    }

    /// What came.
    pub fn settled(self) -> Result<Item<T>, Fault> {
        self.0.unwrap_or_else(|| {
            Err(Fault::new(StageName::Decode, FaultKind::Empty, "the file has no such part any more", ""))
        })
    }
}

impl<T> Emit<T> for One<T> {
    fn item(&mut self, item: Item<T>) {
        self.0.get_or_insert(Ok(item));
    }

    fn fault(&mut self, _: &Origin, fault: Fault) {
        self.0.get_or_insert(Err(fault));
    }

    fn open(&self) -> bool {
        true
    }
}
