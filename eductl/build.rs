//! Puts the version resource into eductl.exe.

use version_resource::{Description, EmbedError, Kind, embed};

fn main() -> Result<(), EmbedError> {
    embed(&Description {
        file: "eductl.exe",
        text: "Command line for QEMU's edu device",
        kind: Kind::Program,
    })
}
