use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake};

use proptest::prelude::*;

use super::*;

/// Counts how often it was woken.
#[derive(Debug, Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// One who reads, with all that they got.
struct Guest {
    reader: Reader,
    bell: Arc<Bell>,
    rung: usize,
    got: Vec<u8>,
    waits: bool,
    end: Option<Result<(), ()>>,
}

impl Guest {
    fn of(growing: &Growing) -> Self {
        let (reader, bell) = (growing.reader(), Arc::default());
        Self { reader, bell, rung: 0, got: Vec::new(), waits: false, end: None }
    }

    /// Reads once; whether something came of it.
    fn read(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.bell));
        self.rung = self.bell.0.load(SeqCst);
        match self.reader.poll_chunk(&mut Context::from_waker(&waker)) {
            Poll::Pending => self.waits = true,
            Poll::Ready(Some(Ok(bytes))) => {
                assert!(!bytes.is_empty() && bytes.len() <= CHUNK_BYTES);
                assert_eq!(self.end, None, "bytes after the end");
                self.got.extend_from_slice(&bytes);
                self.waits = false;
            }
            Poll::Ready(end) => {
                self.end.get_or_insert(end.map_or(Ok(()), |end| end.map(drop).map_err(drop)));
                self.waits = false;
            }
        }
        !self.waits
    }

    fn read_all(&mut self) -> &[u8] {
        while self.end.is_none() && self.read() {}
        &self.got
    }

    fn was_woken(&self) -> bool {
        self.bell.0.load(SeqCst) > self.rung
    }
}

/// Bytes that tell where they stand.
fn bytes(from: u64, len: usize) -> Vec<u8> {
    (from..).take(len).map(|at| (at % 251) as u8).collect()
}

#[test]
fn everybody_reads_all_of_it_and_latecomers_from_the_start() {
    let (mut writer, growing) = Growing::new(Some(10));
    let (mut first, mut second) = (Guest::of(&growing), Guest::of(&growing));
    assert!(!first.read() && !second.read());
    writer.write(b"hello");
    assert!(!first.was_woken(), "not shown yet");
    writer.show();
    assert!(first.was_woken() && second.was_woken());
    assert_eq!(first.read_all(), b"hello");
    assert_eq!((first.reader.remaining(), first.reader.is_at_end()), (Some(5), false));
    writer.write(b"world");
    writer.show();
    let mut late = Guest::of(&growing);
    for guest in [&mut first, &mut second, &mut late] {
        assert_eq!(guest.read_all(), b"helloworld");
        assert_eq!(guest.end, Some(Ok(())), "a body of known length ends with its last byte");
    }
    assert_eq!(writer.finish().unwrap().concat(), b"helloworld");
    assert_eq!(Guest::of(&growing).read_all(), b"helloworld", "after its end, too");
}

#[test]
fn r18_a_body_that_breaks_off_is_an_error_for_every_reader_and_never_an_end() {
    type Ending = fn(Writer);
    let endings: [(&str, Ending); 3] = [
        ("ends early", |writer| assert!(writer.finish().is_err())),
        ("fails", |writer| writer.break_off(Broken::by("cut".into()))),
        ("is dropped", drop),
    ];
    for (name, end) in endings {
        let (mut writer, growing) = Growing::new(Some(10));
        let (mut early, mut late) = (Guest::of(&growing), Guest::of(&growing));
        writer.write(b"hello");
        writer.show();
        assert_eq!(early.read_all(), b"hello");
        end(writer);
        assert!(early.was_woken(), "{name}");
        for guest in [&mut early, &mut late, &mut Guest::of(&growing)] {
            assert_eq!(guest.read_all(), b"hello", "{name}");
            assert_eq!(guest.end, Some(Err(())), "{name}");
            assert_eq!(guest.reader.remaining(), Some(5), "the length that was promised stays promised");
        }
        assert!(early.read() && early.reader.is_at_end(), "{name}: told once");
    }
}

#[test]
fn a_body_of_unknown_length_ends_when_its_writer_says_so() {
    let (mut writer, growing) = Growing::new(None);
    let mut guest = Guest::of(&growing);
    writer.write(b"all");
    writer.show();
    assert_eq!(guest.read_all(), b"all");
    assert_eq!(guest.end, None);
    assert!(!guest.reader.is_at_end() && guest.reader.remaining().is_none());
    writer.finish().unwrap();
    assert!(guest.was_woken());
    guest.read();
    assert_eq!(guest.end, Some(Ok(())));
}

#[test]
fn more_than_was_promised_is_shown_to_nobody_and_makes_no_page() {
    let (mut writer, growing) = Growing::new(Some(4));
    writer.write(b"four and more");
    assert!(writer.finish().is_err());
    assert_eq!(Guest::of(&growing).read_all(), b"four");
}

#[test]
fn chunks_are_bounded_shared_and_as_long_as_what_they_hold() {
    let len = 3 * CHUNK_BYTES + 70_000;
    let (mut writer, growing) = Growing::new(Some(len as u64));
    writer.write(&bytes(0, len));
    let mut guest = Guest::of(&growing);
    assert_eq!(guest.read_all().len(), 3 * CHUNK_BYTES, "full chunks are shown at once");
    let chunks = writer.finish().unwrap();
    let lens: Vec<usize> = chunks.iter().map(Bytes::len).collect();
    assert_eq!(lens, [CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES, 70_000]);
    let again = growing.reader().poll_chunk(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Some(Ok(first))) = again else { panic!("{again:?}") };
    assert_eq!(first.as_ptr(), chunks[0].as_ptr(), "stored once");
}

#[test]
fn a_body_that_drips_in_is_a_handful_of_chunks() {
    let (mut writer, growing) = Growing::new(None);
    let mut guest = Guest::of(&growing);
    for byte in bytes(0, 64 << 10) {
        writer.write(&[byte]);
        writer.show();
        guest.read();
    }
    let chunks = writer.finish().unwrap();
    assert!(chunks.len() <= 64 << 10 >> 11, "{} chunks", chunks.len());
    assert_eq!(chunks.concat(), bytes(0, 64 << 10));
    assert_eq!(guest.got, bytes(0, 64 << 10), "each byte came as it was shown");
}

#[test]
fn a_reader_who_leaves_is_forgotten() {
    let (writer, growing) = Growing::new(None);
    let mut guest = Guest::of(&growing);
    guest.read();
    let bell = Arc::downgrade(&guest.bell);
    drop(guest);
    assert!(bell.upgrade().is_none(), "its waker is dropped with it");
    drop(writer);
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Show,
    Join,
    Read(usize),
    Leave(usize),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Finish,
    BreakOff,
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![4 => 1..200_usize, 3 => 3_000..9_000_usize, 1 => 200_000..600_000_usize];
    prop_oneof![
        4 => size.prop_map(Step::Write),
        3 => Just(Step::Show),
        1 => Just(Step::Join),
        6 => (0..8_usize).prop_map(Step::Read),
        1 => (0..8_usize).prop_map(Step::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Any order of writing, reading, coming and leaving: each reader has a prefix of what was shown, whoever has
    /// less than that is woken, and at the end all have the same bytes and the same end.
    #[test]
    fn any_interleaving_reads_as_it_was_written(
        steps in proptest::collection::vec(step(), 1..80),
        end in prop_oneof![3 => Just(End::Finish), 1 => Just(End::BreakOff), 1 => Just(End::Drop)],
        is_known in any::<bool>(),
        short in any::<bool>(),
    ) {
        let sizes = steps.iter().map(|step| if let Step::Write(len) = step { *len as u64 } else { 0 });
        let total = sizes.sum::<u64>();
        let promised = is_known.then_some(total + u64::from(short));
        let (mut writer, growing) = Growing::new(promised);
        let mut guests = vec![Guest::of(&growing)];
        let mut shown = 0;
        for step in steps {
            match step {
                Step::Write(len) => {
                    let written = bytes(writer.len(), len);
                    writer.write(&written);
                    // Full chunks are shown without being asked for.
                    shown += (writer.len() - shown) / CHUNK_BYTES as u64 * CHUNK_BYTES as u64;
                }
                Step::Show => {
                    writer.show();
                    shown = writer.len();
                }
                Step::Join => guests.push(Guest::of(&growing)),
                Step::Read(nth) => {
                    let nth = nth % guests.len().max(1);
                    let Some(guest) = guests.get_mut(nth) else { continue };
                    let more = guest.read();
                    prop_assert_eq!(guest.waits, !more);
                    prop_assert!(more || guest.got.len() as u64 == shown, "waits before all that is there");
                }
                Step::Leave(nth) if !guests.is_empty() => drop(guests.swap_remove(nth % guests.len())),
                Step::Leave(_) => {}
            }
            for guest in &guests {
                prop_assert!(guest.got.len() as u64 <= shown);
                if guest.waits && (guest.got.len() as u64) < shown {
                    prop_assert!(guest.was_woken(), "a wake was lost");
                }
            }
        }
        let waiting: Vec<bool> = guests.iter().map(|guest| guest.waits).collect();
        let is_whole = match end {
            End::Finish => writer.finish().is_ok(),
            End::BreakOff => { writer.break_off(Broken::early()); false }
            End::Drop => { drop(writer); shown_only(&mut guests); return Ok(()) }
        };
        prop_assert!(!(is_whole && promised.is_some_and(|promised| promised != total)));
        guests.push(Guest::of(&growing));
        let mut waiting = waiting.into_iter();
        for guest in &mut guests {
            prop_assert!(!waiting.next().unwrap_or(false) || guest.was_woken(), "nobody was told of the end");
            guest.read_all();
            prop_assert_eq!(&guest.got, &bytes(0, usize::try_from(total).unwrap()));
            let has_all = promised == Some(total);
            prop_assert_eq!(guest.end, Some(if is_whole || has_all { Ok(()) } else { Err(()) }));
        }
    }
}

/// What was written and never shown is lost with its writer; the error is not.
fn shown_only(guests: &mut [Guest]) {
    for guest in guests {
        guest.read_all();
        let is_whole = guest.reader.remaining() == Some(0);
        assert_eq!(guest.end, Some(if is_whole { Ok(()) } else { Err(()) }));
    }
}
