//! JPEGs to packets and back, by headers made here: the pixels are compared in
//! `sockkit-media`, which has a decoder.

use bytes::Bytes;

use super::*;
use crate::jpeg::marker::ADOBE;
use crate::rtp::RtpHeader;

/// The parts of a JPEG, to be changed one at a time.
struct Parts {
    before: Vec<u8>,
    process: u8,
    precision: u8,
    size_px: [u16; 2],
    components: Vec<[u8; 3]>,
    tables: Vec<(u8, Vec<u8>)>,
    huffman: Vec<u8>,
    restart_interval: Option<u16>,
    scan_header: Vec<u8>,
    scan: Vec<u8>,
    end: Vec<u8>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            before: Vec::new(),
            process: 0xc0,
            precision: 8,
            size_px: [640, 480],
            components: vec![[1, 0x22, 0], [2, 0x11, 1], [3, 0x11, 1]],
            tables: vec![(0, vec![3; 64]), (1, vec![5; 64])],
            huffman: standard_huffman_tables(),
            restart_interval: None,
            scan_header: vec![3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0],
            scan: (0..5_000_u16)
                .map(|byte| byte.to_be_bytes()[1] & 0x7f)
                .collect(),
            end: vec![0xff, 0xd9],
        }
    }
}

impl Parts {
    fn jpeg(&self) -> Bytes {
        let mut jpeg = vec![0xff, 0xd8];
        jpeg.extend(&self.before);
        for (slot, table) in &self.tables {
            segment(&mut jpeg, 0xdb, &[&[*slot][..], table].concat());
        }
        jpeg.extend(&self.huffman);
        if let Some(interval) = self.restart_interval {
            segment(&mut jpeg, 0xdd, &interval.to_be_bytes());
        }
        let [width, height] = self.size_px.map(u16::to_be_bytes);
        let count = u8::try_from(self.components.len()).unwrap();
        let frame = [
            &[self.precision],
            &height[..],
            &width,
            &[count],
            self.components.as_flattened(),
        ];
        segment(&mut jpeg, self.process, &frame.concat());
        segment(&mut jpeg, 0xda, &self.scan_header);
        jpeg.extend(&self.scan);
        jpeg.extend(&self.end);
        jpeg.into()
    }

    #[track_caller]
    fn refused(&self, expected: NotCarried) {
        assert_eq!(JpegFrame::new(&self.jpeg()).unwrap_err(), expected);
    }
}

fn segment(jpeg: &mut Vec<u8>, marker: u8, body: &[u8]) {
    jpeg.extend([0xff, marker]);
    jpeg.extend(u16::try_from(body.len() + 2).unwrap().to_be_bytes());
    jpeg.extend(body);
}

fn packets(jpeg: &Bytes, sequence: u16, max_payload_bytes: usize) -> Vec<Vec<u8>> {
    let fragments = JpegFrame::new(jpeg).unwrap().fragments(max_payload_bytes);
    let packets = fragments.zip(0_u16..).map(|(fragment, number)| {
        let header = RtpHeader {
            payload_type: PAYLOAD_TYPE,
            is_marked: fragment.is_last(),
            sequence: sequence.wrapping_add(number),
            timestamp: u32::from(sequence),
            ssrc: 9,
        };
        assert!(fragment.payload_bytes() <= max_payload_bytes.max(MIN_PAYLOAD_BYTES));
        [&header.emit(), fragment.header(), fragment.data()].concat()
    });
    packets.collect()
}

/// Packets of the picture, put together, are cut into the same packets again.
#[track_caller]
fn check(parts: &Parts) -> Vec<Vec<u8>> {
    let cut = packets(&parts.jpeg(), u16::MAX - 1, 1_400);
    let mut pictures = Depacketizer::new(1 << 20);
    let (last, others) = cut.split_last().unwrap();
    for packet in others {
        assert_eq!(pictures.handle_packet(packet), Ok(None));
    }
    let rebuilt = pictures.handle_packet(last).unwrap().unwrap();
    assert_eq!(packets(&rebuilt, u16::MAX - 1, 1_400), cut);
    assert_eq!(pictures.lost(), 0);
    cut
}

#[test]
fn a_picture_is_cut_as_the_rfc_draws_it() {
    let cut = check(&Parts::default());
    assert_eq!(cut.len(), 4);
    let first = [
        &b"\0\0\0\0\x01\xff\x50\x3c"[..],
        b"\0\0\0\x80",
        &[3; 64],
        &[5; 64],
        &[0, 1, 2],
    ];
    assert_eq!(cut[0][12..12 + 8 + 4 + 128 + 3], first.concat());
    let offset = 1_400 - 8 - 4 - 128;
    assert_eq!(offset, 0x4ec);
    assert_eq!(cut[1][12..20], *b"\0\0\x04\xec\x01\xff\x50\x3c");
    let marked: Vec<_> = cut.iter().map(|packet| packet[1]).collect();
    assert_eq!(marked, [26, 26, 26, 0x80 | 26]);
}

#[test]
fn restarts_have_a_header_in_each_packet() {
    let mut scan = Parts::default().scan;
    scan[100..102].copy_from_slice(&[0xff, 0xd0]);
    let cut = check(&Parts {
        restart_interval: Some(40),
        scan,
        ..Parts::default()
    });
    for packet in &cut {
        assert_eq!(packet[16], 65);
        assert_eq!(packet[20..24], [0, 40, 0xff, 0xff]);
    }
}

#[test]
fn half_as_many_columns_of_colours_is_type_0() {
    let cut = check(&Parts {
        components: vec![[1, 0x21, 0], [2, 0x11, 1], [3, 0x11, 1]],
        ..Parts::default()
    });
    assert_eq!(cut[0][16], 0);
}

#[test]
fn sizes_are_rounded_up_to_units_of_8() {
    for (size_px, units) in [
        ([1, 1], [1, 1]),
        ([8, 9], [1, 2]),
        ([1_920, 1_080], [240, 135]),
        ([2_040, 2_033], [255, 255]),
    ] {
        let cut = check(&Parts {
            size_px,
            ..Parts::default()
        });
        assert_eq!(cut[0][18..20], units);
    }
    for [width_px, height_px] in [[2_041, 480], [640, 2_041], [0, 8], [8, 0]] {
        let parts = Parts {
            size_px: [width_px, height_px],
            ..Parts::default()
        };
        parts.refused(NotCarried::Size {
            width_px,
            height_px,
        });
    }
}

#[test]
fn a_jpeg_without_huffman_tables_means_the_standard_ones() {
    check(&Parts {
        huffman: Vec::new(),
        ..Parts::default()
    });
}

#[test]
fn one_table_may_serve_all_components() {
    let cut = check(&Parts {
        components: vec![[0, 0x22, 2], [1, 0x11, 2], [7, 0x11, 2]],
        scan_header: vec![3, 0, 0, 1, 0x11, 7, 0x11, 0, 63, 0],
        tables: vec![(2, vec![4; 64])],
        ..Parts::default()
    });
    assert_eq!(cut[0][24..24 + 128], [4; 128]);
}

#[test]
fn what_follows_the_picture_is_left_out() {
    check(&Parts {
        end: b"\xff\xff\xd9\0\0older picture\xff\xd9".to_vec(),
        ..Parts::default()
    });
}

#[test]
fn other_processes_are_named() {
    for (process, name) in [
        (0xc1, "extended sequential"),
        (0xc2, "progressive"),
        (0xc3, "lossless"),
        (0xc5, "hierarchical"),
        (0xc9, "arithmetic coded"),
        (0xca, "arithmetic coded"),
    ] {
        let parts = Parts {
            process,
            ..Parts::default()
        };
        parts.refused(NotCarried::Process(name));
    }
    let parts = Parts {
        precision: 12,
        ..Parts::default()
    };
    parts.refused(NotCarried::Precision(12));
}

#[test]
fn other_components_are_refused() {
    for (components, error) in [
        (vec![[1, 0x11, 0]], NotCarried::Components(1)),
        (vec![[1, 0x11, 0]; 4], NotCarried::Components(4)),
        (
            vec![[1, 0x11, 0], [2, 0x11, 1], [3, 0x11, 1]],
            NotCarried::Sampling,
        ),
        (
            vec![[1, 0x22, 0], [2, 0x12, 1], [3, 0x12, 1]],
            NotCarried::Sampling,
        ),
        (
            vec![[1, 0x41, 0], [2, 0x11, 1], [3, 0x11, 1]],
            NotCarried::Sampling,
        ),
    ] {
        let parts = Parts {
            components,
            ..Parts::default()
        };
        parts.refused(error);
    }
}

#[test]
fn other_colours_are_refused() {
    let adobe = |transform| {
        let mut before = Vec::new();
        let body = [&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat();
        segment(&mut before, ADOBE, &body);
        Parts {
            before,
            ..Parts::default()
        }
    };
    adobe(0).refused(NotCarried::Colours);
    adobe(2).refused(NotCarried::Colours);
    check(&adobe(1));
    let rgb = Parts {
        components: vec![[b'R', 0x22, 0], [b'G', 0x11, 1], [b'B', 0x11, 1]],
        scan_header: vec![3, b'R', 0, b'G', 0x11, b'B', 0x11, 0, 63, 0],
        ..Parts::default()
    };
    rgb.refused(NotCarried::Colours);
}

#[test]
fn other_huffman_tables_are_refused() {
    let mut optimized = standard_huffman_tables();
    *optimized.last_mut().unwrap() ^= 1;
    let parts = Parts {
        huffman: optimized,
        ..Parts::default()
    };
    parts.refused(NotCarried::HuffmanTables);
    let swapped = Parts {
        scan_header: vec![3, 1, 0x11, 2, 0, 3, 0, 0, 63, 0],
        ..Parts::default()
    };
    swapped.refused(NotCarried::HuffmanTables);
}

#[test]
fn other_quantization_tables_are_refused() {
    for tables in [
        vec![(0, vec![3; 64])],
        vec![(0x10, vec![3; 128]), (1, vec![5; 64])],
    ] {
        let parts = Parts {
            tables,
            ..Parts::default()
        };
        parts.refused(NotCarried::QuantizationTables);
    }
    let three = Parts {
        components: vec![[1, 0x22, 0], [2, 0x11, 1], [3, 0x11, 2]],
        tables: vec![(0, vec![3; 64]), (1, vec![5; 64]), (2, vec![6; 64])],
        ..Parts::default()
    };
    three.refused(NotCarried::QuantizationTables);
}

#[test]
fn several_scans_are_refused() {
    let alone = Parts {
        scan_header: vec![1, 1, 0, 0, 63, 0],
        ..Parts::default()
    };
    alone.refused(NotCarried::Scans);
    let partial = Parts {
        scan_header: vec![3, 1, 0, 2, 0x11, 3, 0x11, 0, 5, 0],
        ..Parts::default()
    };
    partial.refused(NotCarried::Scans);
    let second = Parts {
        end: vec![0xff, 0xda, 0, 2],
        ..Parts::default()
    };
    second.refused(NotCarried::Scans);
}

#[test]
fn data_is_refused_beyond_what_offsets_tell() {
    let longest = Parts {
        scan: vec![0; MAX_SCAN_BYTES],
        ..Parts::default()
    };
    assert!(JpegFrame::new(&longest.jpeg()).is_ok());
    let longer = Parts {
        scan: vec![0; MAX_SCAN_BYTES + 1],
        ..Parts::default()
    };
    longer.refused(NotCarried::TooLong {
        bytes: MAX_SCAN_BYTES + 1,
    });
}

#[test]
fn a_jpeg_cut_anywhere_is_an_error() {
    let jpeg = Parts {
        restart_interval: Some(1),
        scan: vec![1, 0xff, 0, 2, 0xff, 0xd0, 3],
        ..Parts::default()
    }
    .jpeg();
    for length in 0..jpeg.len() {
        let cut = JpegFrame::new(&jpeg.slice(..length));
        assert!(cut.is_err(), "{length}");
    }
}

#[test]
fn a_lost_or_swapped_packet_costs_its_picture_alone() {
    let jpeg = Parts::default().jpeg();
    for lost in 0..4 {
        let mut pictures = Depacketizer::new(1 << 20);
        let mut cut = packets(&jpeg, 10, 1_400);
        cut.remove(lost);
        for packet in &cut {
            assert_eq!(pictures.handle_packet(packet), Ok(None), "{lost}");
        }
        let mut next = packets(&jpeg, 14, 1_400);
        let last = next.pop().unwrap();
        for packet in &next {
            assert_eq!(pictures.handle_packet(packet), Ok(None), "{lost}");
        }
        assert!(pictures.handle_packet(&last).unwrap().is_some(), "{lost}");
        // Of a picture without its first packet nothing was kept.
        assert_eq!(pictures.lost(), u64::from(lost != 0));
    }
}

#[test]
fn a_picture_over_the_limit_is_not_kept() {
    let jpeg = Parts::default().jpeg();
    let rebuilt = |limit| {
        let mut pictures = Depacketizer::new(limit);
        let cut = packets(&jpeg, 0, 1_400);
        let mut results = cut.iter().map(|packet| pictures.handle_packet(packet));
        results.find_map(|result| result.transpose())
    };
    let whole = rebuilt(1 << 20).unwrap().unwrap();
    // The end marker comes on top.
    let limit = whole.len() - 2;
    assert_eq!(rebuilt(limit), Some(Ok(whole)));
    let limit = limit - 1;
    assert_eq!(
        rebuilt(limit),
        Some(Err(DepacketizeError::TooLong { limit }))
    );
}

/// Small changes to sound packets and pictures: nothing panics, nothing grows.
#[test]
fn mutated_packets_and_pictures_do_no_harm() {
    let jpeg = Parts {
        restart_interval: Some(9),
        scan: vec![7; 600],
        ..Parts::default()
    }
    .jpeg();
    let cut = packets(&jpeg, 0, 400);
    let mut random = fastrand::Rng::with_seed(6);
    let mut pictures = Depacketizer::new(4_000);
    for _ in 0..5_000 {
        let mut packet = random.choice(&cut).unwrap().clone();
        let place = random.usize(..packet.len().min(40));
        packet[place] = random.u8(..);
        packet.truncate(random.usize(..=packet.len()));
        if let Ok(Some(picture)) = pictures.handle_packet(&packet) {
            assert!(picture.len() <= 4_002);
        }
        let mut image = jpeg.to_vec();
        let place = random.usize(..image.len());
        image[place] = random.u8(..);
        let _ = JpegFrame::new(&image.into()).map(|frame| frame.fragments(400).count());
    }
}
