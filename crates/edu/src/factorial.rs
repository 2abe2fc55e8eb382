//! The arithmetic of the factorial unit.

/// `n`! modulo 2³², what the [`FACTORIAL`](crate::registers::FACTORIAL) register reads once a computation is finished.
///
/// 34! is divisible by 2³², so the product is 0 from there on: at most 33 multiplications are made, however large `n` is.
///
/// ```
/// use edu::factorial::factorial_mod_2_32;
///
/// assert_eq!(factorial_mod_2_32(0), 1);
/// assert_eq!(factorial_mod_2_32(12), 479_001_600);
/// assert_eq!(factorial_mod_2_32(13), 1_932_053_504); // 6,227,020,800 − 2³²
/// assert_eq!(factorial_mod_2_32(u32::MAX), 0);
/// ```
#[must_use]
pub const fn factorial_mod_2_32(n: u32) -> u32 {
    let mut product: u32 = 1;
    let mut factor: u32 = 2;
    while factor <= n && product != 0 {
        product = product.wrapping_mul(factor);
        factor += 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::factorial_mod_2_32;

    #[test]
    fn matches_the_full_product_as_far_as_128_bits_reach() {
        let mut product: u128 = 1;
        for n in 0..=33_u32 {
            product *= u128::from(n.max(1));
            let low = u32::try_from(product & 0xFFFF_FFFF).expect("masked to 32 bits");
            assert_eq!(factorial_mod_2_32(n), low, "{n}!");
        }
    }

    #[test]
    fn is_nonzero_up_to_33_and_zero_from_34() {
        assert_ne!(factorial_mod_2_32(33), 0);
        assert!((34..200).all(|n| factorial_mod_2_32(n) == 0));
    }
}
