//! What a broker does for the whole cluster: it stands for controller, and as the controller does what
//! tools ask for by znode and gives preferred leaders their partitions back. And its last duty: to let
//! others lead before it stops.

use std::sync::Arc;
use std::time::Duration;

use polyport_base::Clock;
use polyport_partitions::Role;
use polyport_tree::client::Client;

use super::Broker;
use crate::metadata::config::Configs;
use crate::metadata::controller::{self, Controller, Requests};
use crate::metadata::image::{Image, Images};
use crate::metadata::leaders::{Leaders, Rebalancing};
use crate::metadata::topics::Topics;

/// Done until it is dropped.
pub(super) struct Duties {
    _requests: Requests,
    _rebalancing: Rebalancing,
    _controller: Controller,
}

impl Duties {
    /// Begins. The broker should be registered by now, or it would lead nothing.
    pub(super) fn start(
        broker: i32,
        configs: Configs,
        client: &Client,
        images: &Images,
        topics: &Topics,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let unclean = {
            let configs = configs.clone();
            Arc::new(move |image: &Image, topic: &str| configs.unclean(image, topic))
        };
        let (settings, own) = (controller::Settings { broker, unclean }, || client.clone());
        let leaders = Leaders::new(own(), images.clone());
        Self {
            _requests: Requests::start(own(), images.clone(), topics.clone(), broker),
            _rebalancing: Rebalancing::start(leaders, configs, broker),
            _controller: Controller::start(own(), images.clone(), settings, clock),
        }
    }
}

impl Broker {
    /// Lets others lead what this broker leads, as far as they can (`controlled.shutdown.*`), while
    /// it still answers: clients are told where to go.
    pub(super) async fn hand_over(&self) {
        if !self.flag("controlled.shutdown.enable") {
            return;
        }
        let backoff = self.settings.millis("controlled.shutdown.retry.backoff.ms");
        let tries = self.settings.size("controlled.shutdown.max.retries");
        let patience = backoff.saturating_mul(u32::try_from(tries).unwrap_or(u32::MAX));
        let broker = self.settings.broker_id;
        // A tree without a majority answers nobody, and then there is nobody else to lead either.
        let answered = tokio::time::timeout(HAND_OVER, self.leaders.hand_over(broker)).await;
        let left = match answered {
            Ok(Ok(0)) => Ok(0),
            Ok(Ok(_)) => self.leaders.leave(broker, patience).await,
            Ok(Err(error)) => Err(error),
            Err(_) => {
                tracing::warn!("the leaderships cannot be handed over: the tree does not answer");
                return;
            }
        };
        match left {
            Ok(0) => {}
            Ok(left) => tracing::warn!(left, "partitions that nobody else is in sync with"),
            Err(error) => tracing::warn!(%error, "not all leaderships were handed over"),
        }
        // Whoever still sends records here is to be told where to go, not to be believed.
        let followed = tokio::time::timeout(HAND_OVER, self.leads_only_what_it_should()).await;
        if followed.is_err() {
            tracing::warn!("the new leaders were not followed in time");
        }
    }

    async fn leads_only_what_it_should(&self) {
        let mut followed = self.followed.subscribe();
        loop {
            let image = self.images.current();
            let ours = Some(self.settings.broker_id);
            let done = self.store.partitions().iter().all(|partition| {
                let of = partition.of();
                let named = image.partition(&of.topic, of.partition);
                named.is_none_or(|named| named.leader() == ours)
                    || partition.status().map_or(true, |status| status.role != Role::Leader)
            });
            // The sender is this broker's.
            if done || followed.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Most time for the tree to take the new leaders, and for this broker to follow.
const HAND_OVER: Duration = Duration::from_secs(5);
