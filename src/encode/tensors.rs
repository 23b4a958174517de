//! `lapidary encode`: what the model would receive, as a safetensors file that anyone can look into.
//!
//! The tensors of one unit have the names of [`crate::base::tensors`]; of several units the names begin with `unit0.`,
//! `unit1.` and so on. The metadata say which unit is whose.

use std::collections::HashMap;

use crate::base::{Fatal, Origin, Prompt, place::Place, tensors::tensors};

/// Writes the prompts of some units.
pub fn write(place: &Place, units: &[(Origin, Prompt)]) -> Result<(), Fatal> {
    let path = place.path();
    let (mut all, mut metadata) = (Vec::new(), HashMap::new());
    for (number, (origin, prompt)) in units.iter().enumerate() {
        let prefix = if units.len() == 1 { String::new() } else { format!("unit{number}.") };
        metadata.extend(facts(&prefix, origin, prompt));
        all.extend(tensors(prompt).into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)));
    }
    safetensors::serialize_to_file(all, Some(metadata), path)
        .map_err(|error| Fatal::new(format!("cannot write `{}`: {error}", path.display()), "choose another --output"))
}

fn facts(prefix: &str, origin: &Origin, prompt: &Prompt) -> [(String, String); 4] {
    let source = &origin.source;
    [
        (format!("{prefix}source"), source.name.clone()),
        (format!("{prefix}hash"), source.hash.to_string()),
        (format!("{prefix}part"), origin.part.to_string()),
        (format!("{prefix}budget"), prompt.budget.to_string()),
    ]
}
