//! Where the generator's prompts come from: the line itself, or the encoders that work ahead of it.

use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError};

use crate::generate::ahead::Ready;

/// How often a waiting generator asks whether it should stop.
const GLANCE: Duration = Duration::from_millis(50);

/// A channel of prompts, and whether it has come to its end.
pub(super) struct Source<T> {
    input: Receiver<T>,
    pub(super) closed: bool,
}

impl<T: Into<Ready>> Source<T> {
    pub(super) fn new(input: Receiver<T>) -> Self {
        Self { input, closed: false }
    }

    /// The next prompt, waiting a moment for it when there is nothing else to do.
    pub(super) fn next(&mut self, idle: bool) -> Option<Ready> {
        let (item, disconnected) = if idle {
            let received = self.input.recv_timeout(GLANCE);
            let disconnected = received.as_ref().is_err_and(|error| *error == RecvTimeoutError::Disconnected);
            (received.ok(), disconnected)
        } else {
            let received = self.input.try_recv();
            let disconnected = received.as_ref().is_err_and(|error| *error == TryRecvError::Disconnected);
            (received.ok(), disconnected)
        };
        self.closed |= disconnected;
        item.map(T::into)
    }
}
