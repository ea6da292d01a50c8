//! Who may ask, and who may show the pictures.

use super::{FOREIGN_IMAGE, config, gray, request, viewer, viewer_with};

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    for path in [
        "/",
        "/stream",
        "/snapshot",
        "/state",
        "/metrics",
        "/nothing",
    ] {
        let foreign = request(address, path, "Host: evil.example\r\n").await;
        assert_eq!(foreign.status, 403, "{path}");
        let own = format!("Host: {address}\r\nOrigin: http://evil.example\r\n");
        assert_eq!(request(address, path, &own).await.status, 403, "{path}");
    }
    let absolute = request(address, "http://evil.example/state", "Host: localhost\r\n").await;
    assert_eq!(absolute.status, 403);
    for twice in ["Host: evil.example\r\n", "Origin: http://evil.example\r\n"] {
        let headers = format!("Host: {address}\r\nOrigin: http://{address}\r\n{twice}");
        assert_eq!(
            request(address, "/state", &headers).await.status,
            403,
            "{twice}"
        );
    }
    let own_page = format!("Host: {address}\r\nOrigin: http://{address}\r\n");
    assert_eq!(request(address, "/state", &own_page).await.status, 200);
    assert_eq!(
        request(address, "/state", "Host: camera.lan\r\n")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_page_from_elsewhere_shows_no_pictures_unless_it_may() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    let image = format!("Host: {address}\r\n{FOREIGN_IMAGE}");
    for path in [
        "/",
        "/stream",
        "/?action=stream",
        "/streams",
        "/snapshot",
        "/state",
        "/nothing",
    ] {
        assert_eq!(request(address, path, &image).await.status, 403, "{path}");
    }
    let link = format!(
        "Host: {address}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nReferer: https://chat.example/\r\n"
    );
    assert_eq!(request(address, "/", &link).await.status, 200);
    assert_eq!(request(address, "/?action=stream", &link).await.status, 403);

    let (viewer, publisher) =
        viewer_with(config().allow_embedding("http://octopi.local".parse().unwrap())).await;
    publisher.publish(gray(1));
    let image = format!("Host: {}\r\n{FOREIGN_IMAGE}", viewer.local_addr());
    for path in ["/stream", "/snapshot"] {
        let answer = request(viewer.local_addr(), path, &image).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("cross-origin-resource-policy");
        assert_eq!(policy, Some("cross-origin"), "{path}");
    }
    let other = image.replace("octopi.local", "evil.example");
    assert_eq!(
        request(viewer.local_addr(), "/stream", &other).await.status,
        403
    );
}

#[tokio::test]
async fn every_answer_forbids_frames_and_other_sites() {
    let (viewer, publisher) = viewer().await;
    publisher.publish(gray(1));
    let address = viewer.local_addr();
    for (path, host) in [
        ("/", address.to_string()),
        ("/stream", address.to_string()),
        ("/snapshot", address.to_string()),
        ("/state", address.to_string()),
        ("/metrics", address.to_string()),
        ("/nothing", address.to_string()),
        ("/", "evil.example".to_owned()),
    ] {
        let answer = request(address, path, &format!("Host: {host}\r\n")).await;
        for (header, value) in [
            ("x-frame-options", "DENY"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{path} {host}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
    }
}
