//! Files to and from a browser that has nothing but a browser.
//!
//! A [`DownloadPage`] gives files, an [`UploadPage`] takes them. Both are HTTP
//! routes at a [secret path](SecretPath), for any axum router; [`WebServer`] serves
//! them with limits. Without the secret every request gets 404.
//!
//! What is taken goes through the same store as any other transfer: the same rules
//! for names, the same policy for existing files, and nothing outside the folder.
//!
//! ```no_run
//! # mod sockkit { pub use ::sockkit_file as file; }
//! use sockkit::file::{FileSet, SendConfig, web::{DownloadPage, WebHandler, WebServer}};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let page = DownloadPage::new(FileSet::gather(["film.mkv"])?, &SendConfig::default())?;
//! let server = WebServer::bind("192.168.1.20:8089".parse()?, WebHandler::new(page.router()))?;
//! println!("http://{}{}", server.local_addr(), page.path());
//! let summary = page.finished().await;
//! server.shutdown().await;
//! assert!(summary.is_complete());
//! # Ok(())
//! # }
//! ```

mod access;
mod digest;
mod download;
mod page;
mod range;
mod secret;
mod server;
mod upload;

pub use self::{
    download::DownloadPage,
    secret::SecretPath,
    server::{WebHandler, WebServer},
    upload::{UploadOffer, UploadPage},
};
