//! Zeros that make a message as long as it should be: two octets of their number, then they themselves.
//!
//! They are counted when they are read and kept nowhere, so a long message costs its reader no memory. Anything else
//! than zeros is refused: there is one encoding of each message, and no room for a second channel.

use borsh::io::{Error, ErrorKind, Read, Result, Write};
use borsh::{BorshDeserialize, BorshSerialize};

/// So many octets of zeros.
///
/// - **Units:** octets, without the two that say how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding(pub u16);

/// Zeros written or read at a time.
const CHUNK: usize = 64;

/// The lengths of the pieces in which `octets` are written or read.
fn pieces(octets: u16) -> impl Iterator<Item = usize> {
    let octets = usize::from(octets);
    let tail = octets % CHUNK;
    core::iter::repeat_n(CHUNK, octets / CHUNK).chain((tail > 0).then_some(tail))
}

impl BorshSerialize for Padding {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.0.serialize(writer)?;
        pieces(self.0).try_for_each(|len| writer.write_all(&[0; CHUNK][..len]))
    }
}

impl BorshDeserialize for Padding {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let octets = u16::deserialize_reader(reader)?;
        let mut chunk = [0; CHUNK];
        for len in pieces(octets) {
            reader.read_exact(&mut chunk[..len])?;
            if chunk[..len].iter().any(|octet| *octet != 0) {
                return Err(Error::new(ErrorKind::InvalidData, "padding that is not zero"));
            }
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_whole_and_nothing_but_zeros_is_padding() {
        for octets in [0, 1, 63, 64, 65, 9_000] {
            let bytes = borsh::to_vec(&Padding(octets)).unwrap();
            assert_eq!(bytes.len(), 2 + usize::from(octets));
            assert_eq!(borsh::from_slice::<Padding>(&bytes).unwrap(), Padding(octets));
            assert!(borsh::from_slice::<Padding>(&bytes[..bytes.len() - 1]).is_err());
        }
        assert!(borsh::from_slice::<Padding>(&[1, 0, 7]).is_err());
    }
}
