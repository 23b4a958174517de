//! The encoder as a stage, and the file of `lapidary encode`.

use std::{fs, sync::Arc};

use lapidary::{
    base::{
        ByteBudget, Clip, ContentHash, Emit, Fault, Film, Frame, Item, Kind, Origin, Part, Prompt, Raster, Source,
        Stage, Stop, Unit,
        ladder::{Rung, Rungs},
        place::Place,
    },
    encode::{Encoder, Settings, tensors},
};
use safetensors::{Dtype, SafeTensors};

use super::tiny;

struct Kept(Vec<Item<Prompt>>);

impl Emit<Prompt> for Kept {
    fn item(&mut self, item: Item<Prompt>) {
        self.0.push(item);
    }

    fn fault(&mut self, _: &Origin, _: Fault) {}

    fn open(&self) -> bool {
        true
    }
}

fn origin() -> Origin {
    let source = Source {
        name: "a.mp4".to_owned(),
        path: "a.mp4".into(),
        hash: ContentHash([7; 32]),
        kind: Kind::Video,
        bytes: 9,
        ordinal: 0,
        modified: None,
    };
    Origin { source: Arc::new(source), part: Part::Whole }
}

fn encoder() -> Encoder {
    let settings = Settings { budget: 70.into(), ..Settings::default() };
    Encoder::new(&settings, Arc::new(tiny()), "{}").unwrap()
}

fn raster(width: u32, height: u32) -> Raster {
    Raster { width, height, rgb: vec![200; (3 * width * height) as usize] }
}

#[test]
fn an_item_leases_what_its_prompt_holds() {
    let budget = ByteBudget::new(1 << 30);
    let unit = Unit::Image(raster(640, 480));
    let lease = budget.lease(unit.bytes(), &Stop::default()).unwrap();
    let mut kept = Kept(Vec::new());
    encoder().process(Item { origin: origin(), attempt: 0, lease, body: unit }, &mut kept).unwrap();
    assert_eq!(kept.0[0].origin, origin());
    assert_eq!(budget.in_use(), kept.0[0].body.bytes());
    assert!(kept.0[0].body.encode_micros > 0);
}

#[test]
fn one_unit_is_written_under_plain_names_with_shorter_pictures_padded() {
    let frames = [raster(640, 480), raster(3000, 200)].map(|raster| Frame { time: 0.0, raster });
    let prompt = encoder().prompt(Unit::Film(Film { frames: frames.to_vec() })).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.safetensors");
    tensors::write(&Place::at(&path).unwrap(), &[(origin(), prompt.clone())]).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let ids = file.tensor("input_ids").unwrap();
    assert_eq!((ids.dtype(), ids.shape()), (Dtype::I64, &[1, prompt.tokens.len()][..]));
    let pixels = file.tensor("pixel_values").unwrap();
    assert_eq!((pixels.dtype(), pixels.shape()), (Dtype::F32, &[2, 576, 768][..]));
    let positions = file.tensor("pixel_position_ids").unwrap();
    assert_eq!(positions.shape(), [2, 576, 2]);
    let padding: Vec<i64> = positions.data()[8 * 2 * 567..8 * 2 * 576]
        .chunks(8)
        .map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!(padding, [-1; 18], "640 x 480 has 567 patches, 3000 x 200 has 576");
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["source"], "a.mp4");
}

#[test]
fn several_units_are_numbered() {
    let mut encoder = encoder();
    let clip = encoder.prompt(Unit::Clip(Clip { samples: vec![0.2; 8000] })).unwrap();
    let text = encoder.prompt(Unit::Text("Hello".to_owned())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.safetensors");
    tensors::write(&Place::at(&path).unwrap(), &[(origin(), clip.clone()), (origin(), text)]).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = file.names();
    names.sort_unstable();
    assert_eq!(names, ["unit0.input_features", "unit0.input_features_mask", "unit0.input_ids", "unit1.input_ids"]);
    let mask = file.tensor("unit0.input_features_mask").unwrap();
    assert_eq!((mask.dtype(), mask.shape()), (Dtype::U8, &[1, clip.clips[0].mask.len()][..]));
}

#[test]
fn a_picture_that_is_tried_again_in_tiles_is_several_pictures_one_after_the_other() {
    let rungs = Rungs::new(vec![Rung { tiles: Some(2), ..Rung::default() }]);
    let mut encoder = encoder().with_rungs(rungs);
    let longest = encoder.longest(1, 0, 0.0, 0).unwrap();
    let mut kept = Kept(Vec::new());
    for attempt in [0, 1] {
        let unit = Unit::Image(raster(640, 480));
        let lease = ByteBudget::new(1 << 30).lease(unit.bytes(), &Stop::default()).unwrap();
        encoder.process(Item { origin: origin(), attempt, lease, body: unit }, &mut kept).unwrap();
    }
    let [whole, tiled] = &kept.0[..] else { panic!("two prompts") };
    assert_eq!((whole.body.images.len(), tiled.body.images.len(), tiled.attempt), (1, 4, 1));
    // 340 x 255 pixels become 432 x 336 at a budget of 70, as 640 x 480 do: 63 soft tokens, between two marks.
    let (one, four) = (whole.body.tokens.len(), tiled.body.tokens.len());
    assert_eq!(four - one, 3 * 65);
    assert_eq!(tiled.body.image_tokens(), 4 * 63);
    assert!(longest >= four, "{longest} tokens are made room for");
}
