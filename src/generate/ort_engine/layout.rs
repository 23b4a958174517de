//! How an engine is laid out.

use std::{thread::available_parallelism, time::Duration};

use crate::generate::{
    capacity::LEAST_CONTEXT,
    runtime::Device,
    settings::{Form, Settings},
    tensorrt::Buckets,
};

/// How the engine is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSettings {
    /// Where the graphs run.
    pub device: Device,
    /// Which card, as CUDA counts them; 0 for the processor.
    pub ordinal: u32,
    /// Units that are decoded together.
    pub slots: usize,
    /// True where the slots must be as many: else a card whose memory holds fewer gets fewer.
    pub fixed_slots: bool,
    /// Most tokens of a prompt and its answer together.
    pub context: usize,
    /// Prompt tokens of one prefill call.
    pub prefill_chunk: usize,
    /// Threads of the decoder's session, and of the embeddings'.
    pub threads: usize,
    /// Threads of each encoder's session.
    pub encoder_threads: usize,
    /// Which form of the decoder is run.
    pub decoder: Form,
    /// Whether pictures with as many patches go through the vision encoder together. When absent, on all devices but the
    /// CPU: there a picture fills all threads, and a run of several takes longer for each.
    pub pictures_together: Option<bool>,
    /// With TensorRT: what is asked of the encoders, for which they need engines; all that the model can be asked when
    /// absent.
    pub buckets: Option<Buckets>,
    /// True lets idle threads spin.
    pub spinning: bool,
    /// No run of a graph is stuck before this; zero is never.
    pub step_timeout: Duration,
}

impl EngineSettings {
    /// The settings of a pipeline on a device, on the first card; one slot of the least context where they leave that to
    /// [`Capacity`](crate::generate::Capacity).
    pub fn new(settings: &Settings, device: Device) -> Self {
        Self {
            device,
            ordinal: 0,
            slots: settings.slots.unwrap_or(1),
            fixed_slots: settings.slots.is_some(),
            context: settings.context.unwrap_or(LEAST_CONTEXT),
            prefill_chunk: settings.prefill_chunk,
            threads: settings.threads.unwrap_or_else(cores),
            encoder_threads: settings.encoder_threads.unwrap_or_else(cores),
            decoder: settings.decoder,
            pictures_together: None,
            buckets: None,
            spinning: settings.spinning,
            step_timeout: Duration::try_from_secs_f64(settings.step_timeout_s).unwrap_or_default(),
        }
    }
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_a_pipeline_names_are_not_made_fewer() {
        let named = EngineSettings::new(&Settings { slots: Some(12), ..Settings::default() }, Device::Cuda);
        assert_eq!((named.slots, named.fixed_slots, named.ordinal), (12, true, 0));
        assert!(!EngineSettings::new(&Settings::default(), Device::Cuda).fixed_slots);
    }
}
