//! The sources: what is typed for each, and what receives from it.

use std::{net::IpAddr, path::PathBuf};

use anyhow::ensure;
use sockkit::{
    interfaces::InterfaceSelector,
    link::{Address, Scheme},
    sink::web::WebStream,
    stream::Receiver,
};

use crate::{
    address::PICTURES_PORT,
    cam::{PUSHED, VIEWERS},
    find, incoming, key,
    link::say_plain,
    remote::{self, Remote, bare_name},
    routed,
    say::say,
    secure::{self, Secure, Shown},
};

/// Options for all sources.
pub(super) struct Wishes {
    pub(super) interface: Option<InterfaceSelector>,
    pub(super) from: Option<IpAddr>,
    pub(super) key: Option<PathBuf>,
    pub(super) routers: routed::Options,
    pub(super) secure: secure::Security,
    /// Whether others can be watched while a camera cannot be reached.
    pub(super) are_several: bool,
}

/// A source as it is typed.
#[derive(Clone, Debug)]
pub(super) struct Named {
    name: Option<String>,
    camera: Remote,
}

pub(super) fn named(text: &str) -> anyhow::Result<Named> {
    let (name, camera) = match text.split_once('=') {
        Some((name, camera)) => (Some(name.to_owned()), camera),
        None => (None, text),
    };
    let camera = remote::pictures(camera)?;
    Ok(Named { name, camera })
}

/// A source that is received.
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) url: Address,
    pub(super) receiver: Receiver,
    /// The code that a sender pairs by, if this side listens for one.
    pub(super) code: Option<Shown>,
}

impl Watched {
    pub(super) fn stream(&self) -> WebStream {
        let pictures = self.receiver.pictures();
        let stream = WebStream::new(&self.name, pictures).stats(self.receiver.stats());
        match self.receiver.connection_state() {
            Some(link) => stream.connection_state(link),
            None => stream,
        }
    }
}

/// Opens them in order; one without a name is called by its number.
pub(super) async fn open_all(all: Vec<Named>, wishes: &Wishes) -> anyhow::Result<Vec<Watched>> {
    let mut opened = Vec::new();
    for (number, named) in (1..).zip(all) {
        if let Remote::Address(router) = &named.camera
            && router.scheme() == Scheme::Zenoh
        {
            opened.extend(open_routed(router, named.name, wishes).await?);
            continue;
        }
        let (url, receiver) = open(&named.camera, wishes).await?;
        let name = named.name.unwrap_or_else(|| match number {
            1 => "view".to_owned(),
            _ => format!("view-{number}"),
        });
        opened.push(Watched {
            name,
            url,
            receiver,
            code: None,
        });
    }
    Ok(opened)
}

/// Begins to receive from all cameras at a router whose names match.
async fn open_routed(
    router: &Address,
    name: Option<String>,
    wishes: &Wishes,
) -> anyhow::Result<Vec<Watched>> {
    wishes.secure.check_unused(router)?;
    wishes.secure.check_sealed(router, wishes.key.is_some())?;
    ensure!(
        wishes.from.is_none() && wishes.interface.is_none(),
        "--from and --interface are for udp:// only"
    );
    let key = wishes.key.as_deref().map(key::load).transpose()?;
    if key.is_none() {
        say_plain(router.scheme());
    }
    let channels = routed::subscribe(router, key, &wishes.routers).await?;
    let is_one = channels.len() == 1;
    let watched = channels.into_iter().map(|channel| {
        let url = channel.address();
        say!("watching  {url}");
        let name = name.clone().filter(|_| is_one);
        Watched {
            name: name.unwrap_or_else(|| routed::page_name(&url)),
            url,
            receiver: Receiver::new(channel),
            code: None,
        }
    });
    Ok(watched.collect())
}

/// Finds a camera, and begins to receive from it.
async fn open(camera: &Remote, wishes: &Wishes) -> anyhow::Result<(Address, Receiver)> {
    if let Some(at) = wishes.received_at(camera) {
        wishes.secure.check_unused(at)?;
        return incoming::open(at, wishes.of(None)).await;
    }
    let secure = wishes.secure.dial(VIEWERS, camera).await?;
    let url = find::locate(VIEWERS.seeks, camera, secure.as_ref()).await?;
    if url.group().is_some() {
        wishes.secure.check_sealed(&url, false)?;
    }
    incoming::open(&url, wishes.of(secure)).await
}

/// Listens for a camera that sends to this machine.
pub(super) async fn listen(at: &Address, wishes: &Wishes) -> anyhow::Result<Watched> {
    let (receiver, code) = if wishes.connects_not() {
        wishes.secure.check_unused(at)?;
        (incoming::open(at, wishes.of(None)).await?.1, None)
    } else {
        let secure = wishes.secure.listen(PUSHED).await?;
        incoming::listen(at, wishes.of(secure)).await?
    };
    Ok(Watched {
        name: "view".to_owned(),
        url: receiver.address().clone(),
        receiver,
        code,
    })
}

impl Wishes {
    /// Whether datagrams are received without a connection to their sender.
    fn connects_not(&self) -> bool {
        self.secure.is_plain() || self.key.is_some()
    }

    /// The address to receive at, if `camera` is one and no name of a camera.
    fn received_at<'a>(&self, camera: &'a Remote) -> Option<&'a Address> {
        match camera {
            Remote::Address(at)
                if at.scheme() == Scheme::Udp && bare_name(at, PICTURES_PORT).is_none() =>
            {
                self.connects_not().then_some(at)
            }
            _ => None,
        }
    }

    fn of(&self, secure: Option<Secure>) -> incoming::Wishes {
        // A code is shown by a camera that is there, and each attempt uses it up.
        let has_code = secure.as_ref().is_some_and(Secure::has_code);
        incoming::Wishes {
            may_be_away: self.are_several && !has_code,
            interface: self.interface.clone(),
            from: self.from,
            key: self.key.clone(),
            secure,
        }
    }
}
