//! Consensus' questions to the application: what to propose, and whether a proposal is good.
//!
//! Each question goes to a thread that may block. A question may be dropped at any time: when its view
//! ends, the answer is of no use.

use std::future;
use std::sync::Arc;

use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::{Application, Heightable};
use commonware_cryptography::{Digested, Digestible};
use commonware_macros::select;
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Spawner};
use futures_util::StreamExt as _;

use crate::block::{Block, Round, usize_of};
use crate::certificates::{self, Store};
use crate::committees::Committees;
use crate::seam::{Certificate, Payload, Position, Verdict};
use crate::shared::Shared;

/// Answers consensus with the application's word.
#[derive(Clone)]
pub(crate) struct Bridge {
    shared: Arc<Shared>,
    store: Store,
    committees: Committees,
}

impl<E: Spawner + Clock> Application<E> for Bridge {
    type SigningScheme = Scheme;
    type Context = Round;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        (context, round): (E, Round),
        ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        let parent = ancestry.peek()?.clone();
        let height = parent.height().get() + 1;
        self.pace(&context, &parent).await;
        self.wait_until_near(height).await;
        let chain = self.pending(ancestry).await?;
        let certificate = self.newest().await;
        let shared = self.shared.clone();
        let ask = move || shared.propose(height, &chain, certificate.as_ref());
        let payload = blocking(&context, ask).await??;
        let block = Block::propose(&round, height, payload);
        let digested = Digested::compute(block, &Sequential).await;
        self.shared.arrival(digested.digest(), context.current());
        Some(digested)
    }

    async fn verify(
        &mut self,
        (context, round): (E, Round),
        ancestry: impl Ancestry<Block>,
    ) -> bool {
        let Some(block) = ancestry.peek().cloned() else {
            return future::pending().await;
        };
        self.shared.arrival(block.digest(), context.current());
        if !block.inner().is_of(&round) {
            return false;
        }
        let height = block.height().get();
        self.wait_until_near(height).await;
        let Some(mut chain) = self.pending(ancestry).await else {
            return future::pending().await;
        };
        chain.pop();
        let mut executed = self.shared.executed.subscribe();
        loop {
            executed.borrow_and_update();
            match self.ask(&context, &block, chain.clone()).await {
                Some(Verdict::Valid) => return true,
                Some(Verdict::Invalid) => return false,
                Some(Verdict::Later) if executed.changed().await.is_ok() => {}
                Some(Verdict::Later) | None => return future::pending().await,
            }
        }
    }
}

impl Bridge {
    pub(crate) fn new(shared: Arc<Shared>, store: Store, committees: Committees) -> Self {
        Self { shared, store, committees }
    }

    /// Sleeps until the application wants a block, but not so long that the view is lost.
    async fn pace(&self, clock: &impl Clock, parent: &Digested<Block>) {
        let arrived = self.shared.arrival(parent.digest(), clock.current());
        let longest = clock.current() + self.shared.config.timeouts.leader * 3 / 4;
        loop {
            let woken = self.shared.wake.notified();
            let due = (arrived + self.shared.application.pause()).min(longest);
            if due <= clock.current() {
                return;
            }
            select! {
                _ = clock.sleep_until(due) => {},
                _ = woken => {},
            }
        }
    }

    /// Waits while the application is so far behind that the blocks between would fill the memory.
    async fn wait_until_near(&self, height: u64) {
        let mut executed = self.shared.executed.subscribe();
        let near = |at: &u64| height <= at.saturating_add(PENDING_MAX);
        let _ = executed.wait_for(near).await;
    }

    /// The blocks of an ancestry that the application has not executed, oldest first.
    async fn pending(&self, mut ancestry: impl Ancestry<Block>) -> Option<Vec<Digested<Block>>> {
        let executed = self.shared.executed();
        let mut chain = Vec::new();
        let mut height = u64::MAX;
        while height > executed + 1 {
            let block = ancestry.next().await?;
            height = block.height().get();
            if height > executed {
                chain.push(block);
            }
        }
        chain.reverse();
        Some(chain)
    }

    async fn newest(&self) -> Option<Certificate> {
        let tip = *self.shared.tip.borrow();
        certificates::at(&self.store, &self.committees, tip).await
    }

    async fn ask(
        &self,
        context: &impl Spawner,
        block: &Digested<Block>,
        chain: Vec<Digested<Block>>,
    ) -> Option<Verdict> {
        let certificate = self.newest().await;
        let (shared, block) = (self.shared.clone(), block.clone());
        let ask = move || shared.verify(&block, &chain, certificate.as_ref());
        blocking(context, ask).await
    }
}

impl Shared {
    /// Asks the application for a payload on top of `chain`.
    fn propose(
        &self,
        height: u64,
        chain: &[Digested<Block>],
        certificate: Option<&Certificate>,
    ) -> Option<Payload> {
        let payload = self.judge(|application, executed| {
            // Below its own height the application knows the block already, and the store was lost.
            let pending = (height > executed).then(|| above(chain, executed))?;
            application.propose(&Position { height, pending: &pending, certificate })
        })?;
        let limits = &self.config.limits;
        let fits = payload.header.len() <= usize_of(limits.header_octets_max)
            && payload.body.len() <= usize_of(limits.body_octets_max);
        if !fits {
            tracing::error!(height, "the application proposed more than a block may hold");
        }
        fits.then_some(payload)
    }

    /// Asks the application about a block on top of `chain`.
    fn verify(
        &self,
        block: &Digested<Block>,
        chain: &[Digested<Block>],
        certificate: Option<&Certificate>,
    ) -> Verdict {
        let height = block.height().get();
        self.judge(|application, executed| {
            if height <= executed {
                return Verdict::Later;
            }
            let position = Position { height, pending: &above(chain, executed), certificate };
            application.verify(&position, &block.inner().payload())
        })
    }
}

/// The payloads of those blocks that are not executed.
fn above(chain: &[Digested<Block>], executed: u64) -> Vec<Payload> {
    let pending = chain.iter().filter(|it| it.height().get() > executed);
    pending.map(|it| it.inner().payload()).collect()
}

/// Runs a question on a thread that may block.
async fn blocking<T: Send + 'static>(
    context: &impl Spawner,
    question: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let thread = context.child("application").shared(true);
    thread.spawn(|_| async move { question() }).await.ok()
}

/// Blocks between the application and a proposal that are kept in memory: at most 64 MiB of bodies.
const PENDING_MAX: u64 = 64;
