//! Learning that openraft did not take a proposal.
//!
//! A leader refuses proposals while its lease is not valid: between winning the election and the
//! first answer of a majority, and when it has lost touch with them. Whoever proposed should then
//! send again soon, not only when nothing has happened for a while.

use std::sync::Arc;

use openraft::OptionalSend;
use openraft::raft::responder::Responder;
use tokio::sync::Notify;

use super::{LogId, Types};

/// Whether any of one sender's proposals was refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused(Arc<Notify>);

impl Refused {
    /// What goes with a proposal.
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt { refused: self.0.clone(), committed: false }
    }

    /// Waits until one is refused.
    pub(crate) async fn told(&self) {
        self.0.notified().await;
    }
}

/// Tells of a refusal, and nothing of success: whoever applies the entry does.
#[derive(Debug)]
pub(crate) struct Receipt {
    refused: Arc<Notify>,
    committed: bool,
}

impl<T: OptionalSend + 'static> Responder<Types, T> for Receipt {
    fn on_commit(&mut self, _: LogId) {
        self.committed = true;
    }

    fn on_complete(self, _: T) {
        if !self.committed {
            self.refused.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use openraft::impls::leader_id_adv::LeaderId;

    use super::*;

    #[tokio::test]
    async fn a_proposal_that_ends_without_being_committed_was_refused() {
        let refused = Refused::default();
        let mut taken = refused.receipt();
        let at = LogId::new(LeaderId { term: 1, node_id: 1 }, 1);
        Responder::<Types, ()>::on_commit(&mut taken, at);
        taken.on_complete(());
        assert!(refused.told().now_or_never().is_none());
        refused.receipt().on_complete(());
        assert!(refused.told().now_or_never().is_some());
    }
}
