//! The block that consensus orders: the engine's context, and the application's header and body.

use bytes::{BufMut, Bytes};
use commonware_codec::{EncodeSize, Error, Read, ReadExt, Write};
use commonware_consensus::simplex;
use commonware_consensus::types::Height;
use commonware_consensus::{BoundedBlock, Epochable, Heightable, Viewable};
use commonware_cryptography::Digestible;
use commonware_cryptography::ed25519::PublicKey;

use crate::light::{self, Context};
use crate::seam::{FinalBlock, Payload};
use crate::{Limits, keys};

/// What consensus votes on.
pub type Digest = commonware_cryptography::blake3::Digest;

/// What consensus says about where a block stands.
pub(crate) type Round = simplex::types::Context<Digest, PublicKey>;

/// A block. Its digest covers all of it: the body through its hash in the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    context: Context,
    header: Bytes,
    body: Bytes,
    digest: Digest,
}

impl Block {
    /// The block before the first: it belongs to the chain's name and to nobody.
    pub(crate) fn genesis(namespace: &[u8]) -> Self {
        let context = Context {
            height: 0,
            epoch: 0,
            view: 0,
            parent: [0; 32],
            proposer: [0; 32],
            body_hash: [0; 32],
        };
        Self::assemble(context, Bytes::copy_from_slice(namespace), Bytes::new())
    }

    /// A proposal at `height` in a round.
    pub(crate) fn propose(round: &Round, height: u64, payload: Payload) -> Self {
        let context = Context {
            height,
            epoch: round.epoch().get(),
            view: round.view().get(),
            parent: digest_bytes(&round.parent.1),
            proposer: keys::bytes(&round.leader),
            body_hash: [0; 32],
        };
        Self::assemble(context, payload.header.into(), payload.body.into())
    }

    fn assemble(mut context: Context, header: Bytes, body: Bytes) -> Self {
        context.body_hash = *blake3::hash(&body).as_bytes();
        let digest = Digest::from(blake3::Hash::from(light::digest(&context.encode(), &header)));
        Self { context, header, body, digest }
    }

    /// Whether the block was made for this round, by its leader.
    pub(crate) fn is_of(&self, round: &Round) -> bool {
        self.context.epoch == round.epoch().get()
            && self.context.view == round.view().get()
            && self.context.proposer == keys::bytes(&round.leader)
            && self.context.parent == digest_bytes(&round.parent.1)
    }

    /// The application's part.
    pub(crate) fn payload(&self) -> Payload {
        Payload { header: self.header.to_vec(), body: self.body.to_vec() }
    }

    /// The block as the application sees it once it is final.
    pub(crate) fn to_final(&self) -> FinalBlock {
        FinalBlock {
            height: self.context.height,
            digest: digest_bytes(&self.digest),
            context: self.context.encode().to_vec(),
            payload: self.payload(),
        }
    }
}

/// The octets of a digest.
pub(crate) fn digest_bytes(digest: &Digest) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

impl Write for Block {
    fn write(&self, buf: &mut impl BufMut) {
        let context = self.context.encode();
        buf.put_slice(&context[..CONTEXT_STORED]);
        self.header.write(buf);
        self.body.write(buf);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        CONTEXT_STORED + self.header.encode_size() + self.body.encode_size()
    }
}

impl Read for Block {
    type Cfg = Limits;

    fn read_cfg(buf: &mut impl commonware_codec::Buf, limits: &Limits) -> Result<Self, Error> {
        let stored = <[u8; CONTEXT_STORED]>::read(buf)?;
        let mut context = [0; light::CONTEXT_OCTETS];
        context[..CONTEXT_STORED].copy_from_slice(&stored);
        let context = Context::decode(&context).ok_or(Error::Invalid("Block", "context"))?;
        let header = Bytes::read_cfg(buf, &(..=usize_of(limits.header_octets_max)).into())?;
        let body = Bytes::read_cfg(buf, &(..=usize_of(limits.body_octets_max)).into())?;
        Ok(Self::assemble(context, header, body))
    }
}

impl Digestible for Block {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        self.digest
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.context.height)
    }
}

impl commonware_consensus::Block for Block {
    fn parent(&self) -> Digest {
        Digest::from(blake3::Hash::from(self.context.parent))
    }
}

impl BoundedBlock for Block {
    fn max_encode_size(limits: &Limits) -> usize {
        CONTEXT_STORED
            + LENGTH_OCTETS_MAX * 2
            + usize_of(limits.header_octets_max)
            + usize_of(limits.body_octets_max)
    }
}

/// A limit as a length in memory.
pub(crate) fn usize_of(octets: u32) -> usize {
    usize::try_from(octets).expect("the engine needs a target of at least 32 bits")
}

/// What is stored and sent of a context: all but the body's hash, which is computed from the body.
const CONTEXT_STORED: usize = light::CONTEXT_OCTETS - 32;

/// A length prefix is a varint of a u32: five octets at most.
const LENGTH_OCTETS_MAX: usize = 5;
