//! `lapidary publish`: a finished dataset into a bucket. Its place goes to standard output.

use std::env;

use super::{Ended, args::PublishArguments, print, progress::Watcher, transfer::Transfer};
use crate::{
    base::Fatal,
    write::{self, Address, PublishRequest, Published, Step},
};

pub fn run(arguments: &PublishArguments, watcher: Watcher) -> Result<Ended, Fatal> {
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let address = Address::new(&arguments.url, variables)?;
    let request = PublishRequest { out: &arguments.dataset, address: &address, replace: arguments.replace };
    let mut transfer = Transfer::of(watcher);
    let published = write::publish(&request, &mut |step| show(&mut transfer, &step))?;
    transfer.say(&told(&published));
    drop(transfer);
    print::result(&format!("{address}\n"))?;
    Ok(Ended::Well)
}

fn show(transfer: &mut Transfer, step: &Step<'_>) {
    match step {
        Step::Planned { files, bytes } => transfer.begin(&format!("{files} files, {}", print::bytes(*bytes)), *bytes),
        Step::Sending(path) => transfer.one_of_many(path),
        Step::There(bytes) => transfer.gain(*bytes),
    }
}

fn told(published: &Published) -> String {
    if published.before {
        return "this dataset is there already".to_owned();
    }
    let mut told = format!("{} files sent ({})", published.sent, print::bytes(published.bytes));
    for (count, what) in [(published.kept, "there already"), (published.removed, "of an earlier dataset taken away")] {
        if count > 0 {
            told.push_str(&format!(", {count} {what}"));
        }
    }
    told
}
