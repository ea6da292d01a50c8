//! What the machine is attached to: interfaces, addresses, routes.
