"""lion_tf: Lion as a Keras optimizer on TensorFlow, with the reference's bits in every mode.

Rooms: `optimizer` is the public class; `kernel` the update of one variable, which `fence` keeps XLA
from rewriting, in `operations` with subnormals as the device has them or flushed; `scalars` the
numbers for it, of numbers, schedules and variables; `rounding` stores the results; `checks`
refuses; `declared` finds out where subnormals are flushed; `excluded` tells a config's variables
without a decay; `schedules` has lion_ref's schedules in Keras. A run is taken from other frameworks
and handed on by `run_state`, with the numbers of an optimizer as `hyperparameters` and `groups`,
and from and to Keras's own files by `checkpoints`, of which `stored` has the content, and `paired`
the momentum of each variable. Keras clips, accumulates, averages, distributes and saves.

>>> import keras
>>> from lion_tf import Lion
>>> theta = keras.Variable([1.0, -2.0])
>>> optimizer = Lion(learning_rate=0.5, weight_decay=0.25)
>>> _ = optimizer.apply_gradients([(keras.ops.convert_to_tensor([3.0, 0.0]), theta)])
>>> theta.numpy()
array([ 0.375, -1.75 ], dtype=float32)
"""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"lion_tf is for Keras on TensorFlow, but Keras runs on {keras.backend.backend()!r} here; "
        "legal: KERAS_BACKEND=tensorflow, set before keras is imported; or, in a training loop of "
        "your own, lion_torch.Lion on PyTorch and lion_jax.lion on JAX"
    )

from lion_tf.declared import declared_semantics
from lion_tf.optimizer import Lion
from lion_tf.run_state import export_state, import_state

__all__ = ["Lion", "declared_semantics", "export_state", "import_state"]
