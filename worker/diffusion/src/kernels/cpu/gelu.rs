//! The exact GELU, alone and as the gate of a feed-forward.

use super::rows::{block_of_rows, for_blocks, shape_and_width, tensor, vectorised, with_slice};
use super::{Floats, math};

pub(super) fn exact(x: &Floats) -> Floats {
    let (shape, _) = shape_and_width(x);
    with_slice(x, |x| {
        let mut y = vec![0.0; x.len()];
        let block = block_of_rows(1);
        for_blocks(&mut y, block, |index, y| {
            let x = &x[index * block..][..y.len()];
            vectorised(|| y.iter_mut().zip(x).for_each(|(y, &x)| *y = math::gelu(x)));
        });
        tensor(y, shape)
    })
}

pub(super) fn exact_gradient(x: &Floats, grad: &Floats) -> Floats {
    let (shape, _) = shape_and_width(x);
    with_slice(x, |x| {
        with_slice(grad, |grad| {
            let mut dx = vec![0.0; x.len()];
            let block = block_of_rows(1);
            for_blocks(&mut dx, block, |index, dx| {
                let x = &x[index * block..][..dx.len()];
                let grad = &grad[index * block..][..dx.len()];
                vectorised(|| {
                    for ((dx, &x), &grad) in dx.iter_mut().zip(x).zip(grad) {
                        *dx = grad * math::gelu_and_slope(x).1;
                    }
                });
            });
            tensor(dx, shape)
        })
    })
}

/// Rows `[value, gate]` to `value * gelu(gate)`.
pub(super) fn gated(x: &Floats) -> Floats {
    let (mut shape, width) = shape_and_width(x);
    let half = width / 2;
    if let Some(last) = shape.last_mut() {
        *last = half;
    }
    with_slice(x, |x| {
        let mut y = vec![0.0; x.len() / 2];
        let block = block_of_rows(half);
        for_blocks(&mut y, block, |index, y| {
            let x = &x[index * block * 2..][..y.len() * 2];
            vectorised(|| {
                for (y, x) in y.chunks_exact_mut(half).zip(x.chunks_exact(width)) {
                    let (values, gates) = x.split_at(half);
                    for ((y, &value), &gate) in y.iter_mut().zip(values).zip(gates) {
                        *y = value * math::gelu(gate);
                    }
                }
            });
        });
        tensor(y, shape)
    })
}

pub(super) fn gated_gradient(x: &Floats, grad: &Floats) -> Floats {
    let (shape, width) = shape_and_width(x);
    let half = width / 2;
    with_slice(x, |x| {
        with_slice(grad, |grad| {
            let mut dx = vec![0.0; x.len()];
            let block = block_of_rows(width);
            for_blocks(&mut dx, block, |index, dx| {
                let x = &x[index * block..][..dx.len()];
                let grad = &grad[index * block / 2..][..dx.len() / 2];
                let rows = dx.chunks_exact_mut(width).zip(x.chunks_exact(width));
                vectorised(|| {
                    for ((dx, x), grad) in rows.zip(grad.chunks_exact(half)) {
                        let (values, gates) = x.split_at(half);
                        let (dvalues, dgates) = dx.split_at_mut(half);
                        let inputs = values.iter().zip(gates).zip(grad);
                        let outputs = dvalues.iter_mut().zip(dgates);
                        for ((dvalue, dgate), ((&value, &gate), &grad)) in outputs.zip(inputs) {
                            let (gelu, slope) = math::gelu_and_slope(gate);
                            *dvalue = grad * gelu;
                            *dgate = grad * value * slope;
                        }
                    }
                });
            });
            tensor(dx, shape)
        })
    })
}
