//! An application on backends of its own: a greeting for each name, rendered once and changed by whoever likes.
//!
//! Read [`backends`] first. Then: `cargo run -p custom-backend`, and in another shell
//!
//! ```console
//! $ curl -si http://127.0.0.1:3001/greetings/ada | grep -i cache-status   # a miss, then hits
//! $ curl -s -X POST http://127.0.0.1:3001/greetings/ada                   # greets in another way
//! $ curl -s http://127.0.0.1:3001/greetings/ada                           # rendered again by the worker
//! $ cat custom-backend.purges                                             # what the cache in front was told
//! ```

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Html;
use axum::routing::get;
use edge_isr_axum::core::{PageStore, Queue};
use edge_isr_axum::prelude::*;
use edge_isr_axum::{BuildId, Builder, Connector};

mod backends;

use backends::{FileConnector, ListQueue, ShelfStore};

const GREETINGS: [&str; 3] = ["Hello", "Grüezi", "こんにちは"];

#[derive(Clone)]
struct App {
    graph: Graph,
    /// How often each was changed.
    changes: Arc<Mutex<HashMap<String, usize>>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (store, queue) = (ShelfStore::new(64 << 20), ListQueue::new(10_000));
    let connector = FileConnector::open("custom-backend.purges")?;
    let isr = settings(store, queue, connector).build()?;
    let app = router(&isr);
    tokio::spawn(isr.worker(app.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
    println!("Greetings are at http://{}/greetings/ada (Ctrl-C stops it)", listener.local_addr()?);
    let stopped = async { _ = tokio::signal::ctrl_c().await };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    isr.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Each port takes anything that implements its trait.
fn settings(store: impl PageStore, queue: impl Queue, connector: impl Connector) -> Builder {
    // The store lives no longer than the process, so pages need no name for their build.
    Isr::builder().store(store).queue(queue).connector(connector).build_id(BuildId::Ignore)
}

fn router(isr: &Isr) -> Router {
    let policy =
        Policy::new().s_maxage(Duration::from_secs(300)).stale_while_revalidate(Duration::from_secs(3600));
    let layer = IsrLayer::new(isr).policy(policy).tags(path_tag("greeting:{name}"));
    Router::new()
        .route("/greetings/{name}", get(greet).layer(layer).post(change))
        .with_state(App { graph: isr.graph(), changes: Arc::default() })
        .layer(isr.edge())
}

async fn greet(Path(name): Path<String>, State(app): State<App>) -> Html<String> {
    let changes = app.changes.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied();
    let greeting = GREETINGS[changes.unwrap_or_default() % GREETINGS.len()];
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    Html(format!("<p>{greeting}, {name}!</p>\n"))
}

async fn change(
    Path(name): Path<String>,
    State(app): State<App>,
) -> axum::response::Result<(Receipt, &'static str)> {
    // First the change, then the word about it.
    *app.changes.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default() += 1;
    let receipt = app.graph.revalidate_by_tags([tag("greeting", &name)]).await?;
    Ok((receipt, "changed\n"))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use edge_isr_axum::core::testing::{Call, Faults, Faulty, RecordingConnector};
    use tower::ServiceExt;

    use super::*;

    async fn send(app: &Router, method: &str) -> String {
        let request = Request::builder().method(method).uri("/greetings/ada").header("host", "localhost");
        let request = request.body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert!(response.status().is_success(), "{response:?}");
        String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_change_goes_through_all_three_backends() {
        let cache = RecordingConnector::default();
        // Without faults they are what they wrap, and count their calls.
        let store = Faulty::new(ShelfStore::new(1 << 20), Faults::none());
        let queue = Faulty::new(ListQueue::new(10), Faults::none());
        let isr = settings(store.clone(), queue.clone(), cache.clone()).build().unwrap();
        let app = router(&isr);
        tokio::spawn(isr.worker(app.clone()));
        assert_eq!(send(&app, "GET").await, "<p>Hello, ada!</p>\n");
        assert_eq!(send(&app, "POST").await, "changed\n");
        isr.idle().await;
        assert_eq!(isr.stats().renders, 2, "the worker rendered it before anyone asked");
        assert_eq!(send(&app, "GET").await, "<p>Grüezi, ada!</p>\n");
        assert_eq!(isr.stats().renders, 2);
        assert_eq!(store.calls(Call::Put), 2, "both pages stand on the shelf");
        assert!(queue.calls(Call::Push) > 0 && queue.calls(Call::Finish) == 1, "the job was on the list");
        // The doorman has told the cache of the URL that the POST was sent to, too.
        assert!(cache.seen().iter().any(|purge| purge.tags == [tag("greeting", "ada")]));
    }
}
