//! Which paths are allowed: ZooKeeper's `PathUtils.validatePath`.

/// Why a path is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path has no characters.
    #[error("path is empty")]
    Empty,
    /// It does not begin with a slash.
    #[error("path must start with / character")]
    NotAbsolute,
    /// It ends with a slash and is not the root.
    #[error("path must not end with / character")]
    TrailingSlash,
    /// Two slashes in a row.
    #[error("empty node name specified at byte {0}")]
    EmptyName(usize),
    /// A component is `.` or `..`.
    #[error("relative paths not allowed at byte {0}")]
    Relative(usize),
    /// NUL, a control character, a surrogate, a private-use or a special character.
    #[error("invalid character at byte {0}")]
    InvalidCharacter(usize),
}

/// Checks that `path` names a znode.
///
/// # Errors
/// The first rule that the path breaks.
pub fn validate(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if path.len() == 1 {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    let mut at = 1;
    for name in path[1..].split('/') {
        match name {
            "" => return Err(PathError::EmptyName(at)),
            "." | ".." => return Err(PathError::Relative(at)),
            _ => {}
        }
        if let Some((offset, _)) = name.char_indices().find(|(_, c)| !is_allowed(*c)) {
            return Err(PathError::InvalidCharacter(at + offset));
        }
        at += name.len() + 1;
    }
    Ok(())
}

/// ZooKeeper looks at UTF-16 units and refuses U+D800 to U+F8FF, so every character outside the
/// basic plane (a surrogate pair there) is refused with them.
fn is_allowed(c: char) -> bool {
    !matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff | 0x1_0000..)
}

/// The parent of a path: `/` for `/a`, `/a` for `/a/b`. The root has none.
pub fn parent(path: &str) -> Option<&str> {
    match path.rfind('/') {
        Some(0) if path.len() > 1 => Some("/"),
        Some(at) if at > 0 => Some(&path[..at]),
        _ => None,
    }
}

/// The last component of a path; empty for the root.
pub fn name(path: &str) -> &str {
    path.rfind('/').map_or(path, |at| &path[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_zookeepers_rules() {
        for good in ["/", "/a", "/a/b.c", "/a/...", "/a..b", "/\u{4e2d}\u{6587}", "/a b"] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        assert_eq!(validate(""), Err(PathError::Empty));
        assert_eq!(validate("a"), Err(PathError::NotAbsolute));
        assert_eq!(validate("/a/"), Err(PathError::TrailingSlash));
        assert_eq!(validate("/a//b"), Err(PathError::EmptyName(3)));
        assert_eq!(validate("//a"), Err(PathError::EmptyName(1)));
        assert_eq!(validate("/a/./b"), Err(PathError::Relative(3)));
        assert_eq!(validate("/.."), Err(PathError::Relative(1)));
        assert_eq!(validate("/a\0"), Err(PathError::InvalidCharacter(2)));
        assert_eq!(validate("/a\u{7f}"), Err(PathError::InvalidCharacter(2)));
        assert_eq!(validate("/\u{e000}"), Err(PathError::InvalidCharacter(1)));
    }

    #[test]
    fn parents_and_names() {
        assert_eq!(parent("/"), None);
        assert_eq!(parent("/a"), Some("/"));
        assert_eq!(parent("/a/b"), Some("/a"));
        assert_eq!(name("/a/b"), "b");
        assert_eq!(name("/"), "");
    }
}
