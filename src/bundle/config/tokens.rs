//! Ids with a meaning, under the names that different versions of transformers give them.

use super::raw::{OneOrMany, RawConfig};
use crate::base::model::TokenIds;

/// Collects the ids; what is left out has the value that Gemma 4's vocabulary gives it.
pub(super) fn tokens(raw: &RawConfig) -> TokenIds {
    let text = raw.text_config.as_ref();
    let eos = raw.eos_token_id.clone().or_else(|| text.and_then(|text| text.eos_token_id.clone()));
    TokenIds {
        pad: text.and_then(|text| text.pad_token_id).unwrap_or(0),
        bos: text.and_then(|text| text.bos_token_id).unwrap_or(2),
        eos: eos.map_or(vec![1], OneOrMany::list),
        image: raw.image_token_id.unwrap_or(258_880),
        begin_image: raw.boi_token_id.unwrap_or(255_999),
        end_image: raw.eoi_token_id.unwrap_or(258_882),
        video: raw.video_token_id.unwrap_or(258_884),
        audio: raw.audio_token_id.unwrap_or(258_881),
        begin_audio: raw.boa_token_id.unwrap_or(256_000),
        end_audio: raw.eoa_token_id.or(raw.eoa_token_index).unwrap_or(258_883),
    }
}

/// Says which of the ids that the model will meet lie outside its vocabulary.
pub(super) fn problems(raw: &RawConfig, ids: &TokenIds, vocab_size: usize) -> Vec<String> {
    let mut named = vec![("pad_token_id", ids.pad), ("bos_token_id", ids.bos)];
    named.extend(ids.eos.iter().map(|&id| ("eos_token_id", id)));
    if raw.vision_config.is_some() {
        let image = [("image_token_id", ids.image), ("video_token_id", ids.video)];
        named.extend(image.into_iter().chain([("boi_token_id", ids.begin_image), ("eoi_token_id", ids.end_image)]));
    }
    if raw.audio_config.is_some() {
        named.extend([
            ("audio_token_id", ids.audio),
            ("boa_token_id", ids.begin_audio),
            ("eoa_token_id", ids.end_audio),
        ]);
    }
    let outside = named.into_iter().filter(|&(_, id)| id as usize >= vocab_size);
    let mut problems: Vec<String> =
        outside.map(|(name, id)| format!("{name} {id} is outside the vocabulary of {vocab_size}")).collect();
    if let (Some(one), Some(other)) = (raw.eoa_token_id, raw.eoa_token_index)
        && one != other
    {
        problems.push(format!("eoa_token_id {one} contradicts eoa_token_index {other}"));
    }
    problems
}
