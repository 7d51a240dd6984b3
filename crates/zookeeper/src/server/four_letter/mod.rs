//! Four-letter words: plain questions an operator types with `nc`, answered as ZooKeeper 3.9 does,
//! to the character where it prints facts that both have.
//!
//! `reqs` is older than 3.9 and stays for those who type it: connections whose requests wait.

mod connections;
mod monitor;
mod sessions;
mod state;
mod watches;

use super::Server;
use crate::observe::{self, NOT_SERVING};

const WORDS: [&str; 19] = [
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "reqs", "ruok",
    "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
];

/// `stmk` and the mask after it, eight bytes.
pub(super) const STMK_BYTES: usize = 12;

/// The word at the start of a connection, if it is one.
pub fn word(input: &[u8]) -> Option<&'static str> {
    WORDS.into_iter().find(|word| input.starts_with(word.as_bytes()))
}

/// Whether the operator lets a word be answered.
fn is_allowed(server: &Server, word: &str) -> bool {
    let settings = server.settings();
    let allowed = |allowed: &String| allowed == "*" || allowed == word;
    // Clients that look for a server to write to ask this one where reads may be all there is.
    settings.four_letter_words.iter().any(allowed) || (word == "isro" && settings.read_only)
}

/// Its answer. `input` is all that has come, the word included; `secure`: whether by the secure port.
pub(super) fn answer(server: &Server, word: &str, input: &[u8], secure: bool) -> String {
    if !is_allowed(server, word) {
        return format!("{word} is not executed because it is not in the whitelist.\n");
    }
    let status = observe::status(server);
    let serves = observe::is_serving(server, &status) && !server.only_leads(&status);
    match word {
        "ruok" => return "imok".to_owned(),
        "envi" => return state::envi(),
        "gtmk" => return server.stats().trace_mask().to_string(),
        "stmk" => return set_trace_mask(server, input),
        "isro" if !serves => return "null".to_owned(),
        "hash" if !serves => return NOT_SERVING.to_owned(),
        _ if !serves => return format!("{NOT_SERVING}\n"),
        _ => {}
    }
    match word {
        "conf" => state::conf(server, &status),
        "cons" => connections::cons(&server.clients_of(secure)),
        "crst" => {
            server.reset_clients();
            "Connection stats reset.\n".to_owned()
        }
        "dirs" => state::dirs(server),
        "dump" => sessions::dump(server, &status),
        "isro" if observe::is_read_only(server, &status) => "ro".to_owned(),
        "isro" => "rw".to_owned(),
        "mntr" => monitor::mntr(server, &status),
        "reqs" => connections::reqs(&server.clients()),
        "srst" => {
            server.stats().reset();
            server.replica().observed().reset_entry_bytes();
            "Server stats reset.\n".to_owned()
        }
        "srvr" => state::srvr(server, &status, None),
        "stat" => state::srvr(server, &status, Some(&server.clients_of(secure))),
        "wchc" => watches::by_session(server),
        "wchp" => watches::by_path(server),
        "wchs" => watches::summary(server),
        // `hash`: there is no digest of the tree, so its history is empty.
        _ => String::new(),
    }
}

fn set_trace_mask(server: &Server, input: &[u8]) -> String {
    let mask = input.get(4..STMK_BYTES).and_then(|bytes| bytes.try_into().ok());
    let mask = mask.map_or(0, i64::from_be_bytes);
    server.stats().set_trace_mask(mask);
    mask.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_no_word() {
        assert_eq!(word(b"srvr"), Some("srvr"));
        assert_eq!(word(b"stmk\0\0"), Some("stmk"));
        assert_eq!(word(&[0, 0, 0, 44]), None);
        assert_eq!(word(b"kill"), None);
    }
}
