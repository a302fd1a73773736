//! A host's packet in a buffer with room around it, so that it can be wrapped where it lies.

use core::ops::Range;
use srwan_wire::segment::{AEAD_TAG_LEN, HEADER_LEN_MAX};

/// Octets to leave free before a packet: the longest header with its link tag.
pub const HEADROOM: usize = HEADER_LEN_MAX;

/// Octets to leave free behind a packet: the AEAD's tag.
pub const TAILROOM: usize = AEAD_TAG_LEN;

/// One packet inside a larger buffer.
///
/// The range is always within the buffer.
#[derive(Debug)]
pub struct Frame<'a> {
    buffer: &'a mut [u8],
    range: Range<usize>,
}

impl<'a> Frame<'a> {
    /// The packet at `range` of `buffer`; `None` if there is less than [`HEADROOM`] before or
    /// [`TAILROOM`] behind it.
    #[must_use]
    pub fn new(buffer: &'a mut [u8], range: Range<usize>) -> Option<Self> {
        let has_headroom = range.start >= HEADROOM && range.start <= range.end;
        let has_tailroom = range.end.checked_add(TAILROOM)? <= buffer.len();
        (has_headroom && has_tailroom).then_some(Self { buffer, range })
    }

    /// The packet.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }

    /// The whole buffer: a verdict's range counts from its start.
    #[must_use]
    pub fn buffer(&self) -> &[u8] {
        self.buffer
    }

    pub(crate) fn packet_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.range.clone()]
    }

    pub(crate) fn bytes_mut(&mut self, range: &Range<usize>) -> &mut [u8] {
        &mut self.buffer[range.clone()]
    }

    /// The packet with `header_len` (at most [`HEADROOM`]) octets before and [`TAILROOM`] behind
    /// it, and where that is.
    pub(crate) fn wrap(&mut self, header_len: usize) -> (Range<usize>, &mut [u8]) {
        let range = self.range.start - header_len..self.range.end + TAILROOM;
        (range.clone(), &mut self.buffer[range])
    }

    /// Keeps the start of the packet as the tail of a message of at most `len_max` octets with
    /// `header_len` octets of headers before it, and says where that message is. `None` if the
    /// buffer cannot hold it.
    pub(crate) fn quote(&mut self, header_len: usize, len_max: usize) -> Option<Range<usize>> {
        let quoted = self.range.len().min(len_max.checked_sub(header_len)?);
        let source = self.range.start..self.range.start + quoted;
        let range = 0..header_len + quoted;
        if range.end > self.buffer.len() {
            return None;
        }
        self.buffer.copy_within(source, header_len);
        Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_room_on_both_sides() {
        let mut buffer = [0; 200];
        assert!(Frame::new(&mut buffer, HEADROOM..200 - TAILROOM).is_some());
        assert!(Frame::new(&mut buffer, HEADROOM - 1..100).is_none());
        assert!(Frame::new(&mut buffer, HEADROOM..200 - TAILROOM + 1).is_none());
        assert!(Frame::new(&mut buffer, HEADROOM..usize::MAX).is_none());
        #[expect(clippy::reversed_empty_ranges)]
        let backwards = 100..HEADROOM;
        assert!(Frame::new(&mut buffer, backwards).is_none());
    }
}
