//! What carries messages to the parent: at once, or by a thread, so that the next page is drawn while one is on its way.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use serde::Serialize;

use super::{super::form, wire};
use crate::base::Unit;

/// A message, and the unit that it announces.
struct Parcel {
    message: Vec<u8>,
    unit: Option<Unit>,
}

/// The way out of the child.
pub struct Courier<'a> {
    output: &'a mut File,
    thread: Option<(SyncSender<Parcel>, JoinHandle<io::Result<()>>)>,
}

impl<'a> Courier<'a> {
    /// Carries each message at once.
    pub fn new(output: &'a mut File) -> Self {
        Self { output, thread: None }
    }

    /// From now on a thread carries them, one at a time: a unit may be on its way while the next one is made. Where no thread can be
    /// had, it stays as it is.
    pub fn take_a_thread(&mut self) {
        let Ok(mut output) = self.output.try_clone() else { return };
        // Nothing waits in the channel itself: who has a second parcel waits for the first to be carried.
        let (way, parcels) = sync_channel::<Parcel>(0);
        let carry = move || parcels.into_iter().try_for_each(|parcel| parcel.carry(&mut output));
        self.thread = thread::Builder::new().name("courier".into()).spawn(carry).ok().map(|thread| (way, thread));
    }

    /// True when a thread carries.
    pub fn has_a_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// Sends a message, and the unit that it announces.
    ///
    /// # Errors
    /// When the parent is gone, now or when an earlier parcel was carried.
    pub fn send(&mut self, message: &impl Serialize, unit: Option<Unit>) -> io::Result<()> {
        let mut parcel = Parcel { message: Vec::new(), unit };
        wire::send(&mut parcel.message, message)?;
        let Some((way, _)) = &self.thread else { return parcel.carry(self.output) };
        if way.send(parcel).is_ok() {
            return Ok(());
        }
        self.end().and_then(|()| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Waits until everything is carried.
    ///
    /// # Errors
    /// When it could not be.
    pub fn end(&mut self) -> io::Result<()> {
        let Some((way, thread)) = self.thread.take() else { return Ok(()) };
        drop(way);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that carries units has panicked")))
    }
}

impl Parcel {
    fn carry(self, output: &mut File) -> io::Result<()> {
        let mut output = BufWriter::with_capacity(1 << 16, output);
        output.write_all(&self.message)?;
        self.unit.iter().try_for_each(|unit| form::write(unit, &mut output))?;
        output.flush()
    }
}
