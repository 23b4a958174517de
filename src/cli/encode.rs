//! `lapidary encode`: what the model would receive, as safetensors.

use super::{Ended, args::EncodeArguments, print};
use crate::{
    app::{
        encode::{self, Encoded},
        pipeline::Overrides,
        plan::Request,
    },
    base::{Fatal, place::Place},
    encode::tensors,
};

pub fn run(arguments: &EncodeArguments) -> Result<Ended, Fatal> {
    let request = Request {
        pipeline: arguments.pipeline.clone(),
        model: arguments.model.clone(),
        overrides: Overrides { budget: arguments.budget, pages: arguments.pages.clone() },
        sandbox: arguments.sandbox.wanted(),
    };
    let place = Place::at(&arguments.output)?;
    let encoded = encode::encode(&request, arguments.inputs.plain())?;
    tensors::write(&place, &encoded.prompts)?;
    report(&encoded);
    let output = arguments.output.display();
    print::note(&format!("{} units written to {output}, {} failed", encoded.prompts.len(), encoded.failures.len()));
    Ok(if encoded.failures.is_empty() { Ended::Well } else { Ended::WithFailures })
}

fn report(encoded: &Encoded) {
    for (origin, prompt) in &encoded.prompts {
        let (tokens, image, audio) = (prompt.tokens.len(), prompt.image_tokens(), prompt.audio_tokens());
        print::note(&format!("{origin}: {tokens} tokens, of them {image} of pictures and {audio} of sound"));
    }
    for failure in &encoded.failures {
        print::fault(&format!(
            "{} ({}): {} (hint: {})",
            failure.source, failure.part, failure.fault, failure.fault.hint
        ));
    }
}
