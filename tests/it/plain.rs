//! The plain evaluation against transformers, for all four shapes of the family.

use lapidary::bundle::{
    Checkpoint, Config, Dtype, Precision, Quantize,
    plain::{Evaluated, Storage, evaluate},
};
use ndarray::Array2;

use crate::family::member::{MEMBERS, Member};

fn evaluated(member: &Member, storage: Storage, keep: usize) -> Evaluated {
    let config = Config::read(&member.fixture()).unwrap();
    let checkpoint = Checkpoint::open(&member.fixture()).unwrap();
    evaluate(&checkpoint, &config, storage, &member.prompt(), keep).unwrap()
}

fn difference(mine: &Array2<f32>, theirs: &Array2<f32>) -> f32 {
    assert_eq!(mine.dim(), theirs.dim());
    mine.iter().zip(theirs).map(|(mine, theirs)| (mine - theirs).abs()).fold(0.0, f32::max)
}

fn highest(row: ndarray::ArrayView1<f32>) -> usize {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
}

/// Reached: features 4e-6 and logits 9e-5, on features of size 3 and logits of size 10.
#[test]
fn features_and_logits_are_those_of_transformers() {
    for member in MEMBERS.map(Member) {
        let mine = evaluated(&member, Storage::Original, usize::MAX);
        let features = difference(&mine.image_features, &member.vector("image_features"));
        assert!(features < 1e-5, "{}: image features differ by {features}", member.0);
        if member.has("audio_features") {
            let sound = difference(&mine.audio_features, &member.vector("audio_features"));
            assert!(sound < 1e-5, "{}: audio features differ by {sound}", member.0);
        }
        let theirs: Array2<f32> = member.vector("logits");
        let logits = difference(&mine.logits, &theirs);
        assert!(logits < 2e-3, "{}: logits differ by {logits}", member.0);
        for (mine, theirs) in mine.logits.rows().into_iter().zip(theirs.rows()) {
            assert_eq!(highest(mine), highest(theirs), "{}", member.0);
        }
    }
}

/// Layers that share keys and values are computed for the kept positions alone.
#[test]
fn the_last_logits_are_the_same_whether_or_not_the_others_are_asked_for() {
    for member in MEMBERS.map(Member) {
        let (all, last) = (evaluated(&member, Storage::Original, 1000), evaluated(&member, Storage::Original, 4));
        assert_eq!(last.logits.nrows(), 4);
        let tail = all.logits.slice(ndarray::s![-4.., ..]).to_owned();
        assert!(difference(&last.logits, &tail) < 1e-4, "{}", member.0);
    }
}

/// What rounding costs grows from f16 over 8 bits to 4 bits, and no encoder is touched by the quantisation.
#[test]
fn weights_are_seen_as_a_bundle_stores_them() {
    let member = Member("26b-a4b");
    let exact = evaluated(&member, Storage::Original, 8);
    let cost = |dtype, quantize| {
        let seen = evaluated(&member, Storage::Bundle(Precision::uniform(dtype, quantize)), 8);
        (difference(&seen.image_features, &exact.image_features), difference(&seen.logits, &exact.logits))
    };
    assert_eq!(cost(Dtype::F32, Quantize::None), (0.0, 0.0));
    let costs = [(Dtype::F16, Quantize::None), (Dtype::F32, Quantize::Int8), (Dtype::F32, Quantize::Int4)];
    let costs = costs.map(|(dtype, quantize)| cost(dtype, quantize));
    assert!(costs[0].0 > 0.0 && costs[0].0 < 0.02 && costs[1].0 == 0.0 && costs[2].0 == 0.0, "{costs:?}");
    assert!(0.0 < costs[0].1 && costs[0].1 < costs[1].1 && costs[1].1 < costs[2].1, "{costs:?}");
}

#[test]
fn a_prompt_that_does_not_belong_to_the_model_is_refused() {
    let member = Member("31b");
    let (config, checkpoint) = (Config::read(&member.fixture()).unwrap(), Checkpoint::open(&member.fixture()).unwrap());
    let refusal = |change: &dyn Fn(&mut lapidary::base::Prompt)| {
        let mut prompt = member.prompt();
        change(&mut prompt);
        evaluate(&checkpoint, &config, Storage::Original, &prompt, 1).unwrap_err().message
    };
    assert!(refusal(&|prompt| prompt.tokens.clear()).contains("has 0 ids"));
    assert!(refusal(&|prompt| prompt.tokens[0] = 300).contains("300 is beyond the vocabulary of 300"));
    assert!(refusal(&|prompt| prompt.images.truncate(1)).contains("16 places for 12 features"));
    assert!(refusal(&|prompt| prompt.images[0].positions[[0, 0]] = -1).contains("not a grid of 12 soft tokens"));
    assert!(refusal(&|prompt| prompt.images[0].positions[[0, 0]] = 64).contains("not a grid"));
    assert!(refusal(&|prompt| prompt.images[1].positions[[0, 0]] = 6).contains("not a grid"));
    let clip = || Member("e2b").prompt().clips;
    assert!(refusal(&|prompt| prompt.clips = clip()).contains("no audio encoder"));
}
