//! The config.json of a model, made from its manifest and from what all of the family share.

use serde_json::{Value, json};

use super::{Audio, Entry, Text, Vision};
use crate::base::model::ImageAttention;

const VOCABULARY: usize = 262_144;

impl Entry {
    /// The text of config.json.
    pub fn config_json(&self) -> String {
        let config = json!({
            "architectures": ["Gemma4ForConditionalGeneration"],
            "model_type": "gemma4",
            "dtype": "bfloat16",
            "tie_word_embeddings": true,
            "text_config": text(&self.text, self.context),
            "vision_config": vision(&self.vision),
            "audio_config": self.audio.as_ref().map(audio),
            "boi_token_id": 255_999,
            "boa_token_id": 256_000,
            "image_token_id": 258_880,
            "audio_token_id": 258_881,
            "eoi_token_id": 258_882,
            "eoa_token_id": 258_883,
            "video_token_id": 258_884,
            "eos_token_id": [1, 106],
        });
        format!("{config:#}\n")
    }
}

fn text(text: &Text, context: usize) -> Value {
    let full = |layer: usize| (layer + 1).is_multiple_of(text.full_attention_every) || layer + 1 == text.layers;
    let kinds = (0..text.layers).map(|layer| if full(layer) { "full_attention" } else { "sliding_attention" });
    json!({
        "model_type": "gemma4_text",
        "vocab_size": VOCABULARY,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size": text.hidden_size,
        "hidden_size_per_layer_input": text.per_layer_size,
        "intermediate_size": text.intermediate_size,
        "use_double_wide_mlp": text.double_wide_mlp,
        "num_hidden_layers": text.layers,
        "layer_types": kinds.collect::<Vec<_>>(),
        "num_attention_heads": text.heads,
        "num_key_value_heads": text.kv_heads,
        "num_global_key_value_heads": text.full_kv_heads,
        "head_dim": 256,
        "global_head_dim": 512,
        "attention_bias": false,
        "attention_k_eq_v": text.keys_are_values,
        "num_kv_shared_layers": text.kv_shared_layers,
        "sliding_window": text.sliding_window,
        "max_position_embeddings": context,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "final_logit_softcapping": 30.0,
        "use_bidirectional_attention": match text.image_attention {
            ImageAttention::Causal => None,
            ImageAttention::Bidirectional => Some("vision"),
        },
        "enable_moe_block": text.experts.is_some(),
        "num_experts": text.experts.map(|experts| experts.count),
        "top_k_experts": text.experts.map(|experts| experts.active),
        "moe_intermediate_size": text.experts.map(|experts| experts.intermediate_size),
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            "full_attention": {
                "rope_type": "proportional", "rope_theta": 1_000_000.0, "partial_rotary_factor": 0.25,
            },
        },
        "tie_word_embeddings": true,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    })
}

fn vision(vision: &Vision) -> Value {
    json!({
        "model_type": "gemma4_vision",
        "hidden_size": vision.hidden_size,
        "intermediate_size": vision.intermediate_size,
        "num_hidden_layers": vision.layers,
        "num_attention_heads": vision.heads,
        "num_key_value_heads": vision.heads,
        "head_dim": vision.head_dim,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "attention_bias": false,
        "patch_size": 16,
        "pooling_kernel_size": 3,
        "position_embedding_size": 10_240,
        "rope_parameters": {"rope_type": "axial", "rope_theta": 100.0},
        "use_clipped_linears": vision.clipped_linears,
        "standardize": vision.standardized,
    })
}

fn audio(audio: &Audio) -> Value {
    json!({
        "model_type": "gemma4_audio",
        "hidden_size": audio.hidden_size,
        "num_hidden_layers": audio.layers,
        "num_attention_heads": audio.heads,
        "output_proj_dims": audio.output_size,
        "hidden_act": "silu",
        "subsampling_conv_channels": [128, 32],
        "conv_kernel_size": 5,
        "residual_weight": 0.5,
        "attention_chunk_size": 12,
        "attention_context_left": 13,
        "attention_context_right": 0,
        "attention_logit_cap": 50.0,
        "attention_invalid_logits_value": -1e9,
        "use_clipped_linears": true,
        "rms_norm_eps": 1e-6,
        "gradient_clipping": 1e10,
    })
}
