//! The command line; everything else is in the library, where tests can reach it.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use gateway::config::Config;
use http::Uri;

/// Keeps the pages of any HTTP origin and serves them in its place.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where clients connect
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Where the site is
    #[arg(long, value_name = "URL")]
    origin: Uri,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let config = Config::new(args.listen, args.origin);
    eprintln!("gateway: cannot serve yet: {}", config.listen);
    ExitCode::from(2)
}
