//! What nodes tell the leader of their clients, outside the log.
//!
//! ```text
//! note   := part*
//! part   := 1:u8 count:u32 session:i64*                                      heard just now
//!         | 2:u8 term:u64 origin:u64 count:u32 silent*
//!         | 3:u8 term:u64 count:u32 (origin:u64 silent_ms:u32)*
//! silent := session:i64 connection:u64 silent_ms:u32                         for so long
//! ```
//! Notes that wait for a leader are put together, the older first.

use std::time::Duration;

use bytes::BufMut;
use polyport_wire::{Cursor, DecodeError};

use crate::session::{Attachment, SessionId};

const HEARD: u8 = 1;
const SILENT: u8 = 2;
const REPLACED: u8 = 3;

/// A client of the speaker was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silent {
    /// Which.
    pub(super) session: SessionId,
    /// Its place at the speaker, as far as that knows.
    pub(super) attachment: Attachment,
    /// For how long.
    pub(super) silence: Duration,
}

/// One thing said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A client was heard.
    Heard(SessionId),
    /// To the leader of this term, and no other.
    Silent(u64, Silent),
    /// To the leader of this term, and no other: this origin was replaced so long ago.
    Replaced(u64, u64, Duration),
}

pub(super) fn put_heard(note: &mut Vec<u8>, sessions: &[SessionId]) {
    if sessions.is_empty() {
        return;
    }
    note.put_u8(HEARD);
    note.put_u32(sessions.len() as u32);
    sessions.iter().for_each(|session| note.put_i64(*session));
}

/// All are of one origin.
pub(super) fn put_silent(note: &mut Vec<u8>, term: u64, silent: &[Silent]) {
    let Some(first) = silent.first() else { return };
    note.put_u8(SILENT);
    note.put_u64(term);
    note.put_u64(first.attachment.origin);
    note.put_u32(silent.len() as u32);
    for Silent { session, attachment, silence } in silent {
        note.put_i64(*session);
        note.put_u64(attachment.connection);
        note.put_u32(millis(*silence));
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

pub(super) fn put_replaced(
    note: &mut Vec<u8>,
    term: u64,
    replaced: impl ExactSizeIterator<Item = (u64, Duration)>,
) {
    if replaced.len() == 0 {
        return;
    }
    note.put_u8(REPLACED);
    note.put_u64(term);
    note.put_u32(replaced.len() as u32);
    for (origin, ago) in replaced {
        note.put_u64(origin);
        note.put_u32(millis(ago));
    }
}

/// Tells what a note says, up to where it makes no sense.
pub(super) fn read(note: &[u8], mut told: impl FnMut(Said)) {
    let mut cursor = Cursor::new(note);
    // The sender is a node of this cluster; what it meant to say is lost, as if the note were.
    while !cursor.is_empty() && part(&mut cursor, &mut told).is_ok() {}
}

fn part(cursor: &mut Cursor<'_>, told: &mut impl FnMut(Said)) -> Result<(), DecodeError> {
    match cursor.u8("part of a note")? {
        HEARD => {
            for _ in 0..cursor.u32("sessions heard")? {
                told(Said::Heard(cursor.i64("session")?));
            }
        }
        SILENT => {
            let (term, origin) = (cursor.u64("term")?, cursor.u64("origin")?);
            for _ in 0..cursor.u32("silent sessions")? {
                let session = cursor.i64("session")?;
                let attachment = Attachment { origin, connection: cursor.u64("connection")? };
                let silence = Duration::from_millis(u64::from(cursor.u32("silence")?));
                told(Said::Silent(term, Silent { session, attachment, silence }));
            }
        }
        REPLACED => {
            let term = cursor.u64("term")?;
            for _ in 0..cursor.u32("origins replaced")? {
                let origin = cursor.u64("origin")?;
                let ago = Duration::from_millis(u64::from(cursor.u32("when")?));
                told(Said::Replaced(term, origin, ago));
            }
        }
        _ => return Err(cursor.error("part of a note")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(note: &[u8]) -> Vec<Said> {
        let mut all = Vec::new();
        read(note, |said| all.push(said));
        all
    }

    #[test]
    fn a_note_reads_back_as_written_and_cut_short_says_less() {
        let attachment = Attachment { origin: 4, connection: 5 };
        let silence = Duration::from_millis(1500);
        let silent = Silent { session: 9, attachment, silence };
        let mut note = Vec::new();
        put_heard(&mut note, &[7, -8]);
        put_heard(&mut note, &[]);
        put_silent(&mut note, 3, &[silent]);
        put_silent(&mut note, 3, &[]);
        put_heard(&mut note, &[9]);
        put_replaced(&mut note, 4, [(5, silence)].into_iter());
        put_replaced(&mut note, 4, [].into_iter());
        let all = [
            Said::Heard(7),
            Said::Heard(-8),
            Said::Silent(3, silent),
            Said::Heard(9),
            Said::Replaced(4, 5, silence),
        ];
        assert_eq!(said(&note), all);
        for cut in 0..note.len() {
            assert!(all.starts_with(&said(&note[..cut])), "{cut}");
        }
        assert_eq!(said(&[9, 0, 0, 0, 1]), []);
    }
}
