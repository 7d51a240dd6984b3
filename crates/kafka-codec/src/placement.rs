//! Which brokers get which replicas: spread evenly, and over racks where all brokers have one. Servers
//! place topics by it, and tools propose places.
//!
//! First replicas go round the brokers from some start; the others of a partition are a shift away
//! from the first, and the shift grows with each round, so that a broker's followers are spread too.
//! With racks, the round is one in which racks alternate, and a rack gets a second replica only when
//! each has one. The result is Kafka's for the same start and shift.

use std::collections::{BTreeMap, BTreeSet};

/// Why replicas cannot be placed, in Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The number of partitions is not positive.
    #[error("Number of partitions must be larger than 0.")]
    Partitions,
    /// The number of replicas is not positive.
    #[error("Replication factor must be larger than 0.")]
    Replicas,
    /// A broker would have two replicas of a partition.
    #[error("Replication factor: {wanted} larger than available brokers: {there}.")]
    Brokers {
        /// Replicas of a partition.
        wanted: i32,
        /// Brokers.
        there: usize,
    },
    /// Some brokers have a rack and some have none.
    #[error("Not all brokers have rack information for replica rack aware assignment.")]
    Racks,
}

/// A broker and its rack.
pub type Candidate<'a> = (i32, Option<&'a str>);

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Place, in the round, of the first replica of partition 0.
    pub broker: usize,
    /// Shift of the second replica of partition 0.
    pub shift: usize,
    /// Number of the first partition.
    pub partition: i32,
}

/// Assigns `replication_factor` replicas of `partitions` partitions. `brokers`: in the order of
/// their ids.
///
/// # Errors
/// See [`PlacementError`].
pub fn assign(
    brokers: &[Candidate<'_>],
    partitions: i32,
    replication_factor: i32,
    start: Start,
) -> Result<BTreeMap<i32, Vec<i32>>, PlacementError> {
    if partitions <= 0 {
        return Err(PlacementError::Partitions);
    }
    if replication_factor <= 0 {
        return Err(PlacementError::Replicas);
    }
    let factor = replication_factor as usize;
    if factor > brokers.len() {
        let (wanted, there) = (replication_factor, brokers.len());
        return Err(PlacementError::Brokers { wanted, there });
    }
    let round = round(brokers)?;
    let racks = round.iter().map(|(_, rack)| *rack).collect::<BTreeSet<_>>().len();
    let shift_by = if round[0].1.is_some() { racks } else { 1 };
    let (count, mut shift) = (round.len(), start.shift);
    let mut assigned = BTreeMap::new();
    for partition in (start.partition..).take(partitions as usize) {
        let number = partition as usize;
        if number > 0 && number.is_multiple_of(count) {
            shift += 1;
        }
        let first = (number + start.broker) % count;
        let replicas = replicas(&round, first, shift.wrapping_mul(shift_by), factor, racks);
        assigned.insert(partition, replicas);
    }
    Ok(assigned)
}

/// The order in which brokers are gone round: racks alternate.
fn round<'a>(brokers: &[Candidate<'a>]) -> Result<Vec<Candidate<'a>>, PlacementError> {
    if brokers.iter().all(|(_, rack)| rack.is_none()) {
        return Ok(brokers.to_vec());
    }
    let mut by_rack: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (id, rack) in brokers {
        let rack = rack.ok_or(PlacementError::Racks)?;
        by_rack.entry(rack).or_default().push(*id);
    }
    let longest = by_rack.values().map(Vec::len).max().unwrap_or_default();
    let turn = |turn: usize| {
        by_rack.iter().filter_map(move |(rack, ids)| Some((*ids.get(turn)?, Some(*rack))))
    };
    Ok((0..longest).flat_map(turn).collect())
}

fn replicas(
    round: &[Candidate<'_>],
    first: usize,
    shift: usize,
    factor: usize,
    racks: usize,
) -> Vec<i32> {
    let (leader, rack) = round[first];
    let mut replicas = vec![leader];
    let mut used_racks = BTreeSet::from([rack]);
    let mut step = 0;
    // Each pass over the round finds one more: a new rack, or any broker once all racks are used.
    while replicas.len() < factor {
        let away = 1 + (shift + step) % (round.len() - 1);
        let (broker, rack) = round[(first + away) % round.len()];
        step += 1;
        let rack_is_due =
            rack.is_none() || !used_racks.contains(&rack) || used_racks.len() == racks;
        if rack_is_due && !replicas.contains(&broker) {
            replicas.push(broker);
            used_racks.insert(rack);
        }
    }
    replicas
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(count: i32) -> Vec<Candidate<'static>> {
        (0..count).map(|id| (id, None)).collect()
    }

    const START: Start = Start { broker: 0, shift: 0, partition: 0 };

    #[test]
    fn the_example_of_kafkas_documentation() {
        let assigned = assign(&plain(5), 10, 3, START).unwrap();
        let expected = [
            [0, 1, 2],
            [1, 2, 3],
            [2, 3, 4],
            [3, 4, 0],
            [4, 0, 1],
            [0, 2, 3],
            [1, 3, 4],
            [2, 4, 0],
            [3, 0, 1],
            [4, 1, 2],
        ];
        assert!(assigned.values().eq(expected.iter()), "{assigned:?}");
    }

    #[test]
    fn the_example_of_kafkas_documentation_with_racks() {
        let racks = ["rack1", "rack3", "rack3", "rack2", "rack2", "rack1"];
        let brokers: Vec<_> = (0..).zip(racks.map(Some)).collect();
        let assigned = assign(&brokers, 7, 3, START).unwrap();
        let expected =
            [[0, 3, 1], [3, 1, 5], [1, 5, 4], [5, 4, 2], [4, 2, 0], [2, 0, 3], [0, 4, 2]];
        assert!(assigned.values().eq(expected.iter()), "{assigned:?}");
    }

    #[test]
    fn what_cannot_be_assigned_is_refused_in_kafkas_words() {
        let refused = |brokers: &[Candidate<'_>], partitions, factor| {
            assign(brokers, partitions, factor, START).unwrap_err().to_string()
        };
        assert_eq!(refused(&plain(3), 0, 1), "Number of partitions must be larger than 0.");
        assert_eq!(refused(&plain(3), 1, 0), "Replication factor must be larger than 0.");
        let text = "Replication factor: 3 larger than available brokers: 1.";
        assert_eq!(refused(&plain(1), 1, 3), text);
        assert!(refused(&[(0, Some("r")), (1, None)], 1, 1).contains("rack"));
    }

    proptest! {
        #[test]
        fn replicas_are_spread(
            racks in prop::collection::vec(0..4_u8, 1..9),
            with_racks: bool,
            partitions in 1..40_i32,
            factor in 1..9_usize,
            broker in 0..9_usize,
            shift in 0..9_usize,
            partition in 0..20_i32,
        ) {
            let factor = factor.min(racks.len());
            let names = ["a", "b", "c", "d"];
            let rack = |rack: &u8| with_racks.then_some(names[usize::from(*rack)]);
            let brokers: Vec<_> = (10..).zip(racks.iter().map(rack)).collect();
            let start = Start { broker: broker % racks.len(), shift, partition };
            let assigned = assign(&brokers, partitions, factor as i32, start).unwrap();
            prop_assert!(assigned.keys().copied().eq(partition..partition + partitions));
            let all_racks = racks.iter().collect::<BTreeSet<_>>().len();
            let mut leaders = BTreeMap::<i32, i32>::new();
            for replicas in assigned.values() {
                let distinct: BTreeSet<_> = replicas.iter().collect();
                prop_assert_eq!((distinct.len(), replicas.len()), (factor, factor));
                if with_racks {
                    let used: BTreeSet<_> =
                        replicas.iter().map(|id| racks[(*id - 10) as usize]).collect();
                    prop_assert_eq!(used.len(), factor.min(all_racks));
                }
                *leaders.entry(replicas[0]).or_default() += 1;
            }
            let most = leaders.values().max().copied().unwrap_or_default();
            let least = if leaders.len() < racks.len() { 0 } else { *leaders.values().min().unwrap() };
            prop_assert!(most - least <= 1, "{leaders:?}");
        }
    }
}
