//! What a first-time user of the command and of the course's programs tripped over, each
//! with the test that keeps it mended.

use crate::inputs::{self, check_rows};

const FILE: &str = "tests/it/file";
const MEDIA: &str = "crates/sockkit-media";
const LINK: &str = "crates/sockkit-link/src";
const CLI: &str = "crates/sockkit-cli/tests/it";
const SITUATIONS: &str = "crates/sockkit-cli/tests/it/situations.rs";
const EXAMPLES: &str = "crates/sockkit-examples/tests/it";

/// Situation, folder and file, test.
#[rustfmt::skip]
const ROWS: &[(&str, &str, &str, &str)] = &[
    // Files left out.
    ("colon, backslash, device names, no UTF-8, folders so named", CLI, "names.rs", "a_folder_of_sixty_awkward_names_arrives_equal"),
    ("names that only the receiver's system forbids", CLI, "names.rs", "a_receiver_with_the_rules_of_windows_takes_the_rest_and_both_sides_name_what_is_missing"),
    ("A beside a at a receiver with the rules of Windows", "crates/sockkit-codec/src/file/session/tests", "reviews.rs", "names_that_some_system_confuses_are_twins_and_so_is_what_is_in_them"),
    ("what is left out, named at the end on both sides, counted and in the exit code", CLI, "send_receive.rs", "what_is_left_out_is_counted_and_makes_the_exit_code_on_both_sides"),
    ("A beside a", FILE, "odd_names.rs", "names_that_differ_by_case_alone_are_two_here"),
    ("a mode that skips the same and replaces the changed", CLI, "names.rs", "an_update_keeps_what_is_the_same_and_replaces_what_changed"),
    ("same command again for a folder", CLI, "names.rs", "the_same_command_again_finds_all_of_it_done"),
    ("interrupted after its code was used up", CLI, "find.rs", "what_was_interrupted_after_a_code_is_resumed_by_the_line_that_is_printed"),
    ("interrupted before anything has moved", CLI, "find.rs", "what_has_not_begun_is_not_said_to_resume"),
    ("file that is there and differs", CLI, "send_receive.rs", "a_file_that_is_there_is_treated_as_told"),
    ("file that is touched while it is sent", FILE, "transfer.rs", "rights_names_and_links_may_change_while_a_file_is_sent"),
    // A second sender.
    ("busy receiver", CLI, "strangers.rs", "offers_whose_senders_left_are_not_asked_about"),
    ("sender that waits behind the last transfer", CLI, "strangers.rs", "who_waits_behind_the_last_transfer_is_told_why_it_ends"),
    ("idle connection at a receiver", CLI, "strangers.rs", "strangers_that_offer_nothing_hold_no_sender_up"),
    // The command for people and for programs.
    ("receiver in scp's place: a code, a name, HOST:, USER@HOST:", CLI, "send_receive.rs", "what_cannot_begin_says_why"),
    ("IPv6 address with a zone", LINK, "address/tests.rs", "names_and_zones_are_resolved"),
    ("waiting is said, and no bar stands still", CLI, "prompt.rs", "a_sender_is_told_that_it_waits_which_is_no_time_of_the_transfer"),
    ("link-local address without its interface", CLI, "cam.rs", "a_link_local_address_without_its_interface_is_refused_with_an_example"),
    ("symbolic link that is named, beside its file", FILE, "links.rs", "a_link_that_is_named_stands_for_its_file_under_its_own_name"),
    ("rate that counts moving alone", CLI, "prompt.rs", "a_sender_is_told_that_it_waits_which_is_no_time_of_the_transfer"),
    ("log lines on the terminal", CLI, "situations.rs", "two_users_read_what_they_need"),
    ("standard error that cannot be written", CLI, "output.rs", "notes_that_cannot_be_written_end_no_transfer"),
    ("reader that has gone during a transfer", CLI, "output.rs", "a_transfer_outlives_the_reader_of_its_output"),
    ("reader of a course's program that has gone", EXAMPLES, "help.rs", "a_reader_that_has_gone_ends_a_program_quietly"),
    ("objects for programs", CLI, "output.rs", "each_line_is_an_object_with_json"),
    ("errors as objects", CLI, "output.rs", "an_error_is_an_object_too"),
    ("quiet", CLI, "output.rs", "quiet_leaves_results_and_errors"),
    ("output to a full disk", CLI, "output.rs", "output_that_cannot_be_written_is_a_failure"),
    ("output to a reader that has gone", CLI, "options.rs", "a_reader_that_has_gone_ends_it_quietly"),
    ("completions", CLI, "output.rs", "every_shell_gets_a_script"),
    ("manual pages", CLI, "output.rs", "every_subcommand_has_a_manual_page"),
    ("standard input and output", CLI, "names.rs", "standard_input_and_output_take_the_place_of_a_file"),
    ("Ctrl-C", CLI, "send_receive.rs", "ctrl_c_on_either_side_leaves_what_the_next_attempt_goes_on_from"),
    ("question without a terminal", CLI, "prompt.rs", "without_a_terminal_the_option_that_helps_is_named"),
    ("yes in Korean", "crates/sockkit-cli/src", "prompt/mod.rs", "a_yes_is_a_yes_and_a_number_where_not_all_was_listed"),
    ("amounts in K, M, G", "crates/sockkit-cli/src", "units.rs", "units_are_powers_of_1024"),
    ("options without a value", CLI, "options.rs", "no_value_is_a_number_of_twenty_digits"),
    ("snapshot over an old picture", CLI, "cam.rs", "a_snapshot_replaces_no_file"),
    ("firewall on this machine", CLI, "doctor.rs", "a_firewall_that_drops_is_seen_from_inside"),
    ("machine without a network", CLI, "doctor.rs", "a_machine_without_a_network_is_told_so"),
    ("--size and --quality", CLI, "cam.rs", "size_and_quality_are_those_that_were_asked_for"),
    ("--name of standard input", CLI, "names.rs", "standard_input_and_output_take_the_place_of_a_file"),
    ("machine's name in place of an address", CLI, "find.rs", "a_code_is_all_that_is_typed_and_later_a_name"),
    // The page.
    ("page under the machine's names", CLI, "viewer.rs", "the_page_is_served_under_the_machines_names_and_those_given"),
    ("several sources on one page", CLI, "viewer.rs", "several_sources_share_a_page_under_their_names"),
    ("camera in a browser by one command; page too high", CLI, "page_sizes.rs", "the_page_of_cam_fits_a_laptop_and_a_phone"),
    // Recordings.
    ("size that changes while recording", MEDIA, "tests/it/recordings.rs", "another_size_begins_another_file"),
    ("files of a recording whose size has changed, named", CLI, "cam.rs", "a_recording_names_each_of_its_files"),
    ("part of a dead program", MEDIA, "src/sink/record/place.rs", "a_part_is_taken_over_from_the_dead_and_from_no_other"),
    ("losses without an option", MEDIA, "src/stream/loss.rs", "before_the_first_report_one_in_a_hundred_is_lost"),
    // The course.
    ("client of the notes against the default server, and the reverse", EXAMPLES, "video.rs", "the_client_goes_by_the_first_bytes"),
    ("length in the other order", EXAMPLES, "video.rs", "a_length_in_the_other_order_points_at_the_order"),
    ("text that came in one piece with its name", EXAMPLES, "file.rs", "a_text_that_came_with_its_name_is_no_success"),
    ("names where addresses stand, and <broadcast>", "crates/sockkit-examples/src", "lib.rs", "names_stand_where_addresses_do"),
    ("messages in Korean, and a README that begins with a clone", EXAMPLES, "korean.rs", "the_korean_readme_works_as_it_is_written"),
    ("code in the book as it is read in the repository", "tests/it", "book.rs", "the_code_in_the_book_is_that_of_the_programs"),
    ("dead links in the book", "tests/it", "book.rs", "the_links_of_the_pages_lead_to_files"),
    ("clips in H.264", MEDIA, "src/source/clip/mp4.rs", "h264_without_the_feature_says_what_to_do"),
    // What worked, and must stay.
    ("ten thousand files", FILE, "transfer.rs", "ten_thousand_small_files_arrive"),
    ("a kill at any moment", CLI, "send_receive.rs", "ten_kills_lose_nothing"),
    ("window without a display", CLI, "window.rs", "without_a_display_it_says_so"),
    ("stream in ffmpeg and OpenCV", CLI, "viewer.rs", "ffmpeg_opencv_curl_and_python_read_the_stream"),
];

/// Rows that are played between two machines: each is in the table of situations.
const PLAYED: &[&str] = &[
    "no viewer",
    "a code in scp's place",
    "a user and a host in scp's place",
    "the port of a page after a space",
    "the port of a page for uploads after a space",
    "a file that is there and differs",
    "notes that cannot be written",
    "no camera",
    "a camera's address after udp://",
    "a viewer's address after tcp://",
    "no route to a group",
    "no interface for a group",
    "a broadcast address",
    "no port on either side",
    "a port alone",
    "the address in scp's place",
    "a page alone",
    "a page at a port",
    "several sources without a page",
    "nobody can be asked",
    "nobody listens",
    "no such machine",
    "a firewall drops TCP",
    "a firewall drops UDP",
    "this machine drops",
    "another machine drops",
    "another machine is reached",
    "a link keeps the name that was typed",
    "a limit in units",
    "output that cannot be written",
    "help that cannot be written",
    "the command's name",
    "over QUIC",
];

/// What has no test of its own, and why.
const ANSWERS: &[(&str, &str)] = &[
    (
        "standard output that was closed before the start (>&-)",
        "Rust opens /dev/null in its place before the program runs, so that writing succeeds",
    ),
    (
        "motion JPEG in Chromium's <video>",
        "no browser decodes it in MP4; docs/recording.md says so, and --h264 records what they play",
    ),
];

#[test]
fn every_row_has_its_test() {
    check_rows(ROWS, ANSWERS);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let situations = std::fs::read_to_string(root.join(SITUATIONS)).unwrap();
    for name in PLAYED {
        let row = format!("here(\"{name}\"");
        assert!(situations.contains(&row), "{name} is not played");
    }
}

#[test]
fn both_tables_have_five_answers_at_most() {
    let all = ANSWERS.len() + inputs::ANSWERS.len();
    assert!(all <= 5, "{all} answers");
}
