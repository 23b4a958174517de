//! Every tensor of a checkpoint with that configuration, by name (without the leading `model.`) and shape.

use crate::bundle::{AudioConfig, Config, ExpertsConfig, LayerConfig, TextConfig, VisionConfig};

/// Names and shapes as they are collected.
#[derive(Default)]
struct Inventory(Vec<(String, Vec<usize>)>);

/// All tensors of the model.
pub fn inventory(config: &Config) -> Vec<(String, Vec<usize>)> {
    let mut all = Inventory::default();
    all.text(&config.text);
    if let Some(vision) = &config.vision {
        all.vision(vision);
        all.add("embed_vision.embedding_projection.weight", &[config.text.hidden_size, vision.hidden_size]);
    }
    if let Some(audio) = &config.audio {
        all.audio(audio);
        all.add("embed_audio.embedding_projection.weight", &[config.text.hidden_size, audio.output_size]);
    }
    all.0
}

impl Inventory {
    fn add(&mut self, name: impl Into<String>, shape: &[usize]) {
        self.0.push((name.into(), shape.to_vec()));
    }

    fn norms(&mut self, prefix: &str, names: &[&str], width: usize) {
        names.iter().for_each(|name| self.add(format!("{prefix}.{name}.weight"), &[width]));
    }

    fn text(&mut self, text: &TextConfig) {
        let (hidden, layers, size) = (text.hidden_size, text.layers.len(), text.per_layer_size);
        self.add("language_model.embed_tokens.weight", &[text.vocab_size, hidden]);
        self.add("language_model.norm.weight", &[hidden]);
        if !text.tied_head {
            self.add("lm_head.weight", &[text.vocab_size, hidden]);
        }
        if size > 0 {
            self.add("language_model.embed_tokens_per_layer.weight", &[text.vocab_size, layers * size]);
            self.add("language_model.per_layer_model_projection.weight", &[layers * size, hidden]);
            self.add("language_model.per_layer_projection_norm.weight", &[size]);
        }
        for (index, layer) in text.layers.iter().enumerate() {
            self.layer(text, layer, &format!("language_model.layers.{index}"));
        }
    }

    fn layer(&mut self, text: &TextConfig, layer: &LayerConfig, prefix: &str) {
        let (hidden, wide, size) = (text.hidden_size, layer.intermediate_size, text.per_layer_size);
        self.attention(text, layer, &format!("{prefix}.self_attn"));
        let norms =
            ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"];
        self.norms(prefix, &norms, hidden);
        self.add(format!("{prefix}.layer_scalar"), &[1]);
        self.mlp(&format!("{prefix}.mlp"), "", hidden, wide);
        if size > 0 {
            self.add(format!("{prefix}.per_layer_input_gate.weight"), &[size, hidden]);
            self.add(format!("{prefix}.per_layer_projection.weight"), &[hidden, size]);
            self.norms(prefix, &["post_per_layer_input_norm"], hidden);
        }
        if let Some(experts) = &text.experts {
            self.experts(prefix, experts, hidden);
        }
    }

    fn attention(&mut self, text: &TextConfig, layer: &LayerConfig, prefix: &str) {
        let (hidden, width) = (text.hidden_size, layer.head_dim);
        let (queries, keys) = (text.heads * width, layer.kv_heads * width);
        self.add(format!("{prefix}.q_proj.weight"), &[queries, hidden]);
        self.add(format!("{prefix}.o_proj.weight"), &[hidden, queries]);
        self.norms(prefix, &["q_norm"], width);
        if layer.donor.is_some() {
            return;
        }
        self.add(format!("{prefix}.k_proj.weight"), &[keys, hidden]);
        self.norms(prefix, &["k_norm"], width);
        if !layer.keys_are_values {
            self.add(format!("{prefix}.v_proj.weight"), &[keys, hidden]);
        }
    }

    fn experts(&mut self, prefix: &str, experts: &ExpertsConfig, hidden: usize) {
        let (count, wide) = (experts.count, experts.intermediate_size);
        self.add(format!("{prefix}.experts.gate_up_proj"), &[count, 2 * wide, hidden]);
        self.add(format!("{prefix}.experts.down_proj"), &[count, hidden, wide]);
        self.add(format!("{prefix}.router.proj.weight"), &[count, hidden]);
        self.add(format!("{prefix}.router.scale"), &[hidden]);
        self.add(format!("{prefix}.router.per_expert_scale"), &[count]);
        let norms = ["post_feedforward_layernorm_1", "post_feedforward_layernorm_2", "pre_feedforward_layernorm_2"];
        self.norms(prefix, &norms, hidden);
    }

    /// A gated MLP; `inner` stands between a map's name and `weight`.
    fn mlp(&mut self, prefix: &str, inner: &str, hidden: usize, wide: usize) {
        for (name, shape) in [("gate", [wide, hidden]), ("up", [wide, hidden]), ("down", [hidden, wide])] {
            self.add(format!("{prefix}.{name}_proj{inner}.weight"), &shape);
        }
    }

    fn vision(&mut self, vision: &VisionConfig) {
        let hidden = vision.hidden_size;
        let patch = 3 * vision.patch_size * vision.patch_size;
        self.add("vision_tower.patch_embedder.input_proj.weight", &[hidden, patch]);
        self.add("vision_tower.patch_embedder.position_embedding_table", &[2, vision.positions, hidden]);
        if vision.standardized {
            ["std_bias", "std_scale"].iter().for_each(|name| self.add(format!("vision_tower.{name}"), &[hidden]));
        }
        for index in 0..vision.layers {
            self.vision_layer(vision, &format!("vision_tower.encoder.layers.{index}"));
        }
    }

    fn vision_layer(&mut self, vision: &VisionConfig, prefix: &str) {
        let (hidden, width) = (vision.hidden_size, vision.heads * vision.head_dim);
        let norms =
            ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"];
        self.norms(prefix, &norms, hidden);
        self.norms(&format!("{prefix}.self_attn"), &["q_norm", "k_norm"], vision.head_dim);
        for name in ["q", "k", "v"] {
            self.add(format!("{prefix}.self_attn.{name}_proj.linear.weight"), &[width, hidden]);
        }
        self.add(format!("{prefix}.self_attn.o_proj.linear.weight"), &[hidden, width]);
        self.mlp(&format!("{prefix}.mlp"), ".linear", hidden, vision.intermediate_size);
        if vision.clipped_linears {
            let attention = ["q_proj", "k_proj", "v_proj", "o_proj"].map(|name| format!("{prefix}.self_attn.{name}"));
            let mlp = ["gate_proj", "up_proj", "down_proj"].map(|name| format!("{prefix}.mlp.{name}"));
            attention.iter().chain(&mlp).for_each(|name| self.bounds(name));
        }
    }

    fn bounds(&mut self, linear: &str) {
        for bound in ["input_min", "input_max", "output_min", "output_max"] {
            self.add(format!("{linear}.{bound}"), &[]);
        }
    }

    fn audio(&mut self, audio: &AudioConfig) {
        let (hidden, [first, second]) = (audio.hidden_size, audio.channels);
        let subsampling = "audio_tower.subsample_conv_projection";
        for (index, [from, to]) in [[1, first], [first, second]].into_iter().enumerate() {
            self.add(format!("{subsampling}.layer{index}.conv.weight"), &[to, from, 3, 3]);
            self.norms(&format!("{subsampling}.layer{index}"), &["norm"], to);
        }
        // 128 mel bins, halved twice.
        self.add(format!("{subsampling}.input_proj_linear.weight"), &[hidden, 32 * second]);
        self.add("audio_tower.output_proj.weight", &[audio.output_size, hidden]);
        self.add("audio_tower.output_proj.bias", &[audio.output_size]);
        for index in 0..audio.layers {
            self.conformer(audio, &format!("audio_tower.layers.{index}"));
        }
    }

    fn conformer(&mut self, audio: &AudioConfig, prefix: &str) {
        let hidden = audio.hidden_size;
        let linears = [
            ("feed_forward1.ffw_layer_1", 4 * hidden, hidden),
            ("feed_forward1.ffw_layer_2", hidden, 4 * hidden),
            ("feed_forward2.ffw_layer_1", 4 * hidden, hidden),
            ("feed_forward2.ffw_layer_2", hidden, 4 * hidden),
            ("lconv1d.linear_start", 2 * hidden, hidden),
            ("lconv1d.linear_end", hidden, hidden),
            ("self_attn.q_proj", hidden, hidden),
            ("self_attn.k_proj", hidden, hidden),
            ("self_attn.v_proj", hidden, hidden),
            ("self_attn.post", hidden, hidden),
        ];
        for (name, outputs, inputs) in linears {
            self.add(format!("{prefix}.{name}.linear.weight"), &[outputs, inputs]);
            if audio.clipped_linears {
                self.bounds(&format!("{prefix}.{name}"));
            }
        }
        let norms = [
            "feed_forward1.pre_layer_norm",
            "feed_forward1.post_layer_norm",
            "feed_forward2.pre_layer_norm",
            "feed_forward2.post_layer_norm",
            "lconv1d.pre_layer_norm",
            "lconv1d.conv_norm",
            "norm_pre_attn",
            "norm_post_attn",
            "norm_out",
        ];
        self.norms(prefix, &norms, hidden);
        self.add(format!("{prefix}.lconv1d.depthwise_conv1d.weight"), &[hidden, 1, audio.conv_kernel]);
        self.add(format!("{prefix}.self_attn.relative_k_proj.weight"), &[hidden, hidden]);
        self.add(format!("{prefix}.self_attn.per_dim_scale"), &[hidden / audio.heads]);
    }
}
