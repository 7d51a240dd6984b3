//! The admin server: `GET /commands` and `GET /commands/<name>`, JSON with the keys of
//! ZooKeeper 3.9's AdminServer.
//!
//! Deliberately absent: the commands `snapshot` and `restore`, which would hand out and take whole
//! trees over plain HTTP; they answer with an error that names the tool that does it. They ask for
//! an `Authorization` header before that, as ZooKeeper does.

mod commands;
mod json;

use polyport_telemetry::http::{Method, Request, Response, StatusCode};

use crate::observe;
use crate::server::Server;
use commands::Answer;
use json::{Fields, Json};

/// Who must be asked for, before anything else, with what it says to those who are not.
const NO_AUTH: &str = "Auth info is missing for the command";

/// The admin pages of a server.
#[derive(Clone)]
pub struct Admin {
    server: Server,
    /// Where the list of commands is: `/commands`.
    root: String,
    /// The configuration file as it was read; empty where there was none.
    initial_configuration: String,
}

impl Admin {
    /// At `root`, which is `/commands` unless the operator says otherwise.
    pub fn new(server: Server, root: &str, initial_configuration: String) -> Self {
        let root = format!("/{}", root.trim_matches('/'));
        Self { server, root, initial_configuration }
    }

    /// Answers a request whose path begins with the root; any other is not found.
    pub fn answer(&self, request: &Request) -> Response {
        let rest = match request.path.strip_prefix(&self.root) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
            _ => return Response::status(StatusCode::NOT_FOUND),
        };
        let name = rest.trim_matches('/');
        match request.method {
            Method::GET if name.is_empty() => Response::ok("text/html", self.list()),
            Method::GET | Method::POST => self.command(name, request),
            _ => Response { content_type: "", body: "".into(), ..no_method() },
        }
    }

    fn list(&self) -> String {
        let link = |name: &str| format!("<a href=\"{}/{name}\">{name}</a>\n<br/>\n", self.root);
        commands::ALL.iter().map(|command| link(command.names[0])).collect()
    }

    fn command(&self, asked: &str, request: &Request) -> Response {
        let Some(command) = commands::ALL.iter().find(|c| c.names.contains(&asked)) else {
            return told(StatusCode::OK, refusal(asked, format!("Unknown command: {asked}")));
        };
        if command.posted != (request.method == Method::POST) {
            return no_method();
        }
        let status = observe::status(&self.server);
        if command.needs_server && !observe::is_serving(&self.server, &status) {
            return told(StatusCode::OK, refusal(command.names[0], observe::NOT_SERVING));
        }
        if command.needs_auth && !request.headers.contains_key("authorization") {
            return told(StatusCode::UNAUTHORIZED, refusal(asked, NO_AUTH));
        }
        let asking = commands::Asking {
            server: &self.server,
            status: &status,
            request,
            initial_configuration: &self.initial_configuration,
        };
        match (command.answer)(&asking) {
            Answer::Fields(fields) => {
                let fields = fields.with("command", command.names[0]).with("error", Json::Null);
                told(StatusCode::OK, fields)
            }
            Answer::Error(status, error) => {
                let fields = Fields::default().with("error", error);
                told(status, fields.with("command", command.names[0]))
            }
        }
    }
}

fn refusal(command: &str, error: impl Into<Json>) -> Fields {
    Fields::default().with("command", command).with("error", error)
}

fn no_method() -> Response {
    Response::status(StatusCode::METHOD_NOT_ALLOWED)
}

fn told(status: StatusCode, fields: Fields) -> Response {
    let body = Json::from(fields).pretty().into();
    Response { status, content_type: "application/json", body }
}
