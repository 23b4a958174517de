//! The encoders' own thread, ahead of admission: prompts in, prompts with features out, in the same order. Where it
//! comes out stands a bounded queue, so it works ahead as far as that is long, and pixels become features there.

use crossbeam::{
    channel::{Receiver, Sender},
    select,
};

use super::{encoders::Encoders, engine::EngineError};
use crate::base::{Item, Prompt};

/// A prompt that is ready for a slot, or is to fail.
pub(super) struct Ready {
    pub(super) item: Item<Prompt>,
    /// Why it cannot be encoded.
    pub(super) error: Option<EngineError>,
}

impl From<Item<Prompt>> for Ready {
    fn from(item: Item<Prompt>) -> Self {
        Self { item, error: None }
    }
}

/// What the thread owns.
pub(super) struct Ahead {
    pub(super) encoders: Box<dyn Encoders>,
    pub(super) input: Receiver<Item<Prompt>>,
    pub(super) output: Sender<Ready>,
    /// Closed when nobody takes from the other end any more.
    pub(super) ended: Receiver<()>,
}

impl Ahead {
    /// Works until the input is closed and all its prompts are handed on, or until nobody wants them.
    pub(super) fn run(mut self) {
        while let Some(first) = self.next() {
            let batch = self.gather(first);
            for ready in self.encode(batch) {
                if self.output.send(ready).is_err() {
                    return;
                }
            }
        }
    }

    fn next(&self) -> Option<Item<Prompt>> {
        select! {
            recv(self.input) -> item => item.ok(),
            recv(self.ended) -> _ => None,
        }
    }

    /// Prompts that wait already, as long as their pictures had better go through one run: nobody waits for company. A
    /// prompt without pictures goes on at once.
    fn gather(&self, first: Item<Prompt>) -> Vec<Item<Prompt>> {
        let (mut patches, mut largest) = (first.body.patches(), first.body.patches());
        let mut batch = vec![first];
        // The next one is taken to be as large as the largest so far, since it cannot be put back.
        while largest > 0 && patches + largest <= self.encoders.patches_together() && batch.len() < self.most() {
            let Ok(item) = self.input.try_recv() else { break };
            patches += item.body.patches();
            largest = largest.max(item.body.patches());
            batch.push(item);
        }
        batch
    }

    /// Prompts that are held besides those that wait on either side.
    fn most(&self) -> usize {
        self.output.capacity().unwrap_or(1)
    }

    fn encode(&mut self, batch: Vec<Item<Prompt>>) -> Vec<Ready> {
        let mut batch: Vec<Ready> = batch.into_iter().map(Ready::from).collect();
        let mut with_media: Vec<&mut Ready> = batch.iter_mut().filter(|ready| ready.item.body.has_media()).collect();
        if with_media.is_empty() {
            return batch;
        }
        let mut prompts: Vec<&mut Prompt> = with_media.iter_mut().map(|ready| &mut ready.item.body).collect();
        let results = self.encoders.encode(&mut prompts);
        for (ready, result) in with_media.into_iter().zip(results) {
            ready.error = result.err();
            ready.item.lease.resize(ready.item.body.bytes());
        }
        batch
    }
}
