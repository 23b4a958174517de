//! What the parent makes of a child's words, without a child: for the tests that make words up.

use crate::base::{Fault, Kind, Unit};

use super::{
    course::{Allowance, Course, admit},
    settings::Settings,
    wire::{self, Reply},
};

/// The units that `words` hold, of a document of `kind`, up to the first word that is not believed, and why that is.
pub fn overhear(mut words: &[u8], kind: Kind, settings: &Settings) -> (Vec<Unit>, Result<(), String>) {
    let (mut units, mut course) = (Vec::new(), Course::new(Allowance::of(settings)));
    course.begin();
    let ended = loop {
        match hear(&mut words, kind, settings, &mut course) {
            Ok(Heard::Unit(unit)) => units.push(unit),
            Ok(Heard::Word) => {}
            Ok(Heard::End) => break Ok(()),
            Err(why) => break Err(why),
        }
    };
    (units, ended)
}

enum Heard {
    Unit(Unit),
    Word,
    End,
}

/// One word, checked as [`super::Decoder`] checks it.
fn hear(words: &mut &[u8], kind: Kind, settings: &Settings, course: &mut Course) -> Result<Heard, String> {
    let reply = wire::receive::<Reply>(words).map_err(|error| error.to_string())?;
    match reply.ok_or("it ended without a word")? {
        Reply::Promise { parts } => course.promise(&parts, |wanted| wanted).map(|_| Heard::Word),
        Reply::Unit { of, form } => {
            let bytes = admit(&form, kind, &settings.limits)?;
            if !course.spend_bytes(bytes) {
                return Err("it became too much".to_owned());
            }
            let unit = form.read(words).map_err(|error| error.to_string())?;
            course.settle(of).map(|()| Heard::Unit(unit))
        }
        Reply::UnitFault { of, fault } => {
            let _ = Fault::from(fault);
            course.settle(of).map(|()| Heard::Word)
        }
        Reply::DocumentFault { fault } => Err(Fault::from(fault).message),
        Reply::Heartbeat => Ok(Heard::Word),
        Reply::Done => Ok(Heard::End),
        Reply::NeedsFfmpeg | Reply::Raised { .. } | Reply::Tried { .. } | Reply::Cut { .. } => {
            Err("it answered another question".to_owned())
        }
    }
}
