//! The requests that the drivers of the scenarios about stacks know.

#[path = "../drivers/bare-storey/src/protocol.rs"]
pub mod bare;
#[path = "../drivers/careless-storey/src/protocol.rs"]
pub mod careless;
#[path = "../drivers/holds-requests/src/protocol.rs"]
pub mod holder;
#[path = "../drivers/upper-storey/src/protocol.rs"]
pub mod upper;
