//! `lapidary encode` without its command line: what the model would receive for each unit.

use super::{
    make,
    plan::{self, Plan},
};
use crate::{
    base::{ByteBudget, Emit, Failure, Fatal, Fault, Item, Origin, Prompt, Stage, Stop, Unit},
    collect::{Collect, Found, Inputs},
    encode::Encoder,
};

/// Prompts of all units, in order, and what failed on the way.
#[derive(Debug, Default)]
pub struct Encoded {
    /// One per unit.
    pub prompts: Vec<(Origin, Prompt)>,
    /// Units and documents that could not be encoded.
    pub failures: Vec<Failure>,
}

/// Collects, decodes and encodes, one unit after the other. The prompts are held in memory: this is for looking at
/// some units, not at an archive.
pub fn encode(request: &plan::Request, inputs: Inputs) -> Result<Encoded, Fatal> {
    let plan = Plan::new(request)?;
    let mut to_prompts = ToPrompts { encoder: make::encoder(&plan)?, encoded: Encoded::default() };
    let stop = Stop::default();
    let mut decoder = make::decoder(&plan, &ByteBudget::new(u64::MAX), &stop);
    let collect = Collect::new(plan.pipeline.collect.clone(), inputs)
        .map_err(|problems| Fatal::new(problems.join("\n"), "name files, folders or patterns"))?;
    collect.run(&stop, &mut |found| match found {
        Found::Document(item) => {
            let origin = item.origin.clone();
            if let Err(fault) = decoder.process(item, &mut to_prompts) {
                to_prompts.fault(&origin, fault);
            }
        }
        Found::Duplicate(_) => {}
        Found::Failure(failure) => to_prompts.encoded.failures.push(failure),
    });
    Ok(to_prompts.encoded)
}

/// What `decode` emits into: each unit is encoded at once.
struct ToPrompts {
    encoder: Encoder,
    encoded: Encoded,
}

impl Emit<Unit> for ToPrompts {
    fn item(&mut self, item: Item<Unit>) {
        let origin = item.origin.clone();
        match self.encoder.prompt(item.body) {
            Ok(prompt) => self.encoded.prompts.push((origin, prompt)),
            Err(fault) => self.fault(&origin, fault),
        }
    }

    fn fault(&mut self, origin: &Origin, fault: Fault) {
        self.encoded.failures.push(Failure::of(origin, fault));
    }

    fn open(&self) -> bool {
        true
    }
}
