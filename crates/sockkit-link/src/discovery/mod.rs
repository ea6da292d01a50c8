//! Finding machines on the local network by a name, instead of an address.
//!
//! Multicast DNS (RFC 6762) and DNS service discovery (RFC 6763), by `mdns-sd`, over
//! every interface: no server is asked, and none is needed.
//!
//! ```no_run
//! # mod sockkit { pub use ::sockkit_link as link; }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use sockkit::link::discovery::{Announcement, Announcer, Role, Wanted, lookup};
//!
//! // There: while this is kept, others find it.
//! let at = "tcp://0.0.0.0:5006".parse()?;
//! let announced = Announcer::start(&Announcement::new(Role::Camera, "porch", &at))?;
//!
//! // Here:
//! let wanted = Wanted::Name("porch".to_owned());
//! let porch = lookup(Role::Camera, wanted, Duration::from_secs(3)).await?;
//! println!("{}", porch.address());
//! announced.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it says, and what not
//!
//! **Where a machine is, not whose it is.** Each host on the network can announce each
//! name. A name is a hint where to dial; who answers there has to be proved by
//! something else, such as a key.
//!
//! What is announced: a name, what is offered, a port, the machine's addresses on that
//! network, and [the number of the code](Announcement::code_number) that is shown. If it [has an identity](Announcement::by), also a [`Hint`], by which those who
//! know the identity recognise it, and which is another one each time for all others.

mod announce;
mod browse;
mod collect;
mod error;
mod hint;
mod obstacle;
mod one_shot;
mod record;

pub use self::{
    announce::Announcer,
    browse::{find, lookup},
    collect::{Found, Wanted},
    error::{DiscoveryError, LookupError},
    hint::Hint,
    obstacle::{Obstacle, obstacle},
    record::{Announcement, Role},
};

/// What DNS calls the service.
const SERVICE: &str = "_sockkit._tcp.local.";
