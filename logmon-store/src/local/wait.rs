//! Waiting for futures on a thread of its own.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

/// Wakes a thread that is parked.
#[derive(Debug)]
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks until a future is done.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let (mut future, waker) = (pin!(future), Waker::from(Arc::new(Unpark(thread::current()))));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Blocks until a future is done, an instant has come, or `is_over` says so when the thread is
/// unparked.
pub(super) fn block_until<F: Future>(
    future: F,
    deadline: Instant,
    is_over: impl Fn() -> bool,
) -> Option<F::Output> {
    let (mut future, waker) = (pin!(future), Waker::from(Arc::new(Unpark(thread::current()))));
    loop {
        if is_over() {
            return None;
        }
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn waiting_ends_with_the_future_the_deadline_or_the_flag() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let sending = thread::spawn(move || sender.send(7).unwrap());
        assert_eq!(block_on(receiver), Ok(7));
        sending.join().unwrap();

        let far = Instant::now() + Duration::from_secs(600);
        assert_eq!(block_until(std::future::ready(1), far, || false), Some(1));
        let never = std::future::pending::<()>;
        assert_eq!(block_until(never(), Instant::now(), || false), None);

        let is_over = Arc::new(AtomicBool::new(false));
        let flag = is_over.clone();
        let waiting =
            thread::spawn(move || block_until(never(), far, || flag.load(Ordering::SeqCst)));
        is_over.store(true, Ordering::SeqCst);
        waiting.thread().unpark();
        assert_eq!(waiting.join().unwrap(), None);
    }
}
