//! How ONNX Runtime is to run one encoder through TensorRT: the range of shapes, and where the engines lie.

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider};
use serde::{Deserialize, Serialize};

use super::buckets::Shapes;

/// Where a graph falls to pieces, a piece of fewer operations stays with CUDA: an engine costs more to start than it saves.
const LEAST_OPERATIONS: u32 = 4;

/// The engines of one encoder for one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The folder that engines are read from and written to.
    pub(super) folder: String,
    /// The folder of what TensorRT has learned about the card while it built others.
    pub(super) timings: String,
    /// What the names of the engines begin with.
    pub(super) prefix: String,
    /// True where the bundle computes in f16.
    pub(super) half: bool,
    /// The range of shapes.
    pub(super) shapes: Shapes,
    /// How much of the graph is one engine.
    pub(super) taken: Taken,
}

/// How much of a graph TensorRT takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Taken {
    /// All: one engine, built for the range of shapes that is told it when the session is opened.
    Whole,
    /// Pieces between operations that it does not know, which CUDA runs. A range of shapes can be told for a graph's own
    /// inputs alone, so it is not told: each piece is built in the first runs, for the range of what it was fed.
    Pieces,
}

impl Profile {
    /// The provider of a session on the card that CUDA counts so.
    pub(in crate::generate) fn provider(&self, ordinal: u32) -> ep::TensorRT {
        let options = self.options(ordinal).into_iter();
        options.fold(ep::TensorRT::default(), |provider, (name, value)| provider.with_arbitrary_config(name, value))
    }

    /// The names are those of onnxruntime/core/providers/tensorrt/tensorrt_execution_provider_info.cc.
    ///
    /// With a range that is told, the session builds an engine when it is opened, if there is none, and never afterwards.
    /// Norms stay in f32, since squares of what they are given overflow f16.
    fn options(&self, ordinal: u32) -> Vec<(&'static str, String)> {
        let (half, on) = (u8::from(self.half).to_string(), || "1".to_owned());
        let mut options = vec![
            ("device_id", ordinal.to_string()),
            ("trt_min_subgraph_size", LEAST_OPERATIONS.to_string()),
            ("trt_fp16_enable", half.clone()),
            ("trt_layer_norm_fp32_fallback", half),
            ("trt_engine_cache_enable", on()),
            ("trt_engine_cache_path", self.folder.clone()),
            ("trt_engine_cache_prefix", self.prefix.clone()),
            ("trt_timing_cache_enable", on()),
            ("trt_timing_cache_path", self.timings.clone()),
        ];
        if self.taken == Taken::Whole {
            options.extend([
                ("trt_profile_min_shapes", self.shapes.least.clone()),
                ("trt_profile_opt_shapes", self.shapes.usual.clone()),
                ("trt_profile_max_shapes", self.shapes.most.clone()),
            ]);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::generate::tensorrt::{buckets::Bucket, fixture::tiny};

    /// The strings of `libonnxruntime_providers_tensorrt.so` 1.31.1 that begin so.
    const KNOWN: [&str; 12] = [
        "device_id",
        "trt_engine_cache_enable",
        "trt_engine_cache_path",
        "trt_engine_cache_prefix",
        "trt_fp16_enable",
        "trt_layer_norm_fp32_fallback",
        "trt_min_subgraph_size",
        "trt_profile_max_shapes",
        "trt_profile_min_shapes",
        "trt_profile_opt_shapes",
        "trt_timing_cache_enable",
        "trt_timing_cache_path",
    ];

    fn profile(taken: Taken) -> Profile {
        Profile {
            folder: "/cache/key".to_owned(),
            timings: "/cache/timings".to_owned(),
            prefix: Bucket::Pictures(280).prefix(),
            half: true,
            shapes: Bucket::Pictures(280).shapes(&tiny()),
            taken,
        }
    }

    fn options(profile: &Profile, ordinal: u32) -> BTreeMap<&'static str, String> {
        profile.options(ordinal).into_iter().collect()
    }

    #[test]
    fn an_engine_is_told_its_range_of_shapes_and_where_it_lies() {
        let options = options(&profile(Taken::Whole), 1);
        assert_eq!(options.keys().copied().collect::<Vec<_>>(), KNOWN);
        assert_eq!(options["device_id"], "1");
        assert_eq!(options["trt_engine_cache_path"], "/cache/key");
        assert_eq!(options["trt_engine_cache_prefix"], "pictures-280");
        assert_eq!(options["trt_profile_min_shapes"], "pixel_values:1x9x768,pixel_position_ids:1x9x2");
        assert_eq!(options["trt_profile_max_shapes"], "pixel_values:2x2520x768,pixel_position_ids:2x2520x2");
        assert_eq!((options["trt_fp16_enable"].as_str(), options["trt_engine_cache_enable"].as_str()), ("1", "1"));
    }

    #[test]
    fn pieces_are_told_no_range_and_f32_stays_f32() {
        let options = options(&Profile { half: false, ..profile(Taken::Pieces) }, 0);
        assert!(options.keys().all(|name| KNOWN.contains(name) && !name.contains("profile")), "{options:?}");
        assert_eq!(options["trt_fp16_enable"], "0");
    }

    #[test]
    fn the_provider_carries_every_option() {
        let told = format!("{:?}", profile(Taken::Whole).provider(3));
        assert!(KNOWN.iter().all(|name| told.contains(name)), "{told}");
        assert!(told.contains("2x2520x768"), "{told}");
    }
}
