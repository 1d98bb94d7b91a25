//! Proxies in front of the same origin: the gateway, nginx and Varnish, each as somebody who wants it fast sets it up.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use edge_isr_bench::outcome::Outcome;

use crate::process::{Folder, Server, free_port};

/// A proxy that runs, with the folder of its files.
#[derive(Debug)]
pub struct Proxy {
    pub server: Server,
    /// Where the gateway is administered.
    pub admin: SocketAddr,
    _folder: Folder,
}

/// What the gateway's admin listener asks for.
pub const TOKEN: &str = "peers";

/// What the gateway may store.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_bytes: u64,
    pub max_body_bytes: u64,
}

/// As its settings have them by default.
pub const USUAL: Limits = Limits { max_bytes: 256 << 20, max_body_bytes: 8 << 20 };

/// The gateway in front of an origin.
pub fn gateway(program: &Path, origin: SocketAddr, limits: Limits) -> Outcome<Proxy> {
    let (at, admin, folder) = (free_port()?, free_port()?, Folder::new("gateway")?);
    let Limits { max_bytes, max_body_bytes } = limits;
    // It passes the tags on, as the others do.
    let config = format!(
        "listen = \"{at}\"\norigin = \"http://{origin}\"\npass_tag_headers = true\n\n\
         [cache]\nmax_bytes = {max_bytes}\nmax_body_bytes = {max_body_bytes}\n\n[admin]\nlisten = \"{admin}\"\n"
    );
    let config = folder.write("gateway.toml", &config)?;
    let variables = [("EDGE_ISR_ADMIN_TOKEN", TOKEN)];
    let mut server = Server::start(program, &["--config", &config], &variables, at, Stdio::inherit())?;
    server.wait_for(admin)?;
    Ok(Proxy { server, admin, _folder: folder })
}

/// nginx with `proxy_cache`, its files in memory: one worker, no log. With `keeps_open` it does not open a page's file
/// anew for each hit.
pub fn nginx(origin: SocketAddr, keeps_open: bool) -> Outcome<Proxy> {
    let kept = "open_file_cache max=10000 inactive=600s;\nopen_file_cache_valid 600s;\n";
    let kept = if keeps_open { kept } else { "" };
    let (at, folder) = (free_port()?, Folder::new(if keeps_open { "nginx-open" } else { "nginx" })?);
    let path = folder.path().display();
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {path}/pid;\nerror_log {path}/error.log;\nuser root;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
         access_log off;\nsendfile on;\ntcp_nopush on;\ntcp_nodelay on;\n\
         keepalive_requests 1000000000;\nkeepalive_timeout 600s;\n\
         {kept}\
         client_body_temp_path {path}/body;\nproxy_temp_path {path}/proxy;\nfastcgi_temp_path {path}/fastcgi;\n\
         uwsgi_temp_path {path}/uwsgi;\nscgi_temp_path {path}/scgi;\n\
         proxy_cache_path {path}/cache levels=1:2 keys_zone=pages:64m max_size=1g inactive=1h use_temp_path=off;\n\
         server {{\n\
         listen {at};\n\
         location / {{\n\
         proxy_pass http://{origin};\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n\
         proxy_cache pages;\nproxy_cache_lock on;\n\
         }} }} }}\n"
    );
    let config = folder.write("nginx.conf", &config)?;
    let server =
        Server::start(&program("nginx"), &["-p", &path.to_string(), "-c", &config], &[], at, Stdio::null())?;
    Ok(Proxy { server, admin: at, _folder: folder })
}

/// Varnish with its store in memory.
pub fn varnish(origin: SocketAddr) -> Outcome<Proxy> {
    let (at, folder) = (free_port()?, Folder::new("varnish")?);
    let (host, port) = (origin.ip(), origin.port());
    let vcl = format!("vcl 4.1;\nbackend default {{ .host = \"{host}\"; .port = \"{port}\"; }}\n");
    let vcl = folder.write("default.vcl", &vcl)?;
    let work = folder.path().join("work").to_string_lossy().into_owned();
    let listen = at.to_string();
    // Without the jail, which needs users that may not be there.
    let arguments =
        ["-F", "-j", "none", "-a", &listen, "-f", &vcl, "-n", &work, "-s", "malloc,256m", "-T", "none"];
    let server = Server::start(&program("varnishd"), &arguments, &[], at, Stdio::null())?;
    Ok(Proxy { server, admin: at, _folder: folder })
}

/// Debian keeps both where only root's path leads.
fn program(name: &str) -> PathBuf {
    let sbin = Path::new("/usr/sbin").join(name);
    if sbin.exists() { sbin } else { name.into() }
}

/// The first line of what a program says of its version, on whichever stream.
pub fn version(name: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program(name)).arg(flag).output() else {
        return format!("{name} is not here");
    };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}
