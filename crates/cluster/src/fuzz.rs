//! The private decoders, for the fuzz targets. Not an interface.

use bytes::{BufMut, Bytes};
use polyport_base::NodeId;
use polyport_wire::Cursor;

use crate::raft::fuzzing as raft;
use crate::{Member, Members, Role};

/// Feeds a frame to the decoder that its first byte chooses.
pub fn frame(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 2 {
        0 => {
            if let Ok(members) = crate::raft::decode_members(&mut Cursor::new(bytes)) {
                let again = crate::raft::encode_members(&members);
                let again = crate::raft::decode_members(&mut Cursor::new(&again));
                assert_eq!(again.as_ref(), Ok(&members));
            }
        }
        _ => raft::decode(&Bytes::copy_from_slice(bytes)),
    }
}

/// Well-formed frames.
pub fn seeds() -> Vec<Vec<u8>> {
    let member = Member {
        address: "h:7700".to_owned(),
        quorum: "h:2888:3888".to_owned(),
        client: "h:2181".to_owned(),
        role: Role::Observer,
    };
    let members =
        Members::from([(NodeId(1), Member::voter("127.0.0.1:7700")), (NodeId(2), member)]);
    let mut seeds = vec![[&[0][..], &crate::raft::encode_members(&members)].concat()];
    for body in raft::seeds(&members) {
        let mut seed = Vec::with_capacity(1 + body.len());
        seed.put_u8(1);
        seed.put_slice(&body);
        seeds.push(seed);
    }
    seeds
}
