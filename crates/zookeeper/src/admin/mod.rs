//! The admin server: `GET /commands` and `GET /commands/<name>`, JSON with the keys of
//! ZooKeeper 3.9's AdminServer.
//!
//! `snapshot` and `restore` hand out and take whole trees, in the form of `polyport backup`. They ask
//! for an `Authorization` header with all rights on the root.

mod commands;
mod json;
mod rights;
mod transfer;

use std::sync::Arc;

use polyport_telemetry::http::{Handler, Method, Request, Response, StatusCode};

use crate::observe;
use crate::server::Server;
use commands::{Answer, Transfer};
use json::{Fields, Json};
pub use transfer::Rules;
use transfer::Transfers;

/// The admin pages of a server.
#[derive(Clone)]
pub struct Admin {
    server: Server,
    /// Where the list of commands is: `/commands`.
    root: String,
    /// The configuration file as it was read; empty where there was none.
    initial_configuration: String,
    transfers: Arc<Transfers>,
}

impl Admin {
    /// At `root`, which is `/commands` unless the operator says otherwise.
    pub fn new(server: Server, root: &str, initial_configuration: String) -> Self {
        let root = format!("/{}", root.trim_matches('/'));
        let transfers = Arc::new(Transfers::new(Rules::default()));
        Self { server, root, initial_configuration, transfers }
    }

    /// With other rules for snapshots and restores than ZooKeeper's defaults.
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { transfers: Arc::new(Transfers::new(rules)), ..self }
    }

    /// As an HTTP server wants it.
    pub fn handler(self) -> Handler {
        Arc::new(move |request| {
            let admin = self.clone();
            Box::pin(async move { admin.answer(request).await })
        })
    }

    /// Answers a request whose path begins with the root; any other is not found.
    pub async fn answer(&self, request: Request) -> Response {
        let rest = match request.path.strip_prefix(&self.root) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
            _ => return Response::status(StatusCode::NOT_FOUND),
        };
        let name = rest.trim_matches('/').to_owned();
        match request.method {
            Method::GET if name.is_empty() => Response::ok("text/html", self.list()),
            Method::GET | Method::POST => self.command(&name, request).await,
            _ => Response::new(StatusCode::METHOD_NOT_ALLOWED, "", ""),
        }
    }

    fn list(&self) -> String {
        let link = |name: &str| format!("<a href=\"{}/{name}\">{name}</a>\n<br/>\n", self.root);
        commands::ALL.iter().map(|command| link(command.names[0])).collect()
    }

    async fn command(&self, asked: &str, request: Request) -> Response {
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
        if command.needs_auth
            && let Err((status, error)) = rights::check(&self.server, &request)
        {
            return told(status, refusal(asked, error));
        }
        let asking = commands::Asking {
            server: &self.server,
            status: &status,
            request: &request,
            initial_configuration: &self.initial_configuration,
        };
        let mut headers = Vec::new();
        let answer = match (command.answer)(&asking) {
            Answer::Transfer(Transfer::Snapshot) => {
                match self.transfers.snapshot(&self.server, &request, &mut headers).await {
                    Ok(Some(body)) => {
                        let whole = Response::ok("application/octet-stream", "");
                        return Response { headers, body, ..whole };
                    }
                    Ok(None) => Fields::default().into(),
                    Err(refused) => refused,
                }
            }
            Answer::Transfer(Transfer::Restore) => {
                self.transfers.restore(&self.server, request).await
            }
            answer => answer,
        };
        let response = match answer {
            Answer::Fields(fields) => {
                let fields = fields.with("command", command.names[0]).with("error", Json::Null);
                told(StatusCode::OK, fields)
            }
            Answer::Error(status, error) => {
                let fields = Fields::default().with("error", error);
                told(status, fields.with("command", command.names[0]))
            }
            Answer::Transfer(_) => Response::status(StatusCode::INTERNAL_SERVER_ERROR),
        };
        Response { headers, ..response }
    }
}

fn refusal(command: &str, error: impl Into<Json>) -> Fields {
    Fields::default().with("command", command).with("error", error)
}

fn no_method() -> Response {
    Response::status(StatusCode::METHOD_NOT_ALLOWED)
}

fn told(status: StatusCode, fields: Fields) -> Response {
    Response::new(status, "application/json", Json::from(fields).pretty())
}
