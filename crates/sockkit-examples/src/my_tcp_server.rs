//! The notes' own module, `MyTCPServer.py`: a server in five methods.
//!
//! `sockkit::server` does more in fewer lines; this is what the course builds by
//! hand, with the same names.

use std::{io, net::SocketAddr};

use sockkit::{
    BindError,
    tcp::{Connection, Listener},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that has one client at a time.
#[derive(Debug)]
pub struct MyTcpServer {
    listener: Listener,
    client: Option<Connection>,
}

impl MyTcpServer {
    /// Makes the socket and waits for clients on `port` of every address.
    ///
    /// # Errors
    /// If the port cannot be had.
    pub fn new(port: u16) -> Result<Self, BindError> {
        let listener = Listener::bind(([0, 0, 0, 0], port).into())?;
        Ok(Self {
            listener,
            client: None,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Passes on what the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Takes the next client, in the place of the one before.
    ///
    /// # Errors
    /// What the system says.
    pub async fn accept(&mut self) -> io::Result<SocketAddr> {
        let (client, address) = self.listener.accept().await?;
        self.client = Some(client);
        Ok(address)
    }

    /// Sends all of `message`; whether that went well.
    pub async fn send(&mut self, message: &[u8]) -> bool {
        match &mut self.client {
            Some(client) => client.write_all(message).await.is_ok(),
            None => false,
        }
    }

    /// Waits for the next bytes; nothing once the client has gone.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 1024];
        let bytes = self.client.as_mut()?.read(&mut buffer).await.ok()?;
        buffer.truncate(bytes);
        (bytes > 0).then_some(buffer)
    }

    /// Ends the connection.
    pub fn disconnect(&mut self) {
        self.client = None;
    }
}
