use std::io::Write;

use parking_lot::Mutex;

/// Where a tool prints to. Events are printed from the connection's thread, so both ends are locked
/// for each message.
pub struct Console {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
}

impl Console {
    /// A console over the two streams.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { out: Mutex::new(out), err: Mutex::new(err) }
    }

    /// The process's own streams.
    pub fn process() -> Self {
        Self::new(Box::new(std::io::stdout()), Box::new(std::io::stderr()))
    }

    /// Prints a line of output.
    pub fn line(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// Prints output as it is.
    pub fn print(&self, text: &str) {
        write(&self.out, text);
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// If nobody reads the output any more.
    pub fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut stream = self.out.lock();
        stream.write_all(bytes).and_then(|()| stream.flush())
    }

    /// Prints a line to the error stream.
    pub fn error(&self, text: &str) {
        write(&self.err, &format!("{text}\n"));
    }
}

/// A reader that has gone away ends nothing: the session goes on to its end as with ZooKeeper's tool.
fn write(stream: &Mutex<Box<dyn Write + Send>>, text: &str) {
    let mut stream = stream.lock();
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}
