//! Requests are repeated while there is hope, with growing pauses; what is refused is said at once.

use super::{Patience, Repository, Step, client::Trouble};
use crate::base::Fatal;

/// Repeats `attempt` until it succeeds, is refused, or fails too often in a row. `attempt` gets a flag to set when it
/// made progress, which begins the count anew.
pub fn patiently<T>(
    patience: &Patience,
    about: &About<'_>,
    watch: &mut dyn FnMut(Step<'_>),
    mut attempt: impl FnMut(&mut bool, &mut dyn FnMut(Step<'_>)) -> Result<T, Trouble>,
) -> Result<T, Fatal> {
    let mut failures = 0;
    loop {
        let mut progress = false;
        let trouble = match attempt(&mut progress, watch) {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        failures = if progress { 1 } else { failures + 1 };
        match trouble {
            Trouble::Passing(why, asked) if failures < patience.attempts => {
                let pause = patience.pause(failures, asked);
                watch(Step::Pausing { why: &why, pause });
                (patience.sleep)(pause);
            }
            Trouble::Passing(why, _) => return Err(given_up(&why, patience.attempts)),
            Trouble::Refused(status, address) => return Err(about.refused(status, &address)),
            Trouble::Final(fatal) => return Err(fatal),
        }
    }
}

fn given_up(why: &str, attempts: u32) -> Fatal {
    Fatal::new(
        format!("{why}; gave up after {attempts} attempts"),
        "try again later, what was downloaded is kept; check the network, HTTPS_PROXY and HF_ENDPOINT",
    )
}

/// What a request is about, for the words of a refusal.
pub struct About<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// The file, unless the whole repository is meant.
    pub file: Option<&'a str>,
    /// Was a token sent?
    pub token: bool,
}

impl About<'_> {
    fn refused(&self, status: u16, address: &str) -> Fatal {
        let name = &self.repository.name;
        let what = match self.file {
            Some(file) => format!("`{file}` of `{}`", self.repository),
            None => format!("`{}`", self.repository),
        };
        let hint = match status {
            401 | 403 if self.token => format!(
                "accept the licence on the page of {name} with the account of HF_TOKEN, and see that the token may read \
                 gated repositories and is still valid; a private or misspelt name is refused in the same way"
            ),
            401 | 403 => format!(
                "check the name; if it is right, {name} is gated or private: accept its licence on its page, make a \
                 token that may read, and set HF_TOKEN"
            ),
            404 | 410 if self.file.is_some() => "the file is not in this revision: check the revision".to_owned(),
            404 | 410 => "check the name of the repository and the revision after `@`".to_owned(),
            416 => "remove the `.incomplete` file of the cache and try again".to_owned(),
            _ => "check HF_ENDPOINT; the host does not answer as a hub does".to_owned(),
        };
        Fatal::new(format!("{what}: the hub answers {status} ({address})"), hint)
    }
}
