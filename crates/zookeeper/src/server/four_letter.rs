//! Four-letter words: plain questions an operator types with `nc`.

use super::Server;

/// The word at the start of a connection, if it is one.
pub(super) fn word(input: &[u8]) -> Option<&'static str> {
    const WORDS: [&str; 21] = [
        "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "stmk", "isro", "mntr", "reqs",
        "ruok", "srst", "srvr", "stat", "wchc", "wchp", "wchs", "hash", "lead", "telnet",
    ];
    WORDS.into_iter().find(|word| word.len() == 4 && input.starts_with(word.as_bytes()))
}

/// Its answer.
pub(super) fn answer(server: &Server, word: &str) -> String {
    let allowed = &server.settings().four_letter_words;
    if !allowed.iter().any(|allowed| allowed == "*" || allowed == word) {
        return format!("{word} is not executed because it is not in the whitelist.\n");
    }
    match word {
        "ruok" => "imok".to_owned(),
        _ => format!("{word} is not executed because it is not in the whitelist.\n"),
    }
}
