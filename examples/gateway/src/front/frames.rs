//! Where frames of HTTP/2 begin and end in the bytes of a connection, and which are more than talk about the connection:
//! nothing else, hyper reads them.

use super::wire::PREFACE;

/// The bytes that each frame begins with: three of its length, its type, its flags, four of its stream.
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// The flag of the last frame of a request's head.
const END_HEADERS: u8 = 4;

/// Follows the frames that one side sends.
#[derive(Debug)]
pub(crate) struct Frames {
    /// What is there of the next frame's head.
    head: [u8; HEAD],
    known: usize,
    /// How much is to come of what is in progress.
    left: usize,
    /// Whether that is a part of a body.
    is_data: bool,
    /// Whether a request's head has begun and not ended; at first, whether the client's own settings are to come.
    is_open: bool,
    /// Whether something of a request or of an answer passed.
    has_moved: bool,
}

impl Frames {
    /// A client of which the first byte is to come.
    pub(crate) const fn new() -> Self {
        Self { left: PREFACE.len(), is_open: true, ..Self::of_server() }
    }

    /// The other side.
    pub(crate) const fn of_server() -> Self {
        Self { head: [0; HEAD], known: 0, left: 0, is_data: false, is_open: false, has_moved: false }
    }

    /// Whether something of a request or of an answer passed since this was last asked. Pings, settings and room for
    /// more are none of it.
    pub(crate) const fn take_moved(&mut self) -> bool {
        std::mem::replace(&mut self.has_moved, false)
    }

    /// Whether something has begun that has to end soon: anything but a body, whose pace is the client's business.
    /// Within a request's head nothing else may be said on the whole connection.
    pub(crate) const fn is_in_head(&self) -> bool {
        self.known > 0 || self.is_open || self.left > 0 && !self.is_data
    }

    /// Follows the next bytes. Whether all that had begun ended somewhere in them.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_ended = false;
        while !bytes.is_empty() {
            if self.left > 0 {
                let here = self.left.min(bytes.len());
                self.left -= here;
                self.has_moved |= self.is_data;
                bytes = &bytes[here..];
            } else {
                let here = (HEAD - self.known).min(bytes.len());
                self.head[self.known..self.known + here].copy_from_slice(&bytes[..here]);
                self.known += here;
                bytes = &bytes[here..];
                if self.known == HEAD {
                    self.begin();
                }
            }
            has_ended |= !self.is_in_head();
        }
        has_ended
    }

    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.known = 0;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.is_data = kind == DATA;
        let is_head = matches!(kind, HEADERS | CONTINUATION);
        self.has_moved |= is_head;
        self.is_open = is_head && flags & END_HEADERS == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let head = [0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, 1];
        [&head[..], payload].concat()
    }

    #[test]
    fn in_whatever_pieces_frames_come_a_head_ends_where_it_ends() {
        let parts = [
            (PREFACE.to_vec(), true),
            (frame(4, 0, b"sixsix"), false),
            (frame(HEADERS, 0, b"head"), true),
            (frame(CONTINUATION, 0, b""), true),
            (frame(CONTINUATION, END_HEADERS, b"rest"), false),
            (frame(DATA, 0, b"body"), false),
            (frame(HEADERS, END_HEADERS | 1, b"head"), false),
        ];
        let all: Vec<u8> = parts.iter().flat_map(|(part, _)| part.clone()).collect();
        for piece in 1..all.len() {
            let (mut frames, mut at) = (Frames::new(), 0);
            for bytes in all.chunks(piece) {
                frames.follow(bytes);
                at += bytes.len();
                let mut end = 0;
                let is_whole = parts.iter().find_map(|(part, is_open)| {
                    end += part.len();
                    (end == at).then_some(*is_open)
                });
                let in_body = (all.len() - 17..all.len() - 13).contains(&at);
                assert_eq!(frames.is_in_head(), is_whole.unwrap_or(!in_body), "{at} in pieces of {piece}");
            }
        }
        let mut frames = Frames::new();
        assert!(frames.follow(&all) && !frames.follow(&[0]), "the next one has begun");
    }
}
