//! A file drop over TLS that keeps nothing on disk: each file of an offer is taken
//! or refused by itself, and what is taken stays in memory.
//!
//! ```console
//! $ openssl req -x509 -newkey ed25519 -nodes -keyout key.pem -out cert.pem \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost
//! $ cargo run --example file_drop
//! ```

use std::{collections::HashMap, error::Error, io, sync::Arc};

use sockkit::{
    file::{
        Digest, Entry, EntryIndex, EntryKind, EntryPath, FileSink, ReceiveConfig, RefuseReason,
        receive, session::Limits,
    },
    server::{Peer, Server, ServerConfig, Stream},
    tcp::Listener,
    tls::{
        Tls,
        rustls::{
            self,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        },
        server::TlsStream,
    },
};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Any rustls configuration: client certificates, ALPN, session tickets.
    let certificates = CertificateDer::pem_file_iter("cert.pem")?.collect::<Result<_, _>>()?;
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, PrivateKeyDer::from_pem_file("key.pem")?)?;
    let (sender, mut inboxes) = mpsc::channel(1);
    let server = serve(Listener::bind("0.0.0.0:7002".parse()?)?, tls, sender)?;
    println!("listening on {}", server.local_addr());
    while let Some(inbox) = inboxes.recv().await {
        for (name, bytes) in &inbox.files {
            println!("{name}: {} bytes", bytes.len());
        }
    }
    Ok(())
}

/// Hands over what each peer has dropped.
pub(crate) fn serve(
    listener: Listener,
    tls: rustls::ServerConfig,
    dropped: mpsc::Sender<Inbox>,
) -> io::Result<Server> {
    let handle = move |stream: TlsStream<Stream>, _: Peer| {
        let dropped = dropped.clone();
        async move {
            // Refused before it is sent: an offer that does not fit into memory.
            let limits = Limits::default().max_total_bytes(64 << 20);
            let incoming = receive(stream, &ReceiveConfig::default().limits(limits)).await?;
            let (_summary, inbox) = incoming.accept_into(Inbox::default()).await?;
            Ok(dropped.send(inbox).await?)
        }
    };
    let config = ServerConfig::default().max_connections(16);
    Server::start_handler(listener, config, Tls::new(Arc::new(tls), handle))
}

/// Pictures of at most eight megabytes.
#[derive(Default)]
pub(crate) struct Inbox {
    arriving: HashMap<EntryIndex, (String, Vec<u8>)>,
    pub(crate) files: HashMap<String, Vec<u8>>,
}

type Taken = Result<(), RefuseReason>;

impl FileSink for Inbox {
    fn accept(&mut self, entry: EntryIndex, path: &EntryPath, offer: &Entry) -> Taken {
        let name = path.to_string();
        if offer.kind != EntryKind::File || !name.ends_with(".jpg") {
            return Err(RefuseReason::Unwanted);
        }
        if offer.size_bytes > 8 << 20 {
            return Err(RefuseReason::TooLarge);
        }
        self.arriving.insert(entry, (name, Vec::new()));
        Ok(())
    }

    /// A block that has been verified.
    fn block(&mut self, entry: EntryIndex, bytes: &[u8]) -> Taken {
        if let Some((_, file)) = self.arriving.get_mut(&entry) {
            file.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn end(&mut self, entry: EntryIndex, _: Option<Digest>) -> Taken {
        self.files.extend(self.arriving.remove(&entry));
        Ok(())
    }
}
