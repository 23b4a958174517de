//! The engine over real graphs: whatever the slots, the chunks and the company, a unit gets the tokens that it would
//! get alone.

use crossbeam::channel::unbounded;
use lapidary::{
    base::{Emit, Fault, FaultKind, Generation, Item, Origin, Prompt, Shape, Stop},
    bundle::{Dtype, Quantize, Recipe},
    generate::{
        Device, Engine, EngineError, EngineSettings, Feed, Form, Generator, Guide, Logits, OrtEngine, Runtime,
        Settings, Vocabulary,
    },
};

use super::{
    desk::{self, Answers, Tray},
    models::{self, Exported},
    parity,
};

fn answers(exported: &Exported, settings: Settings, items: Vec<Item<Prompt>>) -> Answers {
    desk::answers(models::engine(exported, &settings), models::vocabulary(), settings, items)
}

/// Prompts of very different lengths, most of them longer than the sliding window of 8, one than the buffers that keep it.
fn texts() -> Vec<Item<Prompt>> {
    let lengths = [23, 1, 57, 8, 9, 40, 3, 31, 130];
    (0..).zip(lengths).map(|(number, length)| desk::item(number, desk::prompt(number, length))).collect()
}

/// Pictures and clips among texts; the reference prompt with tails of different lengths.
fn mixed() -> Vec<Item<Prompt>> {
    let with_tail = |number: u32| {
        let mut prompt = parity::prompt();
        prompt.tokens.extend(desk::prompt(number, number as usize).tokens);
        if number % 3 == 1 {
            prompt.clips.clear();
            prompt.tokens.retain(|token| *token != 296);
        }
        prompt
    };
    let prompt = |number: u32| if number % 4 == 3 { desk::prompt(number, 30) } else { with_tail(number) };
    (0..10).map(|number| desk::item(number, prompt(number))).collect()
}

fn settings(slots: usize, prefill_chunk: usize) -> Settings {
    Settings { slots: Some(slots), prefill_chunk, context: Some(200), max_tokens: 24, ..Settings::default() }
}

fn assert_equal(together: &Answers, alone: &Answers, what: &str) {
    assert_eq!(together.len(), alone.len());
    for ((number, tokens, logprobs), (_, tokens_alone, logprobs_alone)) in together.iter().zip(alone) {
        assert_eq!(tokens, tokens_alone, "unit {number}, {what}");
        let difference = logprobs.iter().zip(logprobs_alone).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-4, "unit {number}, {what}: log-probabilities differ by {difference}");
    }
}

#[test]
fn a_batch_of_units_gets_the_same_tokens_as_each_unit_alone() {
    let exported = models::e2b_like(Dtype::F32);
    let alone: Answers =
        texts().into_iter().flat_map(|item| answers(&exported, settings(1, 1000), vec![item])).collect();
    let distinct: std::collections::HashSet<_> = alone.iter().map(|(_, tokens, _)| tokens).collect();
    assert!(distinct.len() > 5, "the units must have different answers to tell anything");
    for (slots, chunk) in [(4, 1000), (4, 7), (3, 1), (1, 7), (9, 16)] {
        let together = answers(&exported, settings(slots, chunk), texts());
        assert_equal(&together, &alone, &format!("{slots} slots, chunks of {chunk}"));
    }
}

#[test]
fn quantised_weights_keep_the_rows_of_a_batch_apart() {
    for quantize in [Quantize::Int8, Quantize::Int4] {
        let exported = models::e2b_like_quantized(Dtype::F32, quantize);
        let alone: Answers =
            texts().into_iter().flat_map(|item| answers(&exported, settings(1, 1000), vec![item])).collect();
        assert_equal(&answers(&exported, settings(4, 1000), texts()), &alone, quantize.as_str());
    }
}

#[test]
fn guided_answers_of_a_random_model_are_valid_and_the_same_in_a_batch_as_alone() {
    let exported = models::tiny();
    let (manifest, settings) = (&exported.model.manifest, Settings { max_tokens: 300, ..settings(4, 16) });
    let settings = Settings { context: Some(400), ..settings };
    let path = exported.model.file(&manifest.graphs.tokenizer);
    let vocabulary = Vocabulary::read(&path, manifest.text.vocab_size, &manifest.tokens.eos).unwrap();
    let schema = serde_json::from_str(include_str!("../../../schemas/receipt.json")).unwrap();
    let shape = Shape::compile(&schema).unwrap();
    let texts_of = |slots: usize, items: Vec<Item<Prompt>>| {
        let settings = Settings { slots: Some(slots), ..settings.clone() };
        let guide = Guide::compile(&vocabulary, &shape.guide()).unwrap();
        let engine = models::engine(&exported, &settings);
        let done = desk::generations(engine, vocabulary.clone(), Some(guide), settings, items);
        done.into_iter().map(|item| item.body.text).collect::<Vec<String>>()
    };
    let few = || texts().into_iter().take(5);
    let together = texts_of(4, few().collect());
    let alone: Vec<String> = few().flat_map(|item| texts_of(1, vec![item])).collect();
    assert_eq!(together, alone);
    for text in &together {
        shape.settle(serde_json::from_str(text).unwrap()).unwrap();
    }
}

#[test]
fn pictures_and_sound_among_texts_change_nothing_for_their_neighbours() {
    let exported = models::e2b_like(Dtype::F32);
    let alone: Answers =
        mixed().into_iter().flat_map(|item| answers(&exported, settings(1, 1000), vec![item])).collect();
    for (slots, chunk) in [(4, 16), (3, 7)] {
        let together = answers(&exported, settings(slots, chunk), mixed());
        assert_equal(&together, &alone, &format!("{slots} slots, chunks of {chunk}"));
    }
}

/// Forty tokens that all begin alike, then pictures or text.
fn alike() -> Vec<Item<Prompt>> {
    let beginning = desk::prompt(99, 40).tokens;
    let prompt = |number: u32| {
        let mut prompt =
            if number.is_multiple_of(2) { parity::prompt() } else { desk::prompt(number, 1 + number as usize) };
        prompt.tokens.splice(0..0, beginning.iter().copied().take(40 - number as usize));
        prompt
    };
    (0..8).map(|number| desk::item(number, prompt(number))).collect()
}

#[test]
fn a_beginning_that_prompts_share_is_prefilled_once_and_changes_nothing() {
    let exported = models::e2b_like(Dtype::F32);
    let settings = |slots| Settings { context: Some(120), ..settings(slots, 16) };
    let alone: Answers = alike().into_iter().flat_map(|item| answers(&exported, settings(1), vec![item])).collect();
    for slots in [1, 3] {
        assert_equal(&answers(&exported, settings(slots), alike()), &alone, &format!("{slots} slots"));
    }
    let mut engine = models::engine(&exported, &settings(2));
    let mut chunks = |slot: usize, number: usize| {
        let reused = engine.admit(slot, &mut alike().remove(number).body).unwrap().tokens;
        (reused, engine.prefill(slot).unwrap())
    };
    assert_eq!(chunks(0, 1), (0, 3), "39 + 2 tokens in chunks of 16");
    assert_eq!(chunks(1, 3), (37, 1), "then only what is new");
}

#[test]
fn several_beginnings_are_kept_side_by_side() {
    let exported = models::e2b_like(Dtype::F32);
    let mut engine = models::engine(&exported, &Settings { context: Some(120), ..settings(1, 1000) });
    let mut reused = |beginning: u32, number: u32| {
        let mut prompt = desk::prompt(beginning, 40);
        prompt.tokens.extend(desk::prompt(number, 5).tokens);
        let reused = engine.admit(0, &mut prompt).unwrap().tokens;
        engine.prefill(0).unwrap();
        engine.release(0);
        reused
    };
    let first: Vec<usize> = (0..3).map(|beginning| reused(90 + beginning, beginning)).collect();
    let again: Vec<usize> = (0..3).map(|beginning| reused(90 + beginning, 7 + beginning)).collect();
    assert_eq!((first, again), (vec![0; 3], vec![40; 3]));
}

#[test]
fn a_text_longer_than_the_window_takes_no_shared_beginning_away() {
    let exported = models::e2b_like(Dtype::F32);
    let mut engine = models::engine(&exported, &Settings { context: Some(120), ..settings(1, 16) });
    let mut reused = |number: u32, length: usize| {
        let mut prompt = desk::prompt(99, 20);
        prompt.tokens.extend(desk::prompt(number, length).tokens);
        let reused = engine.admit(0, &mut prompt).unwrap().tokens;
        engine.prefill(0).unwrap();
        engine.release(0);
        reused
    };
    assert_eq!([(1, 4), (2, 4), (3, 80), (4, 4)].map(|(number, length)| reused(number, length)), [0, 20, 20, 20]);
}

#[test]
fn texts_longer_than_the_buffers_of_sliding_layers_share_their_beginning() {
    let exported = models::e2b_like(Dtype::F32);
    for decoder in [Form::Slots, Form::Sequences] {
        let mut engine = models::engine(&exported, &Settings { decoder, ..settings(1, 16) });
        let mut reused = |number: u32| {
            let mut prompt = desk::prompt(99, 40);
            prompt.tokens.extend(desk::prompt(number, 120).tokens);
            let reused = engine.admit(0, &mut prompt).unwrap().tokens;
            engine.prefill(0).unwrap();
            engine.release(0);
            reused
        };
        assert_eq!([1, 2, 3].map(&mut reused), [0, 40, 40], "{decoder:?}");
    }
}

/// A text of which `shared` tokens begin others too.
fn long_text(number: u32, shared: usize, length: usize) -> Prompt {
    let mut prompt = desk::prompt(99, shared);
    prompt.tokens.extend(desk::prompt(number, length - shared).tokens);
    prompt
}

/// How many tokens a prompt was lent, and the bits of the scores behind it and behind each of some tokens more.
fn scored(engine: &mut OrtEngine, mut prompt: Prompt) -> (usize, Vec<Vec<u32>>) {
    let lent = engine.admit(0, &mut prompt).unwrap().tokens;
    engine.prefill(0).unwrap();
    let mut all = vec![bits(engine)];
    for token in 100..140 {
        engine.step(&[Feed::token(0, &token)]).unwrap();
        all.push(bits(engine));
    }
    engine.release(0);
    (lent, all)
}

fn bits(engine: &OrtEngine) -> Vec<u32> {
    let Some(Logits::Scores(scores)) = engine.logits(0, 0) else { panic!("no scores") };
    scores.iter().map(|score| score.to_bits()).collect()
}

/// What is lent moves the borders of chunks, and with them what buffers of 383 positions lose when. Where activations are
/// rounded to 8 bits a sum in another order shows.
#[test]
fn a_long_text_has_the_same_scores_to_the_bit_alone_as_behind_a_short_one_that_lends_its_beginning() {
    let exported = models::tiny_stored(Recipe::find("cpu-int8").unwrap().precision);
    let settings = Settings { context: Some(1000), decoder: Form::Slots, ..settings(1, 256) };
    for (number, shared) in [(1, 127), (2, 128), (3, 61), (4, 200)] {
        let text = || long_text(number, shared, 850);
        let (_, alone) = scored(&mut models::engine(&exported, &settings), text());
        let mut engine = models::engine(&exported, &settings);
        scored(&mut engine, long_text(9, shared, shared + 5));
        let (lent, behind) = scored(&mut engine, text());
        assert_eq!(lent, shared);
        let differs = alone.iter().zip(&behind).position(|(alone, behind)| alone != behind);
        assert_eq!(differs, None, "behind {shared} tokens that are lent");
    }
}

#[test]
fn a_picture_that_comes_again_is_encoded_once_and_changes_nothing() {
    let exported = models::e2b_like(Dtype::F32);
    let mut engine = models::engine(&exported, &settings(2, 1000));
    let mut doubled = parity::prompt();
    let picture = doubled.images[0].clone();
    doubled.images.push(picture);
    let soft: Vec<u32> = doubled.tokens.iter().copied().filter(|token| *token == 292).collect();
    doubled.tokens.extend(soft);
    assert_eq!(engine.admit(0, &mut parity::prompt()).unwrap().pictures, 0);
    assert_eq!(engine.admit(1, &mut doubled.clone()).unwrap().pictures, 2);
    let logits = |engine: &mut OrtEngine| {
        engine.release(0);
        engine.score(0, &mut doubled.clone()).unwrap()
    };
    let mut fresh = models::engine(&exported, &settings(1, 1000));
    assert_eq!(logits(&mut engine), logits(&mut fresh));
}

#[test]
fn drawn_tokens_do_not_depend_on_the_neighbours_either() {
    let exported = models::e2b_like(Dtype::F32);
    let drawing = |slots| Settings { temperature: 1.0, top_p: Some(0.9), seed: 7, ..settings(slots, 16) };
    let alone: Answers = texts().into_iter().flat_map(|item| answers(&exported, drawing(1), vec![item])).collect();
    assert_equal(&answers(&exported, drawing(4), texts()), &alone, "drawn");
}

#[test]
fn a_prompt_longer_than_the_context_is_refused_with_both_numbers() {
    let exported = models::e2b_like(Dtype::F32);
    let mut engine = models::engine(&exported, &settings(2, 16));
    let Err(EngineError::Unit(fault)) = engine.admit(0, &mut desk::prompt(0, 201)) else { panic!("must be refused") };
    assert_eq!(fault.kind, FaultKind::TooLong);
    assert!(fault.message.contains("201") && fault.message.contains("200"), "{}", fault.message);
    engine.admit(0, &mut desk::prompt(0, 200)).unwrap();
}

#[test]
fn a_context_longer_than_the_model_was_made_for_is_refused() {
    let exported = models::e2b_like(Dtype::F32);
    let settings = EngineSettings::new(&Settings { context: Some(512), ..Settings::default() }, Device::Cpu);
    let fatal = OrtEngine::open(&Runtime::load().unwrap(), &exported.model, settings).err().unwrap();
    assert!(fatal.message.contains("512") && fatal.hint.contains("511"), "{} / {}", fatal.message, fatal.hint);
}

#[test]
fn a_named_device_that_cannot_be_had_is_an_error_and_auto_says_what_runs() {
    let exported = models::e2b_like(Dtype::F32);
    let runtime = Runtime::load().unwrap();
    let open = |device| OrtEngine::open(&runtime, &exported.model, EngineSettings::new(&settings(1, 16), device));
    for device in [Device::Cuda, Device::TensorRt] {
        let Err(fatal) = open(device) else { return };
        assert!(fatal.message.contains(&format!("{}:0", device.as_str())), "{}", fatal.message);
        // Without TensorRT there may still be CUDA.
        assert!(fatal.hint.contains("--device cpu") || fatal.hint.contains("--device cuda"), "{}", fatal.hint);
    }
    let engine = open(Device::Auto).unwrap();
    assert_eq!(engine.card().device, "cpu");
    assert!(engine.card().note.contains("cuda"), "{}", engine.card().note);
}

/// A tray that asks for an abort as soon as something lies in it.
struct AbortingTray(Tray, Stop);

impl Emit<Generation> for AbortingTray {
    fn item(&mut self, item: Item<Generation>) {
        self.0.item(item);
        self.1.abort();
    }

    fn fault(&mut self, origin: &Origin, fault: Fault) {
        self.0.fault(origin, fault);
    }

    fn open(&self) -> bool {
        true
    }
}

#[test]
fn an_abort_drops_the_units_in_their_slots_and_lets_nothing_half_done_out() {
    let exported = models::e2b_like(Dtype::F32);
    let settings = settings(4, 16);
    let generator = Generator::new(models::engine(&exported, &settings), models::vocabulary(), None, settings).unwrap();
    let (sender, receiver) = unbounded();
    texts().into_iter().for_each(|item| sender.send(item).unwrap());
    let stop = Stop::default();
    let mut tray = AbortingTray(Tray::default(), stop.clone());
    let stats = generator.run(receiver, &mut tray, &stop).unwrap();
    assert_eq!((stats.units, tray.0.done.len()), (1, 1));
    assert_eq!(tray.0.done[0].body.tokens.len(), 24);
    assert!(tray.0.faults.is_empty());
}
