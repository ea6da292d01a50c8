//! The viewer's pages within an axum server that has others.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use axum::{Router, routing::get, serve::ListenerExt};
use sockkit::{
    latest::{self, Publisher},
    picture::Picture,
    sink::web::{WebRoutes, WebServerConfig, WebStream},
    testing::needs::{Need, met},
};
#[cfg(target_os = "linux")]
use tokio::io::AsyncWriteExt;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    FOREIGN_IMAGE, WITHIN, Watcher, config, get as ask, gray, noise, pull::Client, read_head,
    request, send,
};

/// Puts the viewer's routes among those of an app.
type Mount = fn(Router, Router) -> Router;

#[tokio::test]
async fn the_parts_answer_below_their_path_beside_other_routes() {
    let mount: [(&str, Mount); 5] = [
        ("/cam", |app, viewer| app.nest("/cam", viewer)),
        ("/cam/", |app, viewer| app.nest("/cam/", viewer)),
        ("/a/b/cam", |app, viewer| app.nest("/a/b/cam", viewer)),
        ("/cam", |app, viewer| app.nest_service("/cam", viewer)),
        ("/cam/", |app, viewer| app.nest_service("/cam", viewer)),
    ];
    for (page, mount) in mount {
        let app = App::start(config(), mount).await;
        app.publisher.publish(gray(7));
        assert_eq!(ask(app.address, "/").await.text(), "home");
        ask(app.address, page)
            .await
            .check(200, "text/html; charset=utf-8");
        let at = |path: &str| format!("{}/{path}", page.trim_end_matches('/'));
        for path in [at("snapshot"), format!("{page}?action=snapshot")] {
            let snapshot = ask(app.address, &path).await;
            snapshot.check(200, "image/jpeg");
            assert_eq!(snapshot.header("x-number"), Some("7"), "{path}");
        }
        ask(app.address, &at("state"))
            .await
            .check(200, "application/json");
        ask(app.address, &at("metrics"))
            .await
            .check(200, "text/plain; version=0.0.4");
        for path in [at("stream"), at("streams"), format!("{page}?action=stream")] {
            // After two seconds without a picture a viewer is shown a placeholder.
            app.publisher.publish(gray(7));
            let mut watcher = Watcher::open(app.address, &path).await;
            let (_, jpeg) = watcher.part().await;
            let shown = Picture::from_jpeg(jpeg).unwrap();
            assert_eq!((watcher.number, shown.width_px()), (7, 64), "{path}");
        }
        app.publisher.publish(gray(7));
        let mut client = Client::open_at(app.address, &at("pull")).await;
        client.ask().await;
        assert_eq!(client.number().await, 7);
        assert_eq!(ask(app.address, "/snapshot").await.status, 404);
        assert_eq!(ask(app.address, &at("nothing")).await.status, 404);
    }
}

#[tokio::test]
async fn at_the_root_they_are_merged() {
    let (publisher, pictures) = latest::channel();
    let viewer = WebRoutes::new(config(), [WebStream::new("camera", pictures)]).unwrap();
    let app = viewer.router().route("/other", get(async || "other"));
    let (address, _server) = serve(app).await;
    publisher.publish(gray(1));
    ask(address, "/")
        .await
        .check(200, "text/html; charset=utf-8");
    ask(address, "/snapshot").await.check(200, "image/jpeg");
    assert_eq!(ask(address, "/other").await.text(), "other");
}

#[tokio::test]
async fn pages_from_elsewhere_are_refused_below_the_path_alone() {
    let app = App::start(config(), below_cam).await;
    app.publisher.publish(gray(1));
    let address = app.address;
    let own = format!("Host: {address}\r\n");
    let foreign_origin = format!("{own}Origin: http://evil.example\r\n");
    let foreign_image = format!("{own}{FOREIGN_IMAGE}");
    for path in ["/cam", "/cam/stream", "/cam/snapshot", "/cam/state"] {
        for headers in ["Host: evil.example\r\n", &foreign_origin, &foreign_image] {
            let refused = request(address, path, headers).await;
            assert_eq!(refused.status, 403, "{path} {headers}");
            assert_eq!(refused.header("x-frame-options"), Some("DENY"));
        }
        // An old picture is not given as a snapshot.
        app.publisher.publish(gray(1));
        let allowed = request(address, path, &own).await;
        assert_eq!(allowed.status, 200, "{path}");
        let policy = allowed.header("cross-origin-resource-policy");
        assert_eq!(policy, Some("same-origin"), "{path}");
    }
    // The rest of the app is its author's.
    let home = request(address, "/", "Host: evil.example\r\n").await;
    assert_eq!((home.status, home.header("x-frame-options")), (200, None));

    let link = format!(
        "{own}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nReferer: https://chat.example/\r\n"
    );
    assert_eq!(request(address, "/cam", &link).await.status, 200);
    let by_link = request(address, "/cam?action=stream", &link).await;
    assert_eq!(by_link.status, 403);
    // The app's own pages show the pictures.
    let own_page = format!("{own}Sec-Fetch-Site: same-origin\r\nSec-Fetch-Dest: image\r\n");
    assert_eq!(request(address, "/cam/stream", &own_page).await.status, 200);
}

#[tokio::test]
async fn each_host_has_its_share_where_the_server_tells_hosts_apart() {
    let config = config().max_viewers(2).max_viewers_per_host(1);
    let app = App::start(config.clone(), below_cam).await;
    let _first = Watcher::open(app.address, "/cam/stream").await;
    assert_eq!(ask(app.address, "/cam/stream").await.status, 503);

    let (_publisher, pictures) = latest::channel();
    let viewer = WebRoutes::new(config, [WebStream::new("camera", pictures)]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum::serve(listener, viewer.router()).into_future();
    let server = tokio::spawn(server);
    let _two = [
        Watcher::open(address, "/stream").await,
        Watcher::open(address, "/stream").await,
    ];
    assert_eq!(ask(address, "/stream").await.status, 503);
    server.abort();
}

#[tokio::test]
async fn a_viewer_that_takes_nothing_loses_its_place() {
    let config = config()
        .max_viewers(1)
        .write_timeout(Duration::from_millis(500));
    let app = App::start(config, below_cam).await;
    let mut deaf = send(app.address, "/cam/stream", &app.host()).await;
    assert_eq!(read_head(&mut deaf).await.0, 200);
    let publishing = async {
        for number in 1.. {
            app.publisher.publish(noise(number));
            sleep(Duration::from_millis(5)).await;
        }
    };
    let taking_its_place = async {
        while Watcher::try_open(app.address, "/cam/stream").await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = publishing => unreachable!(),
        freed = timeout(WITHIN, taking_its_place) => freed.expect("the place is free again"),
    }
}

/// Of the pictures that were taken meanwhile, most are skipped.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_viewer_that_did_not_read_finds_a_few_old_pictures_at_most() {
    use sockkit::{options::SocketOptions, tcp::Connector};

    let app = App::start(config(), below_cam).await;
    let mut reader = Watcher::open(app.address, "/cam/stream").await;
    let frugal = SocketOptions::new().receive_buffer_bytes(4_096);
    let connected = Connector::default()
        .options(frugal)
        .connect(app.address)
        .await;
    let mut stream = connected.unwrap().into_inner();
    let asked = format!("GET /cam/stream HTTP/1.0\r\n{}\r\n", app.host());
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut sleeper = Watcher::of(stream).await;
    for number in 1..=100 {
        app.publisher.publish(noise(number));
        while reader.number < number {
            reader.part().await;
        }
    }
    let mut woken = Vec::new();
    while sleeper.number < 100 {
        sleeper.part().await;
        woken.push(sleeper.number);
    }
    woken.retain(|&number| number > 0);
    assert!(woken.len() <= 5, "{woken:?}");
}

#[tokio::test]
async fn a_shutdown_ends_the_streams_so_that_axum_can_drain() {
    let (publisher, pictures) = latest::channel();
    let viewer = WebRoutes::new(config(), [WebStream::new("camera", pictures)]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = axum::serve(listener, viewer.router()).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    publisher.publish(gray(1));
    let mut watcher = Watcher::open(address, "/stream").await;
    watcher.part().await;

    timeout(WITHIN, viewer.shutdown())
        .await
        .expect("it is bounded");
    stop.send(()).unwrap();
    watcher.end().await;
    timeout(WITHIN, server)
        .await
        .expect("it drains")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn after_a_shutdown_no_picture_is_taken_by_a_router_that_is_left() {
    let (publisher, pictures) = latest::channel();
    let viewer = WebRoutes::new(config(), [WebStream::new("camera", pictures)]).unwrap();
    let router = viewer.router();
    timeout(WITHIN, viewer.shutdown())
        .await
        .expect("it is bounded");
    assert_eq!(publisher.subscribers(), 0);
    drop(router);
}

#[tokio::test]
async fn when_the_last_router_is_gone_no_picture_is_taken() {
    let (publisher, pictures) = latest::channel();
    let viewer = WebRoutes::new(config(), [WebStream::new("camera", pictures)]).unwrap();
    let router = viewer.router();
    drop(viewer);
    let (address, server) = serve(router).await;
    publisher.publish(gray(1));
    ask(address, "/snapshot").await.check(200, "image/jpeg");
    server.abort();
    timeout(WITHIN, publisher.unsubscribed())
        .await
        .expect("its task ends");
}

#[tokio::test]
async fn the_page_finds_its_streams_in_a_browser() {
    if !met("the page below a path", &[Need::Program("chromium")]) {
        return;
    }
    let app = App::start(config(), |app, viewer| app.nest_service("/a/cam", viewer)).await;
    app.publisher.publish(gray(1));
    for page in ["/a/cam", "/a/cam/"] {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = tokio::process::Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            // It stays until it is killed.
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("http://{}{page}", app.address))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        app.wait_for("\"viewers\":1").await;
        browser.kill().await.unwrap();
        // One that left is noticed when a picture cannot be written.
        app.wait_for("\"viewers\":0").await;
    }
}

/// An app with a page of its own at `/`, and the viewer.
struct App {
    address: SocketAddr,
    publisher: Publisher<Picture>,
    _viewer: WebRoutes,
    server: JoinHandle<()>,
}

impl App {
    async fn start(config: WebServerConfig, mount: fn(Router, Router) -> Router) -> Self {
        let (publisher, pictures) = latest::channel();
        let viewer = WebRoutes::new(config, [WebStream::new("camera", pictures)]).unwrap();
        let own = Router::new().route("/", get(async || "home"));
        let (address, server) = serve(mount(own, viewer.router())).await;
        Self {
            address,
            publisher,
            _viewer: viewer,
            server,
        }
    }

    fn host(&self) -> String {
        format!("Host: {}\r\n", self.address)
    }

    /// Until the state of a viewer at `/a/cam` says so.
    async fn wait_for(&self, figure: &str) {
        let found = async {
            while !ask(self.address, "/a/cam/state")
                .await
                .text()
                .contains(figure)
            {
                self.publisher.publish(gray(1));
                sleep(Duration::from_millis(50)).await;
            }
        };
        let within = Duration::from_secs(60);
        timeout(within, found).await.expect("the browser asks");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn below_cam(app: Router, viewer: Router) -> Router {
    app.nest("/cam", viewer)
}

/// As the documentation of [`WebRoutes`] has it.
async fn serve(app: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = listener.tap_io(|tcp| {
        WebRoutes::socket_options().apply(&*tcp).unwrap();
    });
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, server)
}
