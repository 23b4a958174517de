//! One head of one token: the RMS norm with a weight or without, and the rotary turn.

use pulp::Arch;

/// `head * (mean(head^2) + epsilon)^-0.5 * weight`, in place.
pub(super) fn norm(arch: Arch, head: &mut [f32], weight: Option<&[f32]>, epsilon: f32) {
    arch.dispatch(
        #[inline(always)]
        || {
            let factor = (squares(head) / head.len() as f32 + epsilon).sqrt().recip();
            match weight {
                Some(weight) => head.iter_mut().zip(weight).for_each(|(value, weight)| *value *= factor * weight),
                None => head.iter_mut().for_each(|value| *value *= factor),
            }
        },
    );
}

#[inline(always)]
fn squares(values: &[f32]) -> f32 {
    let (vectors, rest) = values.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for vector in vectors {
        sums.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value * value);
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

/// Turns the pairs `(i, i + head_dim / 2)`, in place.
pub(super) fn turn(arch: Arch, head: &mut [f32], cos: &[f32], sin: &[f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            let (low, high) = head.split_at_mut(cos.len().min(head.len()));
            for (((low, high), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_normed_and_turned() {
        let mut head: Vec<f32> = (1..=20).map(|value| value as f32).collect();
        let mean = head.iter().map(|value| value * value).sum::<f32>() / 20.0;
        norm(Arch::new(), &mut head, Some(&[2.0; 20]), 1.0);
        assert!((head[3] - 8.0 / (mean + 1.0).sqrt()).abs() < 1e-6);
        let mut pair = [1.0, 2.0, 3.0, 4.0];
        turn(Arch::new(), &mut pair, &[0.0, 1.0], &[1.0, 0.0]);
        assert_eq!(pair, [-3.0, 2.0, 1.0, 4.0], "a quarter turn of the first pair, none of the second");
    }
}
