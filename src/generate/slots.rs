//! Makes the slots of a decoder in the form that it can use, and says how much of a prompt it is given at once.

use super::{
    decoder::Decoder,
    embedder::Embedder,
    footprint,
    ort_engine::EngineSettings,
    probe::{self, Verdict},
};
use crate::base::{Fatal, Model, model::Layout};

/// Most bytes of the logits that one prefill call computes, where the graph cannot leave out those of all positions but
/// the last.
const LOGITS_BYTES: usize = 64 << 20;

/// What the card says where buffers cannot be shared.
const GROWING: &str = "keys and values grow with each step and slots are decoded one by one, since this decoder cannot \
                       write them into shared buffers";

/// Our own graphs are tested; others are asked. Returns what is worth knowing.
///
/// # Errors
/// When memory is short, or the decoder cannot be run at all.
pub(super) fn make(
    decoder: &mut Decoder,
    embedder: &mut Embedder,
    model: &Model,
    settings: EngineSettings,
) -> Result<Option<String>, Fatal> {
    let room = footprint::room(&model.manifest, settings.context, settings.prefill_chunk);
    let verdict = match model.layout {
        Layout::Bundle => Verdict::Shares,
        Layout::Community | Layout::Mobius => probe::probe(decoder, embedder, &model.manifest)?,
    };
    match verdict {
        Verdict::Shares => decoder.share(settings.slots, room).map(|_| None),
        Verdict::Grows(why) => {
            tracing::debug!(target: "generate", why, "no shared buffers");
            decoder.grow(settings.slots);
            Ok(Some(GROWING.to_owned()))
        }
    }
}

/// Prompt tokens of one prefill call.
pub(super) fn prefill_chunk(decoder: &Decoder, model: &Model, settings: EngineSettings) -> usize {
    bounded(settings.prefill_chunk, decoder.can_keep_last(), model.manifest.text.vocab_size)
}

fn bounded(chunk: usize, can_keep_last: bool, vocabulary: usize) -> usize {
    let most = LOGITS_BYTES / (size_of::<f32>() * vocabulary.max(1));
    chunk.min(if can_keep_last { usize::MAX } else { most }).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_that_gives_all_logits_is_given_shorter_chunks() {
        assert_eq!(bounded(256, true, 262_144), 256);
        assert_eq!(bounded(256, false, 262_144), 64, "64 x 262144 x 4 bytes are 64 MiB");
        assert_eq!(bounded(16, false, 262_144), 16);
        assert_eq!(bounded(256, false, usize::MAX / 8), 1);
    }
}
