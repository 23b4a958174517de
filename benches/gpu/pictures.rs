//! Pictures a second through the vision encoder, for each budget of soft tokens: one by one, or as many together as the
//! engine puts into one run. The pictures are A4 pages of noise, no two alike, since the engine keeps what it has seen.

use lapidary::{
    base::{
        Fatal, Prompt,
        grid::{Grid, TOKEN},
    },
    generate::{Encoders, Engine, EngineSettings},
};
use serde_json::json;

use crate::{Bench, Clock, failed, prompts::picture};

/// Pixels of an A4 page at 200 dpi.
const PAGE: (u32, u32) = (1654, 2339);

/// The budget for which `--count` pictures are taken; smaller ones get more of them, up to four times as many.
const LARGEST: usize = 1120;

pub fn run(bench: &Bench) -> Result<(), Fatal> {
    let arguments = &bench.arguments;
    let (count, together) = (arguments.value::<usize>("--count", 16)?, arguments.value("--together", true)?);
    let layout = bench.layout(&bench.settings(1, 128)?);
    let mut engine = bench.open(EngineSettings { pictures_together: Some(together), ..layout })?;
    let missing = || Fatal::new("the engine has no encoders", "name a bundle with a vision encoder");
    let mut encoders = engine.encoders().ok_or_else(missing)?;
    for budget in arguments.list("--budgets")? {
        let pictures = (count * LARGEST / budget.max(1)).clamp(1, 4 * count);
        measure(encoders.as_mut(), budget, pictures, together)?;
    }
    Ok(())
}

/// As many pictures as are measured go before, for the same runs.
fn measure(encoders: &mut dyn Encoders, budget: usize, count: usize, together: bool) -> Result<(), Fatal> {
    let wrong = || Fatal::new(format!("no page fits a budget of {budget}"), "say --budgets 70,140,280,560,1120");
    let grid = Grid::fit(PAGE.0, PAGE.1, budget as u32).ok_or_else(wrong)?;
    let soft_tokens = grid.soft_tokens();
    for pass in 0..2_u64 {
        let seed = |number: u64| budget as u64 * 1_000_000 + pass * 100_000 + number;
        let mut prompts: Vec<Prompt> = (0..count as u64).map(|number| page(seed(number), grid)).collect();
        let clock = Clock::start();
        encode(encoders, &mut prompts, together)?;
        if pass > 0 {
            let facts = json!({
                "budget": budget,
                "soft_tokens": soft_tokens,
                "together": together,
                "pictures": count,
                "patches_together": encoders.patches_together(),
            });
            clock.say("pictures", count as f64 / clock.seconds(), facts);
        }
    }
    Ok(())
}

fn encode(encoders: &mut dyn Encoders, prompts: &mut [Prompt], together: bool) -> Result<(), Fatal> {
    let mut all: Vec<&mut Prompt> = prompts.iter_mut().collect();
    let size = if together { all.len().max(1) } else { 1 };
    for some in all.chunks_mut(size) {
        encoders.encode(some).into_iter().collect::<Result<(), _>>().map_err(failed)?;
    }
    Ok(())
}

fn page(seed: u64, grid: Grid) -> Prompt {
    let picture = picture(seed, (grid.width / TOKEN) as usize, (grid.height / TOKEN) as usize);
    Prompt { images: vec![picture], ..Prompt::default() }
}
