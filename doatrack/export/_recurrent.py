"""A recurrent layer as ONNX has it."""

import torch
from torch import Tensor, nn

__all__ = ["ExportableGRU"]


class ExportableGRU(nn.Module):
    """The same answers as a gated recurrent unit of torch; traced, it becomes ONNX's operator.

    Torch's exporter would fix the number of time steps.

    Parameters
    ----------
    gru : torch.nn.GRU
        With `batch_first`, in one direction, of any number of layers.

    Examples
    --------
    >>> gru = nn.GRU(4, 3, num_layers=2, batch_first=True)
    >>> x = torch.randn(2, 5, 4)
    >>> bool((ExportableGRU(gru)(x)[0] == gru(x)[0]).all())
    True
    """

    def __init__(self, gru: nn.GRU) -> None:
        super().__init__()
        self._known = [gru]  # in a list: no part of the traced module
        for layer in range(gru.num_layers):
            for name in ("weight_ih", "weight_hh"):
                self.register_buffer(f"{name}_{layer}", _reordered(getattr(gru, f"{name}_l{layer}"))[None])
            biases = [_reordered(getattr(gru, f"{name}_l{layer}")) for name in ("bias_ih", "bias_hh")]
            self.register_buffer(f"bias_{layer}", torch.cat(biases)[None])

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return the last layer's output (n_rows, n_steps, width), and nothing in place of the state."""
        gru = self._known[0]
        if not torch.compiler.is_compiling():
            return gru(x)[0], None
        hidden = x.transpose(0, 1)
        for layer in range(gru.num_layers):
            weights = [getattr(self, f"{name}_{layer}") for name in ("weight_ih", "weight_hh", "bias")]
            hidden = torch.onnx.ops.symbolic(
                "GRU",
                (hidden, *weights),
                attrs={"hidden_size": gru.hidden_size, "linear_before_reset": 1},
                dtype=x.dtype,
                shape=(hidden.shape[0], 1, hidden.shape[1], gru.hidden_size),
                version=14,
            )[:, 0]
        return hidden.transpose(0, 1), None


def _reordered(weight: Tensor) -> Tensor:
    """Return rows of the gates reset, update, new as ONNX wants them: update, reset, new."""
    reset, update, new = weight.detach().chunk(3)
    return torch.cat([update, reset, new])
