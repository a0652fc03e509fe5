//! Worker threads for work that needs a processor: signature batches, decoding, proofs.
//!
//! It stands apart from the async runtime, whose threads must stay free for the network, and from
//! the threads of engines and executors, which must never wait behind a batch.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

type Job = Box<dyn FnOnce() + Send>;

/// The pool is full or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Its queue is full; the caller sheds the work or tells its client to come again.
    #[error("the node's workers are busy; try again in a moment")]
    Full,
    /// It has been stopped.
    #[error("the node is stopping")]
    Stopped,
}

/// A fixed number of threads behind a bounded queue.
///
/// Jobs must not panic; one that does ends only its own thread's job, and the thread goes on.
pub struct WorkerPool {
    sender: Mutex<Option<mpsc::SyncSender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl WorkerPool {
    /// Starts `threads` threads that share a queue of `queue` jobs.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(threads: usize, queue: usize) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel::<Job>(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut handles = Vec::with_capacity(threads);
        for index in 0..threads.max(1) {
            let receiver = Arc::clone(&receiver);
            let builder = std::thread::Builder::new().name(format!("worker-{index}"));
            handles.push(builder.spawn(move || work(&receiver))?);
        }
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            threads: Mutex::new(handles),
        })
    }

    /// Queues a job.
    ///
    /// # Errors
    /// If the queue is full or the pool has been stopped.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<(), PoolError> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        match sender.as_ref() {
            None => Err(PoolError::Stopped),
            Some(sender) => sender.try_send(Box::new(job)).map_err(|error| match error {
                mpsc::TrySendError::Full(_) => PoolError::Full,
                mpsc::TrySendError::Disconnected(_) => PoolError::Stopped,
            }),
        }
    }

    /// Queues a job and waits, without blocking the runtime, for its result.
    ///
    /// # Errors
    /// If the queue is full or the pool is stopped before the job has run.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.run(move || {
            // Who asked may have gone away.
            drop(sender.send(job()));
        })?;
        receiver.await.map_err(|_| PoolError::Stopped)
    }

    /// Takes no more jobs, finishes those queued, and ends the threads.
    pub fn stop(&self) {
        self.sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }
}

fn work(receiver: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = job else { return };
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
            tracing::error!("a job of the worker pool panicked; this is a bug, please report it");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_come_back_and_a_panic_costs_only_its_own_job() {
        let pool = WorkerPool::start(2, 8).unwrap();
        assert_eq!(pool.call(|| 6 * 7).await, Ok(42));
        assert_eq!(
            pool.call(|| panic!("on purpose")).await,
            Err::<(), _>(PoolError::Stopped)
        );
        for n in 0..8 {
            assert_eq!(pool.call(move || n).await, Ok(n));
        }
        pool.stop();
        assert_eq!(pool.call(|| 1).await, Err(PoolError::Stopped));
    }

    #[test]
    fn a_full_queue_refuses() {
        let pool = WorkerPool::start(1, 1).unwrap();
        let (release, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel::<()>();
        pool.run(move || {
            started.send(()).unwrap();
            let _ = gate.recv();
        })
        .unwrap();
        running.recv().unwrap();
        pool.run(|| ()).unwrap();
        assert_eq!(pool.run(|| ()), Err(PoolError::Full));
        drop(release);
        pool.stop();
    }
}
