//! `lapidary model pull`: a model from a hub, exported if it is a checkpoint. Its place goes to standard output.

use std::path::Path;

use super::{Ended, args::PullArguments, hub, model, print, progress::Watcher, transfer::Transfer};
use crate::{
    base::Fatal,
    bundle::{
        self, Catalog, Config, ExportRequest, Holds,
        hub::{Kind, PullRequest, Pulled, Step, Use},
    },
};

pub fn run(arguments: &PullArguments, watcher: Watcher) -> Result<Ended, Fatal> {
    let request = request(arguments)?;
    let hub = hub::settings(arguments.offline)?;
    let mut transfer = Transfer::of(watcher);
    let pulled = bundle::hub::pull(&hub, &request, &mut |step| show(&mut transfer, &step))?;
    drop(transfer);
    let place = match (&arguments.output, &pulled.kind) {
        (Some(out), Kind::Checkpoint) => {
            let precision = model::precision(&arguments.precision, || Config::read(&pulled.snapshot))?;
            let exported =
                bundle::export(ExportRequest { checkpoint: pulled.snapshot.clone(), out: out.clone(), precision })?;
            if watcher != Watcher::Nobody {
                exported.summary().iter().for_each(|line| print::note(line));
            }
            shown(out)
        }
        (Some(out), Kind::Graphs(_)) => {
            pulled.lay_out(out)?;
            shown(out)
        }
        (None, _) => in_cache(&pulled, arguments.no_export),
    };
    print::result(&format!("{place}\n"))?;
    Ok(Ended::Well)
}

fn show(transfer: &mut Transfer, step: &Step<'_>) {
    match step {
        Step::Planned { files, bytes, missing } => {
            let here =
                if *missing == 0 { "all there".to_owned() } else { format!("{} to come", print::bytes(*missing)) };
            transfer.begin(&format!("{files} files, {}: {here}", print::bytes(*bytes)), *missing);
        }
        Step::Fetching { path, bytes, have } => {
            let from = if *have > 0 { format!(", going on at {}", print::bytes(*have)) } else { String::new() };
            transfer.file(path, &format!("{}{from}", print::bytes(*bytes)));
        }
        Step::Received(bytes) => transfer.gain(*bytes),
        Step::Lost(bytes) => transfer.lose(*bytes),
        Step::Pausing { why, pause } => {
            transfer.say(&format!("{why}; next attempt in {}", print::duration(pause.as_secs_f64())));
        }
    }
}

/// A recipe that cannot be found is no reason to download first.
fn request(arguments: &PullArguments) -> Result<PullRequest, Fatal> {
    let make = Use::Make { out: arguments.output.clone(), precision: model::asked(&arguments.precision)? };
    Ok(PullRequest {
        repository: repository(&arguments.repository)?.parse()?,
        variant: arguments.variant.clone(),
        purpose: if arguments.no_export { Use::Keep } else { make },
    })
}

/// A name of the catalogue stands for the repository of its checkpoint, at the same revision.
fn repository(text: &str) -> Result<String, Fatal> {
    if text.contains('/') {
        return Ok(text.to_owned());
    }
    let (name, revision) = text.split_once('@').map_or((text, String::new()), |(name, at)| (name, format!("@{at}")));
    let found = Catalog::all()?.into_iter().find(|entry| entry.name == name);
    let repository = found.as_ref().and_then(|entry| entry.repository(Holds::Checkpoint));
    Ok(repository.map_or(text.to_owned(), |repository| format!("{}{revision}", repository.name)))
}

/// The snapshot, and which variant: others may lie beside it.
fn in_cache(pulled: &Pulled, folder_only: bool) -> String {
    match &pulled.kind {
        Kind::Graphs(variant) if !folder_only => format!("{}#{variant}", shown(&pulled.snapshot)),
        _ => shown(&pulled.snapshot),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
