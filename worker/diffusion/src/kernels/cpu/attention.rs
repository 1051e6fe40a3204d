//! Attention by pieces of the queries: no more than a piece's scores is ever there, and none is kept for the gradient, which works
//! them out anew.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;

use super::Floats;
use super::rows::shape;
use super::softmax::Softmax;
use crate::kernels::Weighing;

/// Scores of a piece, at most; a piece has one query at least.
const SCORES: usize = 1 << 22;

#[derive(Debug, Clone)]
pub(super) struct AttentionOp {
    /// `[batch, heads, n, width]`.
    pub(super) query: Floats,
    /// `[batch, heads, m, width]`.
    pub(super) key: Floats,
    /// `[batch, heads, m, width]`.
    pub(super) value: Floats,
    pub(super) weighing: Weighing,
}

impl AttentionOp {
    pub(super) fn forward(&self) -> Floats {
        let attended = self.pieces().map(|piece| {
            let probabilities = self.probabilities(&self.queries(&piece), &piece);
            Flex::float_matmul(probabilities, self.value.clone())
        });
        joined(attended.collect())
    }

    /// The gradients of queries, keys and values.
    pub(super) fn gradients(&self, grad: &Floats) -> (Floats, Floats, Floats) {
        let mut of_query = Vec::new();
        let (mut of_key, mut of_value) = (None, None);
        for piece in self.pieces() {
            let (query, grad) = (self.queries(&piece), grad.narrow(2, piece.start, piece.len()));
            let probabilities = self.probabilities(&query, &piece);
            let of_probabilities = Flex::float_matmul(grad.clone(), self.value.transpose(2, 3));
            let of_scores = self.softmax(&piece).gradient(&probabilities, &of_probabilities);
            add_to(&mut of_value, Flex::float_matmul(probabilities.transpose(2, 3), grad));
            add_to(&mut of_key, Flex::float_matmul(of_scores.transpose(2, 3), query));
            of_query.push(Flex::float_matmul(of_scores, self.key.clone()));
        }
        let nothing = || Floats::zeros(self.key.layout().shape().clone(), self.key.dtype());
        (joined(of_query), of_key.unwrap_or_else(nothing), of_value.unwrap_or_else(nothing))
    }

    fn probabilities(&self, query: &Floats, piece: &Range<usize>) -> Floats {
        let scores = Flex::float_matmul(query.clone(), self.key.transpose(2, 3));
        self.softmax(piece).probabilities(&scores)
    }

    fn softmax(&self, piece: &Range<usize>) -> Softmax {
        let causal = self.weighing.causal.then_some((piece.start, piece.len()));
        Softmax { scale: self.weighing.scale as f32, causal }
    }

    fn queries(&self, piece: &Range<usize>) -> Floats {
        self.query.narrow(2, piece.start, piece.len())
    }

    /// Runs of queries.
    fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        let sizes = shape(&self.query);
        let (rows, keys) = (sizes[0] * sizes[1], shape(&self.key)[2]);
        let queries = sizes[2];
        let piece = (SCORES / (rows * keys).max(1)).clamp(1, queries.max(1));
        (0..queries).step_by(piece).map(move |first| first..(first + piece).min(queries))
    }
}

/// Pieces of the queries, one after another.
fn joined(mut pieces: Vec<Floats>) -> Floats {
    match pieces.len() {
        1 => pieces.remove(0),
        _ => Flex::float_cat(pieces, 2),
    }
}

fn add_to(sum: &mut Option<Floats>, term: Floats) {
    *sum = Some(match sum.take() {
        Some(sum) => Flex::float_add(sum, term),
        None => term,
    });
}
