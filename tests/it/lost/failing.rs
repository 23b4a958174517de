//! An engine that fails when a test says so, in the very words of ONNX Runtime.

use std::{io, time::Duration};

use lapidary::{
    base::{Fatal, Prompt},
    generate::{Card, Encoders, Engine, EngineError, Feed, Logits, Reused},
};

/// What the arena says when there is no memory for an activation.
pub const SHORT: &str = "Non-zero status code returned while running MatMul node. Name:'/lm_head/MatMul' Status \
                         Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:424 void* \
                         onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to \
                         allocate memory for requested buffer of size 67108864\n";

/// What any call says once the context of the process is broken.
pub const LOST: &str = "Non-zero status code returned while running GroupQueryAttention node. Name:'/layers.3/attn' \
                        Status Message: CUDA failure 700: an illegal memory access was encountered ; GPU=1 ; \
                        hostname=h200 ; \
                        file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_stream_handle.cc ; line=99 ; \
                        expr=cudaStreamSynchronize(stream); ";

/// What may be the first sign of that, or of a product that the card cannot make.
pub const UNCLEAR: &str = "Non-zero status code returned while running MatMul node. Name:'/layers.3/mlp' Status \
                           Message: CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED ; GPU=1 ; hostname=h200 ; \
                           file=/onnxruntime_src/onnxruntime/core/providers/cuda/math/matmul.cc ; line=213 ; \
                           expr=gemm(); ";

/// Who is seated.
pub struct Seats {
    /// By slot: how many tokens the prompt of its unit has.
    prompts: Vec<Option<usize>>,
    /// Units that have left.
    pub left: usize,
}

impl Seats {
    /// How many.
    pub fn count(&self) -> usize {
        self.prompts.iter().flatten().count()
    }

    /// True when the prompt of one of the units that are fed has so many tokens that this holds.
    pub fn any_fed(&self, feeds: &[Feed], holds: impl Fn(usize) -> bool) -> bool {
        feeds.iter().any(|feed| self.prompts[feed.slot()].is_some_and(&holds))
    }
}

/// An engine whose steps fail, before they do anything, when `refuse` has words for it.
pub struct Failing<E, F> {
    pub engine: E,
    pub refuse: F,
    pub seats: Seats,
    /// What it says when it is asked whether it is lost.
    pub lost: Option<Fatal>,
    /// Instead of the engine's own.
    pub encoders: Option<Box<dyn Encoders>>,
}

impl<E: Engine, F: FnMut(&[Feed], &Seats) -> Option<&'static str> + Send> Failing<E, F> {
    pub fn new(engine: E, refuse: F) -> Self {
        let prompts = vec![None; engine.card().slots];
        Self { engine, refuse, seats: Seats { prompts, left: 0 }, lost: None, encoders: None }
    }
}

impl<E: Engine, F: FnMut(&[Feed], &Seats) -> Option<&'static str> + Send> Engine for Failing<E, F> {
    fn card(&self) -> &Card {
        self.engine.card()
    }

    fn encoders(&mut self) -> Option<Box<dyn Encoders>> {
        self.encoders.take().or_else(|| self.engine.encoders())
    }

    fn decoding(&self) -> Option<Duration> {
        self.engine.decoding()
    }

    fn lost(&self) -> Option<Fatal> {
        self.lost.clone()
    }

    fn admit(&mut self, slot: usize, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        self.seats.prompts[slot] = Some(prompt.tokens.len());
        self.engine.admit(slot, prompt)
    }

    fn remaining(&self, slot: usize) -> usize {
        self.engine.remaining(slot)
    }

    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError> {
        match (self.refuse)(feeds, &self.seats) {
            Some(words) => Err(EngineError::failed("decoding step", &io::Error::other(words))),
            None => self.engine.step(feeds),
        }
    }

    fn logits(&self, slot: usize, place: usize) -> Option<Logits<'_>> {
        self.engine.logits(slot, place)
    }

    fn retract(&mut self, slot: usize, count: usize) -> Result<(), EngineError> {
        self.engine.retract(slot, count)
    }

    fn release(&mut self, slot: usize) {
        self.seats.left += usize::from(self.seats.prompts[slot].take().is_some());
        self.engine.release(slot);
    }
}

/// Encoders on a card that is lost.
pub struct Blind;

impl Encoders for Blind {
    fn patches_together(&self) -> usize {
        0
    }

    fn encode(&mut self, prompts: &mut [&mut Prompt]) -> Vec<Result<(), EngineError>> {
        prompts.iter().map(|_| Err(EngineError::failed("vision encoder", &io::Error::other(LOST)))).collect()
    }
}
