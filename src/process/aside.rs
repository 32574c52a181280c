//! Work on files that may hang, such as those of a network file system, on a thread of its own: a caller waits for
//! a limited time, and everything else goes on.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Does one piece of work at a time. One that hangs is left behind, and none is begun until it has ended.
pub(super) struct Aside {
    /// Each thread holds a copy.
    running: Arc<()>,
    limit: Duration,
}

impl Aside {
    pub fn new(limit: Duration) -> Self {
        Self { running: Arc::new(()), limit }
    }

    /// # Errors
    /// When it takes too long, or the work before it still hangs.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        if Arc::strong_count(&self.running) > 1 {
            return Err(self.hangs());
        }
        let (tell, told) = oneshot::channel();
        let running = Arc::clone(&self.running);
        // Not a thread of the runtime, whose end would wait for it.
        thread::Builder::new().name("files".into()).spawn(move || {
            let done = work();
            drop(running);
            _ = tell.send(done);
        })?;
        match timeout(self.limit, told).await {
            Ok(done) => done.map_err(io::Error::other),
            Err(_) => Err(self.hangs()),
        }
    }

    fn hangs(&self) -> io::Error {
        let why = format!("not read within {:?}: a file or the file system that it is on does not answer", self.limit);
        io::Error::new(io::ErrorKind::TimedOut, why)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_is_given_up_and_none_begins_beside_it() {
        let aside = Aside::new(Duration::from_secs(10));
        let (go_on, held) = mpsc::channel::<()>();
        let (tell, told) = oneshot::channel();
        let hung = aside.run(move || {
            _ = held.recv();
            _ = tell.send(());
        });
        assert_eq!(hung.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let began = tokio::time::Instant::now();
        let error = aside.run(|| panic!("it began")).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, Duration::ZERO));
        go_on.send(()).unwrap();
        told.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_done_comes_back() {
        let aside = Aside::new(Duration::from_secs(10));
        for number in 0..3 {
            assert_eq!(aside.run(move || number).await.unwrap(), number);
        }
    }
}
