//! Members of a transfer: admission, what they say, what they fetch, how they end.

use std::{net::IpAddr, ops::Range, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};

use super::{
    super::{
        GroupEvent, MemberId, MemberOutcome, MemberSummary, NewMember, ToMember, ToSender,
        member::{self, CLOSING},
        patience::Patience,
    },
    Sending,
};
use crate::session::Abort;

pub(super) struct Member {
    label: String,
    pub(super) task: member::Handle,
    pub(super) ready: bool,
    pub(super) hears: bool,
    fetching: bool,
    fetched_bytes: u64,
    pub(super) patience: Patience,
    pub(super) ended: bool,
    /// Its place in the roster.
    place: usize,
    address: Option<IpAddr>,
}

impl Sending {
    pub(super) fn admit<S>(&mut self, member: NewMember<S>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let NewMember {
            stream,
            label,
            key,
            address,
        } = member;
        self.next_id += 1;
        let id = MemberId(self.next_id);
        let task = member::spawn(
            stream,
            id,
            self.to_events.clone(),
            Arc::clone(&self.offer.bundle),
            ToSender::max_bytes(self.offer.layout.blocks()),
        );
        task.greet(Arc::clone(&self.greeting));
        if self.over {
            task.tell(ToMember::Over);
        }
        let now = Instant::now().into_std();
        let place = self.roster.admit(label.clone(), key, now);
        // Of those that have ended, the roster is all that is needed.
        self.members
            .retain(|_, member| !member.ended || !member.task.has_ended());
        self.members.insert(
            id,
            Member {
                label,
                task,
                ready: false,
                hears: true,
                fetching: false,
                fetched_bytes: 0,
                patience: Patience::new(now),
                ended: false,
                place,
                address,
            },
        );
    }

    pub(super) fn on_event(&mut self, id: MemberId, event: member::Event) {
        if let (member::Event::Said(_), Some(member)) = (&event, self.members.get(&id)) {
            self.roster.heard(member.place, Instant::now().into_std());
        }
        let handled = match event {
            member::Event::Said(ToSender::Ready) => self.on_ready(id),
            member::Event::Said(ToSender::Report { round, lacks }) => {
                let reported = self.protocol.on_report(id, round, lacks);
                reported.map_err(|_| "a report that makes no sense")
            }
            member::Event::Said(ToSender::Fetch { block, ranges }) => {
                self.on_fetch(id, block, ranges)
            }
            member::Event::Said(ToSender::Done { without }) => {
                let outcome = match without {
                    0 => MemberOutcome::Complete,
                    files => MemberOutcome::Without(files),
                };
                if let Some(member) = self.members.get(&id) {
                    member.task.tell(ToMember::Finished);
                }
                self.end(id, outcome);
                Ok(())
            }
            member::Event::Said(ToSender::Working) => Ok(()),
            member::Event::Said(ToSender::Abort(reason)) => {
                self.end(id, MemberOutcome::Failed(reason.to_string()));
                Ok(())
            }
            member::Event::Said(ToSender::Hello(_)) => Err("it said hello again"),
            member::Event::Served => {
                self.touch(id);
                if let Some(member) = self.members.get_mut(&id) {
                    member.fetching = false;
                }
                Ok(())
            }
            member::Event::Gone(why) => {
                self.end(id, MemberOutcome::Failed(why));
                Ok(())
            }
        };
        if let Err(why) = handled {
            self.end(id, MemberOutcome::Failed(why.to_owned()));
        }
    }

    fn touch(&mut self, id: MemberId) {
        if let Some(member) = self.members.get_mut(&id) {
            member.patience.on_progress(Instant::now().into_std());
        }
    }

    fn on_ready(&mut self, id: MemberId) -> Result<(), &'static str> {
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.ended) else {
            return Ok(());
        };
        if !member.ready {
            member.ready = true;
            // Its user had to answer first.
            member.patience = Patience::new(Instant::now().into_std());
            self.protocol.join(id, member.address);
            let member = member.label.clone();
            self.config.on_event.tell(GroupEvent::Ready { member });
        }
        Ok(())
    }

    fn on_fetch(
        &mut self,
        id: MemberId,
        block: u32,
        ranges: Vec<Range<u16>>,
    ) -> Result<(), &'static str> {
        self.touch(id);
        let shards = self.offer.layout.data_shards(block);
        if ranges.is_empty() || ranges.iter().any(|range| range.end > shards) {
            return Err("it asked for shards that are not there");
        }
        let count: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        let bytes = (count * self.offer.layout.shard_bytes()) as u64;
        let limit = MAX_FETCHES * (self.offer.layout.total_bytes() + bytes);
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.ended) else {
            return Ok(());
        };
        if member.fetching || !member.ready {
            return Err("it asked for more before it had an answer");
        }
        member.fetched_bytes += bytes;
        if member.fetched_bytes > limit {
            return Err("it asked for the same again and again");
        }
        member.fetching = true;
        if !self.over && std::mem::take(&mut member.hears) {
            self.protocol.leave(id);
            let member = member.label.clone();
            self.config.on_event.tell(GroupEvent::Deaf { member });
        }
        self.fetches.push_back((id, block, ranges));
        Ok(())
    }

    fn end(&mut self, id: MemberId, outcome: MemberOutcome) {
        self.protocol.leave(id);
        self.fetches.retain(|(fetching, ..)| *fetching != id);
        let Some(member) = self.members.get_mut(&id).filter(|member| !member.ended) else {
            return;
        };
        member.ended = true;
        match outcome {
            MemberOutcome::Failed(_) => member.task.cut(),
            _ => member.task.finish(),
        }
        let summary = MemberSummary {
            label: member.label.clone(),
            outcome,
        };
        self.roster.end(member.place, summary.outcome.clone());
        let event = GroupEvent::Ended { member: summary };
        self.config.on_event.tell(event);
    }

    /// Tells the members why it ends, and waits until they have read it: closing earlier
    /// could discard it.
    pub(super) async fn stop(&mut self, reason: Abort) {
        for member in self.members.values_mut().filter(|member| !member.ended) {
            member.task.tell(ToMember::Abort(reason));
            member.task.hang_up();
        }
        let leaving = async {
            while self.members.values().any(|member| !member.ended)
                && let Some((id, event)) = self.events.recv().await
            {
                match event {
                    member::Event::Gone(_) => self.end(id, stopped()),
                    event => self.on_event(id, event),
                }
            }
        };
        let _ = timeout(CLOSING, leaving).await;
        let open = self.members.iter().filter(|(_, member)| !member.ended);
        let open: Vec<_> = open.map(|(id, _)| *id).collect();
        open.into_iter().for_each(|id| self.end(id, stopped()));
    }

    /// Hands fetches to the members' tasks; few while the group is being sent to.
    pub(super) fn serve(&mut self) {
        let is_sending = self.started && !self.over;
        while let Some((id, block, ranges)) = self.fetches.front() {
            let allowed = self.summary.multicast_bytes / FETCH_SHARE + FETCH_BURST_BYTES;
            if is_sending && self.summary.fetched_bytes >= allowed {
                return;
            }
            let count: usize = ranges.iter().map(ExactSizeIterator::len).sum();
            let bytes = (count * self.offer.layout.shard_bytes()) as u64;
            self.summary.fetched_bytes += bytes;
            if let Some(member) = self.members.get(id) {
                member.task.serve(*block, ranges.clone());
            }
            self.fetches.pop_front();
        }
    }

    /// After the end, members that take too long are given up.
    pub(super) fn give_up_slow(&mut self) {
        if !self.over {
            return;
        }
        // The last that members do is to write everything to their files.
        let writing = self.offer.layout.total_bytes() / WRITTEN_BYTES_A_SECOND;
        let max_idle = MAX_IDLE + Duration::from_secs(writing);
        let now = Instant::now().into_std();
        let exhausted = |member: &Member| {
            let patience = &member.patience;
            patience.exhausted(now, max_idle, member.fetched_bytes)
        };
        let slow: Vec<_> = (self.members.iter())
            .filter(|(_, member)| !member.ended)
            .filter_map(|(id, member)| Some((*id, exhausted(member)?)))
            .collect();
        for (id, why) in slow {
            self.end(id, MemberOutcome::Failed(why));
        }
    }
}

fn stopped() -> MemberOutcome {
    MemberOutcome::Failed("the transfer was stopped here".to_owned())
}

const MAX_IDLE: Duration = Duration::from_secs(60);
/// That of a slow disk.
const WRITTEN_BYTES_A_SECOND: u64 = 10_000_000;
/// While the group is being sent to, a 25th as much may be fetched.
const FETCH_SHARE: u64 = 25;
const FETCH_BURST_BYTES: u64 = 256 << 10;
/// A member may fetch everything so many times: twice because of forged shards.
const MAX_FETCHES: u64 = 3;
