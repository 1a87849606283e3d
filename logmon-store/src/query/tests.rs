use super::*;

mod engine;

#[tokio::test]
async fn whoever_waits_no_more_is_told_to_the_query() {
    let desk = Desk::new(1);
    let (began, beginning) = std::sync::mpsc::sync_channel(1);
    let (ended, ending) = std::sync::mpsc::sync_channel(1);
    let query = desk.run(move |turn| {
        began.send(()).unwrap();
        while !turn.cancel.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        ended.send(()).unwrap();
        Ok(())
    });
    let mut query = Box::pin(query);
    assert!(poll_once(query.as_mut()).is_none());
    beginning.recv().unwrap();
    drop(query);
    ending.recv().unwrap();
}

/// Polls once.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
