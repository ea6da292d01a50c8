//! The block that is being sent.

use std::sync::{Mutex, PoisonError};

use super::super::{GroupError, Layout, bundle::Bundle, repair::Encoder};

/// A block with its parity. Its memory is that of the one before.
#[derive(Default)]
pub(super) struct Loaded {
    block: Option<u32>,
    pub(super) data: Vec<u8>,
    /// Empty until it is needed.
    pub(super) parity: Vec<u8>,
    encoder: Encoder,
}

impl Loaded {
    pub(super) fn has(&self, block: u32, needs_parity: bool) -> bool {
        self.block == Some(block) && !(needs_parity && self.parity.is_empty())
    }

    pub(super) fn load(
        &mut self,
        bundle: &Mutex<Bundle>,
        layout: &Layout,
        block: u32,
        needs_parity: bool,
    ) -> Result<(), GroupError> {
        if self.block != Some(block) {
            self.block = None;
            self.parity.clear();
            let mut bundle = bundle.lock().unwrap_or_else(PoisonError::into_inner);
            bundle.read(block, &mut self.data)?;
            self.block = Some(block);
        }
        if needs_parity {
            (self.encoder).parity(layout, block, &self.data, &mut self.parity);
        }
        Ok(())
    }
}
