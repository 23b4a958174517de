//! What a program writes, read by a thread of its own: who waits for it can look elsewhere meanwhile.

use std::{
    io::{self, BufRead, Cursor, ErrorKind, Read},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

/// Most bytes that are read at a time: as many as the system's usual pipe holds.
const BLOCK: usize = 1 << 16;

/// The output of a program.
#[derive(Debug)]
pub struct Stream {
    blocks: Receiver<io::Result<Vec<u8>>>,
    /// The one that is being taken from.
    block: Cursor<Vec<u8>>,
}

impl Stream {
    /// Begins to read, one block ahead.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn of(source: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(1);
        thread::Builder::new().name("decode-stream".into()).spawn(move || hand_on(source, &sender))?;
        Ok(Self { blocks, block: Cursor::default() })
    }

    /// Waits until there is something to read, or the end, at most so long; false when that was not enough.
    pub fn comes_within(&mut self, most: Duration) -> io::Result<bool> {
        if !self.is_taken() {
            return Ok(true);
        }
        match self.blocks.recv_timeout(most) {
            Ok(block) => self.block = Cursor::new(block?),
            Err(RecvTimeoutError::Timeout) => return Ok(false),
            Err(RecvTimeoutError::Disconnected) => {}
        }
        Ok(true)
    }

    fn is_taken(&self) -> bool {
        self.block.position() >= self.block.get_ref().len() as u64
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ahead = self.fill_buf()?;
        let count = ahead.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Stream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.is_taken()
            && let Ok(block) = self.blocks.recv()
        {
            self.block = Cursor::new(block?);
        }
        self.block.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.block.consume(count);
    }
}

/// Hands on all that there is, up to an error, unless nobody wants it any more.
fn hand_on(mut source: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; BLOCK];
    loop {
        let block = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = block.is_err();
        if blocks.send(block).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn waiting_ends_with_what_comes_with_the_end_and_with_the_time() {
        let (source, mut sink) = io::pipe().unwrap();
        let mut stream = Stream::of(source).unwrap();
        assert!(!stream.comes_within(Duration::from_millis(10)).unwrap());
        sink.write_all(b"abc").unwrap();
        assert!(stream.comes_within(LONG).unwrap());
        let mut bytes = [0; 2];
        assert_eq!(stream.read(&mut bytes).unwrap(), 2);
        assert!(stream.comes_within(Duration::ZERO).unwrap(), "a byte is left");
        drop(sink);
        assert_eq!(stream.read(&mut bytes).unwrap(), 1);
        assert!(stream.comes_within(LONG).unwrap());
        assert_eq!(stream.read(&mut bytes).unwrap(), 0);
    }

    #[test]
    fn blocks_follow_each_other_without_a_seam() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 7).map(|place| (place % 251) as u8).collect();
        let mut read = Vec::new();
        Stream::of(Cursor::new(bytes.clone())).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        let mut lines = Stream::of(Cursor::new(b"one\ntwo")).unwrap().lines();
        assert_eq!([lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()], ["one", "two"]);
        assert!(lines.next().is_none());
    }
}
