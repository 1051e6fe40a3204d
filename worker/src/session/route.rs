//! The way to the coordinator that this worker has its session with. Errands (downloads, settlements) outlive the
//! session in which they began: each try takes the newest way, and one that waits is woken by a newer one.

use std::time::Duration;

use likeness_shared::client::Client;
use tokio::sync::watch;
use tokio::time::sleep;

/// A coordinator that has said welcome.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) client: Client,
    /// The protocol version that was agreed with it.
    pub(super) protocol: u32,
}

/// The session's end: where routes are announced.
#[derive(Debug)]
pub(super) struct Announcer(watch::Sender<Option<Route>>);

/// An errand's end.
#[derive(Clone, Debug)]
pub(super) struct Routes(watch::Receiver<Option<Route>>);

impl Announcer {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// From here on this is the way.
    pub(super) fn announce(&self, route: Route) {
        self.0.send_replace(Some(route));
    }

    pub(super) fn routes(&self) -> Routes {
        Routes(self.0.subscribe())
    }
}

impl Routes {
    /// The newest route; waits for the first one.
    pub(super) async fn newest(&mut self) -> Route {
        loop {
            if let Some(route) = self.0.borrow_and_update().clone() {
                return route;
            }
            self.newer().await;
        }
    }

    /// Resolves when a newer route than the last one taken is there.
    pub(super) async fn newer(&mut self) {
        if self.0.changed().await.is_err() {
            // the session is over and will call this errand off
            std::future::pending().await
        }
    }

    /// What `attempt` gives over the newest route; over a newer one from its start where that comes first.
    pub(super) async fn attempt<T, F: Future<Output = T>>(&mut self, attempt: impl Fn(Route) -> F) -> T {
        loop {
            let route = self.newest().await;
            tokio::select! {
                result = attempt(route) => return result,
                () = self.newer() => {}
            }
        }
    }

    /// A pause before the next try, cut short by a newer route.
    pub(super) async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.newer() => {}
        }
    }
}
