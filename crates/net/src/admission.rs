//! How many may come in: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The port's limit.
    #[error("too many connections")]
    Total,
    /// The limit of one address.
    #[error("too many connections from this address")]
    Address,
}

/// Counts connections from the moment they are accepted, before they have said a word.
#[derive(Debug)]
pub struct Admission {
    total: usize,
    per_address: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    total: usize,
    per_address: HashMap<IpAddr, usize>,
}

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// Limits in all and for one address; 0 for any number.
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, per_address, inside: Mutex::default() })
    }

    /// Takes a place.
    ///
    /// # Errors
    /// If there is none left.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, Full> {
        let address = address.to_canonical();
        let mut inside = self.inside.lock();
        if self.total > 0 && inside.total >= self.total {
            return Err(Full::Total);
        }
        let here = inside.per_address.entry(address).or_default();
        if self.per_address > 0 && *here >= self.per_address {
            return Err(Full::Address);
        }
        *here += 1;
        inside.total += 1;
        Ok(Admitted { admission: self.clone(), address })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut inside = self.admission.inside.lock();
        inside.total -= 1;
        if let Some(here) = inside.per_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                inside.per_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let admission = Admission::new(3, 2);
        let first = admission.admit(a).unwrap();
        let _second = admission.admit(a).unwrap();
        assert_eq!(admission.admit(a).unwrap_err(), Full::Address);
        let _third = admission.admit(b).unwrap();
        assert_eq!(admission.admit(b).unwrap_err(), Full::Total);
        drop(first);
        admission.admit(a).unwrap();
        assert!(admission.admit(b).is_ok());
    }
}
