//! The security reference monitor: identifiers, lists, descriptors, tokens, and the checks by them.

mod access_check;
mod access_state;
mod acl;
mod assign;
mod descriptor;
mod exports;
mod object;
mod relative;
pub mod sid;
mod subject;
pub mod token;
mod token_handle;
mod token_information;

/// Adds this component's exports.
pub fn register(ddi: &mut crate::ddi::Registry) {
    access_check::register(ddi);
    access_state::register(ddi);
    acl::register(ddi);
    assign::register(ddi);
    descriptor::register(ddi);
    exports::register(ddi);
    object::register(ddi);
    relative::register(ddi);
    sid::register(ddi);
    subject::register(ddi);
    token::register(ddi);
    token_handle::register(ddi);
    token_information::register(ddi);
}

#[cfg(test)]
mod tests;
