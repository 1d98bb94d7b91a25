//! What the encoders make, and when they stop.

use std::cell::Cell;
use std::io::Read;

use bytes::Bytes;

use super::codec::{Coded, encode};
use crate::model::coding::Coding;
use crate::model::page::{Content, Rope};

fn text(len: usize) -> Vec<u8> {
    let line = |n: u32| format!("<li><a href=\"/posts/{n}\">Post {n}</a></li>\n");
    (0..).flat_map(|n| line(n).into_bytes()).take(len).collect()
}

fn noise(len: usize) -> Vec<u8> {
    let mut word = 1_u64;
    let next = |_| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (word >> 56) as u8
    };
    (0..len).map(next).collect()
}

/// In one piece, or in parts where that is how pages have it.
fn content(body: &[u8]) -> Content {
    let body = Bytes::copy_from_slice(body);
    match Rope::of(std::slice::from_ref(&body)) {
        Some(rope) => rope.content(),
        None => Content::One(body),
    }
}

fn decode(coding: Coding, coded: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    match coding {
        Coding::Br => brotli::Decompressor::new(coded, 4096).read_to_end(&mut body),
        Coding::Zstd => zstd::stream::read::Decoder::new(coded).expect("a decoder").read_to_end(&mut body),
        Coding::Gzip => flate2::read::GzDecoder::new(coded).read_to_end(&mut body),
    }
    .expect("what was coded reads back");
    body
}

#[test]
fn each_coding_reads_back_as_it_was_and_is_the_same_each_time() {
    for coding in Coding::ALL {
        for len in [900, 100_000, 1_200_000] {
            let body = text(len);
            let Coded::Smaller(pieces) = encode(coding, content(&body), || true) else {
                panic!("{coding:?} {len}: text gets smaller")
            };
            assert!(pieces.concat().len() < len / 2, "{coding:?} {len}");
            assert!(decode(coding, &pieces.concat()) == body, "{coding:?} {len}");
            // A strong entity tag stands for these very bytes.
            assert!(encode(coding, content(&body), || true) == Coded::Smaller(pieces), "{coding:?} {len}");
        }
    }
}

#[test]
fn what_does_not_get_smaller_is_left_alone() {
    for coding in Coding::ALL {
        for len in [0, 1, 900, 1_200_000] {
            assert_eq!(encode(coding, content(&noise(len)), || true), Coded::NotSmaller, "{coding:?} {len}");
        }
    }
}

#[test]
fn p15_work_that_nobody_wants_any_more_ends_within_a_step() {
    for coding in Coding::ALL {
        let asked = Cell::new(0);
        let is_wanted = || {
            asked.set(asked.get() + 1);
            asked.get() <= 3
        };
        assert_eq!(encode(coding, content(&text(1_200_000)), is_wanted), Coded::Unwanted, "{coding:?}");
        assert_eq!(asked.get(), 5, "{coding:?}: three steps, the question that ended it, and why it ended");
    }
}
