use polyport_tree::path::{PathError, validate};

use super::ClientError;

/// Checks a path as `PathUtils.validatePath` does before a request is sent; the positions in the
/// messages count UTF-16 units.
///
/// # Errors
/// [`ClientError::IllegalArgument`] with ZooKeeper's message.
pub fn validate_path(path: &str) -> Result<(), ClientError> {
    let Err(error) = validate(path) else { return Ok(()) };
    let unit = |byte: usize| path.get(..byte).map_or(byte, |head| head.encode_utf16().count());
    let reason = match error {
        PathError::Empty => return illegal("Path length must be > 0"),
        PathError::NotAbsolute => return illegal("Path must start with / character"),
        PathError::TrailingSlash => return illegal("Path must not end with / character"),
        PathError::EmptyName(at) => format!("empty node name specified @{}", unit(at)),
        PathError::Relative(at) => {
            let last_dot = at + usize::from(path[at..].starts_with(".."));
            format!("relative paths not allowed @{}", unit(last_dot))
        }
        PathError::InvalidCharacter(at) if path[at..].starts_with('\0') => {
            format!("null character not allowed @{}", unit(at))
        }
        PathError::InvalidCharacter(at) => format!("invalid character @{}", unit(at)),
    };
    illegal(&format!("Invalid path string \"{path}\" caused by {reason}"))
}

fn illegal(message: &str) -> Result<(), ClientError> {
    Err(ClientError::IllegalArgument(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_paths_are_explained_in_zookeepers_words() {
        let message = |path: &str| validate_path(path).unwrap_err().to_string();
        assert_eq!(validate_path("/a/b"), Ok(()));
        assert_eq!(message("a"), "Path must start with / character");
        assert_eq!(message("/a/"), "Path must not end with / character");
        assert_eq!(
            message("/a//b"),
            "Invalid path string \"/a//b\" caused by empty node name specified @3"
        );
        assert_eq!(
            message("/中/../b"),
            "Invalid path string \"/中/../b\" caused by relative paths not allowed @4"
        );
        assert_eq!(
            message("/./b"),
            "Invalid path string \"/./b\" caused by relative paths not allowed @1"
        );
        assert!(message("/a\u{1}").ends_with("caused by invalid character @2"));
        assert!(message("/a\0b").ends_with("caused by null character not allowed @2"));
    }
}
