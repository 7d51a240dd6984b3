//! How fast new connections may come: tokens, and a random share of refusals that grows while there
//! are none left (the BLUE algorithm, as ZooKeeper's `connectionMaxTokens` and its companions).

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Settings of the throttle.
#[derive(Clone, Copy, Debug)]
pub struct ConnectThrottle {
    /// Most tokens; each handshake takes one. 0 for no throttle.
    pub max_tokens: u32,
    /// Time between two fillings.
    pub fill_every: Duration,
    /// Tokens of one filling.
    pub fill_count: u32,
    /// Shortest time between two changes of the dropping probability; nothing is dropped without.
    pub freeze: Option<Duration>,
    /// By how much the probability grows when the tokens are used up.
    pub drop_increase: f64,
    /// By how much it shrinks when few are in use.
    pub drop_decrease: f64,
    /// Share of the tokens in use up to which it shrinks.
    pub decrease_ratio: f64,
}

impl Default for ConnectThrottle {
    fn default() -> Self {
        Self {
            max_tokens: 0,
            fill_every: Duration::from_millis(1),
            fill_count: 1,
            freeze: None,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
        }
    }
}

#[derive(Debug)]
struct State {
    tokens: u32,
    filled: Instant,
    changed: Instant,
    drop: f64,
}

/// The throttle at work.
#[derive(Debug)]
pub(super) struct Throttle {
    settings: ConnectThrottle,
    state: Mutex<State>,
}

impl Throttle {
    pub(super) fn new(settings: ConnectThrottle, now: Instant) -> Self {
        let tokens = settings.max_tokens;
        Self { settings, state: Mutex::new(State { tokens, filled: now, changed: now, drop: 0.0 }) }
    }

    /// Tokens in use.
    pub(super) fn deficit(&self) -> u32 {
        self.settings.max_tokens - self.state.lock().tokens
    }

    /// Probability that a new connection is refused although there are tokens.
    pub(super) fn drop_probability(&self) -> f64 {
        self.state.lock().drop
    }

    /// Whether one more may come in; takes its token. `chance`: random, from 0 to below 1.
    pub(super) fn admits(&self, now: Instant, chance: f64) -> bool {
        let settings = &self.settings;
        if settings.max_tokens == 0 {
            return true;
        }
        let mut state = self.state.lock();
        let since = now.saturating_duration_since(state.filled);
        let every = settings.fill_every.max(Duration::from_millis(1));
        if since >= every {
            let fillings = since.as_millis() / every.as_millis();
            let more = fillings.saturating_mul(u128::from(settings.fill_count));
            let tokens = u128::from(state.tokens).saturating_add(more);
            state.tokens = tokens.min(u128::from(settings.max_tokens)) as u32;
            state.filled = now;
        }
        if let Some(freeze) = settings.freeze {
            if now.saturating_duration_since(state.changed) > freeze {
                let used = settings.max_tokens - state.tokens;
                if state.tokens == 0 {
                    state.drop = (state.drop + settings.drop_increase).min(1.0);
                } else if f64::from(used)
                    <= f64::from(settings.max_tokens) * settings.decrease_ratio
                {
                    state.drop = (state.drop - settings.drop_decrease).max(0.0);
                }
                state.changed = now;
            }
            if chance < state.drop {
                return false;
            }
        }
        let has = state.tokens > 0;
        state.tokens = state.tokens.saturating_sub(1);
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_run_out_and_come_back() {
        let start = Instant::now();
        let every = Duration::from_millis(100);
        let settings =
            ConnectThrottle { max_tokens: 2, fill_every: every, ..ConnectThrottle::default() };
        let throttle = Throttle::new(settings, start);
        let at = |ms| throttle.admits(start + Duration::from_millis(ms), 0.5);
        assert_eq!(throttle.deficit(), 0);
        assert_eq!([at(0), at(0), at(0), at(99)], [true, true, false, false]);
        assert_eq!(throttle.deficit(), 2);
        assert_eq!([at(100), at(101)], [true, false]);
        assert_eq!([at(5000), at(5000), at(5000)], [true, true, false]);
    }

    #[test]
    fn exhaustion_makes_refusals_likelier_and_calm_less_likely() {
        let start = Instant::now();
        let settings = ConnectThrottle {
            max_tokens: 1,
            fill_every: Duration::from_millis(10),
            freeze: Some(Duration::from_millis(1)),
            drop_increase: 0.6,
            drop_decrease: 0.6,
            ..ConnectThrottle::default()
        };
        let throttle = Throttle::new(settings, start);
        let at = |ms, chance| throttle.admits(start + Duration::from_millis(ms), chance);
        assert_eq!(throttle.drop_probability(), 0.0);
        assert_eq!([at(0, 0.5), at(2, 0.5), at(4, 0.5)], [true, false, false]);
        assert_eq!(throttle.drop_probability(), 1.0);
        // There is a token again, but also still a share of refusals.
        assert!(!at(11, 0.3));
        assert!(at(13, 0.3));
    }
}
