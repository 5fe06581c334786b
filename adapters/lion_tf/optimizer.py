"""Lion as a keras.optimizers.Optimizer: what Keras gives is used, and its roundings replaced."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from lion_ref.hyperparameters import in_unit_interval
from lion_ref.subnormals import SubnormalsChoice, check_subnormals
from lion_tf.checks import check_gradients, is_known
from lion_tf.declared import check_kept, keeps
from lion_tf.excluded import Excluded, UntoldError, check_config, searched_name
from lion_tf.kernel import update
from lion_tf.scalars import (
    Scalars,
    Schedule,
    as_held,
    check_finite,
    check_values,
    number_or_schedule,
    scalars_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lion_tf.fence import Tensor


@keras.saving.register_keras_serializable(package="lion_tf")
class Lion(keras.optimizers.Optimizer):
    """Lion with the bits of `lion_ref.step`, in eager mode, `tf.function`, XLA and `model.fit`.

        u  = sign(β1·m + (1-β1)·g)
        θ' = θ - η·(u + λ·θ)
        m' = β2·m + (1-β2)·g

    for every variable θ, its momentum m and its gradient g, all of one shape.

    **Roundings** (SPEC C3 to C9). a = β1⊗m, b = (1-β1)⊗g, c = a⊕b, u = sign(c); d = λ⊗θ,
    s = u⊕d, e = η⊗s, θ' = θ⊖e; x = β2⊗m, y = (1-β2)⊗g, m' = x⊕y: each one IEEE 754 operation in
    float64 for a float64 variable, else in float32. 1-β is formed in binary64. θ' and m' are
    rounded once more, to the variable's dtype, which m shares. Subnormals are flushed where XLA
    flushes them: on a CPU (`declared_semantics`); with `subnormals="flush"` on a GPU too, as by
    every adapter (SPEC C33).

    **What keras.optimizers.Lion does otherwise**, and this class overrides:

    - Keras subtracts (θ·λ)·η from θ before the step and rounds in between; here the decay is part
      of the step, λ·θ of the old θ.
    - Keras rounds η, β and λ to the variable's dtype and forms 1-β there: in bfloat16, 1-β2 comes
      out 17% too high. Here all six scalars are rounded once, to the compute dtype.
    - Keras rounds every operation to the variable's dtype, and the gradient beforehand. Here
      half-precision variables are updated in float32 and rounded once; a gradient may be wider
      than its variable, up to the compute dtype, and is not rounded.
    - Under XLA, Keras' products and sums are contracted into fused multiply-adds.
    - sign(-0) is -0 there and +0 here.

    The learning rate is held in float32 as Keras does, or in float64 once the optimizer is built
    for a float64 variable. A schedule's η is what the schedule returns; under XLA, the schedule's
    own arithmetic may be contracted.

    **Gradients** that come as `IndexedSlices` (embeddings) stand for a dense gradient whose other
    rows are zero and whose repeated rows are summed: the momentum of *every* row decays, and
    every row with a momentum moves.

    Args:
        learning_rate: η: a number, a `lion_ref.schedules.Schedule` or a LearningRateSchedule of the
            steps done, or a callable without arguments.
        beta_1: β1 in [0, 1).
        beta_2: β2 in [0, 1).
        weight_decay: λ, decoupled and scaled by η: a number, None for 0, or, unlike in Keras, a
            schedule or a callable as above.
        clipnorm: Keras': clip each gradient to this norm.
        clipvalue: Keras': clip each element of the gradients to this magnitude.
        global_clipnorm: Keras': clip all gradients together to this norm.
        use_ema: Keras': keep a moving average of the variables.
        ema_momentum: Keras': its momentum.
        ema_overwrite_frequency: Keras': overwrite the variables by the average every so often.
        loss_scale_factor: Keras': the loss is multiplied by it, the gradients divided.
        gradient_accumulation_steps: Keras': update with the mean gradient every so many steps.
        name: the optimizer's name.
        subnormals: "native": as XLA treats them on the variable's device; "flush": flushed on every
            device (SPEC C18), at no cost on a CPU; "keep": kept, not on a CPU.

    Raises:
        TypeError: a scalar that is no real number; a gradient wider than the compute dtype, or one
            or a variable that is not float16, bfloat16, float32 or float64; a gradient, or a part
            of IndexedSlices, that no tensor can be made of; indices that are no integers.
        ValueError: η or λ negative or not finite, β outside [0, 1), gradient and variable of
            different shapes, an index of IndexedSlices that is no row of the variable, `iterations`
            negative; a variable that a config excludes from the decay and that cannot be told; a
            config that `get_config` does not give; a choice of subnormals that there is not; "keep"
            where TensorFlow's default device is a CPU, or for a variable on one. A refused step
            changes nothing. η and λ from a schedule, `iterations` and indices that are not constant
            are checked in eager mode only.
        tf.errors.InvalidArgumentError: in a graph, a gradient whose shape is known only as the
            graph runs, and then differs from the variable's. Nothing is changed either.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(optimizer=Lion(1e-3, weight_decay=0.1), loss="mse")
    >>> Lion(-1.0)
    Traceback (most recent call last):
        ...
    ValueError: learning_rate=-1.0 is not legal; legal: a finite number >= 0
    """

    _learning_rate: Any  # Keras': a variable, a schedule or a callable
    _excluded = Excluded()
    # What a config says, until there are variables to find; behind a call, as Keras tracks dicts.
    _excluded_config: Callable[[], Mapping[str, Any]] | None = None
    _traced = False  # whether a graph has β1, β2 and λ among its constants

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: Any = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        subnormals: SubnormalsChoice = "native",
        **kwargs: Any,
    ) -> None:
        learning_rate = number_or_schedule("learning_rate", learning_rate)
        check_kept(check_subnormals(subnormals), None)
        with np.errstate(over="ignore"):  # `build` refuses what no variable's dtype can hold
            super().__init__(
                learning_rate=learning_rate,
                name=name,
                weight_decay=weight_decay,
                clipnorm=clipnorm,
                clipvalue=clipvalue,
                global_clipnorm=global_clipnorm,
                use_ema=use_ema,
                ema_momentum=ema_momentum,
                ema_overwrite_frequency=ema_overwrite_frequency,
                loss_scale_factor=loss_scale_factor,
                gradient_accumulation_steps=gradient_accumulation_steps,
                **kwargs,
            )
        self.subnormals = subnormals
        self._last_learning_rate = learning_rate
        if isinstance(learning_rate, float):  # which Keras has put into a variable by itself
            self.learning_rate = learning_rate
        self.beta_1 = in_unit_interval("beta_1", beta_1)
        self.beta_2 = in_unit_interval("beta_2", beta_2)

    @property
    def learning_rate(self) -> Any:
        """η at this step: a variable, or what the schedule or callable returns."""
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        value = number_or_schedule("learning_rate", value)
        if self.built:
            check_finite("learning_rate", value, self._trainable_variables)
        with np.errstate(over="ignore"):
            held = value
            if isinstance(self._learning_rate, keras.Variable):
                held = self._as_held(value, self._learning_rate.dtype)
            keras.optimizers.Optimizer.learning_rate.fset(self, held)
        self._last_learning_rate = value

    @property
    def weight_decay(self) -> Any:
        """λ as it was given: a number, None, a schedule or a callable."""
        return self._weight_decay

    @weight_decay.setter
    def weight_decay(self, value: Any) -> None:
        self._weight_decay = None if value is None else number_or_schedule("weight_decay", value)

    def build(self, var_list: Sequence[Any]) -> None:
        """Create a momentum for each variable."""
        if self.built:
            return
        check_finite("learning_rate", self._last_learning_rate, var_list)
        check_finite("weight_decay", self.weight_decay, var_list)
        for device in self._devices(var_list) if self.subnormals == "keep" else ():
            check_kept("keep", device)
        if self._excluded_config and var_list:  # Keras builds what it loads from .h5 for none
            with suppress(UntoldError):  # `apply` refuses: a file must stay one that can be loaded
                self._exclude(Excluded.found(self._excluded_config(), var_list))
        if any(tf.as_dtype(variable.dtype) == tf.float64 for variable in var_list):
            self._widen_learning_rate("float64")
        elif tf.as_dtype(keras.config.floatx()).size < tf.float32.size:
            self._widen_learning_rate("float32")
        # Initial values must not wait for what `apply` waits for: TensorFlow lifts them out of it.
        with tf.control_dependencies(None):
            super().build(var_list)
            self._momentums = self.add_optimizer_variables(var_list, "momentum")

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """Update the variables; refuse what is not legal before anything is changed."""
        gradients = given = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            gradients = check_gradients(given, trainable_variables)
        elif self.built and len(given) == len(self._trainable_variables):
            gradients = check_gradients(given, self._trainable_variables)
        variables = self._trainable_variables if self.built else trainable_variables
        if self._excluded_config and variables:
            Excluded.found(self._excluded_config(), variables)
        # In a graph, nothing else orders the checks that are left for the run before the writes.
        late = [
            new
            for new, old in zip(gradients, given, strict=True)
            if new is not old and not is_known(old)
        ]
        with tf.control_dependencies(late):
            super().apply(gradients, trainable_variables)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its momentum, in place."""
        scalars = learning_rate
        if not isinstance(scalars, Scalars):
            scalars = self._scalars(learning_rate, [variable])
        if not self._use_weight_decay(variable):
            scalars = scalars._replace(weight_decay=tf.zeros_like(scalars.weight_decay))
        update(
            variable.handle,
            self._beside(variable).handle,
            tf.convert_to_tensor(gradient),
            scalars,
            tf.as_dtype(variable.dtype),
            flushed=self.subnormals == "flush" and keeps(variable.device),
        )

    def exclude_from_weight_decay(
        self, var_list: Iterable[Any] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Keras': λ is 0 for these variables, and for those in whose name a pattern is found.

        The config keeps both, so that a model which is loaded excludes the same variables.
        """
        self._exclude(Excluded(list(var_list or ()), list(var_names or ())))

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes this optimizer anew of, without its state."""
        config: dict[str, Any] = super().get_config()
        if isinstance(self._learning_rate, keras.Variable):
            config["learning_rate"] = self._exact_learning_rate()
        if callable(self.weight_decay):
            config["weight_decay"] = keras.saving.serialize_keras_object(self.weight_decay)
        excluded = self._config_of_excluded()
        if excluded is not None:
            config["exclude_from_weight_decay"] = excluded
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "subnormals": self.subnormals}
        return config | own

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Lion:
        """The optimizer that get_config described."""
        config = dict(config)
        if isinstance(config.get("weight_decay"), dict):
            config["weight_decay"] = keras.saving.deserialize_keras_object(
                config["weight_decay"], custom_objects=custom_objects
            )
        excluding = "exclude_from_weight_decay" in config
        excluded = config.pop("exclude_from_weight_decay", None)
        if excluding:
            check_config(excluded)
        optimizer: Lion = super().from_config(config, custom_objects=custom_objects)
        if excluding:
            optimizer._excluded_config = lambda: excluded
        return optimizer

    # The hooks of Keras that are overridden.

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Nothing: the decay is a part of the step (SPEC C10)."""

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        """Evaluate the scalars once for all variables; Keras reduces and distributes."""
        scalars = self._scalars(learning_rate, trainable_variables)
        super()._backend_update_step(grads, trainable_variables, scalars)

    # Variables without a decay.

    def _exclude(self, excluded: Excluded) -> None:
        super().exclude_from_weight_decay(*excluded.arguments)
        self._excluded, self._excluded_config = excluded, None

    def _config_of_excluded(self) -> Mapping[str, Any] | None:
        if self._excluded_config:
            return self._excluded_config()
        if not (self._excluded.listed or self._excluded.names or self._excluded.absent):
            return None
        if not self.built:
            return self._excluded.config(None, (), self._var_key)
        variables = self._trainable_variables
        excluded = [not self._use_weight_decay(searched_name(x)[0]) for x in variables]
        return self._excluded.config(variables, excluded, self._var_key)

    # The step's scalars.

    def _scalars(self, learning_rate: Any, variables: Sequence[Any]) -> Scalars:
        decay = self.weight_decay
        if isinstance(decay, Schedule):
            decay = decay(self._iterations)
        elif callable(decay):
            decay = decay()
        decay = 0.0 if decay is None else decay
        iterations = self._iterations.value
        scalars = scalars_for(learning_rate, decay, self.beta_1, self.beta_2, iterations)
        if tf.executing_eagerly():
            check_values(scalars, variables)
        else:
            self._traced = True
        return scalars

    def _as_held(self, learning_rate: Any, dtype: str) -> Any:
        return as_held(learning_rate, dtype, flush=self.subnormals == "flush")

    def _exact_learning_rate(self) -> float:
        """The number that was set, if the variable still holds it, rounded; else the variable's."""
        held = self._learning_rate.numpy()
        last = self._last_learning_rate
        with np.errstate(over="ignore"):
            unchanged = isinstance(last, float) and held == held.dtype.type(
                self._as_held(last, held.dtype.name)
            )
        return last if unchanged else float(held)

    def _widen_learning_rate(self, dtype: str) -> None:
        """Hold η in the compute dtype: rounded to the default dtype it would be rounded twice."""
        narrow = self._learning_rate
        if not isinstance(narrow, keras.Variable) or tf.as_dtype(narrow.dtype).size >= (
            tf.as_dtype(dtype).size
        ):
            return
        with tf.init_scope(), keras.name_scope(self.name):
            wide = keras.Variable(
                self._as_held(self._exact_learning_rate(), dtype),
                name="learning_rate",
                dtype=dtype,
                trainable=False,
                aggregation="only_first_replica",
            )
        self._untrack_variable(narrow)
        self._learning_rate = wide  # tracked in the same place: behind the iterations

    def _devices(self, variables: Iterable[Any]) -> set[str]:
        """The devices of variables, each one's of one that is mirrored on several."""
        copies = self._distribution_strategy.experimental_local_results
        values = [x.value if isinstance(x, keras.Variable) else x for x in variables]
        return {copy.device for value in values for copy in copies(value)}

    def _beside(self, variable: Any) -> Any:
        """The momentum of a variable, on the variable's device where it is mirrored on several."""
        momentum = self._momentums[self._get_variable_index(variable)].value
        copies = self._distribution_strategy.experimental_local_results(momentum)
        if len(copies) == 1:
            return copies[0]
        return next(copy for copy in copies if copy.device == variable.device)
