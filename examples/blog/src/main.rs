//! A blog on axum and SQLite whose pages edge-isr keeps, tags, renders again and invalidates.
//!
//! Read on in `app` (which page is kept, for how long, under which tags), then in `edits` (what each write
//! invalidates). `pages` renders, `views` holds the templates, `forms` checks what people send, `db` is SQLite.

mod app;
mod clock;
mod db;
mod edits;
mod error;
mod forms;
mod id;
mod pages;
mod post;
mod views;

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use axum::Router;
use clap::Parser;
use edge_isr_axum::prelude::*;
use tokio::net::TcpListener;

use crate::{app::App, db::Db};

/// How long requests in flight may take to finish once the blog was told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// A blog whose pages are rendered once and served until something they show changes.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "HOST:PORT")]
    listen: String,
    /// The SQLite file, made and filled with a few posts at the first start
    #[arg(long, default_value = "blog.db", value_name = "FILE")]
    db: PathBuf,
    /// How long rendering a page takes, in milliseconds, so that you see what the cache does
    #[arg(long, default_value_t = 150, value_name = "MS")]
    render_ms: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blog: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let db = Db::open(&args.db)
        .map_err(|error| format!("cannot use the database {}: {error}", args.db.display()))?;
    tokio::runtime::Runtime::new()?.block_on(start(args, db))
}

async fn start(args: &Args, db: Db) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let isr = Isr::builder().build()?; // memory: nothing to install
    let app = app::router(App::new(db, &isr, Duration::from_millis(args.render_ms)), &isr);
    tokio::spawn(isr.worker(app.clone())); // renders invalidated pages before anyone asks

    println!("The blog is at http://{}/ (Ctrl-C stops it)", listener.local_addr()?);
    serve(listener, app).await?;
    isr.shutdown(DRAIN).await;
    Ok(())
}

/// Serves until told to stop, then lets the requests in flight finish, though not for ever.
async fn serve(listener: TcpListener, app: Router) -> std::io::Result<()> {
    let server = axum::serve(listener, app).with_graceful_shutdown(told_to_stop());
    let out_of_patience = async {
        told_to_stop().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = server => served,
        () = out_of_patience => Ok(()),
    }
}

/// Waits for Ctrl-C or, on Unix, SIGTERM. A signal that cannot be listened for never comes.
async fn told_to_stop() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate() => {}
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => _ = terminate.recv().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}
