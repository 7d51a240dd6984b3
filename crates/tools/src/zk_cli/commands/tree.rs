//! Children and subtrees.

use std::collections::VecDeque;

use polyport_zookeeper::codec::ErrorCode;

use super::{parse_acl, print_stat, version};
use crate::zk_cli::command::Context;
use crate::zk_cli::{CliError, print};
use crate::zk_client::{Client, ClientError, validate_path};

type Result = std::result::Result<(), CliError>;

const DEFAULT_BATCH: i32 = 1000;

/// `ls`
pub fn list(context: &Context<'_>) -> Result {
    let watch = context.parsed.has("w");
    if context.parsed.has("R") {
        visit(context.client, context.path(), watch, &mut |path| {
            context.console.line(path);
            Ok(())
        })?;
        return Ok(());
    }
    let (mut names, stat) = context.client.get_children(context.path(), watch)?;
    names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    context.console.line(&print::list(&names));
    print_stat(context, &stat);
    Ok(())
}

/// `getAllChildrenNumber`
pub fn count(context: &Context<'_>) -> Result {
    let count = context.client.get_all_children_number(context.path())?;
    context.console.line(&count.to_string());
    Ok(())
}

/// `deleteall`
pub fn delete_all(context: &Context<'_>) -> Result {
    let batch = context.parsed.value("b").map_or(Ok(DEFAULT_BATCH), |batch| {
        batch.parse().map_err(|_| CliError::new("-b argument must be an int value"))
    })?;
    let root = context.path();
    validate_path(root)?;
    // Parents before children, so that the reverse deletes leaves first.
    let mut tree = vec![root.to_owned()];
    let mut queue = VecDeque::from([root.to_owned()]);
    while let Some(path) = queue.pop_front() {
        for name in context.client.get_children(&path, false)?.0 {
            let child = join(&path, &name);
            tree.push(child.clone());
            queue.push_back(child);
        }
    }
    tree.reverse();
    match usize::try_from(batch) {
        Ok(batch) if batch > 0 => {
            if tree.chunks(batch).any(|batch| context.client.delete_all(batch).is_err()) {
                context.console.error("Failed to delete some node(s) in the subtree!");
            }
        }
        _ => {
            for path in &tree {
                context.client.delete(path, -1)?;
            }
        }
    }
    Ok(())
}

/// `setAcl`
pub fn set_acl(context: &Context<'_>) -> Result {
    let acl = parse_acl(context.console, context.arg(2).unwrap_or_default());
    let version = version(context)?;
    if context.parsed.has("R") {
        visit(context.client, context.path(), false, &mut |path| {
            if let Err(error) = context.client.set_acl(path, &acl, version) {
                context.console.print(&error.to_string());
            }
            Ok(())
        })?;
        return Ok(());
    }
    let stat = context.client.set_acl(context.path(), &acl, version)?;
    print_stat(context, &stat);
    Ok(())
}

/// Visits a znode, then its children in order, then below each of them.
pub(super) fn visit(
    client: &Client,
    path: &str,
    watch: bool,
    visitor: &mut dyn FnMut(&str) -> std::result::Result<(), ClientError>,
) -> std::result::Result<(), ClientError> {
    client.get_data(path, watch)?;
    visitor(path)?;
    visit_below(client, path, watch, visitor)
}

fn visit_below(
    client: &Client,
    path: &str,
    watch: bool,
    visitor: &mut dyn FnMut(&str) -> std::result::Result<(), ClientError>,
) -> std::result::Result<(), ClientError> {
    let mut names = match client.get_children(path, watch) {
        Ok((names, _)) => names,
        // It was deleted after it had been listed.
        Err(error) if error.code() == Some(ErrorCode::NO_NODE) => return Ok(()),
        Err(error) => return Err(error),
    };
    names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    let children: Vec<_> = names.iter().map(|name| join(path, name)).collect();
    children.iter().try_for_each(|child| visitor(child))?;
    children.iter().try_for_each(|child| visit_below(client, child, watch, visitor))
}

fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}
