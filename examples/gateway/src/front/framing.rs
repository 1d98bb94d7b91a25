//! Where requests of HTTP/1 begin and end in the bytes of a connection, and those shapes that hyper lets pass or
//! hides: they are how one request is smuggled inside another.
//!
//! hyper parses what it gets in full; this follows it, line by line, and is never stricter than hyper but where
//! it refuses.

use memchr::memchr;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The first line of a request, empty lines before it included.
    Start,
    Fields,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    /// The line break after a chunk.
    ChunkEnd,
    Trailers,
    /// A head with a longer line than hyper takes: it says so.
    Lost,
}

/// What the fields of one head said so far.
#[derive(Debug, Default)]
struct Head {
    /// `GET` or `HEAD`.
    is_read: bool,
    /// HTTP/1.0, where a request needs no host.
    is_old: bool,
    has_host: bool,
    is_chunked: bool,
    length: Option<u64>,
    /// Whether it would speak another protocol from then on.
    is_upgrade: bool,
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A head that is refused. It ends at this byte.
    Head(usize),
    /// A body whose end can't be known. It is sound up to this byte.
    Body(usize),
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub(crate) struct Framing {
    part: Part,
    head: Head,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The most bytes of such a line.
    line_bytes: usize,
    /// How many heads have ended.
    heads: u64,
    /// Whether the last of them asks for another protocol.
    is_upgrade: bool,
}

impl Framing {
    pub(crate) const fn new(line_bytes: usize) -> Self {
        let head = Head {
            is_read: false,
            is_old: false,
            has_host: false,
            is_chunked: false,
            length: None,
            is_upgrade: false,
        };
        Self { part: Part::Start, head, line: Vec::new(), line_bytes, heads: 0, is_upgrade: false }
    }

    /// How many heads have ended.
    #[inline]
    pub(crate) const fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the last head that ended asks for another protocol.
    #[inline]
    pub(crate) const fn is_upgrade(&self) -> bool {
        self.is_upgrade
    }

    /// Whether nothing of a request has come that has not come in full.
    #[inline]
    pub(crate) fn is_between(&self) -> bool {
        self.part == Part::Start && self.line.is_empty()
    }

    /// Whether a head has begun and not ended. Empty lines before one are no beginning.
    #[inline]
    pub(crate) fn is_in_head(&self) -> bool {
        matches!(self.part, Part::Fields | Part::Lost)
            || self.part == Part::Start && !matches!(&*self.line, b"" | b"\r")
    }

    /// Whether a body has begun and not ended.
    #[inline]
    pub(crate) const fn is_in_body(&self) -> bool {
        !matches!(self.part, Part::Start | Part::Fields | Part::Lost)
    }

    /// Follows the next bytes, but not beyond a request that asks for another protocol: what comes next may be that.
    /// How many it followed.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        // What comes after it is asked for: it was no other protocol.
        self.is_upgrade &= self.is_in_body();
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.part {
                Part::Lost => return Ok(bytes.len()),
                Part::Body(left) | Part::Chunk(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= here as u64;
                    at += here;
                    self.after_bytes();
                }
                Part::Start | Part::Fields | Part::ChunkSize | Part::ChunkEnd | Part::Trailers => {
                    let Some(end) = memchr(b'\n', rest) else {
                        self.keep(rest).map_err(|()| self.fault(bytes.len() - 1))?;
                        return Ok(bytes.len());
                    };
                    let taken = if self.line.is_empty() {
                        self.take(&rest[..end])
                    } else {
                        self.keep(&rest[..end]).and_then(|()| {
                            let line = std::mem::take(&mut self.line);
                            self.take(&line)
                        })
                    };
                    taken.map_err(|()| self.fault(at + end))?;
                    at += end + 1;
                }
            }
            if self.is_upgrade && self.part == Part::Start {
                break;
            }
        }
        Ok(at)
    }

    const fn fault(&self, at: usize) -> Fault {
        if self.is_in_body() { Fault::Body(at) } else { Fault::Head(at) }
    }

    /// Remembers the beginning of a line.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), ()> {
        if self.line.len() + bytes.len() > self.line_bytes {
            if self.is_in_body() {
                return Err(());
            }
            self.part = Part::Lost;
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn after_bytes(&mut self) {
        self.part = match self.part {
            Part::Body(0) => Part::Start,
            Part::Chunk(0) => Part::ChunkEnd,
            other => other,
        };
    }

    /// Takes a line without its `\n`.
    fn take(&mut self, line: &[u8]) -> Result<(), ()> {
        let line = match line.strip_suffix(b"\r") {
            // Within a body hyper looks for both bytes of an end, and for the first one wherever it stands.
            Some(line) if self.is_in_body() && memchr(b'\r', line).is_some() => return Err(()),
            Some(line) => line,
            None if self.is_in_body() => return Err(()),
            None => line,
        };
        match self.part {
            Part::Start if line.is_empty() => {}
            Part::Start => self.begin(line),
            Part::Fields if line.is_empty() => self.end_head()?,
            Part::Fields => self.field(line)?,
            Part::ChunkSize => {
                self.part = match chunk_size(line).ok_or(())? {
                    0 => Part::Trailers,
                    size => Part::Chunk(size),
                };
            }
            Part::ChunkEnd if line.is_empty() => self.part = Part::ChunkSize,
            Part::ChunkEnd => return Err(()),
            Part::Trailers if line.is_empty() => self.part = Part::Start,
            Part::Trailers | Part::Body(_) | Part::Chunk(_) | Part::Lost => {}
        }
        Ok(())
    }

    fn begin(&mut self, line: &[u8]) {
        self.head = Head {
            is_read: line.starts_with(b"GET ") || line.starts_with(b"HEAD "),
            is_old: line.ends_with(b"HTTP/1.0"),
            ..Head::default()
        };
        self.part = Part::Fields;
    }

    #[inline]
    fn field(&mut self, line: &[u8]) -> Result<(), ()> {
        let head = &mut self.head;
        match line[0] {
            b'h' | b'H' if value_of(line, b"host").is_some() => {
                // Several hosts: one server reads the first, another the last.
                (!std::mem::replace(&mut head.has_host, true)).then_some(()).ok_or(())
            }
            b'c' | b'C' => match value_of(line, b"content-length") {
                None => Ok(()),
                Some(value) => {
                    let length = number(value).ok_or(())?;
                    let differs = head.length.replace(length).is_some_and(|other| other != length);
                    (!head.is_chunked && !differs).then_some(()).ok_or(())
                }
            },
            b't' | b'T' => match value_of(line, b"transfer-encoding") {
                None => Ok(()),
                Some(coding) => {
                    let is_chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
                    let is_first = !std::mem::replace(&mut head.is_chunked, true);
                    let is_alone = head.length.is_none() && !head.is_read;
                    (is_chunked && is_first && is_alone).then_some(()).ok_or(())
                }
            },
            b'u' | b'U' => {
                head.is_upgrade |= value_of(line, b"upgrade").is_some();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end_head(&mut self) -> Result<(), ()> {
        let head = &self.head;
        if !head.has_host && !head.is_old {
            return Err(());
        }
        self.heads += 1;
        self.is_upgrade = head.is_upgrade;
        self.part = match head.length {
            _ if head.is_chunked => Part::ChunkSize,
            None | Some(0) => Part::Start,
            Some(length) => Part::Body(length),
        };
        Ok(())
    }
}

/// The value of a line, if it is of this field.
#[inline]
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then_some(value)
}

/// A `Content-Length`: digits and nothing else.
fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// The size that a chunk's line begins with.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    // What follows is an extension, which hyper reads and forgets.
    let is_end = matches!(line.get(end), None | Some(b';' | b' ' | b'\t'));
    let digits = std::str::from_utf8(&line[..end]).ok().filter(|_| is_end)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
