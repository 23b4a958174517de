//! A checkpoint as a Hugging Face folder: config.json, numbered safetensors files in bf16, and their index.

use std::io::{self, Write};

use half::bf16;
use serde_json::{Map, Value, json};

use crate::bundle::{Checkpoint, Tensor, checkpoint::files::INDEX, output::Output};

/// The most bytes of one safetensors file; only a larger tensor makes a larger file.
const SHARD: u64 = 5_000_000_000;

/// Writes all files, streaming.
pub fn write(checkpoint: &Checkpoint, config: &str, tokenizer: &[u8], output: &Output) -> io::Result<()> {
    output.write("config.json", config.as_bytes())?;
    output.write("tokenizer.json", tokenizer)?;
    let shards = shards(checkpoint);
    let mut places = Map::new();
    for (index, tensors) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{:05}.safetensors", index + 1, shards.len());
        places.extend(tensors.iter().map(|tensor| (full_name(tensor), Value::from(file.clone()))));
        write_shard(tensors, output, &file)?;
    }
    let total: u64 = shards.iter().flatten().map(bytes).sum();
    let index = json!({"metadata": {"total_size": total}, "weight_map": places});
    output.write(INDEX, format!("{index:#}\n").as_bytes())
}

fn shards(checkpoint: &Checkpoint) -> Vec<Vec<Tensor<'_>>> {
    let (mut shards, mut room) = (vec![Vec::new()], SHARD);
    for tensor in checkpoint.tensors() {
        if bytes(&tensor) > room && shards.last().is_some_and(|shard| !shard.is_empty()) {
            shards.push(Vec::new());
            room = SHARD;
        }
        room = room.saturating_sub(bytes(&tensor));
        shards.last_mut().into_iter().for_each(|shard| shard.push(tensor.clone()));
    }
    shards
}

fn bytes(tensor: &Tensor) -> u64 {
    2 * tensor.shape().iter().map(|&length| length as u64).product::<u64>()
}

fn full_name(tensor: &Tensor) -> String {
    let head = tensor.name().starts_with("lm_head");
    if head { tensor.name().to_owned() } else { format!("model.{}", tensor.name()) }
}

fn write_shard(tensors: &[Tensor], output: &Output, name: &str) -> io::Result<()> {
    let mut file = output.create(name)?;
    let header = header(tensors);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for tensor in tensors {
        if output.only_counts() {
            file.count(bytes(tensor));
            continue;
        }
        for chunk in tensor.chunks() {
            let (_, values) = chunk.map_err(io::Error::other)?;
            let halves: Vec<u8> = values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect();
            file.write_all(&halves)?;
        }
    }
    file.finish()
}

/// The JSON in front, filled up with spaces so that the values are aligned.
fn header(tensors: &[Tensor]) -> String {
    let mut entries = Map::new();
    entries.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut place = 0;
    for tensor in tensors {
        let end = place + bytes(tensor);
        let entry = json!({"dtype": "BF16", "shape": tensor.shape(), "data_offsets": [place, end]});
        entries.insert(full_name(tensor), entry);
        place = end;
    }
    let mut text = Value::Object(entries).to_string();
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    text
}
