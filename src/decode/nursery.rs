//! The thread that starts all children. Linux ends a child with the thread that started it (`PR_SET_PDEATHSIG`), so that
//! must be one that lives as long as this process, and not the lane.

use std::{
    io,
    process::{Child, Command},
    sync::{
        OnceLock,
        mpsc::{Sender, SyncSender, channel, sync_channel},
    },
};

/// A command, and where its child is wanted.
type Order = (Command, SyncSender<io::Result<Child>>);

static ORDERS: OnceLock<Sender<Order>> = OnceLock::new();

/// Starts `command`.
///
/// # Errors
/// When it cannot be started.
pub fn spawn(command: Command) -> io::Result<Child> {
    let (answer, child) = sync_channel(1);
    let gone = || io::Error::other("the thread that starts children is gone");
    ORDERS.get_or_init(open).send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Without a thread all orders go to nobody, and say so.
fn open() -> Sender<Order> {
    let (orders, taken) = channel::<Order>();
    let serve = move || {
        for (mut command, answer) in taken {
            // Nobody waits any more when the lane has ended meanwhile.
            let _ = answer.send(command.spawn());
        }
    };
    let _ = std::thread::Builder::new().name("decode-nursery".into()).spawn(serve);
    orders
}
