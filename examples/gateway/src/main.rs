//! The command line; everything else is in the library, where tests can reach it.

use std::process::ExitCode;

use gateway::config::{self, Asked};

fn main() -> ExitCode {
    match config::read(std::env::args_os(), std::env::vars_os()) {
        Ok(Asked::Say(text)) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Asked::Serve(config, _log)) => {
            eprintln!("gateway: cannot serve yet: {}", config.listen);
            ExitCode::from(2)
        }
        Err(bad) => {
            eprintln!("gateway: {bad}");
            ExitCode::from(2)
        }
    }
}
