//! The tools without the server, for comparing them with others' quickly: by the name it is called by,
//! or with the tool's name as its first argument.

fn main() {
    let mut args: Vec<String> = std::env::args().collect();
    let by_own_name = args.first().and_then(|name| polyport_tools::by_name(name));
    let tool = by_own_name.or_else(|| {
        args.remove(0);
        args.first().and_then(|name| polyport_tools::by_name(name))
    });
    match tool {
        Some(tool) => std::process::exit(tool(args)),
        None => {
            eprintln!("tools: {}", polyport_tools::names().join(" "));
            std::process::exit(2);
        }
    }
}
