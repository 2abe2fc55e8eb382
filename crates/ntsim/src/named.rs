//! Numbers with the names that the headers give them.

/// Constants of a type with one public number in it, and its `known_name`.
macro_rules! named_constants {
    ($type:ident; $($constant:ident = $value:literal $name:literal;)*) => {
        impl $type {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Self = Self($value);
            )*

            /// The header's name for the value, if the model knows it.
            #[must_use]
            pub const fn known_name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use named_constants;
