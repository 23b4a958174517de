//! `lapidary model eval`: given inputs through the same engine that `run` uses, logits and greedy tokens out, so that
//! anyone can compare a bundle with transformers.
//!
//! In: `input_ids` `[1, S]` i64 and, where present, `pixel_values` `[n, P, 768]` f32 with `pixel_position_ids`
//! `[n, P, 2]` i64 (-1 is padding), `input_features` `[m, T, 128]` f32 with `input_features_mask` `[m, T]` u8.
//! Out: `logits` `[S, V]` f32 and, when asked for, `greedy` `[N]` i64; end tokens do not end it.

use std::{borrow::Cow, collections::HashMap, path::Path};

use ndarray::Array2;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    base::{
        Fatal, ImagePatches, LogMel, Model, Prompt,
        place::{Draft, Place},
    },
    bundle::{self, Check},
    generate::{Device, Engine, EngineError, EngineSettings, Feed, Logits, OrtEngine, Runtime, Settings},
};

/// Prompt tokens of one call.
const CHUNK: usize = 512;

/// Patches that make one soft token.
const PATCHES_PER_TOKEN: usize = 9;

/// Tensors that say nothing without each other.
const PAIRS: [(&str, &str); 2] = [("pixel_values", "pixel_position_ids"), ("input_features", "input_features_mask")];

/// Evaluates `inputs` with the model in `folder` on a device, writes `out` and says in one line what was done.
///
/// # Errors
/// When the model cannot be opened, the inputs are not as described above, the model cannot run them, or the device
/// cannot be had.
pub fn eval(folder: &Path, inputs: &Path, out: &Path, greedy: usize, device: Device) -> Result<String, Fatal> {
    let place = Place::at(out)?;
    let runtime = Runtime::load()?;
    let model = bundle::open(folder, Check::Full)?;
    let mut prompt = read(inputs)?;
    let (positions, width) = (prompt.tokens.len(), model.manifest.text.vocab_size);
    // The engine takes contexts shorter than what the model was made for.
    let context = context(model.manifest.text.max_positions.saturating_sub(1), positions, greedy)?;
    let mut engine = engine(&runtime, &model, context, device)?;
    let logits = engine.score(0, &mut prompt).map_err(|error| failed(inputs, error))?;
    let tokens = continue_greedily(&mut engine, greedy).map_err(|error| failed(inputs, error))?;
    write(&place, &logits, width, &tokens)?;
    let card = engine.card();
    let remarks: String = card.remarks.iter().map(|remark| format!("; {remark}")).collect();
    let (count, device) = (tokens.len(), &card.device);
    Ok(format!("{positions} positions, {count} greedy tokens, on {device}: `{}`{remarks}", out.display()))
}

/// The tokens of the inputs and of what is generated, if the model takes so many.
fn context(most: usize, positions: usize, greedy: usize) -> Result<usize, Fatal> {
    let wanted = positions.saturating_add(greedy);
    if wanted <= most {
        return Ok(wanted);
    }
    let hint = match most.checked_sub(positions) {
        Some(left) => format!("set `--greedy` to {left} or less"),
        None => format!("give `input_ids` of {most} tokens or less"),
    };
    let asked = format!("the inputs have {positions} tokens and `--greedy` asks for {greedy} more");
    Err(Fatal::new(format!("{asked}, but the model takes a context of {most} at most"), hint))
}

fn engine(runtime: &Runtime, model: &Model, context: usize, device: Device) -> Result<OrtEngine, Fatal> {
    let settings =
        Settings { slots: Some(1), context: Some(context.max(2)), prefill_chunk: CHUNK, ..Settings::default() };
    OrtEngine::open(runtime, model, EngineSettings::new(&settings, device))
}

fn continue_greedily(engine: &mut OrtEngine, count: usize) -> Result<Vec<i64>, EngineError> {
    let mut tokens = Vec::new();
    while tokens.len() < count {
        if let Some(token) = tokens.last() {
            engine.step(&[Feed::token(0, &(*token as u32))])?;
        }
        let Some(Logits::Scores(scores)) = engine.logits(0, 0) else { break };
        let highest = (0_i64..).zip(scores).reduce(|best, next| if next.1 > best.1 { next } else { best });
        tokens.extend(highest.map(|(token, _)| token));
    }
    Ok(tokens)
}

fn failed(inputs: &Path, error: EngineError) -> Fatal {
    match error {
        EngineError::Session(fatal) => fatal,
        EngineError::Unit(fault) => Fatal::new(format!("`{}`: {}", inputs.display(), fault.message), fault.hint),
    }
}

fn write(place: &Place, logits: &[f32], width: usize, greedy: &[i64]) -> Result<(), Fatal> {
    let wrong = |error: &dyn std::error::Error| {
        Fatal::new(format!("`{}` cannot be written: {error}", place.path().display()), "please report this")
    };
    let logit_bytes: Vec<u8> = logits.iter().flat_map(|value| value.to_le_bytes()).collect();
    let greedy_bytes: Vec<u8> = greedy.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![logits.len() / width.max(1), width];
    let mut tensors = HashMap::new();
    tensors.insert("logits", TensorView::new(Dtype::F32, shape, &logit_bytes).map_err(|error| wrong(&error))?);
    if !greedy.is_empty() {
        let view = TensorView::new(Dtype::I64, vec![greedy.len()], &greedy_bytes).map_err(|error| wrong(&error))?;
        tensors.insert("greedy", view);
    }
    let bytes = safetensors::serialize(tensors, None).map_err(|error| wrong(&error))?;
    Draft::write(place, &bytes)
}

/// Reads inputs as described above.
pub(super) fn read(path: &Path) -> Result<Prompt, Fatal> {
    let wrong = |what: String| {
        let hint = "see `lapidary model eval --help` for the names, shapes and types";
        Fatal::new(format!("`{}` {what}", path.display()), hint)
    };
    let bytes = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(format!("is no safetensors file: {error}")))?;
    prompt(&file).map_err(wrong)
}

fn prompt(file: &SafeTensors) -> Result<Prompt, String> {
    let (ids, shape) = whole_numbers(file, "input_ids")?.ok_or("holds no `input_ids`")?;
    if shape.len() != 2 || shape[0] != 1 {
        return Err(format!("holds `input_ids` of shape {shape:?} instead of [1, S]"));
    }
    paired(file)?;
    let id = |id: &i64| u32::try_from(*id).map_err(|_| format!("holds the id {id}"));
    Ok(Prompt {
        tokens: ids.iter().map(id).collect::<Result<_, _>>()?,
        images: images(file)?,
        clips: clips(file)?,
        ..Prompt::default()
    })
}

/// What stands alone would be left out without a word.
fn paired(file: &SafeTensors) -> Result<(), String> {
    let holds = |name: &str| file.tensor(name).is_ok();
    let mut both_ways = PAIRS.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]);
    match both_ways.find(|&(one, other)| holds(one) && !holds(other)) {
        Some((one, other)) => Err(format!("holds `{one}` without `{other}`")),
        None => Ok(()),
    }
}

fn images(file: &SafeTensors) -> Result<Vec<ImagePatches>, String> {
    let (pixels, positions) = (floats(file, "pixel_values")?, whole_numbers(file, "pixel_position_ids")?);
    let Some(((pixels, shape), (positions, _))) = pixels.zip(positions) else { return Ok(Vec::new()) };
    let [count, patches, channels] = shape[..] else { return Err(format!("holds `pixel_values` of shape {shape:?}")) };
    if positions.len() != count * patches * 2 {
        return Err(format!("holds {} `pixel_position_ids` for {count} x {patches} patches", positions.len()));
    }
    let pictures = pixels.chunks(patches * channels.max(1)).zip(positions.chunks(patches * 2));
    pictures.map(|(pixels, positions)| picture(pixels, positions, channels)).collect()
}

/// Drops the padding, which stands at the end.
fn picture(pixels: &[f32], positions: &[i64], channels: usize) -> Result<ImagePatches, String> {
    let real = positions.chunks_exact(2).take_while(|place| place[0] >= 0 && place[1] >= 0).count();
    let shaped = |error: ndarray::ShapeError| format!("holds a picture that has no shape: {error}");
    Ok(ImagePatches {
        pixels: Array2::from_shape_vec((real, channels), pixels[..real * channels].to_vec()).map_err(shaped)?,
        positions: Array2::from_shape_vec((real, 2), positions[..real * 2].to_vec()).map_err(shaped)?,
        soft_tokens: real / PATCHES_PER_TOKEN,
    })
}

fn clips(file: &SafeTensors) -> Result<Vec<LogMel>, String> {
    let (features, mask) = (floats(file, "input_features")?, bytes(file, "input_features_mask")?);
    let Some(((features, shape), mask)) = features.zip(mask) else { return Ok(Vec::new()) };
    let [count, frames, bins] = shape[..] else { return Err(format!("holds `input_features` of shape {shape:?}")) };
    if mask.len() != count * frames {
        return Err(format!("holds a mask of {} for {count} x {frames} frames", mask.len()));
    }
    let clip = |(features, mask): (&[f32], &[u8])| {
        let mask: Vec<bool> = mask.iter().map(|valid| *valid != 0).collect();
        let features = Array2::from_shape_vec((frames, bins), features.to_vec());
        let features = features.map_err(|error| format!("holds a clip that has no shape: {error}"))?;
        Ok(LogMel { features, soft_tokens: soft_tokens(&mask), mask })
    };
    features.chunks(frames * bins.max(1)).zip(mask.chunks(frames.max(1))).map(clip).collect()
}

/// Two convolutions of stride 2 over the valid frames (transformers' `processing_gemma4.py`).
fn soft_tokens(mask: &[bool]) -> usize {
    mask.iter().step_by(4).filter(|valid| **valid).count()
}

/// Values with their shape.
type Shaped<T> = (Vec<T>, Vec<usize>);

fn whole_numbers(file: &SafeTensors, name: &str) -> Result<Option<Shaped<i64>>, String> {
    let Some(view) = tensor(file, name, &[Dtype::I64])? else { return Ok(None) };
    let values = view.data().as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
    Ok(Some((values.collect(), view.shape().to_vec())))
}

fn floats(file: &SafeTensors, name: &str) -> Result<Option<Shaped<f32>>, String> {
    let Some(view) = tensor(file, name, &[Dtype::F32])? else { return Ok(None) };
    let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    Ok(Some((values.collect(), view.shape().to_vec())))
}

fn bytes<'a>(file: &SafeTensors<'a>, name: &str) -> Result<Option<Cow<'a, [u8]>>, String> {
    Ok(tensor(file, name, &[Dtype::U8, Dtype::BOOL])?.map(|view| Cow::Borrowed(view.data())))
}

fn tensor<'a>(file: &SafeTensors<'a>, name: &str, types: &[Dtype]) -> Result<Option<TensorView<'a>>, String> {
    let Ok(view) = file.tensor(name) else { return Ok(None) };
    if view.shape().contains(&0) {
        return Err(format!("holds `{name}` of shape {:?}, which is nothing", view.shape()));
    }
    if types.contains(&view.dtype()) {
        return Ok(Some(view));
    }
    Err(format!("holds `{name}` as {:?} instead of {:?}", view.dtype(), types[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a file of one token id and these tensors of one number each.
    fn refusal(names: &[&'static str]) -> Option<String> {
        let data = 0_i64.to_le_bytes();
        let view = || TensorView::new(Dtype::I64, vec![1, 1], &data).unwrap();
        let tensors: HashMap<&str, TensorView> =
            ["input_ids"].iter().chain(names).map(|name| (*name, view())).collect();
        let bytes = safetensors::serialize(tensors, None).unwrap();
        prompt(&SafeTensors::deserialize(&bytes).unwrap()).err()
    }

    #[test]
    fn a_tensor_without_its_partner_is_refused_by_both_names() {
        assert_eq!(refusal(&[]), None);
        for (one, other) in PAIRS {
            assert_eq!(refusal(&[one]), Some(format!("holds `{one}` without `{other}`")));
            assert_eq!(refusal(&[other]), Some(format!("holds `{other}` without `{one}`")));
        }
    }

    #[test]
    fn a_context_that_is_too_short_is_told_in_the_words_of_the_command() {
        assert_eq!(context(4095, 5, 4090), Ok(4095));
        let fatal = context(4095, 5, 4092).unwrap_err();
        assert!(fatal.message.contains("`--greedy` asks for 4092") && fatal.message.contains("4095"), "{fatal}");
        assert_eq!(fatal.hint, "set `--greedy` to 4090 or less");
        assert_eq!(context(4095, 5, usize::MAX).unwrap_err().hint, fatal.hint, "nothing wraps around");
        assert!(context(4095, 4096, 0).unwrap_err().hint.contains("`input_ids` of 4095"));
    }
}
