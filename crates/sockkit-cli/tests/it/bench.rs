//! `sockkit bench networks`: two links of its table, briefly.

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
