//! Clips as ffmpeg, cameras and `curl` write them.

use std::{fs, path::Path, process::Command};

use sockkit::{
    picture::{Picture, PixelFormat, jpeg},
    source::{Source, SourceConfig, SourceError, SourceSpec},
    testing::needs::{Need, met},
};

/// The pictures of a file, up to so many.
async fn play(file: &Path, most: usize) -> Result<Vec<Picture>, SourceError> {
    let config = SourceConfig::default().rate_hz(1_000.0);
    let mut source = Source::open(&SourceSpec::File(file.to_owned()), config).await?;
    let mut pictures = Vec::new();
    for _ in 0..most {
        pictures.push(source.next().await?);
    }
    Ok(pictures)
}

fn image(shade: u8) -> Vec<u8> {
    let gray = Picture::new(PixelFormat::Gray, 32, 32, vec![shade; 1_024]).unwrap();
    jpeg::encode(&gray, 80).unwrap().into_data().to_vec()
}

/// The luma of each picture that is shown.
async fn shades(stream: &[u8], most: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.mjpeg");
    fs::write(&file, stream).unwrap();
    let pictures = play(&file, most).await.unwrap();
    let gray = pictures
        .iter()
        .map(|picture| picture.convert(PixelFormat::Gray).unwrap());
    gray.map(|gray| gray.data()[0]).collect()
}

#[tokio::test]
async fn motion_jpeg_continues_at_the_next_picture() {
    let [dark, light] = [image(40), image(200)];
    for (what, stream) in [
        (
            "lines between",
            [&dark[..], b"\r\n", &light, b"\r\n"].concat(),
        ),
        ("fill bytes", [&dark[..], b"\xff\xff\xff", &light].concat()),
        (
            "junk at the end",
            [&dark[..], &light, b"the end of a tape"].concat(),
        ),
        (
            "a picture cut off",
            [&dark[..], &dark[..dark.len() / 2], &light].concat(),
        ),
        (
            "a picture without its end",
            [&dark[..], &dark[..dark.len() - 2], &light].concat(),
        ),
    ] {
        let shown = shades(&stream, 4).await;
        // Then it begins again.
        assert_eq!(shown, [40, 200, 40, 200], "{what}");
    }
}

/// What `curl http://camera/stream >saved.mjpeg` leaves.
#[tokio::test]
async fn a_multipart_stream_saved_to_a_file_is_a_clip() {
    let part = |image: &[u8]| {
        let head = format!(
            "--boundary\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
            image.len()
        );
        [head.as_bytes(), image, b"\r\n"].concat()
    };
    let stream = [
        part(&image(40)),
        part(&image(200)),
        part(&image(90))[..200].to_vec(),
    ];
    assert_eq!(shades(&stream.concat(), 3).await, [40, 200, 40]);
}

#[tokio::test]
async fn a_file_without_any_picture_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film.mjpeg");
    fs::write(&file, b"RIFF, and no picture").unwrap();
    let error = play(&file, 1).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "contains no picture");
}

/// Makes a clip by ffmpeg; `false` if there is none here.
fn ffmpeg(test: &str, arguments: &str, file: &Path) -> bool {
    if !met(test, &[Need::Program("ffmpeg")]) {
        return false;
    }
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments.split(' '))
        .arg(file)
        .status();
    assert!(made.unwrap().success(), "{arguments}");
    true
}

#[tokio::test]
async fn every_kind_of_fragment_by_ffmpeg_plays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fragments.mp4");
    for flags in [
        "+frag_keyframe+empty_moov",
        "+frag_keyframe+delay_moov",
        "+frag_keyframe+empty_moov+default_base_moof",
        "+dash+frag_keyframe",
    ] {
        let film = "-f lavfi -i testsrc=size=64x48:rate=10 -f lavfi -i sine -t 0.4";
        let arguments = format!("{film} -c:v mjpeg -c:a aac -movflags {flags}");
        if !ffmpeg("fragments by ffmpeg", &arguments, &file) {
            return;
        }
        let pictures = play(&file, 4)
            .await
            .unwrap_or_else(|error| panic!("{flags}: {error:?}"));
        let first = pictures[0].to_rgb().unwrap();
        assert_eq!((first.width_px(), first.height_px()), (64, 48), "{flags}");
        assert_ne!(
            first.data(),
            pictures[3].to_rgb().unwrap().data(),
            "{flags}"
        );
    }
}

#[tokio::test]
async fn the_first_of_two_tracks_is_played() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("two.mp4");
    let arguments = "-f lavfi -i testsrc=size=64x48:rate=10 -f lavfi -i testsrc=size=32x16:rate=10 \
        -map 0 -map 1 -t 0.4 -c:v mjpeg";
    if ffmpeg("two tracks by ffmpeg", arguments, &file) {
        let pictures = play(&file, 8).await.unwrap();
        assert!(pictures.iter().all(|picture| picture.width_px() == 64));
    }
}

#[tokio::test]
async fn every_y4m_of_8_bits_by_ffmpeg_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.y4m");
    for layout in ["yuv420p", "yuv422p", "yuv444p", "yuv411p", "gray"] {
        for size in ["64x48", "33x17"] {
            let arguments =
                format!("-f lavfi -i color=c=red:size={size}:rate=10 -t 0.2 -pix_fmt {layout}");
            if !ffmpeg("y4m by ffmpeg", &arguments, &file) {
                return;
            }
            let shown = play(&file, 1).await.unwrap().remove(0).to_rgb().unwrap();
            let [red, green, blue] = *shown.data().first_chunk().unwrap();
            match layout {
                "gray" => assert!(red == green && green == blue, "{layout} {size}"),
                _ => assert!(red > 230 && green < 25 && blue < 25, "{layout} {size}"),
            }
        }
    }
}
