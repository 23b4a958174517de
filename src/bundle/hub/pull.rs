//! A whole pull: the list of files, the small ones that say what else is wanted, the rest; or the same from the cache.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Entry, Hub, Kind, Listing, Repository, Step,
    cache::Cache,
    choose,
    client::Client,
    download::Downloader,
    space::{self, Writes},
};
use crate::{
    base::Fatal,
    bundle::{
        Config, Precision,
        workshop::{clear_remains, refuse_existing},
    },
};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// From where.
    pub repository: Repository,
    /// Of a repository with graphs, which.
    pub variant: Option<String>,
    /// What happens to the files.
    pub purpose: Use,
}

/// What happens to the files of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// They stay in the cache.
    Keep,
    /// A checkpoint is exported to `out`; graphs are laid out there, or stay in the cache.
    Make {
        /// The folder to make.
        out: Option<PathBuf>,
        /// How the bundle stores its numbers, where that is asked for: only an export can honour it.
        precision: Option<Precision>,
    },
}

/// What is now in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The folder of the commit.
    pub snapshot: PathBuf,
    /// Checkpoint or graphs.
    pub kind: Kind,
    /// The files of this pull, by their paths inside the snapshot.
    pub files: Vec<String>,
}

/// Brings the files into the cache. Whatever can be refused is refused before anything large is fetched.
pub fn pull(hub: &Hub, request: &PullRequest, watch: &mut dyn FnMut(Step<'_>)) -> Result<Pulled, Fatal> {
    if let Use::Make { out: Some(out), .. } = &request.purpose {
        refuse_existing(out)?;
        clear_remains(out);
    }
    let cache = Cache::of(&hub.cache, &request.repository);
    match hub.offline {
        true => from_cache(&cache, request),
        false => from_hub(hub, &cache, request, watch),
    }
}

fn from_hub(hub: &Hub, cache: &Cache, request: &PullRequest, watch: &mut dyn FnMut(Step<'_>)) -> Result<Pulled, Fatal> {
    let (client, repository) = (Client::new(hub)?, &request.repository);
    let listing = Listing::ask(hub, &client, repository, watch)?;
    let kind = checked_kind(&listing, request)?;
    cache.create()?;
    let commit = &listing.commit;
    let downloader = Downloader { hub, client: &client, repository, cache, commit };
    let complete = |files: Vec<Entry>, watch: &mut dyn FnMut(Step<'_>)| {
        let each = files.into_iter().map(|file| file.complete(hub, &client, repository, commit, watch));
        each.collect::<Result<Vec<_>, _>>()
    };
    let small = complete(first_files(&listing, &kind).map_err(|error| about(request, error))?, watch)?;
    fetch_all(&downloader, &small, &mut |step| quietly(step, watch))?;
    let snapshot = cache.snapshot(commit);
    let large = complete(other_files(&listing, &kind, &snapshot).map_err(|error| about(request, error))?, watch)?;
    let files = [small, large].concat();
    let output = space::of_output(&request.purpose, &kind, &files, &snapshot).map_err(|error| about(request, error))?;
    plan(&downloader, &files, cache.create()?, output.as_ref(), watch)?;
    fetch_all(&downloader, &files, watch)?;
    cache.remember(&repository.revision, commit)?;
    Ok(Pulled { snapshot, kind, files: files.into_iter().map(|file| file.path).collect() })
}

fn fetch_all(downloader: &Downloader<'_>, files: &[Entry], watch: &mut dyn FnMut(Step<'_>)) -> Result<(), Fatal> {
    files.iter().try_for_each(|file| downloader.fetch(file, watch))
}

/// The files that are fetched before the plan is made are not worth a line.
fn quietly(step: Step<'_>, watch: &mut dyn FnMut(Step<'_>)) {
    if let Step::Pausing { .. } = step {
        watch(step);
    }
}

/// Says what will come, and refuses what the disks do not hold.
fn plan(
    downloader: &Downloader<'_>,
    files: &[Entry],
    folder: &Path,
    output: Option<&Writes>,
    watch: &mut dyn FnMut(Step<'_>),
) -> Result<(), Fatal> {
    let missing = files.iter().map(|file| downloader.missing(file)).fold(0, u64::saturating_add);
    space::check(&Writes { place: folder.to_owned(), bytes: missing }, output)?;
    watch(Step::Planned { files: files.len(), bytes: space::sum(files), missing });
    Ok(())
}

/// Without a connection: the same choice among the files that the cache holds.
fn from_cache(cache: &Cache, request: &PullRequest) -> Result<Pulled, Fatal> {
    let repository = &request.repository;
    let not_here = |what: String| Fatal::new(what, "pull it once with a connection, without `--offline`");
    let commit = cache.commit(&repository.revision);
    let commit = commit.ok_or_else(|| not_here(format!("the cache does not know `{repository}`")))?;
    let snapshot = cache.snapshot(&commit);
    let listing = Listing::of_snapshot(&commit, &snapshot);
    if listing.files.is_empty() {
        return Err(not_here(format!("the cache holds no file of `{repository}`: `{}` is empty", snapshot.display())));
    }
    let kind = checked_kind(&listing, request)?;
    let offline = |error| about(request, error);
    let mut files = first_files(&listing, &kind).map_err(offline)?;
    files.extend(other_files(&listing, &kind, &snapshot).map_err(offline)?);
    let files: Vec<String> = files.into_iter().map(|file| file.path).collect();
    for graph in files.iter().filter(|path| path.ends_with(".onnx")) {
        choose::data_is_there(&snapshot, graph, &files).map_err(offline)?;
    }
    Ok(Pulled { snapshot, kind, files })
}

fn about(request: &PullRequest, error: Fatal) -> Fatal {
    Fatal::new(format!("`{}`: {}", request.repository, error.message), error.hint)
}

/// The kind of the repository, if what is asked for makes sense with it.
fn checked_kind(listing: &Listing, request: &PullRequest) -> Result<Kind, Fatal> {
    let kind = Kind::of(listing, request.variant.as_deref()).map_err(|error| about(request, error))?;
    let refused = match (&kind, &request.purpose) {
        (Kind::Checkpoint, Use::Make { out: None, .. }) => Some(Fatal::new(
            "it is a checkpoint, and its bundle has no place to go",
            "name a new folder after the repository, or use `--no-export` to download only",
        )),
        (Kind::Graphs(_), Use::Make { precision: Some(_), .. }) => Some(Fatal::new(
            "its graphs are used as they are, options of the export have no effect",
            "leave `--dtype`, `--quantize` and their like out; the precision is the variant's",
        )),
        _ => None,
    };
    refused.map_or(Ok(kind), |error| Err(about(request, error)))
}

/// The small files, and the index that tells which files of weights there are.
fn first_files(listing: &Listing, kind: &Kind) -> Result<Vec<Entry>, Fatal> {
    let mut files = choose::companions(listing)?;
    if *kind == Kind::Checkpoint {
        files.extend(choose::index(listing).cloned());
    }
    Ok(files)
}

/// The large files. A checkpoint that could not be exported is refused here, by its configuration.
fn other_files(listing: &Listing, kind: &Kind, snapshot: &Path) -> Result<Vec<Entry>, Fatal> {
    let Kind::Graphs(variant) = kind else {
        Config::read(snapshot)?;
        let read = |index: &Entry| {
            let path = snapshot.join(&index.path);
            fs::read(&path).map_err(|error| {
                Fatal::new(format!("cannot read `{}`: {error}", path.display()), "check its permissions")
            })
        };
        return choose::weights(listing, choose::index(listing).map(read).transpose()?.as_deref());
    };
    choose::graphs(listing, variant)
}
