//! What kind of work a kernel does, by the path of its type.

/// Parts of a path and what they say, the telling ones first: a fused softmax is attention, not a reduction.
const SIGNS: [(&str, &[&str]); 7] = [
    ("attention", &["attention", "softmax"]),
    ("norm", &["norm"]),
    ("convolution", &["conv", "im2col", "col2im"]),
    ("matmul", &["matmul", "gemm", "gemv", "vecmat", "linear"]),
    ("reduce", &["reduce", "argmax", "argmin", "mean", "sum"]),
    (
        "copy",
        &[
            "contiguous",
            "copy",
            "pack",
            "slice",
            "cat",
            "gather",
            "scatter",
            "select",
            "repeat",
            "permute",
            "flip",
            "expand",
            "transpose",
            "full",
            "zeros",
            "interpolate",
        ],
    ),
    (
        "elementwise",
        &[
            "elem",
            "unary",
            "binary",
            "cast",
            "fuse",
            "activation",
            "gelu",
            "silu",
            "mask",
            "clamp",
            "random",
            "scalar",
            "unop",
            "binop",
        ],
    ),
];
const OTHER: &str = "other";

/// `matmul`, `convolution`, `attention`, `norm`, `elementwise`, `copy`, `reduce` or `other`.
pub(super) fn class_of(kernel: &str) -> &'static str {
    // arguments name the types that the work is done on
    let path = kernel.split('<').next().unwrap_or(kernel).to_lowercase();
    let says = |signs: &&[&str]| signs.iter().any(|sign| path.contains(sign));
    SIGNS.iter().find(|(_, signs)| says(signs)).map_or(OTHER, |(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_and_arguments_do_not() {
        for (kernel, class) in [
            ("burn_cubecl::kernel::unary_float::unary_float::UnaryFloat<half::bf16, Matmul>", "elementwise"),
            ("cubek_matmul::routines::launch::matmul_entry::MatmulEntry<Args>", "matmul"),
            ("hopper::matmul::gather", "matmul"),
            ("hopper::pack::for_gradient", "copy"),
            ("cubek_convolution::forward::launch::implicit_conv::ImplicitConv<Rt>", "convolution"),
            ("burn_cubecl_fusion::optim::reduce::kernel::ReduceFuse<R>", "reduce"),
            ("burn_cubecl::kernel::contiguous::into_contiguous_kernel::Copy<f32>", "copy"),
            ("cubek_attention::launch::attention::Attention<A>", "attention"),
            ("likeness_diffusion::kernels::group_norm::GroupNormSilu<f32>", "norm"),
            ("somewhere::Else", "other"),
        ] {
            assert_eq!(class_of(kernel), class, "{kernel}");
        }
    }
}
