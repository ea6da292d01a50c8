//! Plans what would be written, without writing.

use std::{io, sync::Arc};

use super::{
    destination::{Destination, MAX_RENAMES, OnConflict, link_conflict, numbered, refusal},
    folder::{Folder, is_file, size_bytes},
};
use crate::{Entry, EntryKind, EntryPath, Integrity, RawPath, RefuseReason};

/// What would happen to one entry of an offer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Planned {
    /// It would be written to this path, which is free; or it is a folder.
    Write(EntryPath),
    /// It would replace the file at this path.
    Replace(EntryPath),
    /// A file of its size exists at this path and would be kept; the contents
    /// are compared. Or it is a link that already exists.
    Compare(EntryPath),
    /// A file of its size is at this path: it stays if the contents are the same, and
    /// would be replaced otherwise.
    Update(EntryPath),
    /// It would be refused.
    Refuse(RefuseReason),
}

/// Checks the disk without writing anything.
pub(crate) struct Planner {
    root: Arc<Folder>,
    on_conflict: OnConflict,
    integrity: Integrity,
    confuses_names: Option<bool>,
    /// The folder used last, if it exists, because thousands of files may share
    /// it.
    recent: Option<(EntryPath, Option<Folder>)>,
}

impl Planner {
    pub(crate) fn new(destination: &Destination, on_conflict: OnConflict) -> Self {
        Self {
            root: Arc::clone(&destination.root),
            on_conflict,
            integrity: Integrity::default(),
            confuses_names: None,
            recent: None,
        }
    }

    /// As [`Writer::integrity`](super::Writer::integrity).
    pub(crate) fn integrity(mut self, integrity: Integrity) -> Self {
        self.integrity = integrity;
        self
    }

    pub(crate) fn plan(&mut self, path: &EntryPath, entry: &Entry) -> Planned {
        let planned = match &entry.kind {
            EntryKind::Folder => {
                found(self.root.below(path)).map(|_folder| Planned::Write(path.clone()))
            }
            EntryKind::File => self.plan_file(path, entry),
            EntryKind::Link { target } => self.plan_link(path, target),
            _ => return Planned::Refuse(RefuseReason::Kind),
        };
        planned.unwrap_or_else(|error| Planned::Refuse(refusal(path, &error)))
    }

    /// As [`Writer::confuses_names`](super::Writer::confuses_names).
    pub(crate) fn confuses_names(&mut self) -> bool {
        let root = &self.root;
        *self
            .confuses_names
            .get_or_insert_with(|| root.confuses_names().unwrap_or(true))
    }

    fn plan_link(&mut self, path: &EntryPath, target: &RawPath) -> io::Result<Planned> {
        let on_conflict = self.on_conflict;
        let Some(folder) = self.folder_of(path)? else {
            return Ok(Planned::Write(path.clone()));
        };
        if let Some(reason) = link_conflict(folder, path, target, on_conflict)? {
            return Ok(Planned::Refuse(reason));
        }
        let is_there = folder.find(path.file_name())?.is_some();
        Ok(match on_conflict {
            OnConflict::Overwrite if is_there => Planned::Replace(path.clone()),
            OnConflict::Resume if is_there => Planned::Compare(path.clone()),
            OnConflict::Update if is_there => Planned::Update(path.clone()),
            OnConflict::Rename => Planned::Write(match is_there {
                true => free_name(folder, path)?,
                false => path.clone(),
            }),
            _ => Planned::Write(path.clone()),
        })
    }

    fn plan_file(&mut self, path: &EntryPath, entry: &Entry) -> io::Result<Planned> {
        let on_conflict = self.on_conflict;
        let has_digests = self.integrity != Integrity::Unverified;
        let Some(folder) = self.folder_of(path)? else {
            return Ok(Planned::Write(path.clone()));
        };
        let Some(there) = folder.find(path.file_name())? else {
            return Ok(Planned::Write(path.clone()));
        };
        if !is_file(&there) {
            return Ok(Planned::Refuse(RefuseReason::InTheWay));
        }
        let is_as_long = size_bytes(&there) == Some(entry.size_bytes);
        Ok(match on_conflict {
            OnConflict::Refuse => Planned::Refuse(RefuseReason::Exists),
            OnConflict::Resume if !has_digests => Planned::Refuse(RefuseReason::Exists),
            OnConflict::Update if is_as_long && has_digests => Planned::Update(path.clone()),
            OnConflict::Overwrite | OnConflict::Update => Planned::Replace(path.clone()),
            OnConflict::Rename => Planned::Write(free_name(folder, path)?),
            OnConflict::Resume if is_as_long => Planned::Compare(path.clone()),
            OnConflict::Resume => Planned::Refuse(RefuseReason::Differs),
        })
    }

    /// The folder that would contain the file; `None` if it would have to be
    /// created.
    fn folder_of(&mut self, path: &EntryPath) -> io::Result<Option<&Folder>> {
        let Some(parent) = path.parent() else {
            return Ok(Some(&self.root));
        };
        if self
            .recent
            .as_ref()
            .is_none_or(|(recent, _)| *recent != parent)
        {
            let folder = found(self.root.below(&parent))?;
            self.recent = Some((parent, folder));
        }
        Ok(self
            .recent
            .as_ref()
            .and_then(|(_path, folder)| folder.as_ref()))
    }
}

fn found(opened: io::Result<Folder>) -> io::Result<Option<Folder>> {
    match opened {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn free_name(folder: &Folder, path: &EntryPath) -> io::Result<EntryPath> {
    for number in 1..=MAX_RENAMES {
        let free = numbered(path, number)?;
        if folder.find(free.file_name())?.is_none() {
            return Ok(free);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
