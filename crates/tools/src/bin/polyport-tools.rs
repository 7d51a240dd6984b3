//! The tools alone: dispatches on the name it is called by, or on its first argument.

fn main() {
    let mut args: Vec<String> = std::env::args().collect();
    let tool = args.first().and_then(|name| polyport_tools::by_name(name)).or_else(|| {
        args.remove(0);
        args.first().and_then(|name| polyport_tools::by_name(name))
    });
    let code = match tool {
        Some(tool) => tool(args),
        None => {
            eprintln!("usage: polyport-tools {{zkCli.sh|zkServer.sh}} [args]");
            2
        }
    };
    std::process::exit(code);
}
