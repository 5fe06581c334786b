"""The codes of causes: a word for each mistake that has a page in docs/reference/causes.

A sentence says what one port does, with its numbers; its code stands for the mistake in general,
and `lion-conformance explain CODE` shows the page.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Every mistake that has a name."""

    # The two interpolations
    BETAS_SWAPPED = "betas-swapped"
    COMPLEMENT_MISSING = "complement-missing"
    WRONG_COMPLEMENT = "wrong-complement"
    NEW_MOMENTUM_IN_SIGN = "new-momentum-in-sign"
    MOMENTUM_UPDATED_TWICE = "momentum-updated-twice"
    GRADIENT_LEFT_OUT = "gradient-left-out"
    MOMENTUM_LEFT_OUT = "momentum-left-out"
    INPUT_NEGATED = "input-negated"
    SIGN_OR_SIZE_LOST = "sign-or-size-lost"
    GRADIENT_SCALED = "gradient-scaled"
    GRADIENT_CLIPPED = "gradient-clipped"
    GRADIENT_NORMALISED = "gradient-normalised"
    MOMENTUM_SCALED = "momentum-scaled"
    NOT_UPDATED = "not-updated"

    # The sign
    STEP_GOES_UP = "step-goes-up"
    SIGN_REPLACED = "sign-replaced"
    SIGN_OF_ZERO = "sign-of-zero"
    SIGN_OF_NON_FINITE = "sign-of-non-finite"
    CAUTIOUS_STEP = "cautious-step"

    # The decay
    DECAY_LEFT_OUT = "decay-left-out"
    DECAY_SCALED = "decay-scaled"
    DECAY_NOT_SCALED = "decay-not-scaled"
    DECAY_SCALED_TWICE = "decay-scaled-twice"
    DECAY_TWICE = "decay-twice"
    DECAY_AFTER_STEP = "decay-after-step"
    DECAY_COUPLED = "decay-coupled"
    DECAY_IN_SIGN = "decay-in-sign"
    DECAY_OF_ANOTHER_ARRAY = "decay-of-another-array"

    # The scalars
    LEARNING_RATE_AND_DECAY_SWAPPED = "learning-rate-and-decay-swapped"
    STEP_NOT_SCALED = "step-not-scaled"
    SCALAR_SCALED = "scalar-scaled"
    SCALAR_FIXED = "scalar-fixed"
    SCALARS_ROUNDED = "scalars-rounded"

    # Roundings, and numbers of special kinds
    ROUNDED_IN_BETWEEN = "rounded-in-between"
    COMPUTED_IN_ANOTHER_DTYPE = "computed-in-another-dtype"
    STORED_TWICE = "stored-twice"
    STORE_NOT_TO_NEAREST = "store-not-to-nearest"
    STORE_SATURATES = "store-saturates"
    BITS_LOST = "bits-lost"
    SUBNORMALS_LOST = "subnormals-lost"
    NON_FINITE_CLEANED = "non-finite-cleaned"

    # Wrong in places
    WRONG_AT_POSITIONS = "wrong-at-positions"
    WRONG_IN_SHAPES = "wrong-in-shapes"
    WRONG_IN_LAYOUTS = "wrong-in-layouts"
    WRONG_FOR_VALUES = "wrong-for-values"
    WRONG_FOR_SCALARS = "wrong-for-scalars"
    WRONG_IN_DTYPES = "wrong-in-dtypes"

    # Wrong between steps, or between calls
    STALE_SCALARS = "stale-scalars"
    STALE_ARRAY = "stale-array"
    KNOWN_BY_ARRAY = "known-by-array"
    CACHED_RESULTS = "cached-results"
    GRADIENTS_ACCUMULATE = "gradients-accumulate"
    HIDDEN_SCHEDULE = "hidden-schedule"
    SCHEDULE_MISCOUNTED = "schedule-miscounted"
    SOME_STEPS_WRONG = "some-steps-wrong"
    BETAS_LOST = "betas-lost"
    MOMENTUM_LOST = "momentum-lost"
    STATE_ALTERED = "state-altered"
    STATE_ROUNDED = "state-rounded"
    HIDDEN_STATE = "hidden-state"
    READING_MATTERS = "reading-matters"
    SESSIONS_SHARE_STATE = "sessions-share-state"
    OTHER_AT_ANOTHER_CALL = "other-at-another-call"

    # Several tensors; events of a run
    TENSORS_LEFT_OUT = "tensors-left-out"
    TENSORS_MIXED_UP = "tensors-mixed-up"
    ABSENT_TENSOR_CHANGED = "absent-tensor-changed"
    FROZEN_FORGOTTEN = "frozen-forgotten"
    CUT_MOMENTUM_WRONG = "cut-momentum-wrong"
    WRONG_AFTER_EVENT = "wrong-after-event"
    SAVING_CHANGES_SESSION = "saving-changes-session"
    SAVED_STATE_CHANGES = "saved-state-changes"
    NOT_RESTORED_ELSEWHERE = "not-restored-elsewhere"

    # What a port promises beside its numbers
    INPUT_WRITTEN = "input-written"
    SHARED_BUFFER = "shared-buffer"
    RESULT_IN_INPUT = "result-in-input"
    STILL_BEING_WRITTEN = "still-being-written"
    WRONG_RESULT_TYPE = "wrong-result-type"
    NOT_REFUSED = "not-refused"
    REFUSED_STEP_CHANGES_STATE = "refused-step-changes-state"
    THREAD_ENVIRONMENT_CHANGED = "thread-environment-changed"
    RAISES = "raises"
    CONTRACT_BROKEN = "contract-broken"

    # In a GPU kernel
    OUT_OF_BOUNDS = "out-of-bounds"
    RACE = "race"
    UNINITIALIZED = "uninitialized"
    MISALIGNED = "misaligned"
    DEADLOCK = "deadlock"
    NEVER_ENDS = "never-ends"
