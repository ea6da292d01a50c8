//! Pictures to a multicast group of viewers.

use sockkit_codec::shard::Parity;
use sockkit_link::channel::Group;

use super::{
    ingest::now,
    loss,
    message::{NotSent, Outgoing, PICTURE},
    session::Shared,
};

/// Sends a picture to all members, with the parity that those need which the group reaches, or
/// with this one.
pub(super) async fn multicast(
    group: &Group,
    shared: &Shared,
    parity: Option<Parity>,
    picture: &Outgoing,
) {
    hand_over_lossy(group, shared);
    let unicast = group.reached().unicast;
    let parity = parity.unwrap_or_else(|| {
        let figures = shared.figures();
        loss::parity(figures.reports.losses_except(now(), &unicast))
    });
    match group.send(PICTURE, &picture.parts, parity).await {
        Ok(sent) if sent.bytes > 0 => shared.count(sent),
        // There is no viewer.
        Ok(_) => {}
        Err(error) => shared.count_failed(Some(picture.number), &NotSent::from(error)),
    }
}

/// What one member loses is not added to what all get.
fn hand_over_lossy(group: &Group, shared: &Shared) {
    let lossy = shared.figures().reports.hand_over(now());
    for (member, duration) in lossy {
        group.hand_over(member, duration);
    }
}
