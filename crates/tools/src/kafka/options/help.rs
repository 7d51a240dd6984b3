//! The table of options that a usage message ends with, in the layout of jopt-simple's built-in
//! formatter: two columns in 80 characters, broken between words, continued two characters in.

use super::{Argument, Opt};

const WIDTH: usize = 80;
const GAP: usize = 2;

/// The table, one line an option or more, sorted by name.
pub fn usage(options: &[Opt]) -> String {
    let mut sorted: Vec<_> = options.to_vec();
    sorted.sort_by_key(|option| option.name);
    let any_required = options.iter().any(|option| option.required);
    let head = if any_required { "Option (* = required)" } else { "Option" };
    let mut rows = vec![
        (head.to_owned(), "Description".to_owned()),
        ("-".repeat(head.len()), "-----------".to_owned()),
    ];
    rows.extend(sorted.iter().map(|option| (left(option), right(option))));
    let widest = |column: fn(&(String, String)) -> &str| {
        let lengths =
            rows.iter().flat_map(|row| column(row).lines()).map(|line| line.chars().count());
        lengths.max().unwrap_or_default()
    };
    let left_width = widest(|row| &row.0).min((WIDTH - GAP) / 2);
    let right_width = widest(|row| &row.1).min(WIDTH - GAP - left_width);
    let mut text = String::new();
    for (left, right) in &rows {
        let (left, right) = (pieces(left, left_width), pieces(right, right_width));
        for line in 0..left.len().max(right.len()) {
            let left = left.get(line).map_or("", String::as_str);
            let right = right.get(line).map_or("", String::as_str);
            text.push_str(&format!("{left:left_width$}  {right:right_width$}\n"));
        }
    }
    text
}

fn left(option: &Opt) -> String {
    let mark = if option.required { "* " } else { "" };
    let hyphens = if option.name.chars().count() == 1 { "-" } else { "--" };
    let kind = option.kind.name();
    let value = match option.value_name {
        "" => kind.to_owned(),
        name => format!("{kind}: {name}"),
    };
    match option.argument {
        Argument::None => format!("{mark}{hyphens}{}", option.name),
        Argument::Required => format!("{mark}{hyphens}{} <{value}>", option.name),
        Argument::Optional => format!("{mark}{hyphens}{} [{value}]", option.name),
    }
}

fn right(option: &Opt) -> String {
    match option.default {
        Some(default) => format!("{} (default: {default})", option.description).trim_start().into(),
        None => option.description.to_owned(),
    }
}

fn pieces(text: &str, width: usize) -> Vec<String> {
    text.lines().flat_map(|line| broken(line, width)).collect()
}

fn broken(line: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for word in line.split_inclusive(' ') {
        if piece.chars().count() + word.chars().count() > width {
            pieces.push(piece.trim_end().to_owned());
            piece = format!("  {word}");
        } else {
            piece.push_str(word);
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}
