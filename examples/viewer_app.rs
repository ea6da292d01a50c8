//! Live pictures inside a web application that has pages of its own.
//!
//! ```console
//! $ cargo run --example viewer_app      # then open http://127.0.0.1:8080/
//! ```

use std::{error::Error, net::SocketAddr};

use axum::{Router, response::Html, routing::get, serve::ListenerExt};
use sockkit::{
    latest::{self, Subscriber},
    picture::Picture,
    sink::web::{WebRoutes, WebServerConfig, WebStream},
    source::{Source, SourceConfig, SourceSpec},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut source = Source::open(&SourceSpec::Pattern, SourceConfig::default()).await?;
    let (publisher, pictures) = latest::channel();
    tokio::spawn(async move {
        while let Ok(picture) = source.next().await {
            publisher.publish(picture);
        }
    });
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    println!("http://{}/", listener.local_addr()?);
    serve(listener, pictures, async {
        let _ = tokio::signal::ctrl_c().await;
    })
    .await
}

/// Serves until `stop` returns.
pub(crate) async fn serve(
    listener: TcpListener,
    pictures: Subscriber<Picture>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let streams = [WebStream::new("office", pictures)];
    let viewer = WebRoutes::new(WebServerConfig::default(), streams)?;
    let app = Router::new()
        .route("/", get(home))
        .nest("/camera", viewer.router());

    // A slow viewer gets the newest picture, and no queue of old ones.
    let listener = listener.tap_io(|tcp| {
        let _ = WebRoutes::socket_options().apply(&*tcp);
    });
    // The viewer's limits count by host, so it must know the addresses.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            stop.await;
            // A stream has no end of its own, and axum waits for each.
            viewer.shutdown().await;
        })
        .await?;
    Ok(())
}

async fn home() -> Html<&'static str> {
    Html(
        r#"<!doctype html><title>Office</title><h1>The office, live</h1>
        <img src="camera/stream"><p><a href="camera">figures</a> <a href="camera/snapshot">now</a>"#,
    )
}
