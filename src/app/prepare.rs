//! `lapidary model prepare` without its command line: TensorRT's engines for a bundle, built ahead of its runs.

use std::path::{Path, PathBuf};

use super::pipeline::{Overrides, Pipeline};
use crate::{
    base::{Budget, Fatal, Model, grid::BUDGETS},
    bundle::{self, Check},
    generate::{
        Device,
        tensorrt::{self, Buckets, Step},
    },
};

/// What to prepare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The bundle.
    pub bundle: PathBuf,
    /// A pipeline that is to be run with it: engines for the budgets that it asks for.
    pub pipeline: Option<PathBuf>,
    /// Budgets beside those of the pipeline; without either all that the model supports.
    pub budgets: Vec<u32>,
    /// The device that is to be used.
    pub device: Device,
    /// The cards, as CUDA counts them.
    pub ordinals: Vec<u32>,
}

/// Builds what is missing, card by card. `tell` is told of each step, and of the card that it is about.
///
/// # Errors
/// When the request names a device that nothing is built for, or budgets that the model does not have; else those of
/// [`tensorrt::prepare`].
pub fn prepare(request: &Request, tell: &mut dyn FnMut(u32, &Step)) -> Result<(), Fatal> {
    if request.device != Device::TensorRt {
        return Err(Fatal::new(
            format!("nothing is built ahead for `--device {}`: engines are TensorRT's alone", request.device.as_str()),
            "leave `--device` out",
        ));
    }
    let pipeline = request.pipeline.as_deref().map(read).transpose()?;
    let model = bundle::open(&request.bundle, Check::Full)?;
    let buckets = wanted(request, pipeline.as_ref(), &model)?;
    for ordinal in &request.ordinals {
        tensorrt::prepare(&model, buckets, *ordinal, &mut |step| tell(*ordinal, step))?;
    }
    Ok(())
}

/// What a pipeline asks of a model's encoders: pages, pictures and frames under its budgets and under those of the ladder,
/// and sound; as far as it has encoders. A budget that is chosen for each page may be any up to the largest.
pub fn buckets(pipeline: &Pipeline, model: &Model) -> Buckets {
    let (encode, films, sees) = (&pipeline.encode, pipeline.decode.video.frames > 0, model.manifest.vision.is_some());
    let pages = BUDGETS.into_iter().filter(|budget| match encode.budget {
        Budget::Tokens(tokens) => *budget == tokens,
        Budget::Auto => *budget <= Budget::Auto.most(),
    });
    let frames = films.then_some(encode.frame_budget);
    let steps = pipeline.ladder.steps.iter().filter_map(|step| step.budget);
    Buckets::new(pages.chain(frames).chain(steps).filter(|_| sees), model.manifest.audio.is_some())
}

fn wanted(request: &Request, pipeline: Option<&Pipeline>, model: &Model) -> Result<Buckets, Fatal> {
    let asked = pipeline.map(|pipeline| buckets(pipeline, model));
    let budgets = asked.into_iter().flat_map(Buckets::budgets).chain(request.budgets.iter().copied());
    let budgets: Vec<u32> = budgets.collect();
    let all = Buckets::all(model);
    if let Some(unknown) = budgets.iter().find(|budget| all.budgets().all(|known| known != **budget)) {
        return Err(unsupported(*unknown, all, model));
    }
    let wanted = if budgets.is_empty() { all } else { Buckets::new(budgets, model.manifest.audio.is_some()) };
    match wanted.of(model)[..] {
        [] => Err(Fatal::new(
            format!("`{}` has neither a vision nor an audio encoder: there is nothing to build", model.manifest.name),
            "run it with `--device cuda`; the decoder is CUDA's anyway",
        )),
        _ => Ok(wanted),
    }
}

fn unsupported(budget: u32, all: Buckets, model: &Model) -> Fatal {
    let known: Vec<String> = all.budgets().map(|known| known.to_string()).collect();
    let supports = match known.is_empty() {
        true => "no pictures".to_owned(),
        false => format!("the budgets {}", known.join(", ")),
    };
    Fatal::new(
        format!("no engine can be built for the budget {budget}: `{}` supports {supports}", model.manifest.name),
        "name others with `--budget`, or leave it out for all",
    )
}

fn read(path: &Path) -> Result<Pipeline, Fatal> {
    match Pipeline::read(path, &Overrides::default())? {
        (Some(pipeline), problems) if problems.is_empty() => Ok(pipeline),
        (_, problems) => Err(Fatal::new(
            format!("`{}` is no pipeline: {}", path.display(), problems.join("; ")),
            "correct it; `lapidary check` tells when it passes",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Model {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny");
        bundle::open(&folder, Check::Sizes).unwrap()
    }

    fn pipeline(text: &str) -> Pipeline {
        let (pipeline, problems) = Pipeline::from_text(&format!("name = \"x\"\n{text}"), &Overrides::default());
        assert_eq!(problems, Vec::<String>::new());
        pipeline.unwrap()
    }

    fn budgets(text: &str) -> Vec<u32> {
        buckets(&pipeline(text), &tiny()).budgets().collect()
    }

    fn request(budgets: &[u32]) -> Request {
        Request {
            bundle: PathBuf::from("onnx/tiny"),
            pipeline: None,
            budgets: budgets.to_vec(),
            device: Device::TensorRt,
            ordinals: vec![0],
        }
    }

    #[test]
    fn a_pipeline_asks_for_its_own_budgets_those_of_its_films_and_of_its_ladder() {
        assert_eq!(budgets("[encode]\nbudget = 280\n"), [70, 280]);
        assert_eq!(budgets("[encode]\nbudget = 280\n[decode.video]\nframes = 0\n"), [280]);
        assert_eq!(
            budgets("[encode]\nbudget = 280\nframe_budget = 140\n[ladder]\nsteps = [{ budget = 1120 }]\n"),
            [140, 280, 1120]
        );
        assert_eq!(budgets("[encode]\nbudget = \"auto\"\n"), BUDGETS);
    }

    #[test]
    fn what_is_named_comes_to_what_the_pipeline_asks_and_nothing_is_everything() {
        let model = tiny();
        let of = |named: &[u32], pipeline: Option<&Pipeline>| {
            wanted(&request(named), pipeline, &model).unwrap().budgets().collect::<Vec<_>>()
        };
        let pipeline = pipeline("[encode]\nbudget = 280\n[decode.video]\nframes = 0\n");
        assert_eq!(of(&[], None), BUDGETS);
        assert_eq!(of(&[560], None), [560]);
        assert_eq!(of(&[560], Some(&pipeline)), [280, 560]);
        assert_eq!(of(&[], Some(&pipeline)), [280]);
        let sound = wanted(&request(&[70]), None, &model).unwrap().of(&model);
        assert_eq!(sound.len(), 2, "a bundle that hears is prepared to hear");
    }

    #[test]
    fn a_budget_that_the_model_does_not_have_is_named_with_those_that_it_has() {
        let fatal = wanted(&request(&[70, 100]), None, &tiny()).unwrap_err();
        let words = ["the budget 100", "70, 140, 280, 560, 1120"];
        assert!(words.iter().all(|word| fatal.message.contains(word)), "{fatal}");
        let mut blind = tiny();
        (blind.manifest.vision, blind.manifest.graphs.vision_encoder) = (None, None);
        assert!(wanted(&request(&[70]), None, &blind).unwrap_err().message.contains("no pictures"));
        assert_eq!(wanted(&request(&[]), None, &blind).unwrap().of(&blind).len(), 1);
        assert_eq!(buckets(&pipeline(""), &blind), Buckets::new([], true));
        (blind.manifest.audio, blind.manifest.graphs.audio_encoder) = (None, None);
        assert!(wanted(&request(&[]), None, &blind).unwrap_err().message.contains("nothing to build"));
    }

    #[test]
    fn only_tensorrt_has_engines() {
        for device in [Device::Cpu, Device::Cuda, Device::Auto] {
            let request = Request { device, ..request(&[]) };
            let fatal = prepare(&request, &mut |_, _| ()).unwrap_err();
            assert!(fatal.message.contains(device.as_str()), "{fatal}");
        }
    }
}
