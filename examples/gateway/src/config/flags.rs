//! The command line.

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use super::draft::Draft;
use super::error::{BadConfig, Place};

/// Keeps the pages of any HTTP origin and serves them in its place.
///
/// Flags beat variables of the environment (EDGE_ISR_LISTEN, EDGE_ISR_CACHE__MAX_BYTES), which beat the file. All keys are
/// described in docs/gateway.md.
#[derive(Debug, Default, Parser)]
#[command(name = "gateway", version)]
pub(super) struct Flags {
    /// Where clients connect [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Where the site is, such as http://127.0.0.1:8000
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Where those who run it connect; needs a token in EDGE_ISR_ADMIN_TOKEN [default: nowhere]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
    /// A file of settings, in TOML
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,
    /// What to log on standard error: error, warn, info, debug, or per target as in info,gateway::proxy=debug
    /// [default: error]
    #[arg(long, value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Checks the settings and ends
    #[arg(long)]
    pub(super) check: bool,
}

/// Why the command line is not run.
#[derive(Debug)]
pub(super) enum NotRun {
    /// It asks for a text.
    Told(String),
    /// It can't be read.
    Bad(BadConfig),
}

impl Flags {
    /// Reads the command line, the program's name at its head.
    pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, NotRun> {
        Self::try_parse_from(arguments).map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => NotRun::Told(error.to_string()),
            _ => {
                let text = error.to_string();
                let line = text.lines().next().unwrap_or_default();
                let what = line.strip_prefix("error: ").unwrap_or(line);
                NotRun::Bad(BadConfig::missing(format!("{what} (--help lists the flags)")))
            }
        })
    }

    pub(super) fn set(&self, draft: &mut Draft) -> Result<(), BadConfig> {
        let flags = [
            ("--listen", "listen", &self.listen),
            ("--origin", "origin", &self.origin),
            ("--admin", "admin.listen", &self.admin),
        ];
        for (flag, key, value) in flags {
            if let Some(value) = value {
                draft.set_text(key, value, &Place::Flag(flag))?;
            }
        }
        Ok(())
    }
}
