//! Floats on their way from one graph to the next: one may give f32 where the other takes f16.

use half::f16;

use super::{
    network::{Input, Network},
    raw::{Call, Element, Fetched},
};

/// The types that floats may have.
pub(super) const FLOATS: [Element; 2] = [Element::F32, Element::F16];

/// Floats in the type that an input was declared with.
pub(super) enum Floats {
    Single(Vec<f32>),
    Half(Vec<f16>),
}

impl Floats {
    /// `values` for an input of `network`.
    pub(super) fn suiting(values: Vec<f32>, network: &Network, input: Input) -> Self {
        match network.declared(input).0 {
            Some(Element::F16) => Self::Half(values.into_iter().map(f16::from_f32).collect()),
            _ => Self::Single(values),
        }
    }

    /// What another graph gave, converted; `None` when it has the right type already.
    pub(super) fn converted(fetched: &Fetched, network: &Network, input: Input) -> Option<Self> {
        let suits = network.declared(input).0 == Some(fetched.element());
        (!suits).then(|| Self::suiting(floats(fetched), network, input))
    }

    /// Feeds them.
    pub(super) fn feed<'a>(&'a self, call: &mut Call<'a>, input: Input, shape: &[usize]) -> ort::Result<()> {
        match self {
            Self::Single(values) => call.feed(input, values, shape),
            Self::Half(values) => call.feed(input, values, shape),
        }
    }
}

/// Feeds what another graph gave, converted where that was needed.
pub(super) fn feed_either<'a>(
    call: &mut Call<'a>,
    input: Input,
    fetched: &'a Fetched,
    converted: Option<&'a Floats>,
) -> ort::Result<()> {
    match converted {
        Some(floats) => floats.feed(call, input, fetched.shape()),
        None => {
            call.feed_fetched(input, fetched);
            Ok(())
        }
    }
}

/// The values of a float tensor as f32.
pub(super) fn floats(fetched: &Fetched) -> Vec<f32> {
    match fetched.element() {
        Element::F16 => fetched.data::<f16>().iter().map(|value| value.to_f32()).collect(),
        _ => fetched.data::<f32>().to_vec(),
    }
}
