//! `sockkit bench`: cells of its tables, briefly.

use sockkit::testing::needs::{Need, met};

use crate::{fails, sockkit};

#[test]
fn two_links_of_the_table_are_measured() {
    let needs = [
        Need::Linux,
        Need::Root,
        Need::Program("ip"),
        Need::Device("/dev/net/tun"),
    ];
    if !met("bench networks", &needs) {
        return;
    }
    let briefly = ["--runs", "1", "--seconds", "1"];
    let links = ["--only", "0/1", "--only", "bursts/20"];
    let end = sockkit(&[&["bench", "networks"][..], &links, &briefly].concat()).end();
    assert!(end.status.success(), "{end:?}");
    for link in ["| 0 % | 1 ms |", "| 5 % in bursts of 4 | 20 ms |"] {
        let row = end.lines.iter().find_map(|line| line.strip_prefix(link));
        let row = row.unwrap_or_else(|| panic!("{link}: {end:?}"));
        let cells: Vec<_> = row.trim_matches([' ', '|']).split(" | ").collect();
        assert_eq!(cells.len(), 7, "{row}");
        // What a busy machine leaves of it is no matter here.
        for cell in [cells[0], cells[2], cells[4]] {
            let number = cell.split(' ').next().unwrap();
            let carried = number.parse::<f64>().is_ok_and(|number| number > 0.0);
            assert!(carried, "{cell}: {row}");
        }
    }
}

#[test]
fn a_link_that_is_none_is_refused() {
    for (link, says) in [
        ("5", "5/20"),
        ("51/20", "50 per cent"),
        ("5/2000", "1,000 ms"),
    ] {
        fails(&["bench", "networks", "--only", link], &[link, says]);
    }
}

#[test]
fn two_groups_of_the_table_are_measured() {
    let programs = ["ip", "nft", "ethtool"].map(Need::Program);
    let needs = [&[Need::Linux, Need::Root][..], &programs].concat();
    if !met("bench many", &needs) {
        return;
    }
    let briefly = ["--alone", "--size", "4", "--rate", "50"];
    let groups = ["--only", "3/5", "--only", "2/bursts"];
    let end = sockkit(&[&["bench", "many"][..], &groups, &briefly].concat()).end();
    assert!(end.status.success(), "{end:?}");
    for group in [
        "| 3 | 5 % | sockkit |",
        "| 2 | 5 % in bursts of 4 | sockkit |",
    ] {
        let row = end.lines.iter().find_map(|line| line.strip_prefix(group));
        let row = row.unwrap_or_else(|| panic!("{group}: {end:?}"));
        let cells: Vec<_> = row.trim_matches([' ', '|']).split(" | ").collect();
        assert_eq!(cells.len(), 6, "{row}");
        let sent: f64 = cells[0].parse().unwrap();
        assert!((1.04..1.6).contains(&sent), "{row}");
    }
}

#[test]
fn a_group_that_is_none_is_refused() {
    for (group, says) in [("8", "8/5"), ("8/51", "50 per cent"), ("0/5", "1 to 200")] {
        fails(&["bench", "many", "--only", group], &[group, says]);
    }
}
