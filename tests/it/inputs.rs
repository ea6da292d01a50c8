//! What other programs and other people's files brought, each with the test that keeps it.
//!
//! A row is a situation and where it is tested; the test must be there.

use std::{fs, path::Path};

const FILE: &str = "tests/it/file";
const CODEC: &str = "crates/sockkit-codec";
const MEDIA: &str = "crates/sockkit-media/src";
const COURSE: &str = "crates/sockkit-course/src";
const CLI: &str = "crates/sockkit-cli/tests/it";
const EXAMPLES: &str = "crates/sockkit-examples/tests/it";

/// Situation, folder and file, test.
#[rustfmt::skip]
const ROWS: &[(&str, &str, &str, &str)] = &[
    // Pictures by others.
    ("JPEGs by cjpeg and ImageMagick, any sampling, scans, restarts, colours", "tests/it", "picture.rs", "a_tenth_of_the_jpegs_is_shown_as_djpeg_shows_it_or_refused"),
    ("JPEG in several sequential scans, arithmetic coded, with 12 bits, oddly sampled", MEDIA, "picture/jpeg/frame.rs", "all_else_is_named"),
    ("JPEG with an EXIF orientation", MEDIA, "picture/jpeg/exif.rs", "a_picture_is_decoded_the_way_it_is_shown"),
    ("refused JPEG, and what makes a common one of it", MEDIA, "picture/jpeg/frame.rs", "the_advice_leads_to_a_jpeg_that_is_decoded"),
    ("JPEG without Huffman tables", CODEC, "src/rtp/jpeg/tests.rs", "a_jpeg_without_huffman_tables_means_the_standard_ones"),
    ("side over 8,192 pixels, also of a still", MEDIA, "picture/shape.rs", "sides_are_one_to_the_limit"),
    ("hostile JPEGs, pictures and streams of them", MEDIA, "picture/hostile.rs", "jpegs"),
    ("Motion JPEG with lines, fill bytes, junk or half pictures in it", "tests/it", "source.rs", "motion_jpeg_continues_at_the_next_picture"),
    ("multipart stream saved by curl", "tests/it", "source.rs", "a_multipart_stream_saved_to_a_file_is_a_clip"),
    ("picture without its end in front of others", MEDIA, "picture/jpeg/split.rs", "an_image_cut_anywhere_costs_no_other_one"),
    ("length made of damage inside a scan", MEDIA, "picture/jpeg/split.rs", "a_damaged_scan_costs_no_other_image"),
    ("MP4 in fragments with absolute offsets, with sound too", "tests/it", "source.rs", "every_kind_of_fragment_by_ffmpeg_plays"),
    ("MP4 fragments whose offsets cannot be followed", MEDIA, "source/clip/fragments.rs", "what_cannot_be_put_so_is_refused"),
    ("MP4 with two tracks of pictures", MEDIA, "source/clip/track.rs", "one_track_of_several_is_shown"),
    ("MP4 with an edit list", MEDIA, "source/clip/track.rs", "an_edit_list_is_followed"),
    ("MP4 with a matrix of zeros", MEDIA, "picture/turn.rs", "a_matrix_is_the_orientation_that_looks_so"),
    ("MP4 or Y4M that is cut off, told once", CLI, "cam.rs", "a_clip_that_is_cut_off_is_told_once_and_not_at_all_if_quiet"),
    ("file named .mp4 that is none", CLI, "cam.rs", "an_mp4_that_is_none_is_refused_in_words_for_users"),
    ("MP4 of a phone held upright", MEDIA, "source/clip/track.rs", "a_turned_track_is_shown_upright"),
    ("Y4M of odd sides, other layouts, full range", "tests/it", "source.rs", "every_y4m_of_8_bits_by_ffmpeg_is_read"),
    ("Y4M with more than 8 bits or alpha", MEDIA, "source/clip/y4m.rs", "bad_headers_are_refused"),
    ("numpy's pickles of transposed arrays", COURSE, "pickle/mod.rs", "axes_in_another_order_are_put_in_order"),
    ("pickles of protocol 0 and 1", COURSE, "body.rs", "an_old_pickle_is_named"),
    ("numpy's pickles in Fortran's order", COURSE, "pickle/mod.rs", "fortran_is_read"),
    // Recordings.
    ("damaged picture while it is recorded by the course's client", EXAMPLES, "video.rs", "a_damaged_picture_costs_one_picture_of_a_recording"),
    ("damaged picture of the camera of the course's server", EXAMPLES, "video.rs", "a_damaged_picture_costs_a_server_one_picture"),
    ("damaged picture while it is recorded", "crates/sockkit-media/tests/it", "recordings.rs", "bad_pictures_are_refused_and_good_ones_go_on"),
    ("size that changes during a recording", "crates/sockkit-media/tests/it", "recordings.rs", "another_size_begins_another_file"),
    ("names of the files of a recording whose size changes", CLI, "cam.rs", "a_recording_names_each_of_its_files"),
    ("duration and date of a recording", "crates/sockkit-media/tests/it", "recordings.rs", "the_header_tells_how_long_it_is_and_when_it_was_made"),
    ("part that a dead program left", MEDIA, "sink/record/place.rs", "a_part_is_taken_over_from_the_dead_and_from_no_other"),
    ("recordings beyond 2^32 microseconds, clocks that go back", MEDIA, "sink/record/timeline.rs", "a_clock_that_goes_back_makes_no_hole"),
    ("recordings in ffprobe and OpenCV", "crates/sockkit-media/tests/it", "recordings.rs", "ffprobe_reads_size_count_duration_and_rate"),
    // Files and their names.
    ("names with colon, question mark, backslash, dot or space at the end, device names, no UTF-8", CLI, "names.rs", "a_folder_of_sixty_awkward_names_arrives_equal"),
    ("receiver that cannot hold some of them", CLI, "names.rs", "a_receiver_with_the_rules_of_windows_takes_the_rest_and_both_sides_name_what_is_missing"),
    ("A beside a, composed beside decomposed", FILE, "odd_names.rs", "names_that_differ_by_case_alone_are_two_here"),
    ("what is left out", CLI, "send_receive.rs", "what_is_left_out_is_counted_and_makes_the_exit_code_on_both_sides"),
    ("same command again", CLI, "names.rs", "the_same_command_again_finds_all_of_it_done"),
    ("folder in which some files changed", CLI, "names.rs", "an_update_keeps_what_is_the_same_and_replaces_what_changed"),
    ("rights, name or links of a file change while it is sent", FILE, "transfer.rs", "rights_names_and_links_may_change_while_a_file_is_sent"),
    ("bytes change behind an old time", FILE, "transfer.rs", "bytes_that_change_behind_an_old_time_are_found_out"),
    ("file is cut or grows while it is sent", FILE, "trouble.rs", "a_source_that_vanishes_or_changes_fails_alone"),
    ("files of /proc", FILE, "transfer.rs", "a_file_that_is_longer_than_it_says_is_no_success"),
    ("modes of private files and folders", CLI, "send_receive.rs", "nothing_that_arrives_is_wider_than_it_was"),
    ("links in a folder", FILE, "links.rs", "links_arrive_as_links"),
    ("standard input and output", CLI, "names.rs", "standard_input_and_output_take_the_place_of_a_file"),
    ("disk that fills up", FILE, "trouble.rs", "a_disk_that_fills_up_meanwhile_is_survived_and_resumed"),
    ("conflict modes, same size and other bytes", FILE, "transfer.rs", "a_file_that_is_there_is_treated_as_the_policy_says"),
    ("names of 255 bytes, and `send ..`", CLI, "names.rs", "the_longest_names_and_a_folder_named_by_dots_arrive"),
    ("paths longer than PATH_MAX", CLI, "names.rs", "what_is_too_deep_to_be_read_is_named_and_the_rest_arrives"),
    ("a file that cannot be read", FILE, "memory.rs", "files_go_from_memory_into_memory_entry_by_entry"),
    ("thousands of small files, empty ones, times", FILE, "transfer.rs", "ten_thousand_small_files_arrive"),
    ("destination that cannot be written", CLI, "send_receive.rs", "a_folder_that_may_not_be_written_is_named"),
    // The viewer.
    ("browser page under the machine's own names", CLI, "viewer.rs", "the_page_is_served_under_the_machines_names_and_those_given"),
    ("request of HTTP/1.0 without a host", CLI, "viewer.rs", "a_program_of_http_1_0_names_no_host"),
    ("multipart as curl, ffmpeg, OpenCV and Python read it", CLI, "viewer.rs", "ffmpeg_opencv_curl_and_python_read_the_stream"),
    ("client that asks and closes its half", "tests/it", "web/clients.rs", "a_client_that_closes_its_side_after_asking_is_answered_each_time"),
    ("client that stalls", "tests/it", "web/limits.rs", "a_client_that_did_not_read_finds_two_old_pictures_at_most"),
    ("figures for Prometheus", "tests/it", "web/pages.rs", "prometheus_can_read_the_figures"),
    // The course.
    ("client without options against every server", EXAMPLES, "video.rs", "the_client_goes_by_the_first_bytes"),
    ("text that came in one piece with its name", EXAMPLES, "file.rs", "a_text_that_came_with_its_name_is_no_success"),
    ("names where addresses stand, and <broadcast>", "crates/sockkit-examples/src", "lib.rs", "names_stand_where_addresses_do"),
    ("half-close at the echo server after 3 MB", EXAMPLES, "tcp.rs", "three_megabytes_come_back_whole_after_a_half_close"),
    // Messages.
    ("length of eight bytes 0xff and a limit of all", CODEC, "src/frame/inbound.rs", "the_longest_length_there_is_ends_as_truncated"),
    ("CPython's own tests of struct", "tests/it", "pack.rs", "results_and_errors_equal_cpython"),
];

/// What has no test of its own, and why.
pub(crate) const ANSWERS: &[(&str, &str)] = &[
    (
        "recording named like another format (out.avi)",
        "the name is the user's, and every player goes by the contents",
    ),
    (
        "edits of H.264 tracks after the first",
        "what is compressed by the pictures before it cannot be begun in the middle",
    ),
];

#[test]
fn every_situation_has_its_test() {
    check_rows(ROWS, ANSWERS);
}

/// Every row's test is there, and what has none has a reason.
pub(crate) fn check_rows(rows: &[(&str, &str, &str, &str)], answers: &[(&str, &str)]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for (what, folder, file, name) in rows {
        let file = format!("{folder}/{file}");
        let text = fs::read_to_string(root.join(&file)).unwrap_or_default();
        if !text.contains(&format!("fn {name}(")) {
            missing.push(format!("{what}: {file} has no {name}"));
        }
    }
    for (what, reason) in answers {
        assert!(reason.len() > 20, "{what}");
    }
    assert_eq!(missing, Vec::<String>::new());
}
