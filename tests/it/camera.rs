//! Cameras, real to the last driver: a small guest has them, and runs this very
//! test binary.

use std::{env, path::Path, process::Command, time::Duration};

use sockkit::{
    picture::Encoding,
    source::camera::{self, Camera, CameraConfig, CameraError, CameraId},
    stream::{Receiver, ReceiverConfig},
};
use tokio::time::timeout;

use super::guest::guest;

/// Runs a test of [`in_guest`] in a guest with this camera.
fn run(test: &str, options: &[&str]) {
    super::guest::run(&format!("camera::in_guest::{test}"), options);
}

#[test]
fn pictures_come_in_order_through_jpeg_datagrams_and_reassembly() {
    run("sixty_pictures", &["--camera", "uvc:640x480@15"]);
}

#[test]
fn a_webcam_comes_back_after_each_of_twenty_replugs() {
    run("twenty_replugs", &["--camera", "uvc:320x240@15"]);
}

#[test]
fn a_frozen_webcam_is_told_and_holds_up_nobody() {
    run("frozen", &["--camera", "uvc:320x240@15"]);
}

#[test]
fn a_camera_in_use_is_a_clear_error() {
    run("in_use", &["--camera", "uvc:320x240@15"]);
}

#[cfg(feature = "nokhwa-v4l2")]
#[test]
fn nokhwas_own_input_gives_pictures_by_choice() {
    run("by_nokhwa", &["--camera", "uvc:640x480@15"]);
}

#[test]
fn two_cameras_give_raw_pictures_at_once() {
    let two = "n_devs=2 node_types=1,1 num_inputs=1,1 input_types=0,0";
    run("two_cameras", &["--camera", "vivid", "--vivid", two]);
}

#[tokio::test]
async fn pictures_arrive_from_a_guest_over_udp() {
    let receiver = Receiver::open(
        &"udp://127.0.0.1:0".parse().unwrap(),
        ReceiverConfig::default(),
    )
    .await
    .unwrap();
    let port = format!("SOCKKIT_TEST_PORT={}", receiver.address().port());
    let options = ["--camera", "uvc:640x480@15", "--net", "--env", &port];
    if guest("camera::in_guest::to_host", &options).is_none() {
        return;
    }
    let mut pictures = receiver.pictures();
    let watch = tokio::spawn(async move {
        let mut numbers = Vec::new();
        while numbers.len() < 15 {
            numbers.push(in_guest::painted(&pictures.next().await.unwrap()));
        }
        numbers
    });
    let options = options.map(str::to_owned);
    let guest = tokio::task::spawn_blocking(move || {
        run("to_host", &options.each_ref().map(String::as_str));
    });
    guest.await.unwrap();
    let numbers = timeout(Duration::from_secs(10), watch)
        .await
        .unwrap()
        .unwrap();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[tokio::test]
async fn a_camera_that_is_not_there_is_told_at_once() {
    let config = CameraConfig::default();
    let error = Camera::open(CameraId::Path("/dev/video987".into()), config.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, CameraError::NotFound { .. }), "{error}");
    let error = Camera::open(CameraId::Path("/dev/null".into()), config.clone()).await;
    assert!(error.is_err());
    let there = camera::list().await.unwrap().len();
    let beyond = CameraId::Index(u32::try_from(there).unwrap());
    let error = Camera::open(beyond, config).await.unwrap_err();
    assert!(
        matches!(error, CameraError::NotFound { known, .. } if known == there),
        "{error}"
    );
}

/// What runs in the guest.
mod in_guest {
    use sockkit::{
        latest,
        picture::{Picture, jpeg},
        source::{
            Source, SourceConfig, SourceSpec,
            camera::{CameraSignal, SignalLoss},
            pattern::read_blocks,
        },
        stream::{Sender, SenderConfig},
    };
    use tokio::time::{Instant, sleep};

    use super::*;

    /// The number that the emulated webcam painted into a picture.
    pub(super) fn painted(frame: &Picture) -> u32 {
        read_blocks(frame).unwrap()
    }

    async fn open(index: u32) -> Camera {
        Camera::open(CameraId::Index(index), CameraConfig::default())
            .await
            .unwrap()
    }

    /// Does something to the emulated webcam.
    fn webcam(what: &str) {
        assert!(Command::new(what).status().unwrap().success());
    }

    /// The next picture, however often the signal is lost until then.
    async fn next_picture(camera: &mut Camera) -> Picture {
        timeout(Duration::from_secs(15), async {
            loop {
                match camera.next().await {
                    Ok(frame) => return frame,
                    Err(CameraError::NoSignal { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
        .unwrap()
    }

    /// Why there is no signal. An emulated machine on a busy one takes its time.
    async fn signal_loss(camera: &mut Camera) -> SignalLoss {
        timeout(Duration::from_secs(15), async {
            loop {
                match camera.next().await {
                    Ok(_) => {}
                    Err(CameraError::NoSignal { reason, .. }) => return reason,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    #[ignore = "runs in the guest"]
    async fn sixty_pictures() {
        let cameras = camera::list().await.unwrap();
        // The metadata device is none.
        assert_eq!(cameras.len(), 1, "{cameras:?}");
        assert_eq!(cameras[0].path.as_deref(), Some(Path::new("/dev/video0")));
        let offered: Vec<_> = cameras[0].formats.iter().map(ToString::to_string).collect();
        assert_eq!(
            offered,
            ["jpeg 640x480 at 15/s", "yuyv 640x480 at 15/s"],
            "{cameras:?}"
        );

        let mut camera = open(0).await;
        assert_eq!(camera.format().to_string(), "jpeg 640x480 at 15/s");
        let receiver = Receiver::open(
            &"udp://127.0.0.1:0".parse().unwrap(),
            ReceiverConfig::default(),
        )
        .await
        .unwrap();
        let (publisher, to_send) = latest::channel();
        let to = [receiver.address().clone()];
        let sender = Sender::open(&to, SenderConfig::default(), to_send);
        let _sender = sender.await.unwrap();
        let mut pictures = receiver.pictures();
        let mut last = None;
        for _ in 0..60 {
            let taken = next_picture(&mut camera).await;
            // Nothing of an older picture follows the end.
            assert_eq!(jpeg::trim(taken.data()).unwrap().len(), taken.data().len());
            publisher.publish(taken.clone());
            let arrived = timeout(Duration::from_secs(15), pictures.next())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(arrived, taken);
            let number = painted(&arrived);
            if let Some((painted, counted)) = last {
                // A picture that was left out is a gap in both.
                assert!(number > painted, "{number} after {painted}");
                assert_eq!(u64::from(number - painted), arrived.number() - counted);
            }
            last = Some((number, arrived.number()));
        }
        camera.close().await.unwrap();
    }

    #[cfg(feature = "nokhwa-v4l2")]
    #[tokio::test]
    #[ignore = "runs in the guest"]
    async fn by_nokhwa() {
        let config = CameraConfig::default().by_nokhwa();
        let mut camera = Camera::open(CameraId::Index(0), config).await.unwrap();
        assert_eq!(camera.format().to_string(), "jpeg 640x480 at 15/s");
        let mut last = None;
        for _ in 0..20 {
            let taken = next_picture(&mut camera).await;
            // Its buffers hold the ends of older pictures; those are cut off.
            assert_eq!(jpeg::trim(taken.data()).unwrap().len(), taken.data().len());
            let number = painted(&taken);
            assert!(last < Some(number), "{number} after {last:?}");
            last = Some(number);
        }
        camera.close().await.unwrap();
    }

    #[tokio::test]
    #[ignore = "runs in the guest"]
    async fn twenty_replugs() {
        let mut camera = open(0).await;
        let mut number = next_picture(&mut camera).await.number();
        let device = Path::new("/dev/video0");
        for round in 1..=20 {
            webcam("cam-unplug");
            // A busy host may keep a camera that is still there silent.
            while signal_loss(&mut camera).await != SignalLoss::Unplugged {}
            assert_eq!(camera.signal(), CameraSignal::Lost(SignalLoss::Unplugged));
            let gone = async {
                while device.exists() {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(Duration::from_secs(15), gone).await.unwrap();

            let plugged = Instant::now();
            webcam("cam-replug");
            let there = async {
                while !device.exists() {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            // The emulated USB's own time.
            timeout(Duration::from_secs(15), there).await.unwrap();
            let found = Instant::now();
            let frame = next_picture(&mut camera).await;
            println!(
                "round {round}: device after {:.0?}, picture {:.0?} later",
                found - plugged,
                found.elapsed()
            );
            assert!(frame.number() > number, "round {round}");
            number = frame.number();
        }
    }

    #[tokio::test]
    #[ignore = "runs in the guest"]
    async fn frozen() {
        let mut camera = open(0).await;
        next_picture(&mut camera).await;
        webcam("cam-freeze");
        let reason = signal_loss(&mut camera).await;
        assert!(matches!(reason, SignalLoss::Silent { .. }), "{reason}");
        // It stays so, and nothing hangs.
        signal_loss(&mut camera).await;
        webcam("cam-freeze");
        next_picture(&mut camera).await;

        webcam("cam-freeze");
        signal_loss(&mut camera).await;
        let closing = Instant::now();
        camera.close().await.unwrap();
        println!("closed a frozen camera in {:.0?}", closing.elapsed());
    }

    #[tokio::test]
    #[ignore = "runs in the guest"]
    async fn in_use() {
        let mut first = open(0).await;
        next_picture(&mut first).await;
        let error = Camera::open(CameraId::Index(0), CameraConfig::default())
            .await
            .unwrap_err();
        println!("{error}");
        assert!(
            matches!(&error, CameraError::Busy { programs, .. } if !programs.is_empty()),
            "{error:?}"
        );
        // The one that has it is not disturbed, and the other may have it next.
        next_picture(&mut first).await;
        first.close().await.unwrap();
        let spec: SourceSpec = "/dev/video0".parse().unwrap();
        let mut source = Source::open(&spec, SourceConfig::default()).await.unwrap();
        assert_eq!(source.next().await.unwrap().encoding(), Encoding::Jpeg);
    }

    #[tokio::test]
    #[ignore = "runs in the guest"]
    async fn two_cameras() {
        let cameras = camera::list().await.unwrap();
        assert_eq!(cameras.len(), 2, "{cameras:?}");
        let config = CameraConfig::default().size(320, 180);
        let mut open = Vec::new();
        for index in 0..2 {
            let camera = Camera::open(CameraId::Index(index), config.clone()).await;
            open.push(camera.unwrap());
        }
        for camera in &mut open {
            println!("{}", camera.format());
            assert_eq!(
                (camera.format().width_px, camera.format().height_px),
                (320, 180)
            );
            let mut number = None;
            for _ in 0..10 {
                let frame = next_picture(camera).await;
                assert!(number.is_none_or(|number| frame.number() > number));
                number = Some(frame.number());
                frame.to_rgb().unwrap();
            }
        }
    }

    #[tokio::test]
    #[ignore = "runs in the guest"]
    async fn to_host() {
        let port = env::var("SOCKKIT_TEST_PORT").unwrap().parse().unwrap();
        let host = std::net::SocketAddr::from(([10, 0, 2, 2], port));
        let mut camera = open(0).await;
        let (publisher, pictures) = latest::channel();
        let to = [format!("udp://{host}").parse().unwrap()];
        let sender = Sender::open(&to, SenderConfig::default(), pictures);
        let _sender = sender.await.unwrap();
        // Several times what the host waits for: a busy one loses some.
        for _ in 0..60 {
            publisher.publish(next_picture(&mut camera).await);
        }
    }
}
