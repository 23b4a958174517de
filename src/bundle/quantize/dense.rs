//! Floats as bytes, at either width.

use std::io::{self, Write};

use half::f16;
use rayon::prelude::*;

use crate::{base::Fatal, bundle::graph::Element};

/// Values that are turned into bytes at a time: bounds the buffer beside them to 16 MiB.
const PIECE: usize = 4 << 20;

/// Writes floats as `element`, f16 or f32. A value that the element cannot hold is an error.
pub fn write_dense(out: &mut dyn Write, name: &str, values: &[f32], element: Element) -> io::Result<()> {
    values.chunks(PIECE).try_for_each(|piece| match element {
        Element::F16 => {
            check_f16(name, piece)?;
            put(out, piece, |value| f16::from_f32(value).to_le_bytes())
        }
        _ => put(out, piece, f32::to_le_bytes),
    })
}

fn put<const N: usize>(out: &mut dyn Write, values: &[f32], bytes: impl Fn(f32) -> [u8; N] + Sync) -> io::Result<()> {
    let mut buffer = vec![0; values.len() * N];
    let places = buffer.as_chunks_mut::<N>().0.par_iter_mut().with_min_len(1 << 16);
    places.zip(values).for_each(|(place, &value)| *place = bytes(value));
    out.write_all(&buffer)
}

fn check_f16(name: &str, values: &[f32]) -> io::Result<()> {
    let outside = values
        .par_iter()
        .with_min_len(1 << 16)
        .find_any(|value| value.is_finite() && !f16::from_f32(**value).is_finite());
    outside.map_or(Ok(()), |value| {
        Err(io::Error::other(Fatal::new(
            format!("tensor `{name}` holds {value}, which f16 cannot hold"),
            "export with --dtype f32, or with a recipe that computes in f32",
        )))
    })
}

/// Refuses values that are not finite: no code stands for them.
pub(super) fn check_finite(name: &str, values: &[f32]) -> io::Result<()> {
    if values.par_iter().with_min_len(1 << 16).all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(io::Error::other(Fatal::new(
        format!("tensor `{name}` holds a value that is not a finite number"),
        "the checkpoint is damaged, or was not trained to the end",
    )))
}
