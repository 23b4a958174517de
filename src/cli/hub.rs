//! The hub's settings from the environment, under the names that huggingface_hub gives them.

use std::{env, fs, path::PathBuf};

use crate::{
    base::Fatal,
    bundle::hub::{Hub, Patience, Token},
};

const ENDPOINT: &str = "https://huggingface.co";

/// Settings from the environment; `offline` is what the arguments say.
pub fn settings(offline: bool) -> Result<Hub, Fatal> {
    let home = home();
    Ok(Hub {
        endpoint: variable("HF_ENDPOINT").unwrap_or(ENDPOINT.to_owned()).trim_end_matches('/').to_owned(),
        token: token(home.as_ref())?,
        cache: cache(home.as_ref())?,
        offline: offline || said_yes("HF_HUB_OFFLINE"),
        patience: Patience::default(),
    })
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn said_yes(name: &str) -> bool {
    variable(name).is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str()))
}

/// `HF_HOME`, else `huggingface` below `XDG_CACHE_HOME` or `~/.cache`, on every system.
fn home() -> Option<PathBuf> {
    let caches = || variable("XDG_CACHE_HOME").map(path).or_else(|| dirs::home_dir().map(|home| home.join(".cache")));
    variable("HF_HOME").map(path).or_else(|| caches().map(|caches| caches.join("huggingface")))
}

fn cache(home: Option<&PathBuf>) -> Result<PathBuf, Fatal> {
    let named = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].into_iter().find_map(variable).map(path);
    named.or_else(|| home.map(|home| home.join("hub"))).ok_or_else(|| {
        Fatal::new("there is no home folder in which to keep downloads", "set HF_HUB_CACHE to a folder of yours")
    })
}

/// `HF_TOKEN`, else the file that `hf auth login` writes.
fn token(home: Option<&PathBuf>) -> Result<Option<Token>, Fatal> {
    let file = variable("HF_TOKEN_PATH").map(path).or_else(|| home.map(|home| home.join("token")));
    let stored = || file.and_then(|file| fs::read_to_string(file).ok());
    let named = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().find_map(variable);
    let token = named.or_else(stored).map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    match token {
        Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => Err(Fatal::new(
            "the token for the hub holds characters that no token has",
            "correct HF_TOKEN, or log in again with `hf auth login`",
        )),
        token => Ok(token.map(Token)),
    }
}

/// `~/` is the home folder, as in huggingface_hub.
fn path(text: String) -> PathBuf {
    match (text.strip_prefix("~/"), dirs::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}
