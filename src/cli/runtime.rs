//! `lapidary runtime install`: puts the native libraries where the other commands look for them.

use super::{Ended, args::RuntimeCommand, print};
use crate::base::{
    Fatal,
    native::{self, InstallRequest, Installed},
};

pub fn run(command: &RuntimeCommand) -> Result<Ended, Fatal> {
    let RuntimeCommand::Install { dir, cuda, tensorrt } = command;
    let request = InstallRequest { folder: dir.clone(), cuda: *cuda, tensorrt: tensorrt.clone() };
    let installed = native::install(request, &mut |step| print::note(step))?;
    report(&installed);
    Ok(Ended::Well)
}

fn report(installed: &Installed) {
    let fresh = installed.files.iter().filter(|file| file.fresh).count();
    let files = installed.files.len();
    let folder = installed.folder.display();
    match fresh {
        0 => print::note(&format!("{folder}: all {files} files are there and intact")),
        _ => print::note(&format!("{folder}: {fresh} of {files} files installed, all intact")),
    }
    if installed.folder != native::folder() {
        print::note(&format!("set {}={folder} to use them", native::FOLDER_VARIABLE));
    }
}
