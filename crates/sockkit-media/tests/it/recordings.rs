//! Recordings in every codec, as ffprobe, OpenCV and our own reader see them, and
//! after a kill; and what a recorder does with its file.

use std::{
    env,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use sockkit_media::{
    latest,
    picture::{Picture, PixelFormat, Timestamp, jpeg},
    sink::record::{Existing, RecordError, Recorder, RecorderConfig, Timing},
    source::{Source, SourceConfig, SourceSpec},
};
use sockkit_testing::needs::{Need, met};
use tokio::time::timeout;

use super::{ffprobe, numbers_in, picture, record, said_by};

/// What every test of this name runs with.
fn codecs() -> Vec<(&'static str, RecorderConfig)> {
    vec![
        ("mjpeg", RecorderConfig::default()),
        #[cfg(feature = "h264")]
        ("h264", super::h264()),
    ]
}

async fn create(path: impl AsRef<Path>) -> Result<Recorder, RecordError> {
    Recorder::create(path, RecorderConfig::default()).await
}

#[tokio::test]
async fn ffprobe_reads_size_count_duration_and_rate() {
    if !met("recording opens in ffprobe", &[Need::Program("ffprobe")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (codec, config) in codecs() {
        let path = folder.path().join(codec);
        let summary = record(&path, config, (0..125).map(|number| number * 40_000)).await;
        assert_eq!(summary.duration, Duration::from_secs(5));
        let fields = "stream=codec_name,width,height,avg_frame_rate,duration,nb_read_frames";
        let expected = format!("{codec},320,240,25/1,5.000000,125");
        assert_eq!(ffprobe(&path, fields), expected);
    }
}

#[tokio::test]
async fn times_are_exact_whatever_the_rate() {
    if !met("variable rate in ffprobe", &[Need::Program("ffprobe")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (codec, config) in codecs() {
        let path = folder.path().join(codec);
        let times = [0, 33_333, 40_001, 2_900_000, 2_900_900, 5_000_000];
        record(&path, config, times).await;
        let seen = ffprobe(&path, "packet=pts");
        let seen: Vec<u64> = seen
            .lines()
            .map(|line| line.trim_matches(',').parse().unwrap())
            .collect();
        assert_eq!(seen, times, "{codec}");
    }
}

#[tokio::test]
async fn a_constant_rate_is_what_opencv_reads() {
    if !met("recording opens in OpenCV", &[Need::PythonModule("cv2")]) {
        return;
    }
    // The lower half of the number is in the first row of blocks.
    let reader = "
import cv2, sys
clip = cv2.VideoCapture(sys.argv[1])
print(int(clip.get(cv2.CAP_PROP_FRAME_WIDTH)), int(clip.get(cv2.CAP_PROP_FRAME_HEIGHT)),
      clip.get(cv2.CAP_PROP_FPS), int(clip.get(cv2.CAP_PROP_FRAME_COUNT)))
while True:
    there, image = clip.read()
    if not there:
        break
    print(int(''.join('01'[int(image[4, 4 + 8 * bit].mean() > 127)] for bit in range(32)), 2))
";
    let folder = tempfile::tempdir().unwrap();
    for (codec, config) in codecs() {
        let path = folder.path().join(format!("{codec}.mp4"));
        let constant = config.timing(Timing::Constant { rate_hz: 25.0 });
        // A camera that cannot keep to its rate.
        let times = [0, 31_000, 90_000, 111_000, 250_000, 251_000];
        let summary = record(&path, constant, times).await;
        assert_eq!(summary.duration, Duration::from_millis(240));
        let seen = said_by(Command::new("python3").args(["-c", reader]).arg(&path));
        assert_eq!(
            String::from_utf8(seen).unwrap(),
            "320 240 25.0 6\n0\n1\n2\n3\n4\n5\n",
            "{codec}"
        );
    }
}

#[tokio::test]
async fn a_recording_cut_anywhere_plays_up_to_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    for (codec, config) in codecs() {
        let path = folder.path().join(format!("{codec}.mp4"));
        record(&path, config, (0..100).map(|number| number * 40_000)).await;
        let all = numbers_in(&path).await.unwrap();
        assert_eq!(all, (0..100).collect::<Vec<u64>>(), "{codec}");
        let whole = std::fs::read(&path).unwrap();
        for percent in [30, 50, 77, 99] {
            std::fs::write(&path, &whole[..whole.len() * percent / 100]).unwrap();
            let numbers = numbers_in(&path).await.unwrap();
            // A fragment holds thirteen pictures of 40 ms, which are not equally long.
            assert!(
                numbers.len() + 20 >= percent,
                "{codec}: {} of {percent}",
                numbers.len()
            );
            assert_eq!(numbers, (0..).take(numbers.len()).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
#[ignore = "the program that the next test kills"]
async fn killed_recorder() {
    let Some(path) = env::var_os("SOCKKIT_TEST_RECORD_INTO") else {
        return;
    };
    let name = Path::new(&path).file_stem().unwrap().to_owned();
    let (_, config) = codecs()
        .into_iter()
        .find(|(codec, _)| name == *codec)
        .unwrap();
    let mut recorder = Recorder::create(path, config).await.unwrap();
    let config = SourceConfig::default().size(320, 240).rate_hz(50.0);
    let mut source = Source::open(&SourceSpec::Pattern, config).await.unwrap();
    loop {
        let frame = source.next().await.unwrap();
        recorder.push(&frame).await.unwrap();
        println!("recorded {}", frame.number());
    }
}

#[tokio::test]
async fn a_killed_recorder_loses_at_most_the_last_second() {
    let folder = tempfile::tempdir().unwrap();
    for (codec, _) in codecs() {
        let path = folder.path().join(format!("{codec}.mp4"));
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "recordings::killed_recorder"])
            .args(["--ignored", "--nocapture"])
            .env("SOCKKIT_TEST_RECORD_INTO", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        let recorded = told
            .filter_map(|line| line.unwrap().strip_prefix("recorded ")?.parse::<u64>().ok())
            .find(|&number| number >= 140)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let numbers = numbers_in(&path).await.unwrap();
        let last = *numbers.last().unwrap();
        assert_eq!(numbers, (0..=last).collect::<Vec<_>>(), "{codec}");
        // Fifty a second.
        assert!(last + 50 >= recorded, "{codec}: {last} of {recorded}");
    }
}

#[tokio::test]
async fn jpegs_go_in_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.mp4");
    let image = jpeg::encode(&picture(0, 0), 33).unwrap();
    let mut recorder = create(&path).await.unwrap();
    recorder.push(&image).await.unwrap();
    recorder.finish().await.unwrap();
    let mut source = Source::open(&SourceSpec::File(path), SourceConfig::default())
        .await
        .unwrap();
    assert_eq!(source.next().await.unwrap().data(), image.data());
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none/a.mp4")] {
        let error = create(&path).await.unwrap_err();
        assert!(matches!(error, RecordError::Create { .. }), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_old_file_is_replaced_only_when_told_and_once_the_new_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.mp4");
    std::fs::write(&path, "old").unwrap();
    let error = create(&path).await.unwrap_err();
    assert!(matches!(error, RecordError::Exists { .. }), "{error}");

    let replace = RecorderConfig::default().existing(Existing::Replace);
    let mut recorder = Recorder::create(&path, replace.clone()).await.unwrap();
    recorder.push(&picture(0, 0)).await.unwrap();
    // A second recorder would spoil what the first one writes.
    let error = Recorder::create(&path, replace).await.unwrap_err();
    assert!(
        matches!(&error, RecordError::Exists { path } if path.ends_with("walk.mp4.part")),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let summary = recorder.finish().await.unwrap();
    assert_eq!(path.metadata().unwrap().len(), summary.bytes);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_dropped_recorder_leaves_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dropped.mp4");
    let mut recorder = create(&path).await.unwrap();
    for number in 0..5 {
        recorder
            .push(&picture(number, number * 40_000))
            .await
            .unwrap();
    }
    drop(recorder);
    // Its thread finishes the file, but does not report when.
    timeout(Duration::from_secs(10), async {
        while !matches!(numbers_in(&path).await, Ok(numbers) if numbers.len() == 5) {}
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_newest_pictures_are_followed_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let (publisher, mut pictures) = latest::channel();
    let mut recorder = create(folder.path().join("live.mp4")).await.unwrap();
    let recording = tokio::spawn(async move {
        recorder.follow(&mut pictures).await.unwrap();
        (recorder.finish().await.unwrap(), pictures.missed())
    });
    for number in 0..20 {
        publisher.publish(picture(number, number * 40_000));
        tokio::task::yield_now().await;
    }
    // A damaged one is left out.
    let whole = jpeg::encode(&picture(20, 0), 80).unwrap().into_data();
    publisher.publish(Picture::from_jpeg(whole.slice(..whole.len() / 2)).unwrap());
    drop(publisher);
    let (summary, missed) = recording.await.unwrap();
    assert!((1..=20).contains(&summary.frames));
    assert!(
        summary.frames + missed >= 19,
        "{summary:?}, {missed} missed"
    );
}

#[tokio::test]
async fn a_recording_without_pictures_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.mp4");
    let recorder = create(&path).await.unwrap();
    assert_eq!(recorder.finish().await.unwrap().frames, 0);
    assert!(!path.exists());
}

#[tokio::test]
async fn bad_pictures_are_refused_and_good_ones_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = create(folder.path().join("a.mp4")).await.unwrap();
    recorder.push(&picture(0, 0)).await.unwrap();

    let whole = jpeg::encode(&picture(1, 40_000), 80).unwrap().into_data();
    let cut = Picture::from_jpeg(whole.slice(..whole.len() / 2)).unwrap();
    let error = recorder.push(&cut).await.unwrap_err();
    assert!(matches!(error, RecordError::Picture { .. }), "{error}");

    recorder.push(&picture(2, 80_000)).await.unwrap();
    assert_eq!(recorder.finish().await.unwrap().frames, 2);
}

#[tokio::test]
async fn another_size_begins_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk.mp4");
    // An existing file of the next name is not replaced.
    std::fs::write(folder.path().join("walk-2.mp4"), "mine").unwrap();
    let mut recorder = create(&path).await.unwrap();
    for (number, side) in (0..).zip([16, 16, 32, 32, 16]) {
        let pixels = vec![9; side * side];
        let side = u32::try_from(side).unwrap();
        let frame = Picture::new(PixelFormat::Gray, side, side, pixels).unwrap();
        let frame = frame.numbered(number);
        recorder
            .push(&frame.captured_at(Timestamp::from_micros(number * 40_000)))
            .await
            .unwrap();
    }
    let summary = recorder.finish().await.unwrap();
    let files = ["walk.mp4", "walk-3.mp4", "walk-4.mp4"].map(|name| folder.path().join(name));
    assert_eq!((&summary.files[..], summary.frames), (&files[..], 5));
    for (name, size, pictures) in [("walk", 16, 2), ("walk-3", 32, 2), ("walk-4", 16, 1)] {
        let file = folder.path().join(format!("{name}.mp4"));
        let spec = SourceSpec::File(file);
        let mut source = Source::open(&spec, SourceConfig::default()).await.unwrap();
        for number in 0..pictures {
            let frame = source.next().await.unwrap();
            assert_eq!((frame.number(), frame.width_px()), (number, size), "{name}");
        }
    }
    assert_eq!(
        std::fs::read(folder.path().join("walk-2.mp4")).unwrap(),
        b"mine"
    );
}

#[tokio::test]
async fn the_header_tells_how_long_it_is_and_when_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mp4");
    let mut recorder = create(&path).await.unwrap();
    for number in 0..50 {
        recorder
            .push(&picture(number, number * 40_000))
            .await
            .unwrap();
    }
    recorder.finish().await.unwrap();
    let file = std::fs::read(&path).unwrap();
    let header = file.windows(4).position(|name| name == b"mvhd").unwrap();
    let word = |at: usize| u32::from_be_bytes(file[header + at..][..4].try_into().unwrap());
    // Version 0: created and changed since 1904, ticks a second, ticks.
    assert_eq!(word(8), 1_700_000_000 + 2_082_844_800);
    assert_eq!((word(16), word(20)), (1_000, 2_000));
    if met("duration by ffprobe", &[Need::Program("ffprobe")]) {
        let probed = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-of",
                "csv=p=0",
                "-show_entries",
                "format=duration",
            ])
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&probed.stdout).trim(), "2.000000");
    }
}

#[test]
fn a_full_disk_is_told_and_what_was_written_plays() {
    if !met(
        "recording to a full disk",
        &[Need::Root, Need::Program("unshare")],
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A file system of its own, which goes away with the process.
    let mounted =
        "mount -t tmpfs -o size=512k none \"$SOCKKIT_TEST_RECORD_INTO\" && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", mounted])
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "recordings::recorder_on_a_small_disk",
            "--ignored",
        ])
        .env("SOCKKIT_TEST_RECORD_INTO", folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("1 passed"), "{told}");
}

#[tokio::test]
#[ignore = "runs where the test before this one has mounted a small disk"]
async fn recorder_on_a_small_disk() {
    let Some(folder) = env::var_os("SOCKKIT_TEST_RECORD_INTO") else {
        return;
    };
    let path = Path::new(&folder).join("full.mp4");
    let mut recorder = create(&path).await.unwrap();
    let mut pushed = 0;
    let error = loop {
        match recorder.push(&picture(pushed, pushed * 40_000)).await {
            Ok(()) => pushed += 1,
            Err(error) => break error,
        }
        assert!(pushed < 10_000, "a small disk took it all");
    };
    let RecordError::Write { source, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert!(matches!(
        recorder.push(&picture(0, 0)).await,
        Err(RecordError::Ended { .. })
    ));
    // Whole fragments only, so ffprobe would have nothing to complain of either.
    let numbers = numbers_in(&path).await.unwrap();
    assert!(numbers.len() >= 13, "{}", numbers.len());
    assert_eq!(numbers, (0..).take(numbers.len()).collect::<Vec<_>>());
}
