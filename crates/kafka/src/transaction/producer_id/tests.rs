use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Blocks, ClaimError, Claiming, ProducerIds};
use crate::metadata::znode::ProducerIdBlock;

/// The znode, in memory.
#[derive(Clone, Default)]
struct Znode {
    last: Arc<Mutex<Option<ProducerIdBlock>>>,
    broker: i32,
}

impl Blocks for Znode {
    fn claim(&self) -> Claiming<'_> {
        Box::pin(async {
            tokio::task::yield_now().await;
            let mut last = self.last.lock();
            *last = ProducerIdBlock::after(*last, self.broker);
            last.ok_or(ClaimError::Exhausted)
        })
    }
}

#[tokio::test]
async fn no_id_is_given_twice_by_brokers_that_share_the_blocks() {
    let znode = Znode::default();
    let brokers: Vec<Arc<ProducerIds>> = (0..3)
        .map(|broker| Arc::new(ProducerIds::new(Znode { broker, ..znode.clone() })))
        .collect();
    let mut asking = Vec::new();
    for at in 0..30 {
        let ids = brokers[at % brokers.len()].clone();
        asking.push(tokio::spawn(async move {
            let mut got = Vec::new();
            for _ in 0..200 {
                got.push(ids.next().await.unwrap());
            }
            got
        }));
    }
    let mut all = BTreeSet::new();
    for asked in asking {
        for id in asked.await.unwrap() {
            assert!(all.insert(id), "{id} was given twice");
        }
    }
    // Each took two blocks and no more.
    assert_eq!((all.len(), all.last()), (6000, Some(&5999)));
}

#[tokio::test]
async fn the_last_id_of_all_is_given_and_no_other() {
    let last = ProducerIdBlock { broker: 0, first: 0, last: i64::MAX - ProducerIdBlock::SIZE };
    let znode = Znode { last: Arc::new(Mutex::new(Some(last))), broker: 0 };
    let ids = ProducerIds::new(znode);
    let mut given = i64::MAX - ProducerIdBlock::SIZE;
    while given < i64::MAX {
        given += 1;
        assert_eq!(ids.next().await.unwrap(), given);
    }
    assert!(matches!(ids.next().await, Err(ClaimError::Exhausted)));
}
