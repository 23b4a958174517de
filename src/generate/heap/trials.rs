//! The engine and the probe over the stand-in for a card's memory: what they get from memory of the host they get from
//! there, to the bit. Where there is a card, its memory is tried too.

use std::{fs, ops::Range, path::Path, time::Duration};

use super::{
    Block, Heap, Rows,
    stand_in::{Books, StandIn},
};
use crate::{
    base::{
        Model, Prompt,
        model::{Layout, MANIFEST},
    },
    generate::{
        arena::Room,
        decoder::Decoder,
        embedder::Embedder,
        engine::{Engine, Feed, Logits},
        network::Opening,
        ort_engine::{EngineSettings, OrtEngine},
        probe::{Verdict, probe},
        runtime::{Device, Place, Runtime},
        settings::{Form, Settings},
        watchdog::Watchdog,
    },
};

/// The committed tiny model: a window of 64, three sliding layers and a full one that write keys and values.
fn model() -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny");
    let manifest = toml::from_str(&fs::read_to_string(folder.join(MANIFEST)).unwrap()).unwrap();
    Model { folder, hash: String::new(), manifest, layout: Layout::Bundle, notes: Vec::new() }
}

/// Two slots, whose sliding layers keep 63 + 64 + 64 positions.
fn engine(decoder: Form) -> OrtEngine {
    let settings = Settings { slots: Some(2), context: Some(500), prefill_chunk: 48, decoder, ..Settings::default() };
    let settings = EngineSettings { threads: 1, encoder_threads: 1, ..EngineSettings::new(&settings, Device::Cpu) };
    OrtEngine::open(&Runtime::load().unwrap(), &model(), settings).unwrap()
}

/// Tokens of which the first 60 begin every text.
fn text(number: usize, length: usize) -> Vec<u32> {
    let token = |place: usize| 20 + (place * 13 + if place < 60 { 0 } else { number * 7 }) % 800;
    (0..length).map(|place| token(place) as u32).collect()
}

fn bits(engine: &OrtEngine, slot: usize) -> Vec<u32> {
    let Some(Logits::Scores(scores)) = engine.logits(slot, 0) else { panic!("slot {slot} has no scores") };
    scores.iter().map(|score| score.to_bits()).collect()
}

/// What a course of the engine has come to.
#[derive(Default, PartialEq)]
struct Course {
    /// Tokens that each text was lent.
    lent: Vec<usize>,
    /// The bits of all scores.
    scores: Vec<Vec<u32>>,
}

impl Course {
    fn admit(&mut self, engine: &mut OrtEngine, slot: usize, tokens: Vec<u32>) {
        self.lent.push(engine.admit(slot, &mut Prompt { tokens, ..Prompt::default() }).unwrap().tokens);
        engine.prefill(slot).unwrap();
        self.scores.push(bits(engine, slot));
    }

    fn step(&mut self, engine: &mut OrtEngine, steps: Range<u32>) {
        for token in steps {
            let (first, second) = (100 + token, 400 + token);
            engine.step(&[Feed::token(0, &first), Feed::token(1, &second)]).unwrap();
            self.scores.extend([bits(engine, 0), bits(engine, 1)]);
        }
    }
}

/// A long text and one that begins like it go on side by side; then one that goes on where the long one ended.
fn course(engine: &mut OrtEngine) -> Course {
    let mut course = Course::default();
    course.admit(engine, 0, text(1, 300));
    course.admit(engine, 1, text(2, 70));
    course.step(engine, 0..60);
    engine.release(1);
    course.admit(engine, 1, text(1, 320));
    course.step(engine, 60..100);
    course
}

#[test]
fn the_engine_gives_the_same_scores_to_the_bit_over_memory_that_is_reached_by_copies_alone() {
    for form in [Form::Slots, Form::Sequences] {
        let heap = StandIn::default();
        let mut distant = heap.instead(|| engine(form));
        let (found, expected) = (course(&mut distant), course(&mut engine(form)));
        assert_eq!(found.lent, [0, 60, 300], "{form:?}: beginnings are kept and lent");
        let differs = found.scores.iter().zip(&expected.scores).position(|(found, expected)| found != expected);
        assert_eq!(differs, None, "{form:?}: of {} scores", found.scores.len());
        assert!(found == expected, "{form:?}");
        let Books { writes, reads, copies, regions, .. } = heap.books();
        assert!([writes, reads, copies, regions].into_iter().all(|count| count > 0), "{form:?}: {:?}", heap.books());
        drop(distant);
        assert_eq!(heap.books().blocks, 0, "{form:?}: all is freed");
    }
}

/// The window of the first slot moves once, by less than it is long, so in two pieces: in keys and values of three layers.
#[test]
fn a_step_moves_keys_and_values_where_they_lie_and_waits_for_all_of_them_once() {
    for form in [Form::Slots, Form::Sequences] {
        let heap = StandIn::default();
        let mut engine = heap.instead(|| engine(form));
        let mut course = Course::default();
        course.admit(&mut engine, 0, text(1, 300));
        course.admit(&mut engine, 1, text(2, 70));
        course.step(&mut engine, 0..1);
        let before = heap.books();
        course.step(&mut engine, 1..60);
        let after = heap.books();
        assert_eq!(
            (after.reads, after.writes),
            (before.reads, before.writes),
            "{form:?}: none goes by way of the host"
        );
        assert_eq!((after.copies - before.copies, after.settled - before.settled), (2 * 2 * 3, 1), "{form:?}");
    }
}

/// The public form of the decoder, and its embeddings.
fn with_decoder(test: impl FnOnce(&mut Decoder, &mut Embedder, &Model)) {
    let (model, runtime, watchdog) = (model(), Runtime::load().unwrap(), Watchdog::new(Duration::ZERO).unwrap());
    let place = Place::first(Device::Cpu);
    let opening = Opening { watchdog: &watchdog, place, threads: 1, spinning: false, engines: None };
    let mut embedder = Embedder::open(&runtime, &model, opening).unwrap();
    let mut decoder = Decoder::open(&runtime, &model, opening, &embedder).unwrap();
    test(&mut decoder, &mut embedder, &model);
}

#[test]
fn the_probe_sees_that_slots_can_share_buffers_which_are_reached_by_copies_alone() {
    with_decoder(|decoder, embedder, model| {
        let heap = StandIn::default();
        let verdict = heap.instead(|| probe(decoder, embedder, &model.manifest)).unwrap();
        assert_eq!(verdict, Verdict::Shares);
        let Books { writes, regions, blocks, .. } = heap.books();
        assert!(writes > 0 && regions > 0 && blocks == 0, "{:?}", heap.books());
    });
}

const ILLEGAL: &str = "CUDA failure 700: an illegal memory access was encountered";

/// Feeds tokens of a text to a slot. Returns why that cannot be.
fn feed(decoder: &mut Decoder, embedder: &mut Embedder, slot: usize, places: Range<usize>) -> Option<String> {
    let (tokens, start, count) = (text(3, places.end).split_off(places.start), places.start, places.len());
    let embedded = embedder.embed(&tokens, 1).unwrap();
    decoder.chunk(slot, &embedded, &vec![0; count], start, 1).err().map(|error| error.to_string())
}

#[test]
fn a_slot_that_could_not_be_moved_says_why_until_it_is_emptied_and_its_neighbour_goes_on() {
    with_decoder(|decoder, embedder, _| {
        let heap = StandIn::default();
        heap.instead(|| decoder.share(2, Room::windowed(400, 63, 64)).map(|_| ())).unwrap();
        for slot in [0, 1] {
            assert!(decoder.cache().make_room(slot, 0, 150));
            assert_eq!(feed(decoder, embedder, slot, 0..150), None);
        }
        heap.fail_next(ILLEGAL);
        assert!(decoder.cache().make_room(0, 150, 60), "there is room, if nothing in it");
        assert_eq!(feed(decoder, embedder, 0, 150..151).as_deref(), Some(ILLEGAL));
        assert!(decoder.cache().copy(0, 20).is_none() && decoder.cache().copy(1, 20).is_some());
        assert_eq!(feed(decoder, embedder, 1, 150..151), None);
        decoder.cache().forget(0);
        assert_eq!(feed(decoder, embedder, 0, 0..20), None);
    });
}

#[test]
fn copies_that_fail_on_their_way_are_told_by_the_run_that_waits_for_them() {
    with_decoder(|decoder, embedder, _| {
        let heap = StandIn::default();
        heap.instead(|| decoder.share(1, Room::uniform(40)).map(|_| ())).unwrap();
        heap.fail_next(ILLEGAL);
        assert_eq!(feed(decoder, embedder, 0, 0..9).as_deref(), Some(ILLEGAL));
        assert_eq!(feed(decoder, embedder, 0, 0..9), None);
    });
}

#[test]
fn a_card_that_has_no_memory_for_the_slots_is_told_in_its_own_words() {
    with_decoder(|decoder, _, _| {
        let heap = StandIn::default();
        heap.fail_next("CUDA failure 2: out of memory");
        let fatal = heap.instead(|| decoder.share(2, Room::uniform(40)).map(|_| ())).unwrap_err();
        for word in ["2 slots of 40 tokens", "CUDA failure 2: out of memory"] {
            assert!(fatal.message.contains(word), "{}", fatal.message);
        }
        assert!(fatal.hint.contains("generate.slots"), "{}", fatal.hint);
        heap.instead(|| decoder.share(1, Room::uniform(40)).map(|_| ())).unwrap();
    });
}

/// A block of three slots with two heads of 40 positions of 16 bytes.
const HEADS: usize = 2;
const LENGTH: usize = 40;
const POSITION: usize = 16;

fn rows(slot: usize, positions: Range<usize>) -> Rows {
    let stride = LENGTH * POSITION;
    let first = slot * HEADS * stride + positions.start * POSITION;
    Rows { first, stride, count: HEADS, width: positions.len() * POSITION }
}

fn read(block: &Block, rows: Rows) -> Vec<u8> {
    let mut bytes = vec![7];
    block.read(rows, &mut bytes).unwrap();
    bytes
}

/// Fills, writes, moves and reads in an order that looks like chance.
pub(in crate::generate) fn assert_like_the_host(heap: &Heap) {
    let bytes = 3 * HEADS * LENGTH * POSITION;
    let mut blocks = [heap, &Heap::Host].map(|heap| heap.zeroed(bytes).unwrap());
    blocks.iter_mut().for_each(|block| block.fill(&[1, 2, 3, 4]).unwrap());
    let mut state = 7_u64;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    for turn in 0..300 {
        let (slot, start) = (below(3), below(LENGTH));
        let (count, longer) = (below(LENGTH - start + 1), below(3) * POSITION);
        let place = rows(slot, start..start + count);
        let pitch = place.width + longer;
        let from: Vec<u8> = (0..HEADS * pitch).map(|at| (at * 31 + turn) as u8).collect();
        for block in &mut blocks {
            match turn % 3 {
                0 => block.write(place, &from, pitch).unwrap(),
                _ => block.shift(place, start * POSITION).unwrap(),
            }
        }
        let [found, expected] = blocks.each_ref().map(|block| read(block, rows(slot, 0..LENGTH)));
        assert!(found == expected, "turn {turn}: {place:?}");
    }
    heap.settle().unwrap();
    let [found, expected] = blocks.each_ref().map(|block| read(block, Rows::one(0..bytes)));
    assert!(found == expected, "beside the slots that were written to");
}

#[test]
fn fills_and_copies_do_on_a_distant_heap_what_they_do_on_the_host() {
    let heap = StandIn::default();
    assert_like_the_host(&heap.clone().heap());
    assert!(heap.books().copies > 100, "{:?}", heap.books());
    if let Ok(card) = Heap::of(Place::first(Device::Cuda)) {
        assert_like_the_host(&card);
    }
}

#[test]
#[should_panic(expected = "copies under way")]
fn the_stand_in_sees_a_run_that_does_not_wait() {
    let heap = StandIn::default().heap();
    let mut block = heap.zeroed(64).unwrap();
    heap.settle().unwrap();
    block.write(Rows::one(0..4), &[1; 4], 4).unwrap();
    block.region(0, 64).map(drop).unwrap();
}

#[test]
#[should_panic(expected = "copied onto themselves")]
fn the_stand_in_sees_a_copy_that_overlaps_itself() {
    let Block::Distant(mut block) = StandIn::default().heap().zeroed(64).unwrap() else { return };
    block.copy(Rows::one(8..24), 8).unwrap();
}
