//! The course's own module, `MyTCPServer.py`: a server in five methods.
//!
//! `sockkit::server` does more in fewer lines; this is the class that the
//! course builds, with the same names.

use std::{io, net::SocketAddr};

use sockkit::{
    BindError,
    tcp::{Connection, Listener},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server with one client at a time.
#[derive(Debug)]
pub struct MyTcpServer {
    listener: Listener,
    client: Option<Connection>,
}

impl MyTcpServer {
    /// Creates the socket and listens on `port` of every address.
    ///
    /// # Errors
    /// If the port cannot be bound.
    pub fn new(port: u16) -> Result<Self, BindError> {
        let listener = Listener::bind(([0, 0, 0, 0], port).into())?;
        Ok(Self {
            listener,
            client: None,
        })
    }

    /// The local address.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts the next client, replacing the previous one.
    ///
    /// # Errors
    /// The operating system's error.
    pub async fn accept(&mut self) -> io::Result<SocketAddr> {
        let (client, address) = self.listener.accept().await?;
        self.client = Some(client);
        Ok(address)
    }

    /// Sends the whole `message`. Returns whether that succeeded.
    pub async fn send(&mut self, message: &[u8]) -> bool {
        match &mut self.client {
            Some(client) => client.write_all(message).await.is_ok(),
            None => false,
        }
    }

    /// Waits for data; returns `None` if the client has disconnected.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 1024];
        let bytes = self.client.as_mut()?.read(&mut buffer).await.ok()?;
        buffer.truncate(bytes);
        (bytes > 0).then_some(buffer)
    }

    /// Closes the connection.
    pub fn disconnect(&mut self) {
        self.client = None;
    }
}
